"""Reads a row or a table value by value, and notes each fault with its file and line.

What the values say about each other is check.py's business. Nothing here raises: a value that is wrong is
noted and comes back as the column's empty value, so that one pass finds every fault.
"""

from __future__ import annotations

import math
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

# Text that a browser, a terminal or a spreadsheet would take for something else than text.
MARKUP = re.compile(r"<[/!?a-z]|\[/|\[[a-z ]+\]", re.IGNORECASE)
FORMULA = ("=", "+", "-", "@")
SCHEME = re.compile(r"(?!https?://)[a-z][a-z0-9+.\-]*:\S", re.IGNORECASE)
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


def shown_path(path: Path) -> str:
    """Return a path as a person here would write it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


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
