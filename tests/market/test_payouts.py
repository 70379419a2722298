"""Dividends: their unit, whether the price shows them, and what the vendor's adjusted close makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.faults import adjusted_close
from screener.market.quality import Finding, find, without_quarantined
from tests.market.make_bars import SESSIONS, bars, steady

PAID = range(60, 620, 63)


def paying(share: float = 0.01, seed: int = 3) -> pd.DataFrame:
    """A quarterly dividend, and a price that falls by it."""
    table = steady(seed).assign(dividend=0.0, split=1.0)
    for row in PAID:
        amount = share * float(table["close"].iloc[row - 1])
        table.loc[SESSIONS[row] :, ["open", "high", "low", "close"]] *= 1 - share
        table.loc[SESSIONS[row], "dividend"] = amount
    return table


def found_in(table: pd.DataFrame, adjusted: pd.Series | None = None) -> list[Finding]:
    return list(find(bars(table, adjusted=adjusted), "XNYS"))


def kept_dividend(table: pd.DataFrame, row: int, adjusted: pd.Series | None = None) -> float:
    served = bars(table, adjusted=adjusted)
    kept = without_quarantined(served, find(served, "XNYS")).table
    return float(kept.loc[SESSIONS[row], "dividend"])


@pytest.mark.parametrize("seed", range(5))
def test_dividends_that_the_price_shows_raise_nothing(seed: int) -> None:
    table = paying(seed=seed)
    assert found_in(table, adjusted_close(table)) == []


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_dividend_in_pence_for_pounds_is_put_in_the_prices_unit(factor: float) -> None:
    table = paying()
    row = PAID[4]
    right = float(table["dividend"].iloc[row])
    table.loc[SESSIONS[row], "dividend"] *= factor
    assert [each.check for each in found_in(table)] == ["dividend_in_other_unit"]
    assert kept_dividend(table, row) == pytest.approx(right, rel=1e-12)


def test_the_first_dividend_in_another_unit_is_known_by_the_vendors_adjusted_close() -> None:
    table = paying(0.0015)
    adjusted = adjusted_close(table)
    right = float(table["dividend"].iloc[PAID[0]])
    table["dividend"] *= 100
    assert kept_dividend(table, PAID[0], adjusted) == pytest.approx(right)
    # without it, a payout of 15 % that the price does not show is left out
    assert kept_dividend(table, PAID[0]) == 0.0


def test_a_dividend_before_the_split_on_its_date_is_divided_by_it() -> None:
    """Shin-Etsu, March 2023: 275 yen told for 55 after the split of five for one."""
    table = paying(0.013)
    adjusted = adjusted_close(table)
    row = PAID[3]
    right = float(table["dividend"].iloc[row])
    table.loc[SESSIONS[row], ["dividend", "split"]] = [5 * right, 5.0]
    assert kept_dividend(table, row, adjusted) == pytest.approx(right)


def test_a_dividend_told_again_the_next_session_counts_once() -> None:
    table = paying()
    table.loc[SESSIONS[PAID[2] + 1], "dividend"] = float(table["dividend"].iloc[PAID[2]])
    assert [each.check for each in found_in(table)] == ["dividend_told_twice"]
    assert kept_dividend(table, PAID[2]) > 0 and kept_dividend(table, PAID[2] + 1) == 0.0


def test_a_special_dividend_is_flagged_and_kept() -> None:
    table = paying()
    row = 300
    amount = 0.15 * float(table["close"].iloc[row - 1])
    table.loc[SESSIONS[row] :, ["open", "high", "low", "close"]] *= 0.85
    table.loc[SESSIONS[row], "dividend"] = amount
    found = found_in(table)
    assert [(each.check, each.severity) for each in found] == [("special_dividend", "note")]
    assert kept_dividend(table, row) == amount


def test_a_spin_off_told_as_an_odd_split_is_flagged_and_a_plain_split_is_not() -> None:
    table = paying()
    table.loc[SESSIONS[300], "split"] = 1.281
    table.loc[SESSIONS[400], "split"] = 1.5
    assert [(each.check, each.session) for each in found_in(table)] == [("spin_off", SESSIONS[300].date())]


def test_an_adjusted_close_that_lacks_a_dividend_is_reported_and_changes_nothing() -> None:
    table = paying()
    lacking = table.copy()
    lacking.loc[SESSIONS[PAID[3]], "dividend"] = 0.0
    found = found_in(table, adjusted_close(lacking))
    assert [each.check for each in found] == ["vendor_adjusted_differs"]
    assert "implies a payout of 0.00%, the dividend is 1.00%" in found[0].detail.replace("-0.00%", "0.00%")
    assert not found[0].quarantined


def test_small_differences_of_the_adjusted_close_are_reported_when_they_add_up() -> None:
    table = paying(0.004)
    none_paid = table.assign(dividend=0.0)
    found = found_in(table, adjusted_close(none_paid))
    assert [each.check for each in found] == ["vendor_adjusted_differs"]
    assert "add up" in found[0].detail


@pytest.mark.parametrize("amount", [-1.0, np.inf])
def test_an_impossible_dividend_is_left_out(amount: float) -> None:
    table = paying()
    table.loc[SESSIONS[PAID[2]], "dividend"] = amount
    assert kept_dividend(table, PAID[2]) == 0.0
