"""Which exchange traded on which date, and when it closed. exchange_calendars knows; calendars.toml adds to it.

A calendar has an end: the last date whose holidays are known. Past it nothing is guessed: no date is called a
session or a holiday, and whoever needs to know gets told that the calendar is unknown.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError
from screener.market.bars import as_sessions

# ISO 10383 market → calendar of exchange_calendars, which has none for Shenzhen: it keeps Shanghai's days.
CALENDARS = {
    "XNYS": "XNYS",
    "XNAS": "XNYS",
    "XASE": "XNYS",
    "ARCX": "XNYS",
    "BATS": "XNYS",
    "XTKS": "XTKS",
    "XASX": "XASX",
    "XSHG": "XSHG",
    "XSHE": "XSHG",
    "XHKG": "XHKG",
    "XTSE": "XTSE",
    "XTSX": "XTSE",
    "XLON": "XLON",
    "AIMX": "XLON",
    "XBRU": "XBRU",
    "XPAR": "XPAR",
    "XETR": "XETR",
    "XSWX": "XSWX",
}
CITIES = {
    "XNYS": "New York",
    "XTKS": "Tokyo",
    "XASX": "Sydney",
    "XSHG": "Shanghai and Shenzhen",
    "XHKG": "Hong Kong",
    "XTSE": "Toronto",
    "XLON": "London",
    "XBRU": "Brussels",
    "XPAR": "Paris",
    "XETR": "Frankfurt",
    "XSWX": "Zurich",
}
FIRST, LAST = date(2000, 1, 1), date(2030, 12, 31)  # a fixed window, so that no clock is read
FOREVER = date(9999, 12, 31)
SETTLING = timedelta(minutes=30)  # a vendor's last bar still moves for a while after the close
OVERRIDES = Path(__file__).with_name("calendars.toml")

Bools = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]  # datetime64[D]


def calendar_of(mic: str) -> str:
    """Return the calendar a market keeps. Raises ScreenerError for a market we have none for."""
    try:
        return CALENDARS[mic]
    except KeyError:
        raise ScreenerError(
            f"market {mic!r} has no exchange calendar; known are {', '.join(CALENDARS)}"
        ) from None


def city_of(mic: str) -> str:
    """Return the city a reader knows the exchange by."""
    return CITIES[calendar_of(mic)]


@dataclass(frozen=True, eq=False, slots=True)
class Calendar:
    """One exchange's recorded sessions. days: sorted datetime64[D]; closes: the same length, UTC instants."""

    days: Days
    closes: npt.NDArray[np.datetime64]
    half: Bools  # closed early
    zone: ZoneInfo
    known_from: np.datetime64
    known_until: np.datetime64  # every date from known_from to this one is either a session or a holiday

    def is_open(self, days: Days) -> Bools:
        """Say for each date whether it is a recorded session."""
        at = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return np.asarray(self.days[at] == days)

    def is_known(self, days: Days) -> Bools:
        """Say for each date whether the calendar knows what it was."""
        return np.asarray((days >= self.known_from) & (days <= self.known_until))


@dataclass(frozen=True, slots=True)
class Override:
    """What calendars.toml says of one calendar beyond exchange_calendars."""

    known_until: date | None = None  # weekdays up to it that are not `closed` are sessions
    closed: tuple[date, ...] = ()
    open: tuple[date, ...] = ()


def read_overrides(path: Path = OVERRIDES) -> dict[str, Override]:
    """Read calendars.toml. Raises ScreenerError naming every table and key that is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ScreenerError(f"{path}: cannot be read ({error})") from None
    found, problems = {}, []
    for name, table in tables.items():
        if name not in CITIES:
            problems.append(f"{path}: [{name}] is not a calendar; known are {', '.join(CITIES)}")
        for key, value in table.items():
            days = value if isinstance(value, list) else [value]
            if key not in ("known_until", "closed", "open", "source"):
                problems.append(
                    f"{path}: [{name}] {key} is unknown; use known_until, closed, open and source"
                )
            elif key != "source" and not all(type(each) is date for each in days):
                problems.append(f"{path}: [{name}] {key} must hold dates such as 2027-01-01")
        if not table.get("source"):
            problems.append(f"{path}: [{name}] needs a source: where do these dates come from?")
        found[name] = Override(
            table.get("known_until"), tuple(table.get("closed", ())), tuple(table.get("open", ()))
        )
    if problems:
        raise ScreenerError(*problems)
    return found


@lru_cache(maxsize=1)
def _overrides() -> dict[str, Override]:
    return read_overrides()


@lru_cache(maxsize=32)
def calendar(mic: str) -> Calendar:
    """Return a market's calendar, what calendars.toml says included."""
    name = calendar_of(mic)
    exchange = _exchange_calendar(name)
    days = exchange.sessions.to_numpy().astype("datetime64[D]")
    closes = exchange.closes.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    half = np.isin(days, exchange.early_closes.to_numpy().astype("datetime64[D]"))
    known_from, known_until = (np.datetime64(each) for each in _recorded_span(exchange))
    zone = ZoneInfo(str(exchange.tz))
    override = _overrides().get(name)
    if override is not None:
        usual = exchange.close_times[-1][1]
        days, closes, half = _overridden(override, (days, closes, half), known_until, (usual, zone))
        if override.known_until is not None:
            known_until = max(known_until, np.datetime64(override.known_until))
    return Calendar(days, closes, half, zone, known_from, known_until)


