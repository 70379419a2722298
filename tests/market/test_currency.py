from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from screener.errors import UserError
from screener.market.bars import Bars, bars_table
from screener.market.currency import (
    BASES,
    PAIRS,
    START_OF_DAY,
    check_base,
    major_unit,
    pairs_needed,
    parse_fix,
    rates_to_base,
)
from screener.market.sessions import CALENDARS

INDEX = pd.bdate_range("2026-01-05", periods=4, name="session").as_unit("s")


def quotes(symbol: str, values: list[float], index: pd.DatetimeIndex = INDEX) -> Bars:
    table = bars_table(pd.DataFrame({"close": values}, index=index[: len(values)]))
    return Bars(symbol, table, "", "test", datetime(2026, 1, 10, tzinfo=UTC))


BARS = {
    "JPY=X": quotes("JPY=X", [150.0, 151.0, 152.0, 153.0]),
    "AUDUSD=X": quotes("AUDUSD=X", [0.66, 0.67, 0.68, 0.69]),
}


def test_a_pair_quoted_in_units_per_dollar_is_inverted() -> None:
    rates = rates_to_base("USD", ["JPY", "AUD", "USD"], BARS, INDEX)
    assert rates["JPY"].to_list() == pytest.approx([1 / 150, 1 / 151, 1 / 152, 1 / 153])
    assert rates["AUD"].to_list() == [0.66, 0.67, 0.68, 0.69]
    assert (rates["USD"] == 1.0).all()


def test_rates_cross_through_the_dollar() -> None:
    rates = rates_to_base("JPY", ["AUD", "USD", "JPY"], BARS, INDEX)
    assert rates["AUD"].iloc[1] == pytest.approx(0.67 * 151)
    assert rates["USD"].iloc[1] == pytest.approx(151)
    assert (rates["JPY"] == 1.0).all()


def test_changing_the_base_multiplies_every_rate_by_one_factor() -> None:
    usd = rates_to_base("USD", ["JPY", "AUD"], BARS, INDEX)
    aud = rates_to_base("AUD", ["JPY", "AUD"], BARS, INDEX)
    np.testing.assert_allclose(usd["JPY"] / usd["AUD"], aud["JPY"] / aud["AUD"], rtol=1e-15)


def test_pence_are_a_hundredth_of_a_pound() -> None:
    assert major_unit("GBp") == ("GBP", 0.01)
    assert major_unit("USD") == ("USD", 1.0)


def test_a_missing_day_keeps_the_last_rate_and_a_dead_feed_does_not() -> None:
    long = pd.bdate_range("2026-01-05", periods=12, name="session").as_unit("s")
    rates = rates_to_base("USD", ["JPY"], {"JPY=X": quotes("JPY=X", [150.0])}, long)["JPY"]
    assert np.isfinite(rates.iloc[:6]).all()
    assert rates.iloc[6:].isna().all()


def test_a_later_rate_never_fills_an_earlier_day() -> None:
    late = {"JPY=X": quotes("JPY=X", [150.0, 151.0], INDEX[2:])}
    assert rates_to_base("USD", ["JPY"], late, INDEX)["JPY"].isna().tolist() == [True, True, False, False]


def test_a_currency_without_its_pair_is_left_out() -> None:
    assert list(rates_to_base("USD", ["JPY", "CHF"], BARS, INDEX).columns) == ["JPY"]


def test_pairs_needed_names_each_currency_once_and_the_base() -> None:
    assert pairs_needed(["USD", "GBp", "GBP", "JPY"], "USD") == ("GBPUSD=X", "JPY=X")
    assert pairs_needed(["USD"], "JPY") == ("JPY=X",)
    assert pairs_needed(["JPY"], "JPY") == ()


def test_every_base_has_a_pair() -> None:
    assert set(BASES) - {"USD"} <= set(PAIRS)


def test_an_unknown_base_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match="choose one of USD, JPY"):
        check_base("usd")


@pytest.mark.parametrize("base", BASES)
def test_every_base_is_worth_one_of_itself_and_crosses_without_arbitrage(base: str) -> None:
    levels = {
        "JPY": 150.0,
        "AUD": 0.66,
        "EUR": 1.1,
        "GBP": 1.3,
        "CNY": 7.1,
        "CAD": 1.36,
        "HKD": 7.8,
        "CHF": 0.88,
    }
    every = {PAIRS[each].symbol: quotes(PAIRS[each].symbol, [level] * 4) for each, level in levels.items()}
    rates = rates_to_base(base, BASES, every, INDEX).iloc[0]
    in_usd = rates_to_base("USD", BASES, every, INDEX).iloc[0]
    assert rates[base] == 1.0
    for each in BASES:
        assert rates[each] == pytest.approx(in_usd[each] / in_usd[base], rel=1e-15)


def test_every_currency_of_an_exchange_is_a_base() -> None:
    assert {"USD", "JPY", "AUD", "CNY", "HKD", "CAD", "GBP", "EUR", "CHF"} == set(BASES)


def test_five_old_weekdays_are_kept_whatever_rows_lie_between() -> None:
    one_quote = {"JPY=X": quotes("JPY=X", [150.0])}  # Monday 2026-01-05
    every_day = pd.date_range("2026-01-05", "2026-01-16").as_unit("s")
    rates = rates_to_base("USD", ["JPY"], one_quote, every_day)["JPY"]
    assert rates.last_valid_index() == pd.Timestamp("2026-01-12")


def test_a_fix_before_an_exchanges_close_counts_on_its_date_and_a_later_one_the_day_after() -> None:
    fix = parse_fix("14:15 Europe/Berlin")
    days = np.array(["2026-07-10", "2026-07-11"], dtype="datetime64[D]")
    assert [fix.after_closes(mic, days)[0] for mic in ("XTKS", "XASX", "XSHG", "XHKG")] == [True] * 4
    assert [fix.after_closes(mic, days)[0] for mic in ("XLON", "XETR", "XNYS", "XTSE")] == [False] * 4
    assert not fix.after_closes("XNYS", days)[1]  # a Saturday has no close


def test_a_half_day_closes_before_the_fix() -> None:
    """London shuts at 12:30 on Christmas Eve; the ECB fixes at 13:15 London time."""
    days = np.array(["2025-12-24"], dtype="datetime64[D]")
    assert parse_fix("14:15 Europe/Berlin").after_closes("XLON", days)[0]


def test_the_start_of_the_day_precedes_every_close() -> None:
    days = np.arange("2026-01-05", "2026-12-20", dtype="datetime64[D]")
    for mic in CALENDARS:
        assert not START_OF_DAY.after_closes(mic, days).any()


@pytest.mark.parametrize("text", ["14:15", "25:00 Europe/Berlin", "14:15 Atlantis", "noon Europe/Berlin"])
def test_a_fix_that_cannot_be_read_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write 14:15 Europe/Berlin"):
        parse_fix(text)
