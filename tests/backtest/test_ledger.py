"""Nothing that was tried is forgotten, counted twice or lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.ledger import (
    Trial,
    Variant,
    plain_settings,
    read_ledger,
    record,
    trial_of,
    trials_hash,
    weekly_matrix,
)
from screener.backtest.performance import Drawdown, simple_returns
from screener.errors import ScreenerError
from screener.market.store_lock import Patience

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 7, 11, 9, tzinfo=UTC)
AS_OF = date(2026, 7, 10)
SETTINGS = {"method": "equal", "lookback": 104, "costs": 15.0, "limits": ["issuer <= 10%"]}


def wealth_of(seed: int, length: int = 400, end: date = AS_OF) -> pd.Series:
    returns = np.random.default_rng(seed).normal(0.0003, 0.01, length)
    index = pd.bdate_range(end=end, periods=length + 1)
    return pd.Series(np.concatenate([[1.0], np.cumprod(1 + returns)]), index=index)


def trial(number: int = 0, as_of: date = AS_OF, prices: str = "abc", theme: str = "magnets") -> Trial:
    variant = Variant("rare_earth_ai", theme, "yahoo", {**SETTINGS, "number": number})
    found = trial_of(variant, wealth_of(number, end=as_of), as_of=as_of, recorded_at=NOW, prices_hash=prices)
    assert found is not None
    return found


def same(one: Trial, other: Trial) -> bool:
    plain = [replace(each, weekly=pd.Series(dtype=float)) for each in (one, other)]
    fields = ("variant", "as_of", "recorded_at", "prices_hash", "sharpe_ratio", "returns", "per_year")
    return all(getattr(plain[0], each) == getattr(plain[1], each) for each in fields) and one.weekly.equals(
        other.weekly
    )


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "trials.jsonl"
    written = [trial(number) for number in range(3)]
    assert record(path, written) == 3
    found = read_ledger(path)
    assert not found.damage and all(same(a, b) for a, b in zip(written, found.trials, strict=True))


def test_the_sharpe_ratio_is_of_its_sessions_and_the_series_of_its_weeks() -> None:
    wealth, one = wealth_of(5), trial(5)
    returns = simple_returns(wealth)
    assert one.sharpe_ratio == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert one.returns == 400 and one.per_year == pytest.approx(261, abs=1)
    fridays = wealth[wealth.index.day_of_week == 4]
    assert one.weekly.to_numpy() == pytest.approx(simple_returns(fridays), abs=5.1e-8)
    assert one.weekly.index.equals(fridays.index[1:])


def test_no_file_is_an_empty_ledger(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "none.jsonl").trials == ()
    assert record(tmp_path / "none.jsonl", []) == 0 and not (tmp_path / "none.jsonl").exists()


def test_the_same_backtest_again_is_no_new_trial(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    assert [record(path, [trial()]) for _ in range(3)] == [1, 0, 0]
    later = replace(trial(), recorded_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert record(path, [later]) == 0


def test_a_later_as_of_date_takes_the_place_of_an_earlier_one_and_not_the_other_way(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    record(path, [trial(), trial(1)])
    newer = trial(as_of=date(2026, 8, 7))
    assert record(path, [newer]) == 1
    assert record(path, [trial(as_of=date(2026, 6, 5))]) == 0
    assert [each.as_of for each in read_ledger(path).trials] == [date(2026, 8, 7), AS_OF]
    assert len(path.read_text().splitlines()) == 3  # nothing is taken out of the file


def test_a_ledger_is_read_as_it_was_at_a_moment(tmp_path: Path) -> None:
    """A trial's later lines must not hide the one that was the newest then."""
    path = tmp_path / "trials.jsonl"
    then, later = datetime(2026, 8, 1, tzinfo=UTC), datetime(2027, 8, 1, tzinfo=UTC)
    first = [replace(trial(), recorded_at=then), replace(trial(1), recorded_at=then)]
    record(path, first)
    before = read_ledger(path)
    newer = [trial(as_of=date(2027, 7, 9)), trial(1, prices="restated"), trial(2)]
    record(path, [replace(each, recorded_at=later) for each in newer])
    again = read_ledger(path, until=then)
    assert trials_hash(again.trials) == trials_hash(before.trials)
    assert trials_hash(read_ledger(path, until=later).trials) != trials_hash(before.trials)
    assert read_ledger(path, until=later).trials[0].as_of == date(2027, 7, 9)
    assert read_ledger(path, until=datetime(2026, 7, 1, tzinfo=UTC)).trials == ()


def test_the_hash_of_trials_depends_on_each_of_them_and_on_their_order() -> None:
    one, two = trial(), trial(1)
    hashes = [[one, two], [two, one], [one], [], [one, replace(two, prices_hash="other")]]
    assert len({trials_hash(each) for each in hashes}) == len(hashes)


def test_other_prices_of_the_same_date_are_kept_as_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    record(path, [trial()])
    assert record(path, [trial(prices="restated")]) == 1
    (one,) = read_ledger(path).trials
    assert one.prices_hash == "restated"


def test_trials_of_another_theme_or_of_synthetic_prices_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    synthetic = replace(trial(2), variant=replace(trial(2).variant, source="sample", synthetic=True))
    elsewhere = replace(trial(3), variant=replace(trial(3).variant, source="files"))
    record(path, [trial(), trial(1, theme="recycling"), synthetic, elsewhere])
    found = read_ledger(path)
    assert len(found.of("rare_earth_ai", "magnets")) == 2  # copying prices to a folder forgets nothing
    assert len(found.of("rare_earth_ai", "magnets", synthetic=True)) == 1


