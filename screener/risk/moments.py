"""The pairwise sample covariance that every other estimator starts from."""

from __future__ import annotations

import numpy as np

from screener.risk.observations import FEWEST_SHARED, Floats, Observations, symmetric


def sample(observations: Observations) -> Floats:
    """Return the annualised pairwise covariance, ddof 1; thin pairs take the average correlation."""
    sums = symmetric(observations.total(lambda block: (block.returns, block.partners)))
    shared = observations.common
    return with_average_correlation(sums / np.maximum(shared - 1.0, 1.0), shared)


def with_average_correlation(covariance: Floats, shared: Floats) -> Floats:
    """Return the covariance with pairs that shared fewer than FEWEST_SHARED returns at the others' mean."""
    off = ~np.eye(len(shared), dtype=bool)
    thin = (shared < FEWEST_SHARED) & off
    if not thin.any():
        return covariance
    thick = ~thin & off
    scale = scale_of(covariance)
    average = float((covariance / scale)[thick].mean()) if thick.any() else 0.0
    return np.where(thin, average * scale, covariance)


def scale_of(covariance: Floats) -> Floats:
    """Return N × N products of standard deviations."""
    deviation = np.sqrt(np.diag(covariance))
    return np.outer(deviation, deviation)
