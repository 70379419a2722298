"""The nearest correlation matrix: Higham's own example, and his slower method as a twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.risk.nearest import is_positive_definite, nearest_correlation, positive_definite


def by_alternating_projections(matrix: np.ndarray, steps: int = 20_000) -> np.ndarray:
    """Higham (2002), algorithm 3.3, with Dykstra's correction."""
    y, correction = matrix.copy(), np.zeros_like(matrix)
    for _ in range(steps):
        r = y - correction
        eigenvalues, vectors = np.linalg.eigh(r)
        x = (vectors * np.maximum(eigenvalues, 0)) @ vectors.T
        correction = x - r
        previous, y = y, x.copy()
        np.fill_diagonal(y, 1.0)
        if np.abs(y - previous).max() < 1e-12:
            break
    return y


def indefinite(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-1, 1, (n, n))
    matrix = np.clip(0.4 + (noise + noise.T) * 0.45, -1, 1)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def test_highams_example() -> None:
    matrix = np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]])
    got = nearest_correlation(matrix, smallest=0.0)
    assert got[0, 1] == pytest.approx(0.7607, abs=5e-5)
    assert got[0, 2] == pytest.approx(0.1573, abs=5e-5)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 25), seed=st.integers(0, 10**6))
def test_newtons_answer_is_that_of_alternating_projections(n: int, seed: int) -> None:
    matrix = indefinite(n, seed)
    np.testing.assert_allclose(
        nearest_correlation(matrix, smallest=0.0), by_alternating_projections(matrix), atol=2e-6
    )


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 10**6), smallest=st.sampled_from([1e-4, 0.01, 0.2]))
def test_eigenvalues_keep_their_floor_and_the_diagonal_is_one(n: int, seed: int, smallest: float) -> None:
    got = nearest_correlation(indefinite(n, seed), smallest)
    assert np.linalg.eigvalsh(got)[0] >= smallest - 1e-9
    np.testing.assert_array_equal(np.diag(got), 1.0)
    np.testing.assert_array_equal(got, got.T)


def test_what_is_a_correlation_already_does_not_move() -> None:
    good = np.full((5, 5), 0.3) + 0.7 * np.eye(5)
    np.testing.assert_allclose(nearest_correlation(good, 0.0), good, atol=1e-9)
    deviation = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    covariance = good * np.outer(deviation, deviation)
    np.testing.assert_array_equal(positive_definite(covariance), covariance)


def test_a_repaired_covariance_keeps_its_variances() -> None:
    deviation = np.linspace(0.1, 0.6, 12)
    broken = indefinite(12, 3) * np.outer(deviation, deviation)
    assert not is_positive_definite(broken)
    repaired = positive_definite(broken)
    assert is_positive_definite(repaired)
    np.testing.assert_allclose(np.diag(repaired), deviation**2, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(names=st.integers(3, 40), rows=st.integers(2, 30), seed=st.integers(0, 10**6))
def test_a_covariance_of_more_names_than_returns_hardly_moves(names: int, rows: int, seed: int) -> None:
    returns = np.random.default_rng(seed).normal(size=(min(rows, names - 1) + 1, names))
    covariance = np.cov(returns, rowvar=False)
    got = positive_definite(covariance)
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(np.diag(got), np.diag(covariance), rtol=1e-12)
    assert np.abs(got - covariance).max() <= 1.01e-4 * deviation.max() ** 2
    assert np.linalg.eigvalsh(got / np.outer(deviation, deviation))[0] >= 0.99e-4
