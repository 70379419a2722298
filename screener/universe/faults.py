"""Reading a universe's files while collecting what is wrong with them, with file and line."""

from __future__ import annotations

import csv
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

# suffix of the symbol, and what the market's quotes may be in
MARKETS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{mic: ("", ("USD",)) for mic in ("XNYS", "XNAS", "XASE", "ARCX", "BATS")},
    "XTKS": (".T", ("JPY",)),
    "XASX": (".AX", ("AUD",)),
    "XSHG": (".SS", ("CNY",)),
    "XSHE": (".SZ", ("CNY",)),
    "XHKG": (".HK", ("HKD",)),
    "XTSE": (".TO", ("CAD", "USD")),
    "XTSX": (".V", ("CAD", "USD")),
    "XLON": (".L", ("GBp", "GBP", "USD")),
    "AIMX": (".L", ("GBp", "GBP", "USD")),
    "XBRU": (".BR", ("EUR",)),
    "XPAR": (".PA", ("EUR",)),
    "XETR": (".DE", ("EUR",)),
    "XSWX": (".SW", ("CHF",)),
}


class Faults:
    """The faults of a universe folder, and readers that add to them instead of stopping."""

    def __init__(self, folder: Path) -> None:
        """Start with none; a folder that does not exist shows as its missing files."""
        self._folder = folder
        self._found: list[tuple[str, int, str]] = []

    def add(self, file: str, line: int, what: str) -> None:
        """Note a fault at a line of a file."""
        self._found.append((file, line, what))

    def lines(self) -> list[str]:
        """Return every fault as path:line: what, in file and line order."""
        return [f"{self._folder / file}:{line}: {what}" for file, line, what in sorted(set(self._found))]

    def toml(self, file: str) -> tuple[dict[str, Any], Callable[[str], int]]:
        """Return a TOML file's content, empty if unreadable, and a function from a table's key to its line."""
        text = self._text(file)
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"line (\d+)", str(error))
            self.add(file, int(where.group(1)) if where else 1, f"is not TOML: {error}")
            content = {}

        def line_of(key: str) -> int:
            for number, line in enumerate(text.splitlines(), 1):
                if re.match(rf"\s*\[?\"?{re.escape(key)}\"?[\]\s=.]", line):
                    return number
            return 1

        return content, line_of

    def csv(self, file: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
        """Return the rows of a CSV file that have exactly these columns, each with its line."""
        text = self._text(file)
        rows = []
        try:
            reader = csv.reader(text.splitlines(keepends=True), strict=True)
            header = next(reader, [])
            if not self._header(file, header, columns):
                return []
            for cells in reader:
                if not any(cells):
                    continue
                if len(cells) != len(header):
                    self.add(file, reader.line_num, f"{len(cells)} cells where the header has {len(header)}")
                    continue
                named = dict(zip(header, (each.strip() for each in cells), strict=True))
                rows.append((reader.line_num, {each: named[each] for each in columns}))
        except csv.Error as error:
            self.add(file, reader.line_num, f"is not CSV: {error}")
        return rows

    def _header(self, file: str, header: Sequence[str], columns: Sequence[str]) -> bool:
        missing = [each for each in columns if each not in header]
        for name in header:
            if name not in columns:
                self.add(file, 1, f"column {name!r} is unknown{near(name, missing)}")
        if missing:
            self.add(file, 1, f"columns are missing: {', '.join(missing)}")
        for name in sorted({each for each in header if list(header).count(each) > 1}):
            self.add(file, 1, f"column {name!r} stands there twice")
        return not missing

    def _text(self, file: str) -> str:
        path = self._folder / file
        try:
            return path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            self.add(file, 1, "the file is missing")
        except (OSError, UnicodeDecodeError) as error:
            self.add(file, 1, f"cannot be read: {error}")
        return ""


class Table:
    """One table of a TOML file and readers for its fields."""

    def __init__(self, file: str, line: int, what: str, fields: object, faults: Faults) -> None:
        """Hold a table; what is not one counts as an empty table and a fault."""
        self._file, self._line, self._what, self._faults = file, line, what, faults
        self.fields: dict[str, Any] = fields if isinstance(fields, dict) else {}
        if not isinstance(fields, dict):
            self.fault("is not a table; write [name] and its fields below")

    def fault(self, what: str) -> None:
        """Note a fault of this table."""
        self._faults.add(self._file, self._line, f"{self._what}: {what}")

    def only(self, known: Sequence[str]) -> None:
        """Note every field that is none of these."""
        for name in self.fields:
            if name not in known:
                self.fault(f"field {name!r} is unknown{near(name, known)}")

    def text(self, name: str, *, required: bool = True) -> str:
        """Return a text field, "" when it is missing."""
        value = self.fields.get(name, "")
        if not isinstance(value, str) or (required and not value):
            self.fault(f"{name} is missing" if value == "" else f"{name} must be text")
            return ""
        if any(mark in value for mark in "<>") and name.startswith("label"):
            self.fault(f"{name} holds markup; write plain text")
        return value

    def number(
        self,
        name: str,
        *,
        whole: bool = False,
        least: float = -math.inf,
        above: float = -math.inf,
        most: float = math.inf,
        required: bool = True,
    ) -> float | None:
        """Return a number field within its bounds, or None when it is missing or wrong."""
        value = self.fields.get(name)
        if value is None:
            if required:
                self.fault(f"{name} is missing")
            return None
        if type(value) not in ((int,) if whole else (int, float)) or not math.isfinite(value):
            self.fault(f"{name} {value!r} is not a {'whole ' if whole else ''}number")
            return None
        if not (value >= least and value > above and value <= most):
            low = f"above {above:g}" if above > -math.inf else f"at least {least:g}"
            self.fault(f"{name} {value:g} is out of range: {low} and at most {most:g}")
            return None
        return float(value)


def near(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean …?" with the nearest choice, or "" when none is near."""
    found = get_close_matches(word, list(choices), n=1)
    return f'; did you mean "{found[0]}"?' if found else ""


def parse_day(text: str, column: str, fault: Callable[[str], None]) -> date | None:
    """Read 2020, 2020-11 or 2020-11-18 as the first day of that span; "" is None."""
    if not text:
        return None
    try:
        if not re.fullmatch(r"\d{4}(-\d\d){0,2}", text):
            raise ValueError
        return date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:
        fault(f"{column} {text!r} is not a date; write 2020-11-18, or 2020-11 or 2020 if no more is known")
        return None


def parse_number(text: str, column: str, fault: Callable[[str], None]) -> float | None:
    """Read a finite number; "" is None."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        fault(f"{column} {text!r} is not a number")
        return None
    return value


def check_market(symbol: str, mic: str, currency: str, fault: Callable[[str], None]) -> None:
    """Note a market that is unknown, or that contradicts the symbol's suffix or the currency."""
    if mic not in MARKETS:
        fault(f"mic {mic!r} is unknown{near(mic, MARKETS) or '; known are ' + ', '.join(MARKETS)}")
        return
    suffix, currencies = MARKETS[mic]
    ending = symbol[symbol.rindex(".") :] if "." in symbol else ""
    if ending != suffix and not symbol.startswith("^"):
        fault(f"symbol {symbol} does not end in {suffix or 'no suffix'}, as {mic} symbols do")
    if currency not in currencies:
        fault(f"currency {currency!r} is not quoted on {mic}, which uses {' or '.join(currencies)}")
