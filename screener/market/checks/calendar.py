"""Checks against the exchange's calendar: sessions without a bar, bars without a session. Past its end: silence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from screener.market.checks.series import Series, Spot, runs
from screener.market.sessions import (
    calendar_of,
    is_known,
    is_session,
    known_sessions,
    known_until,
)

SHORTEST_GAP = 3  # missing sessions in a row that are told one by one; shorter gaps are counted
SHIFTED = 0.1  # of all bars on closed days: not a slip but another time zone's dates


def sessions(s: Series) -> Iterator[Spot]:
    """Bars on closed days, sessions without bars, and the first bar past the calendar's end."""
    if not len(s):
        return
    if s.mic:
        calendar_of(s.mic)
    yield from _closed_days(s)
    yield from _gaps(s)
    if s.mic and s.days[-1] > np.datetime64(known_until(s.mic)):
        row = int(np.searchsorted(s.days, np.datetime64(known_until(s.mic)), side="right"))
        yield Spot(
            "calendar_unknown", row, f"holidays are known to {known_until(s.mic)}; bars since are not checked"
        )


def _closed_days(s: Series) -> Iterator[Spot]:
    closed = ~is_session(s.mic, s.index) & is_known(s.mic, s.index)
    rows = np.flatnonzero(closed)
    for row in rows.tolist():
        yield Spot("bar_on_holiday", row, "a bar on a date without a session")
    if len(rows) > max(5, SHIFTED * len(s)):
        for shift in (1, -1):
            moved = s.index + pd.Timedelta(days=shift)
            if is_session(s.mic, moved).mean() > 0.97:
                yield Spot(
                    "dates_shifted",
                    int(rows[0]),
                    f"{len(rows)} of {len(s)} bars are on closed days; {shift:+d} day would put all on sessions",
                )


def _gaps(s: Series) -> Iterator[Spot]:
    if len(s) < 2:
        return
    expected = known_sessions(s.mic, s.days[0].item(), s.days[-1].item())
    missing = ~np.isin(expected, s.days, assume_unique=True)
    if not missing.any():
        return
    short: list[int] = []
    for start, length in runs(missing):
        row = int(np.searchsorted(s.days, expected[start]))
        if length >= SHORTEST_GAP:
            span = f"{expected[start]} to {expected[start + length - 1]}"
            yield Spot("missing_sessions", row, f"{length} sessions from {span} have no bar")
        else:
            short += range(start, start + length)
    if short and s.mic:  # currency pairs lack Christmas and other days on which banks are shut
        days = ", ".join(str(expected[each]) for each in short[:3])
        more = f" and {len(short) - 3} more" if len(short) > 3 else ""
        row = int(np.searchsorted(s.days, expected[short[0]]))
        yield Spot("missing_session", row, f"no bar on {days}{more}")
