"""Closed forms, invariants and optimality conditions of the weighting methods, and what peers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.portfolio.frontier import View, posterior_means, shrunk_means
from screener.portfolio.limits import parse_limits
from screener.portfolio.region import Names, Region
from screener.portfolio.weighting import (
    Case,
    black_litterman,
    equal,
    equal_risk_contribution,
    hierarchical_risk_parity,
    inverse_volatility,
    market_value,
    maximum_diversification,
    maximum_sharpe,
    method_named,
    minimum_cvar,
    minimum_variance,
)

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def covariance_of(names: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 0.15, (names, 3)) + np.array([0.2, 0, 0])
    return np.asarray(loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.2, names)))


def case_of(sigma: Floats, *limits: str, segments: int = 1) -> Case:
    n = len(sigma)
    symbols = tuple(f"S{number:03d}" for number in range(n))
    groups = {"issuer": symbols, "segment": tuple(f"g{number % segments}" for number in range(n))}
    return Case(sigma, Region(Names(symbols, groups), parse_limits(limits)))


# Closed forms


def test_two_assets_of_equal_risk_have_weights_inverse_to_their_volatility() -> None:
    for correlation in (-0.5, 0.0, 0.8):
        case = case_of(np.array([[0.04, correlation * 0.06], [correlation * 0.06, 0.09]]))
        np.testing.assert_allclose(equal_risk_contribution(case), [0.6, 0.4], atol=1e-12)
        np.testing.assert_allclose(inverse_volatility(case), [0.6, 0.4], atol=1e-15)
        np.testing.assert_allclose(maximum_diversification(case), [0.6, 0.4], atol=1e-9)


def test_with_one_correlation_for_all_equal_risk_and_most_diversification_are_inverse_volatility() -> None:
    deviation = np.linspace(0.1, 0.6, 9)
    sigma = 0.35 * np.outer(deviation, deviation)
    np.fill_diagonal(sigma, deviation**2)
    case = case_of(sigma)
    np.testing.assert_allclose(equal_risk_contribution(case), inverse_volatility(case), atol=1e-11)
    np.testing.assert_allclose(maximum_diversification(case), inverse_volatility(case), atol=1e-8)


def test_hierarchical_risk_parity_of_independent_names_halves_by_inverse_variance() -> None:
    np.testing.assert_allclose(hierarchical_risk_parity(case_of(np.eye(8) * 0.04)), 1 / 8)
    sigma = np.diag([0.04, 0.09, 0.16, 0.25])
    inverse = 1 / np.diag(sigma)
    np.testing.assert_allclose(hierarchical_risk_parity(case_of(sigma)), inverse / inverse.sum(), atol=1e-14)


def test_unconstrained_minimum_variance_is_the_closed_form_where_that_is_long_only() -> None:
    sigma = np.diag([0.04, 0.09, 0.16, 0.25]) + 0.01
    closed = np.linalg.solve(sigma, np.ones(4))
    assert (closed > 0).all()
    np.testing.assert_allclose(minimum_variance(case_of(sigma)), closed / closed.sum(), atol=1e-10)


def test_the_highest_sharpe_ratio_is_the_closed_form_where_that_is_long_only() -> None:
    sigma = np.diag([0.04, 0.09, 0.16, 0.25]) + 0.01
    prior = posterior_means(sigma, "ABCD", (), np.array([0.4, 0.3, 0.2, 0.1]))
    case = replace(case_of(sigma), market_values=np.array([4.0, 3.0, 2.0, 1.0]))
    np.testing.assert_allclose(prior, 2.5 * sigma @ [0.4, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(black_litterman(case), [0.4, 0.3, 0.2, 0.1], atol=1e-8)


def test_minimum_cvar_of_two_names_that_lose_in_turn_is_half_and_half() -> None:
    returns = np.tile([[-0.1, 0.1], [0.1, -0.1]], (30, 1))
    case = replace(case_of(np.eye(2) * 0.04), returns=returns)
    np.testing.assert_allclose(minimum_cvar(case), 0.5, atol=1e-9)


def test_means_are_shrunk_entirely_when_they_do_not_differ() -> None:
    returns = np.array([[0.01, 0.03], [0.03, 0.01], [0.02, 0.02]])
    np.testing.assert_allclose(shrunk_means(returns, np.eye(2) * 0.04), 0.02 * 52)


def test_a_view_moves_its_name_in_its_direction() -> None:
    sigma = covariance_of(4, 1)
    plain = posterior_means(sigma, "ABCD", (), None)
    up = posterior_means(sigma, "ABCD", (View("B", "", plain[1] + 0.1, 0.5),), None)
    apart = posterior_means(sigma, "ABCD", (View("A", "C", plain[0] - plain[2] - 0.2, 0.8),), None)
    assert up[1] > plain[1]
    assert apart[0] - apart[2] < plain[0] - plain[2]


# Invariants


@settings(max_examples=40, deadline=None)
@given(names=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_equal_risk_contributions_are_equal(names: int, seed: int) -> None:
    sigma = covariance_of(names, seed)
    weights = equal_risk_contribution(case_of(sigma))
    contributions = weights * (sigma @ weights)
    assert contributions.max() / contributions.min() - 1 < 1e-8


@settings(max_examples=25, deadline=None)
@given(names=st.integers(2, 12), seed=st.integers(0, 10**6), name=st.integers(0, 11))
@pytest.mark.parametrize("method", [minimum_variance, maximum_diversification])
def test_splitting_a_name_in_two_lines_changes_nothing(
    method: Callable[[Case], Floats], names: int, seed: int, name: int
) -> None:
    """A second line with nearly the same returns shares its twin's weight; the others keep theirs."""
    sigma = covariance_of(names, seed)
    twin = name % names
    rows = [*range(names), twin]
    wide = sigma[np.ix_(rows, rows)].copy()
    wide[names, names] = wide[twin, twin] = sigma[twin, twin] * (1 + 1e-6)
    whole, split = method(case_of(sigma)), method(case_of(wide))
    np.testing.assert_allclose(split[:names] + np.eye(names)[twin] * split[names], whole, atol=2e-5)


