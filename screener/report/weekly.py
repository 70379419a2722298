"""The weekly report of a market: prices, screens and themes computed, assembled and written; and its charts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from screener.backtest.market_backtest import backtest
from screener.backtest.shared import Shared
from screener.backtest.stress_test import stress_tables
from screener.backtest.theme import BacktestSettings, ThemeResult
from screener.backtest.theme_honesty import HonestySettings
from screener.errors import UserError, unknown
from screener.market.load import Market, Progress, Request, load_market
from screener.portfolio.build import BuildSettings
from screener.report.memory import recalled
from screener.report.model import WeeklyInputs, WeeklyReport, assemble
from screener.report.plot import CHARTS, drawn
from screener.report.render import Forms, write_report
from screener.report.run_facts import run_facts
from screener.screening.history import ScreenHistory
from screener.screening.market_screen import screen_histories

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
    succeeded; an older report there is replaced whole.
    """
    settings, build_settings = settings or BacktestSettings(), build_settings or BuildSettings()
    forms = forms or Forms()
    forms.check()
    market = load_market(request, progress)
    look = HonestySettings(request.ledger, baskets=WEEKLY_BASKETS, days=1)
    histories = screen_histories(market, market.universe.screens, HISTORY_WEEKS)
    shared = Shared()
    themes = tuple(
        backtest(market, key, settings, build_settings, look, shared) for key in market.universe.themes
    )
    inputs = _weekly_inputs(market, settings, build_settings, forms, themes, histories)
    inputs = recalled(inputs, market, output)
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
