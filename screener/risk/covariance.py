"""Estimate a covariance of returns. Weighting and limits come later (see portfolio)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError, UserError, unknown

Floats = npt.NDArray[np.float64]
FEWEST_SHARED = 10  # a pair with fewer common returns takes the average correlation
SMALLEST_EIGENVALUE = 1e-4  # of a repaired correlation matrix
HALF_LIFE_WEEKS = 26.0


@dataclass(frozen=True, eq=False, slots=True)
class Covariance:
    """An annualised covariance of simple returns in base currency.

    matrix: N × N, symbols sorted, symmetric, positive definite.
    observations: N, how many returns each symbol contributed.
    """

    matrix: pd.DataFrame
    estimator: str
    periods_per_year: int
    observations: pd.Series

    def __post_init__(self) -> None:
        values = self.matrix.to_numpy()
        if (
            list(self.matrix.index) != list(self.matrix.columns)
            or not self.matrix.index.is_monotonic_increasing
        ):
            raise ValueError("rows and columns must carry the same symbols, sorted")
        if not np.isfinite(values).all() or np.abs(values - values.T).max(initial=0.0) > 1e-12:
            raise ValueError("a covariance must be finite and symmetric")
        if len(values) and np.linalg.eigvalsh(values)[0] <= 0:
            raise ValueError("a covariance must be positive definite")


def estimate_covariance(
    returns: pd.DataFrame, estimator: str = "ledoit_wolf", periods_per_year: int = 52
) -> Covariance:
    """Estimate the annualised covariance of returns, each name over its own observations.

    returns: T × N with symbols sorted, NaN where a name had none; a missing return is never taken for zero.
    Variances use each name's own returns, covariances each pair's common ones; the result is made positive
    definite with variances kept. Raises UserError for an unknown estimator and ScreenerError for a name with
    fewer than two returns or without variance.
    """
    if estimator not in ESTIMATORS:
        raise UserError(unknown("estimator", estimator, list(ESTIMATORS)))
    values = returns.to_numpy(dtype=float)
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    spread = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf) - np.where(
        known, values, np.inf
    ).min(axis=0, initial=np.inf)
    bad = [
        str(name)
        for name, n, width in zip(returns.columns, counts, spread, strict=True)
        if n < 2 or width <= 0
    ]
    if bad:
        raise ScreenerError(
            f"no variance can be estimated for {', '.join(bad)}: fewer than two different returns"
        )
    matrix = _positive_definite(ESTIMATORS[estimator](values, known)) * periods_per_year
    symbols = returns.columns
    return Covariance(
        pd.DataFrame(matrix, index=symbols, columns=symbols),
        estimator,
        periods_per_year,
        pd.Series(counts, index=symbols),
    )


def _centred(values: Floats, known: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return deviations from each column's own mean, 0 where unknown, and N × N counts of shared rows."""
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / known.sum(axis=0)
    mask = known.astype(float)
    return np.where(known, values - mean, 0.0), mask.T @ mask


def _sample(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Return the pairwise sample covariance, ddof 1; thin pairs take the average correlation."""
    deviations, shared = _centred(values, known)
    covariance = deviations.T @ deviations / np.maximum(shared - 1.0, 1.0)
    return _with_average_correlation(covariance, shared)


def _with_average_correlation(covariance: Floats, shared: Floats) -> Floats:
    thin = (shared < FEWEST_SHARED) & ~np.eye(len(shared), dtype=bool)
    if not thin.any():
        return covariance
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    thick = ~thin & ~np.eye(len(shared), dtype=bool)
    average = float((covariance / scale)[thick].mean()) if thick.any() else 0.0
    return np.where(thin, average * scale, covariance)


def _ewma(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Return the exponentially weighted covariance around each name's weighted mean (RiskMetrics 1996)."""
    age = np.arange(len(values))[::-1]
    weight = np.where(known, 0.5 ** (age / HALF_LIFE_WEEKS)[:, None], 0.0)
    mean = np.where(known, values, 0.0)
    mean = (weight * mean).sum(axis=0) / weight.sum(axis=0)
    deviations = np.sqrt(weight) * np.where(known, values - mean, 0.0)
    root = np.sqrt(weight)
    mask = known.astype(float)
    return _with_average_correlation(
        deviations.T @ deviations / np.maximum(root.T @ root, 1e-300), mask.T @ mask
    )


def _ledoit_wolf(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Return the covariance shrunk to constant correlation (Ledoit & Wolf 2004, "Honey", appendix B).

    Sums run over each pair's shared rows and divide by their count; on complete rows this is
    PyPortfolioOpt's estimate, which fills missing rows with zeros and so halves a late listing's volatility.
    """
    z, shared = _centred(values, known)
    n = len(shared)
    if n == 1:
        return _sample(values, known)
    rows = np.maximum(shared, 1.0)
    s = _sample(values, known)
    variance = np.diag(s)
    deviation = np.sqrt(variance)
    scale = np.outer(deviation, deviation)
    average = ((s / scale).sum() - n) / (n * (n - 1))
    target = average * scale
    np.fill_diagonal(target, variance)

    products = z.T @ z / rows
    squares = z**2
    pi = squares.T @ squares / rows - 2 * products * s + s**2
    theta = (
        (z**3).T @ z / rows
        - np.diag(products)[:, None] * s
        - products * variance[:, None]
        + variance[:, None] * s
    )
    np.fill_diagonal(theta, 0.0)
    thin = shared < FEWEST_SHARED
    pi, theta = np.where(thin, 0.0, pi), np.where(thin, 0.0, theta)
    rho = np.trace(pi) + average * (deviation[None, :] / deviation[:, None] * theta).sum()
    distance = ((s - target) ** 2).sum()
    if distance <= 1e-14 * (s**2).sum():  # two names, or already constant: nothing to shrink
        return s
    intensity = float(np.clip((pi.sum() - rho) / distance / shared.mean(), 0.0, 1.0))
    shrunk: Floats = intensity * target + (1 - intensity) * s
    return shrunk


def _positive_definite(covariance: Floats) -> Floats:
    """Return the matrix itself if it is positive definite, else raise its correlations' eigenvalues to a floor.

    Variances are kept. (Spectral clipping and rescaling; Higham 2002 finds the nearest such matrix.)
    """
    covariance = (covariance + covariance.T) / 2
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    eigenvalues, vectors = np.linalg.eigh(covariance / scale)
    if eigenvalues[0] > 1e-10:
        return covariance
    raised = (vectors * np.maximum(eigenvalues, SMALLEST_EIGENVALUE)) @ vectors.T
    unit = np.sqrt(np.diag(raised))
    repaired: Floats = raised / np.outer(unit, unit) * scale
    return (repaired + repaired.T) / 2


ESTIMATORS: dict[str, Callable[[Floats, npt.NDArray[np.bool_]], Floats]] = {
    "sample": _sample,
    "ewma": _ewma,
    "ledoit_wolf": _ledoit_wolf,
}
