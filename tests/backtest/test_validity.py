from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from screener.backtest.performance import cagr, maximum_drawdown
from screener.backtest.validity import (
    assess,
    minimum_track_record_length,
    optimal_block_length,
    probabilistic_sharpe_ratio,
    sharpe_ratio_error,
    stationary_bootstrap,
)


def wealth_of(returns: np.ndarray) -> pd.Series:
    index = pd.bdate_range("2020-01-01", periods=len(returns) + 1)
    return pd.Series(np.concatenate([[1.0], np.cumprod(1 + returns)]), index=index)


def autoregressive(length: int, phi: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=length + 50)
    series = np.zeros(length + 50)
    for t in range(1, length + 50):
        series[t] = phi * series[t - 1] + noise[t]
    return series[50:]


# The Sharpe ratio's error


def test_the_published_example_of_a_hedge_fund() -> None:
    """Bailey & López de Prado (2012), sec. 4: 24 months, Sharpe 0.458, skew −2.448, kurtosis 10.164."""

    def chance(error: float) -> float:
        return float(stats.norm.cdf(0.458 * np.sqrt(23) / error))

    assert chance(sharpe_ratio_error(0.458, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)
    assert chance(sharpe_ratio_error(0.458, 0.0, 3.0)) == pytest.approx(0.982, abs=5e-4)


def test_the_error_of_a_normal_sharpe_ratio_is_lo_s() -> None:
    """Lo (2002): √(1 + SR²/2) for independent normal returns."""
    assert sharpe_ratio_error(0.7, 0.0, 3.0) == pytest.approx(np.sqrt(1 + 0.7**2 / 2))


def test_a_record_of_the_minimum_length_has_just_the_confidence() -> None:
    returns = np.random.default_rng(1).normal(0.0006, 0.01, 900)
    needed = minimum_track_record_length(returns, confidence=0.95)
    sharpe = returns.mean() / returns.std(ddof=1)
    error = sharpe_ratio_error(sharpe, stats.skew(returns), stats.kurtosis(returns, fisher=False))
    assert stats.norm.cdf(sharpe * np.sqrt(needed - 1) / error) == pytest.approx(0.95)


def test_what_lost_money_proves_nothing_however_long() -> None:
    returns = np.random.default_rng(1).normal(-0.001, 0.01, 900)
    assert minimum_track_record_length(returns) == float("inf")
    assert probabilistic_sharpe_ratio(returns) < 0.5


def test_skew_and_fat_tails_lower_what_a_sharpe_ratio_proves() -> None:
    calm = np.random.default_rng(2).normal(0.0, 0.01, 1000)
    crash = calm.copy()
    crash[::100] -= 0.05

    def at_a_sharpe_of_a_tenth(x: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / x.std(ddof=1) + 0.1

    assert probabilistic_sharpe_ratio(at_a_sharpe_of_a_tenth(crash)) < probabilistic_sharpe_ratio(
        at_a_sharpe_of_a_tenth(calm)
    )


def test_under_no_skill_the_probability_is_uniform() -> None:
    rng = np.random.default_rng(3)
    found = [probabilistic_sharpe_ratio(rng.normal(0, 0.01, 250)) for _ in range(2000)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


# The bootstrap


@pytest.mark.parametrize(
    ("length", "phi", "seed", "expected"),
    [
        (500, 0.0, 1, 3.49704820373221),
        (1300, 0.3, 2, 7.316508979337587),
        (2600, 0.3, 3, 11.683892810138426),
        (200, 0.6, 4, 6.434532358494498),
        (500, 0.6, 5, 10.137335789627373),
        (1300, -0.3, 6, 8.935503957461872),
        (2600, -0.3, 7, 6.8048469927043325),
    ],
)
def test_the_block_length_is_that_of_arch(length: int, phi: float, seed: int, expected: float) -> None:
    """Answers of arch 7's `optimal_block_length(…)["stationary"]` on the same series."""
    assert optimal_block_length(autoregressive(length, phi, seed)) == pytest.approx(expected, rel=1e-9)


def test_blocks_have_the_mean_length_asked_for_and_wrap_around() -> None:
    rows = stationary_bootstrap(400, 8.0, 500, np.random.default_rng(0))
    assert rows.shape == (500, 400) and rows.min() == 0 and rows.max() == 399
    goes_on = (rows[:, 1:] == (rows[:, :-1] + 1) % 400).mean()
    assert goes_on == pytest.approx(1 - 1 / 8 + 1 / 8 / 400, abs=0.005)
    assert ((rows[:, :-1] == 399) & (rows[:, 1:] == 0)).any()


def test_every_day_is_drawn_alike() -> None:
    rows = stationary_bootstrap(50, 5.0, 4000, np.random.default_rng(0))
    counts = np.bincount(rows.ravel(), minlength=50) / rows.size
    assert counts == pytest.approx(np.full(50, 0.02), rel=0.06)


def test_blocks_of_one_day_are_the_plain_bootstrap() -> None:
    rows = stationary_bootstrap(30, 1.0, 2000, np.random.default_rng(0))
    assert (rows[:, 1:] == (rows[:, :-1] + 1) % 30).mean() == pytest.approx(1 / 30, abs=0.005)


# A record assessed


def test_nine_tenths_of_the_intervals_hold_the_truth() -> None:
    """A known Sharpe ratio of 0.8 a year, 250 records of three years."""
    held = 0
    for seed in range(250):
        returns = np.random.default_rng(seed).normal(0.8 * 0.01 / np.sqrt(261), 0.01, 783)
        interval = assess(wealth_of(returns), seed=seed).sharpe_ratio  # type: ignore[union-attr]
        held += interval.low <= 0.8 <= interval.high
    assert 0.85 <= held / 250 <= 0.95


def test_the_figures_of_the_record_itself_lie_inside_their_intervals() -> None:
    wealth = wealth_of(np.random.default_rng(5).normal(0.0004, 0.012, 1300))
    found = assess(wealth)
    assert found is not None and found.sessions == 1300
    assert found.cagr.low < cagr(wealth) < found.cagr.high
    assert found.maximum_drawdown.low < maximum_drawdown(wealth) < found.maximum_drawdown.high


def test_a_fixed_edge_over_the_benchmark_is_certain_and_its_interval_narrow() -> None:
    market = np.random.default_rng(6).normal(0.0, 0.01, 800)
    ahead = assess(wealth_of((1 + market) * 1.0002 - 1), wealth_of(market)).excess_cagr  # type: ignore[union-attr]
    assert ahead is not None and ahead.low > 0
    level = assess(wealth_of(market), wealth_of(market)).excess_cagr  # type: ignore[union-attr]
    assert level is not None and level.low == level.high == 0


def test_without_a_benchmark_nothing_is_said_of_one() -> None:
    found = assess(wealth_of(np.random.default_rng(5).normal(0, 0.01, 100)))
    assert found is not None and found.excess_cagr is None


@pytest.mark.parametrize(
    "returns", [np.zeros(300), np.full(300, 0.001), np.random.default_rng(0).normal(0, 0.01, 59)]
)
def test_nothing_can_be_said_of_a_record_too_short_or_that_never_moves(returns: np.ndarray) -> None:
    assert assess(wealth_of(returns)) is None


def test_a_total_loss_is_not_resampled() -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, 200)
    returns[150] = -1.0
    assert assess(wealth_of(returns)) is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 5))
def test_the_same_record_gives_the_same_answer_and_leverage_leaves_the_sharpe_ratio(
    seed: int, scale: float
) -> None:
    returns = np.random.default_rng(seed).normal(0.0003, 0.005, 150)
    one, again = assess(wealth_of(returns)), assess(wealth_of(returns))
    assert one == again and one is not None
    other = assess(wealth_of(scale * returns))
    assert other is not None
    assert other.probabilistic_sharpe == pytest.approx(one.probabilistic_sharpe, abs=1e-6)
    assert 0 <= one.maximum_drawdown.low <= one.maximum_drawdown.high <= 1
    assert one.cagr.low <= one.cagr.high and one.sharpe_ratio.low <= one.sharpe_ratio.high
