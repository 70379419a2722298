"""How the report speaks: sentences from wording/<language>.toml, numbers and dates as a reader writes them.

Signs are always written, minus is U+2212, an unknown value is an em dash. No arrows and no triangles: in
Tokyo a triangle before a number means minus.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files

from screener.errors import UserError, unknown
from screener.report.blocks import Cell, Name

MINUS, UNKNOWN = "\N{MINUS SIGN}", "\N{EM DASH}"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentences of one language, by key. Call it with a key and the values the sentence names."""

    language: str
    sentences: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence of a key. Raises KeyError for an unknown key or a value it lacks."""
        return self.sentences[key].format(**values)

    def count(self, key: str, number: int, **values: object) -> str:
        """Return the sentence of `key.one` or `key.many`, which name {n}."""
        return self(f"{key}.one" if number == 1 else f"{key}.many", n=f"{number:,}", **values)

    def listed(self, words: Sequence[str]) -> str:
        """Join words the way the language does."""
        if len(words) < 2:
            return "".join(words)
        return self("list.last", first=self("list.comma").join(words[:-1]), last=words[-1])


@lru_cache
def wording(language: str) -> Wording:
    """Return the wording of a language. Raises UserError for one we have no file for."""
    folder = files("screener.report").joinpath("wording")
    known = sorted(
        each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml")
    )
    if language not in known:
        raise UserError(unknown("language", language, known))
    tables = tomllib.loads(folder.joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    sentences: dict[str, str] = {}
    _flatten(tables, "", sentences)
    return Wording(language, sentences)


def _flatten(table: dict[str, object], prefix: str, into: dict[str, str]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", into)
        else:
            into[prefix + key] = str(value)


def is_known(value: object) -> bool:
    """Say whether a number is there: neither None nor NaN nor infinite."""
    return isinstance(value, int | float) and math.isfinite(value)


def percent(fraction: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """Write a fraction as a percentage: 0.034 → 3.4%, or +3.4% when signed."""
    if fraction is None or not is_known(fraction):
        return UNKNOWN
    return number(fraction * 100, digits, signed=signed) + "%"


def change(fraction: float | None, digits: int = 1) -> str:
    """Write a return with its sign; a change that rounds to nothing has none."""
    return percent(fraction, digits, signed=True)


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Write a number with a thousands comma and a true minus."""
    if value is None or not is_known(value):
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}"
    if not any(each in "123456789" for each in text):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def price(value: float | None) -> str:
    """Write a price with as many decimals as its size needs."""
    if value is None or not is_known(value):
        return UNKNOWN
    size = abs(value)
    return number(value, 0 if size >= 10_000 else 2 if size >= 1 else 4)


def millions(value: float | None) -> str:
    """Write money in millions; the column's heading says so."""
    if value is None or not is_known(value):
        return UNKNOWN
    return number(value / 1e6, 0 if abs(value) >= 1e8 else 1)


def day(value: date | None) -> str:
    """Write a date as in tables: 2026-07-10."""
    return UNKNOWN if value is None else value.isoformat()[:10]


def long_day(value: date) -> str:
    """Write a date as in sentences: Friday 10 July 2026."""
    return f"{WEEKDAYS[value.weekday()]} {value.day} {MONTHS[value.month - 1]} {value.year}"


def instant(value: datetime) -> str:
    """Write a UTC instant to the minute."""
    return f"{value:%Y-%m-%d %H:%M} UTC"


def cell_text(value: Cell, kind: str) -> str:
    """Write a cell as its column's kind asks; drawn cells have no text."""
    if kind in ("spark", "bars"):
        return ""
    if isinstance(value, Name):
        return f"{value.symbol} {value.name}".strip()
    if value is None or isinstance(value, str):
        return UNKNOWN if value is None else value
    if isinstance(value, date):
        return day(value)
    if not isinstance(value, int | float):
        raise TypeError(f"a cell of kind {kind} cannot hold {type(value).__name__}")
    return _write_number(float(value), kind)


def _write_number(value: float, kind: str) -> str:
    match kind:
        case "change":
            return change(value)
        case "share":
            return percent(value)
        case "ratio":
            return number(value)
        case "correlation":
            return number(value, 1)
        case "count":
            return number(value, 0)
        case "price":
            return price(value)
        case "money":
            return millions(value)
    raise ValueError(f"numbers have no way to be written as {kind!r}")
