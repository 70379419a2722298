"""Shrinkage of a sample covariance towards a structure, by as much as its own sampling error asks for.

All four agree with scikit-learn or PyPortfolioOpt on complete returns (tests/risk/test_estimators.py). Theirs
take a missing return for zero; here every entry has the sampling error of the returns that its pair shares.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from screener.risk.moments import sample, scale_of
from screener.risk.observations import FEWEST_SHARED, Block, Floats, Observations, symmetric


def ledoit_wolf(observations: Observations) -> Floats:
    """Return the covariance shrunk to constant correlation (Ledoit & Wolf 2004, "Honey", appendix B)."""
    s, shared, products = _start(observations)
    n = len(s)
    if n == 1:
        return s
    variance = np.diag(s)
    deviation = np.sqrt(variance)
    scale = scale_of(s)
    average = ((s / scale).sum() - n) / (n * (n - 1))
    target = average * scale
    np.fill_diagonal(target, variance)
    cubes = _mean(
        observations, shared, lambda block: (block.returns * _squares(block.returns), block.partners)
    )
    theta = cubes - np.diag(products)[:, None] * s - products * variance[:, None] + variance[:, None] * s
    rho = average * (deviation[None, :] / deviation[:, None]) * theta
    pi = _sampling_variance(observations, shared, products, s)
    np.fill_diagonal(rho, np.diag(pi))
    return _shrunk(s, target, (pi - rho) / observations.worth, shared)


def ledoit_wolf_single_factor(observations: Observations) -> Floats:
    """Return the covariance shrunk to that of one factor, the mean of all names (Ledoit & Wolf 2003)."""
    s, shared, products = _start(observations)
    n = len(s)
    if n == 1:
        return s
    beta, variance = products.mean(axis=1), float(products.mean())
    if variance <= 1e-12 * np.diag(s).mean():
        return s  # without common variance there is no factor to shrink to
    target = np.outer(beta, beta) / variance
    np.fill_diagonal(target, np.diag(products))

    def market(block: Block) -> Floats:
        covered = np.maximum((block.coverage() > 0).sum(axis=1), 1)
        return np.asarray(block.partners.sum(axis=1) / covered)[:, None]

    once = _mean(observations, shared, lambda block: (block.returns**2, block.partners * market(block)))
    twice = _mean(observations, shared, lambda block: (block.returns, block.partners * market(block) ** 2))
    v1 = once - beta[:, None] * products
    v3 = twice - variance * products
    pi = _sampling_variance(observations, shared, products, products)
    rho = 2 * v1 * beta[None, :] / variance - v3 * np.outer(beta, beta) / variance**2
    np.fill_diagonal(rho, np.diag(pi))
    return _shrunk(products, target, (pi - rho) / observations.worth, shared) * _to_sample(s, products)


def ledoit_wolf_identity(observations: Observations) -> Floats:
    """Return the covariance shrunk to equal variances without correlation (Ledoit & Wolf 2004, JMVA)."""
    s, shared, products = _start(observations)
    target = np.eye(len(s)) * np.diag(products).mean()
    pi = _sampling_variance(observations, shared, products, products)
    return _shrunk(products, target, pi / observations.worth, shared) * _to_sample(s, products)


def oracle_approximating(observations: Observations) -> Floats:
    """Return the covariance shrunk to equal variances, oracle approximating (Chen et al. 2010, eq. 23).

    The sample is taken for normal. Its size is the mean number of rows that a pair shares, less what leads and
    lags cost.
    """
    s, shared, products = _start(observations)
    n = len(s)
    mean, square = np.trace(products) / n, (products**2).mean()
    rows = shared.mean() * observations.worth / observations.noise_ratio()
    gap = (rows + 1.0) * (square - mean**2 / n)
    intensity = 1.0 if gap <= 0 else min((square + mean**2) / gap, 1.0)
    return np.asarray((1 - intensity) * s + intensity * np.eye(n) * np.diag(s).mean())


def _start(observations: Observations) -> tuple[Floats, Floats, Floats]:
    """Return the sample covariance, the periods each pair shares, and the mean products (ddof 0)."""
    shared = observations.common
    s = sample(observations)
    thin = shared < FEWEST_SHARED
    rows = np.maximum(shared, 1.0)
    return s, shared, np.where(thin, s, s * np.maximum(shared - 1.0, 1.0) / rows)


def _to_sample(s: Floats, products: Floats) -> Floats:
    """Return the factors from division by the number of returns to division by one less."""
    root = np.sqrt(np.diag(s) / np.diag(products))
    return np.outer(root, root)


def _squares(values: Floats) -> Floats:
    return values * values  # quicker than a power


def _mean(
    observations: Observations, shared: Floats, term: Callable[[Block], tuple[Floats, Floats]]
) -> Floats:
    """Return mean products per shared period, not symmetric."""
    return np.asarray(observations.total(term) / np.maximum(shared, 1.0))


def _sampling_variance(observations: Observations, shared: Floats, products: Floats, s: Floats) -> Floats:
    """Return N × N, the asymptotic variance of √T times each entry; 0 for pairs that are too thin to tell."""
    squares = _mean(observations, shared, lambda block: (_squares(block.returns), _squares(block.partners)))
    return symmetric(squares) - 2 * products * s + s**2


def _shrunk(s: Floats, target: Floats, error: Floats, shared: Floats) -> Floats:
    """Return the mix of sample and target whose intensity is Σ error / rows over Σ (sample − target)²."""
    distance = ((s - target) ** 2).sum()
    if distance <= 1e-14 * (s**2).sum():  # nothing to shrink: they are the same
        return s
    error = np.where(shared < FEWEST_SHARED, 0.0, error)
    intensity = float(np.clip((error / np.maximum(shared, 1.0)).sum() / distance, 0.0, 1.0))
    mixed: Floats = intensity * target + (1 - intensity) * s
    return symmetric(mixed)
