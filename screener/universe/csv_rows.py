"""Reads a universe's CSV files row by row, and notes each fault with its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from datetime import date

from screener.universe.records import Fault, Record, undefined

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


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


def read_rows(
    text: str, path: str, columns: Sequence[str], faults: list[Fault], optional: Collection[str] = ()
) -> list[Row] | None:
    """Return a CSV file's rows, values stripped, or None when its header is wrong, which is noted.

    A column that is optional may be left out, which leaves it empty.
    """
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
            if problems := _header_problems(header, columns, optional):
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
        value = row.values.get(column)
        if value and first.setdefault(value, row.line) != row.line:
            row.note(f'{column} "{value}" is already on line {first[value]}; keep one of them')


def _header_problems(header: list[str], columns: Sequence[str], optional: Collection[str]) -> list[str]:
    problems = [undefined("column", each, columns) for each in header if each not in columns]
    problems += [f'column "{each}" is missing' for each in columns if each not in (*header, *optional)]
    problems += [f'column "{each}" is there twice' for each in columns if header.count(each) > 1]
    return problems
