"""What a record hangs on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from screener.backtest.luck import dependence, spread, start_luck, sub_periods, without_each_name
from screener.backtest.performance import cagr, summarise


def wealth_of(returns: np.ndarray, start: str = "2022-01-03") -> pd.Series:
    index = pd.bdate_range(start, periods=len(returns) + 1)
    return pd.Series(np.cumprod(np.r_[1.0, 1.0 + returns]), index=index)


RANDOM = np.random.default_rng(1).normal(0.0004, 0.01, 1000)


def test_a_spread_holds_the_lowest_and_highest_of_all_runs() -> None:
    runs = {f"offset {number}": wealth_of(RANDOM + number * 1e-5) for number in (2, 0, 1)}
    found = spread(runs)
    assert found is not None
    assert (found.runs, found.worst, found.best) == (3, "offset 0", "offset 2")
    assert found.cagr_low == cagr(runs["offset 0"]) and found.cagr_median == cagr(runs["offset 1"])
    assert found.sharpe_high == summarise(runs["offset 2"]).sharpe_ratio


def test_one_run_or_runs_of_a_few_months_say_nothing() -> None:
    assert spread({"a": wealth_of(RANDOM)}) is None
    assert spread({"a": wealth_of(RANDOM[:100]), "b": wealth_of(RANDOM[:100])}) is None


def test_every_month_with_a_year_left_is_a_start() -> None:
    wealth = wealth_of(RANDOM)
    found = start_luck(wealth)
    assert found is not None
    starts = wealth[wealth.index <= wealth.index[-1] - pd.Timedelta(days=365)].index.to_period("M").unique()
    assert found.runs in (len(starts), len(starts) - 1)  # a month whose first session is too late is none
    later = wealth[wealth.index >= found.best]
    assert found.cagr_high == cagr(later)


def test_halves_and_years_multiply_to_the_whole() -> None:
    wealth = wealth_of(RANDOM)
    found = {each.label: each for each in sub_periods(wealth)}
    total = wealth.iloc[-1] / wealth.iloc[0]
    halves = [1 + found[each].total_return for each in ("first half", "second half")]
    assert np.prod(halves) == pytest.approx(total)
    years = [1 + each.total_return for label, each in found.items() if label.isdigit()]
    assert np.prod(years) == pytest.approx(total)
    assert (found["second half"].start - found["first half"].start).days == pytest.approx(
        (wealth.index[-1] - wealth.index[0]).days / 2, abs=4
    )


def test_a_few_days_are_no_period() -> None:
    found = {each.label for each in sub_periods(wealth_of(RANDOM[:270], "2022-12-20"))}
    assert "2022" not in found and "2023" in found


def test_without_the_one_great_month_nothing_is_left() -> None:
    wealth = wealth_of(np.zeros(600))
    rising = wealth.index.to_period("M") == "2023-03"
    returns = np.where(rising, 0.02, 0.0)[1:]
    found = dependence(wealth_of(returns))
    assert found.cagr > 0.2 and found.best_month == "2023-03"
    assert found.without_best_month == pytest.approx(0.0, abs=1e-12)
    assert found.best_name == "" and np.isnan(found.without_best_name)


def test_without_the_ten_best_days_is_the_product_of_the_others() -> None:
    found = dependence(wealth_of(RANDOM))
    rest = np.sort(RANDOM)[:-10]
    years = (wealth_of(RANDOM).index[-1] - wealth_of(RANDOM).index[0]).days / 365.25
    assert found.without_best_days == pytest.approx(np.prod(1 + rest) ** (1 / years) - 1)
    assert found.days == 10


def held(returns: pd.DataFrame, weights: list[float]) -> tuple[pd.Series, pd.DataFrame, pd.DataFrame]:
    """A portfolio rebalanced to fixed weights at every close, without costs."""
    prices = pd.concat(
        [pd.DataFrame(1.0, returns.index[:1], returns.columns), 1 + returns.iloc[1:]]
    ).cumprod()
    share = pd.DataFrame([weights] * len(prices), prices.index, prices.columns)
    earned = (share.shift(1) * prices.pct_change()).sum(axis=1)
    return (1 + earned).cumprod(), share, prices


def test_a_name_taken_out_leaves_its_share_in_cash() -> None:
    rng = np.random.default_rng(2)
    index = pd.bdate_range("2022-01-03", periods=500)
    returns = pd.DataFrame(rng.normal(0.0005, 0.02, (500, 3)), index, ["A", "B", "C"])
    returns["B"] += 0.002
    wealth, weights, prices = held(returns, [0.3, 0.3, 0.4])
    alone, _, _ = held(returns.assign(B=0.0), [0.3, 0.3, 0.4])
    found = dependence(wealth, weights, prices)
    assert found.best_name == "B"
    assert found.without_best_name == pytest.approx(cagr(alone), rel=1e-9)
    assert without_each_name(wealth, weights, prices)["B"] == found.without_best_name


def test_a_name_that_is_not_held_is_not_missed_even_without_a_price() -> None:
    rng = np.random.default_rng(3)
    index = pd.bdate_range("2022-01-03", periods=300)
    returns = pd.DataFrame(rng.normal(0.0005, 0.02, (300, 2)), index, ["A", "B"])
    wealth, weights, prices = held(returns, [0.5, 0.0])
    prices.iloc[:, 1] = np.nan
    assert without_each_name(wealth, weights, prices)["B"] == pytest.approx(cagr(wealth))
