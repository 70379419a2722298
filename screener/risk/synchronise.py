"""Observations of a price panel whose exchanges close at different hours. Five ways; `lead_lag` is the default.

A daily return of Tokyo and one of New York with the same date share only part of their span, so plain daily
covariances across them come out too small. A new way is a function here and a line in SYNCHRONISERS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import pandas as pd

from screener.errors import ScreenerError
from screener.market.returns import weekly_returns
from screener.market.sessions import calendar_of
from screener.risk.observations import Block, Bools, Floats, Indices, Observations, observe, problems_of
from screener.risk.quotes import Quotes, Side

WEEKDAYS_PER_YEAR = 365.25 * 5 / 7
OVERLAP = 5  # sessions of the united calendar in an overlapping return


def lead_lag(quotes: Quotes) -> Observations:
    """Pair each return with every return whose span, from close to close in UTC, overlaps its own.

    The sum of products over overlapping spans (Hayashi & Yoshida 2005) is the Newey–West sum of leads
    and lags with unit weights, kept to those leads and lags that can carry common news: two for exchanges that
    close at different hours, none within an exchange, more across a holiday or a suspension. It is unbiased
    whatever the hours, and on one exchange it is the plain daily covariance.

    Spans count in weekday time, and a year has 260.9 weekdays, so that each exchange is annualised by the
    sessions that it really had.
    """
    symbols, returns = list(quotes.symbols), quotes.returns()
    problems = problems_of(returns, symbols)
    if problems:
        raise ScreenerError(*problems)
    first, last = quotes.span()
    known = np.isfinite(returns)
    counts = known.sum(axis=0).astype(float)
    exchanges = _exchanges(quotes, (first, last, counts))
    root, begin, end = np.empty(len(symbols)), np.empty(len(symbols)), np.empty(len(symbols))
    for one in exchanges:
        root[one.names] = one.root
        begin[one.names], end[one.names] = one.clock[first[one.names]], one.clock[last[one.names]]
    filled = np.where(known, returns, 0.0)
    deviations = (filled - known * (filled.sum(axis=0) / counts)) * root
    levels = np.zeros((len(returns) + 1, len(symbols)))
    np.cumsum(deviations, axis=0, out=levels[1:])
    history = _History(levels, _coming(levels, quotes), begin, end, root)
    blocks = [
        _block(one, (rows, columns), (deviations, known), _partners(one, rows, exchanges, history), history)
        for one in exchanges
        for columns, rows in _sharing(one, quotes)
    ]
    nowhere = np.full(len(symbols), -1, dtype=np.intp)
    span = np.minimum(end[:, None], end) - np.maximum(begin[:, None], begin)
    common = np.maximum(span, 0.0) / WEEKDAYS_PER_YEAR * np.outer(root, root)
    return Observations(tuple(symbols), tuple(blocks), counts, root, None, common, nowhere)


def daily(quotes: Quotes) -> Observations:
    """Pair returns of one date, each over its own sessions, as if all exchanges closed together."""
    return observe(pd.DataFrame(quotes.returns(), columns=list(quotes.symbols)), 252)


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
    """One calendar of a window: which columns are on it, the rows on which it traded, its closes, √sessions a year.

    whole: for each of its names, no session missed between its first and last. sides: see PriceHistory.
    """

    calendar: str
    names: slice
    rows: Indices
    clock: Floats  # T, weekdays passed at each row's close
    root: float
    whole: Bools
    sides: Mapping[str, Side]
    start: int  # row of the history at which the window starts


@dataclass(frozen=True, eq=False, slots=True)
class _History:
    """What N names had reached by each row, (T + 1) × N, and their levels at the next own close."""

    levels: Floats
    coming: Floats
    begin: Floats  # N, weekdays passed at the first close
    end: Floats
    root: Floats


def _exchanges(quotes: Quotes, spans: tuple[Indices, Indices, Floats]) -> list[_Exchange]:
    """Return the exchanges of a window. spans: N first and last rows traded, and how many returns between them."""
    first, last, counts = spans
    traded, calendars = quotes.traded, [quotes.history.calendars[each] for each in quotes.columns]
    starts = [at for at, each in enumerate(calendars) if not at or each != calendars[at - 1]]
    is_open = np.logical_or.reduceat(traded, starts, axis=1)
    passed = np.cumsum(is_open, axis=0)
    found = []
    for number, (start, stop) in enumerate(pairwise([*starts, len(calendars)])):
        names, name = slice(start, stop), calendars[start]
        clock = quotes.history.clocks[name][quotes.start : quotes.end]
        rows = np.flatnonzero(is_open[:, number])
        years = (clock[rows[-1]] - clock[rows[0]]) / WEEKDAYS_PER_YEAR
        had = passed[:, number]
        whole = had[last[names]] - had[first[names]] == counts[names]
        root, sides = float(np.sqrt((len(rows) - 1) / years)), quotes.history.sides[name]
        found.append(_Exchange(name, names, rows, clock, root, whole, sides, quotes.start))
    return found


def _sharing(one: _Exchange, quotes: Quotes) -> list[tuple[Indices, Indices]]:
    """Return the names of an exchange whose returns end together, and the rows on which they do, first included.

    Names that missed no session between their first and last share one block; any other has its own.
    """
    names = np.arange(one.names.start, one.names.stop)
    blocks = [(names[one.whole], one.rows)] if one.whole.any() else []
    for each in names[~one.whole]:
        own = quotes.history.traded[quotes.start : quotes.end, quotes.columns[each]]
        blocks.append((np.array([each]), np.flatnonzero(own)))
    return blocks


def _partners(one: _Exchange, rows: Indices, exchanges: list[_Exchange], history: _History) -> Floats:
    """Return K × N, the sum of each name's deviations whose spans overlap those that end at an exchange's rows."""
    groups = [list(group) for _, group in groupby(exchanges, key=lambda each: id(one.sides[each.calendar]))]
    # whole rows are quicker to move than parts of rows, so the largest group is done on all names
    groups.sort(key=lambda each: each[0].names.start - each[-1].names.stop)
    partners = np.zeros((0, len(history.root)))
    for number, group in enumerate(groups):
        side = one.sides[group[0].calendar]
        names = slice(group[0].names.start, group[-1].names.stop)
        # from what a name had reached at its last close at or before the span's start to its first at or after the end
        start = rows[:-1] + _at(side.no_later, rows[:-1] + one.start)
        end = rows[1:] + _at(side.before, rows[1:] + one.start)
        if number:
            partners[:, names] = history.coming[end, names] - history.levels[start, names]
        else:
            partners = history.coming.take(end, axis=0)
            partners -= history.levels.take(start, axis=0)
    return partners


def _at(values: Indices | int, rows: Indices) -> Indices | int:
    return values if isinstance(values, int) else values[rows]


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
        returns=deviations.take(columns, axis=1).take(rows[1:], axis=0),
        alive=known.take(columns, axis=1).take(rows[1:], axis=0).astype(float),
        partners=partners,
        coverage=coverage,
    )


def _coming(levels: Floats, quotes: Quotes) -> Floats:
    """Return (T + 1) × N, each name's level at its first close in row t or after it; at the end, its last."""
    coming = np.vstack([levels[1:], levels[-1]])
    shut, column = np.divmod(np.flatnonzero(~quotes.traded), levels.shape[1])
    following = quotes.history.following[quotes.start + shut, quotes.columns[column]] - quotes.start
    coming[shut, column] = levels[np.minimum(following + 1, len(levels) - 1), column]
    return coming


Synchroniser = Callable[[Quotes], Observations]
SYNCHRONISERS: dict[str, Synchroniser] = {
    "lead_lag": lead_lag,
    "weekly": weekly,
    "overlapping": overlapping,
    "burns_engle_mezrich": burns_engle_mezrich,
    "daily": daily,
}
