"""The use cases: refresh, screen, build, backtest, weekly. The command line and notebooks both call these.

    from datetime import UTC, date, datetime
    import screener.api as sc

    market = sc.load_market(sc.Request(as_of=date(2026, 7, 10), now=datetime(2026, 7, 11, tzinfo=UTC), source="sample"))
    sc.screen(market).rank
    sc.build(market, "magnets").weights
    sc.backtest(market, "magnets").performance

Each is a function of its own module, gathered here: what can be asked of a market, and nothing beneath. It reads no
clock and no environment; both come in with the Request.
"""

from __future__ import annotations

from pathlib import Path

from screener.backtest.event_study import (
    EventStudy,
    Selection,
    StudySettings,
    chosen_events,
    event_study,
    event_table,
)
from screener.backtest.market_backtest import backtest
from screener.backtest.stress_test import (
    StressAsk,
    StressReport,
    check_stress,
    everything_stressed,
    stress,
    stress_table,
    stress_tables,
)
from screener.backtest.sweep_grid import read_grid
from screener.backtest.theme import BacktestSettings, ThemeResult
from screener.backtest.theme_honesty import HonestySettings, audit_theme
from screener.errors import unknown
from screener.market.earnings import EarningsDates
from screener.market.fundamentals import Stated, load_fundamentals
from screener.market.load import (
    Market,
    Progress,
    Request,
    default_store,
    export_prices,
    import_prices,
    judge,
    load_market,
    refresh,
    status,
)
from screener.market.store_lock import lock_holder
from screener.portfolio.build import BuildSettings, Known, Rebalance
from screener.portfolio.explain import RiskReport
from screener.portfolio.market_build import build, check_theme, explain
from screener.portfolio.market_orders import orders, shares_to_weights
from screener.portfolio.theme_words import theme_problems
from screener.portfolio.weighting import METHODS
from screener.report.event_chart import draw_events
from screener.report.render import Forms
from screener.report.reproduce import Places, Reproduction, reproduce
from screener.report.sweep import SweepOptions, SweepOutcome, sweep
from screener.report.weekly import WeeklyOutcome, plot, weekly
from screener.screening.check import screen_problems
from screener.screening.market_screen import ScreenSettings, check_screen, screen, screen_histories
from screener.screening.metrics import Position
from screener.universe.load import load_universe
from screener.universe.model import Universe, theme_named

__all__ = [
    "BacktestSettings",
    "BuildSettings",
    "EarningsDates",
    "EventStudy",
    "Forms",
    "HonestySettings",
    "Known",
    "Market",
    "Places",
    "Position",
    "Progress",
    "Rebalance",
    "Reproduction",
    "Request",
    "RiskReport",
    "ScreenSettings",
    "Selection",
    "Stated",
    "StressAsk",
    "StressReport",
    "StudySettings",
    "SweepOptions",
    "SweepOutcome",
    "ThemeResult",
    "WeeklyOutcome",
    "audit_theme",
    "backtest",
    "build",
    "check_screen",
    "check_stress",
    "check_theme",
    "check_universe",
    "chosen_events",
    "default_store",
    "draw_events",
    "event_study",
    "event_table",
    "everything_stressed",
    "explain",
    "export_prices",
    "import_prices",
    "judge",
    "load_fundamentals",
    "load_market",
    "lock_holder",
    "orders",
    "plot",
    "read_grid",
    "refresh",
    "reproduce",
    "screen",
    "screen_histories",
    "shares_to_weights",
    "status",
    "stress",
    "stress_table",
    "stress_tables",
    "sweep",
    "theme_named",
    "unknown",
    "weekly",
    "word_problems",
]


def check_universe(folder: Path) -> Universe:
    """Return the universe of a folder, whose themes and screens ask for nothing that does not exist.

    Raises UserError with a line for every fault of every file, in one pass.
    """
    return load_universe(folder, word_problems)


def word_problems(universe: Universe) -> dict[tuple[str, str], list[str]]:
    """Return what the words of themes and screens get wrong, by file and table; the universe may have other faults."""
    problems = {}
    for theme in universe.themes.values():
        method = [] if theme.method in METHODS else [unknown("method", theme.method, list(METHODS))]
        problems["themes.toml", theme.key] = method + theme_problems(universe, theme)
    for spec in universe.screens.values():
        problems["screens.toml", spec.key] = screen_problems(universe, spec)
    return problems
