"""Whatever ends a writer, and wherever: the store is the last complete one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from screener.errors import ScreenerError
from screener.market.store import Store
from tests.market.store_victim import BEGAN, batch, batches_in

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200


def test_two_hundred_kills_at_random_moments_lose_and_tear_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.market.store_victim", str(tmp_path), str(KILLS), "4"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    met = json.loads(ran.stdout)
    assert met["kills"] == KILLS and met["torn"] == []
    assert met["with a log to replay"] > 0  # some died between a commit and its way into the file
    assert met["batches"] > 0


def dying(path: Path, batches: int) -> None:
    """Write batches in a process that kills itself before the last one's log is folded into the file."""
    code = f"""
import os, signal, duckdb
from datetime import timedelta
from pathlib import Path
from screener.market import store_schema
from screener.market.store import Store
from tests.market.store_victim import BEGAN, batch
with Store.open(Path({str(path)!r})) as store:
    for number in range({batches} - 1):
        store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
    connect = duckdb.connect
    def last(*arguments, **named):
        connection = connect(*arguments, **named)
        class Dying:
            def close(self): os.kill(os.getpid(), signal.SIGKILL)
            def __getattr__(self, name): return getattr(connection, name)
        return Dying()
    store_schema.duckdb.connect = last
    number = {batches} - 1
    store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def test_power_lost_while_the_log_is_written_leaves_the_batch_before(tmp_path: Path) -> None:
    """What the disk has of the log may end anywhere: every length of it must give a whole state."""
    path = tmp_path / "p.duckdb"
    dying(path, 3)
    log = path.with_name(path.name + ".wal")
    whole = log.read_bytes()
    met = []
    for length in sorted({0, 1, len(whole) - 1, len(whole), *range(7, len(whole), max(1, len(whole) // 14))}):
        copy = tmp_path / f"cut{length}.duckdb"
        shutil.copy(path, copy)
        copy.with_name(copy.name + ".wal").write_bytes(whole[:length])
        with Store.open(copy, read_only=True) as store:
            met.append(batches_in(store))
        with Store.open(copy) as store:  # and it can be written again
            assert batches_in(store) == met[-1]
            number = met[-1]
            store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
            assert batches_in(store) == number + 1
    assert set(met) == {2, 3} and met == sorted(met)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or shutil.which("mount") is None:
        pytest.skip("a small disk needs mount, which this system has not")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}; it takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_loses_nothing(small_disk: Path) -> None:
    path = small_disk / "p.duckdb"
    filler = small_disk / "filler"
    with Store.open(path) as store:
        for number in range(5):
            store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
        filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 60_000))
        done = 5
        with pytest.raises(ScreenerError, match=r"the disk of .* is full") as caught:
            while True:
                store.write("vendor", False, batch(done), BEGAN + timedelta(minutes=done))
                done += 1
    assert caught.value.exit_code == 1 and len(caught.value.problems) == 1
    with Store.open(path, read_only=True) as store:
        assert batches_in(store) in (done, done + 1)  # all of the last one or nothing of it
        kept = batches_in(store)
    filler.unlink()
    with Store.open(path) as store:
        assert batches_in(store) == kept
        store.write("vendor", False, batch(kept), BEGAN + timedelta(minutes=kept))
        assert batches_in(store) == kept + 1


def test_a_disk_without_room_for_a_new_store_is_said(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
    with pytest.raises(ScreenerError, match=r"full|cannot be written"), Store.open(small_disk / "p.duckdb"):
        pass


def test_a_damaged_block_is_found_by_reading_everything(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with Store.open(path) as store:
        for number in range(8):
            store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
    with Store.open(path, read_only=True) as store:
        before = store.checksum()
        assert store.checksum() == before
    content = bytearray(path.read_bytes())
    damaged = 0
    for at in range(12_288 + 5000, len(content), 65_536):
        content[at : at + 64] = bytes(each ^ 0xFF for each in content[at : at + 64])
        damaged += 1
    path.write_bytes(content)
    assert damaged
    with (
        pytest.raises(ScreenerError, match=r"is damaged \(.*; restore it"),
        Store.open(path, read_only=True) as store,
    ):
        assert store.checksum() == before
