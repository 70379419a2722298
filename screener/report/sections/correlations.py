"""Do the stages move together? Correlations of their weekly returns."""

from __future__ import annotations

import numpy as np

from screener.report.blocks import Block, Cell, Column, Lines, Section, Table
from screener.report.figures import Figures, stage_correlations
from screener.report.model import WeeklyInputs
from screener.report.words import heat, number


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return the lower triangle as a heat map that is a real table."""
    say = figures.words
    matrix = stage_correlations(inputs)
    if len(matrix) < 2:
        return Section("correlations", say("correlations.title"), say("correlations.none"), ())
    labels = [str(each) for each in matrix.columns]
    values = matrix.to_numpy()
    rows = tuple(
        (
            Cell(f"{row + 1}  {label}", "", "stage"),
            *(
                _cell(float(values[row, column])) if column < row else Cell("")
                for column in range(len(labels) - 1)
            ),
        )
        for row, label in enumerate(labels)
    )
    columns = (
        Column(""),
        *(Column(str(position + 1), number=True, hint=label) for position, label in enumerate(labels[:-1])),
    )
    average = float(np.nanmean(values[np.tril_indices(len(values), -1)]))
    blocks: tuple[Block, ...] = (
        Table(columns, rows, css="heat"),
        Lines((say("correlations.average", average=number(average)),), "note"),
    )
    return Section("correlations", say("correlations.title"), say("correlations.lead"), blocks)


def _cell(value: float) -> Cell:
    return Cell(number(value, 1).replace("0.", "."), value, heat(value, 1.0))
