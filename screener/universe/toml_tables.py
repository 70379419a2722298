"""Reads a universe's TOML files table by table, and notes each fault with the line of its key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from screener.universe.records import Fault, Record, undefined

TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
TOML_HEADER = re.compile(r"\[([^\[\]]+)\]\s*(?:#.*)?")
TOML_KEY = re.compile(r"([^=#\[]+)=")


class Document:
    """A TOML file and the line of each of its headers and keys."""

    def __init__(self, path: str, text: str, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        self.lines: dict[tuple[str, ...], int] = {}
        parsed = self._parse(text)
        self.is_toml = parsed is not None  # if not, that has been noted
        self.root: Mapping[str, object] = parsed or {}

    def line_of(self, place: tuple[str, ...]) -> int:
        """Return the line of a key or header, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def tables(self, known: Collection[str]) -> dict[str, Table]:
        """Return the tables of the top level, in the file's order; `known` are the keys of each."""
        top = Table(self, (), self.root, self.root)
        return {key: top.table(key, known) for key in top.values}

    def _parse(self, text: str) -> dict[str, object] | None:
        lines = text.replace("\r\n", "\n").split("\n")
        try:
            return tomllib.loads("\n".join(self._without_repeats(lines)))
        except RecursionError:
            self.faults.append(Fault(self.path, 1, "is nested too deeply"))
        except ValueError as error:  # TOMLDecodeError is one; an endless number is a plain one
            matched = TOML_PLACE.fullmatch(str(error))
            reason, line = (matched[1], matched[2] or len(lines)) if matched else (str(error), 1)
            self.faults.append(Fault(self.path, int(line), f"is not valid TOML: {reason}"))
        return None

    def _without_repeats(self, lines: list[str]) -> list[str]:
        """Index headers and keys, note each table that is there twice, and blank the second one.

        tomllib would stop at a repeated table and leave the rest of the file unread.
        """
        place: tuple[str, ...] = ()
        kept, skipping = [], False
        for number, line in enumerate(lines, 1):
            if header := TOML_HEADER.fullmatch(line.strip()):
                place = _key_parts(header[1])
                skipping = place in self.lines
                if skipping:
                    first = self.lines[place]
                    problem = f"[{'.'.join(place)}] is already defined on line {first}; keep one of them"
                    self.faults.append(Fault(self.path, number, problem))
                else:
                    self.lines[place] = number
            elif key := TOML_KEY.match(line.strip()):
                self.lines.setdefault((*place, *_key_parts(key[1])), number)
            kept.append("" if skipping else line)
        return kept


class Table(Record):
    """One table of a TOML file: a value keeps TOML's type, and `place` leads to its line."""

    date_form = "YYYY-MM-DD without quotes"

    def __init__(
        self,
        document: Document,
        place: tuple[str, ...],
        values: Mapping[str, object],
        known: Collection[str],
    ) -> None:
        super().__init__(document.path, document.line_of(place), values, document.faults)
        self.document = document
        self.place = place
        for key in values:
            if key not in known:
                self.note(undefined("key", key, known), key)

    def line_of(self, column: str) -> int:
        """Return the line of a key of this table."""
        return self.document.line_of((*self.place, column)) if column else self.line

    def _raw_words(self, column: str, separator: str) -> Sequence[object]:
        value = self.values.get(column, [])
        if isinstance(value, list):
            return value
        self.note(f'{column} must be a list, such as ["one", "two"]', column)
        return []

    def _raw_number(self, column: str) -> float | None:
        value = self.values[column]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            return float(value)
        except OverflowError:
            return None

    def _raw_day(self, column: str, vague: bool) -> date | None:
        value = self.values[column]
        return value if isinstance(value, date) and not isinstance(value, datetime) else None

    def table(self, column: str, known: Collection[str] | None = None) -> Table:
        """Return a table inside this one; `known` are its keys (None: any)."""
        value = self.values.get(column, {})
        if not isinstance(value, dict):
            self.note(f"{column} must be a table", column)
            value = {}
        return Table(self.document, (*self.place, column), value, value if known is None else known)


def _key_parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in key.split("."))
