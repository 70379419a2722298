"""Backtest a theme of a market, and judge its record."""

from __future__ import annotations

from dataclasses import replace

from screener.backtest.shared import Shared
from screener.backtest.theme import BacktestSettings, ThemeResult, walk_theme
from screener.backtest.theme_honesty import HonestySettings, theme_honesty
from screener.market.load import Market
from screener.portfolio.build import BuildSettings
from screener.portfolio.market_build import check_theme
from screener.universe.model import Theme, theme_named


def backtest(
    market: Market,
    theme: str | Theme,
    settings: BacktestSettings | None = None,
    build_settings: BuildSettings | None = None,
    look: HonestySettings | None = None,
    shared: Shared | None = None,
) -> ThemeResult:
    """Walk a theme forward with the same `build` as the live proposal, beside what else could have been held.

    look: how its record is judged; None: it is not, and no ledger counts it as a trial.
    shared: of the themes of this market that are backtested with the same settings.
    """
    chosen = theme_named(market.universe, theme) if isinstance(theme, str) else theme
    check_theme(market.universe, chosen)
    settings, build_settings = settings or BacktestSettings(), build_settings or BuildSettings()
    result = walk_theme(market, chosen, settings, build_settings, shared)
    if look is None:
        return result
    return replace(result, honesty=theme_honesty(market, result, settings, build_settings, look, shared))
