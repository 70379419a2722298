"""Drawdowns, months, years and rolling figures of a record; and what other libraries say of the same one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from screener.backtest.performance import (
    cagr,
    drawdown_table,
    drawdowns,
    maximum_drawdown,
    monthly_returns,
    rolling_statistics,
    simple_returns,
    summarise,
    weekly_wealth,
    yearly_returns,
)

CLOSE = 1e-10


def wealth_of(returns: np.ndarray, start: str = "2020-01-30") -> pd.Series:
    index = pd.bdate_range(start, periods=len(returns) + 1)
    return pd.Series(np.cumprod(np.r_[1.0, 1.0 + returns]), index=index)


WEALTH = wealth_of(np.random.default_rng(0).normal(0.0003, 0.01, 1304))
OTHER = wealth_of(np.random.default_rng(1).normal(0.0002, 0.01, 1304))
RETURNS = pd.Series(simple_returns(WEALTH), index=WEALTH.index[1:])
PER_YEAR = len(RETURNS) / ((WEALTH.index[-1] - WEALTH.index[0]).days / 365.25)


# Tables


def test_the_drawdowns_of_a_known_path() -> None:
    levels = [1.0, 2.0, 1.0, 1.5, 2.0, 3.0, 2.7, 3.0, 3.0, 2.4, 2.5]
    wealth = pd.Series(levels, index=pd.bdate_range("2024-01-01", periods=len(levels)))
    first, second, third = drawdown_table(wealth)
    assert (first.peak, first.trough, first.recovery) == (
        date(2024, 1, 2),
        date(2024, 1, 3),
        date(2024, 1, 5),
    )
    assert (first.depth, first.days_down, first.days) == (0.5, 1, 3)
    assert (second.peak, second.trough, second.recovery) == (date(2024, 1, 11), date(2024, 1, 12), None)
    assert second.depth == pytest.approx(0.2) and second.days == 4  # to the end of the record
    assert third.recovery == date(2024, 1, 10) and third.depth == pytest.approx(0.1)
    assert len(drawdown_table(wealth, most=1)) == 1


def test_a_path_that_only_rises_has_no_drawdown() -> None:
    assert drawdown_table(wealth_of(np.full(20, 0.01))) == ()


@given(seed=st.integers(0, 10**6))
def test_drawdowns_are_whole_and_do_not_overlap(seed: int) -> None:
    wealth = wealth_of(np.random.default_rng(seed).normal(0.0, 0.02, 200))
    found = drawdown_table(wealth, most=1000)
    assert max((each.depth for each in found), default=0.0) == pytest.approx(maximum_drawdown(wealth))
    under = drawdowns(wealth)
    for one, later in zip(
        sorted(found, key=lambda x: x.peak), sorted(found, key=lambda x: x.peak)[1:], strict=False
    ):
        assert one.recovery is not None and one.recovery <= later.peak
    for each in found:
        end = each.recovery or date.max
        inside = under[(under.index.date > each.peak) & (under.index.date < end)]
        assert (inside < 0).all() and -inside.min() == pytest.approx(each.depth)
    covered = sum(
        ((under.index.date > each.peak) & (under.index.date < (each.recovery or date.max))).sum()
        for each in found
    )
    assert covered == (under < 0).sum()


def test_months_and_years_multiply_to_the_whole() -> None:
    months, years = monthly_returns(WEALTH), yearly_returns(WEALTH)
    total = WEALTH.iloc[-1] / WEALTH.iloc[0]
    assert np.nanprod(1 + months.to_numpy()) == pytest.approx(total)
    assert np.prod(1 + years.to_numpy()) == pytest.approx(total)
    assert (1 + months.loc[2022]).prod() - 1 == pytest.approx(years[2022])
    assert list(months.columns) == list(range(1, 13)) and list(years.index) == list(range(2020, 2026))


def test_a_month_begins_with_the_close_before_it() -> None:
    months = monthly_returns(WEALTH)
    before, last = WEALTH[:"2022-02-28"].iloc[-1], WEALTH[:"2022-03-31"].iloc[-1]  # type: ignore[misc]
    assert months.loc[2022, 3] == pytest.approx(last / before - 1)


def test_a_single_session_at_the_beginning_is_no_month() -> None:
    wealth = wealth_of(np.full(30, 0.001), "2024-01-31")
    assert np.isnan(monthly_returns(wealth).loc[2024, 1]) and monthly_returns(wealth).loc[2024, 2] > 0


@pytest.mark.parametrize("window", [2, 63, 252, 1304])
def test_rolling_figures_are_the_figures_of_each_window(window: int) -> None:
    found = rolling_statistics(WEALTH, window)
    assert len(found) == 1304 - window + 1
    for row in (0, len(found) // 2, len(found) - 1):
        part = WEALTH.iloc[row : row + window + 1]
        expected = summarise(part)
        assert found.index[row] == part.index[-1]
        for name in found.columns:
            assert found[name].iloc[row] == pytest.approx(getattr(expected, name), rel=1e-9), name


def test_a_window_that_does_not_fit_is_refused() -> None:
    for window in (1, 1305):
        with pytest.raises(ValueError, match="window"):
            rolling_statistics(WEALTH, window)


# Peers; docs/method.md has the table


@pytest.fixture(scope="module")
def empyrical() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: ModuleType = pytest.importorskip(
            "empyrical", reason="empyrical-reloaded is a peer, not a dependency"
        )
    return found


@pytest.fixture(scope="module")
def quantstats() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("quantstats", reason="quantstats is a peer, not a dependency")
        from quantstats import stats
    return stats


EMPYRICAL: dict[str, Callable[[Any], float]] = {
    "volatility": lambda e: e.annual_volatility(RETURNS, annualization=PER_YEAR),
    "sharpe_ratio": lambda e: e.sharpe_ratio(RETURNS, annualization=PER_YEAR),
    "sortino_ratio": lambda e: e.sortino_ratio(RETURNS, annualization=PER_YEAR),
    "maximum_drawdown": lambda e: -e.max_drawdown(RETURNS),
    "cagr": lambda e: e.cagr(RETURNS, annualization=PER_YEAR),
    "calmar_ratio": lambda e: e.calmar_ratio(RETURNS, annualization=PER_YEAR),
    "cvar_95": lambda e: -e.conditional_value_at_risk(RETURNS, 0.05),
    "total_return": lambda e: e.cum_returns_final(RETURNS),
}
QUANTSTATS: dict[str, Callable[[Any], float]] = {
    "volatility": lambda q: q.volatility(RETURNS, periods=PER_YEAR),
    "sharpe_ratio": lambda q: q.sharpe(RETURNS, periods=PER_YEAR),
    "sortino_ratio": lambda q: q.sortino(RETURNS, periods=PER_YEAR),
    "maximum_drawdown": lambda q: -q.max_drawdown(RETURNS),
    "cagr": lambda q: q.cagr(RETURNS, periods=PER_YEAR),
    "total_return": lambda q: q.comp(RETURNS),
}


@pytest.mark.parametrize("name", EMPYRICAL)
@pytest.mark.filterwarnings("ignore")
def test_empyrical_agrees(empyrical: ModuleType, name: str) -> None:
    assert getattr(summarise(WEALTH), name) == pytest.approx(float(EMPYRICAL[name](empyrical)), abs=CLOSE)


@pytest.mark.parametrize("name", QUANTSTATS)
@pytest.mark.filterwarnings("ignore")
def test_quantstats_agrees(quantstats: ModuleType, name: str) -> None:
    assert getattr(summarise(WEALTH), name) == pytest.approx(float(QUANTSTATS[name](quantstats)), abs=CLOSE)


@pytest.mark.filterwarnings("ignore")
def test_empyrical_agrees_on_months_years_and_what_is_relative(empyrical: ModuleType) -> None:
    years = empyrical.aggregate_returns(RETURNS, "yearly")
    assert yearly_returns(WEALTH).to_numpy() == pytest.approx(years.to_numpy(), abs=CLOSE)
    months = empyrical.aggregate_returns(RETURNS, "monthly")
    ours = monthly_returns(WEALTH).to_numpy().ravel()
    assert ours[np.isfinite(ours)] == pytest.approx(months.to_numpy(), abs=CLOSE)
    found = summarise(WEALTH, benchmark=OTHER)
    own, other = (pd.Series(simple_returns(weekly_wealth(each))) for each in (WEALTH, OTHER))
    assert found.beta == pytest.approx(empyrical.beta(own, other), abs=CLOSE)
    assert found.information_ratio == pytest.approx(empyrical.excess_sharpe(own, other) * 52**0.5, abs=CLOSE)


@pytest.mark.filterwarnings("ignore")
def test_quantstats_finds_the_same_drawdowns(quantstats: ModuleType) -> None:
    table = quantstats.drawdown_details(quantstats.to_drawdown_series(RETURNS))
    table = table.sort_values("max drawdown").head(5)
    ours = drawdown_table(WEALTH, most=5)
    assert [each.depth for each in ours] == pytest.approx((-table["max drawdown"] / 100).to_list(), abs=CLOSE)
    assert [str(each.trough) for each in ours] == [str(each)[:10] for each in table["valley"]]


@pytest.mark.filterwarnings("ignore")
def test_where_conventions_differ_the_difference_is_the_one_explained(quantstats: ModuleType) -> None:
    found = summarise(WEALTH)
    assert found.cvar_95 == pytest.approx(-float(quantstats.cvar(RETURNS, method="historical")), abs=CLOSE)
    # by default it is a normal's with the same mean and deviation
    normal = RETURNS.std() * norm.pdf(norm.ppf(0.05)) / 0.05 - RETURNS.mean()
    assert -float(quantstats.cvar(RETURNS)) == pytest.approx(normal, abs=CLOSE)
    # its Calmar ratio takes 252 rows for a year
    other = (1 + found.total_return) ** (252 / len(RETURNS)) - 1
    assert float(quantstats.calmar(RETURNS)) == pytest.approx(other / found.maximum_drawdown, abs=CLOSE)
    own, bench = (
        pd.Series(simple_returns(weekly_wealth(x)), weekly_wealth(x).index[1:]) for x in (WEALTH, OTHER)
    )
    relative = summarise(WEALTH, benchmark=OTHER)
    # its information ratio is not annualised
    per_week = float(quantstats.information_ratio(own, bench))
    assert relative.information_ratio == pytest.approx(per_week * 52**0.5, abs=CLOSE)
    assert cagr(WEALTH) == found.cagr
