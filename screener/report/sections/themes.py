"""The themes beside their benchmarks: one line each."""

from __future__ import annotations

import pandas as pd

from screener.backtest.performance import Performance
from screener.report.blocks import Cell, Column, Section, Table
from screener.report.charts import sparkline, weekly
from screener.report.figures import HORIZONS, SPARK_WEEKS, Figures, series_returns
from screener.report.model import WeeklyInputs
from screener.report.sections.cells import horizon_columns, percent_cell, ratio_cell, return_cell


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return a table of every theme and every benchmark that one is judged by."""
    say = figures.words
    rows = []
    shown: set[str] = set()
    for each in inputs.themes:
        wealth = None if each.backtest is None else each.backtest.wealth
        rows.append(_row(each.theme.label, "", wealth, each.performance))
    for each in inputs.themes:
        if each.benchmark and each.benchmark not in shown and each.benchmark_wealth is not None:
            shown.add(each.benchmark)
            name = inputs.universe.benchmarks[each.benchmark].name
            rows.append(
                _row(
                    f"{each.benchmark} {name}", "benchmark", each.benchmark_wealth, each.benchmark_performance
                )
            )
    columns = [Column(say("themes.portfolio")), Column(say("themes.half_year"))]
    columns += horizon_columns(figures)
    columns += [Column(say(f"themes.{name}"), number=True) for name in ("volatility", "sharpe", "drawdown")]
    table = Table(tuple(columns), tuple(rows), sortable=True)
    return Section(
        "themes", say("themes.title"), say("themes.lead", currency=inputs.run.base_currency), (table,)
    )


def _row(label: str, css: str, wealth: pd.Series | None, performance: Performance | None) -> tuple[Cell, ...]:
    returns = series_returns(wealth)
    spark = "" if wealth is None else sparkline(weekly(wealth).to_numpy()[-SPARK_WEEKS:])
    nan = float("nan")
    figures = (
        (nan, nan, nan)
        if performance is None
        else (performance.volatility, performance.sharpe_ratio, -performance.maximum_drawdown)
    )
    return (
        Cell(label, label, f"name {css}".strip()),
        Cell("", "", "sparkcell", spark),
        *(return_cell(float(returns[name]), name) for name in HORIZONS),
        percent_cell(figures[0]),
        ratio_cell(figures[1]),
        percent_cell(figures[2]),
    )
