"""Many Bars and their currencies become one PricePanel, as known on a date. Nothing here reads the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.bars import Bars
from screener.market.currency import major_unit, rates_to_base
from screener.market.sessions import city_of, is_session, last_completed, sessions_between
from screener.universe.model import Instrument

STALE_AFTER = 5  # own sessions without a bar; after that the last price is no longer a price
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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
        if (self.traded.to_numpy(dtype=bool) & ~np.isfinite(self.prices.to_numpy(dtype=float))).any():
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
        rows = int(self.sessions.searchsorted(pd.Timestamp(day), side="right"))
        return replace(
            self,
            prices=self.prices.iloc[:rows],
            traded=self.traded.iloc[:rows],
            close=self.close.iloc[:rows],
            value_traded=self.value_traded.iloc[:rows],
            as_of=min(day, self.as_of),
        )

    def since(self, day: date) -> PricePanel:
        """Return the panel from a date on; what it knows at its end is the same."""
        rows = int(self.sessions.searchsorted(pd.Timestamp(day)))
        return replace(
            self,
            prices=self.prices.iloc[rows:],
            traded=self.traded.iloc[rows:],
            close=self.close.iloc[rows:],
            value_traded=self.value_traded.iloc[rows:],
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


def build(
    bars: Mapping[str, Bars],
    instruments: Mapping[str, Instrument],
    base: str,
    as_of: date,
    now: datetime,
) -> tuple[PricePanel, dict[str, SymbolState]]:
    """Return the panel of every instrument that has bars, and how each instrument stands.

    bars: by symbol, currency pairs included, quarantined rows already left out. `now` (UTC) says which
    sessions a source could already have served; it is the caller's clock.
    """
    last_row = pd.Timestamp(as_of)
    tables = {
        symbol: _as_listed(bars[symbol].table, each, last_row)
        for symbol, each in instruments.items()
        if symbol in bars
    }
    tables = {symbol: table for symbol, table in sorted(tables.items()) if len(table)}
    index = _united_sessions(tables, instruments, as_of)
    rates = rates_to_base(base, (bars[symbol].currency for symbol in tables), bars, index)
    open_on = {mic: is_session(mic, index) for mic in {instruments[symbol].mic for symbol in tables}}

    columns: dict[str, tuple[Floats, Bools, Floats, Floats]] = {}
    states: dict[str, SymbolState] = {}
    for symbol, instrument in sorted(instruments.items()):
        states[symbol] = _state(instrument, tables.get(symbol), as_of, now)
        if symbol not in tables:
            continue
        currency, unit = major_unit(bars[symbol].currency)
        rate = rates[currency] if currency in rates.columns else pd.Series(np.nan, index=index)
        states[symbol] = _with_rate(states[symbol], rate, currency, base)
        if rate.notna().any():
            rate_of_unit = np.asarray(rate.to_numpy(dtype=float) * unit)
            columns[symbol] = _in_base(
                tables[symbol], instrument, index, open_on[instrument.mic], rate_of_unit
            )

    def table_of(position: int, kind: type) -> pd.DataFrame:
        stacked = [each[position] for each in columns.values()]
        matrix = np.column_stack(stacked) if stacked else np.empty((len(index), 0), dtype=kind)
        return pd.DataFrame(matrix, index=index, columns=pd.Index(list(columns), dtype="str"), copy=False)

    panel = PricePanel(
        prices=table_of(0, float),
        traded=table_of(1, bool),
        close=table_of(2, float),
        value_traded=table_of(3, float),
        base_currency=base,
        as_of=as_of,
        synthetic=any(each.synthetic for each in bars.values()),
    )
    return panel, states


def _as_listed(table: pd.DataFrame, instrument: Instrument, last_row: pd.Timestamp) -> pd.DataFrame:
    """Cut the rows that are not this security's: before its listing, from its delisting on, after as_of."""
    first = pd.Timestamp(instrument.listed_from or date.min.replace(year=1900))
    end = pd.Timestamp(instrument.delisted_on or date(2200, 1, 1))
    return table[(table.index >= first) & (table.index < end) & (table.index <= last_row)]


