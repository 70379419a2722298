"""Observations of a price panel whose exchanges close at different hours. Five ways; `lead_lag` is the default.

A daily return of Tokyo and one of New York with the same date share only part of their span, so plain daily
covariances across them come out too small. A new way is a function here and a line in SYNCHRONISERS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd

from screener.errors import ScreenerError
from screener.market.panel import PricePanel
from screener.market.returns import weekly_returns
from screener.market.sessions import calendar_of, closing_clock
from screener.risk.observations import Block, Bools, Floats, Indices, Observations, observe, problems_of

DAY = 86_400
WEEKDAYS_PER_YEAR = 365.25 * 5 / 7
OVERLAP = 5  # sessions of the united calendar in an overlapping return


@dataclass(frozen=True, eq=False, slots=True)
class Quotes:
    """What a covariance needs of a panel: N names ordered by calendar, over its last T sessions.

    prices: T × N, as in PricePanel. traded: T × N. mics: N.
    """

    symbols: tuple[str, ...]
    mics: tuple[str, ...]
    sessions: pd.DatetimeIndex
    prices: Floats
    traded: Bools

    @staticmethod
    def of(panel: PricePanel, markets: Mapping[str, str], weeks: int) -> Quotes:
        """Cut names (symbol → MIC) and weeks from a panel. Raises ScreenerError naming what is missing."""
        position = {str(symbol): number for number, symbol in enumerate(panel.symbols)}
        if not markets:
            raise ScreenerError("a covariance needs at least one name; none was given")
        if strangers := [each for each in markets if each not in position]:
            raise ScreenerError(f"the panel has no prices of {', '.join(strangers)}")
        sessions = panel.sessions
        if not len(sessions):
            raise ScreenerError("a covariance needs sessions; the panel has none")
        oldest = sessions[-1] - pd.Timedelta(weeks=weeks)
        start = max(int(sessions.searchsorted(oldest, side="right")) - 1, 0)
        symbols = sorted(markets, key=lambda each: (calendar_of(markets[each]), each))
        columns = [position[each] for each in symbols]
        prices = panel.prices.iloc[start:].to_numpy(dtype=float)[:, columns]
        traded = panel.traded.iloc[start:].to_numpy(dtype=bool)[:, columns] & np.isfinite(prices)
        mics = tuple(markets[each] for each in symbols)
        return Quotes(tuple(symbols), mics, sessions[start:], np.ascontiguousarray(prices), traded)

    @property
    def days(self) -> int:
        """Return the days from the first session to the last."""
        return int((self.sessions[-1] - self.sessions[0]).days)


def lead_lag(quotes: Quotes) -> Observations:
    """Pair each return with every return whose span, from close to close in UTC, overlaps its own.

    The sum of products over overlapping spans (Hayashi & Yoshida 2005) is the Newey–West sum of leads
    and lags with unit weights, kept to those leads and lags that can carry common news: two for exchanges that
    close at different hours, none within an exchange, more across a holiday or a suspension. It is unbiased
    whatever the hours, and on one exchange it is the plain daily covariance.

    Spans count in weekday time, and a year has 260.9 weekdays, so that each exchange is annualised by the
    sessions that it really had.
    """
    symbols, traded = list(quotes.symbols), quotes.traded
    returns, first, last = _own_returns(quotes.prices, traded)
    problems = problems_of(returns, symbols)
    if problems:
        raise ScreenerError(*problems)
    exchanges = _exchanges(quotes)
    known = np.isfinite(returns)
    counts = known.sum(axis=0).astype(float)
    root, begin, end = np.empty(len(symbols)), np.empty(len(symbols)), np.empty(len(symbols))
    for one in exchanges:
        root[one.names] = one.root
        begin[one.names], end[one.names] = one.clock[first[one.names]], one.clock[last[one.names]]
    deviations = np.where(known, returns - np.nansum(returns, axis=0) / counts, 0.0) * root
    levels = np.vstack([np.zeros(len(symbols)), np.cumsum(deviations, axis=0)])
    coming = _coming(levels, traded)
    history = _History(
        levels=[np.ascontiguousarray(levels[:, one.names]) for one in exchanges],
        coming=[np.ascontiguousarray(coming[:, one.names]) for one in exchanges],
        begin=begin,
        end=end,
        root=root,
    )
    blocks = [
        _block(one, (rows, columns), (deviations, known), _partners(one, rows, exchanges, history), history)
        for one in exchanges
        for columns, rows in _sharing(one, traded, first, last)
    ]
    nowhere = np.full(len(symbols), -1, dtype=np.intp)
    span = np.minimum(end[:, None], end) - np.maximum(begin[:, None], begin)
    common = np.maximum(span, 0.0) / WEEKDAYS_PER_YEAR * np.outer(root, root)
    return Observations(tuple(symbols), tuple(blocks), counts, root, None, common, nowhere)


def daily(quotes: Quotes) -> Observations:
    """Pair returns of one date, each over its own sessions, as if all exchanges closed together."""
    returns, _, _ = _own_returns(quotes.prices, quotes.traded)
    return observe(pd.DataFrame(returns, columns=list(quotes.symbols)), 252)


def weekly(quotes: Quotes) -> Observations:
    """Take returns over spans of seven days, of which the part that closes do not share is small."""
    prices = pd.DataFrame(quotes.prices, index=quotes.sessions, columns=list(quotes.symbols))
    return observe(weekly_returns(prices, max(quotes.days // 7, 1)), 365.25 / 7)


def overlapping(quotes: Quotes) -> Observations:
    """Take returns over five sessions of the united calendar, one ending at every session."""
    levels = quotes.prices
    returns = pd.DataFrame(levels[OVERLAP:] / levels[:-OVERLAP] - 1.0, columns=list(quotes.symbols))
    per_year = (len(quotes.sessions) - 1) / max(quotes.days, 1) * 365.25
    # k-day sums that overlap are worth 3k / (2k² + 1) as many that do not (Bartlett kernel)
    return observe(returns, per_year / OVERLAP, 3 * OVERLAP / (2 * OVERLAP**2 + 1))


def burns_engle_mezrich(quotes: Quotes) -> Observations:
    """Take returns to prices as they would stand at the day's last close, by a first-order forecast.

    Each name's next return is regressed on today's mean returns of the exchanges, so that r(t) becomes
    r(t) + E[r(t+1)] − E[r(t)] (Burns, Engle & Mezrich 1998, "Correlations and volatilities of
    asynchronous data", with the exchanges' means in place of the full matrix of moving averages).
    """
    symbols = list(quotes.symbols)
    returns = quotes.prices[1:] / quotes.prices[:-1] - 1.0
    calendars = np.array([calendar_of(each) for each in quotes.mics])
    means = []
    for calendar in dict.fromkeys(calendars):
        part = returns[:, calendars == calendar]
        known = np.isfinite(part)
        means.append(np.where(known, part, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    moved = returns.copy()
    if len(means) > 1:  # on one exchange all close together
        regressors = np.column_stack(means)
        for column in range(len(symbols)):
            moved[:, column] += _revision(returns[:, column], regressors)
    return observe(pd.DataFrame(moved[1:], columns=symbols), len(returns) / max(quotes.days, 1) * 365.25)


def _revision(own: Floats, means: Floats) -> Floats:
    """Return E[own(t+1) | means(t)] − E[own(t) | means(t−1)] by least squares; 0 in the first row."""
    known = np.isfinite(own[1:])
    if known.sum() <= means.shape[1]:
        return np.zeros(len(own))
    regressors = means[:-1] - means[:-1].mean(axis=0)
    slope = np.linalg.lstsq(regressors[known], own[1:][known] - own[1:][known].mean(), rcond=None)[0]
    forecast = (means - means[:-1].mean(axis=0)) @ slope
    return np.diff(forecast, prepend=forecast[0])


@dataclass(frozen=True, eq=False, slots=True)
class _Exchange:
    """One calendar: which columns are on it, the rows on which it traded, its closes, and √sessions a year."""

    names: slice
    rows: Indices
    clock: Floats  # T, weekdays passed at each row's close
    root: float


@dataclass(frozen=True, eq=False, slots=True)
class _History:
    """What N names had reached by each row, (T + 1) × n an exchange, and their levels at the next own close."""

    levels: list[Floats]
    coming: list[Floats]
    begin: Floats  # N, weekdays passed at the first close
    end: Floats
    root: Floats


def _exchanges(quotes: Quotes) -> list[_Exchange]:
    days = quotes.sessions.to_numpy().astype("datetime64[D]")
    weekdays = np.busday_count(np.datetime64("1970-01-01"), days)
    found, start = [], 0
    for _, group in groupby(quotes.mics, key=calendar_of):
        names = slice(start, start := start + len(members := list(group)))
        clock = weekdays + closing_clock(members[0], quotes.sessions) / DAY
        rows = np.flatnonzero(quotes.traded[:, names].any(axis=1))
        years = (clock[rows[-1]] - clock[rows[0]]) / WEEKDAYS_PER_YEAR
        found.append(_Exchange(names, rows, clock, float(np.sqrt((len(rows) - 1) / years))))
    return found


def _sharing(one: _Exchange, traded: Bools, first: Indices, last: Indices) -> list[tuple[Indices, Indices]]:
    """Return the names of an exchange whose returns end together, and the rows on which they do, first included.

    Names that missed no session between their first and last share one block; any other has its own.
    """
    rows, names = one.rows[:, None], np.arange(one.names.start, one.names.stop)
    within = (rows >= first[one.names]) & (rows <= last[one.names])
    whole = (traded[one.rows, one.names] | ~within).all(axis=0)
    blocks = [(names[whole], one.rows)] if whole.any() else []
    return blocks + [
        (names[[each]], np.flatnonzero(traded[:, names[each]])) for each in np.flatnonzero(~whole)
    ]


def _partners(one: _Exchange, rows: Indices, exchanges: list[_Exchange], history: _History) -> Floats:
    """Return K × N, the sum of each name's deviations whose spans overlap those that end at an exchange's rows."""
    partners = np.empty((len(rows) - 1, len(history.root)))
    for other, reached, before in zip(exchanges, history.coming, history.levels, strict=True):
        # from what a name had reached at its last close at or before the span's start to its first at or after the end
        start = rows[:-1] + (other.clock <= one.clock)[rows[:-1]]
        end = rows[1:] + (other.clock < one.clock)[rows[1:]]
        np.subtract(reached.take(end, axis=0), before.take(start, axis=0), out=partners[:, other.names])
    return partners


def _block(
    one: _Exchange,
    where: tuple[Indices, Indices],
    own: tuple[Floats, Bools],
    partners: Floats,
    history: _History,
) -> Block:
    (rows, columns), (deviations, known) = where, own
    instants = one.clock[rows, None]

    def coverage() -> Floats:
        covered = np.minimum(instants[1:], history.end) - np.maximum(instants[:-1], history.begin)
        return np.asarray(np.maximum(covered, 0.0) * (history.root**2 / WEEKDAYS_PER_YEAR))

    return Block(
        columns=columns,
        ages=(history.end.max() - instants[1:, 0]) / WEEKDAYS_PER_YEAR,
        returns=deviations.take(rows[1:], axis=0).take(columns, axis=1),
        alive=known.take(rows[1:], axis=0).take(columns, axis=1).astype(float),
        partners=partners,
        coverage=coverage,
    )


def _own_returns(prices: Floats, traded: Bools) -> tuple[Floats, Indices, Indices]:
    """Return T × N simple returns between a name's own sessions, NaN elsewhere, and its first and last row."""
    rows = np.arange(len(prices))[:, None]
    latest = np.maximum.accumulate(np.where(traded, rows, -1), axis=0)
    previous = np.vstack([np.full(prices.shape[1], -1), latest[:-1]])
    before = np.take_along_axis(prices, np.maximum(previous, 0), axis=0)
    returns = np.where(traded & (previous >= 0), prices / before - 1.0, np.nan)
    some = traded.any(axis=0)
    first = np.where(some, traded.argmax(axis=0), 0)
    last = np.where(some, len(prices) - 1 - traded[::-1].argmax(axis=0), 0)
    return returns, first, last


def _coming(levels: Floats, traded: Bools) -> Floats:
    """Return (T + 1) × N, each name's level at its first close in row t or after it; at the end, its last."""
    t = len(traded)
    rows = np.where(traded, np.arange(1, t + 1)[:, None], t)
    following = np.minimum.accumulate(rows[::-1], axis=0)[::-1]
    return np.vstack([np.take_along_axis(levels, following, axis=0), levels[-1]])


Synchroniser = Callable[[Quotes], Observations]
SYNCHRONISERS: dict[str, Synchroniser] = {
    "lead_lag": lead_lag,
    "weekly": weekly,
    "overlapping": overlapping,
    "burns_engle_mezrich": burns_engle_mezrich,
    "daily": daily,
}
