"""How the report speaks: sentences from wording/<language>.toml, numbers and dates as a reader writes them.

Signs are always written, minus is U+2212, an unknown value is an em dash. No arrows and no triangles: in
Tokyo a triangle before a number means minus.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files

from screener.errors import UserError, unknown
from screener.report.blocks import DRAWN, Cell, Name
from screener.report.retell import Pattern, compiled, retold

MINUS, UNKNOWN = "\N{MINUS SIGN}", "\N{EM DASH}"
MYRIADS = (("億", 1e8), ("万", 1e4))  # money in Japanese is counted in 10⁸ and 10⁴


@dataclass(frozen=True, eq=False, slots=True)
class Wording:
    """The sentences of one language, by key. Call it with a key and the values the sentence names.

    terms and patterns: how the English of the lower layers reads in this language; empty in English.
    """

    language: str
    sentences: dict[str, str]
    terms: dict[str, str] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()

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

    def joined(self, sentences: Sequence[str]) -> str:
        """Join whole sentences the way the language does."""
        return self("list.sentence").join(sentences)

    def reasons(self, words: Sequence[str]) -> str:
        """Join reasons that stand beside each other in one cell."""
        return self("list.reason").join(words)

    def retell(self, text: str, labels: tuple[tuple[str, str], ...] = ()) -> str:
        """Return a sentence that a lower layer made in English in this language.

        labels: keys that it may name (segments, themes, exchanges) and what a reader calls them.
        """
        if not self.patterns and not self.terms:
            return text
        return _retell(self.language, text, labels)

    def day(self, value: date | None) -> str:
        """Write a date as in tables."""
        return UNKNOWN if value is None else self._dated("format.day", value)

    def prose_day(self, value: date | None) -> str:
        """Write a date as in sentences, without its weekday."""
        return UNKNOWN if value is None else self._dated("format.prose_day", value)

    def long_day(self, value: date) -> str:
        """Write a date with its weekday."""
        return self._dated("format.long_day", value)

    def month(self, value: date) -> str:
        """Write a month as charts mark it."""
        return self._dated("format.month", value)

    def instant(self, value: datetime) -> str:
        """Write a UTC instant to the minute."""
        return self("format.instant", day=self.day(value), time=f"{value:%H:%M}")

    def money(self, value: float | None) -> str:
        """Write money: in millions, which the column's heading says, or with 億 and 万 in each cell."""
        return myriads(value) if self.language == "ja" else millions(value)

    def _dated(self, key: str, value: date) -> str:
        return self(
            key,
            y=value.year,
            m=value.month,
            d=value.day,
            weekday=self("format.weekdays").split()[value.weekday()],
            month=self("format.months").split()[value.month - 1],
        )


@lru_cache
def wording(language: str) -> Wording:
    """Return the wording of a language. Raises UserError for one we have no file for."""
    if language not in languages():
        raise UserError(unknown("language", language, languages()))
    folder = files("screener.report").joinpath("wording")
    tables = tomllib.loads(folder.joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    terms, pairs = tables.pop("terms", {}), tables.pop("patterns", [])
    sentences: dict[str, str] = {}
    _flatten(tables, "", sentences)
    return Wording(language, sentences, terms, tuple(compiled(*each) for each in pairs))


def languages() -> list[str]:
    """Return the languages there are files for."""
    folder = files("screener.report").joinpath("wording")
    names = (each.name for each in folder.iterdir())
    return sorted(each.removesuffix(".toml") for each in names if each.endswith(".toml"))


def _flatten(table: dict[str, object], prefix: str, into: dict[str, str]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", into)
        else:
            into[prefix + key] = str(value)


@lru_cache(maxsize=20_000)
def _retell(language: str, text: str, labels: tuple[tuple[str, str], ...]) -> str:
    say = wording(language)
    return retold(text, {**say.terms, **dict(labels)}, say.patterns, say)


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


def myriads(value: float | None) -> str:
    """Write money as Japanese counts it: 12.3億, 4,560万."""
    if value is None or not is_known(value):
        return UNKNOWN
    for unit, size in MYRIADS:
        if abs(value) >= size:
            return number(value / size, 0 if unit == "万" or abs(value) >= 100 * size else 1) + unit
    return number(value, 0)


def cell_text(value: Cell, kind: str, say: Wording) -> str:
    """Write a cell as its column's kind asks; drawn cells have no text."""
    if kind in DRAWN:
        return ""
    if isinstance(value, Name):
        return f"{value.symbol} {value.name}".strip()
    if value is None or isinstance(value, str):
        return UNKNOWN if value is None else value
    if isinstance(value, date):
        return say.day(value)
    if not isinstance(value, int | float):
        raise TypeError(f"a cell of kind {kind} cannot hold {type(value).__name__}")
    return _write_number(float(value), kind, say)


def _write_number(value: float, kind: str, say: Wording) -> str:
    match kind:
        case "change" | "shift":
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
            return say.money(value)
    raise ValueError(f"numbers have no way to be written as {kind!r}")
