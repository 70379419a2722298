"""When a portfolio is decided. What happens then is engine.py's business."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from screener.errors import UserError

PERIODS = {"weekly": "W-SUN", "monthly": "M", "quarterly": "Q"}
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI")
SESSIONS_IN = {"weekly": 5, "monthly": 21, "quarterly": 63}  # weekdays in a period, for staggering
SATURDAY = 5
WORDS = "weekly, weekly:WED, monthly, quarterly, every:10 (sessions), drift:5% (looked at weekly) or screen"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A rule for dates. every: sessions between decisions; band: drift that must be exceeded; on_screen: only when
    the names that pass a screen have changed since the last decision.
    """

    text: str
    period: str = ""  # a pandas period
    every: int = 0
    band: float = 0.0
    on_screen: bool = False

    @property
    def length(self) -> int:
        """Return about how many sessions lie between decisions."""
        return self.every or next((SESSIONS_IN[k] for k, v in PERIODS.items() if v == self.period), 5)


def parse_schedule(text: str) -> Schedule:
    """Return the schedule of words such as `monthly`, `weekly:WED`, `every:10`, `drift:5%` or `screen`."""
    kind, _, more = text.strip().partition(":")
    more = more.strip()
    if kind in PERIODS and not more:
        return Schedule(text, PERIODS[kind])
    if kind == "weekly" and more.upper() in WEEKDAYS:
        return Schedule(text, f"W-{more.upper()}")
    if kind == "every" and re.fullmatch(r"\d{1,3}", more) and int(more) > 0:
        return Schedule(text, every=int(more))
    if (
        kind == "drift"
        and (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", more))
        and 0 < float(found[1]) < 100
    ):
        return Schedule(text, PERIODS["weekly"], band=float(found[1]) / 100)
    if kind == "screen" and not more:
        return Schedule(text, PERIODS["weekly"], on_screen=True)
    raise UserError(f"--rebalance {text!r} is not a schedule; it may be {WORDS}")


def rebalance_dates(
    sessions: pd.DatetimeIndex,
    schedule: Schedule | str,
    *,
    start: date | None = None,
    end: date | None = None,
    offset: int = 0,
) -> list[date]:
    """Return the last session of each period, or every n-th, between start and end, both included.

    sessions: T, strictly increasing, the united calendar. offset: so many sessions later each. The last period counts
    only when it is over: when the next weekday after the last session belongs to another period. A row on a weekend
    never ends a period. Every n-th is counted from `start`. So adding later sessions never moves or removes an
    earlier date. Raises UserError for an unknown schedule.
    """
    rule = parse_schedule(schedule) if isinstance(schedule, str) else schedule
    # a make-up session or a stray row on a Sunday would take the place of a Friday already decided on
    sessions = sessions[sessions.day_of_week < SATURDAY]
    if end is not None:
        sessions = sessions[sessions <= pd.Timestamp(end)]
    first = 0 if start is None else int(sessions.searchsorted(pd.Timestamp(start)))
    if not len(sessions):
        return []
    if rule.every:
        rows = np.arange(first, len(sessions), rule.every)
    else:
        next_weekday = sessions[-1] + pd.offsets.BDay(1)
        periods = pd.DatetimeIndex(sessions.append(pd.DatetimeIndex([next_weekday]))).to_period(rule.period)
        rows = np.flatnonzero(np.asarray(periods[1:] != periods[:-1]))
    rows = rows + offset
    return [each.date() for each in sessions[rows[(rows >= first) & (rows < len(sessions))]]]


def staggered_dates(
    sessions: pd.DatetimeIndex, schedule: Schedule, tranches: int, *, start: date, end: date, offset: int = 0
) -> tuple[list[date], tuple[int, ...]]:
    """Return the dates of all tranches in order, and each one's tranche: evenly spread over a period.

    offset: so many sessions later each. A date that two tranches would share belongs to the first.
    """
    if not 1 <= tranches <= schedule.length:
        raise UserError(
            f"--tranches {tranches}: {schedule.text} has room for 1 to {schedule.length}, one a session"
        )
    owner: dict[date, int] = {}
    for number in range(tranches):
        shift = offset + round(number * schedule.length / tranches)
        for day in rebalance_dates(sessions, schedule, start=start, end=end, offset=shift):
            owner.setdefault(day, number)
    dates = sorted(owner)
    used = sorted(set(owner.values()))
    return dates, tuple(used.index(owner[day]) for day in dates)
