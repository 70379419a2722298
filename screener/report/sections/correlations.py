"""Do the stages move together? Correlations of their weekly returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from screener.report.blocks import Cell, Column, Rows, Section, Table
from screener.report.measures import clustered, names_by_stage, stage_correlations
from screener.report.sections.chain import stage_label
from screener.report.words import number, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs

WEEKS = 104


def section(inputs: WeeklyInputs) -> Section:
    """Return the lower half of the correlation table, numbered so that headings stay readable."""
    say = wording(inputs.language)
    title = say("correlations.title")
    stages = names_by_stage(inputs.universe, {key: each.state for key, each in inputs.states.items()})
    matrix = clustered(stage_correlations(inputs.panel, stages, WEEKS))
    values = matrix.to_numpy(dtype=float, copy=True)
    values[np.triu_indices(len(values))] = np.nan
    if not np.isfinite(values).any():
        return Section("correlations", title, say("correlations.none"), ())
    labels = [f"{position} {stage_label(inputs, key)}" for position, key in enumerate(matrix.index, 1)]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            labels[row],
            *(float(values[row, column]) if column < row else "" for column in range(len(labels) - 1)),
        )
        for row in range(len(labels))
    )
    columns = tuple(
        Column(str(position), "correlation", 1.0, note=label) for position, label in enumerate(labels[:-1], 1)
    )
    table = Table(
        title=say("correlations.table", weeks=WEEKS, currency=inputs.panel.base_currency),
        columns=(Column(say("column.stage"), "text"), *columns),
        groups=(Rows(rows),),
        note=say("correlations.note"),
    )
    highest = np.unravel_index(np.nanargmax(values), values.shape)
    keys = [str(each) for each in matrix.index]
    lead = say(
        "correlations.lead",
        median=number(float(np.nanmedian(values))),
        one=stage_label(inputs, keys[int(highest[1])]),
        other=stage_label(inputs, keys[int(highest[0])]),
        highest=number(float(values[highest])),
    )
    return Section("correlations", title, lead, (table,))
