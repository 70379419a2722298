"""Every listed name by segment, upstream to downstream."""

from __future__ import annotations

from screener.report.blocks import Cell, Column, Section, Table
from screener.report.figures import HORIZONS, Figures
from screener.report.model import WeeklyInputs
from screener.report.sections.cells import (
    horizon_columns,
    percent_cell,
    return_cell,
    symbol_cell,
)
from screener.report.words import millions, price


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return one table of all names, sortable and filterable."""
    say = figures.words
    metrics = inputs.screens[0].metrics if inputs.screens else None
    listed = [
        each
        for each in inputs.universe.instruments.values()
        if inputs.states[each.symbol].state not in ("delisted", "not listed")
    ]
    listed.sort(key=lambda each: (inputs.universe.segments[each.segment].order, each.symbol))
    close_of = inputs.panel.close.iloc[-1].to_dict() if len(inputs.panel.sessions) else {}
    nan = float("nan")
    rows = []
    for each in listed:
        symbol, segment = each.symbol, inputs.universe.segments[each.segment]
        held = symbol in inputs.panel.prices.columns

        def metric(key: str, symbol: str = symbol) -> float:
            return float(metrics[key][symbol]) if metrics is not None and symbol in metrics.index else nan

        close = close_of.get(symbol, nan)
        rows.append(
            (
                Cell(segment.label, float(segment.order), "stage"),
                symbol_cell(inputs, figures, symbol),
                Cell(each.name, each.name, "name"),
                Cell("", "", "sparkcell", figures.sparks.get(symbol, "")),
                Cell(price(close)),
                *(
                    return_cell(float(figures.returns[name][symbol]) if held else nan, name)
                    for name in HORIZONS
                ),
                percent_cell(metric("volatility")),
                percent_cell(-metric("max_drawdown")),
                Cell(millions(metric("adv"))),
                Cell(inputs.states[symbol].state, inputs.states[symbol].state, "state"),
            )
        )
    currency = inputs.run.base_currency
    columns = [Column(say("columns.stage")), Column(say("columns.symbol")), Column(say("columns.name"))]
    columns += [
        Column(say("columns.half_year")),
        Column(say("columns.price", currency=currency), number=True),
    ]
    columns += horizon_columns(figures)
    columns += [Column(say(f"columns.{name}"), number=True) for name in ("volatility", "fall")]
    columns += [Column(say("columns.adv", currency=currency), number=True), Column(say("columns.prices"))]
    table = Table(tuple(columns), tuple(rows), filtered=True, sortable=True)
    return Section(
        "market", say("market.title"), say("market.lead", count=len(rows), currency=currency), (table,)
    )