def _overridden(
    override: Override,
    recorded: tuple[Days, npt.NDArray[np.datetime64], Bools],
    known_until: np.datetime64,
    usual_close: tuple[Any, ZoneInfo],
) -> tuple[Days, npt.NDArray[np.datetime64], Bools]:
    """Return days, closes and half days with closures taken out and later sessions put in."""
    days, closes, half = recorded
    time_of_day, zone = usual_close
    kept = ~np.isin(days, np.array(override.closed, dtype="datetime64[D]"))
    more = np.array(override.open, dtype="datetime64[D]")
    if override.known_until is not None and np.datetime64(override.known_until) > known_until:
        later = np.arange(known_until + 1, np.datetime64(override.known_until) + 1)
        later = later[np.is_busday(later) & ~np.isin(later, np.array(override.closed, dtype="datetime64[D]"))]
        more = np.concatenate((more, later))
    more = np.setdiff1d(more, days[kept])
    instants = [
        np.datetime64(
            datetime.combine(each, time_of_day, zone).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
        )
        for each in more.tolist()
    ]
    all_days = np.concatenate((days[kept], more))
    order = np.argsort(all_days)
    all_closes = np.concatenate((closes[kept], np.array(instants, dtype="datetime64[s]")))
    return all_days[order], all_closes[order], np.concatenate((half[kept], np.zeros(len(more), bool)))[order]


@lru_cache(maxsize=32)
def _exchange_calendar(name: str) -> Any:
    from exchange_calendars.calendar_utils import _default_calendar_factories

    factory = _default_calendar_factories[name]
    start, end = (pd.Timestamp(each) for each in _recorded_span(factory))
    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses calls that pandas 3.1 deprecates; nothing a user could do about it
        warnings.simplefilter("ignore", DeprecationWarning)
        return factory(start=start, end=end)


def _recorded_span(exchange: Any) -> tuple[date, date]:
    """Return the first and last date of our window that exchange_calendars records for an exchange."""
    first, last = exchange.bound_min(), exchange.bound_max()
    return (
        FIRST if first is None else max(FIRST, first.date()),
        LAST if last is None else min(LAST, last.date()),
    )


def known_until(mic: str) -> date:
    """Return the last date whose holidays are known; later ones are neither sessions nor holidays."""
    if mic == "":
        return FOREVER
    return pd.Timestamp(calendar(mic).known_until).date()


def calendar_warnings(mics: Iterable[str], as_of: date) -> tuple[str, ...]:
    """Return a loud line for each exchange whose calendar ends before the as-of date."""
    ends = {(city_of(mic), known_until(mic)) for mic in mics if mic in CALENDARS}
    return tuple(
        f"calendar unknown: {city}'s holidays are known to {end} only; until calendars.toml has them, "
        "later gaps are not judged"
        for city, end in sorted(ends)
        if end < as_of
    )


@lru_cache(maxsize=512)
def sessions_between(mic: str, start: date, end: date) -> pd.DatetimeIndex:
    """Return the dates a market may have traded on, both ends included; of mic "" (currencies) the weekdays.

    Outside what the calendar knows these are the weekdays: right for asking a source, wrong for judging what it
    served. For that see known_sessions.
    """
    weekdays = np.arange(np.datetime64(start), np.datetime64(end) + 1)
    weekdays = weekdays[np.is_busday(weekdays)]
    if mic == "":
        return as_sessions(weekdays.astype("datetime64[s]"))
    unknown = weekdays[~calendar(mic).is_known(weekdays)]
    days = np.concatenate((known_sessions(mic, start, end), unknown))
    return as_sessions(np.sort(days).astype("datetime64[s]"))


