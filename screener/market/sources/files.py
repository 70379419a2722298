"""Prices from a folder: one CSV or Parquet file a symbol, named like MP.csv or 6762.T.parquet.

Columns (upper or lower case; Yahoo's own headers are understood):
    date          required, ISO; the exchange's session
    close         required, > 0, adjusted for splits and not for dividends, in the quote currency
    open, high, low, volume
    dividend      per share on its ex-date
    split         ratio of a split that the prices already reflect (Yahoo's convention), 1 or empty otherwise
    split_to_apply  ratio of a split that they do not reflect: earlier prices and dividends are divided by it,
                  earlier volumes multiplied
    adj_close     adjusted for dividends too; read only where there is no dividend column, and turned into
                  the dividends it implies: D = C[t−1] · (1 − (A[t−1]/C[t−1]) / (A[t]/C[t]))
    currency      one value; may state another unit of the universe's currency (GBp for GBP), not another one
Other columns are ignored, unless one is so close to a name above that it looks mistyped. Rows may come in any
order. A file named SYNTHETIC in the folder marks everything in it as synthetic.

Every fault of every file of the universe is reported at once, before anything is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from screener.errors import SourceError, UserError, raise_all
from screener.market.bars import Bars, bars_table
from screener.market.currency import PAIRS, major_unit
from screener.market.sources import PriceRequest, SourceSettings

ALIASES = {
    "adj close": "adj_close",
    "adjclose": "adj_close",
    "dividends": "dividend",
    "stock splits": "split",
}
NUMBERS = ("open", "high", "low", "close", "volume", "dividend", "split", "split_to_apply", "adj_close")
POSITIVE = ("open", "high", "low", "close", "adj_close")
KNOWN = ("date", "currency", *NUMBERS)
SUFFIXES = (".csv", ".parquet")
IMPLIED_DIVIDEND = 2e-5  # fraction of the price; less is the vendor's rounding
SHOWN_PER_FILE = 20


def open_source(settings: SourceSettings) -> FilesSource:
    """Check the folder and every file in it that belongs to the universe, and return the source.

    Raises UserError with every fault found.
    """
    folder = settings.folder
    if folder is None:
        raise UserError("--source files needs --prices FOLDER, the folder of price files")
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"--prices: {folder} {what}")
    files, doubled = _files_in(folder)
    if not files:
        raise UserError(f"--prices: {folder} holds no .csv or .parquet file")
    currencies = {each.symbol: each.currency for each in settings.universe.everything().values()}
    symbols = {*currencies, *(pair.symbol for pair in PAIRS.values())} & set(files)
    if not symbols & set(currencies):
        some = ", ".join(sorted(files)[:5])
        raise UserError(
            f"--prices: {folder} has no file of this universe's symbols (it has {some}); name them MP.csv"
        )
    tables, problems = {}, [each for symbol, each in doubled.items() if symbol in symbols]
    for symbol in sorted(symbols):
        table, found = _read(files[symbol], currencies.get(symbol, ""))
        tables[symbol] = table
        problems += found
    raise_all(problems)
    return FilesSource(folder.resolve(), files, tables, (folder / "SYNTHETIC").exists())


class FilesSource:
    """A checked folder of price files; what was checked is what is served."""

    def __init__(
        self,
        folder: Path,
        files: dict[str, Path],
        tables: dict[str, tuple[pd.DataFrame, str]],
        synthetic: bool,
    ) -> None:
        """Hold what `open_source` has read."""
        self.identity = f"files:{folder}"
        self.synthetic = synthetic
        self._folder, self._files, self._tables = folder, files, tables

    def version(self, request: PriceRequest) -> str:
        """Return a fingerprint of the symbol's file, "" when there is none."""
        path = self._files.get(request.symbol)
        return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the rows of the symbol's file that lie in the span."""
        if request.symbol not in self._tables:
            message = f"no file {request.symbol}.csv or {request.symbol}.parquet in {self._folder}"
            raise SourceError("no such symbol", message)
        table, currency = self._tables[request.symbol]
        span = table[
            (table.index >= pd.Timestamp(request.start)) & (table.index <= pd.Timestamp(request.end))
        ]
        if not len(span):
            name = self._files[request.symbol].name
            raise SourceError("no data", f"{name} has no row from {request.start} to {request.end}")
        return Bars(request.symbol, span, currency or request.currency, "files", now, self.synthetic)


