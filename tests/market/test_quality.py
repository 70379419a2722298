"""Planted faults are found, clean prices raise nothing, real jumps survive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.market.bars import Bars, bars_table
from screener.market.quality import CHECKS, Finding, find, without_quarantined
from screener.market.sessions import sessions_between

NOW = datetime(2026, 7, 11, tzinfo=UTC)
SESSIONS = sessions_between("XNYS", date(2024, 1, 2), date(2026, 7, 10))
REAL_JUMPS = [
    ("MP", "2025-07-10"),
    ("NVTS", "2025-05-22"),
    ("OKLO", "2024-05-10"),
    ("ARU.AX", "2024-03-14"),
    ("USAR", "2025-03-14"),
]


def clean(seed: int = 0, rows: int = len(SESSIONS)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.standard_t(5, rows) * 0.012))
    opened = close * np.exp(rng.normal(0, 0.005, rows))
    high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, rows))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, rows))
    volume = rng.lognormal(13, 0.4, rows)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return pd.DataFrame(columns, index=SESSIONS[:rows])


def bars(table: pd.DataFrame) -> Bars:
    return Bars("AAA", bars_table(table), "USD", "test", NOW)


def checks(table: pd.DataFrame, mic: str = "XNYS") -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for each in find(bars(table), mic):
        found.setdefault(each.check, []).append(each)
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_clean_prices_raise_nothing(seed: int) -> None:
    assert checks(clean(seed)) == {}


def test_a_price_that_is_not_positive_is_quarantined() -> None:
    table = clean()
    table.loc[SESSIONS[100], ["open", "high", "low", "close"]] *= -1
    table.loc[SESSIONS[200], "low"] = 0.0
    found = checks(table)["price_not_positive"]
    assert [each.session for each in found] == [SESSIONS[100].date(), SESSIONS[200].date()]
    assert all(each.quarantined for each in found)


def test_a_high_below_the_low_is_quarantined() -> None:
    table = clean()
    table.loc[SESSIONS[50], ["high", "low"]] = [40.0, 60.0]
    assert checks(table)["high_below_low"][0].detail == "high 40 is below low 60"


def test_a_close_outside_its_range_is_quarantined_and_rounding_is_not() -> None:
    table = clean()
    table.loc[SESSIONS[50], "close"] = table.loc[SESSIONS[50], "high"] * 1.02
    table.loc[SESSIONS[90], "close"] = table.loc[SESSIONS[90], "high"] * 1.004
    assert [each.session for each in checks(table)["close_outside_range"]] == [SESSIONS[50].date()]


def test_a_london_close_is_a_quote_and_may_lie_beside_the_days_trades() -> None:
    index = sessions_between("XLON", date(2024, 1, 2), date(2026, 7, 10))
    table = clean().set_axis(index[: len(SESSIONS)])
    table.iloc[[50, 60], 3] = table["high"].iloc[[50, 60]] * 1.03
    table.iloc[70, 3] = table["high"].iloc[70] * 1.2
    found = checks(table, "XLON")
    assert [each.session for each in found["close_outside_trades"]] == [index[50].date()]
    assert found["close_outside_trades"][0].detail.startswith("on 2 sessions")
    assert [each.session for each in found["close_outside_range"]] == [index[70].date()]


@pytest.mark.parametrize("factor", [100.0, 0.01])
@pytest.mark.parametrize("length", [1, 3, 10])
def test_pence_for_pounds_is_quarantined_for_as_long_as_it_lasts(factor: float, length: int) -> None:
    table = clean()
    flipped = SESSIONS[300 : 300 + length]
    table.loc[flipped, ["open", "high", "low", "close"]] *= factor
    found = checks(table)["hundredfold_glitch"]
    assert [each.session for each in found] == [each.date() for each in flipped]
    repaired = without_quarantined(bars(table), find(bars(table), "XNYS"))
    assert repaired.table["close"].pct_change().abs().max() < 0.3
    assert len(repaired.table) == len(table) - length


def test_a_lasting_change_of_level_is_believed_after_ten_bars() -> None:
    table = clean()
    truth = table["close"].iloc[-1] / table["close"].iloc[0]
    table.loc[SESSIONS[300] :, ["open", "high", "low", "close"]] *= 100
    found = checks(table)["hundredfold_glitch"]
    assert [each.session for each in found] == [each.date() for each in SESSIONS[300:310]]
    # and its unit for what it is: no hundredfold return is booked
    kept = without_quarantined(bars(table), find(bars(table), "XNYS")).table["close"]
    assert kept.iloc[-1] == table["close"].iloc[-1]
    assert kept.iloc[-1] / kept.iloc[0] == pytest.approx(truth, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(60, 600))
def test_what_is_quarantined_up_to_a_date_never_depends_on_later_bars(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    table = clean(seed)
    prices = ["open", "high", "low", "close"]
    table[["dividend", "split"]] = [0.0, 1.0]
    paid = rng.integers(20, 620, 12)
    table.iloc[paid, table.columns.get_loc("dividend")] = 0.5 * rng.choice([0.01, 1.0, 1.0, 1.0, 100.0], 12)
    for start in rng.integers(20, 600, 5):
        rows = slice(SESSIONS[start], SESSIONS[start + rng.integers(0, 14)])
        table.loc[rows, prices] *= rng.choice([0.01, 0.1, 0.2, 10.0, 100.0, -1.0])
    for start in rng.integers(20, 600, 3):
        ratio = float(rng.choice([2.0, 5.0, 0.1]))
        table.loc[SESSIONS[start], "split"] = ratio
        table.loc[SESSIONS[start + rng.integers(-3, 4)] :, prices] /= ratio
    whole = [each for each in find(bars(table), "XNYS") if each.quarantined]
    then = [each for each in find(bars(table.iloc[:cut]), "XNYS") if each.quarantined]
    assert then == [each for each in whole if each.session <= SESSIONS[cut - 1].date()]


def test_a_spike_that_reverts_is_listed_and_kept_and_a_jump_that_stays_is_neither() -> None:
    table = clean()
    table.loc[SESSIONS[200], ["open", "high", "low", "close"]] *= 1.6
    found = checks(table)["spike_that_reverts"]
    assert [each.session for each in found] == [SESSIONS[200].date()] and not found[0].quarantined
    stays = clean()
    stays.loc[SESSIONS[200] :, ["open", "high", "low", "close"]] *= 1.6
    assert checks(stays) == {}


def test_a_bar_on_a_holiday_is_listed() -> None:
    table = clean()
    holiday = pd.Timestamp("2025-01-09")
    table.loc[holiday] = table.iloc[100]
    table = table.sort_index()
    assert [each.session for each in checks(table)["bar_on_holiday"]] == [holiday.date()]


def test_a_stale_run_without_trading_is_listed_once() -> None:
    table = clean()
    run = SESSIONS[100:106]
    table.loc[run, ["open", "high", "low", "close"]] = 50.0
    table.loc[run, "volume"] = 0.0
    found = checks(table)["stale_run"]
    assert len(found) == 1 and "equal closes of 50" in found[0].detail
    traded = clean()
    traded.loc[run, ["open", "high", "low", "close"]] = 50.0
    assert "stale_run" not in checks(traded)


def test_a_gap_of_three_sessions_is_listed_and_a_holiday_is_no_gap() -> None:
    table = clean().drop(SESSIONS[100:104])
    found = checks(table)["missing_sessions"]
    assert len(found) == 1
    assert found[0].detail == f"4 sessions from {SESSIONS[100].date()} to {SESSIONS[103].date()} have no bar"
    assert "missing_sessions" not in checks(clean().drop(SESSIONS[100:102]))


def test_a_changed_close_without_volume_is_counted() -> None:
    table = clean()
    table.loc[SESSIONS[10:13], "volume"] = 0.0
    assert checks(table)["volume_zero_price_changed"][0].detail.endswith("on 3 sessions")


def test_close_only_series_and_currency_pairs_are_judged_by_what_they_have() -> None:
    assert checks(clean()[["close"]]) == {}
    weekdays = pd.bdate_range("2025-01-01", periods=200)
    assert checks(pd.DataFrame({"close": 7.8}, index=weekdays), mic="") == {}


def test_nothing_after_the_as_of_date_is_judged() -> None:
    table = clean()
    table.loc[SESSIONS[-5], "low"] = -1.0
    assert find(bars(table), "XNYS", SESSIONS[-10].date()) == ()


def test_only_errors_quarantine_and_every_check_has_its_rule() -> None:
    assert {each.severity for each in CHECKS.values()} == {"error", "warning", "note"}
    assert all(each.rule for each in CHECKS.values())
    finding = Finding("AAA", SESSIONS[5].date(), "spike_that_reverts", "warning", "", False)
    assert len(without_quarantined(bars(clean()), [finding]).table) == len(SESSIONS)


def test_a_dividend_on_a_quarantined_bar_goes_to_the_next_bar() -> None:
    table = clean().assign(dividend=0.0)
    table.loc[SESSIONS[300], ["open", "high", "low", "close"]] *= 100
    table.loc[SESSIONS[300], "dividend"] = 0.2
    kept = without_quarantined(bars(table), find(bars(table), "XNYS")).table
    assert SESSIONS[300] not in kept.index
    assert kept.loc[SESSIONS[301], "dividend"] == 0.2


def test_what_a_user_accepts_is_used_as_served() -> None:
    table = clean()
    table.loc[SESSIONS[300:303], ["open", "high", "low", "close"]] /= 100
    accepted = [replace(each, quarantined=False) for each in find(bars(table), "XNYS")]
    pd.testing.assert_frame_equal(without_quarantined(bars(table), accepted).table, bars(table).table)


def test_a_series_in_another_currency_is_set_aside_whole_and_pence_are_pounds() -> None:
    assert {each.check for each in find(bars(clean()), "XLON", currency="GBp")} >= {"currency_differs"}
    assert not len(without_quarantined(bars(clean()), find(bars(clean()), "XNYS", currency="JPY")).table)
    pounds = replace(bars(clean()), currency="GBP")
    assert not any(each.check == "currency_differs" for each in find(pounds, "XLON", currency="GBp"))


def test_a_negative_volume_is_unknown_and_its_bar_stays() -> None:
    table = clean()
    table.loc[SESSIONS[300], "volume"] = -5.0
    kept = without_quarantined(bars(table), find(bars(table), "XNYS")).table
    assert len(kept) == len(table) and np.isnan(kept.loc[SESSIONS[300], "volume"])


def test_a_three_day_flip_no_longer_moves_the_total_return() -> None:
    table = clean()
    truth = table["close"].iloc[-1] / table["close"].iloc[0]
    table.loc[SESSIONS[300:303], ["open", "high", "low", "close"]] /= 100
    kept = without_quarantined(bars(table), find(bars(table), "XNYS")).table["close"]
    assert float((1 + kept.pct_change().dropna()).prod()) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize(("symbol", "day"), REAL_JUMPS)
def test_real_jumps_survive(shared_prices: Path, symbol: str, day: str) -> None:
    table = bars_table(
        pd.read_csv(shared_prices / "2026" / f"{symbol}.csv", index_col="date", parse_dates=True)
    )
    assert abs(np.log(table["close"]).diff()[day]) > 0.35
    mic = "XASX" if symbol.endswith(".AX") else "XNYS"
    found = find(Bars(symbol, table, "USD", "files", NOW), mic)
    assert not any(str(each.session) == day for each in found)
    kept = without_quarantined(Bars(symbol, table, "USD", "files", NOW), found)
    assert kept.table["close"].pct_change()[day] == table["close"].pct_change()[day]
