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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

from screener.backtest.event_study import (
    EventStudy,
    Selection,
    StudySettings,
    chosen_events,
    event_study,
    event_table,
)
from screener.backtest.executors import parse_workers
from screener.backtest.stress_test import (
    StressAsk,
    StressReport,
    check_stress,
    everything_stressed,
    stress,
    stress_table,
    stress_tables,
)
from screener.backtest.sweep import Ground
from screener.backtest.sweep_grid import GridPoint, read_grid
from screener.backtest.sweep_run import Progress as SweepProgress
from screener.backtest.sweep_run import Sweep, inputs_of, run_sweep
from screener.backtest.sweep_store import SweepFolder, digest
from screener.backtest.sweep_summary import SweepSummary, returns_table, summarise_sweep
from screener.backtest.theme import BacktestSettings, ThemeResult, walk_theme
from screener.backtest.theme_honesty import HonestySettings, audit_theme, theme_honesty
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
from screener.portfolio.build import BuildSettings, Known, Rebalance
from screener.portfolio.build import build as build_portfolio
from screener.portfolio.explain import RiskReport, explain_rebalance
from screener.portfolio.market_orders import orders, shares_to_weights
from screener.portfolio.theme_words import theme_problems
from screener.portfolio.weighting import METHODS, method_named
from screener.report.event_chart import draw_events
from screener.report.model import RunFacts, WeeklyInputs, WeeklyReport, assemble
from screener.report.plot import CHARTS, drawn
from screener.report.render import Forms, write_report
from screener.report.tables import write_table
from screener.screening.check import screen_problems
from screener.screening.history import ScreenHistory
from screener.screening.market_screen import ScreenSettings, check_screen, screen, screen_histories
from screener.screening.metrics import Position
from screener.universe.load import load_universe
from screener.universe.model import Theme, Universe, theme_named

__all__ = [
    "BacktestSettings",
    "BuildSettings",
    "EventStudy",
    "Forms",
    "HonestySettings",
    "Known",
    "Market",
    "Position",
    "Progress",
    "Rebalance",
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
LIBRARIES = ("pandas", "numpy", "scipy", "pyportfolioopt", "yfinance", "exchange_calendars", "duckdb")
DECIDE_BITS = ("numpy", "scipy", "pandas")  # libraries whose version may change a last digit
HISTORY_WEEKS = 13  # of screens in the weekly report
WEEKLY_BASKETS = 200  # random ones beside each theme; `screener backtest` draws 1,000
SWEEPS = Path("outputs") / "sweeps"


@dataclass(frozen=True, eq=False, slots=True)
class WeeklyOutcome:
    """What one weekly run wrote, and what was missing."""

    folder: Path
    market: Market
    report: WeeklyReport
    inputs: WeeklyInputs


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How a sweep is worked. workers: see executors.parse_workers. output: a folder; None: one of SWEEPS, named after
    the theme and a hash of what decides the results. ledger: where every variant is recorded; None: nowhere.
    """

    workers: str = "1"
    output: Path | None = None
    ledger: Path | None = None


@dataclass(frozen=True, eq=False, slots=True)
class SweepOutcome:
    """What a sweep came to and where it is kept. changed: inputs that an older sweep in the folder did not have."""

    folder: Path
    sweep: Sweep
    summary: SweepSummary
    changed: tuple[str, ...]


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
    look: HonestySettings | None = None,
) -> ThemeResult:
    """Walk a theme forward with the same `build` as the live proposal, beside what else could have been held.

    look: how its record is judged; None: it is not, and no ledger counts it as a trial.
    """
    chosen = theme_named(market.universe, theme) if isinstance(theme, str) else theme
    check_theme(market.universe, chosen)
    settings, build_settings = settings or BacktestSettings(), build_settings or BuildSettings()
    result = walk_theme(market, chosen, settings, build_settings)
    if look is None:
        return result
    return replace(result, honesty=theme_honesty(market, result, settings, build_settings, look))


def sweep(
    market: Market,
    theme: str | Theme,
    points: Sequence[GridPoint],
    settings: BacktestSettings | None = None,
    options: SweepOptions | None = None,
    progress: SweepProgress | None = None,
) -> SweepOutcome:
    """Backtest every point of a grid, keep each finished task, and write results.parquet and returns.parquet.

    settings: the span, costs by kind and capital that all points share. A second run picks up what is there, unless
    something that decides it has changed. Raises UserError for a folder that cannot be used, ScreenerError when no
    point can be backtested or workers keep dying.
    """
    chosen = theme_named(market.universe, theme) if isinstance(theme, str) else theme
    check_theme(market.universe, chosen)
    settings, options = settings or BacktestSettings(), options or SweepOptions()
    workers = parse_workers(options.workers)
    ground = Ground.of(market, chosen, settings, BuildSettings())
    inputs = inputs_of(ground, market, {name: version(name) for name in ("screener", *DECIDE_BITS)})
    folder = SweepFolder(options.output or SWEEPS / f"{chosen.key}-{digest(inputs)}", inputs)
    changed = folder.open()
    found = run_sweep(ground, points, workers, folder, progress)
    search = None
    if options.ledger is not None:
        from screener.backtest.sweep_ledger import record_sweep

        search = record_sweep(options.ledger, market, chosen, found)
    prices = ground.panel.prices
    benchmark = prices[chosen.benchmark].ffill() if chosen.benchmark in prices.columns else None
    summary = summarise_sweep(found, benchmark, search)
    synthetic = market.panel.synthetic
    write_table(summary.table.reset_index(), folder.path / "results.parquet", synthetic)
    write_table(returns_table(found).reset_index(), folder.path / "returns.parquet", synthetic)
    return SweepOutcome(folder.path, found, summary, changed)


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
    look = HonestySettings(request.ledger, baskets=WEEKLY_BASKETS, days=1)
    histories = screen_histories(market, market.universe.screens, HISTORY_WEEKS)
    themes = tuple(backtest(market, key, settings, build_settings, look) for key in market.universe.themes)
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
        stress=stress_tables(
            market, {each.theme.key: each.rebalance.weights for each in themes if len(each.rebalance.weights)}
        ),
    )


def _decide(
    market: Market, theme: Theme, settings: BuildSettings, on: date, known: Known | None = None
) -> Rebalance:
    """Decide a theme's portfolio at the end of a date; live and backtest both come through here."""
    mics = {symbol: each.mic for symbol, each in market.universe.benchmarks.items()}
    known = replace(known or Known(), benchmark_mics=mics)
    return build_portfolio(theme, market.universe.members(theme, on), market.panel.until(on), settings, known)


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
            "costs": settings.cost_words(),
            "backtest from": str(settings.first(request.as_of)),
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
