"""Reads CSV rows and TOML tables value by value, and notes each fault with its file and line.

What the values say about each other is check.py's business. Nothing here raises: a value that is wrong is
noted and comes back as the column's empty value, so that one pass finds every fault.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tomllib
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

# Text that a browser, a terminal or a spreadsheet would take for something else than text.
MARKUP = re.compile(r"<[/!?a-z]|\[/|\[[a-z ]+\]", re.IGNORECASE)
FORMULA = ("=", "+", "-", "@")
SCHEME = re.compile(r"(?!https?://)[a-z][a-z0-9+.\-]*:\S", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
TOML_HEADER = re.compile(r"\[([^\[\]]+)\]\s*(?:#.*)?")
TOML_KEY = re.compile(r"([^=#\[]+)=")
MEMORY = "memory"  # the honest source of a fact that nobody looked up


class Fault(NamedTuple):
    """Something wrong in a file, at a line (0: the file as a whole)."""

    path: str
    line: int
    problem: str

    def __str__(self) -> str:
        problem = printable(self.problem)
        return f"{self.path}:{self.line}: {problem}" if self.line else f"{self.path}: {problem}"


def printable(text: str) -> str:
    """Return text with the unprintable escaped: it stays on one line and cannot steer a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def meant(word: str, choices: Collection[str]) -> str:
    """Return the question which word was probably meant, or nothing when none is near."""
    near = get_close_matches(word, choices, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def undefined(what: str, word: str, choices: Collection[str]) -> str:
    """Return the sentence that a word is not defined, with the word that was probably meant."""
    if question := meant(word, choices):
        return f'{what} "{word:.60}" is not defined{question}'
    listed = ", ".join(sorted(choices) if len(choices) > 12 else choices)
    return f'{what} "{word:.60}" is not defined' + (
        f"; choose one of {listed}" if 0 < len(choices) <= 30 else ""
    )


class Record(ABC):
    """One row or table. Each method returns a column's value and notes what is wrong with it."""

    date_form = "YYYY-MM-DD"

    def __init__(self, path: str, line: int, values: Mapping[str, object], faults: list[Fault]) -> None:
        self.path = path
        self.line = line
        self.values = values
        self.faults = faults

    def line_of(self, column: str) -> int:
        """Return the line on which a column's value stands."""
        return self.line

    def note(self, problem: str, column: str = "") -> None:
        """Note a fault of this record, at the line of a column."""
        self.faults.append(Fault(self.path, self.line_of(column), problem))

    @abstractmethod
    def _raw_words(self, column: str, separator: str) -> Sequence[object]: ...

    @abstractmethod
    def _raw_number(self, column: str) -> float | None: ...

    @abstractmethod
    def _raw_day(self, column: str, vague: bool) -> date | None: ...

    def has(self, column: str) -> bool:
        """Say whether a column holds anything."""
        return self.values.get(column, "") != ""

    def text(self, column: str, *, required: bool = True) -> str:
        """Return plain text that is safe to print, to put on a page and to open in a spreadsheet."""
        return self._plain(column, self.values.get(column, ""), required)

    def _plain(self, column: str, value: object, required: bool) -> str:
        if not isinstance(value, str):
            self.note(f"{column} must be text in quotes, not {_shown(value)}", column)
            return ""
        if required and not value.strip():
            self.note(f"{column} is empty", column)
        elif problem := _unsafe(value):
            self.note(f"{column} {value!r:.60} {problem}", column)
        return value.strip()

    def matching(self, column: str, pattern: re.Pattern[str], example: str, *, required: bool = True) -> str:
        """Return text of a given form, such as a market code."""
        value = self.text(column, required=required)
        if value and not pattern.fullmatch(value):
            self.note(f'{column} "{value:.40}" is malformed; it looks like {example}', column)
        return value

    def one_of(self, column: str, choices: Collection[str], *, default: str | None = None) -> str:
        """Return one of the choices; an empty value gives the default, or is a fault without one."""
        value = self.text(column, required=default is None)
        if value and value not in choices:
            self.note(undefined(column, value, choices), column)
        return value or default or ""

    def words(self, column: str, separator: str = ";") -> tuple[str, ...]:
        """Return a list of texts, none twice."""
        found = tuple(self._plain(column, each, True) for each in self._raw_words(column, separator))
        for each in sorted({each for each in found if each and found.count(each) > 1}):
            self.note(f'{column} names "{each}" twice', column)
        return found

    def known_words(self, column: str, choices: Collection[str] | None) -> tuple[str, ...]:
        """Return a list of words, each one of the choices (None: the choices could not be read)."""
        found = self.words(column)
        for each in found:
            if each and choices is not None and each not in choices:
                self.note(undefined(column, each, choices), column)
        return found

    def number(self, column: str, allowed: str, *, low: float, high: float = math.inf) -> float | None:
        """Return a finite number between low and high (None if empty); `allowed` says the range in words."""
        if not self.has(column):
            return None
        value = self._raw_number(column)
        if value is None or not math.isfinite(value) or not low <= value <= high:
            self.note(f"{column} {_shown(self.values[column])} is not {allowed}", column)
            return None
        return value

    def whole(self, column: str, allowed: str, *, low: float, high: float = 1e6) -> int | None:
        """Return a whole number between low and high, None if empty."""
        value = self.number(column, allowed, low=low, high=high)
        if value is not None and value != int(value):
            self.note(f"{column} {_shown(self.values[column])} is not {allowed}", column)
            return None
        return None if value is None else int(value)

    def day(self, column: str, *, vague: bool = False) -> date | None:
        """Return a date, or None if empty. `vague` also takes YYYY and YYYY-MM, meaning their first day."""
        if not self.has(column):
            return None
        value = self._raw_day(column, vague)
        if value is None:
            form = "YYYY, YYYY-MM or YYYY-MM-DD" if vague else self.date_form
            self.note(f"{column} {_shown(self.values[column])} is not a date; write {form}", column)
        return value

    def sources(self, column: str, verified: str) -> tuple[str, ...]:
        """Return where a fact comes from; `memory` alone is a source only of what is not verified."""
        found = self.words(column, "|")
        if not found:
            self.note(f'{column} is empty; give an address, or "{MEMORY}" with verified "no"', column)
        elif verified in ("yes", "partial") and set(found) == {MEMORY}:
            self.note(f'{column} is "{MEMORY}", but verified is "{verified}"', column)
        for each in found:
            if SCHEME.match(each):
                self.note(f'{column} "{each:.40}" is not an address; it begins with https://', column)
        return found


class Row(Record):
    """One row of a CSV file: every value is text."""

    def _raw_words(self, column: str, separator: str) -> Sequence[object]:
        value = str(self.values.get(column, ""))
        return [each.strip() for each in value.split(separator)] if value else []

    def _raw_number(self, column: str) -> float | None:
        value = str(self.values[column])
        return float(value) if NUMBER.fullmatch(value) else None

    def _raw_day(self, column: str, vague: bool) -> date | None:
        matched = DATE.fullmatch(str(self.values[column]))
        if matched is None or not (vague or matched[3]):
            return None
        try:
            return date(int(matched[1]), int(matched[2] or 1), int(matched[3] or 1))
        except ValueError:
            return None


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


def read_text(file: Path, path: str, faults: list[Fault]) -> str | None:
    """Return a file's text, or None when it cannot be read, which is noted."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        faults.append(Fault(path, 0, "is missing"))
    except OSError as error:
        faults.append(Fault(path, 0, f"cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        faults.append(Fault(path, line, "is not UTF-8 text; save it as UTF-8"))
    return None


def read_rows(text: str, path: str, columns: Sequence[str], faults: list[Fault]) -> list[Row] | None:
    """Return a CSV file's rows, values stripped, or None when its header is wrong, which is noted."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    header: list[str] | None = None
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            faults.append(Fault(path, reader.line_num, f"is not valid CSV: {error}"))
            return None if header is None else rows
        if cells is None:
            break
        if cells and header is None:
            header = [each.strip() for each in cells]
            if problems := _header_problems(header, columns):
                faults.extend(Fault(path, line, each) for each in problems)
                return None
        elif cells and header is not None:
            if len(cells) == len(header):
                rows.append(Row(path, line, dict(zip(header, map(str.strip, cells), strict=True)), faults))
            else:
                faults.append(Fault(path, line, f"has {len(cells)} values for {len(header)} columns"))
        line = reader.line_num + 1
    if header is None:
        faults.append(Fault(path, 0, f"is empty; its first line names the columns {', '.join(columns)}"))
    return None if header is None else rows


def note_repeats(rows: list[Row], column: str) -> None:
    """Note each row whose value of a column an earlier row has, with the lines of both."""
    first: dict[object, int] = {}
    for row in rows:
        value = row.values[column]
        if value and first.setdefault(value, row.line) != row.line:
            row.note(f'{column} "{value}" is already on line {first[value]}; keep one of them')


def _header_problems(header: list[str], columns: Sequence[str]) -> list[str]:
    problems = [undefined("column", each, columns) for each in header if each not in columns]
    problems += [f'column "{each}" is missing' for each in columns if each not in header]
    problems += [f'column "{each}" is there twice' for each in columns if header.count(each) > 1]
    return problems


def _unsafe(value: str) -> str:
    if value.lstrip().startswith(FORMULA):
        return "begins like a spreadsheet formula; reword it"
    if MARKUP.search(value):
        return "holds markup; write plain text"
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs") for each in value):
        return "holds an invisible character; remove it"
    return ""


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value:.40}"'
    try:
        return f"{value!s:.40}"
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list a thousand deep
        return f"this {type(value).__name__}"


def _key_parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in key.split("."))
