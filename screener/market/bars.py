"""Bars: one instrument's daily rows as a source served them. Judging them is quality.py's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

SAME = 5e-6  # relative; a vendor's floats are of single precision, and below it a value is only rounded differently
COLUMNS = ("open", "high", "low", "close", "volume", "dividend", "split")
NAMES = pd.Index(list(COLUMNS))
REQUIRED = [COLUMNS.index(each) for each in ("close", "dividend", "split")]


def as_sessions(index: object) -> pd.DatetimeIndex:
    """Return session dates without zone or time, in one resolution whatever pandas inferred."""
    sessions = pd.DatetimeIndex(index)  # type: ignore[arg-type]
    if sessions.tz is not None:
        sessions = sessions.tz_localize(None)
    return sessions.normalize().as_unit("s").rename("session")


@dataclass(frozen=True, eq=False, slots=True)
class Bars:
    """Daily rows of one symbol.

    table: T × 7, columns COLUMNS, index strictly increasing session dates. Prices and volume are adjusted
    for splits (Yahoo's convention; `split` records the ratio, 1 where none), not for dividends, in
    `currency` as quoted (GBp: pence). `dividend` is per share on its ex-date, 0 where none. Only close is
    required; open, high, low and volume are NaN where the source has none. Suspicious prices are kept.
    """

    symbol: str
    table: pd.DataFrame
    currency: str
    source: str
    fetched_at: datetime  # UTC
    synthetic: bool = False
    adjusted: pd.Series | None = None  # the vendor's own adjusted close by session, only ever compared with
    notes: tuple[str, ...] = ()  # what the source has to say of this fetch, such as a newest row it dropped

    def __post_init__(self) -> None:
        index = self.table.index
        if self.table.columns is not NAMES and tuple(self.table.columns) != COLUMNS:
            raise ValueError(f"{self.symbol}: columns must be {COLUMNS}, not {tuple(self.table.columns)}")
        if not isinstance(index, pd.DatetimeIndex) or index.tz is not None:
            raise ValueError(f"{self.symbol}: sessions must be dates without a zone")
        if not (index.is_monotonic_increasing and index.is_unique):
            raise ValueError(f"{self.symbol}: sessions must strictly increase")
        if self.fetched_at.tzinfo is None:
            raise ValueError(f"{self.symbol}: fetched_at must carry its zone (UTC)")
        values = self.table.to_numpy(dtype=float)
        if any(np.isnan(values[:, column]).any() for column in REQUIRED):
            raise ValueError(f"{self.symbol}: close, dividend and split must not be missing")


def bars_table(columns: pd.DataFrame) -> pd.DataFrame:
    """Complete a frame that has at least `close` into the table Bars wants, sorted as given.

    columns: T × any of COLUMNS, indexed by session. Missing prices and volume become NaN, missing
    dividends 0 and missing splits 1; rows without a close are dropped.
    """
    table = columns.reindex(columns=list(COLUMNS)).astype(float)
    table["dividend"] = table["dividend"].fillna(0.0)
    table["split"] = table["split"].fillna(1.0).replace(0.0, 1.0)
    table.index = as_sessions(table.index)
    return table[table["close"].notna()]
