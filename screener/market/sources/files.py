"""Prices from a folder of CSV or Parquet files, one a symbol: MP.csv, 6762.T.parquet, JPY=X.csv.

price_file.py says which columns a file may have, and prices.toml in the folder how the files are written if they are
written in a way of their own. All files that belong to the universe are read when the source is opened, so that
every fault comes out, with file and line, before anything is stored. Files of other symbols are left alone. A file
named SYNTHETIC in the folder says that the prices are made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from screener.errors import SourceError, UserError, raise_all
from screener.market.bars import Bars
from screener.market.currency import FX_MARK, PAIRS, major_unit
from screener.market.sources import PriceRequest, PriceSource, SourceSettings
from screener.market.sources.price_file import PriceFile, read_price_file
from screener.market.sources.price_layout import Layout, read_layout
from screener.universe.model import Universe

SUFFIXES = (".csv", ".parquet")
SYNTHETIC = "SYNTHETIC"


def open_source(settings: SourceSettings) -> PriceSource:
    """Read the folder. Raises UserError naming every fault of the folder and of its files."""
    if settings.folder is None:
        raise UserError("--source files: say where the files are with --prices FOLDER")
    folder = settings.folder.expanduser()
    layout = read_layout(folder)
    found = _price_files(folder, layout)
    wanted = [*settings.universe.everything(), *(pair.symbol for pair in PAIRS.values())]
    if not any(symbol in found for symbol in settings.universe.everything()):
        key, some = settings.universe.key, ", ".join(sorted(found)[:8]) + (" …" if len(found) > 8 else "")
        raise UserError(f"--prices: {folder} has no file for any symbol of universe {key}; it has {some}")
    files, problems = _read_all({symbol: found[symbol] for symbol in wanted if symbol in found}, layout)
    raise_all([*problems, *_contradictions(files, settings.universe)])
    return FilesSource(folder, files, layout)


class FilesSource:
    """A folder of price files as a PriceSource; what it serves was read when it was opened."""

    def __init__(self, folder: Path, files: Mapping[str, PriceFile], layout: Layout) -> None:
        """`files` by symbol; a symbol that is not there has no file."""
        self.identity = f"files:{folder.absolute()}" + (f"{FX_MARK}{layout.fix}" if layout.fix else "")
        self._layout = layout
        self.synthetic = (folder / SYNTHETIC).is_file()
        self._folder, self._files = folder, files
        self._checked = False

    def version(self, request: PriceRequest) -> str:
        """Return the start of the SHA-256 of the symbol's file, "" if there is none."""
        return self._files[request.symbol].fingerprint if request.symbol in self._files else ""

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the file's bars in the span; raises SourceError.

        The first call raises UserError if the dates of any file leap into the future of `now`.
        """
        if not self._checked:
            self._refuse_the_future(now)
            self._checked = True
        file = self._files.get(request.symbol)
        if file is None:
            names = " or ".join(request.symbol + suffix for suffix in SUFFIXES)
            raise SourceError("no such symbol", f"no file {names} in {self._folder}")
        table = file.table.loc[pd.Timestamp(request.start) : pd.Timestamp(request.end)]
        if table.empty:
            span = f"{file.table.index[0]:%Y-%m-%d} to {file.table.index[-1]:%Y-%m-%d}"
            raise SourceError(
                "no data",
                f"{file.path.name} has rows from {span}, none from {request.start} to {request.end}",
            )
        currency = file.currency or request.currency
        return Bars(
            request.symbol, table, currency, self.identity, now, self.synthetic, adjusted=file.adjusted
        )

    def _refuse_the_future(self, now: datetime) -> None:
        """Raise UserError for every row that leaps into the future."""
        latest = now.date() + timedelta(days=1)  # where Sydney is already
        late = {
            symbol: each.path
            for symbol, each in self._files.items()
            if each.table.index[-1] > pd.Timestamp(latest)
        }
        problems: list[str] = []
        for path in late.values():
            try:
                read_price_file(path, latest, self._layout)
            except UserError as error:
                problems.extend(error.problems)
        raise_all(problems)


def _price_files(folder: Path, layout: Layout) -> dict[str, Path]:
    """Return the folder's price files by symbol. Raises UserError for a folder that cannot serve."""
    if not folder.exists():
        raise UserError(f"--prices: folder {folder} does not exist")
    if not folder.is_dir():
        raise UserError(f"--prices: {folder} is a file; give the folder that holds it")
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"--prices: {folder} cannot be read ({error.strerror})") from None
    found = {symbol: folder / name for symbol, name in layout.files.items()}
    named = set(found.values())
    problems: list[str] = []
    for path in entries:
        if path in named:
            continue
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            other = found[path.stem].name
            problems.append(f"{folder}: {other} and {path.name} are both {path.stem}; keep one")
        found.setdefault(path.stem, path)
    raise_all(problems)
    if not found:
        raise UserError(
            f"--prices: {folder} holds no .csv and no .parquet file; a symbol's file is named MP.csv"
        )
    return found


def _read_all(paths: Mapping[str, Path], layout: Layout) -> tuple[dict[str, PriceFile], list[str]]:
    """Return the sound files by symbol, and every fault of the others."""
    files: dict[str, PriceFile] = {}
    problems: list[str] = []
    for symbol, path in paths.items():
        try:
            files[symbol] = read_price_file(path, layout=layout)
        except UserError as error:
            problems.extend(error.problems)
    return files, problems


def _contradictions(files: Mapping[str, PriceFile], universe: Universe) -> Iterable[str]:
    """Yield where a file's currency is not the universe's. Pence against pounds is the file's to say."""
    for symbol, instrument in universe.everything().items():
        file = files.get(symbol)
        if file is None or not file.currency:
            continue
        if major_unit(file.currency)[0] != major_unit(instrument.currency)[0]:
            yield (
                f"{file.path}:{file.currency_line}:currency: is {file.currency}, but universe {universe.key} "
                f"has {symbol} in {instrument.currency}; correct one of them"
            )
