"""`screener sweep`: many variants of a theme's backtest at once, and whether the best is more than luck."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.backtest import YearsOption
from screener.cli.options import JsonOption, parse_date, with_request
from screener.cli.portfolio import Words, chosen_themes, load
from screener.cli.show import (
    Column,
    counting,
    finish,
    number,
    percent,
    print_banner,
    print_json,
    print_table,
    say,
    tell,
)

if TYPE_CHECKING:
    from screener.api import Market, Request, SweepOutcome
    from screener.backtest.sweep_summary import SweepSummary

HEADERS = {
    "method": "Method",
    "lookback_weeks": "Weeks",
    "estimator": "Covariance",
    "max_weight": "Cap",
    "limits": "Further limits",
    "rebalance": "Rebalance",
    "execution": "At",
    "costs": "Costs",
}
CONFIDENCE = 0.95
WIDEST = 78  # characters of a line of the paragraph


@with_request
def sweep(
    request: Request,
    theme: Annotated[str, typer.Argument(help="A theme.")],
    grid: Annotated[
        Path,
        typer.Option("--grid", metavar="FILE", help="TOML: method, lookback_weeks, rebalance … as lists."),
    ],
    workers: Annotated[
        str, typer.Option("--workers", metavar="N|tcp://…", help="Processes, or a Dask scheduler.")
    ] = "1",
    years: YearsOption = 5,
    start: Annotated[
        Any, typer.Option("--from", parser=parse_date, metavar="DATE", help="First decision.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="[default: outputs/sweeps/<theme>-<hash>]"),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Heatmap of Sharpe ratios.")
    ] = None,
    axes: Annotated[
        str,
        typer.Option(
            "--axes", metavar="ROWS,COLUMNS", help="Of the heatmap. [default: the two that matter most]"
        ),
    ] = "",
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--ledger",
            envvar="SCREENER_LEDGER",
            help="The ledger of trials. [default: beside the price store]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Backtest every combination of a grid. Example: screener sweep magnets --grid grid.toml --source sample."""
    from screener.api import BacktestSettings, SweepOptions, read_grid
    from screener.api import sweep as run
    from screener.backtest.executors import parse_workers
    from screener.cli.trials import default_ledger

    parse_workers(workers)
    universe, (chosen,) = chosen_themes(request, [theme], Words("", None, None, None))
    points = read_grid(grid, universe, chosen)
    _check_plot(plot, axes)
    market = load(request)
    options = SweepOptions(workers, output, ledger or default_ledger())
    with counting(f"{len(points):,} variants") as show:
        outcome = run(market, chosen, points, BacktestSettings(years=years, start=start), options, show)
    if outcome.changed:
        tell(
            f"{outcome.folder}: older results are of other inputs ({', '.join(outcome.changed)}); all done anew"
        )
    if outcome.sweep.picked_up:
        tell(f"{outcome.sweep.picked_up:,} of {len(points):,} variants were there from an earlier run")
    if plot is not None:
        _write_plot(plot, axes, outcome, _label(market, chosen.label))
    if as_json:
        print_json("sweep", market, _record(outcome))
    else:
        _print(market, outcome, theme)
        for path in (*([plot] if plot else []), outcome.folder):
            say(str(path))
    finish(market, quietly=as_json)


def _check_plot(plot: Path | None, axes: str) -> None:
    """Refuse what cannot be drawn before anything is fetched."""
    from screener.backtest.sweep_grid import DIMENSIONS
    from screener.errors import UserError, unknown

    if plot is not None and plot.suffix.lower() != ".svg":
        raise UserError(f"--plot {plot}: write a name that ends in .svg")
    words = [each.strip() for each in axes.split(",")] if axes else []
    if axes and (len(words) != 2 or words[0] == words[1]):
        raise UserError(f"--axes {axes!r}: write two settings, such as method,rebalance")
    if bad := [unknown("--axes", each, list(DIMENSIONS)) for each in words if each not in DIMENSIONS]:
        raise UserError(*bad)


def _write_plot(plot: Path, axes: str, outcome: SweepOutcome, label: str) -> None:
    from screener.backtest.sweep_summary import pivot
    from screener.errors import UserError
    from screener.report.heatmap import heatmap_svg

    rows, columns = _axes(axes, outcome.summary)
    summary = outcome.summary
    title = f"{label}: mean Sharpe ratio"
    count = int(summary.table["sharpe_common"].notna().sum())
    note = f"{count:,} variants, {summary.first} to {summary.last}, after costs"
    drawn = heatmap_svg(
        pivot(summary.table, rows, columns), title, note, rows=HEADERS[rows], columns=HEADERS[columns]
    )
    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--plot {plot} cannot be written: {error.strerror}") from None


def _label(market: Market, label: str) -> str:
    return f"SYNTHETIC PRICES, {label}" if market.panel.synthetic else label


def _axes(axes: str, summary: SweepSummary) -> tuple[str, str]:
    """Return the two settings asked for, or those whose values differ most in their mean Sharpe ratio."""
    if axes:
        rows, columns = (each.strip() for each in axes.split(","))
        return rows, columns
    reach = {key: float(each["mean"].max() - each["mean"].min()) for key, each in summary.spread.items()}
    most = sorted(reach, key=lambda key: -reach[key])[:2]
    rest = [each for each in ("method", "rebalance") if each not in most]
    rows, columns = (most + rest)[:2]
    return rows, columns


