"""The week at a glance in plain text: for a terminal of 80 columns and for a message."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from screener.report.blocks import Cell, Name, Table
from screener.report.words import Wording, cell_text, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyReport

WIDTH = 80
BARS = "▁▂▃▄▅▆▇█"
SPARK = 10  # characters
TOKEN = re.compile(r"[0-9A-Za-z.,+−%]+|.")  # what stays on one line
NOT_FIRST = "、。)」%"  # marks that begin no line
SHOWN = {"chain": ("change",), "record": ("name", "spark", "change")}  # section → kinds of column


def summary_of(report: WeeklyReport, width: int = WIDTH) -> str:
    """Return head, sentences, stages and themes, no line wider than `width` columns."""
    say, head = wording(report.language), report.masthead
    lines = [each for each in (head.synthetic_banner, head.title, head.kicker, head.data_banner) if each]
    lines += ["", report.headline, ""]
    wrapped = [part for each in lines for part in folded(each, width)]
    for point in report.key_points:
        wrapped += folded(f"{point.label}: {point.words}", width, "  ")
    for section in report.sections:
        table = next((each for each in section.blocks if isinstance(each, Table)), None)
        if section.key in SHOWN and table is not None:
            wrapped += ["", *_columns(table, width, say)]
    return "\n".join(wrapped) + "\n"


def spark_text(values: Sequence[float], wanted: int = SPARK) -> str:
    """Return a line of block characters, low to high; a gap where nothing is known."""
    known = [each for each in values if math.isfinite(each)]
    if len(known) < 2:
        return ""
    shown = [values[round(each * (len(values) - 1) / (wanted - 1))] for each in range(wanted)]
    low, high = min(known), max(known)
    steps = len(BARS) - 1
    return "".join(
        " " if not math.isfinite(each) else BARS[round(steps * (each - low) / (high - low or 1.0))]
        for each in shown
    )


def cells_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text into lines of at most `width` columns; Japanese breaks anywhere but inside a number or a symbol."""
    if cells_of(text) == len(text):
        return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False) or [""]
    lines, line = [], ""
    for each in TOKEN.findall(text):
        if cells_of(line + each) > width:
            kept = line[:-1] if each in NOT_FIRST else line  # the character before such a mark goes with it
            lines.append(kept)
            line = indent + line[len(kept) :]
        line += each
    return [*lines, line]


def _columns(table: Table, width: int, say: Wording) -> list[str]:
    """Write the first column, a sparkline and the changes of a table."""
    kept = [
        place for place, each in enumerate(table.columns) if not place or each.kind in ("spark", "change")
    ]
    rows = [
        [_cell(row[place], table.columns[place].kind, say) for place in kept]
        for group in table.groups
        for row in group.rows
    ]
    heads = [table.columns[place].label for place in kept]
    widths = [max(cells_of(each) for each in column) for column in zip(heads, *rows, strict=True)]
    widths[0] = min(widths[0], width - sum(each + 2 for each in widths[1:]))
    return [_line(each, widths) for each in (heads, *rows)]


def _cell(value: Cell, kind: str, say: Wording) -> str:
    if kind == "spark":
        return spark_text(value) if isinstance(value, tuple) else ""
    return value.symbol if isinstance(value, Name) else cell_text(value, kind, say)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    while cells_of(first) > widths[0]:
        first = first[:-2] + "…" if first.endswith("…") else first[:-1] + "…"
    padded = [" " * (size - cells_of(each)) + each for each, size in zip(others, widths[1:], strict=True)]
    return "  ".join([first + " " * (widths[0] - cells_of(first)), *padded]).rstrip()
