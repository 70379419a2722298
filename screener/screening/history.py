"""Who passed a screen when: the same judgement on past dates, each with what was known then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.screening.rules import ScreenResult

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class ScreenHistory:
    """A screen on D dates.

    dates: D, strictly increasing. passed: D × N bool, names that passed on any of them or were judged on the last.
    entered, left: date → symbols that passed then and not on the date before, and the other way round; the first
    date has neither. latest: the screen's result on the last date.
    """

    latest: ScreenResult
    dates: tuple[date, ...]
    passed: pd.DataFrame
    entered: dict[date, tuple[str, ...]]
    left: dict[date, tuple[str, ...]]


def screen_history(dates: Sequence[date], judge: Callable[[date], ScreenResult]) -> ScreenHistory:
    """Judge on each date and say who came and went.

    dates: strictly increasing. judge: the screen on the panel cut at a date; nothing later may reach it.
    Raises ValueError for no dates, or dates out of order.
    """
    if not dates or any(later <= earlier for earlier, later in pairwise(dates)):
        raise ValueError("the dates of a history must be there and strictly increase")
    results = [judge(day) for day in dates]
    judged_last = {str(symbol) for symbol in results[-1].metrics.index}
    names = sorted(judged_last.union(*({str(symbol) for symbol in each.rank.index} for each in results)))
    passed = pd.DataFrame(
        [[name in each.rank.index for name in names] for each in results],
        index=pd.DatetimeIndex(list(dates), name="date"),
        columns=pd.Index(names, dtype="str"),
    )
    before, after = passed.iloc[:-1].to_numpy(), passed.iloc[1:].to_numpy()
    return ScreenHistory(
        latest=results[-1],
        dates=tuple(dates),
        passed=passed,
        entered=_changes(dates, names, after & ~before),
        left=_changes(dates, names, before & ~after),
    )


def _changes(dates: Sequence[date], names: Sequence[str], changed: Bools) -> dict[date, tuple[str, ...]]:
    return {
        day: tuple(name for name, flag in zip(names, row, strict=True) if flag)
        for day, row in zip(dates[1:], changed, strict=True)
    }
