"""The weekly report of a market: prices, screens and themes computed, assembled and written; and its charts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from screener.backtest.market_backtest import backtest
from screener.backtest.shared import Shared
from screener.backtest.stress_test import stress_tables
from screener.backtest.theme import BacktestSettings, ThemeResult
from screener.backtest.theme_honesty import HonestySettings
from screener.errors import UserError, unknown
from screener.market.earnings import load_earnings
from screener.market.load import Market, Progress, Request, load_stored, market_of
from screener.market.recall import moment_known, vendor_findings
from screener.market.statements import asker
from screener.market.store_lock import Patience
from screener.portfolio.build import BuildSettings
from screener.report.memory import recalled
from screener.report.model import WeeklyInputs, WeeklyReport, assemble
from screener.report.output_lock import output_lock
from screener.report.plot import CHARTS, drawn
from screener.report.provenance import Recipe, RunInputs, provenance_of
from screener.report.render import Forms, write_report
from screener.report.run_facts import run_facts
from screener.screening.history import ScreenHistory
from screener.screening.market_screen import screen_histories
from screener.universe.load import find_universe, load_universe

HISTORY_WEEKS = 13  # of screens in the weekly report
WEEKLY_BASKETS = 200  # random ones beside each theme; `screener backtest` draws 1,000


@dataclass(frozen=True, eq=False, slots=True)
class WeeklyOutcome:
    """What one weekly run wrote, and what was missing."""

    folder: Path
    market: Market
    report: WeeklyReport
    inputs: WeeklyInputs


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
    succeeded; an older report there is replaced whole. A second run for the same folder at the same time waits for
    request.wait seconds, then raises ScreenerError naming the process that writes it.
    """
    recipe = Recipe(
        settings or BacktestSettings(),
        build_settings or BuildSettings(),
        # trials recorded by others while this runs do not count, so that the same ones count again
        HonestySettings(request.ledger, baskets=WEEKLY_BASKETS, days=1, until=request.now),
        forms or Forms(),
    )
    recipe.forms.check()
    found = find_universe(request.universe)
    # before prices are fetched, so that what cannot be asked costs no download
    ask = asker(request, load_universe(found), "earnings") if recipe.forms.earnings else None
    year, week, _ = request.as_of.isocalendar()
    folder = output / f"{year}-W{week:02d}" / found.resolve().name
    with output_lock(folder, Patience(request.wait)):
        universe, stored = load_stored(request, progress)
        asked = sorted(universe.listed(request.as_of))
        dates = None if ask is None else load_earnings(ask, asked, request.as_of)
        market = market_of(request, universe, stored)
        stored = replace(stored, found=vendor_findings(universe, stored, request.as_of))
        run = RunInputs(request, recipe, found, universe, stored, moment_known(request, stored), dates)
        inputs, report = report_of(market, run, output)
        write_report(report, folder, recipe.forms)
    return WeeklyOutcome(folder, market, report, inputs)


def report_of(market: Market, run: RunInputs, output: Path) -> tuple[WeeklyInputs, WeeklyReport]:
    """Return the report of a market, and the values it is made from; `weekly` and `reproduce` both call this.

    output: where the reports of earlier weeks lie, of which the last is what this one is compared with.
    """
    settings, built, look, forms = (getattr(run.recipe, each.name) for each in fields(run.recipe))
    histories = screen_histories(market, market.universe.screens, HISTORY_WEEKS)
    shared = Shared()
    themes = tuple(backtest(market, key, settings, built, look, shared) for key in market.universe.themes)
    inputs = _weekly_inputs(market, settings, built, forms, themes, histories)
    inputs = replace(inputs, earnings=run.earnings)
    inputs = recalled(inputs, market, output, run.known_at)
    provenance = provenance_of(run, synthetic=market.panel.synthetic) | {"reports": _earlier(inputs)}
    inputs = replace(inputs, provenance=provenance)
    return inputs, assemble(inputs)


def _earlier(inputs: WeeklyInputs) -> dict[str, str]:
    """Return the run.json this week is compared with and its hash, and those passed over and why."""
    passed_over = {each.path: f"passed over: {each.why}" for each in inputs.passed_over}
    if inputs.changes is None:
        return passed_over
    return passed_over | {inputs.changes.previous.path: inputs.changes.previous.sha256}


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
        run=run_facts(market, settings, build_settings, forms),
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
