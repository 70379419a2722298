"""The screens: who passes and how they rank, who does not and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from screener.report.blocks import Block, Cell, Column, Details, Group, Paragraph, Rows, Section, Table
from screener.report.charts import SPARK_POINTS
from screener.report.measures import value_at, weekly_table
from screener.report.sections.chain import stage_label
from screener.report.standing import named
from screener.report.words import Wording, wording
from screener.screening.rules import rule_name
from screener.screening.words import describe

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs
    from screener.screening.history import ScreenHistory
    from screener.screening.rules import ScreenResult

# The metrics shown beside each name where a screen has them: metric → kind of column, strongest colour.
SHOWN = {
    "return_1w": ("change", 0.10),
    "return_3m": ("change", 0.30),
    "momentum_12_1": ("change", 0.60),
    "volatility": ("share", 0.0),
    "max_drawdown": ("share", 0.0),
    "beta": ("ratio", 0.0),
    "adv": ("money", 0.0),
}


def section(inputs: WeeklyInputs) -> Section:
    """Return a part for every screen."""
    say = wording(inputs.language)
    title = say("screen.title")
    if not inputs.screens:
        return Section("screen", title, say("screen.none"), ())
    first = inputs.screens[0]
    lead = say(
        "screen.lead",
        passed=len(first.rank),
        judged=len(first.metrics),
        screen=screen_label(inputs, first.screen),
    )
    sparks = weekly_table(inputs.panel.prices, inputs.panel.as_of, SPARK_POINTS - 1)
    parts = tuple(_part(inputs, each, sparks, say) for each in inputs.screens)
    return Section("screen", title, lead, parts)


def screen_label(inputs: WeeklyInputs, key: str) -> str:
    """Return a screen's label in the language of the report."""
    spec = inputs.universe.screens.get(key)
    if spec is None:
        return key
    return spec.label_ja if inputs.language == "ja" else spec.label


def _part(inputs: WeeklyInputs, result: ScreenResult, sparks: pd.DataFrame, say: Wording) -> Group:
    blocks: list[Block] = []
    if len(result.rank):
        blocks.append(_passed(inputs, result, sparks, say))
    else:
        blocks.append(Paragraph(say("screen.nothing_passes"), "warning"))
    if len(result.passed.columns):
        blocks.append(_rules(result, say))
    history = inputs.histories.get(result.screen)
    if history is not None and history.entered:
        blocks.append(_moves(inputs, history, say))
    if result.near:
        blocks.append(_near(inputs, result, say))
    if result.reasons:
        blocks.append(_failed(inputs, result, say))
    finding = say("screen.finding", passed=len(result.rank), judged=len(result.metrics))
    return Group(f"screen-{result.screen}", screen_label(inputs, result.screen), finding, tuple(blocks))


def _passed(inputs: WeeklyInputs, result: ScreenResult, sparks: pd.DataFrame, say: Wording) -> Table:
    metrics = [each for each in SHOWN if each in result.metrics.columns]
    rows: list[tuple[Cell, ...]] = []
    for symbol, rank in result.rank.sort_values().items():
        key = str(symbol)
        line = tuple(sparks[key].tolist()) if key in sparks.columns else ()
        figures = tuple(_figure(value_at(result.metrics, key, each), each) for each in metrics)
        segment = inputs.universe.instruments[key].segment
        score = float(result.score[key])
        rows.append((int(rank), named(inputs, key), stage_label(inputs, segment), line, *figures, score))
    return Table(
        title=say("screen.passed", currency=inputs.panel.base_currency),
        columns=(
            Column(say("column.rank"), "count"),
            Column(say("column.name"), "name"),
            Column(say("column.stage"), "text"),
            Column(say("column.six_months"), "spark"),
            *(Column(_metric_label(each, say), SHOWN[each][0], SHOWN[each][1]) for each in metrics),
            Column(say("column.score"), "ratio", note=say("column.score_note")),
        ),
        groups=(Rows(tuple(rows)),),
        sortable=True,
        filterable=True,
        tall=True,
    )


def _metric_label(metric: str, say: Wording) -> str:
    labels = {
        "return_1w": say("horizon.week"),
        "return_3m": say("horizon.quarter"),
        "momentum_12_1": say("column.momentum"),
        "volatility": say("column.volatility"),
        "max_drawdown": say("column.worst_fall"),
        "beta": say("column.beta"),
        "adv": say("column.adv"),
    }
    return labels[metric]


def _figure(value: float, metric: str) -> float:
    return -abs(value) if metric == "max_drawdown" else value


def _rules(result: ScreenResult, say: Wording) -> Table:
    """Each rule, and how many names it turns away."""
    in_words = {rule_name(rule): describe(rule) for rule in result.spec.rules}
    rows = tuple(
        (in_words.get(str(rule), str(rule)), int(column.sum()), int((~column).sum()))
        for rule, column in result.passed.astype(bool).items()
    )
    columns = (
        Column(say("column.rule"), "text"),
        Column(say("column.pass"), "count"),
        Column(say("column.fail"), "count"),
    )
    return Table(say("screen.rules"), columns, (Rows(rows),))


def _moves(inputs: WeeklyInputs, history: ScreenHistory, say: Wording) -> Table:
    """How many passed on each date, newest first, and who came and went."""
    passing = dict(zip(history.dates, history.passed.to_numpy().sum(axis=1).tolist(), strict=True))

    def named_list(symbols: tuple[str, ...]) -> str:
        return say.listed(symbols) if symbols else ""

    rows = tuple(
        (day, passing[day], named_list(history.entered[day]), named_list(history.left[day]))
        for day in reversed(history.entered)
    )
    columns = (
        Column(say("column.date"), "date"),
        Column(say("column.pass"), "count"),
        Column(say("column.entered"), "text"),
        Column(say("column.left"), "text"),
    )
    newest = next(reversed(history.entered))
    title = say(
        "screen.moves", entered=len(history.entered[newest]), left=len(history.left[newest]), weeks=len(rows)
    )
    return Table(title, columns, (Rows(rows),))


def _near(inputs: WeeklyInputs, result: ScreenResult, say: Wording) -> Table:
    rows = tuple((named(inputs, symbol), "; ".join(result.reasons[symbol])) for symbol in result.near)
    columns = (Column(say("column.name"), "name"), Column(say("column.why"), "text"))
    return Table(say.count("screen.near", len(rows)), columns, (Rows(rows),))


def _failed(inputs: WeeklyInputs, result: ScreenResult, say: Wording) -> Details:
    rows = tuple(
        (named(inputs, symbol), "; ".join(reasons)) for symbol, reasons in sorted(result.reasons.items())
    )
    columns = (Column(say("column.name"), "name"), Column(say("column.why"), "text"))
    return Details(say.count("screen.failed", len(rows)), (Table("", columns, (Rows(rows),)),))