# Optimality


def assert_optimal(gradient: Floats, case: Case, weights: Floats, tolerance: float) -> None:
    """KKT: the gradient is a mix of the sum and of the limits that bind, with the right signs (least squares)."""
    from scipy.optimize import lsq_linear

    rows = [row.coefficients for row in case.region.rows if row.coefficients @ weights > row.bound - 1e-7]
    n = len(weights)
    zero = [-np.eye(n)[each] for each in np.flatnonzero(weights < 1e-7)]
    columns = np.column_stack([np.ones(n), *rows, *zero])
    lower = np.append(-np.inf, np.zeros(columns.shape[1] - 1))
    found = lsq_linear(columns, -gradient, (lower, np.inf), tol=1e-14)
    assert np.abs(found.fun).max() < tolerance, np.abs(found.fun).max()


LIMITS = ("issuer <= 30%", "segment <= 50%", "segment g1 >= 20%")


@settings(max_examples=30, deadline=None)
@given(names=st.integers(6, 25), seed=st.integers(0, 10**6))
def test_minimum_variance_satisfies_the_optimality_conditions(names: int, seed: int) -> None:
    sigma = covariance_of(names, seed)
    case = case_of(sigma, *LIMITS, segments=3)
    weights = minimum_variance(case)
    assert case.region.broken(weights) == ()
    assert_optimal(sigma @ weights / (weights @ sigma @ weights), case, weights, 1e-6)


@settings(max_examples=20, deadline=None)
@given(names=st.integers(6, 20), seed=st.integers(0, 10**6))
def test_maximum_diversification_satisfies_the_optimality_conditions(names: int, seed: int) -> None:
    sigma = covariance_of(names, seed)
    case = case_of(sigma, *LIMITS, segments=3)
    weights = maximum_diversification(case)
    deviation = np.sqrt(np.diag(sigma))
    gradient = sigma @ weights / (weights @ sigma @ weights) - deviation / (deviation @ weights)
    assert_optimal(gradient, case, weights, 1e-5)


@settings(max_examples=30, deadline=None)
@given(names=st.integers(6, 25), seed=st.integers(0, 10**6))
def test_capped_weights_are_nearest_in_relative_entropy(names: int, seed: int) -> None:
    case = case_of(covariance_of(names, seed), *LIMITS, segments=3)
    raw = inverse_volatility(case_of(case.covariance))
    weights = inverse_volatility(case)
    assert case.region.broken(weights) == ()
    assert_optimal(np.log(weights / raw), case, weights, 1e-6)


def test_a_worked_cap() -> None:
    # A wants 60 % and is cut to 40 %; the 20 % go to B and C in proportion 3 to 1, and B stops at its cap
    case = replace(case_of(np.eye(3) * 0.04, "issuer <= 40%"), market_values=np.array([6.0, 3.0, 1.0]))
    np.testing.assert_allclose(market_value(case), [0.4, 0.4, 0.2], atol=1e-9)


def test_two_lines_of_one_issuer_share_its_cap() -> None:
    names = Names(tuple("AHXY"), {"issuer": ("jl", "jl", "x", "y"), "segment": ("m",) * 4})
    region = Region(names, parse_limits(["issuer <= 40%"]))
    case = Case(np.eye(4) * 0.04, region, market_values=np.array([4.0, 2.0, 2.0, 2.0]))
    np.testing.assert_allclose(market_value(case), [4 / 15, 2 / 15, 0.3, 0.3], atol=1e-9)


