"""Work for worker processes that die: importable there, which a test module is not."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from screener.backtest.sweep import Ground, PointResult, run_batch
from screener.backtest.sweep_grid import GridPoint


def die_once(marker: Path) -> None:
    """Kill this process as the system would when memory runs out, the first time it comes here."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def square(shared: tuple[Path, int], batch: int) -> int:
    marker, victim = shared
    if batch == victim:
        die_once(marker)
    return batch * batch


def die_always(shared: None, batch: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return batch


def fail(shared: None, batch: int) -> int:
    raise KeyError(batch)


def sweep_with_a_death(shared: tuple[Ground, Path], batch: Sequence[GridPoint]) -> list[PointResult]:
    ground, marker = shared
    if batch[0].lookback_weeks == 52:
        die_once(marker)
    return run_batch(ground, batch)
