"""Many Bars and their currencies become one PricePanel, as known on a date. Nothing here reads the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import pandas as pd

from screener.market.bars import Bars
from screener.market.currency import major_unit, rates_to_base
from screener.market.grid import VOLUME, Columns, Days, Floats, Own, own_rows, unite
from screener.market.sessions import calendar_of, city_of, known_sessions, known_until, last_completed
from screener.universe.model import Instrument

SUSPENDED_AFTER = 10  # own sessions without a trade while others on the exchange traded
LONGEST_SILENCE = 260  # bars looked back for the last trade


@dataclass(frozen=True, eq=False, slots=True)
class Quotes:
    """What an account needs beside the closes of a panel: opens, exchange rates, dividends and splits.

    open: T × N, quoted open in base currency; NaN where not traded or unknown.
    rates: T × K, base currency per unit of a currency as known at a market's close, by "JPY XTKS".
    rate_of: symbol → its column of rates. actions: a row a dividend or split, sorted by session and symbol:
    session, symbol, dividend (base currency per share on the panel's footing, 0 where none), split (1 where none).
    """

    open: pd.DataFrame
    rates: pd.DataFrame
    rate_of: Mapping[str, str]
    actions: pd.DataFrame

    def rows(self, kept: slice) -> Quotes:
        """Return the quotes of some of the sessions."""
        days = self.open.index[kept]
        inside = self.actions["session"].isin(days) if len(self.actions) else slice(None)
        return replace(
            self, open=self.open.iloc[kept], rates=self.rates.iloc[kept], actions=self.actions[inside]
        )

    def select(self, symbols: Sequence[str]) -> Quotes:
        """Return the quotes of some of the symbols."""
        inside = self.actions["symbol"].isin(symbols)
        rate_of = {symbol: self.rate_of[symbol] for symbol in symbols}
        return Quotes(self.open[symbols], self.rates, rate_of, self.actions[inside])


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
    quotes: opens, rates, dividends and splits; None for a panel of prices alone.
    """

    prices: pd.DataFrame
    traded: pd.DataFrame
    close: pd.DataFrame
    value_traded: pd.DataFrame
    base_currency: str
    as_of: date
    synthetic: bool = False
    quotes: Quotes | None = None

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
        return replace(self._cut(slice(0, rows)), as_of=min(day, self.as_of))

    def since(self, day: date) -> PricePanel:
        """Return the panel from a date on; what it knows at its end is the same."""
        return self._cut(slice(int(self.sessions.searchsorted(pd.Timestamp(day))), len(self.sessions)))

    def _cut(self, kept: slice) -> PricePanel:
        return replace(
            self,
            prices=self.prices.iloc[kept],
            traded=self.traded.iloc[kept],
            close=self.close.iloc[kept],
            value_traded=self.value_traded.iloc[kept],
            quotes=None if self.quotes is None else self.quotes.rows(kept),
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
            quotes=None if self.quotes is None else self.quotes.select(kept),
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
    suspended: bool = False  # stale, and others traded on for more than SUSPENDED_AFTER of its sessions


def build(
    bars: Mapping[str, Bars],
    instruments: Mapping[str, Instrument],
    base: str,
    as_of: date,
    now: datetime,
) -> tuple[PricePanel, dict[str, SymbolState]]:
    """Return the panel of every instrument that has bars, and how each instrument stands.

    bars: by symbol, currency pairs included, quarantined rows already left out. `now` (UTC) says which
    sessions a source could already have served; it is the caller's clock. Each close is converted at the newest
    rate that was known when its exchange closed (currency.py).
    """
    days_of: dict[int, Days] = {}
    own = {
        symbol: own_rows(bars[symbol], each, as_of, days_of)
        for symbol, each in sorted(instruments.items())
        if symbol in bars
    }
    own = {symbol: each for symbol, each in own.items() if len(each)}
    grid = unite(own, instruments, as_of)
    index = pd.DatetimeIndex(grid.days.astype("datetime64[s]"), name="session")
    market = _Market(own, instruments, as_of, now)
    states = {symbol: market.state_of(each, own.get(symbol)) for symbol, each in sorted(instruments.items())}

    rates = _rates(bars, own, instruments, base, index)
    priced = []
    for symbol in own:
        currency, _ = major_unit(bars[symbol].currency)
        rate = rates.get((currency, instruments[symbol].mic))
        states[symbol] = _with_rate(states[symbol], rate, index, (currency, base))
        if rate is not None and np.isfinite(rate).any():
            priced.append(symbol)
    columns = Columns.empty(len(priced), len(index))
    rate_of = {}
    for at, symbol in enumerate(priced):
        currency, unit = major_unit(bars[symbol].currency)
        mic = instruments[symbol].mic
        rate = rates[currency, mic]
        rate_of[symbol] = f"{currency} {mic}"
        columns.fill(at, own[symbol], instruments[symbol], grid, rate * unit if unit != 1 else rate)
    frames = columns.frames(priced, index)
    used = {f"{currency} {mic}": rate for (currency, mic), rate in rates.items()}
    kept = sorted(set(rate_of.values()))
    quotes = Quotes(
        frames.pop("open"),
        pd.DataFrame({name: used[name] for name in kept}, index=index),
        rate_of,
        columns.actions(priced, index),
    )
    panel = PricePanel(
        **frames,
        base_currency=base,
        as_of=as_of,
        synthetic=any(each.synthetic for each in bars.values()),
        quotes=quotes,
    )
    return panel, states


def _rates(
    bars: Mapping[str, Bars],
    own: Mapping[str, Own],
    instruments: Mapping[str, Instrument],
    base: str,
    index: pd.DatetimeIndex,
) -> dict[tuple[str, str], Floats]:
    """Return currency and market → T rates to base, as known at that market's close."""
    wanted: dict[str, set[str]] = {}
    for symbol in own:
        wanted.setdefault(instruments[symbol].mic, set()).add(bars[symbol].currency)
    found: dict[tuple[str, str], Floats] = {}
    for mic, currencies in wanted.items():
        table = rates_to_base(base, currencies, bars, index, mic)
        found |= {(str(currency), mic): table[currency].to_numpy() for currency in table.columns}
    return found


class _Market:
    """What is the same for all symbols of an exchange: the session to expect, and when its names last traded."""

    def __init__(
        self, own: Mapping[str, Own], instruments: Mapping[str, Instrument], as_of: date, now: datetime
    ) -> None:
        self._as_of = as_of
        mics = {instruments[symbol].mic for symbol in own}
        self._expected = {mic: min(as_of, last_completed(mic, now)) for mic in mics}
        self._newest: dict[str, np.datetime64] = {}
        for symbol, each in own.items():
            name = calendar_of(instruments[symbol].mic)
            self._newest[name] = max(each.days[-1], self._newest.get(name, each.days[-1]))

    def state_of(self, instrument: Instrument, own: Own | None) -> SymbolState:
        """Say how one instrument stands on the as-of date."""
        name, reason, missed, suspended = self._judge(instrument, own)
        if own is None:
            return SymbolState(instrument.symbol, name, reason, None, None, missed, 0)
        first, last = (pd.Timestamp(own.days[at]).date() for at in (0, -1))
        return SymbolState(instrument.symbol, name, reason, first, last, missed, len(own), suspended)

    def _judge(self, instrument: Instrument, own: Own | None) -> tuple[str, str, int, bool]:
        if instrument.listed_from is not None and instrument.listed_from > self._as_of:
            return "not listed", f"listed from {instrument.listed_from}", 0, False
        if instrument.delisted_on is not None and instrument.delisted_on <= self._as_of:
            return "delisted", f"delisted on {instrument.delisted_on}", 0, False
        if own is None:
            return "missing", "no prices", 0, False
        mic, city = instrument.mic, city_of(instrument.mic)
        expected, last = self._expected[mic], pd.Timestamp(own.days[-1]).date()
        missed = _sessions_after(mic, last, expected)
        newest = min(expected, pd.Timestamp(self._newest[calendar_of(mic)]).date())
        traded = _last_trade(own)
        silent = _sessions_after(mic, traded, newest)
        if silent > SUSPENDED_AFTER and instrument.kind != "index":
            return (
                "stale",
                f"suspended: no trade since {traded}; {silent} {city} sessions without one",
                missed,
                True,
            )
        if missed:
            sessions = "session" if missed == 1 else "sessions"
            return (
                "stale",
                f"newest price is of {last}; {missed} {city} {sessions} missing since",
                missed,
                False,
            )
        if last < expected and expected > known_until(mic):
            return (
                "stale",
                f"calendar unknown: {city}'s holidays are known to {known_until(mic)} only; newest price is of {last}",
                0,
                False,
            )
        return "fresh", "", 0, False


def _sessions_after(mic: str, day: date, until: date) -> int:
    """Return how many known sessions came after a date, up to another."""
    return int((known_sessions(mic, day, until) > np.datetime64(day)).sum()) if until > day else 0


def _last_trade(own: Own) -> date:
    """Return the last session with volume, or with a bar where the source knows no volumes."""
    volume = own.values[-LONGEST_SILENCE:, VOLUME]
    traded = np.flatnonzero((volume > 0) | np.isnan(volume))
    if not len(traded) and not (own.values[:, VOLUME] > 0).any():
        return pd.Timestamp(own.days[-1]).date()
    at = len(own) - len(volume) + int(traded[-1]) if len(traded) else 0
    return pd.Timestamp(own.days[at]).date()


def _with_rate(
    state: SymbolState, rate: Floats | None, index: pd.DatetimeIndex, pair: tuple[str, str]
) -> SymbolState:
    """Return a symbol's state, corrected where its currency's rate is what is missing or old."""
    known = np.flatnonzero(np.isfinite(rate)) if rate is not None else np.array([], dtype=int)
    currency, base = pair
    if not len(known):
        return replace(state, state="missing", reason=f"no exchange rate from {currency} to {base}")
    if state.state in ("fresh", "stale") and known[-1] != len(index) - 1:
        trouble = f"no exchange rate from {currency} to {base} after {index[known[-1]].date()}"
        return replace(state, state="stale", reason=f"{state.reason}; {trouble}" if state.reason else trouble)
    return state
