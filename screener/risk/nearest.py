"""The correlation matrix nearest to one that pairwise overlaps or leads and lags left indefinite."""

from __future__ import annotations

import numpy as np

from screener.errors import ScreenerError
from screener.risk.moments import scale_of
from screener.risk.observations import Floats, symmetric

SMALLEST_EIGENVALUE = 1e-4  # of a repaired correlation matrix
MOST_STEPS = 60


def positive_definite(covariance: Floats) -> Floats:
    """Return the covariance itself if it is positive definite, else with correlations near its own; variances kept.

    A matrix that is singular and no more, as one of more names than returns, is mixed with a little of the identity,
    which raises its eigenvalues as far as `nearest_correlation` does: that is needed for negative ones alone.
    """
    covariance = symmetric(covariance)
    scale = scale_of(covariance)
    correlation = covariance / scale
    rounding = 1e-10 * np.eye(len(correlation))
    if is_positive_definite(correlation - rounding):
        return covariance
    if is_positive_definite(correlation + rounding):
        mixed = (1.0 - SMALLEST_EIGENVALUE) * correlation
        np.fill_diagonal(mixed, 1.0)
        return mixed * scale
    return nearest_correlation(correlation) * scale


def is_positive_definite(matrix: Floats) -> bool:
    """Say whether a symmetric matrix has a Cholesky factor."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def nearest_correlation(matrix: Floats, smallest: float = SMALLEST_EIGENVALUE) -> Floats:
    """Return the matrix nearest in Frobenius norm with unit diagonal and eigenvalues of at least `smallest`.

    The problem of Higham (2002, "Computing the nearest correlation matrix"), solved by the generalised Newton
    method on its dual (Qi & Sun 2006), which needs a handful of eigendecompositions where
    alternating projections need hundreds. matrix: N × N, symmetric, 0 ≤ smallest < 1.
    Raises ScreenerError if it does not converge.
    """
    n = len(matrix)
    target = (symmetric(matrix) - smallest * np.eye(n)) / (1.0 - smallest)
    dual = 1.0 - np.diag(target)
    eigenvalues, vectors = np.linalg.eigh(target + np.diag(dual))
    for _ in range(MOST_STEPS):
        projected = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
        gradient = np.diag(projected) - 1.0
        size = float(np.linalg.norm(gradient))
        if size <= 1e-10 * np.sqrt(n):
            unit = np.sqrt(np.diag(projected))
            result = smallest * np.eye(n) + (1.0 - smallest) * projected / np.outer(unit, unit)
            np.fill_diagonal(result, 1.0)
            return symmetric(result)
        step = _newton_step(eigenvalues, vectors, gradient)
        dual, eigenvalues, vectors = _line_search(target, dual, step, gradient, eigenvalues)
    raise ScreenerError(f"no nearest correlation matrix found in {MOST_STEPS} steps for {n} names")


def _newton_step(eigenvalues: Floats, vectors: Floats, gradient: Floats) -> Floats:
    """Solve V d = −gradient by conjugate gradients, V the generalised Jacobian (Qi & Sun 2006)."""
    positive = np.maximum(eigenvalues, 0.0)
    difference = eigenvalues[:, None] - eigenvalues[None, :]
    flat = np.abs(difference) < 1e-12
    both = (eigenvalues[:, None] > 0).astype(float) * (eigenvalues[None, :] > 0)
    omega = np.where(flat, both, (positive[:, None] - positive[None, :]) / np.where(flat, 1.0, difference))

    def apply(direction: Floats) -> Floats:
        inner = omega * ((vectors.T * direction) @ vectors)
        return np.asarray(((vectors @ inner) * vectors).sum(axis=1) + 1e-10 * direction)

    diagonal = np.maximum(((vectors**2 @ omega) * vectors**2).sum(axis=1), 1e-8)
    step = np.zeros(len(gradient))
    residual = -gradient
    tolerance = min(0.1, float(np.linalg.norm(gradient))) * float(np.linalg.norm(gradient))
    scaled = residual / diagonal
    direction, product = scaled, float(residual @ scaled)
    for _ in range(200):
        if np.linalg.norm(residual) <= tolerance:
            break
        image = apply(direction)
        alpha = product / float(direction @ image)
        step = step + alpha * direction
        residual = residual - alpha * image
        scaled = residual / diagonal
        product, previous = float(residual @ scaled), product
        direction = scaled + product / previous * direction
    return step


def _line_search(
    target: Floats, dual: Floats, step: Floats, gradient: Floats, eigenvalues: Floats
) -> tuple[Floats, Floats, Floats]:
    """Halve the step until the dual falls enough (Armijo 1966)."""

    def value(spectrum: Floats, at: Floats) -> float:
        return 0.5 * float((np.maximum(spectrum, 0.0) ** 2).sum()) - float(at.sum())

    start, slope = value(eigenvalues, dual), float(gradient @ step)
    length = 1.0
    for _ in range(30):
        moved = dual + length * step
        spectrum, vectors = np.linalg.eigh(target + np.diag(moved))
        if value(spectrum, moved) <= start + 1e-4 * length * slope + 1e-12 * abs(start):
            break
        length /= 2
    return moved, spectrum, vectors
