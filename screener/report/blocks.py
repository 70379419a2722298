"""What a section is made of: tables, charts and sentences as values. Drawing them is render.py's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, its colour class, and a drawing made of numbers only.

    sort: a number that a word sorts by, such as a stage's place in the chain; numbers sort by their text.
    """

    text: str
    sort: float | str = ""
    css: str = ""
    drawing: str = ""  # SVG of charts.py; never holds a word from outside
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers are set right."""

    label: str
    number: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `folded` hides it behind its caption, `filtered` puts a search box above it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    folded: bool = False
    filtered: bool = False
    sortable: bool = False
    css: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True, slots=True)
class Label:
    """A word on a chart at a height (or across) of 0 to 100 %."""

    text: str
    at: float
    css: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart: paths in a 1000 × 1000 box that is stretched, labels in HTML so that text never is."""

    title: str
    paths: tuple[tuple[str, str], ...]  # css class, path
    y_labels: tuple[Label, ...]
    x_labels: tuple[Label, ...]
    end_labels: tuple[Label, ...] = ()
    shaded_to: float = 0.0  # % from the left: hindsight
    shade_label: str = ""
    points: str = ""  # JSON for reading values with the pointer: start, step and values
    css: str = ""
    kind: str = field(default="chart", init=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """One arrow of the chain."""

    label: str
    week: str
    detail: tuple[str, ...]
    css: str


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The chain as a row of stages."""

    stages: tuple[Stage, ...]
    kind: str = field(default="ribbon", init=False)


@dataclass(frozen=True, slots=True)
class Lines:
    """Sentences, as a list."""

    lines: tuple[str, ...]
    css: str = ""
    kind: str = field(default="lines", init=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section, with a sentence below it."""

    text: str
    detail: str = ""
    key: str = ""
    kind: str = field(default="heading", init=False)


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks side by side on a wide page."""

    sides: tuple[tuple[Block, ...], ...]
    kind: str = field(default="columns", init=False)


Block = Table | Chart | Ribbon | Lines | Heading | Columns


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part of the page."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...]


def each_block(blocks: Sequence[Block]) -> list[Block]:
    """Return every block, those inside columns too, in reading order."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Columns):
            for side in block.sides:
                found += each_block(side)
        else:
            found.append(block)
    return found
