"""Theme and panel become a Rebalance: who is eligible, how they are weighted, which limits bind.

The live proposal and the backtest both call `build`; the only difference is the date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How weights are made, apart from what the theme says."""

    estimator: str = "ledoit_wolf"
    lookback_weeks: int = 104
    min_history_weeks: int = 26
    min_adv: float = 0.0  # base currency, mean of 63 sessions; 0: no floor


@dataclass(frozen=True, eq=False, slots=True)
class Rebalance:
    """Target weights decided at the end of a date, from nothing later.

    weights: N, fractions of wealth by symbol, sorted, zero weights left out; Σ weights + cash = 1 to 1e-9.
    risk_contributions: N, fractions of portfolio variance, same index as weights, summing to 1 (empty if no weights).
    volatility: predicted, annualised fraction (NaN if no weights).
    limits_bound: sentences such as "MP at its cap of 10 %".
    rejected: symbol → why a member of the theme got no weight.
    """

    theme: str
    decided_on: date
    method: str
    weights: pd.Series
    cash: float
    risk_contributions: pd.Series
    volatility: float
    limits_bound: tuple[str, ...]
    rejected: Mapping[str, str]

    def __post_init__(self) -> None:
        if abs(float(self.weights.sum()) + self.cash - 1.0) > 1e-9:
            raise ValueError("weights and cash must sum to one")
        if (self.weights <= 0).any() or self.cash < -1e-9:
            raise ValueError("weights must be positive and cash not negative")
        if not self.weights.index.is_monotonic_increasing or self.weights.index.has_duplicates:
            raise ValueError("symbols must be sorted and unique")
