"""The estimators of a covariance. A new one is a function of Observations here and a line in ESTIMATORS.

Each returns an annualised N × N matrix, symmetric, not yet certain to be positive definite.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from screener.errors import UserError
from screener.risk.factor_model import factor_model
from screener.risk.moments import sample, with_average_correlation
from screener.risk.observations import Floats, Observations, symmetric
from screener.risk.shrinkage import (
    ledoit_wolf,
    ledoit_wolf_identity,
    ledoit_wolf_single_factor,
    oracle_approximating,
)
from screener.risk.spectral import denoised, detoned

HALF_LIFE_YEARS = 0.5
GERBER_THRESHOLD = 0.5  # of a standard deviation


def ewma(observations: Observations) -> Floats:
    """Return the exponentially weighted covariance around weighted means, half-life 26 weeks (RiskMetrics 1996)."""

    def weigh(ages: Floats) -> Floats:
        return np.asarray(0.5 ** (ages / HALF_LIFE_YEARS))

    sums, weights = np.zeros(len(observations.symbols)), np.zeros(len(observations.symbols))
    for block in observations.blocks:
        weight = weigh(block.ages)
        sums[block.columns] = weight @ block.returns
        weights[block.columns] = weight @ block.alive
    centred = observations.centred(sums / weights)
    total = centred.total(lambda block: (block.returns * weigh(block.ages)[:, None], block.partners))
    covariance = symmetric(total) / np.maximum(observations.shared(weigh), 1e-300)
    return with_average_correlation(covariance, observations.common)


def gerber(observations: Observations) -> Floats:
    """Return the covariance of the Gerber statistic (Gerber, Markowitz, Ernst, Miao, Javid & Sargen 2022).

    A correlation is (moves together − moves apart) / (rows − rows in which neither moves), where a move is more
    than half a standard deviation. Needs returns on one grid.
    """
    values = _joint(observations, "gerber")
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    deviation = np.sqrt(np.diag(sample(observations)))
    threshold = GERBER_THRESHOLD * deviation / observations.root
    up, down = (filled >= threshold).astype(float), (filled <= -threshold).astype(float)
    neither = (known & (up + down == 0)).astype(float)
    mask = known.astype(float)
    rows = mask.T @ mask - neither.T @ neither
    balance = (up - down).T @ (up - down)
    correlation = balance / np.maximum(rows, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return with_average_correlation(correlation * np.outer(deviation, deviation), observations.common)


def semicovariance(observations: Observations) -> Floats:
    """Return E[min(r, 0) min(r', 0)], the downside's part of the second moment (Estrada 2008).

    About half a covariance in size: its volatilities are downside deviations. Needs returns on one grid.
    """
    values = _joint(observations, "semicovariance")
    known = np.isfinite(values)
    falls = np.where(known, np.minimum(values, 0.0), 0.0) * observations.root
    if (still := (falls == 0.0).all(axis=0)).any():
        names = [each for each, rose in zip(observations.symbols, still, strict=True) if rose]
        raise UserError(f"no semicovariance can be estimated for {', '.join(names)}: no return below zero")
    mask = known.astype(float)
    shared = mask.T @ mask
    return with_average_correlation(falls.T @ falls / np.maximum(shared, 1.0), shared)


def _joint(observations: Observations, name: str) -> Floats:
    if observations.joint is None:
        raise UserError(f"{name} needs returns on one grid; use weekly, overlapping or synchronised ones")
    return observations.joint


Estimator = Callable[[Observations], Floats]
ESTIMATORS: dict[str, Estimator] = {
    "sample": sample,
    "ewma": ewma,
    "ledoit_wolf": ledoit_wolf,
    "ledoit_wolf_single_factor": ledoit_wolf_single_factor,
    "ledoit_wolf_identity": ledoit_wolf_identity,
    "oas": oracle_approximating,
    "gerber": gerber,
    "semicovariance": semicovariance,
    "denoised": denoised,
    "detoned": detoned,
    "factor_model": factor_model,
}
ONE_GRID = frozenset({"gerber", "semicovariance"})  # they count joint moves, which leads and lags do not have
