"""Random baskets go through the same steps as the theme, and these steps are right."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from screener.backtest.performance import cagr, summarise
from screener.backtest.placebo import (
    KERNELS,
    PlaceboSettings,
    balanced,
    basket_weights,
    draw_baskets,
    placebo_themes,
    stacked_wealth,
    with_recoveries,
)
from screener.backtest.placebo_covariance import pair_moments, weekly_windows
from screener.market.returns import weekly_returns
from screener.portfolio.batch import (
    Windows,
    rolling_equal_risk,
    rolling_hierarchical_risk_parity,
    rolling_inverse_volatility,
    rolling_minimum_variance,
)
from screener.portfolio.batch_covariance import covariances
from screener.risk.covariance import estimate_covariance

ROWS, NAMES, WEEKS = 900, 14, 60


def market(seed: int = 1, late: int = 4) -> pd.DataFrame:
    """Names of different risk, some listed later."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2021-01-01", periods=ROWS).as_unit("s")
    common = rng.normal(0.0002, 0.008, (ROWS, 1))
    returns = common + rng.normal(0, 0.01, (ROWS, NAMES)) * np.linspace(0.5, 2.0, NAMES)
    prices = pd.DataFrame(np.exp(np.cumsum(returns, axis=0)), index, [f"S{n:02d}" for n in range(NAMES)])
    for number in range(late):
        prices.iloc[: 450 + 60 * number, number] = np.nan
    return prices


PRICES = market()
DECISIONS = [each.date() for each in PRICES.index[420::21]][:-1]
ROWS_OF = np.asarray(PRICES.index.searchsorted(pd.DatetimeIndex(DECISIONS)))
MEMBERS = ("S00", "S05", "S06", "S09")
SETTINGS = PlaceboSettings(lookback_weeks=WEEKS, min_history_weeks=20, baskets=60)


def eligible_of(returns: np.ndarray) -> np.ndarray:
    known = np.isfinite(returns).sum(axis=1) >= 20
    return np.asarray(known & np.isfinite(PRICES.to_numpy()[ROWS_OF]))


# Covariances


def test_weekly_windows_are_the_weekly_returns_of_each_date() -> None:
    found = weekly_windows(PRICES, ROWS_OF, WEEKS)
    for number in (0, 7, len(ROWS_OF) - 1):
        expected = weekly_returns(PRICES.iloc[: ROWS_OF[number] + 1], WEEKS).to_numpy()
        assert np.array_equal(found[number], expected, equal_nan=True)


def test_before_the_first_price_there_is_no_return() -> None:
    found = weekly_windows(PRICES, np.array([30]), WEEKS)
    assert np.isnan(found[0, :-6]).all() and np.isfinite(found[0, -5:, 4:]).all()


@pytest.mark.parametrize("basket", [[4, 7, 9, 12], [0, 1, 5, 8, 13], [2, 3]])
def test_a_basket_has_the_covariance_of_its_own_returns(basket: list[int]) -> None:
    """Ledoit–Wolf of sub-matrices is that of batch_covariance.py on the basket alone, gaps included."""
    returns = weekly_windows(PRICES, ROWS_OF, WEEKS)
    eligible = eligible_of(returns)
    when = np.flatnonzero(eligible[:, basket].all(axis=1))
    found = pair_moments(returns, eligible).covariances(when, np.tile(basket, (len(when), 1)))
    for place, number in enumerate(when):
        own = Windows(returns[number][:, basket], np.array([WEEKS]), WEEKS, 20)
        ((_, expected, _),) = covariances(own, shrink=True)
        assert found[place] == pytest.approx(expected[0], rel=1e-9, abs=1e-15)


def test_without_gaps_it_is_the_covariance_of_the_live_estimator() -> None:
    returns = weekly_windows(PRICES, ROWS_OF[-1:], WEEKS)
    basket = [5, 6, 9, 11]
    found = pair_moments(returns, np.ones((1, NAMES), dtype=bool)).covariances(
        np.array([0]), np.array([basket])
    )
    values = pd.DataFrame(returns[0][:, basket], columns=[f"S{n:02d}" for n in basket])
    live = estimate_covariance(values, "ledoit_wolf").matrix.to_numpy()
    assert 52 * found[0] == pytest.approx(live, rel=1e-9)