def test_segment_caps_are_part_of_minimum_variance() -> None:
    names = Names(tuple("ABCD"), {"segment": ("calm", "calm", "wild", "wild")})
    case = Case(np.diag([0.01, 0.01, 0.09, 0.09]), Region(names, parse_limits(["segment <= 50%"])))
    np.testing.assert_allclose(minimum_variance(case), 0.25, atol=1e-9)


# Peers


@settings(max_examples=15, deadline=None)
@given(names=st.integers(2, 40), seed=st.integers(0, 10**6))
def test_hierarchical_risk_parity_is_pyportfolioopts(names: int, seed: int) -> None:
    from pypfopt import HRPOpt

    case = case_of(covariance_of(names, seed))
    symbols = list(case.region.names.symbols)
    frame = pd.DataFrame(case.covariance, index=symbols, columns=symbols)
    theirs = HRPOpt(cov_matrix=frame).optimize()
    np.testing.assert_allclose(
        hierarchical_risk_parity(case), [theirs[s] for s in symbols], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
def test_minimum_variance_and_sharpe_agree_with_pyportfolioopt(seed: int) -> None:
    from pypfopt import EfficientFrontier

    sigma = covariance_of(12, seed)
    rng = np.random.default_rng(seed)
    returns = rng.multivariate_normal(np.full(12, 0.01), sigma / 52, 200)
    case = replace(case_of(sigma, "name <= 25%"), returns=returns)
    frontier = EfficientFrontier(None, sigma, weight_bounds=(0, 0.25))
    frontier.min_volatility()
    np.testing.assert_allclose(minimum_variance(case), frontier.weights, atol=2e-5)
    means = shrunk_means(returns, sigma)
    frontier = EfficientFrontier(means, sigma, weight_bounds=(0, 0.25))
    frontier.max_sharpe(risk_free_rate=0.0)
    ours, theirs = maximum_sharpe(case), np.asarray(frontier.weights)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    ratio = [means @ w / np.sqrt(w @ sigma @ w) for w in (ours, theirs / theirs.sum())]
    assert ratio[0] >= ratio[1] - 1e-8


def test_minimum_cvar_agrees_with_pyportfolioopt() -> None:
    from pypfopt import EfficientCVaR

    rng = np.random.default_rng(5)
    returns = rng.standard_t(4, (160, 6)) * 0.03
    case = replace(case_of(np.cov(returns.T) * 52), returns=returns)
    frontier = EfficientCVaR(None, pd.DataFrame(returns), beta=0.95)
    frontier.min_cvar()
    np.testing.assert_allclose(minimum_cvar(case), frontier.weights, atol=1e-5)


# Bad input


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'minimum_variance'"):
        method_named("minimum_varianc")


@pytest.mark.parametrize(
    ("sigma", "said"),
    [
        (np.zeros((0, 0)), "no names to weigh"),
        (np.diag([0.04, 0.0]), "no positive variance for S001"),
        (np.diag([0.04, -0.1]), "no positive variance for S001"),
        (np.full((2, 2), np.nan), "no positive variance for S000, S001"),
        (np.array([[0.04, np.nan], [np.nan, 0.04]]), "no number for S000, S001"),
        (np.array([[0.04, 0.05], [0.05, 0.04]]), "not positive definite"),
    ],
)
def test_a_covariance_that_makes_no_sense_is_refused_with_the_name(sigma: Floats, said: str) -> None:
    with pytest.raises(UserError, match=said):
        case_of(sigma)


def test_a_symbol_that_stands_twice_is_named() -> None:
    with pytest.raises(UserError, match="A stands twice"):
        Case(np.eye(2), Region(Names(("A", "A")), ()))


def test_methods_that_need_more_say_what_is_missing() -> None:
    case = case_of(np.eye(2) * 0.04)
    with pytest.raises(UserError, match="known of today only"):
        market_value(case)
    with pytest.raises(UserError, match="no market value is stated for S001"):
        market_value(replace(case, market_values=np.array([1.0, np.nan])))
    with pytest.raises(UserError, match="S001 has 5"):
        minimum_cvar(
            replace(case, returns=np.column_stack([np.zeros(30), np.append(np.full(25, np.nan), np.ones(5))]))
        )


def test_one_name_gets_everything() -> None:
    assert equal(case_of(np.eye(1))).tolist() == [1.0]


@pytest.mark.parametrize("method", [equal_risk_contribution, hierarchical_risk_parity, minimum_variance])
def test_a_nearly_singular_covariance_still_gives_weights(method: Callable[[Case], Floats]) -> None:
    loadings = np.linspace(0.5, 1.5, 12)[:, None]
    weights = method(case_of(loadings @ loadings.T * 0.04 + np.eye(12) * 1e-8))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
