"""Theme and panel become a Rebalance: who is eligible, how they are weighted, which limits bind.

The live proposal and the backtest both call `build`; the only difference is the date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from screener.market.panel import PricePanel
from screener.market.returns import weekly_returns
from screener.portfolio.limits import Limits, project
from screener.portfolio.weighting import method_named
from screener.risk.covariance import CovarianceSettings, estimate_panel_covariance
from screener.universe.model import Instrument, Theme

ADV_SESSIONS = 63


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


def build(
    theme: Theme, members: Sequence[Instrument], panel: PricePanel, settings: BuildSettings
) -> Rebalance:
    """Decide a theme's portfolio at the end of the panel's last session, by the theme's method and caps.

    members: the theme's instruments listed on that date. Callers cut the panel to what was known
    (`panel.until`); nothing else is looked at. Without an eligible name everything is cash, and said so.
    Raises UserError for an unknown method or estimator.
    """
    method = method_named(theme.method)
    if not len(panel.sessions):
        raise ValueError("a portfolio cannot be decided on an empty panel")
    decided_on = panel.sessions[-1].date()
    instruments = {each.symbol: each for each in sorted(members, key=lambda each: each.symbol)}
    returns = _returns(panel, [symbol for symbol in instruments if symbol in panel.prices.columns], settings)
    rejected = _rejections(list(instruments), panel, returns, settings)
    held = [symbol for symbol in instruments if symbol not in rejected]
    if not held:
        return _all_cash(
            theme, decided_on, rejected, f"none of {len(instruments)} members is eligible: all in cash"
        )

    covariance = estimate_panel_covariance(
        panel,
        {symbol: instruments[symbol].mic for symbol in held},
        CovarianceSettings(
            settings.estimator,
            lookback_weeks=settings.lookback_weeks,
            segments={symbol: instruments[symbol].segment for symbol in held},
        ),
    )
    matrix = covariance.matrix.to_numpy()
    limits = Limits(
        symbols=tuple(held),
        issuers=tuple(instruments[symbol].issuer for symbol in held),
        segments=tuple(instruments[symbol].segment for symbol in held),
        max_weight=theme.max_weight,
        max_segment_weight=theme.max_segment_weight,
    )
    weights, cash, bound = project(method(matrix, limits), limits)
    marginal = matrix @ weights
    variance = float(weights @ marginal)
    kept = weights > 0
    symbols = pd.Index([symbol for symbol, keep in zip(held, kept, strict=True) if keep], dtype="str")
    unweighted = {s: "the method gives it no weight" for s, keep in zip(held, kept, strict=True) if not keep}
    return Rebalance(
        theme=theme.key,
        decided_on=decided_on,
        method=theme.method,
        weights=pd.Series(weights[kept], index=symbols),
        cash=cash,
        risk_contributions=pd.Series((weights * marginal / variance)[kept], index=symbols),
        volatility=float(np.sqrt(variance)),
        limits_bound=bound,
        rejected={**rejected, **unweighted},
    )


def _returns(panel: PricePanel, symbols: list[str], settings: BuildSettings) -> pd.DataFrame:
    """Return the weekly returns of the lookback, from a slice of the panel no longer than needed."""
    first = panel.sessions[-1] - pd.Timedelta(weeks=settings.lookback_weeks + 2)
    start = int(panel.sessions.searchsorted(first))
    return weekly_returns(panel.prices[symbols].iloc[start:], settings.lookback_weeks)


def _rejections(
    symbols: list[str], panel: PricePanel, returns: pd.DataFrame, settings: BuildSettings
) -> dict[str, str]:
    """Say why each member that cannot be held is left out, with its numbers."""
    values = returns.to_numpy()
    known = np.isfinite(values)
    weeks = known.sum(axis=0)
    highest = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    lowest = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    priced = np.isfinite(panel.prices[returns.columns].iloc[-1].to_numpy())
    value = panel.value_traded[returns.columns].iloc[-ADV_SESSIONS:].mean().to_numpy()
    position = {symbol: number for number, symbol in enumerate(returns.columns)}
    rejected = {}
    for symbol in symbols:
        number = position.get(symbol)
        if number is None:
            rejected[symbol] = "no prices"
        elif not priced[number]:
            rejected[symbol] = f"no current price on {panel.sessions[-1].date()}"
        elif weeks[number] < settings.min_history_weeks:
            rejected[symbol] = f"{weeks[number]} weekly returns, fewer than {settings.min_history_weeks}"
        elif highest[number] == lowest[number]:
            rejected[symbol] = "its price does not move"
        elif reason := _too_thin(float(value[number]), settings.min_adv, panel.base_currency):
            rejected[symbol] = reason
    return rejected


def _too_thin(value: float, floor: float, currency: str) -> str:
    """Say how an average daily value falls short of a floor, "" when it does not or none is asked for."""
    if floor <= 0 or value >= floor:
        return ""
    if not np.isfinite(value):
        return "volume unknown, so its average daily value cannot be judged"
    return f"average daily value {value / 1e6:,.2f} M {currency} is below {floor / 1e6:,.2f} M"


def _all_cash(theme: Theme, decided_on: date, rejected: Mapping[str, str], reason: str) -> Rebalance:
    nothing = pd.Series(dtype=float, index=pd.Index([], dtype="str"))
    return Rebalance(
        theme.key, decided_on, theme.method, nothing, 1.0, nothing, float("nan"), (reason,), rejected
    )