# Weights


@pytest.mark.parametrize(
    ("method", "rolling"),
    [
        ("inverse_volatility", rolling_inverse_volatility),
        ("hierarchical_risk_parity", rolling_hierarchical_risk_parity),
        ("equal_risk_contribution", rolling_equal_risk),
        ("minimum_variance", rolling_minimum_variance),
    ],
)
def test_weights_are_those_of_the_batch_kernels(method: str, rolling: object) -> None:
    """On names without gaps and the batch kernels' own covariance of the basket."""
    returns = weekly_windows(PRICES, ROWS_OF, WEEKS)
    eligible = eligible_of(returns)
    baskets = np.array([[4, 6, 8, 9], [13, 5, 11, 7]])
    found = basket_weights(returns, eligible, baskets, method)
    assert found.sum(axis=2) == pytest.approx(np.ones(found.shape[:2]))
    for number in (0, len(ROWS_OF) - 1):
        for place, basket in enumerate(baskets):
            window = Windows(returns[number][:, basket], np.array([WEEKS]), WEEKS, 20)
            if method in ("inverse_volatility", "minimum_variance"):
                expected = rolling(window)[0]  # type: ignore[operator]
                assert found[number, place] == pytest.approx(expected, abs=1e-7)
                continue
            ((_, matrix, _),) = covariances(window, shrink=True)
            shares = found[number, place] * (matrix[0] @ found[number, place])
            if method == "equal_risk_contribution":
                assert shares / shares.sum() == pytest.approx(np.full(4, 0.25), abs=1e-7)


