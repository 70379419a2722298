"""Reads what a person keeps beside the universe: what is held, and views on returns. Every fault has its line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from screener.errors import UserError
from screener.portfolio.frontier import View
from screener.universe.csv_rows import Row, note_repeats, read_rows
from screener.universe.records import Fault, read_text, shown_path, undefined


def read_holdings(file: Path, symbols: Collection[str]) -> dict[str, float]:
    """Return symbol → shares from a CSV file with the columns symbol and shares.

    Raises UserError with a line for every fault: an unknown symbol, shares that are not a whole number from 0.
    """
    rows, faults = _rows(file, ("symbol", "shares"))
    held = {}
    for row in rows:
        symbol = _symbol(row, "symbol", symbols)
        if not row.has("shares"):
            row.note("shares is empty")
        held[symbol] = float(row.whole("shares", "a whole number from 0", low=0, high=1e12) or 0)
    note_repeats(rows, "symbol")
    _raise(faults)
    return held


def read_views(file: Path, symbols: Collection[str]) -> tuple[View, ...]:
    """Return views from a CSV file with the columns symbol, against, view, confidence.

    view: excess return a year as a fraction (0.08), of the symbol or, with `against`, over that other one.
    confidence: above 0 and up to 1. Raises UserError with a line for every fault.
    """
    rows, faults = _rows(file, ("symbol", "against", "view", "confidence"))
    views = []
    for row in rows:
        symbol = _symbol(row, "symbol", symbols)
        against = _symbol(row, "against", symbols) if row.has("against") else ""
        if against and against == symbol:
            row.note("a view of a symbol against itself says nothing")
        for column in ("view", "confidence"):
            if not row.has(column):
                row.note(f"{column} is empty")
        value = row.number("view", "a fraction between -1 and 5, such as 0.08", low=-1, high=5)
        confidence = row.number("confidence", "a fraction above 0 and up to 1", low=1e-6, high=1)
        views.append(View(symbol, against, value or 0.0, confidence or 1.0))
    if not faults and not views:
        faults.append(Fault(shown_path(file), 0, "holds no view"))
    _raise(faults)
    return tuple(views)


def _rows(file: Path, columns: tuple[str, ...]) -> tuple[list[Row], list[Fault]]:
    faults: list[Fault] = []
    path = shown_path(file)
    text = read_text(file, path, faults)
    rows = None if text is None else read_rows(text, path, columns, faults)
    return rows or [], faults


def _symbol(row: Row, column: str, symbols: Collection[str]) -> str:
    symbol = row.text(column)
    if symbol and symbol not in symbols:
        row.note(undefined("symbol", symbol, symbols))
    return symbol


def _raise(faults: list[Fault]) -> None:
    if faults:
        raise UserError(*map(str, sorted(set(faults))))
