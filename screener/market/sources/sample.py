"""The sample market: deterministic SYNTHETIC prices for every instrument of a universe.

    log return of a name over its session
        = β·(global news since its last close) + its segment's factor + its own factor, in US dollars,
          less the change of its quote currency

The global factor of a date falls in three parts, in Asian, European and American hours. An instrument collects
the parts since its own last close, so Tokyo lags New York as in life. Every shock is Student-t with 5 degrees
of freedom times a volatility that clusters (a log-autoregression; Taylor 1986), drawn for each weekday from a
fixed first date on, so that asking for other dates or other symbols never changes a number. Seeds come from
SHA-256; prices are rounded to their tick, which removes what machines might differ in.

Planted on purpose: a split, dividends, a suspension and bad bars, which the quality checks should catch.
Late listings and delistings are those of the universe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import SourceError
from screener.market.bars import COLUMNS, Bars, as_sessions
from screener.market.currency import PAIRS, major_unit
from screener.market.sessions import calendar_of, sessions_between
from screener.market.sources import PriceRequest, SourceSettings
from screener.universe.model import Instrument

Floats = npt.NDArray[np.float64]
RECIPE = 1
FIRST, LAST = date(2012, 1, 2), date(2030, 12, 31)
FREEDOM = 5
# where in the day's three parts of global news each exchange closes: it has heard so many of them
PARTS_HEARD = {"XTKS": 1, "XASX": 1, "XSHG": 1, "XHKG": 1, "XNYS": 3, "XTSE": 3}  # Europe, and the rest: 2
PART_SHARES = np.sqrt(np.array([0.30, 0.25, 0.45]))  # of the variance of a day's news
GLOBAL_VOLATILITY, SEGMENT_VOLATILITY = 0.15, 0.16  # annualised
DRIFT = 0.06  # a year
RATES = {
    "JPY": 112.0,
    "AUD": 0.95,
    "EUR": 1.25,
    "GBP": 1.45,
    "CNY": 6.4,
    "CAD": 1.08,
    "HKD": 7.80,
    "CHF": 0.94,
}
RATE_VOLATILITY = {"CNY": 0.04, "HKD": 0.004}  # the others 0.09
WIDE = {
    "SPY": (1.0, 0.02),
    "ACWI": (1.0, 0.02),
    "1306.T": (0.95, 0.05),
    "^N225": (1.05, 0.05),
}  # β, own volatility
SECTOR = {"REMX": "mining", "SETM": "mining", "PICK": "mining", "SOXX": "ai_chips"}  # a fund's segment
SPLIT_SYMBOL, SPLIT_ON, SPLIT_RATIO = "NVDA", date(2024, 6, 10), 10.0
SUSPENDED, SUSPENDED_FROM, SUSPENDED_SESSIONS = "600111.SS", date(2024, 3, 4), 15


def open_source(settings: SourceSettings) -> SampleSource:
    """Return the sample market of a universe."""
    return SampleSource(settings.universe.everything(), settings.seed)


class SampleSource:
    """A market that never was. Everything made from it must say so."""

    synthetic = True

    def __init__(self, instruments: dict[str, Instrument], seed: int) -> None:
        """Generate for these instruments and every currency pair; the same seed gives the same market."""
        self.identity = f"sample:{seed}"
        self._seed = seed
        self._instruments = instruments
        self._pairs = {pair.symbol: currency for currency, pair in PAIRS.items()}

    def version(self, request: PriceRequest) -> str:
        """Return the recipe and what the symbol's path depends on."""
        return f"recipe-{RECIPE}:{self._seed}:{self._instruments.get(request.symbol)!r}"

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the synthetic bars of one symbol."""
        if request.symbol in self._pairs:
            table, currency = self._pair_table(self._pairs[request.symbol]), self._pairs[request.symbol]
        elif request.symbol in self._instruments:
            instrument = self._instruments[request.symbol]
            table, currency = self._instrument_table(instrument), instrument.currency
        else:
            raise SourceError("no such symbol", f"the sample market has no {request.symbol}")
        span = table[
            (table.index >= pd.Timestamp(request.start)) & (table.index <= pd.Timestamp(request.end))
        ]
        if not len(span):
            raise SourceError("no data", f"nothing from {request.start} to {request.end}")
        return Bars(request.symbol, span, currency, self.identity, now, synthetic=True)

    @cached_property
    def _days(self) -> pd.DatetimeIndex:
        return as_sessions(pd.bdate_range(FIRST, LAST))

    @cached_property
    def _global_parts(self) -> Floats:
        """The global factor's cumulative log level after each part of each weekday, T × 3."""
        steps = self._shocks("global", 3) * PART_SHARES * GLOBAL_VOLATILITY / np.sqrt(252)
        return np.cumsum(steps.ravel()).reshape(-1, 3)

    def _random(self, *words: object) -> np.random.Generator:
        text = ":".join(map(str, (RECIPE, self._seed, *words)))
        return np.random.Generator(
            np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))
        )

    def _shocks(self, name: str, columns: int = 1) -> Floats:
        """Return T × columns shocks of unit variance, fat-tailed and clustered, one row a weekday."""
        random = self._random("shocks", name)
        days = len(self._days)
        raw = random.standard_t(FREEDOM, (days, columns)) * np.sqrt((FREEDOM - 2) / FREEDOM)
        return np.asarray(raw * self._clustering(random, days)[:, None])

    @staticmethod
    def _clustering(random: np.random.Generator, days: int) -> Floats:
        """Return T volatilities around 1: log σ² follows an autoregression that forgets over about 50 days."""
        from scipy.signal import lfilter

        memory, size = 0.98, 0.45
        steps = random.standard_normal(days) * size * np.sqrt(1 - memory**2)
        steps[0] /= np.sqrt(1 - memory**2)
        log_variance = lfilter([1.0], [1.0, -memory], steps) * 2
        scaled: Floats = np.exp((log_variance - 2 * size**2) / 2)
        return scaled

    def _factor(self, name: str) -> Floats:
        """Return T cumulative log levels of a segment's or name's own factor, in units of one day's volatility."""
        return self._remember(f"factor {name}", lambda: np.cumsum(self._shocks(name)[:, 0] / np.sqrt(252)))

    def _rate(self, currency: str) -> Floats:
        """Return T log values of one major unit in US dollars."""
        if currency == "USD":
            return np.zeros(len(self._days))
        start = RATES[currency] if PAIRS[currency].usd_per_unit else 1.0 / RATES[currency]
        volatility = RATE_VOLATILITY.get(currency, 0.09)

        def walk() -> Floats:
            from scipy.signal import lfilter

            # pulled back to its start, over about four years, over weeks for the pegged dollar of Hong Kong
            memory = 0.98 if currency == "HKD" else 0.999
            steps = self._shocks(f"rate {currency}")[:, 0] * volatility / np.sqrt(252)
            path: Floats = np.log(start) + lfilter([1.0], [1.0, -memory], steps)
            return path

        return self._remember(f"rate {currency}", walk)

    def _remember(self, key: str, make: Callable[[], Floats]) -> Floats:
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    @cached_property
    def _memory(self) -> dict[str, Floats]:
        return {}

    def _pair_table(self, currency: str) -> pd.DataFrame:
        log_rate = self._rate(currency)
        close = np.exp(log_rate if PAIRS[currency].usd_per_unit else -log_rate).round(5)
        table = pd.DataFrame({"open": close, "high": close, "low": close, "close": close}, index=self._days)
        table["volume"] = np.nan
        table["dividend"], table["split"] = 0.0, 1.0
        return table[list(COLUMNS)]

    def _log_level(self, each: Instrument, rows: npt.NDArray[np.intp]) -> Floats:
        """Return the log price in quote currency at each of the instrument's own closes."""
        character = self._random("character", each.symbol)
        beta, own_volatility = character.uniform(0.7, 1.3), character.uniform(0.18, 0.42)
        if each.segment in ("exploration", "extraction_tech"):
            own_volatility += 0.15
        beta, own_volatility = WIDE.get(each.symbol, (beta, own_volatility))
        segment = SECTOR.get(each.symbol, each.segment)
        segment_share = 0.0 if each.symbol in WIDE else SEGMENT_VOLATILITY
        own_volatility = 0.05 if each.symbol in SECTOR else own_volatility
        heard = PARTS_HEARD.get(calendar_of(each.mic), 2)
        drift = DRIFT + character.normal(0.0, 0.05)
        if each.terminal_value == 0.0:
            drift -= 0.9  # it went under
        dollars = (
            beta * self._global_parts[rows, heard - 1]
            + segment_share * self._factor(f"segment {segment}")[rows]
            + own_volatility * self._factor(f"own {each.symbol}")[rows]
            + drift / 252 * rows
        )
        currency, _ = major_unit(each.currency)
        # a company's value does not follow its currency one for one
        return np.asarray(dollars - 0.5 * (self._rate(currency)[rows] - self._rate(currency)[0]))

    def _instrument_table(self, each: Instrument) -> pd.DataFrame:
        first = max(each.listed_from or FIRST, FIRST)
        sessions = sessions_between(each.mic, first, LAST)
        if each.delisted_on is not None:
            sessions = sessions[sessions < pd.Timestamp(each.delisted_on)]
        rows = self._days.get_indexer(sessions)
        sessions, rows = sessions[rows >= 0], rows[rows >= 0]
        if not len(sessions):
            return pd.DataFrame(columns=list(COLUMNS), index=as_sessions([]), dtype=float)
        log_level = self._log_level(each, rows)
        table = self._bars(each, sessions, log_level - log_level[0])
        table = _suspended(each.symbol, table)
        return _with_bad_bars(each.symbol, table)

    def _bars(self, each: Instrument, sessions: pd.DatetimeIndex, log_growth: Floats) -> pd.DataFrame:
        """Return open, high, low, close, volume and dividends around a path of closes."""
        random = self._random("bars", each.symbol)
        start, tick = _start_and_tick(each.currency, random)
        count = len(self._days)  # drawn for every weekday, so that listing dates move nothing
        noise = random.standard_normal((count, 4))[: len(sessions)]
        close = start * np.exp(log_growth)
        daily = np.abs(np.diff(np.log(close), prepend=np.log(close[0]))) + 0.006
        opened = np.r_[close[0], close[:-1]] * np.exp(0.4 * daily * noise[:, 0])
        high = np.maximum(opened, close) * np.exp(0.5 * daily * np.abs(noise[:, 1]))
        low = np.minimum(opened, close) * np.exp(-0.5 * daily * np.abs(noise[:, 2]))
        typical = np.exp(random.uniform(np.log(2e6), np.log(4e8))) / (
            start * _dollars_per_unit(each.currency)
        )
        volume = np.round(typical * np.exp(0.35 * noise[:, 3] + 8.0 * daily) / 100) * 100
        prices = np.maximum(np.round(np.column_stack([opened, high, low, close]) / tick), 1.0) * tick
        prices = prices.round(6)
        table = pd.DataFrame(prices, index=sessions, columns=["open", "high", "low", "close"])
        table["high"] = table[["open", "high", "low", "close"]].max(axis=1)
        table["low"] = table[["open", "high", "low", "close"]].min(axis=1)
        table["volume"] = volume
        table["dividend"] = _dividends(each, table["close"], random.uniform(0.0, 0.035), tick)
        table["split"] = 1.0
        split_day = pd.Timestamp(SPLIT_ON)
        if each.symbol == SPLIT_SYMBOL and split_day in table.index:
            # prices are served split-adjusted, as Yahoo serves them: only the event is recorded
            table.loc[split_day, "split"] = SPLIT_RATIO
        return table[list(COLUMNS)]


