import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from screener.screening import measures

RNG = np.random.default_rng(7)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_volatility_is_the_sample_deviation_annualised() -> None:
    returns = RNG.normal(0, 0.03, (52, 3))
    assert measures.volatility(returns, 52) == pytest.approx(returns.std(axis=0, ddof=1) * np.sqrt(52))


def test_a_missing_return_is_left_out_and_is_no_zero() -> None:
    returns = RNG.normal(0.01, 0.03, (60, 1))
    holed = np.insert(returns, [5, 30], np.nan, axis=0)
    assert measures.volatility(holed, 52) == pytest.approx(measures.volatility(returns, 52))
    assert measures.downside_deviation(holed, 52) == pytest.approx(measures.downside_deviation(returns, 52))


def test_too_few_returns_give_no_volatility() -> None:
    assert np.isnan(measures.volatility(RNG.normal(size=(25, 1)), 52)[0])
    assert np.isnan(measures.downside_deviation(RNG.normal(size=(25, 1)), 52)[0])


def test_downside_deviation_counts_the_losses_over_all_returns() -> None:
    returns = column(*[0.1, -0.2] * 13)
    assert measures.downside_deviation(returns, 1.0)[0] == pytest.approx(0.2 / np.sqrt(2))


def test_downside_deviation_agrees_with_empyricals_definition() -> None:
    returns = RNG.normal(0, 0.02, 200)
    below = np.minimum(returns, 0)
    assert measures.downside_deviation(returns[:, None], 252)[0] == pytest.approx(
        np.sqrt(np.mean(below**2)) * np.sqrt(252)
    )


def test_the_largest_fall_is_from_a_running_peak() -> None:
    assert measures.maximum_drawdown(column(100, 120, 90, 110, 80, 130))[0] == pytest.approx(1 - 80 / 120)
    assert measures.maximum_drawdown(column(1, 2, 3))[0] == 0
    assert measures.maximum_drawdown(column(np.nan, 100, np.nan, 50))[0] == pytest.approx(0.5)


def test_average_daily_value_is_over_the_days_that_are_known() -> None:
    assert measures.average_daily_value(column(*[np.nan] * 5, *[2.0] * 10, *[4.0] * 10))[0] == 3.0
    assert np.isnan(measures.average_daily_value(column(*[np.nan] * 5, *[2.0] * 19))[0])


def test_amihud_is_the_mean_return_a_million_moves() -> None:
    prices = column(*[100.0, 101.0] * 15)
    up, down = 0.01, 1 - 100 / 101
    expected = (15 * up + 14 * down) / 29 / 2.0  # two millions a day
    assert measures.amihud(prices, np.full((30, 1), 2e6))[0] == pytest.approx(expected)


def test_amihud_leaves_out_days_without_value() -> None:
    prices = column(*[100.0, 101.0] * 15)
    value = np.full((30, 1), 2e6)
    value[::3] = 0
    assert np.isfinite(measures.amihud(prices, value)[0])
    assert np.isnan(measures.amihud(prices, np.zeros((30, 1)))[0])


def test_a_repeated_close_is_counted_on_days_that_traded_only() -> None:
    closes = column(*[10.0] * 30)
    traded = np.ones((30, 1), dtype=bool)
    assert measures.repeated(closes, traded)[0] == 29
    traded[10:15] = False
    assert measures.repeated(closes, traded)[0] == 24
    assert np.isnan(measures.repeated(closes[:10], traded[:10])[0])


def test_a_name_is_not_among_its_own_peers() -> None:
    returns = np.array([[1.0, 2.0, 6.0, 9.0], [np.nan, 2.0, 4.0, 9.0]])
    others = measures.mean_of_others(returns, ["a", "a", "a", ""])
    assert others[0, :3].tolist() == [4.0, 3.5, 1.5]
    assert others[1, :3].tolist() == [3.0, 4.0, 2.0]
    assert np.isnan(others[:, 3]).all()


def test_a_name_alone_in_its_group_has_no_peers() -> None:
    assert np.isnan(measures.mean_of_others(np.ones((3, 1)), ["a"])).all()


def test_a_regression_is_scipys() -> None:
    x = RNG.normal(size=(80, 2))
    y = 0.5 + np.array([1.5, -0.7]) * x + RNG.normal(0, 0.3, (80, 2))
    found = measures.regression(y, x)
    for each in range(2):
        line = stats.linregress(x[:, each], y[:, each])
        assert found.slope[each] == pytest.approx(line.slope, rel=1e-12)
        assert found.correlation[each] == pytest.approx(line.rvalue, rel=1e-12)
        left = y[:, each] - line.intercept - line.slope * x[:, each]
        assert found.residual[each] == pytest.approx(np.sqrt((left**2).sum() / 78), rel=1e-10)


def test_a_regression_uses_the_rows_that_both_have() -> None:
    x, y = RNG.normal(size=(60, 1)), RNG.normal(size=(60, 1))
    holed_x, holed_y = x.copy(), y.copy()
    holed_x[:10], holed_y[50:] = np.nan, np.nan
    assert measures.regression(holed_y, holed_x).slope == pytest.approx(
        measures.regression(y[10:50], x[10:50]).slope
    )


def test_a_regression_on_what_never_moves_or_is_too_short_is_unknown() -> None:
    still = measures.regression(RNG.normal(size=(40, 1)), np.zeros((40, 1)))
    assert np.isnan(still.slope[0]) and np.isnan(still.correlation[0]) and np.isnan(still.residual[0])
    assert np.isnan(measures.regression(RNG.normal(size=(25, 1)), RNG.normal(size=(25, 1))).slope[0])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100))
def test_scaling_scales_deviations_and_leaves_correlations(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    y[rng.random(y.shape) < 0.1] = np.nan
    one, other = measures.regression(y, x), measures.regression(scale * y, x)
    assert other.slope == pytest.approx(scale * one.slope, rel=1e-9, nan_ok=True)
    assert other.correlation == pytest.approx(one.correlation, rel=1e-9, nan_ok=True)
    assert other.residual == pytest.approx(scale * one.residual, rel=1e-9, nan_ok=True)
    assert measures.volatility(scale * y, 52) == pytest.approx(
        scale * measures.volatility(y, 52), nan_ok=True
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_each_column_is_judged_by_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=(50, 5)), rng.normal(size=(50, 5))
    y[rng.random(y.shape) < 0.2] = np.nan
    order = rng.permutation(5)
    whole, shuffled = measures.regression(y, x), measures.regression(y[:, order], x[:, order])
    np.testing.assert_allclose(whole.slope[order], shuffled.slope, rtol=1e-12)
    np.testing.assert_allclose(
        measures.volatility(y, 52)[order], measures.volatility(y[:, order], 52), rtol=1e-12
    )
