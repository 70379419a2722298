"""The screens: who passes and how they rank, who does not and why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from screener.report.blocks import (
    Block,
    Cell,
    Column,
    Details,
    Group,
    Name,
    Pair,
    Paragraph,
    Rows,
    Section,
    Table,
)
from screener.report.charts import SPARK_POINTS
from screener.report.measures import value_at, weekly_table
from screener.report.sections.chain import stage_label
from screener.report.standing import mark_of, named, told
from screener.report.words import Wording, wording
from screener.screening.rules import rule_name
from screener.screening.words import RULED, describe, shown

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs
    from screener.screening.history import ScreenHistory
    from screener.screening.rules import ScreenResult
    from screener.universe.model import ScreenRule

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
MOST_RANKED = 25  # names shown with their figures; screen.csv has all


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
        rest = [str(symbol) for symbol in result.rank.sort_values().index[MOST_RANKED:]]
        if rest:
            blocks.append(Paragraph(say.count("screen.rest", len(rest), names=say.listed(rest)), "note"))
    else:
        blocks.append(Paragraph(say("screen.nothing_passes"), "warning"))
    rules: tuple[Block, ...] = (_rules(inputs, result, say),) if len(result.passed.columns) else ()
    history = inputs.histories.get(result.screen)
    if history is not None and history.entered:
        blocks.append(Pair(rules, (_moves(inputs, history, say),)))
    else:
        blocks += rules
    if result.near:
        blocks.append(_near(inputs, result, say))
    if result.reasons:
        blocks.append(_failed(inputs, result, say))
    finding = say("screen.finding", passed=len(result.rank), judged=len(result.metrics))
    return Group(f"screen-{result.screen}", screen_label(inputs, result.screen), finding, tuple(blocks))


def _passed(inputs: WeeklyInputs, result: ScreenResult, sparks: pd.DataFrame, say: Wording) -> Table:
    metrics = [each for each in SHOWN if each in result.metrics.columns]
    rows: list[tuple[Cell, ...]] = []
    for symbol, rank in result.rank.sort_values().head(MOST_RANKED).items():
        key = str(symbol)
        line = tuple(sparks[key].tolist()) if key in sparks.columns else ()
        figures = tuple(_figure(value_at(result.metrics, key, each), each) for each in metrics)
        segment = inputs.universe.instruments[key].segment
        score = float(result.score[key])
        weeks = _weeks_passed(inputs, result.screen, key)
        rows.append(
            (int(rank), named(inputs, key), stage_label(inputs, segment), line, *figures, score, weeks)
        )
    return Table(
        title=say("screen.passed", currency=inputs.panel.base_currency),
        columns=(
            Column(say("column.rank"), "count"),
            Column(say("column.name"), "name"),
            Column(say("column.stage"), "text"),
            Column(say("column.six_months"), "spark"),
            *(Column(_metric_label(each, say), SHOWN[each][0], SHOWN[each][1]) for each in metrics),
            Column(say("column.score"), "ratio", note=say("column.score_note")),
            Column(say("column.weeks_passed"), "strip", note=say("column.weeks_passed_note")),
        ),
        groups=(Rows(tuple(rows)),),
        sortable=True,
        filterable=True,
        tall=True,
    )


def _weeks_passed(inputs: WeeklyInputs, screen: str, symbol: str) -> tuple[float, ...]:
    """Return 1 for each week of the screen's history in which a name passed, else 0, oldest first."""
    history = inputs.histories.get(screen)
    if history is None or symbol not in history.passed.columns:
        return ()
    return tuple(history.passed[symbol].astype(float).tolist())


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


def _rules(inputs: WeeklyInputs, result: ScreenResult, say: Wording) -> Table:
    """Each rule, and how many names it turns away."""
    in_words = {rule_name(rule): told(inputs, describe(rule)) for rule in result.spec.rules}
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
    """How many passed, who came and who went, newest first; of earlier weeks those in which somebody did."""
    passing = dict(zip(history.dates, history.passed.to_numpy().sum(axis=1).tolist(), strict=True))

    def named_list(symbols: tuple[str, ...]) -> str:
        return say.listed(symbols) if symbols else ""

    newest = history.dates[-1]
    rows = tuple(
        (day, passing[day], named_list(history.entered[day]), named_list(history.left[day]))
        for day in reversed(history.entered)
        if day == newest or history.entered[day] or history.left[day]
    )
    columns = (
        Column(say("column.date"), "date"),
        Column(say("column.pass"), "count"),
        Column(say("column.entered"), "text"),
        Column(say("column.left"), "text"),
    )
    title = say(
        "screen.moves",
        entered=len(history.entered[newest]),
        left=len(history.left[newest]),
        weeks=len(history.entered),
    )
    return Table(title, columns, (Rows(rows),))


def _near(inputs: WeeklyInputs, result: ScreenResult, say: Wording) -> Table:
    rows = tuple(
        (named(inputs, symbol), say.reasons([told(inputs, each) for each in result.reasons[symbol]]))
        for symbol in result.near
    )
    columns = (Column(say("column.name"), "name"), Column(say("column.why"), "text"))
    return Table(say.count("screen.near", len(rows)), columns, (Rows(rows),))


def _failed(inputs: WeeklyInputs, result: ScreenResult, say: Wording) -> Details:
    """Who fails: under each rule the figure that breaks it, under a condition the reason in words.

    Symbols only: the names stand in the market table, and these lists are the longest of the page.
    """
    ruled = {rule_name(rule): rule for rule in result.spec.rules}
    kept = result.passed.astype(bool)
    rows = tuple(
        (
            Name(symbol, "", mark_of(inputs, symbol)),
            *(_breach(inputs, result, ruled.get(str(key)), symbol, str(key)) for key in kept),
        )
        for symbol in sorted(result.reasons)
    )
    columns = (
        Column(say("column.name"), "name"),
        *(
            Column(told(inputs, describe(ruled[str(key)])), "written")
            if str(key) in ruled
            else Column(str(key), "text")
            for key in kept
        ),
    )
    note = say("screen.failed_note")
    return Details(say.count("screen.failed", len(rows)), (Table("", columns, (Rows(rows),), note=note),))


def _breach(
    inputs: WeeklyInputs, result: ScreenResult, rule: ScreenRule | None, symbol: str, key: str
) -> str | None:
    """Return the figure with which a name breaks a rule, None where it is unknown, "" where the name passes."""
    if bool(result.passed.at[symbol, key]):
        return ""
    if rule is None:
        return told(inputs, result.reasons[symbol][-1])
    value = value_at(result.metrics, symbol, rule.metric)
    return told(inputs, shown(value, RULED[rule.metric].unit)) if math.isfinite(value) else None
