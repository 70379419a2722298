"""One writer at a time, named to those who wait; readers get in between its writes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from screener.errors import ScreenerError
from screener.market import store_lock
from screener.market.store import Store
from screener.market.store_lock import Patience, gate, lock_holder
from tests.market.store_victim import BEGAN, batch, batches_in

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from screener.market.store import Store
from tests.market.store_victim import BEGAN, batch
with Store.open(Path(sys.argv[1])) as store:
    print("open", flush=True)
    for number in range(int(sys.argv[2])):
        store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
    print("written", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writer(path: Path, batches: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes some batches, then holds the store open until told to end."""
    command = [sys.executable, "-c", WRITER, str(path), str(batches)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait()


def test_a_second_writer_is_told_who_writes_and_how_to_wait(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with writer(path, 1) as other:
        assert lock_holder(path).startswith(f"process {other.pid} (")
        naps: list[float] = []
        patience = Patience(5, clock=lambda: sum(naps), sleep=naps.append)
        with pytest.raises(ScreenerError) as caught, Store.open(path, patience=patience):
            pass
        (line,) = caught.value.problems
        assert (
            f"is being written by process {other.pid} (" in line and "waited 5 s" in line and "--wait" in line
        )
        assert caught.value.exit_code == 1
    assert lock_holder(path) == ""


def test_a_second_writer_that_waits_long_enough_writes(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with writer(path, 2) as other:
        threading.Timer(0.3, other.stdin.close).start()  # type: ignore[union-attr]
        with Store.open(path, patience=Patience(30)) as store:
            assert batches_in(store) == 2
            store.write("vendor", False, batch(2), BEGAN + timedelta(minutes=2))


def test_readers_are_let_in_between_the_writes_of_a_writer_at_work(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with Store.open(path) as store:
        store.write("vendor", False, batch(0), BEGAN)
    seen = []
    with writer(path, 25) as other:
        while not seen or seen[-1] < 25:
            with Store.open(path, read_only=True) as store:
                seen.append(batches_in(store) if seen else 0)
            assert other.poll() is None
            time.sleep(0.01)
    assert seen == sorted(seen)


def test_a_writer_that_holds_the_store_between_writes_keeps_no_reader_out(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with writer(path, 2) as other:
        assert other.stdout is not None and other.stdout.readline() == "written\n"
        with Store.open(path, read_only=True, patience=Patience(0)) as store:
            assert batches_in(store) == 2


def test_a_write_waits_for_a_read_to_end_and_a_read_for_a_write(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    waits: list[float] = []

    def patience() -> Patience:
        waits.clear()
        return Patience(1, clock=lambda: sum(waits), sleep=waits.append)

    with gate(path, patience(), shared=True):
        with gate(path, patience(), shared=True):
            assert not waits  # readers do not keep each other out
        with pytest.raises(ScreenerError, match="being written by another process"):
            gate(path, patience(), shared=False).__enter__()
        assert sum(waits) >= 1
    with (
        gate(path, patience(), shared=False),
        pytest.raises(ScreenerError, match="waited 1 s"),
        gate(path, patience(), shared=True),
    ):
        pass


def test_a_store_reached_by_a_link_has_the_same_gate_and_the_same_writer(tmp_path: Path) -> None:
    path, link = tmp_path / "p.duckdb", tmp_path / "link.duckdb"
    with Store.open(path):
        link.symlink_to(path)
        assert lock_holder(link).startswith(f"process {os.getpid()} (")
        with pytest.raises(ScreenerError, match="waited 0 s"), Store.open(link, patience=Patience(0)):
            pass
    with (
        gate(path, Patience(0), shared=False),
        pytest.raises(ScreenerError, match="waited 0 s"),
        gate(link, Patience(0), shared=True),
    ):
        pass


def test_the_gate_of_another_user_is_kept_though_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.duckdb"
    with Store.open(path):
        pass
    real = os.open

    def only_to_read(file: Path, how: int, mode: int = 0o777) -> int:
        if how & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied")
        return real(file, how, mode)

    with gate(path, Patience(0), shared=False):
        monkeypatch.setattr(store_lock.os, "open", only_to_read)
        with pytest.raises(ScreenerError, match="waited 0 s"), gate(path, Patience(0), shared=True):
            pass


def test_another_program_in_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with Store.open(path):
        pass
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('in', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        other.stdout.readline()
        with (
            pytest.raises(ScreenerError, match=rf"written by process {other.pid} \(python"),
            Store.open(path, read_only=True, patience=Patience(0.1)),
        ):
            pass
        other.stdin.close()


def test_a_lock_file_left_by_the_dead_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    path.with_name("p.duckdb.lock").write_text(f"{os.getpid()} screener prices update")
    assert lock_holder(path) == ""
    with Store.open(path, patience=Patience(0)):
        assert lock_holder(path).startswith(f"process {os.getpid()} (")


def test_a_store_opened_for_reading_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with Store.open(path):
        pass
    with Store.open(path, read_only=True) as store, pytest.raises(ValueError, match="for reading"):
        store.write("vendor", False, batch(0), BEGAN)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM bars").fetchall() == [(0,)]
