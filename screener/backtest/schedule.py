"""When a portfolio is decided. What happens then is engine.py's business."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from screener.errors import UserError, unknown

FREQUENCIES = {"weekly": "W-SUN", "monthly": "M", "quarterly": "Q"}
SATURDAY = 5


def rebalance_dates(
    sessions: pd.DatetimeIndex, frequency: str, *, start: date | None = None, end: date | None = None
) -> list[date]:
    """Return the last session of each week, month or quarter between start and end, both included.

    sessions: T, strictly increasing, the united calendar. The last period counts only when it is over: when
    the next weekday after the last session belongs to another period. A row on a weekend never ends a period.
    So adding later sessions never moves or removes an earlier date. Raises UserError for an unknown frequency.
    """
    if frequency not in FREQUENCIES:
        raise UserError(unknown("--rebalance", frequency, list(FREQUENCIES)))
    # a make-up session or a stray row on a Sunday would take the place of a Friday already decided on
    sessions = sessions[sessions.day_of_week < SATURDAY]
    if end is not None:
        sessions = sessions[sessions <= pd.Timestamp(end)]
    if not len(sessions):
        return []
    next_weekday = sessions[-1] + pd.offsets.BDay(1)
    periods = pd.DatetimeIndex([*sessions, next_weekday]).to_period(FREQUENCIES[frequency])
    is_last = np.asarray(periods[1:] != periods[:-1])
    chosen = sessions[is_last]
    if start is not None:
        chosen = chosen[chosen >= pd.Timestamp(start)]
    return [each.date() for each in chosen]
