"""Theme and panel become a Rebalance: who is eligible, how they are weighted, which limits bind.

The live proposal and the backtest both call `build`; the only difference is the date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError, UserError
from screener.market.currency import major_unit
from screener.market.panel import PricePanel
from screener.market.returns import weekly_returns
from screener.portfolio.decide import decide_weights, theme_limits
from screener.portfolio.eligible import EligibilitySettings, average_values, rejections
from screener.portfolio.frontier import View
from screener.portfolio.index_rule import Candidate
from screener.portfolio.region import Names, Region
from screener.portfolio.risk_budget import parse_budgets
from screener.portfolio.weighting import Case, method_named
from screener.risk.covariance import CovarianceSettings, estimate_panel_covariance
from screener.screening.metrics import ADV_SESSIONS
from screener.universe.model import Instrument, Theme
from screener.universe.purity import BOUNDS

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
        if abs(float(self.weights.sum()) + self.cash - 1.0) > 1e-9:
            raise ValueError("weights and cash must sum to one")
        if (self.weights <= 0).any() or self.cash < -1e-9:
            raise ValueError("weights must be positive and cash not negative")
        if not self.weights.index.is_monotonic_increasing or self.weights.index.has_duplicates:
            raise ValueError("symbols must be sorted and unique")


def build(
    theme: Theme,
    members: Sequence[Instrument],
    panel: PricePanel,
    settings: BuildSettings,
    known: Known | None = None,
) -> Rebalance:
    """Decide a theme's portfolio at the end of the panel's last session, by the theme's method and limits.

    members: the theme's instruments listed on that date. Callers cut the panel to what was known
    (`panel.until`); nothing else is looked at. Without an eligible name everything is cash, and said so.
    Raises UserError for an unknown method or estimator, and for limits that no portfolio keeps.
    """
    if not len(panel.sessions):
        raise ValueError("a portfolio cannot be decided on an empty panel")
    known = known or Known()
    decided_on = panel.sessions[-1].date()
    instruments = {each.symbol: each for each in sorted(members, key=lambda each: each.symbol)}
    returns = _returns(panel, [symbol for symbol in instruments if symbol in panel.prices.columns], settings)
    rejected = rejections(
        list(instruments), panel, returns, EligibilitySettings(settings.min_history_weeks, settings.min_adv)
    )
    eligible = [each for symbol, each in instruments.items() if symbol not in rejected]
    if not eligible:
        return _all_cash(
            theme, decided_on, rejected, f"none of {len(instruments)} members is eligible: all in cash"
        )
    try:
        case = _case(theme, eligible, panel, returns, settings, known)
        decided = decide_weights(case, method_named(theme.method))
    except ScreenerError as error:
        raise type(error)(*(f"{theme.key}, {decided_on}: {each}" for each in error.problems)) from None
    return _rebalance(theme, decided_on, case, decided, rejected)


def _case(
    theme: Theme,
    eligible: Sequence[Instrument],
    panel: PricePanel,
    returns: pd.DataFrame,
    settings: BuildSettings,
    known: Known,
) -> Case:
    """Gather what a method weighs: covariance, limits and what else it may look at of the eligible names."""
    symbols = [each.symbol for each in eligible]
    limits = theme_limits(theme)
    benchmarks = {each.key or theme.benchmark for each in limits if each.subject == "tracking error"}
    joint = _joint_covariance(panel, eligible, _benchmark(benchmarks, panel, known, symbols), settings)
    values = known.market_values
    return Case(
        covariance=joint[: len(eligible), : len(eligible)],
        region=Region(_names(eligible, panel, settings, known, joint), limits),
        returns=returns[symbols].to_numpy(),
        budgets=parse_budgets(theme.risk_budgets),
        market_values=None if values is None else np.array([values.get(each, np.nan) for each in symbols]),
        views=known.views,
        candidates=_candidates(eligible, panel, known) if theme.method == "index_rule" else (),
        index_rule=settings.index_rule,
    )


def drifted(last: Rebalance, panel: PricePanel) -> dict[str, float]:
    """Return what the weights of a rebalance have become by the panel's last session, trading nothing since.

    A name without a price any more is carried at its last one.
    """
    symbols = list(last.weights.index)
    prices = panel.prices[symbols].iloc[panel.sessions.searchsorted(pd.Timestamp(last.decided_on)) :]
    growth = prices.ffill().iloc[-1] / prices.iloc[0]
    worth = last.weights * growth.fillna(1.0)
    total = float(worth.sum()) + last.cash
    return {str(symbol): float(value) / total for symbol, value in worth.items()}


def _rebalance(
    theme: Theme,
    decided_on: date,
    case: Case,
    decided: tuple[Floats, tuple[str, ...]],
    rejected: Mapping[str, str],
) -> Rebalance:
    weights, said = decided
    names = case.region.names.symbols
    marginal = case.covariance @ weights
    variance = float(weights @ marginal)
    kept = weights > 0
    symbols = pd.Index([symbol for symbol, keep in zip(names, kept, strict=True) if keep], dtype="str")
    unweighted = {s: "the method gives it no weight" for s, keep in zip(names, kept, strict=True) if not keep}
    cash = max(0.0, 1.0 - float(weights.sum()))
    if not kept.any():
        return _all_cash(theme, decided_on, {**rejected, **unweighted}, *said)
    return Rebalance(
        theme=theme.key,
        decided_on=decided_on,
        method=theme.method,
        weights=pd.Series(weights[kept], index=symbols),
        cash=cash,
        risk_contributions=pd.Series((weights * marginal / variance)[kept], index=symbols),
        volatility=float(np.sqrt(variance)),
        limits_bound=said,
        rejected={**rejected, **unweighted},
        region=case.region,
    )


def _returns(panel: PricePanel, symbols: list[str], settings: BuildSettings) -> pd.DataFrame:
    """Return the weekly returns of the lookback, from a slice of the panel no longer than needed."""
    first = panel.sessions[-1] - pd.Timedelta(weeks=settings.lookback_weeks + 2)
    start = int(panel.sessions.searchsorted(first))
    return weekly_returns(panel.prices[symbols].iloc[start:], settings.lookback_weeks)


def _benchmark(
    symbols: set[str], panel: PricePanel, known: Known, names: Sequence[str]
) -> tuple[str, str] | None:
    """Return the symbol and market of the benchmark that limits on tracking error name, None without such limits."""
    if not symbols:
        return None
    if len(symbols) > 1 or not all(symbols):
        raise UserError("a limit on tracking error needs one benchmark: write tracking error to SPY <= 6%")
    (symbol,) = symbols
    if symbol not in panel.prices.columns or symbol not in known.benchmark_mics:
        raise UserError(f"tracking error to {symbol}: it has no prices here")
    if symbol in names:
        raise UserError(f"tracking error to {symbol}: a member of the theme cannot be its benchmark")
    return symbol, known.benchmark_mics[symbol]


def covariance_settings(settings: BuildSettings, instruments: Sequence[Instrument]) -> CovarianceSettings:
    """Return how a covariance is estimated for a build."""
    return CovarianceSettings(
        settings.estimator,
        lookback_weeks=settings.lookback_weeks,
        segments={each.symbol: each.segment for each in instruments},
    )


def _joint_covariance(
    panel: PricePanel,
    instruments: Sequence[Instrument],
    benchmark: tuple[str, str] | None,
    settings: BuildSettings,
) -> Floats:
    """Return the covariance of the names, with the benchmark of a limit on tracking error last."""
    order = [each.symbol for each in instruments]
    mics = {each.symbol: each.mic for each in instruments}
    if benchmark is not None:
        symbol, mics[benchmark[0]] = benchmark
        known = int(_returns(panel, [symbol], settings)[symbol].count())
        if known < settings.min_history_weeks:
            raise UserError(f"tracking error to {symbol}: it has only {known} weekly returns")
        order.append(symbol)
    how = covariance_settings(settings, instruments)
    return estimate_panel_covariance(panel, mics, how).matrix.loc[order, order].to_numpy()


def _names(
    instruments: Sequence[Instrument],
    panel: PricePanel,
    settings: BuildSettings,
    known: Known,
    covariance: Floats,
) -> Names:
    """Gather what limits need to know of the eligible names."""
    symbols = tuple(each.symbol for each in instruments)
    held = None
    sold = 0.0
    if known.held is not None:
        held = np.array([known.held.get(symbol, 0.0) for symbol in symbols])
        sold = float(sum(weight for symbol, weight in known.held.items() if symbol not in symbols))
    return Names(
        symbols,
        {
            "issuer": tuple(each.issuer for each in instruments),
            "segment": tuple(each.segment for each in instruments),
            "country": tuple(each.domicile for each in instruments),
            "currency": tuple(major_unit(each.currency)[0] for each in instruments),
            "dependence": tuple(each.china_dependence for each in instruments),
        },
        held,
        sold,
        average_values(panel, list(symbols)) if settings.capital > 0 else None,
        settings.capital,
        covariance,
    )


def _candidates(instruments: Sequence[Instrument], panel: PricePanel, known: Known) -> tuple[Candidate, ...]:
    """Gather what an index rule asks of names at this review and the two before, each a quarter of sessions earlier.

    Past sizes are today's market value times the change of the price: shares issued since are not known.
    """
    if known.market_values is None:
        return ()
    symbols = [each.symbol for each in instruments]
    ends = [end for back in (0, 1, 2) if (end := len(panel.sessions) - back * ADV_SESSIONS) > 0]
    traded = [average_values(panel, symbols, end) for end in ends]
    closes = [panel.close[symbols].iloc[end - 1].to_numpy(dtype=float) for end in ends]
    day = panel.sessions[-1].date()
    found = []
    for place, each in enumerate(instruments):
        value = known.market_values.get(each.symbol, float("nan"))
        shell = each.predecessor_kind == "shell" and each.listed_from is not None
        found.append(
            Candidate(
                symbol=each.symbol,
                purity=sum(BOUNDS[each.purity]) / 2,
                sizes=tuple(float(value * close[place] / closes[0][place]) for close in closes),
                traded=tuple(float(values[place]) for values in traded),
                days_since_shell=(day - each.listed_from).days if shell and each.listed_from else None,
            )
        )
    return tuple(found)


def _all_cash(theme: Theme, decided_on: date, rejected: Mapping[str, str], *reasons: str) -> Rebalance:
    nothing = pd.Series(dtype=float, index=pd.Index([], dtype="str"))
    return Rebalance(
        theme.key, decided_on, theme.method, nothing, 1.0, nothing, float("nan"), reasons, rejected
    )
