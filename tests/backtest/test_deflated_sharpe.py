"""What a Sharpe ratio proves after a search."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from screener.backtest.honesty import WEEKS_PER_YEAR, deflated_by_search
from screener.backtest.validity import (
    Search,
    deflated_sharpe_ratio,
    expected_maximum_sharpe_ratio,
    probabilistic_sharpe_ratio,
    search_of,
    sharpe_ratio_error,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Hundreds of small products: threads of busy cores would only wait for each other."""
    with threadpool_limits(limits=1):
        yield


def sharpe_ratios(returns: np.ndarray) -> np.ndarray:
    return np.asarray(returns.mean(axis=0) / returns.std(axis=0, ddof=1))


def correlated(rng: np.random.Generator, rho: float, shape: tuple[int, int] = (260, 50)) -> np.ndarray:
    """Weekly returns without skill, each pair of columns of one correlation."""
    common = rng.normal(size=(shape[0], 1))
    return np.asarray(0.02 * (np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=shape)))


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "expected"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_published_example(trials: int, skew: float, kurtosis: float, expected: float) -> None:
    """Bailey & López de Prado (2014): 1,250 days, Sharpe ratio 2.5, variance of the trials' ½, years of 250 days."""
    reference = expected_maximum_sharpe_ratio(trials, 0.5 / 250)
    if trials == 100:
        assert reference == pytest.approx(0.1132, abs=5e-5)
    sharpe = 2.5 / np.sqrt(250)
    z = (sharpe - reference) * np.sqrt(1249) / sharpe_ratio_error(sharpe, skew, kurtosis)
    assert stats.norm.cdf(z) == pytest.approx(expected, abs=5e-5)


def test_skfolio_and_ffn_give_the_same() -> None:
    """Answers of skfolio 1.12.2 and ffn 1.4.1 on the same 30 trials; ffn corrects skew and kurtosis for bias."""
    trials = np.random.default_rng(11).standard_t(5, size=(750, 30)) * 0.01 + 0.0003
    ratios = sharpe_ratios(trials)
    best, variance = trials[:, ratios.argmax()], float(ratios.var(ddof=1))
    assert expected_maximum_sharpe_ratio(30, variance) == pytest.approx(0.07829782670720624, abs=1e-9)
    ours = deflated_sharpe_ratio(best, 30, variance)
    assert ours == pytest.approx(0.6364045062546669, abs=1e-9)
    assert probabilistic_sharpe_ratio(best) == pytest.approx(0.994190777751127, abs=1e-9)
    sharpe = float(ratios.max())
    unbiased = float(stats.skew(best, bias=False)), float(stats.kurtosis(best, bias=False)) + 3
    z = (sharpe - expected_maximum_sharpe_ratio(30, variance)) * np.sqrt(749)
    assert stats.norm.cdf(z / sharpe_ratio_error(sharpe, *unbiased)) == pytest.approx(
        0.6364027335847431, abs=1e-9
    )


def test_the_best_of_fifty_noise_strategies_rarely_looks_skilled() -> None:
    rng = np.random.default_rng(0)
    fooled = naive = 0
    for _ in range(200):
        returns = correlated(rng, 0.0)
        best = returns[:, sharpe_ratios(returns).argmax()]
        search = search_of(returns)
        fooled += deflated_sharpe_ratio(best, search.effective, search.spread**2) >= 0.95
        naive += probabilistic_sharpe_ratio(best) >= 0.95
    assert fooled <= 20  # in at least 90 % of 200 repeats below
    assert naive > 150  # what it would be without counting


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_correlated_variants_fool_as_rarely_and_their_best_is_as_expected(rho: float) -> None:
    rng = np.random.default_rng(1)
    fooled, best, expected = 0, [], []
    for _ in range(100):
        returns = correlated(rng, rho)
        ratios = sharpe_ratios(returns)
        search = search_of(returns)
        fooled += (
            deflated_sharpe_ratio(returns[:, ratios.argmax()], search.effective, search.spread**2) >= 0.95
        )
        best.append(ratios.max())
        expected.append(search.expected_maximum)
    assert fooled <= 10
    assert np.mean(expected) == pytest.approx(np.mean(best), abs=3 * np.std(best) / np.sqrt(100))


def test_copies_count_as_one() -> None:
    returns = np.random.default_rng(2).normal(0.001, 0.02, (260, 1))
    search = search_of(np.repeat(returns, 7, axis=1))
    assert (search.trials, search.effective, search.expected_maximum) == (7, 1.0, 0.0)


def test_clusters_count_for_less_than_their_members() -> None:
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(520, 3))
    clustered = 0.99 * factors[:, np.arange(60) % 3] + 0.02 * rng.normal(size=(520, 60))
    assert 1.0 < search_of(clustered).effective < 12
    assert search_of(rng.normal(size=(520, 60))).effective > 45


def test_one_trial_is_no_search() -> None:
    returns = np.random.default_rng(4).normal(0.002, 0.02, (260, 1))
    assert search_of(returns) == Search(1, 1.0, 0.0, 0.0)
    assert search_of(np.empty((0, 0))) == Search(0, 0.0, 0.0, 0.0)
    assert expected_maximum_sharpe_ratio(1, 0.01) == 0.0
    assert deflated_sharpe_ratio(returns[:, 0], 1, 0.01) == probabilistic_sharpe_ratio(returns[:, 0])


def test_trials_too_short_or_that_never_move_are_left_out() -> None:
    returns = np.random.default_rng(5).normal(0, 0.02, (100, 4))
    returns[:80, 1] = np.nan
    returns[:, 2] = 0.001
    assert search_of(returns).trials == 2


def test_trials_of_other_years_are_independent() -> None:
    returns = np.random.default_rng(6).normal(0, 0.02, (200, 2))
    same = np.column_stack([returns[:, 0], returns[:, 0] + 1e-4 * returns[:, 1]])
    apart = np.full((400, 2), np.nan)
    apart[:200, 0], apart[200:, 1] = same.T
    assert search_of(apart).effective > search_of(same).effective or search_of(same).spread < 1e-3
    assert search_of(apart).effective == pytest.approx(2.0, abs=0.1)


def test_daily_returns_are_measured_against_a_weekly_search() -> None:
    """An expected maximum a week is one a day by the square root of time."""
    returns = np.random.default_rng(7).normal(0.0006, 0.01, 1000)
    search = Search(10, 10.0, 0.05, 0.08)
    expected = probabilistic_sharpe_ratio(returns, 0.08 * np.sqrt(WEEKS_PER_YEAR / 261))
    assert deflated_by_search(returns, 261, search) == expected
    assert deflated_by_search(returns, 261, Search(1, 1.0, 0.0, 0.0)) == probabilistic_sharpe_ratio(returns)
