"""A theme's portfolio from a market: decided at the end of a date with what was known then, and explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from screener.errors import UserError, raise_all
from screener.market.load import Market
from screener.portfolio.build import BuildSettings, Known, Rebalance
from screener.portfolio.build import build as build_portfolio
from screener.portfolio.explain import RiskReport, explain_rebalance
from screener.portfolio.theme_words import theme_problems
from screener.portfolio.weighting import method_named
from screener.universe.model import Theme, Universe, theme_named


def check_theme(universe: Universe, theme: Theme) -> Theme:
    """Return a theme whose method, limits and risk budgets are understood; raises UserError with a line for each."""
    method_named(theme.method)
    raise_all(theme_problems(universe, theme))
    return theme


def build(
    market: Market,
    theme: str | Theme,
    settings: BuildSettings | None = None,
    on: date | None = None,
    known: Known | None = None,
) -> Rebalance:
    """Return the theme's portfolio decided at the end of a date (default: the as-of date).

    known: what is held now, and market values and views, which are of today only.
    """
    chosen = theme_named(market.universe, theme) if isinstance(theme, str) else theme
    check_theme(market.universe, chosen)
    day = on or market.request.as_of
    if known is not None and (known.market_values or known.views) and day < market.request.as_of:
        raise UserError(f"market values and views are of today and were not known like this on {day}")
    return decide(market, chosen, settings or BuildSettings(), day, known)


def explain(
    market: Market,
    theme: str | Theme,
    rebalance: Rebalance,
    settings: BuildSettings | None = None,
    known: Known | None = None,
) -> RiskReport:
    """Return where the risk of a theme's rebalance comes from and what would move its weights.

    settings, known: those the rebalance was built with.
    """
    chosen = theme_named(market.universe, theme) if isinstance(theme, str) else theme
    day = rebalance.decided_on
    return explain_rebalance(
        market.universe,
        market.panel.until(day),
        rebalance,
        settings or BuildSettings(),
        lambda changed: decide(market, chosen, changed, day, known),
    )


def decide(
    market: Market, theme: Theme, settings: BuildSettings, on: date, known: Known | None = None
) -> Rebalance:
    """Decide a theme's portfolio at the end of a date; live and backtest both come through here."""
    mics = {symbol: each.mic for symbol, each in market.universe.benchmarks.items()}
    known = replace(known or Known(), benchmark_mics=mics)
    return build_portfolio(theme, market.universe.members(theme, on), market.panel.until(on), settings, known)
