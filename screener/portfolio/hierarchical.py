"""Hierarchical risk parity (López de Prado 2016, "Building diversified portfolios that outperform out of sample").

Single linkage, leaves as SciPy's linkage orders them (not optimally re-ordered, as skfolio does), recursive
bisection. Equal to PyPortfolioOpt's HRPOpt on symbols in sorted order to 1e-12.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
STACKED = 64  # names; above, SciPy's own linkage is faster than ours on arrays


def hierarchical_weights(covariance: Floats) -> Floats:
    """Return N raw weights. The tree depends on ties, so interchangeable names need not get equal weights."""
    n = len(covariance)
    if n == 1:
        return np.ones(1)
    order = leaf_orders(covariance[None])[0]
    result = np.empty(n)
    result[order] = bisect(covariance[np.ix_(order, order)][None])[0]
    return result


def leaf_orders(covariance: Floats) -> Indices:
    """Return the B × N positions of N names in the order of the leaves of B trees, as SciPy would order them.

    SciPy's single linkage is Prim's minimum spanning tree from the first name, its edges sorted, each joining two
    clusters with the older one on the left; up to STACKED names that is done for all trees at once.
    """
    count, n = covariance.shape[:2]
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (deviation[:, :, None] * deviation[:, None, :])
    if n > STACKED:
        from scipy.cluster.hierarchy import linkage
        from scipy.spatial.distance import squareform

        pairs = [_distance(squareform(each, checks=False)) for each in correlation]
        links = np.array([linkage(each, "single")[:, :2] for each in pairs]).astype(np.intp)
    else:
        links = _links(_distance(correlation))
    sizes = np.ones((count, 2 * n - 1), dtype=np.intp)
    trees = np.arange(count)
    for step in range(n - 1):
        sizes[:, n + step] = sizes[trees, links[:, step, 0]] + sizes[trees, links[:, step, 1]]
    starts = np.zeros((count, 2 * n - 1), dtype=np.intp)
    for step in range(n - 2, -1, -1):
        left, right = links[:, step, 0], links[:, step, 1]
        starts[trees, left] = starts[:, n + step]
        starts[trees, right] = starts[:, n + step] + sizes[trees, left]
    order = np.empty((count, n), dtype=np.intp)
    np.put_along_axis(order, starts[:, :n], np.broadcast_to(np.arange(n), (count, n)), axis=1)
    return order


def _distance(correlation: Floats) -> Floats:
    # rounded as PyPortfolioOpt rounds, so that ties fall alike
    return np.asarray(np.sqrt(np.clip((1.0 - np.round(correlation, 6)) / 2.0, 0.0, 1.0)))


def _links(distance: Floats) -> Indices:
    """Return the B × (N − 1) × 2 clusters that single linkage joins, one step after another."""
    count, n = distance.shape[:2]
    trees = np.arange(count)
    nearest = np.full((count, n), np.inf)
    source = np.zeros((count, n), dtype=np.intp)
    merged = np.zeros((count, n), dtype=bool)
    here = np.zeros(count, dtype=np.intp)
    edges = np.empty((count, n - 1, 2), dtype=np.intp)
    lengths = np.empty((count, n - 1))
    for step in range(n - 1):
        merged[trees, here] = True
        reach = distance[trees, here]
        closer = reach < nearest
        nearest = np.where(closer, reach, nearest)
        source = np.where(closer, here[:, None], source)
        there = np.where(merged, np.inf, nearest).argmin(axis=1)
        edges[:, step, 0], edges[:, step, 1] = source[trees, there], there
        lengths[:, step] = nearest[trees, there]
        here = there
    order = np.argsort(lengths, axis=1, kind="stable")
    edges = np.take_along_axis(edges, order[:, :, None], axis=1)
    cluster = np.broadcast_to(np.arange(n), (count, n)).copy()
    links = np.empty((count, n - 1, 2), dtype=np.intp)
    for step in range(n - 1):
        one, other = cluster[trees, edges[:, step, 0]], cluster[trees, edges[:, step, 1]]
        links[:, step, 0], links[:, step, 1] = np.minimum(one, other), np.maximum(one, other)
        inside = (cluster == one[:, None]) | (cluster == other[:, None])
        cluster[inside] = np.broadcast_to(n + step, inside.shape)[inside]
    return links


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
