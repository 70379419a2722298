"""A factor model of market and segment, in which a name with a short history still gets a sensible row."""

from __future__ import annotations

import numpy as np

from screener.risk.moments import sample
from screener.risk.observations import FEWEST_SHARED, Floats, Indices, Observations, symmetric

SHORT = 0.9  # of the longest history: a name with less borrows the factors' long one
FEWEST_IN_SEGMENT = 2  # others of a segment, for it to be a factor
LEAST_SPECIFIC = 0.01  # of a name's variance


def factor_model(observations: Observations) -> Floats:
    """Return β'Fβ plus specific variances, with the market's and the segment's mean return as factors.

    A name's factors leave the name itself out. Where its history is short, its betas and its specific variance
    come from that history, the factors' covariance from the long one (Stambaugh 1997, "Analyzing investments
    whose histories differ in length"), so its variance and its whole row follow from what the
    others did before it was listed. Without `with_segments` the market is the only factor.
    """
    s = sample(observations)
    n = len(s)
    if n < 3:
        return s
    oldest = observations.oldest()
    short = oldest < SHORT * oldest.max()
    windows = {age: sample(observations.recent(age)) for age in np.unique(oldest[short])}
    mimicking = np.zeros((n, n))  # a row is the portfolio that mimics the name by its factors
    specific = np.empty(n)
    for name in range(n):
        own = windows[oldest[name]] if short[name] else s
        factors = _factors(name, short, observations.segments)
        inner, outer = factors @ own @ factors.T, factors @ own[:, name]
        # with fewer returns than can tell two betas apart, the market alone
        if len(factors) > 1 and observations.counts[name] < 2 * FEWEST_SHARED:
            factors, inner, outer = factors[:1], inner[:1, :1], outer[:1]
        beta = np.linalg.lstsq(inner, outer, rcond=1e-8)[0]
        mimicking[name] = beta @ factors
        left = own[name, name] - beta @ inner @ beta
        specific[name] = max(left, LEAST_SPECIFIC * own[name, name])
    covariance = symmetric(mimicking @ s @ mimicking.T)
    # lead–lag sums need not be positive definite, and variance explained cannot be negative
    explained = np.maximum(np.diag(covariance), 0.0)
    np.fill_diagonal(covariance, explained + specific)
    return covariance


def _factors(name: int, short: np.ndarray, segments: Indices) -> Floats:
    """Return K × N weights of a name's factors: the mean of the others, and of the others in its segment."""
    others = np.arange(len(short)) != name
    long = others & ~short
    market = long if long.sum() >= FEWEST_IN_SEGMENT else others
    rows = [market]
    if segments[name] >= 0:
        inside = market & (segments == segments[name])
        if FEWEST_IN_SEGMENT <= inside.sum() < market.sum():
            rows.append(inside)
    return np.array([row / row.sum() for row in rows])
