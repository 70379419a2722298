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
adj_close       optional: dividends are worked out from it where there is no dividend column, else compared with it
currency        optional: one value in the whole file, GBp for pence

Rows may come in any order. A row without any price is left out; its dividend or split goes to the next one.
Other columns are ignored, unless they look like a misspelling or like dividends or splits by another name.
Headings, dates and numbers as Yahoo, Stooq, Investing and Bloomberg export them are understood: price_layout.py and
price_text.py say how, and how a folder's prices.toml says what is its own.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from screener.errors import UserError
from screener.market.sources.price_layout import ALIASES, KNOWN, LAYOUT_FILE, Layout, column_of, plain
from screener.market.sources.price_rows import (
    HEADING,
    NUMBERS,
    VENDOR_CLOSE,
    Fault,
    Rows,
    bars_of,
    faults_of,
    vendor_close_of,
)
from screener.market.sources.price_text import EMPTY, date_reader, number_reader

SAME_FAULTS_SHOWN = 3
DELIMITERS = (",", ";", "\t", "|")
PREAMBLE = 20  # lines that may stand before the heading, with a security's name and the like
PLAIN = Layout()


@dataclass(frozen=True, eq=False, slots=True)
class PriceFile:
    """A sound file: its bars (T × COLUMNS of bars.py), its currency ("": unsaid), a hash of its bytes.

    adjusted: the vendor's adjusted close by session, None where the file has none beside its dividends.
    """

    path: Path
    table: pd.DataFrame
    currency: str
    currency_line: int
    fingerprint: str
    adjusted: pd.Series | None = None


def read_price_file(path: Path, latest: date | None = None, layout: Layout = PLAIN) -> PriceFile:
    """Read one file. Raises UserError naming every fault; a date that leaps beyond `latest` is one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    rows = _read_quickly(content, path) if layout.is_plain else None
    if rows is None or faults_of(rows, latest):
        rows = _read_carefully(content, path, latest, layout)
    stated = [row for row, each in enumerate(rows.currencies) if each]
    return PriceFile(
        path=path,
        table=bars_of(rows),
        currency=rows.currencies[stated[0]] if stated else "",
        currency_line=int(rows.lines[stated[0]]) if stated else 0,
        fingerprint=hashlib.sha256(content + layout.text.encode()).hexdigest()[:16],
        adjusted=vendor_close_of(rows),
    )


def is_csv(path: Path) -> bool:
    """Say whether a price file is text; else it is Parquet."""
    return path.suffix.lower() != ".parquet"


# Arrow reads what is well formed, thirty times as fast as cell by cell


def _read_quickly(content: bytes, path: Path) -> Rows | None:
    """Return the rows if there are only dates and numbers where they belong, else None. Lines are a guess."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    try:
        if is_csv(path):
            options = arrow_csv.ConvertOptions(null_values=list(EMPTY), strings_can_be_null=True)
            table = arrow_csv.read_csv(pa.BufferReader(content), convert_options=options)
        else:
            table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError):
        return None
    columns, faults = _columns(table.column_names, PLAIN)
    if faults or not table.num_rows:
        return None
    dates = table.column(columns["date"])  # with a zone, Arrow has turned them into UTC: another date, maybe
    if not pa.types.is_date(dates.type) and not (pa.types.is_timestamp(dates.type) and dates.type.tz is None):
        return None
    numbers = {}
    for name in [each for each in (*NUMBERS, VENDOR_CLOSE) if each in columns]:
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


def _read_carefully(content: bytes, path: Path, latest: date | None, layout: Layout = PLAIN) -> Rows:
    """Return the rows. Raises UserError naming every fault with its line."""
    if is_csv(path):
        header, cells, lines = _csv_cells(content, path, layout)
    else:
        header, cells, lines = _parquet_cells(content, path)
    columns, faults = _columns(header, layout)
    if faults:
        raise UserError(*_lines_about(path, faults))
    if not cells:
        raise UserError(f"{path}: has a heading and no rows")
    rows, unreadable = _parse(columns, cells, lines, (len(header), layout))
    spoilt = {(line, each.column) for each in unreadable for line in (each.line, HEADING)}
    faults = unreadable + [each for each in faults_of(rows, latest) if each[:2] not in spoilt]
    if faults:
        raise UserError(*_lines_about(path, faults))
    return rows


def _csv_cells(content: bytes, path: Path, layout: Layout) -> tuple[list[str], list[list[str]], list[int]]:
    """Return heading, rows of cells and their line numbers; blank lines and what precedes the heading are left out."""
    text = _decoded(content, path, layout.encoding)
    delimiter = layout.delimiter or _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found: list[tuple[int, list[str]]] = []
    try:
        found.extend((reader.line_num, cells) for cells in reader if any(each.strip() for each in cells))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: cannot be read as CSV ({error})") from None
    if not found:
        raise UserError(f"{path}: is empty; its first line must name the columns, date and close at least")
    known = [{column_of(each, layout.columns) for each in cells} for _, cells in found[:PREAMBLE]]
    heading = next((at for at, names in enumerate(known) if "date" in names and len(names) > 1), 0)
    found = found[heading:]
    return found[0][1], [cells for _, cells in found[1:]], [line for line, _ in found[1:]]


