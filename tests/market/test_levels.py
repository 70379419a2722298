"""Levels: splits that prices do not show, units that last, jumps that wait until they are believed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from screener.market.quality import Finding, find, without_quarantined
from tests.market.make_bars import PRICES, SESSIONS, bars, steady

AT = 300


def growth(table: pd.DataFrame) -> float:
    kept = without_quarantined(bars(table), find(bars(table), "XNYS")).table["close"]
    return float(kept.iloc[-1] / kept.iloc[0])


def named(table: pd.DataFrame, check: str, mic: str = "XNYS") -> list[Finding]:
    return [each for each in find(bars(table), mic) if each.check == check]


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 10.0, 0.5, 0.1])
def test_a_split_that_earlier_prices_lack_is_applied_to_them(ratio: float) -> None:
    table = steady().assign(split=1.0)
    truth = table["close"].iloc[-1] / table["close"].iloc[0]
    table.loc[SESSIONS[AT], "split"] = ratio
    table.loc[SESSIONS[:AT], PRICES] *= ratio
    found = named(table, "split_not_applied")
    assert [each.session for each in found] == [SESSIONS[AT].date()]
    assert found[0].factor == pytest.approx(1 / ratio)
    assert growth(table) == pytest.approx(truth, rel=1e-12)


def test_a_split_applied_twice_is_taken_back_once() -> None:
    table = steady().assign(split=1.0)
    truth = table["close"].iloc[-1] / table["close"].iloc[0]
    table.loc[SESSIONS[AT], "split"] = 4.0
    table.loc[SESSIONS[:AT], PRICES] /= 4.0
    assert [each.factor for each in named(table, "split_applied_twice")] == [4.0]
    assert growth(table) == pytest.approx(truth, rel=1e-12)


def test_a_split_that_prices_contain_raises_nothing() -> None:
    table = steady().assign(split=1.0)
    table.loc[SESSIONS[AT], "split"] = 10.0
    assert find(bars(table), "XNYS") == ()


def test_a_large_split_dated_late_ends_the_wait_when_it_is_told() -> None:
    table = steady().assign(split=1.0)
    table.loc[SESSIONS[:AT], PRICES] *= 10.0
    table.loc[SESSIONS[AT + 3], "split"] = 10.0
    assert [each.session for each in named(table, "implausible_jump")] == [
        each.date() for each in SESSIONS[AT : AT + 3]
    ]
    assert [each.session for each in named(table, "split_not_applied")] == [SESSIONS[AT + 3].date()]


def test_a_small_split_dated_late_is_told_and_changes_nothing_that_was_known_before() -> None:
    table = steady().assign(split=1.0)
    table.loc[SESSIONS[:AT], PRICES] *= 2.0
    table.loc[SESSIONS[AT + 6], "split"] = 2.0
    found = named(table, "split_before_its_date")
    assert [(each.session, each.quarantined) for each in found] == [(SESSIONS[AT].date(), False)]


def test_a_consolidation_nobody_told_of_is_found_after_ten_bars() -> None:
    """Lynas, December 2017: ten for one, in files of prices as traded."""
    table = steady()
    table.loc[SESSIONS[AT] :, PRICES] *= 9.1
    assert [each.factor for each in named(table, "level_change")] == [10.0]
    assert growth(table) < 1.2 * table["close"].iloc[-1] / (9.1 * table["close"].iloc[0])


def test_a_lasting_move_of_five_times_is_believed_as_it_is() -> None:
    table = steady()
    table.loc[SESSIONS[AT] :, PRICES] *= 5.0
    assert len(named(table, "implausible_jump")) == 10
    assert named(table, "level_change") == []
    assert growth(table) == pytest.approx(table["close"].iloc[-1] / table["close"].iloc[0], rel=1e-12)


def test_a_glitch_that_changes_its_size_stays_set_aside() -> None:
    table = steady()
    table.loc[SESSIONS[AT : AT + 2], PRICES] *= 100.0
    table.loc[SESSIONS[AT + 2 : AT + 4], PRICES] *= 0.01
    found = named(table, "hundredfold_glitch")
    assert [each.session for each in found] == [each.date() for each in SESSIONS[AT : AT + 4]]


def test_a_payout_of_most_of_the_price_is_no_jump() -> None:
    table = steady().assign(dividend=0.0)
    before = float(table["close"].iloc[AT - 1])
    table.loc[SESSIONS[AT] :, PRICES] *= 0.15
    table.loc[SESSIONS[AT], "dividend"] = before * 0.85
    assert {each.check for each in find(bars(table), "XNYS")} == {"special_dividend"}


def test_a_rate_quoted_upside_down_for_two_days_is_set_aside() -> None:
    weekdays = pd.bdate_range("2024-01-02", periods=300)
    rate = pd.DataFrame({"close": 1.3 * np.exp(np.linspace(0, 0.05, 300))}, index=weekdays)
    rate.iloc[100:102] = 1 / rate.iloc[100:102]
    assert len(named(rate, "implausible_jump", "")) == 2


def test_a_fall_by_two_fifths_in_the_week_after_a_consolidation_is_real() -> None:
    table = steady().assign(split=1.0)
    table.loc[SESSIONS[AT], "split"] = 0.5
    table.loc[SESSIONS[AT + 4] :, PRICES] *= 0.6
    assert not any(each.quarantined for each in find(bars(table), "XNYS"))
