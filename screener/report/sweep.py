"""Sweep a theme of a market: every point of a grid backtested, judged together, and written as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from screener.backtest.executors import parse_workers
from screener.backtest.sweep import Ground
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.sweep_ledger import record_sweep
from screener.backtest.sweep_run import Progress, Sweep, inputs_of, run_sweep
from screener.backtest.sweep_store import SweepFolder, digest
from screener.backtest.sweep_summary import SweepSummary, returns_table, summarise_sweep
from screener.backtest.theme import BacktestSettings
from screener.market.load import Market
from screener.portfolio.build import BuildSettings
from screener.portfolio.market_build import check_theme
from screener.report.tables import write_table
from screener.universe.model import Theme, theme_named

DECIDE_BITS = ("numpy", "scipy", "pandas")  # libraries whose version may change a last digit
SWEEPS = Path("outputs") / "sweeps"


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


def sweep(
    market: Market,
    theme: str | Theme,
    points: Sequence[GridPoint],
    settings: BacktestSettings | None = None,
    options: SweepOptions | None = None,
    progress: Progress | None = None,
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
        search = record_sweep(options.ledger, market, chosen, found, settings, BuildSettings())
    prices = ground.panel.prices
    benchmark = prices[chosen.benchmark].ffill() if chosen.benchmark in prices.columns else None
    summary = summarise_sweep(found, benchmark, search)
    synthetic = market.panel.synthetic
    write_table(summary.table.reset_index(), folder.path / "results.parquet", synthetic)
    write_table(returns_table(found).reset_index(), folder.path / "returns.parquet", synthetic)
    return SweepOutcome(folder.path, found, summary, changed)
