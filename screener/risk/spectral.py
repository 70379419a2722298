"""A correlation matrix cleaned by its eigenvalues: what noise would produce flattened, or the market removed."""

from __future__ import annotations

import numpy as np

from screener.risk.moments import sample, scale_of
from screener.risk.observations import Floats, Observations, symmetric


def denoised(observations: Observations) -> Floats:
    """Return the covariance with the eigenvalues that noise explains replaced by their mean.

    Noise reaches up to σ²(1 + √(N/T))² (Marčenko & Pastur 1967), where σ² is the mean of the eigenvalues below
    that edge (Laloux et al. 2000); T is the mean number of shared rows, less what leads and lags cost. Variances
    are kept (López de Prado 2020, sec. 2.5.1, constant residual eigenvalue).
    """
    covariance = sample(observations)
    scale = scale_of(covariance)
    return _denoised_correlation(covariance / scale, _rows(observations)) * scale


def detoned(observations: Observations) -> Floats:
    """Return the denoised covariance without its first principal component, the market (López de Prado 2020, 2.6).

    For clustering, where the market hides the groups. It has no risk along the market, so a minimum-variance
    portfolio of it means nothing.
    """
    covariance = sample(observations)
    scale = scale_of(covariance)
    correlation = _denoised_correlation(covariance / scale, _rows(observations))
    eigenvalues, vectors = np.linalg.eigh(correlation)
    if len(eigenvalues) < 3:
        return correlation * scale  # nothing would be left
    left = correlation - eigenvalues[-1] * np.outer(vectors[:, -1], vectors[:, -1])
    return _unit_diagonal(left) * scale


def noise_edge(eigenvalues: Floats, rows: float) -> float:
    """Return the largest eigenvalue that noise explains, for N eigenvalues (ascending) of a correlation matrix."""
    spread = (1.0 + np.sqrt(len(eigenvalues) / rows)) ** 2
    for signals in range(len(eigenvalues)):
        noise = eigenvalues[: len(eigenvalues) - signals]
        edge = float(noise.mean() * spread)
        if noise[-1] <= edge:
            return edge
    return 0.0


def _rows(observations: Observations) -> float:
    return max(float(observations.common.mean()) * observations.worth / observations.noise_ratio(), 1.0)


def _denoised_correlation(correlation: Floats, rows: float) -> Floats:
    eigenvalues, vectors = np.linalg.eigh(correlation)
    noise = eigenvalues <= noise_edge(eigenvalues, rows)
    flat = np.where(noise, eigenvalues[noise].mean() if noise.any() else 0.0, eigenvalues)
    return _unit_diagonal((vectors * np.maximum(flat, 0.0)) @ vectors.T)


def _unit_diagonal(matrix: Floats) -> Floats:
    unit = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    scaled = symmetric(matrix / np.outer(unit, unit))
    np.fill_diagonal(scaled, 1.0)
    return scaled
