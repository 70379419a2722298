"""Which exchange traded on which date, and when it closed. exchange_calendars knows; we add what it lacks."""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
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
SETTLING = timedelta(minutes=30)  # a vendor's last bar still moves for a while after the close


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


@lru_cache(maxsize=32)
def _calendar(name: str) -> Any:
    from exchange_calendars.calendar_utils import _default_calendar_factories

    factory = _default_calendar_factories[name]
    start, end = (
        max(pd.Timestamp(FIRST), factory.bound_min() or pd.Timestamp(FIRST)),
        min(pd.Timestamp(LAST), factory.bound_max() or pd.Timestamp(LAST)),
    )
    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses calls that pandas 3.1 deprecates; nothing a user could do about it
        warnings.simplefilter("ignore", DeprecationWarning)
        return factory(start=start, end=end)


def known_until(mic: str) -> date:
    """Return the last date whose holidays are known; later weekdays are taken for sessions."""
    return date(9999, 12, 31) if mic == "" else _calendar(calendar_of(mic)).sessions[-1].date()


@lru_cache(maxsize=512)
def sessions_between(mic: str, start: date, end: date) -> pd.DatetimeIndex:
    """Return the sessions of a market, both ends included; of mic "" (currencies) the weekdays.

    Weekdays outside what the calendar records (Shanghai's ends with 2026) count as sessions.
    """
    weekdays = as_sessions(pd.bdate_range(start, end))
    if mic == "":
        return weekdays
    recorded = as_sessions(_calendar(calendar_of(mic)).sessions)
    outside = (weekdays < recorded[0]) | (weekdays > recorded[-1])
    inside = recorded[(recorded >= pd.Timestamp(start)) & (recorded <= pd.Timestamp(end))]
    return inside.union(weekdays[outside]) if outside.any() else inside


def is_session(mic: str, dates: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say for each of the dates (sorted) whether the market had a session."""
    if not len(dates):
        return np.zeros(0, dtype=bool)
    return np.asarray(dates.isin(sessions_between(mic, dates[0].date(), dates[-1].date())))


def last_completed(mic: str, now: datetime) -> date:
    """Return the newest session that closed at least 30 minutes before `now` (UTC).

    A currency's day is complete when the next one has begun in London.
    """
    if mic == "":
        return (pd.Timestamp(now.date()) - pd.offsets.BDay(1)).date()
    calendar = _calendar(calendar_of(mic))
    moment = pd.Timestamp(now - SETTLING)
    today = pd.Timestamp(now.date())
    if today > calendar.sessions[-1]:
        return (today - pd.offsets.BDay(1)).date()
    closes = calendar.closes
    completed: date = closes.index[closes <= moment][-1].date()
    return completed


def closing_clock(mic: str, dates: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return for each date the seconds from its midnight (UTC) to the market's close, half days included.

    On a date without a session it is the close of the last session before it, so that a bar on such a day has
    a place too.
    """
    seconds = _closing_seconds(calendar_of(mic))
    days = (dates.to_numpy().astype("datetime64[D]") - np.datetime64(FIRST)).astype(np.int64)
    return seconds[np.clip(days, 0, len(seconds) - 1)]


@lru_cache(maxsize=32)
def _closing_seconds(name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the seconds from midnight UTC to the close, for each day from FIRST to LAST."""
    closes = _calendar(name).closes
    midnights = closes.index.to_numpy().astype("datetime64[D]")
    instants = closes.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    days = np.arange(np.datetime64(FIRST), np.datetime64(LAST) + 1)
    latest = np.maximum(midnights.searchsorted(days, side="right") - 1, 0)
    return np.asarray((instants - midnights)[latest].astype(np.int64))
