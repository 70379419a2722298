"""Prices of names over time, laid out so that covariances of many dates share what does not depend on the date.

Whatever is computed here for a row follows from that row and the rows before it, number by number, so a date's
estimate is the same to the last bit whether later rows are there or not. (`following` looks forward; a window clips
it to its own end.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError
from screener.market.panel import PricePanel
from screener.market.sessions import calendar_of, closing_clock
from screener.risk.memory import keep_freed_memory
from screener.risk.observations import Bools, Floats, Indices

DAY = 86_400
REFERENCE = pd.DatetimeIndex(["2020-01-02"])  # exchanges are ordered by when they closed on this day


class Side(NamedTuple):
    """On which rows a calendar closes no later than another, and on which before it: 1 or 0, T or one for all.

    Calendars that compare alike on every row share one Side.
    """

    no_later: Indices | int
    before: Indices | int


@dataclass(frozen=True, eq=False, slots=True)
class PriceHistory:
    """N names over T sessions of a united calendar, ordered by when their exchange closes.

    days: T, days since 1970. prices, traded, returns: T × N; a return runs between a name's own sessions and is NaN
    elsewhere. following, latest: T × N, first row at or after, last row at or before, on which the name traded; T
    and −1 where none. calendars: N. clocks: calendar → T, weekdays passed at the close. sides: calendar → how each
    calendar closes against it.
    """

    symbols: tuple[str, ...]
    mics: tuple[str, ...]
    sessions: pd.DatetimeIndex
    days: npt.NDArray[np.int64]
    prices: Floats
    traded: Bools
    returns: Floats
    following: Indices
    latest: Indices
    calendars: tuple[str, ...]
    clocks: Mapping[str, Floats]
    sides: Mapping[str, Mapping[str, Side]]

    @staticmethod
    def of(panel: PricePanel, markets: Mapping[str, str], start: int = 0) -> PriceHistory:
        """Lay out names (symbol → MIC) of a panel from a row on. Raises ScreenerError naming what is missing."""
        keep_freed_memory()
        position = {str(symbol): number for number, symbol in enumerate(panel.symbols)}
        if not markets:
            raise ScreenerError("a covariance needs at least one name; none was given")
        if strangers := [each for each in markets if each not in position]:
            raise ScreenerError(f"the panel has no prices of {', '.join(strangers)}")
        sessions = panel.sessions[start:]
        if not len(sessions):
            raise ScreenerError("a covariance needs sessions; the panel has none")
        calendars = {each: calendar_of(markets[each]) for each in markets}
        closes = {each: int(closing_clock(each, REFERENCE)[0]) for each in set(calendars.values())}
        symbols = sorted(markets, key=lambda each: (closes[calendars[each]], calendars[each], each))
        columns = [position[each] for each in symbols]
        prices = np.ascontiguousarray(panel.prices.to_numpy(dtype=float)[start:, columns])
        traded = panel.traded.to_numpy(dtype=bool)[start:, columns] & np.isfinite(prices)
        clocks = _clocks(dict.fromkeys(calendars[each] for each in symbols), sessions)
        latest, following = _neighbours(traded)
        previous = np.vstack([np.full(len(symbols), -1), latest[:-1]])
        before = np.take_along_axis(prices, np.maximum(previous, 0), axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = np.where(traded & (previous >= 0), prices / before - 1.0, np.nan)
        return PriceHistory(
            symbols=tuple(symbols),
            mics=tuple(markets[each] for each in symbols),
            sessions=sessions,
            days=sessions.to_numpy().astype("datetime64[D]").astype(np.int64),
            prices=prices,
            traded=np.ascontiguousarray(traded),
            returns=returns,
            following=following,
            latest=latest,
            calendars=tuple(calendars[each] for each in symbols),
            clocks=clocks,
            sides=_sides(clocks),
        )

    def quotes(self, wanted: Sequence[str], weeks: int, end: int | None = None) -> Quotes:
        """Return some names over the last weeks before a row, None: the end."""
        chosen = set(wanted)
        columns = np.array([at for at, each in enumerate(self.symbols) if each in chosen], dtype=np.intp)
        end = len(self.days) if end is None else end
        start = int(self.days.searchsorted(self.days[end - 1] - 7 * weeks, side="right")) - 1
        return Quotes(self, columns, max(start, 0), end)


@dataclass(frozen=True, eq=False, slots=True)
class Quotes:
    """What a covariance needs: n of a history's names over its rows from start up to end, T of them."""

    history: PriceHistory
    columns: Indices
    start: int
    end: int

    @staticmethod
    def of(panel: PricePanel, markets: Mapping[str, str], weeks: int) -> Quotes:
        """Cut names (symbol → MIC) and the last weeks from a panel. Raises ScreenerError naming what is missing."""
        return PriceHistory.of(panel, markets, first_row(panel, weeks)).quotes(list(markets), weeks)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the n symbols."""
        return tuple(self.history.symbols[each] for each in self.columns)

    @property
    def mics(self) -> tuple[str, ...]:
        """Return the n markets."""
        return tuple(self.history.mics[each] for each in self.columns)

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Return the T session dates."""
        return self.history.sessions[self.start : self.end]

    @property
    def days(self) -> int:
        """Return the days from the first session to the last."""
        return int(self.history.days[self.end - 1] - self.history.days[self.start])

    @property
    def prices(self) -> Floats:
        """Return T × n prices, as in PricePanel."""
        return self.history.prices[self.start : self.end].take(self.columns, axis=1)

    @property
    def traded(self) -> Bools:
        """Return T × n, who traded."""
        return self.history.traded[self.start : self.end].take(self.columns, axis=1)

    def span(self) -> tuple[Indices, Indices]:
        """Return n first and n last rows of the window on which each name traded; T and −1 for none."""
        first = self.history.following[self.start].take(self.columns) - self.start
        last = self.history.latest[self.end - 1].take(self.columns) - self.start
        rows = self.end - self.start
        return np.minimum(first, rows), np.maximum(last, -1)

    def returns(self) -> Floats:
        """Return T × n returns between own sessions of the window, NaN elsewhere."""
        values = self.history.returns[self.start : self.end].take(self.columns, axis=1)
        first, _ = self.span()
        some = np.flatnonzero(first < len(values))
        values[first[some], some] = np.nan  # a name's first close of the window ends no return in it
        return values


