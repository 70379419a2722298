"""Abnormal returns of many names around many dates, each in its own exchange's sessions.

The market model of a name is estimated on its own sessions before the date; what its exchange's closing hour does
not share with the benchmark's is taken up by a second coefficient. Tests on these returns are event_tests.py's
business, events and tables event_study.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError, UserError
from screener.market.panel import PricePanel
from screener.market.sessions import Days, as_days, calendar, calendar_of, closing_clock

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Window = tuple[int, int]
Instants = npt.NDArray[np.datetime64]

DEFAULT_WINDOWS: tuple[Window, ...] = ((0, 0), (-1, 1), (0, 4), (0, 19))
HOUR = 3600
LATEST_REACTION = np.timedelta64(10, "D")  # a name that trades first after this was not there to react
SHOWN_BEFORE, SHOWN_AFTER = -10, 20  # sessions around the event that a plot shows


@dataclass(frozen=True, slots=True)
class StudySettings:
    """How abnormal returns are measured; sessions are each exchange's own."""

    windows: tuple[Window, ...] = DEFAULT_WINDOWS
    estimation: int = 250  # sessions of the estimation window
    gap: int = 10  # sessions between its end and the event: it ends 11 before
    fewest: int = 60  # a name with fewer of them is left out
    placebos: int = 500  # dates away from events
    seed: int = 0
    assumed_time: str = "00:00"  # local, for an event of which only the day is known

    def __post_init__(self) -> None:
        wrong = [each for each in self.windows if not -self.gap <= each[0] <= each[1] <= 60]
        if wrong or not self.windows:
            shown = ", ".join(f"{first}:{last}" for first, last in wrong) or "none"
            raise UserError(
                f"--window {shown}: write first:last in sessions, such as -1:1, from -{self.gap} to 60"
            )

    @property
    def span(self) -> Window:
        """Return the first and last session that any window or plot needs."""
        return (
            min(SHOWN_BEFORE, *(each[0] for each in self.windows)),
            max(SHOWN_AFTER, *(each[1] for each in self.windows)),
        )

    @property
    def grid(self) -> int:
        """Return how many weekdays before the event hold the estimation window, holidays included."""
        return int(1.15 * (self.estimation + self.gap)) + 10


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """One name over its K own sessions: simple returns in base currency, and the benchmark's meanwhile.

    days: session dates. weekdays: weekdays since 1970 of each. returns: K, the first NaN. market: K × 1 or K × 2,
    the benchmark's return over its sessions that ended within the name's own span, and, where the exchange closes at
    another hour, that of the benchmark session under way at the name's close (Dimson 1979 with one lead).
    """

    symbol: str
    mic: str
    days: Days
    weekdays: Ints
    returns: Floats
    market: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Abnormal:
    """Abnormal returns of N names around B dates, and what they were estimated with.

    known: B × N, the name had `fewest` sessions. observations: B × N. deviation: B × N, of the residuals, per
    session. path: B × N × A, abnormal returns over settings.span, NaN where there is none. cars: B × N × W, their
    sums over each window. spread: B × N × W, variance of such a sum in units of the residual variance: its length
    and the error of the estimated model (Campbell, Lo & MacKinlay 1997, eq. 4.4.9). residuals: B × G × N
    standardised, by weekdays before the event, 0 where there is none; alive: where there is one.
    """

    known: Bools
    observations: Ints
    deviation: Floats
    path: Floats
    cars: Floats
    spread: Floats
    residuals: Floats
    alive: Bools


def series_of(
    panel: PricePanel, mics: Mapping[str, str], benchmark: str, benchmark_mic: str
) -> tuple[Series, ...]:
    """Return each name's own returns beside the benchmark's. mics: symbol → MIC; all must be in the panel, and a
    name that never traded twice is left out.

    Raises ScreenerError when the benchmark has no prices.
    """
    if benchmark not in panel.symbols:
        raise ScreenerError(f"the benchmark {benchmark} has no prices here; choose another with --benchmark")
    prices, traded = panel.prices, panel.traded
    closed, level = _own(prices[benchmark], traded[benchmark], benchmark_mic)[1:]
    found = []
    for symbol, mic in sorted(mics.items()):
        days, closes, price = _own(prices[symbol], traded[symbol], mic)
        if len(days) < 2:
            continue
        returns = np.full(len(days), np.nan)
        returns[1:] = price[1:] / price[:-1] - 1.0
        weekdays = np.asarray(np.busday_count(np.datetime64("1970-01-01"), days), dtype=np.int64)
        market = _market(closes, closed, level)
        found.append(Series(symbol, mic, days, weekdays, returns, market))
    return tuple(found)


def _own(prices: pd.Series, traded: pd.Series, mic: str) -> tuple[Days, Ints, Floats]:
    """Return the own sessions of one column: dates, closes in seconds UTC, prices."""
    rows = traded.to_numpy(dtype=bool)
    index = pd.DatetimeIndex(prices.index)[rows]
    days = as_days(index)
    midnight = days.astype("datetime64[s]").astype(np.int64)
    return days, midnight + closing_clock(mic, index), prices.to_numpy(dtype=float)[rows]


