"""How far a covariance can be trusted, in a few numbers."""

from __future__ import annotations

import numpy as np

from screener.errors import ScreenerError
from screener.risk.moments import scale_of
from screener.risk.observations import Floats, Observations


def condition_number(covariance: Floats) -> float:
    """Return the largest over the smallest eigenvalue of the correlation matrix; 1 is perfect."""
    if not len(covariance):
        return float("nan")
    eigenvalues = np.linalg.eigvalsh(covariance / scale_of(covariance))
    return float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else float("inf")


def average_correlation(covariance: Floats) -> float:
    """Return the mean correlation over pairs; NaN for fewer than two names."""
    n = len(covariance)
    if n < 2:
        return float("nan")
    correlation = covariance / scale_of(covariance)
    return float((correlation.sum() - np.trace(correlation)) / (n * (n - 1)))


def effective_bets(covariance: Floats, weights: Floats) -> float:
    """Return exp of the entropy of a portfolio's variance over its principal portfolios, from 1 to N.

    covariance: N × N, positive definite; weights: N, not all zero, of any sign.
    Source: Meucci (2009, "Managing diversification"). Raises ScreenerError for a portfolio without risk.
    """
    eigenvalues, vectors = np.linalg.eigh(covariance)
    shares = (vectors.T @ weights) ** 2 * eigenvalues
    total = float(shares.sum())
    if not total > 0:
        raise ScreenerError("a portfolio without risk has no bets")
    shares = shares[shares > 1e-15 * total] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def volatility_errors(observations: Observations) -> Floats:
    """Return N standard errors of sample volatilities, as fractions of them.

    √((κ − 1) / 4n) for n returns of kurtosis κ, which is 1/√(2n) for normal returns (the sampling variance of a
    variance, by the delta method); κ is taken to be at least 3, because short samples understate it.
    """
    errors = np.empty(len(observations.symbols))
    for block in observations.blocks:
        count = np.maximum(block.alive.sum(axis=0), 1.0)
        squares = block.returns * block.returns
        variance = squares.sum(axis=0) / count
        kurtosis = (squares * squares).sum(axis=0) / count / np.maximum(variance**2, 1e-300)
        errors[block.columns] = np.sqrt(
            (np.maximum(kurtosis, 3.0) - 1.0) / (4.0 * count * observations.worth)
        )
    return errors
