"""Ragged bars of many exchanges onto one grid of dates, as plain arrays. What a panel is made of; see panel.py.

No pandas inside: a date is a whole number of days, a row is looked up in a table, and every symbol writes its own
row of five N × T arrays. So a panel of 2,000 names over 20 years takes about a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.bars import COLUMNS, Bars
from screener.market.sessions import as_days, calendar, calendar_of, known_sessions
from screener.universe.model import Instrument

STALE_AFTER = 5  # own sessions without a bar; after that the last price is no longer a price
UNKNOWN_AFTER = 10  # weekdays without a bar past a calendar's end; Shanghai's longest holiday takes eight
OPEN, CLOSE, VOLUME, DIVIDEND, SPLIT = (
    COLUMNS.index(each) for each in ("open", "close", "volume", "dividend", "split")
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False, slots=True)
class Own:
    """One symbol's rows that are its own: from its listing, before its delisting, up to the as-of date."""

    days: Days
    values: Floats  # n × 7, columns COLUMNS

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Dates that are rows of a panel, and how many sessions each calendar's exchange has had by then."""

    days: Days  # T, sorted
    sessions: Mapping[str, Rows]  # by calendar: T, sessions of its exchange up to each date
    unknown: Mapping[str, Bools]  # by calendar: dates that it does not reach
    _row_of: Rows  # by days since the first
    # by calendar: the dates placed last and what came of it; most names of an exchange share their dates
    _placed: dict[str, tuple[Days, Rows, Rows, Bools]] = field(default_factory=dict)

    def rows(self, days: Days) -> Rows:
        """Return the row of each date, all of which must be on the grid."""
        found: Rows = self._row_of[(days - self.days[0]).astype(np.intp)]
        return found

    def place(self, days: Days, name: str) -> tuple[Rows, Rows, Bools]:
        """Return the row of each date and, from the first of them on, its last bar and whether its price is one."""
        if name not in self._placed or self._placed[name][0] is not days:
            rows = self.rows(days)
            latest = _latest(rows, int(rows[0]), len(self.days))
            self._placed[name] = (days, rows, latest, _is_kept(rows, latest, int(rows[0]), self, name))
        return self._placed[name][1:]


def own_rows(bars: Bars, instrument: Instrument, as_of: date, days_of: dict[int, Days]) -> Own:
    """Cut the rows that are not this security's: before its listing, from its delisting on, after as_of.

    days_of: the dates of each index seen so far, by its id; names with the same sessions share one.
    """
    index = cast(pd.DatetimeIndex, bars.table.index)  # Bars sees to it
    if id(index) not in days_of:
        days_of[id(index)] = as_days(index)
    days = days_of[id(index)]
    first = 0 if instrument.listed_from is None else int(np.searchsorted(days, _day(instrument.listed_from)))
    last = int(np.searchsorted(days, _day(as_of), side="right"))
    if instrument.delisted_on is not None:
        last = min(last, int(np.searchsorted(days, _day(instrument.delisted_on))))
    last = max(first, last)
    cut = days if last - first == len(days) else days[first:last]
    return Own(cut, bars.table.to_numpy(dtype=float)[first:last])


