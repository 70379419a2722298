"""How price files are written: the headings vendors use, and prices.toml, in which a folder says what is its own.

    [columns]                       our column = their heading
    close = "Schlusskurs"
    [format]
    date = "%d/%m/%Y"               how dates are written, in Python's strptime
    decimal = ","                   "." or ","
    delimiter = ";"
    encoding = "cp932"
    [files]                         symbol = file name
    "MP" = "MP US Equity.csv"
    [rates]
    fix = "14:15 Europe/Berlin"     when currency rates are struck; else the start of the day in London

All of it is optional, and most files need none: dates, decimal marks, delimiters and headings are recognised.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from screener.errors import UserError, unknown
from screener.market.currency import parse_fix
from screener.market.sources.price_rows import NUMBERS

LAYOUT_FILE = "prices.toml"
KNOWN = ("date", *NUMBERS, "currency")
ALIASES = {
    # Yahoo, Nasdaq
    "datetime": "date",
    "timestamp": "date",
    "session": "date",
    "vol": "volume",
    "dividends": "dividend",
    "splits": "split",
    "stock_split": "split",
    "stock_splits": "split",
    "adjclose": "adj_close",
    "adjusted_close": "adj_close",
    "close_last": "close",
    # Investing-style
    "price": "close",
    "last": "close",
    # Bloomberg-style
    "dates": "date",
    "trade_date": "date",
    "px_open": "open",
    "px_high": "high",
    "px_low": "low",
    "px_last": "close",
    "px_volume": "volume",
    "open_price": "open",
    "high_price": "high",
    "low_price": "low",
    "last_price": "close",
    "close_price": "close",
    "crncy": "currency",
    "dvd_cash_gross": "dividend",
    # Stooq in Polish
    "data": "date",
    "otwarcie": "open",
    "najwyzszy": "high",
    "najnizszy": "low",
    "zamkniecie": "close",
    "wolumen": "volume",
    # Tokyo
    "日付": "date",
    "始値": "open",
    "高値": "high",
    "安値": "low",
    "終値": "close",
    "出来高": "volume",
}


def column_of(title: str, columns: Mapping[str, str]) -> str:
    """Return our name of a heading, or its plain form where we have none. columns: theirs → ours, from prices.toml."""
    if title.strip() in columns:
        return columns[title.strip()]
    word = plain(title)
    return ALIASES.get(word, word)


def plain(title: str) -> str:
    """Return a heading without case and marks: "<CLOSE>" and "Close " are close, "Vol." is vol."""
    return re.sub(r"[\W_]+", "_", title.strip().lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Layout:
    """What prices.toml says; "" where it says nothing and the file must speak for itself."""

    columns: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # their heading → our name
    date: str = ""  # strptime
    decimal: str = ""
    delimiter: str = ""
    encoding: str = ""
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # symbol → file name
    fix: str = ""
    text: str = ""  # of the whole file: a change of it changes what is read

    @property
    def is_plain(self) -> bool:
        """Say whether files are read as they are."""
        return not (self.columns or self.date or self.decimal or self.delimiter or self.encoding)


SECTIONS = {
    "columns": KNOWN,
    "format": ("date", "decimal", "delimiter", "encoding"),
    "files": (),
    "rates": ("fix",),
}


def read_layout(folder: Path) -> Layout:
    """Read a folder's prices.toml, if it has one. Raises UserError naming every fault."""
    path = folder / LAYOUT_FILE
    if not path.is_file():
        return Layout()
    try:
        text = path.read_text(encoding="utf-8-sig")
        told = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not TOML ({error})") from None
    problems = _shape(told)
    if not problems:
        problems = _values(told, folder)
    if problems:
        raise UserError(*(f"{path}:{each}" for each in problems))
    form, columns = told.get("format", {}), told.get("columns", {})
    return Layout(
        columns={theirs.strip(): ours for ours, theirs in columns.items()},
        date=form.get("date", ""),
        decimal=form.get("decimal", ""),
        delimiter=form.get("delimiter", ""),
        encoding=form.get("encoding", ""),
        files=told.get("files", {}),
        fix=told.get("rates", {}).get("fix", ""),
        text=text,
    )


def _shape(told: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with sections, keys and types."""
    problems = []
    for name, section in told.items():
        if name not in SECTIONS:
            problems.append(" " + unknown("section", name, list(SECTIONS)))
        elif not isinstance(section, dict):
            problems.append(f" {name} must be a section, [{name}]")
        else:
            for key, value in section.items():
                if SECTIONS[name] and key not in SECTIONS[name]:
                    problems.append(f"{name}: " + unknown("key", key, list(SECTIONS[name])))
                elif not isinstance(value, str) or not value:
                    problems.append(f"{name}.{key}: must be text in quotation marks, not {value!r}")
    return problems


def _values(told: Mapping[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with what the keys say."""
    problems = []
    form = told.get("format", {})
    if form.get("decimal", ".") not in (".", ","):
        problems.append(f"format.decimal: {form['decimal']!r} is no decimal mark; write . or ,")
    if len(form.get("delimiter", ";")) != 1:
        problems.append(f"format.delimiter: {form['delimiter']!r} must be one character")
    elif form.get("delimiter", ";") == form.get("decimal", "."):
        problems.append(f"format.delimiter: {form['delimiter']!r} is the decimal mark as well")
    try:
        codecs.lookup(form.get("encoding", "utf-8"))
    except LookupError:
        problems.append(f"format.encoding: {form['encoding']!r} is not known; try utf-8, cp1252 or cp932")
    if "date" in form and not _is_date_format(form["date"]):
        problems.append(f"format.date: {form['date']!r} does not say day, month and year; write %d/%m/%Y")
    headings = list(told.get("columns", {}).values())
    for heading in sorted({each for each in headings if headings.count(each) > 1}):
        problems.append(f"columns: {heading!r} stands for two columns")
    for symbol, name in told.get("files", {}).items():
        if not (folder / name).is_file():
            problems.append(f"files.{symbol}: there is no file {name!r} here")
    if "fix" in told.get("rates", {}):
        try:
            parse_fix(told["rates"]["fix"])
        except ValueError as error:
            problems.append(f"rates.fix: {error}")
    return problems


def _is_date_format(form: str) -> bool:
    try:
        day = datetime(2026, 11, 23)
        return datetime.strptime(day.strftime(form), form) == day
    except ValueError:
        return False
