"""Parts of a theme: what its proposal changes, and where weight and risk sit by stage, country and currency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from screener.market.currency import major_unit
from screener.report.blocks import Block, Cell, Column, Details, Name, Rows, Table
from screener.report.measures import value_at
from screener.report.proposal import proposal_of
from screener.report.sections.chain import stage_label
from screener.report.standing import named
from screener.report.words import Wording, percent

if TYPE_CHECKING:
    from screener.backtest.theme import ThemeResult
    from screener.report.model import WeeklyInputs
    from screener.universe.model import Instrument

PARTS = {"stage": "themes.by_stage", "country": "themes.by_country", "currency": "themes.by_currency"}
SHOWN = 5  # largest changes
SMALLEST = 0.0005  # a change below it is drift within rounding, and not counted


def changes(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> tuple[Block, ...]:
    """Return the table of the largest changes of weight, nothing where there is no earlier rebalance."""
    proposal = proposal_of(inputs, result)
    if proposal is None:
        return ()
    moved = proposal.table[proposal.table["change"].abs() >= SMALLEST]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (named(inputs, str(symbol)), *(value_at(moved, str(symbol), each) for each in moved.columns))
        for symbol in moved.index[:SHOWN]
    )
    title = say(
        "themes.changes",
        day=say.prose_day(proposal.previous.decided_on),
        n=len(moved),
        turnover=percent(proposal.turnover),
    )
    columns = (
        Column(say("column.name"), "name"),
        Column(say("column.held"), "share", note=say("column.held_note")),
        Column(say("column.target"), "share"),
        Column(say("column.change"), "shift"),
    )
    left = len(moved) - len(rows)
    return (Table(title, columns, (Rows(rows),), note=say("themes.smaller", n=left) if left else ""),)


def concentration(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> tuple[Block, ...]:
    """Return weight and risk by stage, country and currency, folded under a sentence with the largest of each."""
    if not len(result.rebalance.weights):
        return ()
    groups, largest = [], []
    for key, part in PARTS.items():
        sums = grouped(inputs, result, key)
        labels = [_label(inputs, key, str(word)) for word in sums.index]
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (Name(label, ""), float(weight), float(risk))
            for label, weight, risk in zip(labels, sums["weight"], sums["risk"], strict=True)
        )
        groups.append(Rows(rows, heading=(Name(say(part), ""), "", "")))
        largest.append(
            say("themes.largest", what=labels[0], weight=percent(float(sums["weight"].iloc[0]), 0))
        )
    columns = (
        Column(say("column.part"), "name"),
        Column(say("column.weight"), "share", note=say("column.weight_note")),
        Column(say("column.risk"), "share", note=say("column.risk_note")),
    )
    summary = say("themes.concentration", largest=say.listed(largest))
    return (Details(summary, (Table("", columns, tuple(groups)),)),)


def grouped(inputs: WeeklyInputs, result: ThemeResult, key: str) -> pd.DataFrame:
    """Return weight and risk by stage, country or currency, heaviest first; fractions."""
    rebalance = result.rebalance
    words = [_word(inputs.universe.instruments[str(each)], key) for each in rebalance.weights.index]
    table = pd.DataFrame({"weight": rebalance.weights, "risk": rebalance.risk_contributions})
    return table.groupby(words).sum().sort_values("weight", ascending=False, kind="stable")


def _word(instrument: Instrument, key: str) -> str:
    if key == "stage":
        return instrument.segment
    return instrument.domicile if key == "country" else major_unit(instrument.currency)[0]


def _label(inputs: WeeklyInputs, key: str, word: str) -> str:
    return stage_label(inputs, word) if key == "stage" else word