def _start_and_tick(currency: str, random: np.random.Generator) -> tuple[float, float]:
    """Return a first price and its tick that look natural in the quote currency."""
    if currency == "JPY":
        return float(random.uniform(600, 3500)), 0.1
    if currency == "GBp":
        return float(random.uniform(60, 600)), 0.01
    return float(random.uniform(8, 90)), 0.001


def _dollars_per_unit(currency: str) -> float:
    major, unit = major_unit(currency)
    if major == "USD":
        return unit
    return unit * (RATES[major] if PAIRS[major].usd_per_unit else 1.0 / RATES[major])


def _dividends(each: Instrument, close: pd.Series, annual_yield: float, tick: float) -> pd.Series:
    """Return dividends on the first session of their months: four a year in America, two elsewhere; often none."""
    none = pd.Series(0.0, index=close.index)
    if each.kind == "index" or each.purity in ("pure-play", "major") or annual_yield < 0.01:
        return none
    months = (2, 5, 8, 11) if each.currency == "USD" else (3, 9)
    index = pd.DatetimeIndex(close.index)
    first_of_month = np.r_[False, index.month[1:] != index.month[:-1]]
    paid = first_of_month & np.isin(index.month, months)
    amounts = np.round(close.shift(1) * annual_yield / len(months) / tick) * tick
    return none.where(~paid, amounts.round(6))


