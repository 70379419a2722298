"""Turn a covariance into raw target weights. Caps, cash and costs come later (see limits.py, costs.py).

Only minimum variance looks at the limits: for it they belong to the optimisation. A new method is a function
here and a line in METHODS; the contract tests then run on it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError, UserError, unknown
from screener.portfolio.limits import Limits

Floats = npt.NDArray[np.float64]
Method = Callable[[Floats, Limits], Floats]
DUST = 1e-7  # the solver's noise, far below any order


def equal(covariance: Floats, limits: Limits) -> Floats:
    """Return 1/N for each of N symbols."""
    return np.full(len(covariance), 1.0 / len(covariance))


def inverse_volatility(covariance: Floats, limits: Limits) -> Floats:
    """Return weights proportional to 1/σ."""
    inverse = 1.0 / np.sqrt(np.diag(covariance))
    return np.asarray(inverse / inverse.sum())


def equal_risk_contribution(covariance: Floats, limits: Limits) -> Floats:
    """Return the long-only weights whose risk contributions w·(Σw) are equal.

    Minimises ½ x'Cx − Σ ln x over the correlation matrix C (Spinu 2013, "An algorithm for computing risk
    parity weights", eq. 6) by damped Newton steps, then w ∝ x/σ. Contributions agree to 1e-10 relative.
    Raises ScreenerError if 100 steps do not suffice.
    """
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    x = np.full(len(correlation), 1.0 / np.sqrt(max(correlation.sum(), 1e-12) / len(correlation)))
    for _ in range(100):
        product = correlation @ x
        if np.abs(x * product - 1.0).max() < 1e-10:
            weights = x / deviation
            return np.asarray(weights / weights.sum())
        gradient = product - 1.0 / x
        step = np.linalg.solve(correlation + np.diag(1.0 / x**2), gradient)
        decrement = float(np.sqrt(max(gradient @ step, 0.0)))
        # damped while far away (Nesterov 2004, sec. 4.1.5), which also keeps x positive
        x = x - step / (1.0 + decrement) if decrement > 0.25 else x - step
    raise ScreenerError(
        "equal risk contribution did not converge in 100 steps; is the covariance near singular?"
    )


def hierarchical_risk_parity(covariance: Floats, limits: Limits) -> Floats:
    """Return the weights of López de Prado (2016), single linkage, recursive bisection.

    Equal to PyPortfolioOpt's HRPOpt on symbols in sorted order. The tree depends on ties, so unlike the other
    methods interchangeable names need not get equal weights.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    n = len(covariance)
    if n == 1:
        return np.ones(1)
    deviation = np.sqrt(np.diag(covariance))
    # rounded as PyPortfolioOpt rounds, so that ties fall alike
    correlation = np.round(covariance / np.outer(deviation, deviation), 6)
    distance = np.sqrt(np.clip((1.0 - correlation) / 2.0, 0.0, 1.0))
    np.fill_diagonal(distance, 0.0)
    order = leaves_list(linkage(squareform(distance, checks=False), "single"))
    ordered = covariance[np.ix_(order, order)]
    weights = np.ones(n)
    spans = [(0, n)]
    while spans:
        start, end = spans.pop()
        middle = start + (end - start) // 2
        left, right = _cluster_variance(ordered, start, middle), _cluster_variance(ordered, middle, end)
        weights[start:middle] *= 1.0 - left / (left + right)
        weights[middle:end] *= left / (left + right)
        spans += [(a, b) for a, b in ((start, middle), (middle, end)) if b - a > 1]
    result = np.empty(n)
    result[order] = weights
    return result


def _cluster_variance(covariance: Floats, start: int, end: int) -> float:
    """Return the variance of the inverse-variance portfolio of a run of symbols."""
    block = covariance[start:end, start:end]
    weights = 1.0 / np.diag(block)
    weights /= weights.sum()
    return float(weights @ block @ weights)


def minimum_variance(covariance: Floats, limits: Limits) -> Floats:
    """Return the long-only weights of least variance within the limits, by PyPortfolioOpt.

    Where the caps cannot hold all the wealth, what they can hold is spread at least variance. Sums to 1.
    """
    from pypfopt import EfficientFrontier

    room = min(1.0, limits.capacity())
    if len(covariance) == 1 or room < 1e-9:
        return equal(covariance, limits)
    # the problem is scaled to variances near 1 and weights summing to 1, where the solver is most exact
    scaled = pd.DataFrame(covariance / np.diag(covariance).mean())
    frontier = EfficientFrontier(None, scaled, weight_bounds=(0.0, min(1.0, limits.max_weight / room)))
    for groups, cap in ((limits.issuers, limits.max_weight), (limits.segments, limits.max_segment_weight)):
        if cap < room and len(set(groups)) < len(groups):
            upper = {name: cap / room for name in groups}
            frontier.add_sector_constraints(dict(enumerate(groups)), {name: 0.0 for name in groups}, upper)
    frontier.min_volatility()
    weights = np.asarray(frontier.weights, dtype=float)
    weights[weights < DUST] = 0.0
    result: Floats = weights / weights.sum()
    return result


METHODS: dict[str, Method] = {
    "equal": equal,
    "inverse_volatility": inverse_volatility,
    "equal_risk_contribution": equal_risk_contribution,
    "hierarchical_risk_parity": hierarchical_risk_parity,
    "minimum_variance": minimum_variance,
}


def method_named(name: str) -> Method:
    """Return a method by its name, or raise UserError with the nearest one."""
    if name not in METHODS:
        raise UserError(unknown("weighting method", name, list(METHODS)))
    return METHODS[name]
