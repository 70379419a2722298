"""The use cases: refresh, screen, build, backtest, weekly. The command line and notebooks both call these.

    from datetime import UTC, date, datetime
    import screener.api as sc

    market = sc.load_market(sc.Request(as_of=date(2026, 7, 10), now=datetime(2026, 7, 11, tzinfo=UTC), source="sample"))
    sc.screen(market).rank
    sc.build(market, "magnets").weights
    sc.backtest(market, "magnets").performance

This is the only module that joins prices with the calculations. It reads no clock and no environment; both
come in with the Request.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from screener.backtest.engine import Backtest, benchmark_wealth, decide_schedule, simulate
from screener.backtest.performance import Performance, summarise
from screener.backtest.schedule import rebalance_dates
from screener.backtest.validity import assess
from screener.errors import UserError, raise_all, unknown
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
from screener.portfolio.build import BuildSettings, Known, Rebalance, drifted
from screener.portfolio.build import build as build_portfolio
from screener.portfolio.costs import Costs
from screener.portfolio.explain import RiskReport, explain_rebalance
from screener.portfolio.market_orders import orders, shares_to_weights
from screener.portfolio.theme_words import theme_problems
from screener.portfolio.weighting import METHODS, TODAY_ONLY, method_named
from screener.report.model import RunFacts, ThemeResult, WeeklyInputs, WeeklyReport, assemble
from screener.report.plot import CHARTS, drawn
from screener.report.render import Forms, write_report
from screener.screening.check import screen_problems
from screener.screening.history import ScreenHistory
from screener.screening.market_screen import ScreenSettings, check_screen, screen, screen_histories
from screener.screening.metrics import Position
from screener.universe.load import load_universe
from screener.universe.model import Instrument, Theme, Universe, theme_named

__all__ = [
    "BacktestSettings",
    "BuildSettings",
    "Forms",
    "Known",
    "Market",
    "Position",
    "Progress",
    "Rebalance",
    "Request",
    "RiskReport",
    "ScreenSettings",
    "Stated",
    "ThemeResult",
    "WeeklyOutcome",
    "backtest",
    "build",
    "check_screen",
    "check_theme",
    "check_universe",
    "default_store",
    "explain",
    "export_prices",
    "import_prices",
    "judge",
    "load_fundamentals",
    "load_market",
    "lock_holder",
    "orders",
    "plot",
    "refresh",
    "screen",
    "screen_histories",
    "shares_to_weights",
    "status",
    "theme_named",
    "unknown",
    "weekly",
    "word_problems",
]
LIBRARIES = ("pandas", "numpy", "scipy", "pyportfolioopt", "yfinance", "exchange_calendars", "duckdb")
HISTORY_WEEKS = 13  # of screens in the weekly report
FEWEST_SESSIONS = 60  # a shorter backtest says nothing, and the report says so instead


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """How a theme is walked forward."""

    frequency: str = "monthly"  # weekly, monthly, quarterly
    cost_bps: float = 15.0
    years: int = 5  # back from the as-of date
    start: date | None = None  # overrides years


@dataclass(frozen=True, eq=False, slots=True)
class WeeklyOutcome:
    """What one weekly run wrote, and what was missing."""

    folder: Path
    market: Market
    report: WeeklyReport
    inputs: WeeklyInputs


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
    return _decide(market, chosen, settings or BuildSettings(), day, known)


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
        lambda changed: _decide(market, chosen, changed, day, known),
    )


def backtest(
    market: Market,
    theme: str | Theme,
    settings: BacktestSettings | None = None,
    build_settings: BuildSettings | None = None,
) -> ThemeResult:
    """Walk a theme forward with the same `build` as the live proposal, beside its benchmark."""
    chosen = theme_named(market.universe, theme) if isinstance(theme, str) else theme
    settings, build_settings = settings or BacktestSettings(), build_settings or BuildSettings()
    if chosen.method in TODAY_ONLY:
        raise UserError(
            f"{chosen.method} is known of today only and cannot be backtested; build {chosen.key} with it"
        )
    costs = Costs(settings.cost_bps)
    today = build(market, chosen, build_settings)
    dates = rebalance_dates(
        market.panel.sessions,
        settings.frequency,
        start=_first_decision(market, settings),
        end=market.request.as_of,
    )
    schedule = decide_schedule(dates, _walk(market, chosen, build_settings))
    symbols = tuple(each.symbol for each in _members(market, chosen, market.request.as_of))
    if not schedule:
        span = f"{_first_decision(market, settings)} and {market.request.as_of}"
        nothing = f"no {settings.frequency} rebalance falls between {span}"
    else:
        nothing = "no member has enough history for a backtest"
    result = ThemeResult(chosen, symbols, today, None, None, chosen.benchmark, None, None, "")
    invested = next((each for each in schedule if len(each.weights)), None)
    if invested is None:
        return replace(result, note=nothing)
    # the record starts with the first portfolio, not with the years of cash before it
    schedule = tuple(each for each in schedule if each.decided_on >= invested.decided_on)
    run = simulate(schedule, market.panel, costs, market.recoveries)
    if len(run.wealth) < FEWEST_SESSIONS:
        return replace(
            result, note=f"only {len(run.wealth)} sessions of history; a backtest needs {FEWEST_SESSIONS}"
        )
    against = (
        benchmark_wealth(market.panel, chosen.benchmark, pd.DatetimeIndex(run.wealth.index))
        if chosen.benchmark
        else None
    )
    return replace(
        result,
        backtest=run,
        performance=_performance_of(run, against),
        validity=assess(run.wealth, against),
        benchmark_wealth=against,
        benchmark_performance=None if against is None else summarise(against),
        note=""
        if against is not None or not chosen.benchmark
        else f"{chosen.benchmark} has no prices over the backtest",
    )


def weekly(
    request: Request,
    output: Path,
    settings: BacktestSettings | None = None,
    build_settings: BuildSettings | None = None,
    progress: Progress | None = None,
    forms: Forms | None = None,
) -> WeeklyOutcome:
    """Write the weekly report into output/<year>-W<week>/<universe>/ and return what was written.

    forms: its language, and whether a PDF and a message are made too. Nothing is written unless every step before it
    succeeded; an older report there is replaced whole.
    """
    settings, build_settings = settings or BacktestSettings(), build_settings or BuildSettings()
    forms = forms or Forms()
    forms.check()
    market = load_market(request, progress)
    histories = screen_histories(market, market.universe.screens, HISTORY_WEEKS)
    themes = tuple(backtest(market, key, settings, build_settings) for key in market.universe.themes)
    inputs = _weekly_inputs(market, settings, build_settings, forms, themes, histories)
    report = assemble(inputs)
    year, week, _ = request.as_of.isocalendar()
    folder = write_report(report, output / f"{year}-W{week:02d}" / market.universe.key, forms)
    return WeeklyOutcome(folder, market, report, inputs)


def plot(
    market: Market,
    chart: str,
    theme: str = "",
    language: str = "en",
    settings: BacktestSettings | None = None,
) -> str:
    """Return one of CHARTS as an SVG for slides; theme: whose growth or risk is drawn.

    Raises UserError for an unknown chart, theme or language, and where there is nothing to draw.
    """
    if chart not in CHARTS:
        raise UserError(unknown("chart", chart, list(CHARTS)))
    if chart != "chain" and not theme:
        raise UserError(f"plot {chart} needs --theme; choose one of {', '.join(market.universe.themes)}")
    settings, forms = settings or BacktestSettings(), Forms(language)
    forms.check()
    results = (backtest(market, theme, settings),) if theme else ()
    return drawn(chart, _weekly_inputs(market, settings, BuildSettings(), forms, results, {}))


def _weekly_inputs(
    market: Market,
    settings: BacktestSettings,
    build_settings: BuildSettings,
    forms: Forms,
    themes: tuple[ThemeResult, ...],
    histories: Mapping[str, ScreenHistory],
) -> WeeklyInputs:
    return WeeklyInputs(
        run=_run_facts(market, settings, build_settings, forms),
        universe=market.universe,
        panel=market.panel,
        states=market.states,
        failures=market.failures,
        findings=market.findings,
        screens=tuple(each.latest for each in histories.values()),
        histories=histories,
        themes=themes,
        warnings=market.warnings,
        language=forms.language,
    )


def _members(market: Market, theme: Theme, on: date) -> tuple[Instrument, ...]:
    return market.universe.members(theme, on)


def _decide(
    market: Market, theme: Theme, settings: BuildSettings, on: date, known: Known | None = None
) -> Rebalance:
    """Decide a theme's portfolio at the end of a date; live and backtest both come through here."""
    mics = {symbol: each.mic for symbol, each in market.universe.benchmarks.items()}
    known = replace(known or Known(), benchmark_mics=mics)
    return build_portfolio(theme, _members(market, theme, on), market.panel.until(on), settings, known)


