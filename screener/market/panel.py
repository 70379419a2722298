"""Many Bars and their currencies become one PricePanel, as known on a date. Nothing here reads the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False, slots=True)
class PricePanel:
    """Prices of N symbols over T sessions, none later than `as_of`.

    Rows are every date on which any of the exchanges had a session; calendars are united, never joined.
    prices: T × N, total-return price in base currency, dividends reinvested on the ex-date, anchored at
        each symbol's first close (its changes are returns; its level is not a quote). While an exchange is
        shut, and for up to STALE_AFTER of its own sessions without a bar, the last price is kept;
        beyond that, before listing and after delisting: NaN. The rule looks only backwards.
    traded: T × N bool, the instrument had a bar that day. traded ⇒ prices finite.
    close: T × N, quoted close in base currency, kept like prices.
    value_traded: T × N, close × volume in base currency; NaN where not traded or volume is unknown.
    """

    prices: pd.DataFrame
    traded: pd.DataFrame
    close: pd.DataFrame
    value_traded: pd.DataFrame
    base_currency: str
    as_of: date
    synthetic: bool = False

    def __post_init__(self) -> None:
        index, columns = self.prices.index, self.prices.columns
        if not index.is_monotonic_increasing or index.has_duplicates:
            raise ValueError("sessions must strictly increase")
        if not columns.is_monotonic_increasing or columns.has_duplicates:
            raise ValueError("symbols must be sorted and unique")
        for table in (self.traded, self.close, self.value_traded):
            if not table.index.equals(index) or not table.columns.equals(columns):
                raise ValueError("all tables of a panel share their index and columns")
        if len(index) and index[-1].date() > self.as_of:
            raise ValueError(f"the panel holds {index[-1].date()}, later than its as-of date {self.as_of}")
        if (self.traded.to_numpy() & ~np.isfinite(self.prices.to_numpy())).any():
            raise ValueError("a traded session must have a price")

    @property
    def symbols(self) -> list[str]:
        """Return the N symbols, sorted."""
        return list(self.prices.columns)

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Return the T session dates."""
        return pd.DatetimeIndex(self.prices.index)

    def until(self, day: date) -> PricePanel:
        """Return the panel as it was known at the end of an earlier date."""
        rows = self.prices.index <= pd.Timestamp(day)
        return replace(
            self,
            prices=self.prices[rows],
            traded=self.traded[rows],
            close=self.close[rows],
            value_traded=self.value_traded[rows],
            as_of=min(day, self.as_of),
        )

    def select(self, symbols: Sequence[str]) -> PricePanel:
        """Return the panel of some of its symbols, sorted. Raises KeyError for an unknown one."""
        kept = sorted(symbols)
        return replace(
            self,
            prices=self.prices[kept],
            traded=self.traded[kept],
            close=self.close[kept],
            value_traded=self.value_traded[kept],
        )


@dataclass(frozen=True, slots=True)
class SymbolState:
    """How one symbol stands on the as-of date, for the report's data section."""

    symbol: str
    state: str  # fresh, stale, missing, not listed, delisted
    reason: str  # "" when fresh; else a sentence with its numbers
    first: date | None
    last: date | None  # last session with a bar, ≤ as_of
    sessions_missed: int  # of its own exchange, between last and as_of
    rows: int
