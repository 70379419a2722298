"""Hierarchical risk parity (López de Prado 2016, "Building diversified portfolios that outperform out of sample").

Single linkage, leaves as SciPy's linkage orders them (not optimally re-ordered, as skfolio does), recursive
bisection. Equal to PyPortfolioOpt's HRPOpt on symbols in sorted order to 1e-12.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def hierarchical_weights(covariance: Floats) -> Floats:
    """Return N raw weights. The tree depends on ties, so interchangeable names need not get equal weights."""
    n = len(covariance)
    if n == 1:
        return np.ones(1)
    order = leaf_order(covariance)
    result = np.empty(n)
    result[order] = bisect(covariance[np.ix_(order, order)][None])[0]
    return result


def leaf_order(covariance: Floats) -> npt.NDArray[np.intp]:
    """Return the N positions in the order of the tree's leaves."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    n = len(covariance)
    deviation = np.sqrt(np.diag(covariance))
    # rounded as PyPortfolioOpt rounds, so that ties fall alike
    correlation = np.round(covariance / np.outer(deviation, deviation), 6)
    upper = np.triu_indices(n, 1)
    distance = np.sqrt(np.clip((1.0 - correlation[upper]) / 2.0, 0.0, 1.0))
    return np.asarray(leaves_list(linkage(distance, "single")), dtype=np.intp)


def bisect(ordered: Floats) -> Floats:
    """Return B × N weights of B covariances whose rows are in leaf order (B × N × N).

    Every run is split for all covariances at once; the variance of a run's inverse-variance portfolio is
    u'Σu / (Σu)² with u = 1/σ².
    """
    count, n = ordered.shape[:2]
    inverse = 1.0 / np.diagonal(ordered, axis1=1, axis2=2)
    scaled = ordered * inverse[:, :, None] * inverse[:, None, :]
    weights = np.ones((count, n))
    spans = [(0, n)]
    while spans:
        halves = []
        for start, end in spans:
            middle = start + (end - start) // 2
            left, right = (
                scaled[:, a:b, a:b].sum(axis=(1, 2)) / inverse[:, a:b].sum(axis=1) ** 2
                for a, b in ((start, middle), (middle, end))
            )
            share = 1.0 - left / (left + right)
            weights[:, start:middle] *= share[:, None]
            weights[:, middle:end] *= (1.0 - share)[:, None]
            halves += [(a, b) for a, b in ((start, middle), (middle, end)) if b - a > 1]
        spans = halves
    return weights
