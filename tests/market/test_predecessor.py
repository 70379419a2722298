"""A renamed company keeps its history; another security under the same symbol never joins it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.market.bars import Bars, bars_table
from screener.market.predecessor import with_predecessor

DAYS = pd.bdate_range("2022-08-29", periods=10)


def bars(symbol: str, closes: list[float], start: int, **columns: list[float]) -> Bars:
    index = DAYS[start : start + len(closes)]
    table = bars_table(pd.DataFrame({"close": closes, "volume": 100.0, **columns}, index=index))
    return Bars(symbol, table, "USD", "test", datetime(2026, 1, 1, tzinfo=UTC))


def test_the_old_symbols_bars_come_before_the_new_ones() -> None:
    got = with_predecessor(bars("COHR", [44.0, 45.0], 3), bars("IIVI", [40.0, 41.0, 42.0], 0))
    assert got.symbol == "COHR"
    assert got.table["close"].to_list() == [40.0, 41.0, 42.0, 44.0, 45.0]


def test_a_history_the_vendor_has_moved_already_is_not_joined_twice() -> None:
    moved = bars("COHR", [40.0, 41.0, 42.0, 44.0], 0)
    got = with_predecessor(moved, bars("IIVI", [40.0, 41.0, 42.0], 0))
    pd.testing.assert_frame_equal(got.table, moved.table)


def test_rows_of_another_company_under_the_new_symbol_are_cut() -> None:
    """COHR was Coherent, Inc. at 265 until July 2022; II-VI took the symbol in September."""
    other_then_own = bars("COHR", [265.0, 270.0, 260.0, 44.0, 45.0], 0)
    got = with_predecessor(other_then_own, bars("IIVI", [40.0, 41.0, 42.0], 0))
    assert got.table["close"].to_list() == [40.0, 41.0, 42.0, 44.0, 45.0]


def test_a_split_after_the_change_reaches_the_old_prices_and_keeps_their_value() -> None:
    new = bars("COHR", [22.0, 22.5], 3, split=[1.0, 2.0])
    old = bars("IIVI", [40.0, 42.0], 1, dividend=[0.0, 1.0])
    got = with_predecessor(new, old).table
    assert got["close"].to_list() == [20.0, 21.0, 22.0, 22.5]
    assert got["dividend"].to_list() == [0.0, 0.5, 0.0, 0.0]
    assert (got["close"] * got["volume"]).iloc[0] == 40.0 * 100


def test_another_currency_or_an_empty_history_joins_nothing() -> None:
    new, old = bars("COHR", [44.0], 3), bars("IIVI", [40.0], 0)
    assert with_predecessor(new, replace(old, currency="CAD")) is new
    assert with_predecessor(new, replace(old, table=old.table.iloc[:0])) is new


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), start=st.integers(0, 6))
def test_joining_keeps_every_row_of_the_old_symbol_before_the_new_one_and_invents_none(
    seed: int, start: int
) -> None:
    rng = np.random.default_rng(seed)
    old = bars("IIVI", list(rng.uniform(10, 20, 5)), 0)
    new = bars("COHR", list(rng.uniform(10, 20, 10 - start)), start)
    got = with_predecessor(new, old).table
    assert got.index.is_monotonic_increasing and not got.index.has_duplicates
    assert set(got.index) <= set(old.table.index) | set(new.table.index)
    assert set(old.table.index[old.table.index < got.index[-1]]) <= set(got.index)