@pytest.mark.parametrize("inside", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("between", [-0.05, 0.0, 0.29])
def test_equal_risk_is_equal_where_correlations_are_anything_but_alike(inside: float, between: float) -> None:
    """Blocks far from the average correlation, which the cheap steps lean on."""
    block = np.kron(np.eye(3), np.ones((4, 4)))
    correlation = np.where(block > 0, inside, between)
    np.fill_diagonal(correlation, 1.0)
    correlation[0, 1:] = correlation[1:, 0] = -0.05
    x = balanced(np.stack([correlation, np.eye(12)]))
    assert (x > 0).all()
    assert x[0] * (correlation @ x[0]) == pytest.approx(np.ones(12), abs=1e-6)
    assert x[1] == pytest.approx(np.ones(12), abs=1e-6)


def test_a_name_not_yet_listed_is_left_out_and_the_others_share_its_weight() -> None:
    returns = weekly_windows(PRICES, ROWS_OF, WEEKS)
    eligible = eligible_of(returns)
    baskets = np.array([[0, 6, 8], [3, 2, 1]])
    for method in KERNELS:
        found = basket_weights(returns, eligible, baskets, method)
        assert (found[0, 0, 0], found[0, 1].tolist()) == (0.0, [0.0, 0.0, 0.0])
        assert found[0, 0, 1:].sum() == pytest.approx(1.0)
        alone = basket_weights(returns[:1], eligible[:1], np.array([[6, 8]]), method)
        assert found[0, 0, 1:] == pytest.approx(alone[0, 0])


# Baskets


def test_baskets_have_no_name_twice_and_are_as_complete_at_the_start_as_the_theme() -> None:
    eligible = np.array([[True] * 6 + [False] * 4, [True] * 8 + [False] * 2])
    found = draw_baskets(eligible, 2, 4, 500, np.random.default_rng(0))
    assert found.shape == (500, 4)
    assert all(len(set(each)) == 4 for each in found.tolist())
    assert ((found < 6).sum(axis=1) == 2).all() and found.max() == 7
    assert np.bincount(found.ravel())[:6] == pytest.approx(np.full(6, 500 / 3), rel=0.2)


def test_where_too_few_join_later_more_are_there_from_the_start() -> None:
    eligible = np.array([[True] * 6 + [False], [True] * 7])
    found = draw_baskets(eligible, 1, 4, 50, np.random.default_rng(0))
    assert ((found < 6).sum(axis=1) == 3).all()


# Wealth


def walk(levels: np.ndarray, rows: np.ndarray, weights: np.ndarray, rate: float) -> np.ndarray:
    """One basket over all names, day by day."""
    shares, cash, path = np.zeros(levels.shape[1]), 1.0, [1.0]
    for row in range(rows[0] + 1, len(levels)):
        total = cash + shares @ levels[row]
        if row - 1 in rows:
            wanted = weights[list(rows).index(row - 1)]
            total *= 1 - rate * np.abs(wanted - shares * levels[row] / total).sum()
            shares, cash = wanted * total / levels[row], total * (1 - wanted.sum())
        path.append(total)
    return np.array(path)


@pytest.mark.parametrize("rate", [0.0, 0.003])
@pytest.mark.parametrize("step", [1, 5, 21])
def test_stacked_wealth_is_that_of_a_walk_day_by_day(rate: float, step: int) -> None:
    rng = np.random.default_rng(4)
    levels = np.exp(np.cumsum(rng.normal(0, 0.02, (130, 6)), axis=0))
    rows = np.arange(10, 128, step)
    baskets = np.array([[0, 1, 2], [5, 3, 1], [2, 4, 0]])
    weights = rng.dirichlet(np.ones(3), (len(rows), 3)) * rng.choice([0.0, 0.7, 1.0], (len(rows), 3, 1))
    found = stacked_wealth(levels, rows, baskets, weights, rate)
    for place, basket in enumerate(baskets):
        whole = np.zeros((len(rows), 6))
        whole[:, basket] = weights[:, place]
        assert found[:, place] == pytest.approx(walk(levels, rows, whole, rate), rel=1e-12)


def test_a_name_without_a_price_keeps_its_last_one() -> None:
    levels = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0], [np.nan, 1.5], [np.nan, 2.0]])
    found = stacked_wealth(levels, np.array([0]), np.array([[0, 1]]), np.full((1, 1, 2), 0.5), 0.0)
    assert found[:, 0].tolist() == [1.0, 1.0, 1.5, 1.75, 2.0]


def test_a_basket_that_becomes_worthless_stays_so() -> None:
    prices = market(late=0)
    nothing = {"S05": (prices.index[500].date(), 0.0)}
    changed = with_recoveries(prices, nothing)
    settings = PlaceboSettings("equal", WEEKS, 20, baskets=NAMES * 3)
    found = placebo_themes(changed[["S05", "S06", "S07"]], ("S05",), DECISIONS, settings)
    assert found is not None and found.cagr == -1.0 and found.better_cagr > 0
    assert np.isfinite(found.sharpe_ratios).all() and np.isfinite(found.sharpe_ratio)


def test_a_delisted_name_is_worth_its_recovery_and_is_not_chosen_again() -> None:
    prices = market(late=0)
    day = prices.index[600].date()
    changed = with_recoveries(prices, {"S03": (day, 0.2), "S04": (day, None), "GONE": (day, 0.0)})
    assert changed["S03"].iloc[600] == pytest.approx(0.2 * prices["S03"].iloc[600])
    assert changed["S04"].iloc[600] == prices["S04"].iloc[600]
    assert changed["S03"].iloc[601:].isna().all()
    assert changed.drop(columns=["S03", "S04"]).equals(prices.drop(columns=["S03", "S04"]))


# The theme among them


