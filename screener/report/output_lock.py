"""One run at a time for a report's folder: a lock file beside it, which is there only while a run goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from screener.errors import ScreenerError, UserError
from screener.market.store_lock import GLANCE, Patience, fcntl, named, sign, taken


@contextmanager
def output_lock(folder: Path, patience: Patience) -> Iterator[None]:
    """Hold the right to write a report's folder; leave no folder behind that was made for the lock alone.

    The system drops the lock when its holder ends, however it ends. Raises ScreenerError naming the holder when
    patience ends, UserError where nothing can be written. Without flock, as on Windows, nothing is guarded.
    """
    if fcntl is None:
        yield
        return
    lock = folder.parent / f".{folder.name}.lock"
    made = [each for each in lock.parents if not each.exists()]
    try:
        descriptor = _acquired(lock, patience)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{folder}: the report cannot be written ({reason}); choose another --output"
        ) from None
    try:
        sign(descriptor)
        yield
    finally:
        with suppress(OSError):  # a folder that holds something stays, and so do those above it
            lock.unlink()
            for each in made:
                each.rmdir()
        os.close(descriptor)


def _acquired(lock: Path, patience: Patience) -> int:
    deadline = patience.clock() + patience.seconds
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # its last holder has just removed the folder
            continue
        if taken(descriptor, fcntl.LOCK_EX):
            if _is_still(lock, descriptor):
                return descriptor
            os.close(descriptor)  # of a run that has ended and removed it
            continue
        holder = named(os.pread(descriptor, 4096, 0))
        os.close(descriptor)
        if patience.clock() >= deadline:
            folder = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
            raise ScreenerError(
                f"{folder} is being written by {holder}; waited {patience.seconds:g} s. "
                "Run again when it has ended, wait longer with --wait SECONDS, or name another --output"
            )
        patience.sleep(GLANCE)


def _is_still(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    except FileNotFoundError:
        return False
