"""One run at a time writes a report's folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import screener.api as sc
from screener.errors import ScreenerError, UserError
from screener.market.store_lock import Patience
from screener.report.output_lock import output_lock

EXAMPLE = Path(sc.__file__).parent / "universe" / "example"
AT_ONCE = Patience(0)
HOLD = """
import sys, time
from pathlib import Path
from screener.market.store_lock import Patience
from screener.report.output_lock import output_lock
with output_lock(Path(sys.argv[1]), Patience(0)):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "2026-W28" / "mine"


def hold(folder: Path) -> subprocess.Popen[str]:
    """Start another process that holds the lock."""
    words = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_run_names_the_first_and_ends_with_1(folder: Path) -> None:
    process = hold(folder)
    try:
        with pytest.raises(ScreenerError) as raised, output_lock(folder, AT_ONCE):
            pass
    finally:
        process.kill()
        process.communicate()
    (line,) = raised.value.problems
    assert line.startswith(f"{folder} is being written by process {process.pid} ")
    assert "--output" in line and raised.value.exit_code == 1


def test_a_holder_that_was_killed_is_in_nobodys_way(folder: Path) -> None:
    process = hold(folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with output_lock(folder, AT_ONCE):
        pass


def test_a_run_that_waits_goes_on_when_the_first_has_ended(folder: Path) -> None:
    process = hold(folder)
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        process.kill()
        process.communicate()

    with output_lock(folder, Patience(5, sleep=sleep)):
        assert waits


def test_nothing_is_left_of_a_lock(folder: Path, tmp_path: Path) -> None:
    with output_lock(folder, AT_ONCE):
        assert [each.name for each in folder.parent.iterdir()] == [".mine.lock"]
    assert not list(tmp_path.iterdir())
    folder.mkdir(parents=True)
    with output_lock(folder, AT_ONCE):
        pass
    assert list(folder.parent.iterdir()) == [folder]


def test_reports_of_other_universes_are_not_held_up(folder: Path) -> None:
    with output_lock(folder, AT_ONCE), output_lock(folder.with_name("other"), AT_ONCE):
        pass


def test_a_place_that_cannot_be_written_is_named_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    request = sc.Request(
        as_of=date(2026, 7, 10),
        now=datetime(2026, 7, 11, tzinfo=UTC),
        universe=str(EXAMPLE),
        source="sample",
        store=tmp_path / "p.duckdb",
    )
    with pytest.raises(UserError, match=r"cannot be written .*choose another --output"):
        sc.weekly(request, tmp_path / "out")
    assert not request.store.exists()


def test_weekly_holds_the_lock_while_prices_come_in_and_replaces_a_report_whole(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "mine")
    request = sc.Request(
        as_of=date(2026, 7, 10),
        now=datetime(2026, 7, 11, 6, tzinfo=UTC),
        universe=str(tmp_path / "mine"),
        source="sample",
        store=tmp_path / "p.duckdb",
    )
    folder = tmp_path / "out" / "2026-W28" / "mine"
    refused = []

    def meanwhile(*_: object) -> None:
        try:
            with output_lock(folder, AT_ONCE):
                pass
        except ScreenerError as error:
            refused.append(str(error))

    settings = sc.BacktestSettings(years=1)
    assert sc.weekly(request, tmp_path / "out", settings, progress=meanwhile).folder == folder
    assert refused and all(f"process {os.getpid()}" in each for each in refused)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    (folder / "report.md").write_text("an old one", encoding="utf-8")
    sc.weekly(request, tmp_path / "out", settings)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]
