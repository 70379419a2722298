"""What a section is made of: plain values with their units. How they look is the renderers' business.

A cell holds the value itself; its column's kind says how it is written, sorted and coloured. So the same
table becomes HTML, Markdown and (in tables.py) CSV without a number being computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

# How a cell is written. change: signed percent, coloured by sign. share: percent. ratio: two decimals.
# correlation: one decimal, coloured. shift: a change of weight, signed, not coloured. written: a number already
# written. spark: floats drawn small. bars: two fractions drawn as bars. strip: 1 or 0 a week, drawn as a band.
KINDS = (
    "text", "name", "tag", "change", "share", "ratio", "correlation",
    "shift", "written", "count", "price", "money", "date", "spark", "bars", "strip",
)  # fmt: skip
TEXTUAL = frozenset({"text", "name", "tag"})
DRAWN = frozenset({"spark", "bars", "strip"})  # left out where nothing can be drawn


@dataclass(frozen=True, slots=True)
class Name:
    """An instrument in a table. `mark` is how its prices fall short: stale, missing, … or ""."""

    symbol: str
    name: str
    mark: str = ""


Cell: TypeAlias = str | float | int | date | Name | Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and the kind of its cells. `scale`: the change that gets the strongest colour."""

    label: str
    kind: str
    scale: float = 0.10
    note: str = ""  # spoken and shown on hover: what the figure is

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of column {self.kind!r}")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows under an optional heading row that has a cell for every column. `key`: what links may point at."""

    rows: tuple[tuple[Cell, ...], ...]
    heading: tuple[Cell, ...] | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title that says what it shows. `tall` tables scroll inside their own box on a screen."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[Rows, ...]
    footing: tuple[tuple[Cell, ...], ...] = ()
    note: str = ""
    sortable: bool = False
    filterable: bool = False
    tall: bool = False

    def __post_init__(self) -> None:
        headings = [each.heading for each in self.groups if each.heading is not None]
        for row in (*headings, *(row for each in self.groups for row in each.rows), *self.footing):
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the chain. Returns are means over its names; NaN: no name has one."""

    key: str
    label: str
    returns: Mapping[str, float]  # by horizon, such as week, month, year
    china_share: float | None
    china_year: int | None
    up: int  # names that rose in the week
    priced: int  # names with a return over the week
    names: int

    @property
    def week(self) -> float:
        """Return the mean return of the week."""
        return self.returns["week"]

    @property
    def quarter(self) -> float:
        """Return the mean return of three months."""
        return self.returns["quarter"]


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The chain, upstream to downstream."""

    stages: tuple[Stage, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: a value a week, NaN where there is none."""

    label: str
    values: tuple[float, ...]
    main: bool = False  # drawn strongest


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over weeks that end on Fridays, and a drawdown under them.

    first: the first Friday. last: the date of the last point, at most its Friday.
    shaded: the part of the width, in [0, 1], that is hindsight. drawdown: fractions ≤ 0, worst of each week.
    """

    title: str
    lines: tuple[Line, ...]
    first: date
    last: date
    log: bool
    shaded: float
    shaded_label: str
    drawdown_title: str
    drawdown: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or two. `tone`: plain, note or warning."""

    words: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Listing:
    """Short sentences, one under the other, under a title."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of what and how much. `code`: values are to be copied."""

    pairs: tuple[tuple[str, str], ...]
    code: bool = False


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that stay folded until asked for; `summary` says how much is inside."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A titled part of a section, laid out in two columns where there is room."""

    key: str
    title: str
    lead: str
    left: tuple[Block, ...]
    right: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Blocks beside each other where there is room, left before right where there is not."""

    left: tuple[Block, ...]
    right: tuple[Block, ...]


Block: TypeAlias = Table | Pair | Ribbon | LineChart | Paragraph | Listing | Facts | Details | Group


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered part of the report; `lead` states its finding in a sentence with numbers."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...]
