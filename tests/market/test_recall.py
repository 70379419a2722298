"""What was read of the store is known again by its fingerprint, and found in whichever version has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.market.bars import COLUMNS
from screener.market.load import Request, Stored
from screener.market.quality import Finding
from screener.market.recall import findings_read, findings_written, fingerprint_of, moment_known
from screener.market.store import Store
from screener.market.store_rows import Series, Update
from screener.market.verdicts import Verdict
from tests.market.make_bars import NOW, SESSIONS, bars, steady

BARS = bars(steady())
SPAN = (date(2020, 1, 1), date(2030, 1, 1))


@given(row=st.integers(0, len(SESSIONS) - 1), column=st.sampled_from(COLUMNS))
@settings(max_examples=40, deadline=None)
def test_a_change_in_the_last_bit_of_any_value_changes_the_fingerprint_of_its_year_alone(
    row: int, column: str
) -> None:
    table = BARS.table.copy()
    place = (SESSIONS[row], column)
    table.loc[place] = np.nextafter(float(table.loc[place]), np.inf)
    before, after = fingerprint_of(BARS), fingerprint_of(replace(BARS, table=table))
    assert before["sha256"] != after["sha256"]
    years = [dict(part.split(":") for part in each["years"].split()) for each in (before, after)]
    assert {each for each in years[0] if years[0][each] != years[1][each]} == {str(SESSIONS[row].year)}


@given(row=st.integers(1, len(SESSIONS) - 1))
@settings(max_examples=20, deadline=None)
def test_a_bar_less_or_on_another_date_changes_it(row: int) -> None:
    less = replace(BARS, table=BARS.table.drop(SESSIONS[row]))
    first = BARS.table.index[0] - pd.Timedelta(days=1)
    moved = replace(BARS, table=BARS.table.rename(index={BARS.table.index[0]: first}))
    assert len({fingerprint_of(each)["sha256"] for each in (BARS, less, moved)}) == 3
    assert fingerprint_of(less)["rows"] == len(SESSIONS) - 1


def test_another_currency_changes_it_and_the_time_of_the_fetch_does_not() -> None:
    assert fingerprint_of(replace(BARS, currency="EUR"))["sha256"] != fingerprint_of(BARS)["sha256"]
    assert fingerprint_of(replace(BARS, fetched_at=NOW + timedelta(days=9))) == fingerprint_of(BARS)


def test_nothing_has_a_fingerprint_too() -> None:
    none = fingerprint_of(replace(BARS, table=BARS.table.iloc[:0]))
    assert (none["rows"], none["first"], none["years"]) == (0, "", "")


def test_findings_come_back_as_they_were() -> None:
    one = Finding("AAA", date(2026, 1, 2), "spin_off", "note", "a sentence", False, "level", 0.5)
    assert findings_read(findings_written({"AAA": (one,), "BBB": ()})) == {"AAA": (one,), "BBB": ()}


def test_what_was_read_was_known_by_the_clock_or_by_the_latest_thing_read() -> None:
    request = Request(as_of=date(2026, 7, 10), now=NOW)
    later = NOW + timedelta(days=3)
    verdict = Verdict("AAA", date(2026, 1, 2), "reject", "why", 1.0, later)
    assert moment_known(request, Stored("test")) == NOW
    assert moment_known(request, Stored("test", {"AAA": BARS})) == NOW
    assert moment_known(request, Stored("test", {"AAA": replace(BARS, fetched_at=later)})) == later
    assert moment_known(request, Stored("test", verdicts=(verdict,))) == later
    assert moment_known(
        replace(request, known_at=NOW - timedelta(days=1)), Stored("test")
    ) == NOW - timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two names fetched in January; then one bar restated in March and again in May, one withdrawn, one late."""
    path = tmp_path / "p.duckdb"
    table = BARS.table.iloc[-5:]
    series = Series("USD", date(2024, 1, 2), date(2026, 7, 10), "", NOW)
    with Store.open(path) as opened:

        def write(rows: pd.DataFrame, month: int, symbol: str = "AAA") -> None:
            update = Update(symbol, "fetched", "", series, rows)
            opened.write("test", False, [update], datetime(2027, month, 1, tzinfo=UTC))

        write(table, 1)
        write(table, 4, "BBB")
        write(table.iloc[[1]].assign(close=77.0), 3)
        write(table.iloc[[1]].assign(close=78.0), 5)
        write(table.iloc[[2]] * np.nan, 6)
        write(table.iloc[[0]].rename(index={table.index[0]: pd.Timestamp("2026-07-04")}), 7)
    return path


def test_every_version_after_a_moment_is_told_with_the_one_before(store: Path) -> None:
    with Store.open(store, read_only=True) as opened:
        table = opened.restated("test", ["AAA", "BBB"], SPAN, datetime(2027, 2, 1, tzinfo=UTC))
        later = opened.restated("test", ["AAA"], SPAN, datetime(2027, 5, 15, tzinfo=UTC))
        never = opened.restated("test", ["AAA"], SPAN, datetime(2027, 8, 1, tzinfo=UTC))
        out_of_span = opened.restated(
            "test", ["AAA"], (SPAN[0], date(2026, 7, 3)), datetime(2027, 2, 1, tzinfo=UTC)
        )
        moments = opened.moments("test", ["AAA", "CCC"])
    close = float(BARS.table["close"].iloc[-4])
    assert set(table["symbol"]) == {"AAA"}  # BBB was not known yet, so nothing of it can have been restated
    told = [
        (None if pd.isna(old) else old, None if pd.isna(new) else new)
        for old, new in zip(table["old_close"], table["new_close"], strict=True)
    ]
    late, gone = float(BARS.table["close"].iloc[-5]), float(BARS.table["close"].iloc[-3])
    assert told == [(None, late), (close, 77.0), (77.0, 78.0), (gone, None)]
    assert len(later) == 2 and not len(never) and not len(out_of_span)
    assert [each.month for each in moments["AAA"]] == [7, 6, 5, 3, 1] and "CCC" not in moments
