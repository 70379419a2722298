"""Estimate a covariance of returns. Weighting and limits come later (see portfolio)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


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
        if list(self.matrix.index) != list(self.matrix.columns) or not self.matrix.index.is_monotonic_increasing:
            raise ValueError("rows and columns must carry the same symbols, sorted")
        if not np.isfinite(values).all() or np.abs(values - values.T).max(initial=0.0) > 1e-12:
            raise ValueError("a covariance must be finite and symmetric")
        if len(values) and np.linalg.eigvalsh(values)[0] <= 0:
            raise ValueError("a covariance must be positive definite")
