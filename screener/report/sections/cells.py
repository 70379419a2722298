"""Cells that several sections use, so that a figure looks the same wherever it stands."""

from __future__ import annotations

from screener.report.blocks import Cell, Column
from screener.report.figures import HORIZONS, Figures
from screener.report.model import WeeklyInputs
from screener.report.words import change, heat, number

FULL_HEAT = {"1w": 0.10, "1m": 0.20, "3m": 0.35, "YTD": 0.60, "1y": 0.80}


def symbol_cell(inputs: WeeklyInputs, figures: Figures, symbol: str) -> Cell:
    """Return a symbol, marked when its prices are missing or old."""
    reason = figures.marks.get(symbol, "")
    return Cell(symbol, "", "symbol marked" if reason else "symbol", hint=reason)


def return_cell(value: float, horizon: str) -> Cell:
    """Return a signed, coloured return in percent."""
    return Cell(change(value), css=heat(value, FULL_HEAT[horizon]))


def ratio_cell(value: float) -> Cell:
    """Return a ratio with two digits."""
    return Cell(number(value))


def percent_cell(value: float, digits: int = 0) -> Cell:
    """Return a share or risk in percent, without a plus."""
    return Cell(change(value, digits).removeprefix("+"))


def horizon_columns(figures: Figures) -> list[Column]:
    """Return a heading for each horizon."""
    return [Column(figures.words(f"horizons.{name}"), number=True) for name in HORIZONS]
