"""Cells that several sections use, so that a figure looks the same wherever it stands."""

from __future__ import annotations

from screener.report.blocks import Cell, Column
from screener.report.figures import HORIZONS, Figures
from screener.report.model import WeeklyInputs
from screener.report.words import change, heat, known, number

FULL_HEAT = {"1w": 0.10, "1m": 0.20, "3m": 0.35, "YTD": 0.60, "1y": 0.80}
UNKNOWN = -1e18  # sorts what is not known below everything


def symbol_cell(inputs: WeeklyInputs, figures: Figures, symbol: str) -> Cell:
    """Return a symbol, marked when its prices are missing or old."""
    reason = figures.marks.get(symbol, "")
    return Cell(symbol, symbol, "symbol marked" if reason else "symbol", hint=reason)


def return_cell(value: float, horizon: str) -> Cell:
    """Return a signed, coloured return in percent."""
    return Cell(change(value), value if known(value) else UNKNOWN, heat(value, FULL_HEAT[horizon]))


def number_cell(text: str, value: float) -> Cell:
    """Return a number with what it sorts by."""
    return Cell(text, value if known(value) else UNKNOWN)


def ratio_cell(value: float) -> Cell:
    """Return a ratio with two digits."""
    return number_cell(number(value), value)


def percent_cell(value: float, digits: int = 0) -> Cell:
    """Return a share or risk in percent, without a plus."""
    text = change(value, digits).removeprefix("+")
    return number_cell(text, value)


def horizon_columns(figures: Figures) -> list[Column]:
    """Return a heading for each horizon."""
    return [Column(figures.words(f"horizons.{name}"), number=True) for name in HORIZONS]