def test_the_theme_goes_through_the_same_steps_and_its_statistics_are_the_usual_ones() -> None:
    found = placebo_themes(PRICES, MEMBERS, DECISIONS, SETTINGS)
    assert found is not None
    returns = weekly_windows(PRICES, ROWS_OF, WEEKS)
    basket = np.array([[0, 5, 6, 9]])
    weights = basket_weights(returns, eligible_of(returns), basket, SETTINGS.method)
    levels = PRICES.to_numpy()
    wealth = pd.Series(
        stacked_wealth(levels, ROWS_OF, basket, weights, 15e-4)[:, 0], PRICES.index[ROWS_OF[0] :]
    )
    assert found.cagr == pytest.approx(cagr(wealth))
    assert found.sharpe_ratio == pytest.approx(summarise(wealth).sharpe_ratio)
    assert (found.size, found.at_start, found.names, found.baskets) == (4, 3, NAMES, 60)
    assert found.better_sharpe == (found.sharpe_ratios > found.sharpe_ratio).sum()


def test_a_theme_drawn_at_random_ranks_anywhere() -> None:
    """Its p-value is uniform: the theme is one of the baskets."""
    rng = np.random.default_rng(5)
    ranks = []
    for seed in range(60):
        prices = market(seed, late=0)
        members = tuple(str(each) for each in rng.choice(prices.columns, 4, replace=False))
        settings = PlaceboSettings("equal", WEEKS, 20, baskets=39, seed=seed)
        found = placebo_themes(prices, members, DECISIONS[::4], settings)
        assert found is not None
        ranks.append(found.p_value)
    assert np.mean(ranks) == pytest.approx(0.5, abs=0.12)
    assert 0.0 < min(ranks) < 0.15 and max(ranks) > 0.85


def test_a_theme_of_winners_is_beaten_by_nobody() -> None:
    prices = market(late=0)
    drift = np.exp(0.004 * np.arange(ROWS))[:, None]
    winners = ["S05", "S06", "S07"]
    prices[winners] = prices[winners] * drift
    found = placebo_themes(prices, tuple(winners), DECISIONS, SETTINGS)
    assert found is not None and found.better_cagr == 0 and found.p_value <= 3 / 61


def test_what_came_later_does_not_change_what_was_before() -> None:
    """Weights of a date come from returns up to it: scrambled later prices leave them to the last bit."""
    cut = int(ROWS_OF[10])
    changed = PRICES.copy()
    changed.iloc[cut + 1 :] *= np.random.default_rng(6).uniform(0.5, 2.0, changed.iloc[cut + 1 :].shape)
    one, other = (weekly_windows(each, ROWS_OF, WEEKS)[:11] for each in (PRICES, changed))
    assert np.array_equal(one, other, equal_nan=True)


def test_a_method_without_a_kernel_is_stood_in_for_and_said_so() -> None:
    found = placebo_themes(PRICES, MEMBERS, DECISIONS, PlaceboSettings("minimum_cvar", WEEKS, 20, baskets=20))
    assert found is not None and found.stands_in and found.method == "equal_risk_contribution"
    plain = placebo_themes(
        PRICES, MEMBERS, DECISIONS, PlaceboSettings(lookback_weeks=WEEKS, min_history_weeks=20, baskets=20)
    )
    assert plain is not None and not plain.stands_in and plain.cagr == found.cagr


def test_names_that_may_not_be_held_on_a_date_are_not_drawn_for_it() -> None:
    listed = pd.DataFrame(True, pd.DatetimeIndex(DECISIONS), PRICES.columns)
    listed[["S10", "S11", "S12", "S13"]] = False
    found = placebo_themes(PRICES, MEMBERS, DECISIONS, SETTINGS, listed)
    assert found is not None and found.names == NAMES - 4


def test_a_theme_without_an_eligible_member_or_a_day_after_it_has_no_rank() -> None:
    assert placebo_themes(PRICES, ("S00", "S01"), DECISIONS, SETTINGS) is None
    assert placebo_themes(PRICES, MEMBERS, [PRICES.index[-1].date()], SETTINGS) is None
    assert placebo_themes(PRICES, MEMBERS, [date(2030, 1, 1)], SETTINGS) is None


def test_decisions_are_in_order() -> None:
    assert all(one < other for one, other in pairwise(DECISIONS))
