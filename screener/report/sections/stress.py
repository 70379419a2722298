"""What past shocks and scenarios would do to today's portfolios: a row a shock, a column a theme."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from screener.report.blocks import Cell, Column, Paragraph, Rows, Section, Table
from screener.report.standing import label_of_theme
from screener.report.words import Wording, percent, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs

Key = tuple[str, str]  # replay or scenario, and which
LEAST_COVERED = 0.5  # of a portfolio's invested weight; less says nothing about it
STRONGEST = 0.30  # a move of so much has the strongest colour


def section(inputs: WeeklyInputs) -> Section:
    """Return the table of shocks, each move of the names that had prices then, rescaled to the whole portfolio."""
    say = wording(inputs.language)
    title = say("stress.title")
    themes = [each for each in inputs.themes if each.theme.key in inputs.stress]
    moves = {each.theme.key: _moves(inputs.stress[each.theme.key]) for each in themes}
    shocks = {key: row for each in themes for key, row in _shocks(inputs.stress[each.theme.key]).items()}
    known = [key for key in shocks if any(math.isfinite(each.get(key, math.nan)) for each in moves.values())]
    if not known:
        return Section("stress", title, say("stress.none"), ())
    labels = {each.theme.key: label_of_theme(inputs, each) for each in themes}
    lowest, worst, theme = min(
        (each[key], key, theme)
        for theme, each in moves.items()
        for key in known
        if math.isfinite(each.get(key, math.nan))
    )
    shown = {key: _label(shocks[key], say) for key in known}
    lead = say("stress.lead", theme=labels[theme], move=percent(lowest, signed=True), shock=shown[worst])
    rows: list[tuple[Cell, ...]] = [
        (say(f"stress.{key[0]}"), shown[key], *(each.get(key, math.nan) for each in moves.values()))
        for key in known
    ]
    columns = (
        Column(say("stress.kind"), "text"),
        Column(say("stress.shock"), "text"),
        *(Column(label, "change", STRONGEST) for label in labels.values()),
    )
    note = Paragraph(say("stress.note", least=percent(LEAST_COVERED, 0)), "note")
    return Section("stress", title, lead, (Table(say("stress.table"), columns, (Rows(tuple(rows)),)), note))


def _shocks(table: pd.DataFrame) -> dict[Key, dict[str, Any]]:
    """Return the facts of each shock by kind and key."""
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return {(row["what"], row["key"]): row for row in rows}


def _moves(table: pd.DataFrame) -> dict[Key, float]:
    """Return the move of each shock that covers enough of the portfolio, by kind and key."""
    return {
        key: float(row["move"]) if row["covered"] >= LEAST_COVERED else math.nan
        for key, row in _shocks(table).items()
    }


def _label(shock: dict[str, Any], say: Wording) -> str:
    name = str(shock["label_ja"] if say.language == "ja" and shock["label_ja"] else shock["label"])
    if shock["start"] is None or pd.isna(shock["start"]):
        return name
    return say("stress.dated", shock=name, day=say.day(shock["start"]))