def _files_in(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the file of each symbol, and a problem for each symbol that has two."""
    files: dict[str, Path] = {}
    doubled: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            symbol = path.name[: -len(path.suffix)]
            if symbol in files:
                doubled[symbol] = f"{path}: {files[symbol].name} has the same symbol; keep one of the two"
            files[symbol] = path
    return files, doubled


def _read(path: Path, quoted_in: str) -> tuple[tuple[pd.DataFrame, str], list[str]]:
    """Return a file as a bars table with its stated currency, and its problems."""
    nothing = bars_table(pd.DataFrame({"close": []}, index=pd.DatetimeIndex([]))), ""
    try:
        if path.suffix.lower() == ".parquet":
            raw = pd.read_parquet(path)
            raw = raw if "date" in {str(each).lower() for each in raw.columns} else raw.reset_index()
        else:
            raw = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (
        OSError,
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        ValueError,
    ) as error:
        return nothing, [f"{path}: cannot be read ({(str(error).splitlines() or ['?'])[0]})"]
    if not isinstance(raw.index, pd.RangeIndex):  # pandas takes the surplus cells of every row for an index
        return nothing, [f"{path}:2: the row has more cells than the header has columns"]
    raw.columns = pd.Index([_column(each) for each in raw.columns])
    problems = list(_header_problems(path, raw))
    if problems:
        return nothing, problems
    raw = raw[[each for each in raw.columns if each in KNOWN]]
    dates, numbers, problems = _parse(path, raw)
    currency, wrong = _currency(path, raw, quoted_in)
    problems += wrong
    if problems:
        more = len(problems) - SHOWN_PER_FILE
        return nothing, problems[:SHOWN_PER_FILE] + ([f"{path}: and {more} more faults"] if more > 0 else [])
    return (_as_bars(dates, numbers), currency), []


def _column(name: object) -> str:
    word = str(name).strip().lower()
    return ALIASES.get(word, word.replace(" ", "_"))


def _header_problems(path: Path, raw: pd.DataFrame) -> Iterator[str]:
    columns = [str(each) for each in raw.columns]
    for name in ("date", "close"):
        if name not in columns:
            yield f"{path}:1: column {name!r} is missing; the file has {', '.join(columns) or 'no columns'}"
    for name in columns:
        near = get_close_matches(name, KNOWN, n=1, cutoff=0.85)
        if name not in KNOWN and near and near[0] not in columns:
            yield f"{path}:1: column {name!r} is unknown; did you mean {near[0]!r}?"
    for name in sorted({each for each in columns if columns.count(each) > 1 and each in KNOWN}):
        yield f"{path}:1: column {name!r} stands there twice"


def _parse(path: Path, raw: pd.DataFrame) -> tuple[pd.DatetimeIndex, pd.DataFrame, list[str]]:
    """Return dates and numbers, and a problem for each cell that is neither what it should be nor empty."""
    problems: list[tuple[int, str]] = []

    def fault(row: int, column: str, what: str) -> None:
        problems.append((row, f"{path}:{row + 2}: {column}: {what}"))  # line 1 is the header

    raw = raw[~_is_empty(raw.drop(columns="currency", errors="ignore")).all(axis=1)]
    dates = pd.Series(
        pd.to_datetime(raw["date"], format="ISO8601", errors="coerce", utc=True), index=raw.index
    )
    for row in raw.index[dates.isna()]:
        fault(int(row), "date", f"{str(raw.at[row, 'date'])!r} is not a date; write it as 2026-07-10")
    numbers = pd.DataFrame(index=raw.index)
    for column in (each for each in NUMBERS if each in raw.columns):
        empty = _is_empty(raw[[column]])[column]
        values = pd.to_numeric(raw[column].where(~empty), errors="coerce").astype(float)
        for row in raw.index[values.isna() & ~empty]:
            fault(int(row), column, f"{str(raw.at[row, column])!r} is not a number")
        low = values <= 0 if column in POSITIVE else values < 0
        for row in raw.index[low | np.isinf(values)]:
            fault(
                int(row),
                column,
                f"{raw.at[row, column]!s} is not a price" if column in POSITIVE else "is negative",
            )
        numbers[column] = values
    prices = [each for each in POSITIVE if each in numbers]
    for row in raw.index[numbers["close"].isna() & numbers[prices].notna().any(axis=1)]:
        fault(int(row), "close", "is empty while the row has other prices")
    sessions = dates.dt.tz_localize(None).dt.normalize()
    for row in raw.index[sessions.duplicated() & sessions.notna()]:
        first = int(raw.index[(sessions == sessions[row]).to_numpy()][0])
        fault(int(row), "date", f"{sessions[row].date()} stands already in line {first + 2}")
    return pd.DatetimeIndex(sessions), numbers, [line for _, line in sorted(problems)]


def _is_empty(cells: pd.DataFrame) -> pd.DataFrame:
    """Say which cells hold nothing: null, blank, or a word for it."""
    as_text = cells.astype(str).apply(lambda column: column.str.strip().str.lower())
    empty: pd.DataFrame = cells.isna() | as_text.isin(["", "nan", "null", "none", "n/a", "<na>"])
    return empty


def _currency(path: Path, raw: pd.DataFrame, quoted_in: str) -> tuple[str, list[str]]:
    if "currency" not in raw.columns:
        return "", []
    stated = sorted({str(each).strip() for each in raw["currency"] if str(each).strip()})
    if len(stated) > 1:
        return "", [f"{path}: currency: {' and '.join(stated)} in one file; a file has one currency"]
    if stated and quoted_in and major_unit(stated[0])[0] != major_unit(quoted_in)[0]:
        return "", [f"{path}: currency: {stated[0]}, but the universe says {quoted_in}"]
    return (stated[0] if stated else ""), []


def _as_bars(dates: pd.DatetimeIndex, numbers: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers as the table Bars wants, sorted, with splits applied and dividends known."""
    table = numbers.set_index(dates).sort_index()
    table = table[table["close"].notna()]
    if "split_to_apply" in table:
        _apply_splits(table)
    if "adj_close" in table and "dividend" not in table:
        table["dividend"] = _implied_dividends(table["close"].to_numpy(), table["adj_close"].to_numpy())
    return bars_table(table)


def _apply_splits(table: pd.DataFrame) -> None:
    """Divide what lies before each split by its ratio, as Yahoo serves prices."""
    ratio = table["split_to_apply"].fillna(1.0).replace(0.0, 1.0)
    later = ratio[::-1].cumprod()[::-1] / ratio  # the product of the splits after each row
    for column in ("open", "high", "low", "close", "adj_close", "dividend"):
        if column in table:
            table[column] = table[column] / later
    if "volume" in table:
        table["volume"] = table["volume"] * later
    table["split"] = table["split"].fillna(1.0) * ratio if "split" in table else ratio


def _implied_dividends(
    close: np.ndarray[tuple[int], np.dtype[np.float64]],
    adjusted: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    dividend = np.zeros(len(close))
    factor = adjusted / close
    kept = factor[:-1] / factor[1:]
    implied = close[:-1] * (1.0 - kept)
    dividend[1:] = np.where(implied > IMPLIED_DIVIDEND * close[:-1], implied, 0.0)
    return dividend
