"""The report of the week before is found, whatever else lies in the output folder."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.report.memory import REASONS, PassedOver, Previous, last_report, read_report, stored_reports
from screener.report.record import record_of, to_json
from tests.report.make_inputs import fresh_inputs

AS_OF = date(2026, 7, 10)  # of 2026-W28
KEY = "rare_earth_ai"


@cache
def a_record() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(to_json(record_of(fresh_inputs())))
    return made


def write(output: Path, as_of: str, key: str = KEY, **changed: Any) -> Path:
    record = {**copy.deepcopy(a_record()), **changed}
    record["run"]["as_of"] = as_of
    year, week, _ = date.fromisoformat(as_of).isocalendar()
    path = output / f"{year}-W{week:02d}" / key / "run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def found(output: Path, synthetic: bool = False) -> tuple[str | None, dict[str, str]]:
    previous, passed_over = last_report(output, KEY, AS_OF, synthetic)
    return previous and previous.week, {each.path.split("/")[0]: each.why for each in passed_over}


def test_without_an_output_folder_there_is_none(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere") == (None, {})


def test_it_is_the_newest_of_an_earlier_week(tmp_path: Path) -> None:
    for day in ("2025-12-31", "2026-06-26", "2026-07-03"):
        write(tmp_path, day)
    assert found(tmp_path) == ("2026-W27", {})


def test_a_report_of_the_same_week_or_a_later_one_is_none(tmp_path: Path) -> None:
    for day in ("2026-06-26", "2026-07-08", "2026-07-10", "2026-07-17"):
        write(tmp_path, day)
    assert found(tmp_path) == ("2026-W26", {})


def test_the_year_turns_in_the_week_of_its_iso_calendar(tmp_path: Path) -> None:
    write(tmp_path, "2027-01-01")  # is in 2026-W53
    write(tmp_path, "2026-12-24")
    previous, _ = last_report(tmp_path, KEY, date(2027, 1, 8), False)
    assert previous is not None and previous.as_of == date(2027, 1, 1)


def test_another_universe_is_another_memory(tmp_path: Path) -> None:
    write(tmp_path, "2026-07-03", key="mine", universe="mine")
    write(tmp_path, "2026-06-26")
    assert found(tmp_path) == ("2026-W26", {})


def test_synthetic_prices_are_never_compared_with_real_ones(tmp_path: Path) -> None:
    write(tmp_path, "2026-06-26")
    write(tmp_path, "2026-07-03", prices="SYNTHETIC")
    assert found(tmp_path, synthetic=False) == ("2026-W26", {"2026-W27": "other_prices"})
    assert found(tmp_path, synthetic=True) == ("2026-W27", {})


def test_another_language_is_no_hindrance(tmp_path: Path) -> None:
    write(tmp_path, "2026-07-03", language="ja")
    assert found(tmp_path) == ("2026-W27", {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "broken"),
        ('{"schema": "screener.run/2"', "broken"),
        ('{"schema": "screener.run/2"}', "foreign"),
        ("[1, 2]", "foreign"),
        ('{"schema": "screener.run/9"}', "foreign"),
        ('{"name": "another program\'s"}', "foreign"),
        ("[" * 100_000, "broken"),
        ("\ud800", "broken"),
    ],
)
def test_what_cannot_be_compared_with_is_passed_over_by_name(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path, "2026-06-26")
    write(tmp_path, "2026-07-03").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert found(tmp_path) == ("2026-W26", {"2026-W27": why})


def test_a_folder_in_place_of_the_file_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "2026-06-26")
    (tmp_path / "2026-W27" / KEY / "run.json").mkdir(parents=True)
    assert found(tmp_path) == ("2026-W26", {"2026-W27": "unreadable"})


def test_a_report_moved_into_the_wrong_week_is_not_earlier(tmp_path: Path) -> None:
    path = write(tmp_path, "2026-07-17")
    path.parent.parent.rename(tmp_path / "2026-W27")
    assert found(tmp_path) == (None, {"2026-W27": "not_earlier"})


def test_a_report_before_rules_were_kept_is_still_read(tmp_path: Path) -> None:
    path = write(tmp_path, "2026-07-03", schema="screener.run/1")
    record = json.loads(path.read_text(encoding="utf-8"))
    for name in ("rules", "changes", "prices_as_stored_at"):
        del record[name]
    path.write_text(json.dumps(record), encoding="utf-8")
    report = read_report(path)
    assert isinstance(report, Previous)
    assert report.known_at.isoformat() == record["run"]["generated_at"]


def test_every_stored_report_newest_first_and_half_written_ones_not(tmp_path: Path) -> None:
    for day, key in (("2026-06-26", KEY), ("2026-07-03", "mine"), ("2026-07-03", KEY)):
        write(tmp_path, day, key=key, universe=key)
    write(tmp_path, "2026-07-03", key=".mine-half")
    (tmp_path / "sweeps").mkdir()
    listed = [each.path.removesuffix("/run.json") for each in stored_reports(tmp_path)]
    assert listed == ["2026-W27/mine", f"2026-W27/{KEY}", f"2026-W26/{KEY}"]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*at, key))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_of_a_record_is_more_than_a_reason(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever one part of a run.json is replaced by: it is read, or passed over with a reason, and comparing works."""
    from screener.report.differences import differences

    record = copy.deepcopy(a_record())
    at = data.draw(st.sampled_from([each for each in places(record) if each]))
    inner = record
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = data.draw(st.sampled_from([None, 1, "x", [], [1], {}, {"x": 1}, {"x": None}, ["x"]]))
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    report = read_report(path)
    if isinstance(report, PassedOver):
        assert report.why in REASONS
    else:
        differences(report.record, a_record())
        differences(a_record(), report.record)
