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
LONG = 64  # names of a run; shorter ones are copied out and summed together


def hierarchical_weights(covariance: Floats) -> Floats:
    """Return N raw weights. The tree depends on ties, so interchangeable names need not get equal weights."""
    n = len(covariance)
    if n == 1:
        return np.ones(1)
    return split(covariance, leaf_orders(covariance[None])[0])


def split(covariance: Floats, order: Indices) -> Floats:
    """Return N weights of a covariance whose leaves are in an order; of large ones only two blocks are put in order."""
    middle = len(order) // 2
    halves = [covariance.take(run, axis=0).take(run, axis=1) for run in (order[:middle], order[middle:])]
    variances = []
    for each in halves:
        inverse = 1.0 / np.diag(each)
        variances.append(float(inverse @ each @ inverse) / float(inverse.sum()) ** 2)
    share = 1.0 - variances[0] / (variances[0] + variances[1])
    result = np.empty(len(order))
    result[order[:middle]] = share * bisect(halves[0][None])[0]
    result[order[middle:]] = (1.0 - share) * bisect(halves[1][None])[0]
    return result


def leaf_orders(covariance: Floats) -> Indices:
    """Return the B × N positions of N names in the order of the leaves of B trees, as SciPy would order them.

    SciPy's single linkage is Prim's minimum spanning tree from the first name, its edges sorted, each joining two
    clusters with the older one on the left; up to STACKED names that is done for all trees at once.
    """
    count, n = covariance.shape[:2]
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    if n > STACKED:
        from scipy.cluster.hierarchy import leaves_list, linkage

        pairs = (_condensed(each, own) for each, own in zip(covariance, deviation, strict=True))
        return np.array([leaves_list(linkage(_distance(each), "single")) for each in pairs], dtype=np.intp)
    correlation = covariance / (deviation[:, :, None] * deviation[:, None, :])
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


def _condensed(covariance: Floats, deviation: Floats) -> Floats:
    """Return the N (N − 1) / 2 correlations above the diagonal, row after row."""
    n = len(covariance)
    result = np.empty(n * (n - 1) // 2)
    start = 0
    for row in range(n - 1):
        part = result[start : start + n - 1 - row]
        np.multiply(deviation[row], deviation[row + 1 :], out=part)
        np.divide(covariance[row, row + 1 :], part, out=part)
        start += len(part)
    return result


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
    """Return B × N weights of B covariances whose rows are in leaf order (B × N × N), which are overwritten.

    All runs of a level are split at once, for all covariances; the variance of a run's inverse-variance portfolio is
    u'Σu / (Σu)² with u = 1/σ².
    """
    count, n = ordered.shape[:2]
    inverse = 1.0 / np.diagonal(ordered, axis1=1, axis2=2)
    scaled = ordered  # a copy made for us: nobody reads it again
    scaled *= inverse[:, :, None]
    scaled *= inverse[:, None, :]
    weights = np.ones((count, n))
    starts, ends = np.array([0])[: n - 1], np.array([n])[: n - 1]  # of one name there is nothing to split
    while len(starts):
        middles = starts + (ends - starts) // 2
        left, right = _variances(scaled, inverse, starts, middles), _variances(scaled, inverse, middles, ends)
        share = 1.0 - left / (left + right)
        shares = np.stack([share, 1.0 - share], axis=2).reshape(count, -1)
        edges = np.stack([starts, middles], axis=1).ravel()
        lengths = np.stack([middles - starts, ends - middles], axis=1).ravel()
        places = np.repeat(edges - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        weights[:, places] *= np.repeat(shares, lengths, axis=1)
        split = lengths > 1
        starts, ends = edges[split], (edges + lengths)[split]
    return weights


def _variances(scaled: Floats, inverse: Floats, starts: Indices, ends: Indices) -> Floats:
    """Return B × K variances of the inverse-variance portfolios of K runs. At a level there are two lengths at most."""
    result = np.empty((len(scaled), len(starts)))
    for length in np.unique(ends - starts):
        which = np.flatnonzero(ends - starts == length)
        if length > LONG:
            for each in which:
                run = slice(starts[each], ends[each])
                result[:, each] = scaled[:, run, run].sum(axis=(1, 2)) / inverse[:, run].sum(axis=1) ** 2
            continue
        places = starts[which, None] + np.arange(length)
        blocks = scaled[:, places[:, :, None], places[:, None, :]]
        result[:, which] = blocks.sum(axis=(2, 3)) / inverse[:, places].sum(axis=2) ** 2
    return result
