"""Themes against benchmarks: what each backtest earned over the usual horizons, beside its benchmark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from screener.report.blocks import Block, Cell, Column, Name, Paragraph, Rows, Section, Table
from screener.report.charts import SPARK_POINTS
from screener.report.measures import HORIZONS, wealth_returns, weekly
from screener.report.standing import label_of, label_of_theme, mark_of
from screener.report.words import Wording, wording

if TYPE_CHECKING:
    import pandas as pd

    from screener.backtest.performance import Performance
    from screener.backtest.theme import ThemeResult
    from screener.report.model import WeeklyInputs


def section(inputs: WeeklyInputs) -> Section:
    """Return the table of themes and benchmarks."""
    say = wording(inputs.language)
    tested = [each for each in inputs.themes if each.backtest is not None]
    ahead, judged = ahead_of_benchmark(inputs)
    lead = say("record.lead", ahead=ahead, judged=judged) if judged else say("record.lead_empty")
    if not inputs.themes:
        return Section("record", say("record.title"), say("themes.none"), ())
    rows = tuple(_theme_row(inputs, each) for each in inputs.themes)
    against = tuple(_benchmark_row(inputs, each) for each in _longest_by_benchmark(inputs))
    table = Table(
        title=say("record.table", currency=inputs.panel.base_currency),
        columns=_columns(say),
        groups=(Rows(rows), Rows(against)),
        note=say("record.note"),
    )
    return Section("record", say("record.title"), lead, (table, *_hindsight(say, tested)))


def ahead_of_benchmark(inputs: WeeklyInputs, horizon: str = "year") -> tuple[int, int]:
    """Return how many themes beat their benchmark over a horizon, and how many can be compared."""
    differences = [
        wealth_returns(each.backtest.wealth, inputs.panel.as_of)[horizon]
        - wealth_returns(each.benchmark_wealth, inputs.panel.as_of)[horizon]
        for each in inputs.themes
        if each.backtest is not None and each.benchmark_wealth is not None
    ]
    known = [each for each in differences if math.isfinite(each)]
    return sum(each > 0 for each in known), len(known)


def _columns(say: Wording) -> tuple[Column, ...]:
    horizons = tuple(Column(say(f"horizon.{key}"), "change", scale) for key, scale in HORIZONS.items())
    return (
        Column(say("column.portfolio"), "name"),
        Column(say("column.six_months"), "spark"),
        *horizons,
        Column(say("column.since"), "date"),
        Column(say("column.volatility"), "share"),
        Column(say("column.sharpe"), "ratio"),
        Column(say("column.worst_fall"), "share"),
    )


def _theme_row(inputs: WeeklyInputs, result: ThemeResult) -> tuple[Cell, ...]:
    wealth = None if result.backtest is None else result.backtest.wealth
    return _row(inputs, Name(label_of_theme(inputs, result), ""), wealth, result.performance)


def _benchmark_row(inputs: WeeklyInputs, result: ThemeResult) -> tuple[Cell, ...]:
    each = inputs.universe.benchmarks.get(result.benchmark)
    name = Name(
        result.benchmark,
        "" if each is None else label_of(each, inputs.language),
        mark_of(inputs, result.benchmark),
    )
    return _row(inputs, name, result.benchmark_wealth, result.benchmark_performance)


def _row(
    inputs: WeeklyInputs, name: Name, wealth: pd.Series | None, performance: Performance | None
) -> tuple[Cell, ...]:
    if wealth is None or not len(wealth):
        return (name, (), *(None for _ in HORIZONS), None, None, None, None)
    returns = wealth_returns(wealth, inputs.panel.as_of)
    points = weekly(wealth, inputs.panel.as_of).iloc[-SPARK_POINTS:]
    figures: tuple[Cell, ...] = (None, None, None, None)
    if performance is not None:
        figures = (
            performance.start,
            performance.volatility,
            performance.sharpe_ratio,
            -performance.maximum_drawdown,
        )
    return (name, tuple(points.tolist()), *returns.values(), *figures)


def _longest_by_benchmark(inputs: WeeklyInputs) -> list[ThemeResult]:
    """Return for each benchmark the theme result that shows it over the longest time."""
    longest: dict[str, ThemeResult] = {}
    for each in inputs.themes:
        if each.benchmark_wealth is None:
            continue
        seen = longest.get(each.benchmark)
        if (
            seen is None
            or seen.benchmark_wealth is None
            or len(each.benchmark_wealth) > len(seen.benchmark_wealth)
        ):
            longest[each.benchmark] = each
    return [longest[key] for key in sorted(longest)]


def _hindsight(say: Wording, tested: list[ThemeResult]) -> tuple[Block, ...]:
    """Say from when on each theme's record is more than hindsight."""
    if not tested:
        return ()
    dates = sorted({each.theme.known_from for each in tested if each.theme.known_from is not None})
    if not dates:
        return (Paragraph(say("record.hindsight_all"), "note"),)
    first, last = say.prose_day(dates[0]), say.prose_day(dates[-1])
    span = first if len(dates) == 1 else say("record.span", first=first, last=last)
    return (Paragraph(say("record.hindsight", span=span), "note"),)