def unite(own: Mapping[str, Own], instruments: Mapping[str, Instrument], as_of: date) -> Grid:
    """Return every date on which an exchange of ours had a session, or a source served a bar.

    Where a calendar does not reach, its exchange was open on the dates on which any of its symbols has a bar.
    """
    if not own:
        return Grid(np.array([], dtype="datetime64[D]"), {}, {}, np.array([], dtype=np.intp))
    first = min(each.days[0] for each in own.values())
    width = int((max(_day(as_of), max(each.days[-1] for each in own.values())) - first).astype(int)) + 1
    marked: dict[str, Bools] = {}
    for symbol, each in own.items():
        name = calendar_of(instruments[symbol].mic)
        if name not in marked:
            marked[name] = np.zeros(width, dtype=bool)
        marked[name][(each.days - first).astype(np.intp)] = True
    known = {name: known_sessions(name, first.item(), as_of) for name in marked}
    on_grid = np.zeros(width, dtype=bool)
    for name, flags in marked.items():
        on_grid |= flags
        on_grid[(known[name] - first).astype(np.intp)] = True
    days = first + np.flatnonzero(on_grid)
    sessions: dict[str, Rows] = {}
    unknown: dict[str, Bools] = {}
    for name, flags in marked.items():
        unknown[name] = ~calendar(name).is_known(days)
        sessions[name] = np.cumsum(calendar(name).is_open(days) | (unknown[name] & flags[on_grid]))
    return Grid(days, sessions, unknown, np.cumsum(on_grid) - 1)


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """The tables of a panel, N × T: a symbol's numbers lie side by side; and dividends and splits as they come."""

    prices: Floats
    traded: Bools
    close: Floats
    value_traded: Floats
    open: Floats
    events: list[tuple[Rows, int, Floats]]  # rows, symbol, their dividends in base currency and splits: n × 2

    @classmethod
    def empty(cls, symbols: int, sessions: int) -> Columns:
        """Return tables to be filled row by row."""
        shape = (symbols, sessions)
        prices, close, value, opening = (np.empty(shape) for _ in range(4))
        return cls(prices, np.zeros(shape, dtype=bool), close, value, opening, [])

    def fill(self, at: int, own: Own, instrument: Instrument, grid: Grid, rate: Floats) -> None:
        """Write one symbol's row. rate: T, base currency per quoted unit.

        Total return of a session: (C + D) / C[previous bar].
        """
        close = np.ascontiguousarray(own.values[:, CLOSE])
        growth = np.empty_like(close)
        growth[0] = close[0]
        np.divide(close[1:] + own.values[1:, DIVIDEND], close[:-1], out=growth[1:])
        level = np.cumprod(growth)

        rows, latest, kept = grid.place(own.days, calendar_of(instrument.mic))
        start = int(rows[0])
        if instrument.delisted_on is not None:
            kept = kept & (grid.days[start:] < _day(instrument.delisted_on))
        factor = np.where(kept, rate[start:], np.nan)
        for each in (self.prices, self.close):
            each[at, :start] = np.nan
        np.multiply(level[latest], factor, out=self.prices[at, start:])
        np.multiply(close[latest], factor, out=self.close[at, start:])
        priced = np.isfinite(self.prices[at, rows])  # without a rate nothing is traded in the base currency
        self.traded[at, rows] = priced
        value = close * own.values[:, VOLUME] * rate[rows]
        self.value_traded[at] = np.nan
        self.value_traded[at, rows] = np.where(priced, value, np.nan)
        self.open[at] = np.nan
        self.open[at, rows] = own.values[:, OPEN] * rate[rows]
        dividend, split = own.values[:, DIVIDEND], own.values[:, SPLIT]
        happened = np.flatnonzero((dividend != 0) | (split != 1))
        if len(happened):
            paid = dividend[happened] * rate[rows[happened]]
            self.events.append((rows[happened], at, np.column_stack([paid, split[happened]])))

    def actions(self, symbols: Sequence[str], index: pd.DatetimeIndex) -> pd.DataFrame:
        """Return the dividends and splits as Quotes wants them."""
        rows = np.concatenate([np.array([], dtype=np.intp), *(each[0] for each in self.events)])
        numbers = np.concatenate(
            [np.array([], dtype=np.intp), *(np.full(len(each[0]), each[1]) for each in self.events)]
        )
        values = np.concatenate([np.empty((0, 2)), *(each[2] for each in self.events)])
        order = np.lexsort((numbers, rows))
        table = {
            "session": index[rows[order]],
            "symbol": pd.Series(np.array(symbols, dtype=object)[numbers[order]], dtype="str"),
            "dividend": values[order, 0],
            "split": values[order, 1],
        }
        return pd.DataFrame(table)

    def frames(self, symbols: Sequence[str], index: pd.DatetimeIndex) -> dict[str, pd.DataFrame]:
        """Return the tables T × N with their labels, by field of PricePanel."""
        columns = pd.Index(list(symbols), dtype="str")
        named = {
            "prices": self.prices,
            "traded": self.traded,
            "close": self.close,
            "value_traded": self.value_traded,
            "open": self.open,
        }
        return {
            name: pd.DataFrame(values.T, index=index, columns=columns, copy=False)
            for name, values in named.items()
        }


def _latest(rows: Rows, start: int, count: int) -> Rows:
    """Return for each grid row from the first bar on the position of the last bar at or before it."""
    steps = np.zeros(count - start, dtype=np.intp)
    steps[rows[1:] - start] = 1
    return np.cumsum(steps)


def _is_kept(rows: Rows, latest: Rows, start: int, grid: Grid, name: str) -> Bools:
    """Say for each grid row from the first bar on whether the last bar's price still is one."""
    if len(rows) == len(latest):
        return np.ones(len(rows), dtype=bool)
    sessions = grid.sessions[name]
    kept: Bools = np.asarray(sessions[start:] - sessions[rows][latest] <= STALE_AFTER)
    unknown = grid.unknown[name][start:]
    if unknown.any():
        days = grid.days[start:][unknown]
        age = np.busday_count(grid.days[rows][latest[unknown]], days)
        kept[unknown] &= age <= UNKNOWN_AFTER
    return kept


def _day(day: date) -> np.datetime64:
    return np.datetime64(day, "D")
