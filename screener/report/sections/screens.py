"""The screens: who passes in which order, and why the others do not."""

from __future__ import annotations

from screener.report.blocks import Block, Cell, Column, Heading, Section, Table
from screener.report.figures import Figures
from screener.report.model import WeeklyInputs
from screener.report.sections.cells import percent_cell, ratio_cell, return_cell, symbol_cell
from screener.report.words import millions
from screener.screening.rules import ScreenResult, describe


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return the names that pass each screen, ranked, and the rest with reasons."""
    say = figures.words
    blocks: list[Block] = []
    for result in inputs.screens:
        spec = inputs.universe.screens[result.screen]
        rules = ", ".join(describe(rule) for rule in spec.rules)
        counts = say("screens.counts", passing=len(result.rank), judged=len(result.metrics), rules=rules)
        blocks.append(Heading(spec.label, counts, result.screen))
        if len(result.rank):
            blocks.append(_passed(inputs, figures, result))
        if result.reasons:
            blocks.append(_failed(inputs, figures, result))
    return Section("screens", say("screens.title"), say("screens.lead"), tuple(blocks))


def _passed(inputs: WeeklyInputs, figures: Figures, result: ScreenResult) -> Table:
    say = figures.words
    rows = []
    for symbol, rank in result.rank.items():
        name = str(symbol)
        each = inputs.universe.instruments[name]
        stage = inputs.universe.segments[each.segment].label

        def metric(key: str, name: str = name) -> float:
            return float(result.metrics[key][name])

        rows.append(
            (
                Cell(str(rank), float(rank)),
                symbol_cell(inputs, figures, name),
                Cell(each.name, each.name, "name"),
                Cell(stage, stage, "stage"),
                Cell("", "", "sparkcell", figures.sparks.get(name, "")),
                return_cell(metric("return_1w"), "1w"),
                return_cell(metric("return_3m"), "3m"),
                return_cell(metric("momentum_12_1"), "1y"),
                percent_cell(metric("volatility")),
                percent_cell(-metric("max_drawdown")),
                ratio_cell(metric("beta")),
                Cell(millions(metric("adv"))),
            )
        )
    columns = [
        Column(say("columns.rank"), number=True),
        Column(say("columns.symbol")),
        Column(say("columns.name")),
    ]
    columns += [Column(say("columns.stage")), Column(say("columns.half_year"))]
    columns += [Column(say(f"horizons.{name}"), number=True) for name in ("1w", "3m", "12−1")]
    columns += [Column(say(f"columns.{name}"), number=True) for name in ("volatility", "fall", "beta")]
    columns += [Column(say("columns.adv", currency=inputs.run.base_currency), number=True)]
    return Table(tuple(columns), tuple(rows), filtered=True, sortable=True)


def _failed(inputs: WeeklyInputs, figures: Figures, result: ScreenResult) -> Table:
    say = figures.words
    rows = tuple(
        (
            symbol_cell(inputs, figures, symbol),
            Cell(inputs.universe.instruments[symbol].name, "", "name"),
            Cell("; ".join(reasons)),
        )
        for symbol, reasons in sorted(result.reasons.items())
    )
    columns = (Column(say("columns.symbol")), Column(say("columns.name")), Column(say("columns.reason")))
    return Table(columns, rows, caption=say("screens.failed", count=len(rows)), folded=True)
