"""One CSV or Parquet file becomes one table of bars, or a list of all that is wrong with it, line by line.

Columns, in any order and case; Yahoo's own headings ("Adj Close", "Stock Splits" …) are understood too:

date            required: the exchange's session date, 2026-07-10; of a time behind it only the date counts
close           required, positive
open high low   optional, positive
volume          optional, not negative
dividend        optional: per share, on its ex-date
split           optional: new shares per old, on the first session with them, already in all earlier prices
                (Yahoo's convention; 0 and empty mean none)
split_to_apply  optional: the same for a split that earlier prices do not contain yet; they and earlier
                dividends are divided by it here, earlier volumes multiplied
adj_close       optional, looked at only where there is no dividend column: implied dividends are worked out
currency        optional: one value in the whole file, GBp for pence

Rows may come in any order. A row without any price is left out; its dividend or split goes to the next one.
Other columns are ignored, unless they look like a misspelling or like dividends or splits by another name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from screener.errors import UserError
from screener.market.sources.price_rows import HEADING, NUMBERS, Fault, Rows, bars_of, faults_of

KNOWN = ("date", *NUMBERS, "currency")
ALIASES = {
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
}
EMPTY = ["", "NaN", "nan", "NA", "N/A", "n/a", "null", "NULL", "None"]
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
DATE = re.compile(r"([0-9-]{10})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9.]+)?)(Z|[+-][0-9]{2}:?[0-9]{2})?)?")
SAME_FAULTS_SHOWN = 3


@dataclass(frozen=True, eq=False, slots=True)
class PriceFile:
    """A sound file: its bars (T × COLUMNS of bars.py), its currency ("": unsaid), a hash of its bytes."""

    path: Path
    table: pd.DataFrame
    currency: str
    currency_line: int
    fingerprint: str


def read_price_file(path: Path, latest: date | None = None) -> PriceFile:
    """Read one file. Raises UserError naming every fault; a date that leaps beyond `latest` is one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    rows = _read_quickly(content, path)
    if rows is None or faults_of(rows, latest):
        rows = _read_carefully(content, path, latest)
    stated = [row for row, each in enumerate(rows.currencies) if each]
    return PriceFile(
        path=path,
        table=bars_of(rows),
        currency=rows.currencies[stated[0]] if stated else "",
        currency_line=int(rows.lines[stated[0]]) if stated else 0,
        fingerprint=hashlib.sha256(content).hexdigest()[:16],
    )


def is_csv(path: Path) -> bool:
    """Say whether a price file is text; else it is Parquet."""
    return path.suffix.lower() == ".csv"


# Arrow reads what is well formed, thirty times as fast as cell by cell


