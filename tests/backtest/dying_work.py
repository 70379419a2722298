"""Work for processes that die: importable there, which a test module is not, and quick to import."""

from __future__ import annotations

import os
import signal
from pathlib import Path


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