def test_what_a_variant_is_does_not_hang_on_the_order_or_type_of_its_settings() -> None:
    one = Variant("u", "t", "s", {"a": 1, "b": [1, 2], "c": {"x": True}})
    other = Variant("u", "t", "s", {"c": {"x": True}, "b": (1.0, 2.0), "a": 1.0})
    assert one.key == other.key
    assert one.key != Variant("u", "t", "s", {"a": 1, "b": [2, 1], "c": {"x": True}}).key
    assert one.key != Variant("u", "t", "s", {"a": 1, "b": [1, 2], "c": {"x": 1}}).key
    assert len({Variant("u", "t", "s", {}).key, Variant("u", "ts", "", {}).key}) == 2


def test_settings_are_made_of_dataclasses() -> None:
    costs = Patience(seconds=1.0)
    found = plain_settings(
        costs=costs.seconds, theme=Drawdown(AS_OF, AS_OF, None, 0.5, 1, 2), limits=("a", "b")
    )
    assert found["theme"]["peak"] == "2026-07-10" and found["limits"] == ["a", "b"]
    assert Variant("u", "t", "s", found).key == Variant("u", "t", "s", json.loads(json.dumps(found))).key


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_settings_that_have_no_one_text_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        Variant("u", "t", "s", {"a": value})


@pytest.mark.parametrize(
    "damage", ["{", "[]", "null", '{"schema":2}', "\x00\x01", '{"schema":1,"check":"0"}']
)
def test_a_damaged_line_is_named_kept_and_does_no_harm(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "trials.jsonl"
    record(path, [trial(0)])
    with path.open("a") as file:
        file.write(damage + "\n")
    record(path, [trial(1)])
    found = read_ledger(path)
    assert [each.line for each in found.damage] == [2] and len(found.trials) == 2
    assert damage in path.read_text()


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    record(path, [trial()])
    content = json.loads(path.read_text())
    content["sharpe_ratio"] = 0.5
    path.write_text(json.dumps(content) + "\n")
    assert read_ledger(path).damage[0].reason.endswith("not what was written")


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(1, 5000))
def test_a_line_cut_off_by_a_crash_swallows_nothing(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "trials.jsonl"
    record(path, [trial(0)])
    whole = path.read_bytes()
    record(path, [trial(1)])
    both = path.read_bytes()
    path.write_bytes(both[: len(whole) + cut % (len(both) - len(whole))])
    record(path, [trial(2), trial(1)])
    found = read_ledger(path)
    assert {each.variant.settings["number"] for each in found.trials} == {0, 1, 2}
    assert [each.line for each in found.damage] in ([], [2])


def write_many(path: str, first: int) -> None:
    for number in range(first, first + 10):
        record(Path(path), [trial(number), trial(0)])


def test_writers_at_the_same_time_lose_and_repeat_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(path), first)) for first in (100, 200)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    found = read_ledger(path)
    assert not found.damage and len(found.trials) == 21 == len(path.read_text().splitlines())


def test_a_writer_that_is_killed_leaves_whole_lines_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    code = (
        "import sys; from tests.backtest.test_ledger import write_many; "
        f"print('ready', flush=True); [write_many({str(path)!r}, 20 * n) for n in range(10_000)]"
    )
    for _ in range(2):
        victim = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert victim.stdout is not None and victim.stdout.readline() == b"ready\n"
        while not path.exists():
            pass
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
        assert not read_ledger(path).damage
    assert record(path, [trial(999_999)], Patience(seconds=1.0)) == 1


def test_a_ledger_held_by_another_process_is_waited_for_and_then_named(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "trials.jsonl"
    with (tmp_path / "trials.jsonl.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ScreenerError, match="written by another process"):
            record(path, [trial()], Patience(seconds=0.05))
    assert record(path, [trial()]) == 1


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trials.jsonl"
    record(path, [trial(0)])
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:50]))
    with pytest.raises(ScreenerError, match="the disk is full"):
        record(path, [trial(1)])
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScreenerError, match="cannot be written"):
        record(tmp_path / "file" / "trials.jsonl", [trial()])


def test_what_never_moves_is_no_trial() -> None:
    flat = pd.Series(1.0, index=pd.bdate_range("2026-01-01", periods=50))
    assert trial_of(Variant("u", "t", "s", {}), flat, as_of=AS_OF, recorded_at=NOW, prices_hash="") is None


def test_weeks_of_runs_that_end_on_different_days_are_the_same_weeks() -> None:
    wealth = wealth_of(1, length=300)
    variant = Variant("u", "t", "s", {})
    runs = [
        trial_of(variant, wealth.iloc[: len(wealth) - back], as_of=AS_OF, recorded_at=NOW, prices_hash="")
        for back in (0, 2)
    ]
    matrix = weekly_matrix([each for each in runs if each is not None])
    both = np.isfinite(matrix).all(axis=1)
    assert both.sum() == len(matrix) - 1  # the week that the shorter run does not finish is not in it
    assert (matrix[both, 0] == matrix[both, 1]).all()
    assert weekly_matrix([]).shape == (0, 0)