def known_sessions(mic: str, start: date, end: date) -> Days:
    """Return the sessions the calendar knows of, both ends included; of mic "" (currencies) the weekdays."""
    first, last = np.datetime64(start), np.datetime64(end)
    if mic == "":
        days = np.arange(first, last + 1)
        return days[np.is_busday(days)]
    recorded = calendar(mic).days
    return recorded[np.searchsorted(recorded, first) : np.searchsorted(recorded, last, side="right")]


def gaps(mic: str, index: pd.DatetimeIndex) -> Days:
    """Return the known sessions between the first and the last of `index` that it lacks; a holiday is no gap."""
    if not len(index):
        return np.array([], dtype="datetime64[D]")
    expected = known_sessions(mic, index[0].date(), index[-1].date())
    return expected[~np.isin(expected, as_days(index), assume_unique=True)]


def is_session(mic: str, dates: pd.DatetimeIndex) -> Bools:
    """Say for each of the dates whether the market had a session that we know of."""
    days = as_days(dates)
    return np.is_busday(days) if mic == "" else calendar(mic).is_open(days)


def is_known(mic: str, dates: pd.DatetimeIndex) -> Bools:
    """Say for each of the dates whether the calendar knows if it was a session."""
    days = as_days(dates)
    return np.ones(len(days), dtype=bool) if mic == "" else calendar(mic).is_known(days)


def as_days(dates: pd.DatetimeIndex) -> Days:
    """Return session dates as whole days, the type that calendars compare fastest."""
    return dates.to_numpy().astype("datetime64[D]")


def close_of(mic: str, session: date) -> datetime:
    """Return when a session closed, an instant in UTC; half days close early. Raises ValueError for no session."""
    known = calendar(mic)
    day = np.datetime64(session)
    at = int(np.searchsorted(known.days, day))
    if at == len(known.days) or known.days[at] != day:
        raise ValueError(f"{city_of(mic)} has no known session on {session}")
    closed: datetime = known.closes[at].astype("datetime64[s]").item()
    return closed.replace(tzinfo=ZoneInfo("UTC"))


def closes_on(mic: str, days: Days) -> npt.NDArray[np.datetime64]:
    """Return when the market closed on each date, UTC; NaT where it had no session that we know of."""
    known = calendar(mic)
    at = np.minimum(np.searchsorted(known.days, days), len(known.days) - 1)
    return np.where(known.days[at] == days, known.closes[at], np.datetime64("NaT", "s"))


def half_days(mic: str, start: date, end: date) -> pd.DatetimeIndex:
    """Return the sessions that closed early, both ends included."""
    known = calendar(mic)
    wanted = known.half & (known.days >= np.datetime64(start)) & (known.days <= np.datetime64(end))
    return as_sessions(known.days[wanted].astype("datetime64[s]"))


def local_date(mic: str, moment: datetime) -> date:
    """Return the date it is at the exchange at an instant (UTC); a currency's date is London's."""
    zone = ZoneInfo("Europe/London") if mic == "" else calendar(mic).zone
    return moment.astimezone(zone).date()


def last_completed(mic: str, now: datetime) -> date:
    """Return the newest session that closed at least 30 minutes before `now` (UTC).

    A currency's day is complete when the next one has begun in London. Past the end of the calendar it is the
    last weekday before `now`: the newest date that may have had a session, so that a source is still asked.
    """
    if mic == "" or local_date(mic, now) > known_until(mic):
        return (pd.Timestamp(now.date()) - pd.offsets.BDay(1)).date()
    known = calendar(mic)
    moment = np.datetime64((now - SETTLING).astimezone(ZoneInfo("UTC")).replace(tzinfo=None))
    completed: date = known.days[np.searchsorted(known.closes, moment, side="right") - 1].item()
    return completed


def closing_clock(mic: str, dates: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    """Return for each date the seconds from its midnight (UTC) to the market's close, half days included.

    On a date without a session it is the close of the last session before it, so that a bar on such a day has
    a place too.
    """
    seconds = _closing_seconds(calendar_of(mic))
    days = (as_days(dates) - np.datetime64(FIRST)).astype(np.int64)
    return seconds[np.clip(days, 0, len(seconds) - 1)]


@lru_cache(maxsize=32)
def _closing_seconds(name: str) -> npt.NDArray[np.int64]:
    """Return the seconds from midnight UTC to the close, for each day from FIRST to LAST."""
    known = calendar(name)
    days = np.arange(np.datetime64(FIRST), np.datetime64(LAST) + 1)
    latest = np.maximum(known.days.searchsorted(days, side="right") - 1, 0)
    return np.asarray((known.closes - known.days)[latest].astype(np.int64))
