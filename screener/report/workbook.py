"""The tables of a report as an Excel workbook: numbers as numbers, texts never formulas, headers frozen."""

from __future__ import annotations

import io
import math
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from screener.backtest.record_tables import MONTHS
from screener.report.tables import TABLES
from screener.report.words import Wording, wording
from screener.screening.words import RULED

if TYPE_CHECKING:
    from screener.report.model import WeeklyReport

# daily wealth stays in wealth.csv
SHEETS = tuple(each for each in TABLES if each != "wealth")
FRACTIONS = frozenset(
    {
        "weight", "risk_contribution", "held", "fall", "total_return", "cagr", "volatility",
        "maximum_drawdown", "cvar_95", "turnover_per_year", "cost_drag", "tracking_error",
        "return", "depth", *MONTHS,
    }
)  # fmt: skip
WIDEST = 60  # characters; longer texts run on behind the cell


def workbook_of(report: WeeklyReport) -> bytes:
    """Return the workbook: a sheet with the week in sentences, then a sheet a table.

    The same report gives the same bytes.
    """
    import xlsxwriter

    say, buffer = wording(report.language), io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(buffer, options)
    book.set_properties(
        {"title": report.masthead.title, "created": report.run.generated_at.replace(tzinfo=None)}
    )
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
        "title": book.add_format({"bold": True, "font_size": 14}),
        "warning": book.add_format({"bold": True, "bg_color": "#F6D365"}),
        "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        "fraction": book.add_format({"num_format": "0.0%"}),
        "number": book.add_format({"num_format": "#,##0.00"}),
        "count": book.add_format({"num_format": "#,##0"}),
        "year": book.add_format({"num_format": "0"}),
        "date": book.add_format({"num_format": say("format.excel_day")}),
        "text": None,
    }
    _week(book.add_worksheet(say("workbook.week")), report, formats, say)
    for key in SHEETS:
        _table(book.add_worksheet(say(f"workbook.{key}")), report.tables[key], formats, say)
    book.close()
    return buffer.getvalue()


def _week(sheet: Any, report: WeeklyReport, formats: dict[str, object], say: Wording) -> None:
    """Write the sentences of the head: what the page says first."""
    head = report.masthead
    lines: list[tuple[str, str, str]] = [("title", head.title, ""), ("text", head.kicker, "")]
    lines += [("warning", each, "") for each in (head.synthetic_banner, head.data_banner) if each]
    lines.append(("wrap", say("page.points"), report.headline))
    lines += [("wrap", each.label, each.words) for each in report.key_points]
    lines += [("wrap", each.label, f"{each.value} ({each.comparison})") for each in report.figures]
    lines += [("wrap", say("method.command"), report.run.command)]
    lines += [("wrap", "", each) for each in head.footer]
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 110)
    for row, (style, label, words) in enumerate(lines):
        sheet.write_string(row, 0, label, formats[style])
        if words:
            sheet.write_string(row, 1, words, formats["wrap"])


def _table(sheet: Any, table: pd.DataFrame, formats: dict[str, object], say: Wording) -> None:
    """Write one table under a frozen header that filters it."""
    for place, column in enumerate(str(each) for each in table.columns):
        label = heading(column, say)
        sheet.write_string(0, place, label, formats["head"])
        kind = kind_of(column, table[column])
        longest = max((len(each) for each in map(_text, table[column])), default=0) if kind == "text" else 10
        sheet.set_column(place, place, min(max(longest, len(label), 8) + 2, WIDEST))
        for row, value in enumerate(table[column].tolist(), 1):
            _cell(sheet, (row, place), value, formats[kind])
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(table), max(len(table.columns) - 1, 0))


def heading(column: str, say: Wording) -> str:
    """Return a column's name as a reader wants it."""
    english = RULED[column].label if column in RULED else column.replace("_", " ")
    told = say.retell(english)
    return told[:1].upper() + told[1:]


def kind_of(column: str, values: pd.Series) -> str:
    """Return how a column's numbers are shown: as fractions, counts, years, other numbers, dates or texts."""
    if (
        column in FRACTIONS
        or column.startswith("return_")
        or (column in RULED and RULED[column].unit == "fraction")
    ):
        return "fraction"
    if pd.api.types.is_bool_dtype(values.dtype):
        return "text"
    if column == "year":
        return "year"
    if pd.api.types.is_integer_dtype(values.dtype) or column in ("rank", "history_days"):
        return "count"
    if pd.api.types.is_numeric_dtype(values.dtype):
        return "number"
    return "date" if any(isinstance(each, date) for each in values) else "text"


def _cell(sheet: Any, place: tuple[int, int], value: object, style: object) -> None:
    """Write one value as what it is; an unknown number leaves its cell empty."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(*place, value)
    elif isinstance(value, int | float):
        sheet.write_number(*place, value, style)
    elif isinstance(value, date):
        sheet.write_datetime(*place, value, style)
    else:
        sheet.write_string(*place, _text(value), style)


def _text(value: object) -> str:
    return "; ".join(str(each) for each in value) if isinstance(value, tuple) else str(value)