def _united_sessions(
    tables: Mapping[str, pd.DataFrame], instruments: Mapping[str, Instrument], as_of: date
) -> pd.DatetimeIndex:
    """Return every date on which an exchange of ours had a session, or a source served a bar."""
    if not tables:
        return pd.DatetimeIndex([], dtype="datetime64[s]", name="session")
    first = min(table.index[0] for table in tables.values()).date()
    dates = [sessions_between(mic, first, as_of) for mic in {instruments[symbol].mic for symbol in tables}]
    dates += [pd.DatetimeIndex(table.index) for table in tables.values()]
    united = np.unique(np.concatenate([each.to_numpy() for each in dates]))
    return pd.DatetimeIndex(united, name="session")


def _in_base(
    table: pd.DataFrame, instrument: Instrument, index: pd.DatetimeIndex, open_on: Bools, rate: Floats
) -> tuple[Floats, Bools, Floats, Floats]:
    """Return one symbol's total-return price, traded flag, close and value traded, each T long.

    Total return of a session: (C + D) / C[previous bar] − 1.
    """
    close, dividend = table["close"].to_numpy(), table["dividend"].to_numpy()
    growth = np.ones(len(close))
    growth[1:] = (close[1:] + dividend[1:]) / close[:-1]
    level = close[0] * np.cumprod(growth)

    rows = index.searchsorted(pd.DatetimeIndex(table.index))
    traded = np.zeros(len(index), dtype=bool)
    traded[rows] = True
    latest = np.cumsum(traded) - 1  # position of the last bar at or before each row, −1 before the first
    own_sessions = np.cumsum(open_on)
    since = own_sessions - own_sessions[rows[np.maximum(latest, 0)]]
    kept = (latest >= 0) & (since <= STALE_AFTER)
    if instrument.delisted_on is not None:
        kept &= np.asarray(index < pd.Timestamp(instrument.delisted_on))

    def spread(values: Floats) -> Floats:
        return np.where(kept, values[np.maximum(latest, 0)] * rate, np.nan)

    prices = spread(level)
    traded &= np.isfinite(prices)  # without an exchange rate nothing can be traded in the base currency
    value = np.full(len(index), np.nan)
    value[rows] = close * table["volume"].to_numpy() * rate[rows]
    return prices, traded, spread(close), np.where(traded, value, np.nan)


def _state(instrument: Instrument, table: pd.DataFrame | None, as_of: date, now: datetime) -> SymbolState:
    """Say how one instrument stands on the as-of date."""

    def state(name: str, reason: str, missed: int = 0) -> SymbolState:
        if table is None:
            return SymbolState(instrument.symbol, name, reason, None, None, missed, 0)
        first, last = table.index[0].date(), table.index[-1].date()
        return SymbolState(instrument.symbol, name, reason, first, last, missed, len(table))

    if instrument.listed_from is not None and instrument.listed_from > as_of:
        return state("not listed", f"listed from {instrument.listed_from}")
    if instrument.delisted_on is not None and instrument.delisted_on <= as_of:
        return state("delisted", f"delisted on {instrument.delisted_on}")
    if table is None:
        return state("missing", "no prices")
    last = table.index[-1].date()
    expected = min(as_of, last_completed(instrument.mic, now))
    missed = (
        int((sessions_between(instrument.mic, last, expected) > pd.Timestamp(last)).sum())
        if expected > last
        else 0
    )
    if missed:
        sessions = "session" if missed == 1 else "sessions"
        return state(
            "stale",
            f"newest price is of {last}; {missed} {city_of(instrument.mic)} {sessions} missing since",
            missed,
        )
    return state("fresh", "")


def _with_rate(state: SymbolState, rate: pd.Series, currency: str, base: str) -> SymbolState:
    """Return a symbol's state, corrected where its currency's rate is what is missing or old."""
    known = pd.DatetimeIndex(rate.index[rate.notna()])
    if not len(known):
        return replace(state, state="missing", reason=f"no exchange rate from {currency} to {base}")
    if state.state in ("fresh", "stale") and known[-1] != rate.index[-1]:
        trouble = f"no exchange rate from {currency} to {base} after {known[-1].date()}"
        return replace(state, state="stale", reason=f"{state.reason}; {trouble}" if state.reason else trouble)
    return state
