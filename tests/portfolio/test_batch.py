"""The stacked kernels give what the single ones give, with gaps and late listings too."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from screener.errors import UserError
from screener.portfolio.batch import (
    Caps,
    _equal_risk,
    _start,
    rolling_equal_risk,
    rolling_hierarchical_risk_parity,
    rolling_inverse_volatility,
    rolling_minimum_variance,
)
from screener.portfolio.batch_covariance import Windows, continued, covariances
from screener.portfolio.batch_sums import BLOCK, BlockSums
from screener.portfolio.hierarchical import leaf_orders
from screener.portfolio.limits import parse_limits
from screener.portfolio.region import Names, Region
from screener.portfolio.weighting import (
    METHODS,
    Case,
)
from screener.risk.covariance import estimate_covariance

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
NAMES, ROWS, LENGTH = 12, 700, 120


def returns_of(gaps: bool, names: int = NAMES) -> Floats:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.01, (ROWS, 1)) * rng.uniform(0.2, 1.5, names) + rng.normal(
        0, 0.012, (ROWS, names)
    )
    values *= rng.uniform(0.5, 2, names)
    if gaps:
        values[rng.random(values.shape) < 0.03] = np.nan
        values[:400, 2] = values[:90, 5] = np.nan  # late listings
        values[300:, 7] = 0.0  # stops moving
    return np.asarray(values)


def windows_of(gaps: bool) -> Windows:
    return Windows(returns_of(gaps), np.arange(LENGTH, ROWS + 1, 20), LENGTH, 40)


def single(method: str, window: Floats, estimator: str, *limits: str) -> Floats:
    """The method of weighting.py on the names that take part."""
    counts = np.isfinite(window).sum(axis=0)
    moving = np.array([len(set(column[np.isfinite(column)])) > 1 for column in window.T])
    kept = np.flatnonzero((counts >= 40) & moving)
    symbols = tuple(f"S{each:02d}" for each in kept)
    matrix = estimate_covariance(
        pd.DataFrame(window[:, kept], columns=list(symbols)), estimator, 1
    ).matrix.to_numpy()
    groups = {"segment": tuple(f"g{each % 3}" for each in kept)}
    case = Case(matrix, Region(Names(symbols, groups), parse_limits(limits)))
    result = np.zeros(window.shape[1])
    result[kept] = METHODS[method](case)
    return result


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    ("kernel", "method", "estimator", "tolerance"),
    [
        (rolling_inverse_volatility, "inverse_volatility", "sample", 1e-12),
        (rolling_equal_risk, "equal_risk_contribution", "sample", 1e-9),
        (rolling_hierarchical_risk_parity, "hierarchical_risk_parity", "sample", 1e-12),
        (rolling_minimum_variance, "minimum_variance", "ledoit_wolf", 1e-8),
    ],
)
def test_every_window_has_the_single_methods_weights(
    kernel: object, method: str, estimator: str, tolerance: float, gaps: bool
) -> None:
    windows = windows_of(gaps)
    weights = kernel(windows)  # type: ignore[operator]
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    for row, end in enumerate(windows.ends):
        expected = single(method, windows.returns[end - LENGTH : end], estimator)
        np.testing.assert_allclose(weights[row], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("gaps", [False, True])
def test_capped_minimum_variance_is_the_single_method_and_keeps_its_caps(gaps: bool) -> None:
    windows = windows_of(gaps)
    weights = rolling_minimum_variance(windows, Caps(0.2, np.arange(NAMES) % 3, 0.4))
    assert weights.max() <= 0.2 + 1e-9
    groups = np.array([weights[:, np.arange(NAMES) % 3 == each].sum(axis=1) for each in range(3)])
    assert groups.max() <= 0.4 + 1e-9
    for row, end in enumerate(windows.ends):
        window = windows.returns[end - LENGTH : end]
        expected = single("minimum_variance", window, "ledoit_wolf", "name <= 20%", "segment <= 40%")
        np.testing.assert_allclose(weights[row], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_stacked_covariances_are_the_single_ones(gaps: bool, shrink: bool) -> None:
    windows = windows_of(gaps)
    seen = 0
    for part, matrix, taking_part in covariances(windows, shrink):
        for row, end in enumerate(windows.ends[part]):
            kept = np.flatnonzero(taking_part[row])
            symbols = [f"S{each:02d}" for each in kept]
            window = pd.DataFrame(windows.returns[end - LENGTH : end][:, kept], columns=symbols)
            expected = estimate_covariance(window, "ledoit_wolf" if shrink else "sample", 1).matrix.to_numpy()
            got = matrix[row][np.ix_(kept, kept)]
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * expected.max())
            seen += 1
    assert seen == len(windows.ends)


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_windows_of_different_lengths_are_the_single_ones(gaps: bool, shrink: bool) -> None:
    returns, ends = returns_of(gaps), np.arange(LENGTH, ROWS + 1, 37)
    starts = ends - LENGTH + np.arange(len(ends)) % 7
    windows = Windows(returns, ends, LENGTH, 40, starts)
    for part, matrix, taking_part in covariances(windows, shrink):
        for row, (first, end) in enumerate(zip(starts[part], ends[part], strict=True)):
            kept = np.flatnonzero(taking_part[row])
            window = pd.DataFrame(returns[first:end][:, kept], columns=[f"S{each:02d}" for each in kept])
            expected = estimate_covariance(window, "ledoit_wolf" if shrink else "sample", 1).matrix.to_numpy()
            got = matrix[row][np.ix_(kept, kept)]
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * expected.max())


@pytest.mark.parametrize("shrink", [False, True])
def test_who_stops_moving_disturbs_nobody(shrink: bool) -> None:
    returns = returns_of(False)
    returns[300:, 7] = 0.0
    kept = np.delete(np.arange(NAMES), 7)
    windows = Windows(returns, np.array([ROWS]), LENGTH, 40)
    ((_, matrix, taking_part),) = covariances(windows, shrink)
    ((_, without, _),) = covariances(Windows(returns[:, kept], np.array([ROWS]), LENGTH, 40), shrink)
    assert taking_part[0].tolist() == [each != 7 for each in range(NAMES)]
    np.testing.assert_allclose(matrix[0][np.ix_(kept, kept)], without[0], rtol=1e-10, atol=0)
    assert matrix[0, 7, 7] == 1.0 and not matrix[0, 7, kept].any()


def test_later_rows_and_other_windows_change_no_bit_of_a_window() -> None:
    returns, ends = returns_of(False), np.arange(LENGTH, ROWS + 1, 20)
    for kernel in (rolling_inverse_volatility, rolling_equal_risk):
        many = kernel(Windows(returns, ends, LENGTH, 40))
        for row in (0, 7, len(ends) - 1):
            alone = kernel(Windows(returns[: ends[row]], ends[row : row + 1], LENGTH, 40))
            assert (alone[0] == many[row]).all()


def test_sums_over_blocks_are_sums_over_rows() -> None:
    rng = np.random.default_rng(4)
    left, right = rng.normal(size=(101, 3)), rng.normal(size=(101, 2))
    ends = np.array([5, BLOCK, 40, 101])
    starts = np.array([0, 3, 39, 2 * BLOCK])
    found = BlockSums.of(left, right).between(starts, ends)
    for row, (first, end) in enumerate(zip(starts, ends, strict=True)):
        np.testing.assert_allclose(found[row], left[first:end].T @ right[first:end], rtol=0, atol=1e-12)


def simulated(names: int, seed: int) -> tuple[Floats, Floats]:
    """Return 252 days of a market and noise, and the true correlations."""
    rng = np.random.default_rng(seed)
    beta = rng.uniform(0.3, 1.5, names)
    sigma = rng.uniform(0.8, 2.0, names)
    values = rng.normal(0, 1, (252, 1)) * beta + rng.normal(0, 1, (252, names)) * sigma
    covariance = np.outer(beta, beta) + np.diag(sigma**2)
    deviation = np.sqrt(np.diag(covariance))
    return 0.01 * values, covariance / np.outer(deviation, deviation)


def test_continued_histories_without_gaps_have_the_sample_correlations() -> None:
    values, _ = simulated(20, 1)
    factor = continued(values, 60)
    correlation = factor.z.T @ factor.z + np.diag(factor.alone)
    np.testing.assert_allclose(correlation, np.corrcoef(values.T), rtol=0, atol=1e-12)
    np.testing.assert_allclose(factor.deviation, values.std(axis=0, ddof=1), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_continued_histories_are_definite_and_nearer_the_truth_than_repaired_pairs(seed: int) -> None:
    values, truth = simulated(100, seed)
    values[np.random.default_rng(seed).random(values.shape) < 0.01] = np.nan
    for column in range(0, 100, 3):
        values[: 2 * column - 20 if column > 10 else 0, column] = np.nan  # 252 days down to 74
    factor = continued(values, 60)
    correlation = factor.z.T @ factor.z + np.diag(factor.alone)
    np.testing.assert_allclose(np.diag(correlation), 1.0, atol=1e-12)
    assert np.linalg.eigvalsh(correlation)[0] > -1e-12
    known = np.nanstd(values, axis=0, ddof=1)
    np.testing.assert_allclose(factor.deviation, known, rtol=1e-12)
    pairs = estimate_covariance(pd.DataFrame(values, columns=[f"S{n:03d}" for n in range(100)]), "sample", 1)
    paired = pairs.matrix.to_numpy() / np.outer(known, known)
    assert np.linalg.norm(correlation - truth) < np.linalg.norm(paired - truth)


def test_many_names_with_gaps_carry_equal_risk_of_their_continued_covariance() -> None:
    values, _ = simulated(80, 3)
    values[:100, 5] = np.nan
    values[:, 9] = 0.0
    weights = rolling_equal_risk(Windows(values, np.array([252]), 252, 60))[0]
    ((_, matrix, taking_part),) = covariances(Windows(values, np.array([252]), 252, 60))
    risk = weights * (matrix[0] @ weights)
    assert weights[9] == 0.0 and not taking_part[0, 9]
    np.testing.assert_allclose(risk[taking_part[0]] / risk.sum(), 1 / 79, rtol=1e-8)


def test_shrinking_changes_something() -> None:
    windows = windows_of(False)
    plain = np.concatenate([matrix for _, matrix, _ in covariances(windows)])
    shrunk = np.concatenate([matrix for _, matrix, _ in covariances(windows, shrink=True)])
    assert np.abs(plain - shrunk).max() > 1e-3 * np.abs(plain).max()


def test_leaves_are_in_scipys_order_also_with_ties() -> None:
    from scipy.cluster.hierarchy import leaves_list, linkage

    rng = np.random.default_rng(3)
    for _ in range(200):
        loadings = np.round(rng.normal(0.5, 0.5, (int(rng.integers(2, 20)), 1)), 1)
        sigma = np.round(loadings @ loadings.T, 1) + np.eye(len(loadings)) * 3
        deviation = np.sqrt(np.diag(sigma))
        correlation = np.round(sigma / np.outer(deviation, deviation), 6)
        distance = np.sqrt((1 - correlation) / 2)[np.triu_indices(len(sigma), 1)]
        assert leaf_orders(sigma[None])[0].tolist() == leaves_list(linkage(distance, "single")).tolist()


def test_more_names_than_are_stacked_are_solved_one_after_another_alike() -> None:
    returns = returns_of(False, 70)
    windows = Windows(returns, np.array([300, 320, 340]), 200, 60)
    weights = rolling_equal_risk(windows)
    for row, end in enumerate(windows.ends):
        expected = single("equal_risk_contribution", returns[end - 200 : end], "sample")
        np.testing.assert_allclose(weights[row], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("returns", "ends", "said"),
    [
        (np.zeros((10, 0)), [10], "no names"),
        (np.full((10, 2), np.nan), [10], "columns without any return: 0, 1"),
        (np.array([[np.inf, 0.0]] * 9 + [[0.0, 0.0]]), [10], "column 0 has an infinite return"),
        (np.zeros((10, 1)), [4], "a window of 5 rows does not fit"),
        (np.zeros((10, 1)), [11], "a window of 5 rows does not fit"),
    ],
)
def test_windows_that_make_no_sense_are_refused(returns: Floats, ends: list[int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Windows(returns, np.array(ends), 5, 3)


def test_caps_that_cannot_sum_to_one_are_refused() -> None:
    with pytest.raises(UserError, match=r"60\.0% of the wealth at most"):
        rolling_minimum_variance(windows_of(False), Caps(0.2, np.arange(NAMES) % 3, 0.2))


def test_a_window_in_which_nobody_takes_part_holds_nothing() -> None:
    returns = returns_of(False)
    returns[:200] = np.nan
    weights = rolling_inverse_volatility(Windows(returns, np.array([LENGTH, 600]), LENGTH, 40))
    assert weights[0].sum() == 0 and weights[1].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_equal_risk_is_found_far_from_equal_correlations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 1, (40, 15, 2)) * rng.choice([0.05, 1.0, 5.0], (40, 1, 1))
    matrix = loadings @ loadings.transpose(0, 2, 1) + np.eye(15) * rng.uniform(1e-3, 1, (40, 1, 15))
    deviation = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
    correlation = matrix / (deviation[:, :, None] * deviation[:, None, :])
    x = _equal_risk(correlation, _start(correlation))
    assert (x > 0).all()
    np.testing.assert_allclose(x * (correlation @ x[:, :, None])[:, :, 0], 1.0, rtol=1e-9)