def first_row(panel: PricePanel, weeks: int, end: int | None = None) -> int:
    """Return the row that estimates at a row, None: the end, start from."""
    sessions = panel.sessions[:end]
    if not len(sessions):
        return 0
    return max(int(sessions.searchsorted(sessions[-1] - pd.Timedelta(weeks=weeks), side="right")) - 1, 0)


def _clocks(calendars: Mapping[str, None], sessions: pd.DatetimeIndex) -> dict[str, Floats]:
    days = sessions.to_numpy().astype("datetime64[D]")
    weekdays = np.busday_count(np.datetime64("1970-01-01"), days)
    return {each: np.asarray(weekdays + closing_clock(each, sessions) / DAY) for each in calendars}


def _sides(clocks: Mapping[str, Floats]) -> dict[str, dict[str, Side]]:
    found: dict[str, dict[str, Side]] = {}
    for one, clock in clocks.items():
        seen: dict[bytes, Side] = {}
        found[one] = {}
        for other, each in clocks.items():
            what = np.sign(each - clock).astype(np.int8)
            if (key := what.tobytes()) not in seen:
                seen[key] = Side(_constant(what <= 0), _constant(what < 0))
            found[one][other] = seen[key]
    return found


def _constant(values: Bools) -> Indices | int:
    """Return one number where all T are the same, else T of them."""
    numbers = values.astype(np.intp)
    return int(numbers[0]) if (numbers == numbers[0]).all() else numbers


def _neighbours(traded: Bools) -> tuple[Indices, Indices]:
    """Return T × N rows of the last trade at or before each row (−1: none) and of the next at or after it (T: none)."""
    t = len(traded)
    rows = np.arange(t)[:, None]
    latest = np.maximum.accumulate(np.where(traded, rows, -1), axis=0)
    following = np.minimum.accumulate(np.where(traded, rows, t)[::-1], axis=0)[::-1]
    return latest, np.ascontiguousarray(following)
