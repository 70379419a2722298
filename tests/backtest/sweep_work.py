"""A sweep's work for processes one of which dies: importable there, which a test module is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from screener.backtest.sweep import Ground, PointResult, run_batch
from screener.backtest.sweep_grid import GridPoint
from tests.backtest.dying_work import die_once


def sweep_with_a_death(shared: tuple[Ground, Path], batch: Sequence[GridPoint]) -> list[PointResult]:
    ground, marker = shared
    if batch[0].lookback_weeks == 52:
        die_once(marker)
    return run_batch(ground, batch)
