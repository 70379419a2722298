"""What is decided of a theme's portfolio, from which settings and on what knowledge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.panel import PricePanel
from screener.portfolio.frontier import View
from screener.portfolio.region import Region

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How weights are made, apart from what the theme says."""

    estimator: str = "ledoit_wolf"
    lookback_weeks: int = 104
    min_history_weeks: int = 26
    min_adv: float = 0.0  # base currency, mean of 63 sessions; 0: no floor
    index_rule: str = "remx_like"  # for the method of that name: one of index_rules.toml, or FILE:NAME
    capital: float = 0.0  # base currency, for limits on the share of ADV; 0: not stated


@dataclass(frozen=True, slots=True)
class Known:
    """What is known on the day beside prices.

    held: symbol → fraction of wealth now; None: nothing is known to be held, so limits on trading do not apply.
    market_values: symbol → base currency, of today only. views: for Black–Litterman.
    """

    held: Mapping[str, float] | None = None
    market_values: Mapping[str, float] | None = None
    views: tuple[View, ...] = ()
    benchmark_mics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Rebalance:
    """Target weights decided at the end of a date, from nothing later.

    weights: N, fractions of wealth by symbol, sorted, zero weights left out; Σ weights + cash = 1 to 1e-9.
    risk_contributions: N, fractions of portfolio variance, same index as weights, summing to 1 (empty if no weights).
    volatility: predicted, annualised fraction (NaN if no weights).
    limits_bound: a sentence for each limit that binds or does not apply, such as "issuer <= 10% binds for MP".
    rejected: symbol → why a member of the theme got no weight.
    region: the limits on the eligible names, for what comes after (orders); None when nobody is eligible.
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
    region: Region | None = None

    def __post_init__(self) -> None:
        weights = self.weights.to_numpy()
        if abs(float(weights.sum()) + self.cash - 1.0) > 1e-9:
            raise ValueError("weights and cash must sum to one")
        if (weights <= 0).any() or self.cash < -1e-9:
            raise ValueError("weights must be positive and cash not negative")
        if not self.weights.index.is_monotonic_increasing or self.weights.index.has_duplicates:
            raise ValueError("symbols must be sorted and unique")


def drifted(last: Rebalance, panel: PricePanel) -> dict[str, float]:
    """Return what the weights of a rebalance have become by the panel's last session, trading nothing since.

    A name without a price any more is carried at its last one.
    """
    symbols = list(last.weights.index)
    start = int(panel.sessions.searchsorted(pd.Timestamp(last.decided_on)))
    prices = panel.prices[symbols].to_numpy(dtype=float)[start:]
    return dict(zip(symbols, grown(last.weights.to_numpy(), prices).tolist(), strict=True))


def grown(weights: Floats, prices: Floats) -> Floats:
    """Return what N weights have become, the rest being cash. prices: T × N, from the session of the decision on."""
    known = np.isfinite(prices)
    newest = len(prices) - 1 - known[::-1].argmax(axis=0)
    growth = prices[newest, np.arange(prices.shape[1])] / prices[0]
    worth = weights * np.where(np.isfinite(growth), growth, 1.0)
    return np.asarray(worth / (float(worth.sum()) + max(0.0, 1.0 - float(weights.sum()))))