def _suspended(symbol: str, table: pd.DataFrame) -> pd.DataFrame:
    if symbol != SUSPENDED:
        return table
    start = int(table.index.searchsorted(pd.Timestamp(SUSPENDED_FROM)))
    return table.drop(table.index[start : start + SUSPENDED_SESSIONS])


def _with_bad_bars(symbol: str, table: pd.DataFrame) -> pd.DataFrame:
    """Plant the faults that vendors serve, at fixed dates of four symbols."""

    def at(day: str) -> pd.Timestamp | None:
        row = int(table.index.searchsorted(pd.Timestamp(day)))
        return pd.Timestamp(table.index[row]) if row < len(table) else None

    prices = ["open", "high", "low", "close"]
    if symbol == "RBW.L":  # three days in pounds instead of pence
        start = int(table.index.searchsorted(pd.Timestamp("2024-09-10")))
        table.iloc[start : start + 3, : len(prices)] = (
            table.iloc[start : start + 3, : len(prices)] / 100
        ).round(6)
    elif symbol == "UUUU" and (day := at("2025-02-11")) is not None:
        table.loc[day, ["high", "low"]] = table.loc[day, ["low", "high"]].to_numpy() * [0.95, 1.05]
    elif symbol == "ILU.AX" and (day := at("2024-11-05")) is not None:
        table.loc[day, prices] = -table.loc[day, prices]
    elif symbol == "COHR" and (day := at("2025-05-20")) is not None:
        table.loc[day, "close"] = round(float(table["high"][day]) * 1.06, 3)
    return table
