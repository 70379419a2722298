"""Dates and numbers as people and vendors write them. A file has one way of writing; it is found, never guessed.

Where nothing in a file tells 1,234 from 1.234, or the second of January from the first of February, that is a fault
that asks for prices.toml, not a choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime

from screener.market.sources.price_layout import LAYOUT_FILE
from screener.market.sources.price_rows import Fault

Cells = Iterable[tuple[int, str]]  # line and text
EMPTY = ("", "NaN", "nan", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "null", "NULL", "None", "-", "--")

PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
SPACES = re.compile(r"(?<=[0-9])[\s'’\u00a0\u2009\u202f](?=[0-9]{3}(?:[^0-9]|$))")
SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}

ISO = re.compile(r"([0-9-]{10})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9.]+)?)(Z|[+-][0-9]{2}:?[0-9]{2})?)?")
YEAR_FIRST = re.compile(r"([0-9]{4})([/.年])([0-9]{1,2})[/.月]([0-9]{1,2})日?")
COMPACT = re.compile(r"(19|20)[0-9]{6}")
YEAR_LAST = re.compile(r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4})(?: [0-9:]{4,8})?")
NAMED = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d %Y")


def number_reader(cells: Cells, decimal: str) -> tuple[Callable[[str], float | None], list[Fault]]:
    """Return what reads a file's numbers, and the fault of one that cannot be told; decimal: "" if not stated.

    A number is plain (1234.5, 1e6), grouped (1,234.5), with a decimal comma (1.234,5 or 12,5), and may end in K, M or
    B. The reader returns None for what is no number.
    """
    points, commas, unclear = 0, 0, 0
    first: dict[str, tuple[int, str]] = {}
    for line, text in cells if not decimal else ():
        mark = _decimal_mark(text)
        if mark:
            first.setdefault(mark, (line, text))
            points, commas, unclear = (
                points + (mark == "."),
                commas + (mark == ","),
                unclear + (mark == "?"),
            )
    faults = []
    if points and commas:
        line, text = first["," if commas <= points else "."]
        other = first["." if commas <= points else ","]
        faults.append(
            Fault(
                line, "", "marks", f"{text!r} has another decimal mark than {other[1]!r} in line {other[0]}"
            )
        )
    elif unclear and not points and not commas:
        line, text = first["?"]
        problem = (
            f'{text!r} may be thousands or decimals; say decimal = "." or "," under [format] in {LAYOUT_FILE}'
        )
        faults.append(Fault(line, "", "marks", problem))
    comma = decimal == "," or (not decimal and commas > 0)
    return (lambda text: _number(text, comma)), faults


def _decimal_mark(text: str) -> str:
    """Return the decimal mark that a number shows: ".", ",", "?" where 1,234 may be either, "" where it has none."""
    digits = SPACES.sub("", text.strip().rstrip("KMBTkmbt%"))
    marks = re.sub(r"[^.,]", "", digits)
    if not marks or not re.fullmatch(r"[+-]?[0-9.,]+", digits):
        return ""
    if len(set(marks)) == 2:
        return marks[-1]
    tail = len(digits) - digits.rfind(marks[0]) - 1
    if len(marks) > 1:
        return "." if marks[0] == "," else ","
    if marks == ".":
        return "" if tail == 3 else "."
    return "?" if tail == 3 and not digits.lstrip("+-").startswith("0") else ","


def _number(text: str, comma: bool) -> float | None:
    bare = SPACES.sub("", text.strip())
    factor = SUFFIXES.get(bare[-1:].upper(), 1.0)
    if factor != 1.0:
        bare = bare[:-1]
    if comma:
        bare = bare.translate(str.maketrans(".,", ",."))
    if GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    return float(bare) * factor if PLAIN.fullmatch(bare) else None


def date_reader(cells: Cells, form: str) -> tuple[Callable[[str], date | None], list[Fault]]:
    """Return what reads a file's dates, and the fault of one that cannot be told; form: strptime, "" if not stated.

    2026-07-10 (of a time behind it only the date counts), 20260710, 2026/7/10, 10.07.2026, 10 Jul 2026 and
    Jul 10, 2026 speak for themselves. 10/07/2026 needs another date in the file with a day above 12.
    """
    if form:
        return (lambda text: _by_format(text, form)), []
    days, months = [], []
    numeric: tuple[int, str] | None = None
    for line, text in cells:
        parts = YEAR_LAST.fullmatch(text)
        if parts is None or parts[2] == ".":
            continue
        numeric = numeric or (line, text)
        if int(parts[1]) > 12:
            days.append((line, text))
        elif int(parts[3]) > 12:
            months.append((line, text))
    faults = []
    if days and months:
        fewer, more = sorted((days, months), key=len)
        problem = (
            f"{fewer[0][1]!r} has day and month the other way round than {more[0][1]!r} in line {more[0][0]}"
        )
        faults.append(Fault(fewer[0][0], "date", "order", problem))
    elif numeric and not days and not months:
        problem = (
            f"{numeric[1]!r} may have the day or the month first; "
            f'say date = "%d/%m/%Y" or "%m/%d/%Y" under [format] in {LAYOUT_FILE}'
        )
        faults.append(Fault(numeric[0], "date", "order", problem))
    return (lambda text: _date(text, bool(days))), faults


def _by_format(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), form).date()
    except ValueError:
        return None


def _date(text: str, day_first: bool) -> date | None:
    """Return the session date, None if there is none. An instant in UTC is none, unless it is midnight."""
    try:
        if iso := ISO.fullmatch(text):
            return None if iso[3] == "Z" and iso[2].strip("0:.") else date.fromisoformat(iso[1])
        if parts := YEAR_FIRST.fullmatch(text):
            return date(int(parts[1]), int(parts[3]), int(parts[4]))
        if COMPACT.fullmatch(text):
            return date.fromisoformat(text)
        if parts := YEAR_LAST.fullmatch(text):
            first, second, year = int(parts[1]), int(parts[3]), int(parts[4])
            return date(year, second, first) if day_first or parts[2] == "." else date(year, first, second)
    except ValueError:
        return None
    return next((day for form in NAMED if (day := _by_format(text, form)) is not None), None)
