from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from screener.errors import UserError
from screener.market.bars import Bars, bars_table
from screener.market.currency import BASES, PAIRS, check_base, major_unit, pairs_needed, rates_to_base

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
    assert np.isfinite(rates.iloc[:8]).all()
    assert rates.iloc[8:].isna().all()


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
