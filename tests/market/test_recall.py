"""What was read of the store is known again by its fingerprint, and found in whichever version has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
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


def test_the_moments_at_which_bars_were_written_come_newest_first(tmp_path: Path) -> None:
    series = Series("USD", date(2024, 1, 2), date(2026, 7, 10), "", NOW)
    rows = {1: BARS.table, 4: BARS.table.iloc[:0], 3: BARS.table.iloc[[1]].assign(close=77.0)}
    with Store.open(tmp_path / "p.duckdb") as store:
        for month, table in sorted(rows.items()):
            update = Update("AAA", "fetched", "", series, table)
            store.write("test", False, [update], datetime(2027, month, 1, tzinfo=UTC))
        moments = store.moments("test", ["AAA", "CCC"])
    assert {symbol: [each.month for each in found] for symbol, found in moments.items()} == {"AAA": [3, 1]}
