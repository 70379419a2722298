"""What a check looks at: one symbol's bars as plain arrays, and the spots it points to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.bars import COLUMNS, Bars
from screener.market.sessions import as_days

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# What of a row is set aside when a finding quarantines it
BAR = "bar"  # the whole row: it leaves the panel, its dividend and split move to the next row
DIVIDEND = "dividend"  # multiplied by `factor`; 0 leaves it out
VOLUME = "volume"  # unknown from then on
LEVEL = "level"  # all earlier prices and dividends, multiplied by `factor` to stand on this row's footing
SERIES = "series"  # every row


class Spot(NamedTuple):
    """A place in a series that a check points to."""

    check: str
    row: int
    detail: str  # a sentence with the numbers
    part: str = BAR
    factor: float = 0.0


class Series:
    """One symbol's bars up to a date, column by column: T each, NaN where the source has none."""

    def __init__(self, bars: Bars, mic: str, currency: str, rows: int) -> None:
        """`mic` "" is a currency pair, `currency` what the universe says the quotes are in, "" if it does not."""
        values = bars.table.to_numpy(dtype=float)[:rows]
        self.open, self.high, self.low, self.close, self.volume, self.dividend, self.split = (
            np.ascontiguousarray(values[:, COLUMNS.index(each)]) for each in COLUMNS
        )
        self.index = pd.DatetimeIndex(bars.table.index[:rows])
        self.mic, self.currency = mic, currency
        self.bars_currency = bars.currency
        self.fetched_at: datetime = bars.fetched_at
        self._adjusted = bars.adjusted

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def days(self) -> npt.NDArray[np.datetime64]:
        """T session dates as datetime64[D]."""
        return as_days(self.index)

    @cached_property
    def good(self) -> npt.NDArray[np.intp]:
        """The rows whose close is a positive number."""
        return np.flatnonzero((self.close > 0) & np.isfinite(self.close))

    def set_aside(self, rows: Sequence[int]) -> None:
        """Take rows out of `good`, and so out of what the checks that follow compare with."""
        kept = self.good[~np.isin(self.good, rows)]
        for each in ("logs", "steps", "total_steps"):
            self.__dict__.pop(each, None)
        self.__dict__["good"] = kept

    @cached_property
    def logs(self) -> Floats:
        """Logarithms of the good closes."""
        return np.asarray(np.log(self.close[self.good]))

    @cached_property
    def steps(self) -> Floats:
        """Differences of `logs`: one fewer than good rows."""
        return np.diff(self.logs)

    @cached_property
    def total_steps(self) -> Floats:
        """Like `steps`, with the payouts of each good row added to its close."""
        close = self.close[self.good]
        paid = np.where(np.isfinite(self.dividend), np.maximum(self.dividend, 0.0), 0.0)[self.good]
        return np.asarray(np.log((close[1:] + paid[1:]) / close[:-1]))

    @cached_property
    def adjusted(self) -> Floats | None:
        """T: the vendor's adjusted close, None where the source has none."""
        if self._adjusted is None:
            return None
        return np.asarray(self._adjusted.reindex(self.index), dtype=np.float64)

    def spread_before(self, step: int, window: int = 63) -> float:
        """Return the robust deviation of the log returns in a window before a step; NaN below ten moves."""
        before = self.steps[max(0, step - window) : step]
        moved = before[before != 0]
        return float(1.4826 * np.median(np.abs(moved))) if len(moved) >= 10 else float("nan")


def runs(flags: Bools) -> Iterator[tuple[int, int]]:
    """Yield start and length of each run of True."""
    edges = np.diff(np.r_[0, flags.astype(np.int8), 0])
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    yield from zip(starts.tolist(), (ends - starts).tolist(), strict=True)
