"""What every weighting method keeps; being in METHODS is being tested here."""

import numpy as np
import pytest

from screener.portfolio.limits import Limits
from screener.portfolio.weighting import METHODS

DEPENDS_ON_ORDER = {
    "hierarchical_risk_parity"
}  # bisection halves the leaves as they stand; build() sorts them


def covariance_of(names: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0.2, 0.15, (names, 2))
    return np.asarray(loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.2, names)))


def limits_of(names: int) -> Limits:
    symbols = tuple(f"S{number:03d}" for number in range(names))
    return Limits(symbols, symbols, tuple(f"g{number % 3}" for number in range(names)), 0.4, 0.8)


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("names", [1, 2, 7, 40])
def test_weights_are_finite_not_negative_and_sum_to_one(name: str, names: int) -> None:
    weights = METHODS[name](covariance_of(names, names), limits_of(names))
    assert weights.shape == (names,)
    assert np.isfinite(weights).all() and (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", list(METHODS))
def test_annualising_changes_nothing(name: str) -> None:
    sigma, limits = covariance_of(12, 1), limits_of(12)
    np.testing.assert_allclose(METHODS[name](sigma * 252, limits), METHODS[name](sigma, limits), atol=2e-6)


@pytest.mark.parametrize("name", sorted(set(METHODS) - DEPENDS_ON_ORDER))
def test_re_ordering_symbols_changes_nothing(name: str) -> None:
    sigma, limits = covariance_of(10, 2), limits_of(10)
    order = np.random.default_rng(0).permutation(10)
    moved = Limits(
        tuple(limits.symbols[each] for each in order),
        tuple(limits.issuers[each] for each in order),
        tuple(limits.segments[each] for each in order),
        limits.max_weight,
        limits.max_segment_weight,
    )
    plain = METHODS[name](sigma, limits)
    np.testing.assert_allclose(METHODS[name](sigma[np.ix_(order, order)], moved), plain[order], atol=2e-6)


@pytest.mark.parametrize("name", sorted(set(METHODS) - DEPENDS_ON_ORDER))
def test_interchangeable_names_get_equal_weights(name: str) -> None:
    sigma = np.full((6, 6), 0.02) + np.eye(6) * 0.05
    np.testing.assert_allclose(METHODS[name](sigma, limits_of(6)), 1 / 6, atol=2e-6)
