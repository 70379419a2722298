"""Closed forms, and what peers say of the same covariance."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.portfolio.limits import Limits
from screener.portfolio.weighting import (
    equal_risk_contribution,
    hierarchical_risk_parity,
    inverse_volatility,
    method_named,
    minimum_variance,
)


def covariance_of(names: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 0.15, (names, 3)) + np.array([0.2, 0, 0])
    return np.asarray(loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.2, names)))


def free(names: int, cap: float = 1.0, segment_cap: float = 1.0, segments: int = 1) -> Limits:
    symbols = tuple(f"S{number:03d}" for number in range(names))
    groups = tuple(f"g{number % segments}" for number in range(names))
    return Limits(symbols, symbols, groups, cap, segment_cap)


def test_two_assets_of_equal_risk_have_weights_inverse_to_their_volatility() -> None:
    for correlation in (-0.5, 0.0, 0.8):
        sigma = np.array([[0.04, correlation * 0.06], [correlation * 0.06, 0.09]])
        expected = np.array([0.6, 0.4])
        np.testing.assert_allclose(equal_risk_contribution(sigma, free(2)), expected, atol=1e-12)
        np.testing.assert_allclose(inverse_volatility(sigma, free(2)), expected, atol=1e-15)


def test_with_one_correlation_for_all_equal_risk_is_inverse_volatility() -> None:
    deviation = np.linspace(0.1, 0.6, 9)
    sigma = 0.35 * np.outer(deviation, deviation)
    np.fill_diagonal(sigma, deviation**2)
    np.testing.assert_allclose(
        equal_risk_contribution(sigma, free(9)), inverse_volatility(sigma, free(9)), atol=1e-11
    )


@settings(max_examples=40, deadline=None)
@given(names=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_equal_risk_contributions_are_equal(names: int, seed: int) -> None:
    sigma = covariance_of(names, seed)
    weights = equal_risk_contribution(sigma, free(names))
    contributions = weights * (sigma @ weights)
    assert contributions.max() / contributions.min() - 1 < 1e-8


@settings(max_examples=15, deadline=None)
@given(names=st.integers(2, 40), seed=st.integers(0, 10**6))
def test_hierarchical_risk_parity_is_pyportfolioopts(names: int, seed: int) -> None:
    from pypfopt import HRPOpt

    sigma = covariance_of(names, seed)
    symbols = list(free(names).symbols)
    theirs = HRPOpt(cov_matrix=pd.DataFrame(sigma, index=symbols, columns=symbols)).optimize()
    ours = hierarchical_risk_parity(sigma, free(names))
    np.testing.assert_allclose(ours, [theirs[symbol] for symbol in symbols], rtol=0, atol=1e-12)


def test_hierarchical_risk_parity_of_independent_equal_names_is_equal() -> None:
    np.testing.assert_allclose(hierarchical_risk_parity(np.eye(8) * 0.04, free(8)), 1 / 8)


def test_unconstrained_minimum_variance_is_the_closed_form_where_that_is_long_only() -> None:
    sigma = np.diag([0.04, 0.09, 0.16, 0.25]) + 0.01
    closed = np.linalg.solve(sigma, np.ones(4))
    closed /= closed.sum()
    assert (closed > 0).all()
    np.testing.assert_allclose(minimum_variance(sigma, free(4)), closed, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(names=st.integers(6, 25), seed=st.integers(0, 10**6))
def test_minimum_variance_satisfies_the_optimality_conditions(names: int, seed: int) -> None:
    """Long only and capped: marginal variances are equal inside the bounds, not lower at 0, not higher at the cap."""
    sigma = covariance_of(names, seed)
    cap = 0.3
    weights = minimum_variance(sigma, free(names, cap))
    marginal = sigma @ weights
    inside = (weights > 1e-4) & (weights < cap - 1e-4)
    if inside.any():
        level = float(marginal[inside].mean())
        scale = float(weights @ marginal)
        assert np.abs(marginal[inside] - level).max() < 1e-3 * scale + 1e-6
        assert (marginal[weights < 1e-6] > level - 1e-3 * scale).all()
        assert (marginal[weights > cap - 1e-6] < level + 1e-3 * scale).all()


def test_segment_caps_are_part_of_minimum_variance() -> None:
    sigma = np.diag([0.01, 0.01, 0.09, 0.09])
    limits = Limits(tuple("ABCD"), tuple("ABCD"), ("calm", "calm", "wild", "wild"), 1.0, 0.5)
    np.testing.assert_allclose(minimum_variance(sigma, limits), 0.25, atol=1e-6)


def test_caps_that_cannot_hold_everything_are_filled_in_proportion() -> None:
    weights = minimum_variance(np.diag([0.01, 0.04, 0.09]), free(3, 0.2))
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights, 1 / 3, atol=1e-6)


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'minimum_variance'"):
        method_named("minimum_varianc")


@pytest.mark.parametrize("method", [equal_risk_contribution, hierarchical_risk_parity, minimum_variance])
def test_a_nearly_singular_covariance_still_gives_weights(
    method: Callable[..., np.ndarray[tuple[int], np.dtype[np.float64]]],
) -> None:
    loadings = np.linspace(0.5, 1.5, 12)[:, None]
    sigma = loadings @ loadings.T * 0.04 + np.eye(12) * 1e-8
    weights = method(sigma, free(12))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