def _print(market: Market, outcome: SweepOutcome, theme: str) -> None:
    print_banner(market)
    summary = outcome.summary
    table, varied = summary.table, list(summary.spread)
    columns = [Column(""), *(Column(HEADERS[each], 0, flexible=True) for each in varied)]
    columns += [Column("CAGR", 0, True), Column("Vol", 3, True), Column("Sharpe", 0, True)]
    columns += [Column("Max fall", 0, True), Column("Turnover", 2, True), Column("Cost", 1, True)]
    lowest = str(table["sharpe_common"].idxmin())
    rows = [
        [name, *(_value(table, key, each) for each in varied), *_figures(table, key)]
        for name, key in (("best", summary.best), ("median", summary.median), ("lowest", lowest))
    ]
    print_table(columns, rows)
    if varied:
        say()
        columns = [Column("Setting"), Column("Value", flexible=True), Column("Variants", 0, True)]
        columns += [Column(each, 0, True) for each in ("Mean Sharpe", "Lowest", "Highest")]
        rows = []
        for dimension, spread in summary.spread.items():
            for at, (value, row) in enumerate(spread.iterrows()):
                shown = _shown(dimension, value)
                numbers = [number(float(row[each])) for each in ("mean", "lowest", "highest")]
                rows.append(["" if at else HEADERS[dimension], shown, f"{int(row['variants']):,}", *numbers])
        print_table(columns, rows)
    say()
    for line in textwrap.wrap(" ".join(sentences(summary, theme)), WIDEST):
        say(line)
    notes = table.loc[table["note"] != "", "note"]
    for note, count in notes.value_counts().items():
        say(f"{count} without a record: {note}")


def sentences(summary: SweepSummary, theme: str) -> list[str]:
    """Return what survives of a sweep, in plain words, a sentence each."""
    table = summary.table
    best, median = table["sharpe_common"].loc[[summary.best, summary.median]].tolist()
    count = int(table["sharpe_common"].notna().sum())
    other = f"; {summary.benchmark} had {number(summary.benchmark_sharpe)}" if summary.benchmark else ""
    lines = [
        f"{theme}: {count:,} variants, {summary.first} to {summary.last}, after costs.",
        f"The best has a Sharpe ratio of {number(best)}, the median {number(median)}{other}.",
    ]
    if summary.overfitting is not None:
        chance = percent(summary.overfitting.probability, signed=False, digits=0)
        splits = f"{len(summary.overfitting.logits):,}"
        lines.append(
            f"Chosen on one half of the time, the best fell among the lower half of the variants on the other half "
            f"in {chance} of {splits} splits (the probability of backtest overfitting)."
        )
    if summary.superiority is not None:
        p_value = number(summary.superiority.p_value, 3)
        against = summary.benchmark or "cash"
        lines.append(
            f"If no variant truly beat {against}, a lead this large would come with p = {p_value} (SPA)."
        )
    if math.isfinite(summary.deflated_sharpe):
        before = percent(summary.probabilistic_sharpe, signed=False, digits=0)
        after = percent(summary.deflated_sharpe, signed=False, digits=0)
        search = summary.search
        lines.append(
            f"Taken alone, the best one's true Sharpe ratio is above 0 with {before}; after {search.trials:,} variants "
            f"tried, worth {search.effective:.1f} independent ones, with {after} (deflated)."
        )
    return [*lines, _verdict(summary)]


def _verdict(summary: SweepSummary) -> str:
    beats = summary.superiority is not None and summary.superiority.p_value <= 1 - CONFIDENCE
    skill = summary.deflated_sharpe >= CONFIDENCE
    stable = summary.overfitting is not None and summary.overfitting.probability < 0.5
    against = summary.benchmark or "cash"
    if skill and beats and stable:
        return f"What survives: a Sharpe above 0 and a lead over {against} that luck rarely brings."
    if skill and beats:
        return f"What survives: a lead over {against}, but not the choice of this variant over the others."
    if skill:
        return f"What survives: a Sharpe above 0. A lead over {against} is not shown."
    if beats:
        return f"What survives: a lead over {against}. A Sharpe above 0 is not shown after the search."
    return "What survives: nothing that luck and the search could not have brought."


def _value(table: Any, key: str, dimension: str) -> str:
    return _shown(dimension, table.loc[key, dimension])


def _shown(dimension: str, value: Any) -> str:
    return f"{100 * value:g}%" if dimension == "max_weight" else str(value)


def _figures(table: Any, key: str) -> list[str]:
    row = table.loc[key]
    return [
        percent(row["cagr"]),
        percent(row["volatility"], signed=False),
        number(row["sharpe_common"]),
        percent(-row["maximum_drawdown"]),
        percent(row["turnover_per_year"], signed=False, digits=0),
        percent(row["cost_drag"], signed=False, digits=2),
    ]


def _record(outcome: SweepOutcome) -> dict[str, Any]:
    from dataclasses import asdict

    summary = outcome.summary

    def judged(value: Any) -> dict[str, Any] | None:
        return None if value is None else {k: v for k, v in asdict(value).items() if k != "logits"}

    table = summary.table.reset_index().astype(object)
    return {
        "folder": str(outcome.folder),
        "picked_up": outcome.sweep.picked_up,
        "changed_inputs": list(outcome.changed),
        "first": summary.first,
        "last": summary.last,
        "best": summary.best,
        "median": summary.median,
        "benchmark": summary.benchmark,
        "benchmark_sharpe": summary.benchmark_sharpe,
        "overfitting": judged(summary.overfitting),
        "superior_predictive_ability": judged(summary.superiority),
        "search": judged(summary.search),
        "probabilistic_sharpe": summary.probabilistic_sharpe,
        "deflated_sharpe": summary.deflated_sharpe,
        "spread": {
            key: each.rename_axis("value").reset_index().to_dict("records")
            for key, each in summary.spread.items()
        },
        "variants": table.to_dict("records"),
    }
