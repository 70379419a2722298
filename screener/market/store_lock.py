"""One writer at a time: a lock file beside the store that names the process holding it.

The operating system drops the lock when its holder ends, however it ends, so none is ever left behind.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from screener.errors import ScreenerError

# On Windows there is none, and DuckDB's own lock on the file keeps a second writer out.
fcntl: Any = import_module("fcntl") if os.name == "posix" else None

GLANCE = 0.02  # seconds between two looks at a lock


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for another process, with the clock and the sleep that tests replace."""

    seconds: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def lock_path(store: Path) -> Path:
    """Return the lock file of a store, the same one by whatever link the store is reached."""
    return _beside(store, ".lock")


def lock_holder(store: Path) -> str:
    """Return who is updating a store, such as "process 4711 (screener prices update)", or ""."""
    path = lock_path(store)
    if fcntl is None or not path.exists():
        return ""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return named(file.read())
    return ""


@contextmanager
def writer_lock(store: Path, patience: Patience) -> Iterator[None]:
    """Hold the right to write a store. Raises ScreenerError naming the holder when patience ends."""
    if fcntl is None:
        yield
        return
    # never deleted: a lock file that is removed can be held twice
    descriptor = os.open(lock_path(store), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, store, patience)
        sign(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def gate(store: Path, patience: Patience, *, shared: bool) -> Iterator[None]:
    """Hold a store's file for one read (shared) or one write, so that no reader meets a write half done.

    DuckDB locks the file too, but a process loses such a lock as soon as it closes any other handle on the file.
    Where no lock file can be made, such as in a folder that is only read, DuckDB's lock has to do. Raises
    ScreenerError when patience ends.
    """
    descriptor = _gate_file(store)
    if descriptor is None:
        yield
        return
    try:
        deadline = patience.clock() + patience.seconds
        while not taken(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if patience.clock() >= deadline:
                holder = lock_holder(store) or "another process"
                raise ScreenerError(busy(store, holder, patience.seconds))
            patience.sleep(GLANCE)
        yield
    finally:
        os.close(descriptor)


def _gate_file(store: Path) -> int | None:
    if fcntl is None:
        return None
    for how in (
        os.O_RDWR | os.O_CREAT,
        os.O_RDONLY,
    ):  # the gate of another user can be held without writing to it
        try:
            return os.open(_beside(store, ".gate"), how, 0o644)
        except OSError:
            continue
    return None


def _beside(store: Path, suffix: str) -> Path:
    real = store.resolve()
    return real.with_name(real.name + suffix)


def sign(descriptor: int) -> None:
    """Write into a lock file that is held which process holds it."""
    try:
        os.ftruncate(descriptor, 0)
        words = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        os.pwrite(descriptor, f"{os.getpid()} {words}".encode(), 0)
    except OSError:
        pass  # a full disk: the lock holds all the same, only without a name


def taken(descriptor: int, how: int) -> bool:
    """Try to take a lock file, shared or exclusively, without waiting, and say whether it was."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _acquire(descriptor: int, store: Path, patience: Patience) -> None:
    deadline = patience.clock() + patience.seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if patience.clock() >= deadline:
                holder = named(os.pread(descriptor, 4096, 0))
                raise ScreenerError(busy(store, holder, patience.seconds)) from None
            patience.sleep(GLANCE)


def busy(store: Path, holder: str, seconds: float) -> str:
    """Return the line that says who is in the way and what to do."""
    return (
        f"--store: {store} is being written by {holder}; waited {seconds:g} s. "
        "Run again when it has ended, wait longer with --wait SECONDS, or name another store"
    )


def named(content: bytes) -> str:
    """Return who wrote a lock file."""
    pid, _, words = content.decode(errors="replace").partition(" ")
    if not pid.isdigit():
        return "another process"
    return f"process {pid}" + (f" ({words[:60]})" if words else "")