def _market(closes: Ints, closed: Ints, level: Floats) -> Floats:
    """Return the benchmark's returns beside a name's sessions, NaN where it had none."""
    at = np.searchsorted(closed, closes, side="right") - 1
    padded = np.concatenate(([np.nan], level, [np.nan]))  # place 0 and the last: before and after its history
    now, coming = padded[at + 1], padded[at + 2]
    over = np.full(len(closes), np.nan)
    over[1:] = now[1:] / now[:-1] - 1.0
    behind = closes[at >= 0] - closed[at[at >= 0]]
    if not len(behind) or np.median(behind) < HOUR:
        return over[:, None]
    return np.column_stack((over, coming / now - 1.0))


def first_sessions(mic: str, instants: Instants) -> Days:
    """Return for each instant (UTC) the exchange's first session that closes after it; NaT past its calendar."""
    known = calendar(mic)
    at = np.searchsorted(known.closes, instants.astype("datetime64[s]"), side="right")
    held = (at < len(known.days)) & (instants.astype("datetime64[D]") >= known.known_from)
    return np.where(held, known.days[np.minimum(at, len(known.days) - 1)], np.datetime64("NaT", "D"))


def reactions(series: Sequence[Series], instants: Instants) -> Ints:
    """Return B × N, each name's place of its first own session that could react to each instant; −1 for none."""
    places = np.full((len(instants), len(series)), -1, dtype=np.int64)
    first: dict[str, Days] = {}
    for column, each in enumerate(series):
        name = calendar_of(each.mic)
        if name not in first:
            first[name] = first_sessions(each.mic, instants)
        wanted = first[name]
        at = np.searchsorted(each.days, wanted)  # NaT sorts last
        inside = (at < len(each.days)) & ~np.isnat(wanted)
        waited = each.days[np.minimum(at, len(each.days) - 1)] - wanted
        places[:, column] = np.where(inside & (waited <= LATEST_REACTION), at, -1)
    return places


def measure(series: Sequence[Series], places: Ints, settings: StudySettings) -> Abnormal:
    """Estimate every name's market model before every date and return what was abnormal after it.

    places: B × N from `reactions`.
    """
    b, n = places.shape
    windows, (begin, end) = settings.windows, settings.span
    result = Abnormal(
        known=np.zeros((b, n), dtype=bool),
        observations=np.zeros((b, n), dtype=np.int64),
        deviation=np.full((b, n), np.nan),
        path=np.full((b, n, end - begin + 1), np.nan),
        cars=np.full((b, n, len(windows)), np.nan),
        spread=np.full((b, n, len(windows)), np.nan),
        residuals=np.zeros((b, settings.grid, n)),
        alive=np.zeros((b, settings.grid, n), dtype=bool),
    )
    for column, each in enumerate(series):
        _measure_one(each, places[:, column], settings, result, column)
    return result


def _measure_one(one: Series, places: Ints, settings: StudySettings, result: Abnormal, column: int) -> None:
    """Fill one name's columns of the result."""
    before = np.arange(-settings.gap - settings.estimation, -settings.gap)
    rows = places[:, None] + before
    y, x, usable = _looked_up(one, rows)
    usable &= (places >= 0)[:, None]
    count, terms = usable.sum(axis=1), x.shape[2]
    known = (count >= settings.fewest) & (count > terms + 1)
    if not known.any():
        return
    who = np.flatnonzero(known)
    y, x, usable, count = y[who], x[who], usable[who], count[who]
    x = np.where(usable[:, :, None], x, 0.0)
    inverse = np.linalg.pinv(np.swapaxes(x, 1, 2) @ x)
    slopes = np.einsum("bij,bkj,bk->bi", inverse, x, np.where(usable, y, 0.0))
    errors = np.where(usable, y - np.einsum("bki,bi->bk", x, slopes), 0.0)
    deviation = np.sqrt((errors**2).sum(axis=1) / (count - terms))
    moved = deviation > 0  # a price that never moved has no scale to be abnormal on
    who, slopes, inverse, errors, usable = (each[moved] for each in (who, slopes, inverse, errors, usable))
    deviation, count = deviation[moved], count[moved]
    result.known[who, column], result.observations[who, column] = True, count
    result.deviation[who, column] = deviation

    begin, end = settings.span
    y, x, there = _looked_up(one, places[who, None] + np.arange(begin, end + 1))
    abnormal = np.where(there, y - np.einsum("bki,bi->bk", x, slopes), np.nan)
    result.path[who, column] = abnormal
    for number, (first, last) in enumerate(settings.windows):
        inside = slice(first - begin, last - begin + 1)
        result.cars[who, column, number] = abnormal[:, inside].sum(axis=1)
        total = x[:, inside].sum(axis=1)
        error = np.einsum("bi,bij,bj->b", total, inverse, total)
        result.spread[who, column, number] = last - first + 1 + error

    slots = one.weekdays[np.maximum(rows[who], 0)] - one.weekdays[places[who], None] + settings.grid
    usable &= (slots >= 0) & (slots < settings.grid)
    at, which = np.nonzero(usable)
    result.residuals[who[at], slots[at, which], column] = (errors / deviation[:, None])[at, which]
    result.alive[who[at], slots[at, which], column] = True


def _looked_up(one: Series, rows: Ints) -> tuple[Floats, Floats, Bools]:
    """Return a name's returns and regressors (a constant first) at B × K rows, and where both are known."""
    inside = (rows >= 0) & (rows < len(one.days))
    held = np.where(inside, rows, 0)
    y = one.returns[held]
    x = np.concatenate((np.ones((*held.shape, 1)), one.market[held]), axis=2)
    usable = inside & np.isfinite(y) & np.isfinite(x).all(axis=2)
    return y, x, usable