def _decoded(content: bytes, path: Path, encoding: str) -> str:
    """Return the text of a file: as stated, in UTF-16 where its byte-order mark says so, else in UTF-8."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode(encoding or ("utf-16" if wide else "utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        if encoding:
            raise UserError(f"{path}:{line}: is not text in {encoding}, which {LAYOUT_FILE} states") from None
        problem = f"is not UTF-8 text; save it as CSV in UTF-8, or state its encoding in {LAYOUT_FILE}"
        raise UserError(f"{path}:{line}: {problem}") from None


def _delimiter(text: str) -> str:
    """Return the mark between columns: the one that most of the first lines with any have most of."""
    lines = [line for line in text.splitlines()[:PREAMBLE] if line.strip()]
    counts = [max(DELIMITERS, key=lambda mark, line=line: line.count(mark)) for line in lines]  # type: ignore[misc]
    seen = [mark for mark, line in zip(counts, lines, strict=True) if mark in line]
    if lines and (semicolons := lines[0].count(";")) and lines[0].count(",") < semicolons + 1:
        return ";"  # decimal commas may outnumber it further down
    return max(DELIMITERS, key=seen.count)


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
    columns: Mapping[str, int],
    cells: Sequence[Sequence[str]],
    lines: Sequence[int],
    form: tuple[int, Layout],
) -> tuple[Rows, list[Fault]]:
    """Return the rows with what cannot be read left empty, and a fault for each such cell. form: width and layout."""
    width, layout = form
    dates = np.full(len(cells), np.datetime64("NaT"), dtype="datetime64[D]")
    numbers = {name: np.full(len(cells), np.nan) for name in (*NUMBERS, VENDOR_CLOSE) if name in columns}
    currencies = [""] * len(cells) if "currency" in columns else []
    full = [(line, found) for line, found in zip(lines, cells, strict=True) if len(found) == width]

    def texts(*names: str) -> Iterator[tuple[int, str]]:
        places = [columns[name] for name in names]
        return (
            (line, text) for line, found in full for at in places if (text := found[at].strip()) not in EMPTY
        )

    judged = [name for name in numbers if name != VENDOR_CLOSE]
    to_number, faults = number_reader(texts(*judged), layout.decimal)
    to_date, unclear = date_reader(texts("date"), layout.date)
    # a way of writing that cannot be told is one fault, not one for each cell
    silent = [name for name in columns if (name in numbers and faults) or (name == "date" and unclear)]
    faults = [*faults, *unclear, *(Fault(line, name, "", "") for line in lines for name in silent)]
    for row, (line, found) in enumerate(zip(lines, cells, strict=True)):
        if len(found) != width:
            faults.append(Fault(line, "", "width", f"has {len(found)} columns, the heading has {width}"))
            faults.extend(Fault(line, name, "width", "") for name in columns)  # judge none of its cells
            continue
        for name, position in columns.items():
            text = found[position].strip()
            if text in EMPTY or name in silent:
                continue
            if name == "currency":
                currencies[row] = text
            elif name == "date":
                if (day := to_date(text)) is None:
                    how = layout.date or "2026-07-10"
                    faults.append(Fault(line, name, "form", f"{text!r:.40} is not a date; write {how}"))
                else:
                    dates[row] = day
            elif (number := to_number(text)) is not None and np.isfinite(number):
                numbers[name][row] = number
            elif name != VENDOR_CLOSE:
                faults.append(Fault(line, name, "form", f"{text!r:.40} is not a number"))
    return Rows.by_date(dates, numbers, currencies, np.array(lines, dtype=np.int64)), faults


# The heading, and the telling


def _columns(header: Sequence[str], layout: Layout) -> tuple[dict[str, int], list[Fault]]:
    """Return which known column stands where, and what is wrong with the heading."""
    columns: dict[str, int] = {}
    faults: list[Fault] = []
    suspected: set[str] = set()
    for position, title in enumerate(header):
        name = column_of(title, layout.columns)
        if name in columns:
            problem = f"columns {header[columns[name]]!r} and {title!r} both hold the {name}; keep one"
            faults.append(Fault(HEADING, "", f"twice {name}", problem))
        elif name in KNOWN:
            columns[name] = position
        elif meant := _meant(plain(title)):
            suspected.add(meant)
            problem = f"column {title.strip()!r:.40} is not known; rename it {meant} or remove it"
            faults.append(Fault(HEADING, "", f"unknown {title}", problem))
    if "dividend" in columns:
        # nothing to work out, something to compare with
        columns |= {VENDOR_CLOSE: columns.pop("adj_close")} if "adj_close" in columns else {}
    for name in {"date", "close"} - columns.keys() - suspected:
        hint = f"found {header!r:.100}; name it under [columns] in {LAYOUT_FILE} if it has another heading"
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
