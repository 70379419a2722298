"""Reads a portfolio that a person keeps in a CSV file of symbols and weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from screener.errors import UserError
from screener.universe.csv_rows import note_repeats, read_rows
from screener.universe.records import Fault, read_text, shown_path, undefined


def read_weights(file: Path, symbols: Collection[str]) -> dict[str, float]:
    """Return symbol → weight from a CSV file with the columns symbol and weight.

    Raises UserError with a line for every fault: an unknown symbol, a weight that is not a number from 0.
    """
    faults: list[Fault] = []
    path = shown_path(file)
    text = read_text(file, path, faults)
    rows = None if text is None else read_rows(text, path, ("symbol", "weight"), faults)
    weights = {}
    for row in rows or []:
        symbol = row.text("symbol")
        if symbol and symbol not in symbols:
            row.note(undefined("symbol", symbol, symbols))
        if not row.has("weight"):
            row.note("weight is empty")
        weights[symbol] = row.number("weight", "a number from 0", low=0) or 0.0
    note_repeats(rows or [], "symbol")
    if not faults and not any(weights.values()):
        faults.append(Fault(path, 0, "holds no weight above 0"))
    if faults:
        raise UserError(*map(str, sorted(set(faults))))
    return weights
