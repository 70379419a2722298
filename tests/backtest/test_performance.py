import numpy as np
import pandas as pd
import pytest

from screener.backtest.performance import (
    cagr,
    conditional_value_at_risk,
    drawdowns,
    maximum_drawdown,
    summarise,
)


def wealth_of(
    returns: list[float] | np.ndarray[tuple[int], np.dtype[np.float64]], start: str = "2024-01-01"
) -> pd.Series:
    index = pd.bdate_range(start, periods=len(returns) + 1).as_unit("s")
    return pd.Series(np.cumprod(np.r_[1.0, 1.0 + np.asarray(returns)]), index=index)


RANDOM = np.random.default_rng(3).normal(0.0004, 0.01, 1304)


def test_cagr_is_over_actual_days() -> None:
    wealth = pd.Series([1.0, 1.21], index=pd.DatetimeIndex(["2024-01-01", "2026-01-01"]))
    assert cagr(wealth) == pytest.approx(1.21 ** (365.25 / 731) - 1)


def test_drawdown_of_a_known_path() -> None:
    wealth = pd.Series([1.0, 2.0, 1.0, 1.5, 3.0, 2.4], index=pd.bdate_range("2024-01-01", periods=6))
    assert maximum_drawdown(wealth) == pytest.approx(0.5)
    assert drawdowns(wealth).to_list() == pytest.approx([0, 0, -0.5, -0.25, 0, -0.2])


def test_conditional_value_at_risk_is_the_mean_of_the_worst_twentieth() -> None:
    returns = np.arange(-50, 50) / 1000
    assert conditional_value_at_risk(returns, 0.05) == pytest.approx((50 + 49 + 48 + 47 + 46) / 5 / 1000)


def test_statistics_follow_their_definitions() -> None:
    wealth = wealth_of(RANDOM)
    got = summarise(wealth)
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    per_year = len(RANDOM) / years
    assert per_year == pytest.approx(261, abs=1)  # weekdays, not the 252 of one exchange
    assert got.volatility == pytest.approx(RANDOM.std(ddof=1) * per_year**0.5)
    assert got.sharpe_ratio == pytest.approx(RANDOM.mean() / RANDOM.std(ddof=1) * per_year**0.5)
    downside = np.sqrt(np.mean(np.minimum(RANDOM, 0) ** 2))
    assert got.sortino_ratio == pytest.approx(RANDOM.mean() / downside * per_year**0.5)
    assert got.calmar_ratio == pytest.approx(got.cagr / got.maximum_drawdown)
    assert got.total_return == pytest.approx(wealth.iloc[-1] - 1)


def test_a_year_of_252_sessions_gives_the_textbook_figures() -> None:
    """On one exchange's calendar the convention is the usual one, of 252 periods a year."""
    index = pd.DatetimeIndex(pd.to_datetime(np.linspace(0, 365.25 * 86400, 253).round(), unit="s"))
    returns = RANDOM[:252]
    wealth = pd.Series(np.cumprod(np.r_[1.0, 1.0 + returns]), index=index)
    got = summarise(wealth)
    days = 365 / 365.25  # whole days only
    assert got.volatility == pytest.approx(returns.std(ddof=1) * np.sqrt(252 / days), rel=1e-12)
    assert got.sharpe_ratio == pytest.approx(
        np.sqrt(252 / days) * returns.mean() / returns.std(ddof=1), rel=1e-12
    )
    assert got.cagr == pytest.approx(np.prod(1 + returns) ** (1 / days) - 1, rel=1e-12)
    assert got.cvar_95 == pytest.approx(-np.sort(returns)[:13].mean(), rel=1e-12)  # 13 of 252


def test_a_total_loss_is_a_loss_of_everything_and_no_crash() -> None:
    wealth = pd.Series([1.0, 0.5, 0.0, 0.0], index=pd.bdate_range("2024-01-01", periods=4))
    got = summarise(wealth)
    assert (got.total_return, got.cagr, got.maximum_drawdown) == (-1.0, -1.0, 1.0)
    assert got.volatility == pytest.approx(np.std([-0.5, -1.0, 0.0], ddof=1) * (3 / (3 / 365.25)) ** 0.5)


def test_a_path_that_only_rises_has_a_drawdown_of_plain_zero() -> None:
    wealth = pd.Series([1.0, 1.1, 1.2], index=pd.bdate_range("2024-01-01", periods=3))
    assert str(maximum_drawdown(wealth)) == "0.0"


def test_a_risk_free_rate_lowers_the_sharpe_ratio_by_rate_over_volatility() -> None:
    wealth = wealth_of(RANDOM)
    plain, charged = summarise(wealth), summarise(wealth, risk_free_rate=0.03)
    assert plain.sharpe_ratio - charged.sharpe_ratio == pytest.approx(0.03 / plain.volatility)


def test_relative_figures_are_of_weekly_returns() -> None:
    wealth, other = wealth_of(RANDOM), wealth_of(0.5 * RANDOM + 0.001)
    got = summarise(wealth, benchmark=other)
    own_weeks = wealth.iloc[::-5][::-1].pct_change().dropna().to_numpy()
    other_weeks = other.iloc[::-5][::-1].pct_change().dropna().to_numpy()
    active = own_weeks - other_weeks
    assert got.tracking_error == pytest.approx(active.std(ddof=1) * 52**0.5)
    assert got.information_ratio == pytest.approx(active.mean() / active.std(ddof=1) * 52**0.5)
    assert got.beta == pytest.approx(np.polyfit(other_weeks, own_weeks, 1)[0])


def test_against_itself_nothing_is_left() -> None:
    got = summarise(wealth_of(RANDOM), benchmark=wealth_of(RANDOM))
    assert got.beta == pytest.approx(1.0) and got.tracking_error == 0.0 and np.isnan(got.information_ratio)


def test_turnover_and_cost_drag_are_a_year() -> None:
    wealth = wealth_of(RANDOM)
    gross = wealth_of(RANDOM + 0.0001)
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    got = summarise(wealth, gross=gross, turnover=pd.Series([0.5, 0.1, 0.4]))
    assert got.turnover_per_year == pytest.approx(1.0 / years)
    assert got.cost_drag == pytest.approx(cagr(gross) - cagr(wealth))
    assert np.isnan(summarise(wealth).turnover_per_year)


def test_what_is_not_defined_is_nan_and_not_infinite() -> None:
    flat = summarise(wealth_of([0.0] * 10))
    assert flat.volatility == 0 and np.isnan(flat.sharpe_ratio) and np.isnan(flat.calmar_ratio)
    with pytest.raises(ValueError, match="two sessions"):
        summarise(wealth_of([]))