def _walk(market: Market, theme: Theme, settings: BuildSettings) -> Callable[[date], Rebalance]:
    """Return the decision on one date after another, each knowing what the one before has drifted to."""
    last: list[Rebalance] = []

    def decide(day: date) -> Rebalance:
        held = drifted(last[-1], market.panel.until(day)) if last and len(last[-1].weights) else None
        last[:] = [_decide(market, theme, settings, day, Known(held))]
        return last[-1]

    return decide


def _first_decision(market: Market, settings: BacktestSettings) -> date:
    if settings.start is not None:
        return settings.start
    return (pd.Timestamp(market.request.as_of) - pd.DateOffset(years=settings.years)).date()


def _performance_of(run: Backtest, against: pd.Series | None) -> Performance:
    return summarise(run.wealth, benchmark=against, gross=run.gross, turnover=run.turnover)


def _run_facts(market: Market, settings: BacktestSettings, built: BuildSettings, forms: Forms) -> RunFacts:
    request = market.request
    return RunFacts(
        version=version("screener"),
        command=_command(request, settings, forms),
        generated_at=request.now,
        as_of=request.as_of,
        base_currency=request.base,
        source=request.source,
        source_identity=market.source_identity,
        synthetic=market.panel.synthetic,
        universe_hash=market.universe.content_hash(),
        prices_hash=market.prices_hash,
        settings={
            "rebalance": settings.frequency,
            "costs": f"{settings.cost_bps:g} bps of value traded",
            "backtest from": str(_first_decision(market, settings)),
            "covariance": f"{built.estimator}, {built.lookback_weeks} weeks",
            "minimum history": f"{built.min_history_weeks} weeks",
            "benchmark of betas": market.benchmark or "none",
            "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        },
    )


def _command(request: Request, settings: BacktestSettings, forms: Forms) -> str:
    """Return the command line that makes the same report again."""
    words = ["screener", "weekly", "--source", request.source, "--as-of", str(request.as_of)]
    defaults = BacktestSettings()
    extras = {
        "--universe": (request.universe, "rare_earth_ai"),
        "--prices": (request.prices, None),
        "--base": (request.base, "USD"),
        "--benchmark": (request.benchmark, ""),
        "--since": (request.since, date(2015, 1, 1)),
        "--as-of-fetch": (request.known_at and request.known_at.isoformat(), None),
        "--rebalance": (settings.frequency, defaults.frequency),
        "--cost-bps": (settings.cost_bps, defaults.cost_bps),
        "--years": (settings.years, defaults.years),
        "--lang": (forms.language, "en"),
    }
    for flag, (value, usual) in extras.items():
        if value != usual:
            words += [flag, str(value)]
    return shlex.join(words)