def _read_quickly(content: bytes, path: Path) -> Rows | None:
    """Return the rows if there are only dates and numbers where they belong, else None. Lines are a guess."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    try:
        if is_csv(path):
            options = arrow_csv.ConvertOptions(null_values=EMPTY, strings_can_be_null=True)
            table = arrow_csv.read_csv(pa.BufferReader(content), convert_options=options)
        else:
            table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError):
        return None
    columns, faults = _columns(table.column_names)
    if faults or not table.num_rows:
        return None
    dates = table.column(columns["date"])  # with a zone, Arrow has turned them into UTC: another date, maybe
    if not pa.types.is_date(dates.type) and not (pa.types.is_timestamp(dates.type) and dates.type.tz is None):
        return None
    numbers = {}
    for name in [each for each in NUMBERS if each in columns]:
        values = table.column(columns[name])
        if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
            if not pa.types.is_null(values.type):
                return None
            values = values.cast(pa.float64())
        numbers[name] = values.to_numpy().astype(np.float64)
    currencies = table.column(columns["currency"]).to_pylist() if "currency" in columns else []
    if not all(each is None or isinstance(each, str) for each in currencies):
        return None
    return Rows.by_date(
        dates.to_numpy().astype("datetime64[D]"),
        numbers,
        [(each or "").strip() for each in currencies],
        np.arange(table.num_rows, dtype=np.int64) + (2 if is_csv(path) else 1),
    )


# Cell by cell, for the sake of the messages and of dates in other forms


def _read_carefully(content: bytes, path: Path, latest: date | None) -> Rows:
    """Return the rows. Raises UserError naming every fault with its line."""
    header, cells, lines = _csv_cells(content, path) if is_csv(path) else _parquet_cells(content, path)
    columns, faults = _columns(header)
    if faults:
        raise UserError(*_lines_about(path, faults))
    if not cells:
        raise UserError(f"{path}: has a heading and no rows")
    rows, unreadable = _parse(columns, cells, lines, len(header))
    spoilt = {(line, each.column) for each in unreadable for line in (each.line, HEADING)}
    faults = unreadable + [each for each in faults_of(rows, latest) if each[:2] not in spoilt]
    if faults:
        raise UserError(*_lines_about(path, faults))
    return rows


def _csv_cells(content: bytes, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return heading, rows of cells and their line numbers; blank lines are left out."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: is not UTF-8 text; save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    found: list[tuple[int, list[str]]] = []
    try:
        found.extend((reader.line_num, cells) for cells in reader if any(each.strip() for each in cells))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: cannot be read as CSV ({error})") from None
    if not found:
        raise UserError(f"{path}: is empty; its first line must name the columns, date and close at least")
    return found[0][1], [cells for _, cells in found[1:]], [line for line, _ in found[1:]]


def _parquet_cells(content: bytes, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return column names, rows of cells as text and their row numbers."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    columns = [[_as_text(value) for value in column.to_pylist()] for column in table.columns]
    cells = [list(row) for row in zip(*columns, strict=True)]
    return table.column_names, cells, [*range(1, table.num_rows + 1)]


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return "" if value is None else str(value)


def _parse(
    columns: Mapping[str, int], cells: Sequence[Sequence[str]], lines: Sequence[int], width: int
) -> tuple[Rows, list[Fault]]:
    """Return the rows with what cannot be read left empty, and a fault for each such cell."""
    dates = np.full(len(cells), np.datetime64("NaT"), dtype="datetime64[D]")
    numbers = {name: np.full(len(cells), np.nan) for name in NUMBERS if name in columns}
    currencies = [""] * len(cells) if "currency" in columns else []
    faults: list[Fault] = []
    for row, (line, found) in enumerate(zip(lines, cells, strict=True)):
        if len(found) != width:
            faults.append(Fault(line, "", "width", f"has {len(found)} columns, the heading has {width}"))
            faults.extend(Fault(line, name, "width", "") for name in columns)  # judge none of its cells
            continue
        for name, position in columns.items():
            text = found[position].strip()
            if text in EMPTY:
                continue
            if name == "currency":
                currencies[row] = text
            elif name == "date":
                if (day := _date(text)) is None:
                    faults.append(Fault(line, name, "form", f"{text!r:.40} is not a date; write 2026-07-10"))
                else:
                    dates[row] = day
            elif NUMBER.fullmatch(text) and np.isfinite(float(text)):
                numbers[name][row] = float(text)
            else:
                faults.append(Fault(line, name, "form", f"{text!r:.40} is not a number"))
    return Rows.by_date(dates, numbers, currencies, np.array(lines, dtype=np.int64)), faults


def _date(text: str) -> date | None:
    """Return the session date, None if there is none. An instant in UTC is none, unless it is midnight."""
    parts = DATE.fullmatch(text)
    if parts is None or (parts[3] == "Z" and parts[2].strip("0:.")):
        return None
    try:
        return date.fromisoformat(parts[1])
    except ValueError:
        return None


# The heading, and the telling


def _columns(header: Sequence[str]) -> tuple[dict[str, int], list[Fault]]:
    """Return which known column stands where, and what is wrong with the heading."""
    columns: dict[str, int] = {}
    faults: list[Fault] = []
    suspected: set[str] = set()
    for position, title in enumerate(header):
        word = re.sub(r"[\s_\-]+", "_", title.strip().lower())
        name = ALIASES.get(word, word)
        if name in columns:
            problem = f"columns {header[columns[name]]!r} and {title!r} both hold the {name}; keep one"
            faults.append(Fault(HEADING, "", f"twice {name}", problem))
        elif name in KNOWN:
            columns[name] = position
        elif meant := _meant(word):
            suspected.add(meant)
            problem = f"column {title.strip()!r:.40} is not known; rename it {meant} or remove it"
            faults.append(Fault(HEADING, "", f"unknown {title}", problem))
    if "dividend" in columns:
        columns.pop("adj_close", None)  # nothing to work out
    separator = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), "")
    for name in {"date", "close"} - columns.keys() - suspected:
        hint = f"separate columns with commas, not {separator!r}" if separator else f"found {header!r:.100}"
        faults.append(Fault(HEADING, "", f"missing {name}", f"column {name} is missing; {hint}"))
    return columns, faults


def _meant(word: str) -> str:
    """Return the known column that an unknown one probably is, or "". Payouts are never ignored quietly."""
    near = get_close_matches(word, [*KNOWN, *ALIASES], n=1, cutoff=0.8)
    near += [payout for payout in ("split", "dividend") if payout in word]
    return ALIASES.get(near[0], near[0]) if near else ""


def _lines_about(path: Path, faults: Iterable[Fault]) -> list[str]:
    """Return "path:line:column: problem" for each fault, of a long row of the same only the first few."""
    told: list[str] = []
    alike: Counter[tuple[str, str]] = Counter()
    for line, column, kind, problem in sorted(each for each in faults if each.problem):
        alike[column, kind] += 1
        if alike[column, kind] <= SAME_FAULTS_SHOWN:
            place = f":{max(line, 1)}" if is_csv(path) else f":row {line}" if line else ""
            told.append(f"{path}{place}{':' if column else ''}{column}: {problem}")
    for (column, _), count in alike.items():
        if count > SAME_FAULTS_SHOWN:
            told.append(
                f"{path}: the same in {count - SAME_FAULTS_SHOWN} more rows{' of ' * bool(column)}{column}"
            )
    return told
