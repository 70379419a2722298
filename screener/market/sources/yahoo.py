"""Prices from Yahoo through yfinance: one symbol at a time, politely, and each failure by its true name.

yfinance 1.7 says "possibly delisted" for nearly everything that can go wrong, so the session it works through
(yahoo_session.py) remembers what the service really answered and `_judge` reads that. Rows come as served:
prices adjusted for splits by Yahoo, dividends apart. Whether the last row is complete, the store decides.

For tests and demonstrations SourceSettings.base_url puts a server on this machine in the service's place; the
command line takes it from the environment variable SCREENER_YAHOO_URL. No other address is accepted.
"""

from __future__ import annotations

import json
import logging
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from screener.errors import SourceError, UserError
from screener.market.bars import Bars, as_sessions, bars_table
from screener.market.currency import major_unit
from screener.market.sessions import CALENDARS
from screener.market.sources import PriceRequest, PriceSource, SourceSettings
from screener.market.sources.rows import carry_events

if TYPE_CHECKING:
    from screener.market.sources.yahoo_session import Answer, RecordingSession

COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Dividends": "dividend",  # holds a fund's distributed capital gains too
    "Stock Splits": "split",
}
# The exchange's zone, told to yfinance, saves it a request per symbol. A currency's day is London's.
ZONES = {
    "XNYS": "America/New_York",
    "XTKS": "Asia/Tokyo",
    "XASX": "Australia/Sydney",
    "XSHG": "Asia/Shanghai",
    "XHKG": "Asia/Hong_Kong",
    "XTSE": "America/Toronto",
    "XLON": "Europe/London",
    "XBRU": "Europe/Brussels",
    "XPAR": "Europe/Paris",
    "XETR": "Europe/Berlin",
    "XSWX": "Europe/Zurich",
}
STATED = {  # our name → yfinance's key in Ticker.info
    "market_cap": "marketCap",
    "ev_to_sales": "enterpriseToRevenue",
    "price_to_book": "priceToBook",
    "cash": "totalCash",
    "debt": "totalDebt",
    "free_cash_flow": "freeCashflow",
}
OUTAGES = ("rate limited", "timed out", "unreachable")  # these speak of the service, not of the symbol


@dataclass(frozen=True, slots=True)
class Manners:
    """How hard the service is asked, and for how long."""

    interval: float = 0.5  # seconds from request to request
    chart_seconds: float = 15.0  # for one answer
    attempts: int = 4  # when rate limited or answered by something broken
    first_pause: float = 2.0  # seconds; doubles with each attempt, and the wait is drawn at random below it
    longest_pause: float = 60.0
    outage: int = 5  # symbols failing in a row, after which the others are not asked


@dataclass(frozen=True, slots=True)
class Waiting:
    """The clock, the sleep and the chance in the waiting, so that tests wait for nothing."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.SystemRandom().random


class _Miss(SourceError):
    """A failed attempt, and how many attempts such a failure deserves."""

    def __init__(self, outcome: str, message: str, attempts: int = 1) -> None:
        super().__init__(outcome, message)
        self.attempts = attempts


def open_source(settings: SourceSettings) -> PriceSource:
    """Open Yahoo; nothing is asked yet. Raises UserError when base_url is not on this machine."""
    stand_in = _on_this_machine(settings.base_url)
    # Manners are for the service; a server of our own need not be spared.
    return YahooSource(stand_in, Manners(interval=0) if stand_in else Manners())


class YahooSource:
    """Yahoo, or what stands in for it, as a PriceSource."""

    synthetic = False

    def __init__(
        self, stand_in: str = "", manners: Manners | None = None, waiting: Waiting | None = None
    ) -> None:
        """`stand_in` is "" for the real service, else "http://127.0.0.1:PORT"."""
        # Rows of a stand-in must not mix with real ones in the store.
        self.identity = f"yahoo:{stand_in.removeprefix('http://')}" if stand_in else "yahoo"
        self._stand_in = stand_in
        self._manners = manners or Manners()
        self._waiting = waiting or Waiting()
        self._session: RecordingSession | None = None
        self._caches = (_Memory(), _Cookies())
        self._failed_in_a_row = 0
        self._outage: SourceError | None = None

    def version(self, request: PriceRequest) -> str:
        """Return "": Yahoo does not say whether anything changed."""
        return ""

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the bars Yahoo serves for the request. Raises SourceError; see PriceSource."""
        if self._outage is not None:
            count = self._failed_in_a_row
            symbols = f"{count} symbols in a row" if count > 1 else "a symbol"
            raise SourceError(self._outage.outcome, f"not asked after {symbols} failed: {self._outage}")
        try:
            served, currency = self._ask_patiently(request)
        except SourceError as failure:
            self._count(failure)
            raise
        self._failed_in_a_row = 0
        return Bars(
            symbol=request.symbol,
            table=_table(served, request),
            currency=currency or request.currency,
            source=self.identity,
            fetched_at=now,
        )

    def fundamentals(self, symbol: str) -> tuple[dict[str, float], str, str]:
        """Return what Yahoo states of a company today: values, currency of the accounts, currency of quotes.

        Raises SourceError when it states nothing that can be read.
        """
        session = self._connect()
        with _yfinance_our_way(*self._caches) as yf:
            try:
                stated = dict(yf.Ticker(symbol, session=session).info or {})
            except Exception as error:  # yfinance lets anything out here too
                raise SourceError("no data", f"Yahoo states no fundamentals of {symbol}: {error}") from error
        values = {
            name: float(stated[key])
            for name, key in STATED.items()
            if isinstance(stated.get(key), int | float) and np.isfinite(stated[key])
        }
        if not values:
            raise SourceError("no data", f"Yahoo states no fundamentals of {symbol}")
        quotes = str(stated.get("currency") or "")
        return values, str(stated.get("financialCurrency") or quotes), quotes

    def _count(self, failure: SourceError) -> None:
        """Remember how many symbols in a row met an outage, and stop asking when it is enough."""
        self._failed_in_a_row = self._failed_in_a_row + 1 if failure.outcome in OUTAGES else 0
        resting = self._session is not None and self._session.resting
        if resting or self._failed_in_a_row >= self._manners.outage:
            self._outage = failure

    def _ask_patiently(self, request: PriceRequest) -> tuple[pd.DataFrame, str]:
        """Ask, and ask again after a random, growing pause while the failure may pass."""
        pause = self._manners.first_pause
        attempt = 1
        while True:
            try:
                return self._ask(request)
            except _Miss as miss:
                resting = self._session is not None and self._session.resting
                if resting or attempt >= min(miss.attempts, self._manners.attempts):
                    tried = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise SourceError(miss.outcome, f"{miss}{tried}") from miss.__cause__
            # Full jitter (Brooker 2015); the session adds what Retry-After asks for.
            self._waiting.sleep(self._waiting.chance() * min(pause, self._manners.longest_pause))
            pause *= 2
            attempt += 1

    def _ask(self, request: PriceRequest) -> tuple[pd.DataFrame, str]:
        """Return yfinance's frame and the quote currency. Raises _Miss for whatever goes wrong."""
        session = self._connect()
        session.chart = None
        with _yfinance_our_way(*self._caches) as yf:
            try:
                ticker = yf.Ticker(request.symbol, session=session)
                ticker._tz = _zone(request.mic)
                # A past `end` would send answers, failures included, through a cache of yfinance's.
                served: pd.DataFrame = ticker.history(
                    start=request.start,
                    end=None,
                    interval="1d",
                    auto_adjust=False,
                    actions=True,
                    keepna=True,
                    repair=False,
                )
                currency = str(ticker.history_metadata["currency"] or "")
            except Exception as error:  # yfinance lets anything out: KeyError, TypeError, its own, curl's
                raise _judge(request, session.chart, error) from error
        served.index = as_sessions(served.index)
        _dividends_in_quote_unit(served, session.chart, currency)
        return served, currency

    def _connect(self) -> RecordingSession:
        if self._session is None:
            from screener.market.sources.yahoo_session import Pace, RecordingSession

            pace = Pace(self._manners.interval, self._waiting.clock, self._waiting.sleep)
            self._session = RecordingSession(pace, self._manners.chart_seconds, self._stand_in)
        return self._session


def _on_this_machine(base_url: str) -> str:
    """Return a stand-in's address as http://ADDRESS:PORT, or "" for none. Raises UserError for any other."""
    if not base_url:
        return ""
    try:
        parts = urlsplit(base_url)
        address = ip_address("127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "")
        port = parts.port or 80
        plain = parts.scheme == "http" and parts.username is None and parts.path in ("", "/")
    except ValueError:
        plain = False
    if not plain or not address.is_loopback or parts.query or parts.fragment:
        raise UserError(
            f"SCREENER_YAHOO_URL: {base_url!r} is not a server on this machine; "
            "what stands in for Yahoo must be at http://127.0.0.1:PORT"
        )
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def _zone(mic: str) -> str | None:
    """Return the zone a market's sessions are dated in, None where yfinance has to ask."""
    return "Europe/London" if mic == "" else ZONES.get(CALENDARS.get(mic, ""))


# What the service answered, and what that means


def _judge(request: PriceRequest, answer: Answer | None, error: Exception) -> _Miss:
    """Return the failure an exception of yfinance stands for, read from what the service answered."""
    from curl_cffi.requests.exceptions import RequestException

    if answer is None and isinstance(error, RequestException):
        return _Miss("unreachable", _reason(error), attempts=2)
    if answer is not None and answer.error is not None:
        if "Operation timed out" in str(answer.error):
            return _Miss("timed out", f"{answer.host} was reached and did not finish its answer", attempts=3)
        return _Miss("unreachable", _reason(answer.error), attempts=2)
    if answer is None:
        return _Miss("malformed", f"yfinance failed before asking for prices: {error!r}")
    if answer.status == 429:
        wait = "" if answer.retry_after is None else f", wait {answer.retry_after:.0f} s"
        return _Miss(
            "rate limited", f"{answer.host} answered: too many requests (HTTP 429{wait})", attempts=4
        )
    chart = _chart(answer.text)
    if answer.status in (401, 403) or answer.status >= 500 or (chart is None and answer.status != 200):
        return _Miss(
            "unreachable", f"{answer.host} answered HTTP {answer.status} instead of prices", attempts=4
        )
    if chart is None:
        if answer.text.lstrip().startswith("<") or "Will be right back" in answer.text:
            return _Miss(
                "unreachable", f"{answer.host} answered with a web page instead of prices", attempts=4
            )
        return _Miss("malformed", f"the answer breaks off or is no JSON ({len(answer.text)} characters)", 2)
    return _judge_chart(request, answer.status, chart, error)


def _judge_chart(request: PriceRequest, status: int, chart: dict[str, Any], error: Exception) -> _Miss:
    """Return the failure told by a readable answer of the chart service."""
    said = (chart.get("error") or {}).get("description") or ""
    if status in (400, 422):
        return _Miss("no data", f"Yahoo has no rows since {request.start}" + (f": {said}" if said else ""))
    results = chart.get("result")
    if not results:
        return _Miss("no such symbol", said or f"Yahoo knows no {request.symbol}")
    quotes = (results[0].get("indicators") or {}).get("quote") or [{}]
    if not results[0].get("timestamp") and not any(quotes[0].values()):
        return _Miss("no data", f"Yahoo has no rows since {request.start}")
    lacking = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read: {error!r}"
    return _Miss("malformed", f"the answer {lacking}", 2)


def _chart(text: str) -> dict[str, Any] | None:
    """Return the "chart" of an answer, or None if it is not the chart service speaking."""
    try:
        chart = json.loads(text)["chart"]
    except (ValueError, KeyError, TypeError):
        return None
    return chart if isinstance(chart, dict) else None


def _reason(error: Exception) -> str:
    """Return curl's own words: "Could not resolve host: query2.finance.yahoo.com"."""
    words = str(error).removeprefix("Failed to perform, curl: ").split(". See https")[0]
    return words.split(") ", 1)[-1] if words.startswith("(") else words


# From yfinance's frame to ours


def _table(served: pd.DataFrame, request: PriceRequest) -> pd.DataFrame:
    """Return the table of Bars: rows with a close, from request.start to request.end."""
    table = served.rename(columns=COLUMNS)[list(COLUMNS.values())].astype(float)
    table = table.replace([np.inf, -np.inf], np.nan)
    table["split"] = table["split"].replace(0.0, 1.0)
    # yfinance turns an unknown volume into 0. Currencies have none, nor have rows without a range.
    unknown = table["volume"].eq(0) & (table["open"].isna() if request.mic else True)
    table["volume"] = table["volume"].mask(unknown)
    table = bars_table(carry_events(table))
    table = table.loc[pd.Timestamp(request.start) : pd.Timestamp(request.end)]
    if table.empty:
        raise SourceError("no data", f"Yahoo has no rows from {request.start} to {request.end}")
    return table


def _dividends_in_quote_unit(served: pd.DataFrame, answer: Answer | None, currency: str) -> None:
    """Turn dividends that Yahoo states in pounds into pence where the price is in pence, and so on.

    Raises _Miss for a dividend in quite another currency: yfinance would take it for the price's.
    """
    chart = _chart(answer.text) if answer is not None and answer.text.count('"currency"') > 1 else None
    if chart is None:
        return
    result = chart["result"][0]
    for event in (result.get("events") or {}).get("dividends", {}).values():
        unit = event.get("currency") or currency
        if unit == currency:
            continue
        paid, quoted = major_unit(unit), major_unit(currency)
        moment = pd.Timestamp(event["date"], unit="s", tz="UTC")
        session = moment.tz_convert(result["meta"]["exchangeTimezoneName"]).tz_localize(None).normalize()
        if paid[0] != quoted[0]:
            raise _Miss(
                "malformed", f"the dividend of {session.date()} is in {unit}, the price in {currency}"
            )
        if session in served.index:
            served.loc[session, "Dividends"] = event["amount"] * paid[1] / quoted[1]


# yfinance, set up for the time of one call


class _Memory:
    """A cache of yfinance's that lives no longer than the source, instead of a file it would write."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def store(self, key: str, value: Any) -> None:
        self._kept[key] = value

    def lookup(self, key: str) -> Any:
        return self._kept.get(key)


class _Cookies(_Memory):
    """The same for cookies, which yfinance looks up with their age. Without one it asks for one each time."""

    def lookup(self, key: str) -> Any:
        cookie = super().lookup(key)
        return None if cookie is None else {"cookie": cookie}


@contextmanager
def _yfinance_our_way(zones: _Memory, cookies: _Cookies) -> Iterator[Any]:
    """Give yfinance with true exceptions, no retries of its own, no files and no noise; then put all back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # yfinance 1.7 warns of pandas 3.1 at every call
        import yfinance as yf
        from yfinance import cache

        warnings.simplefilter("ignore")  # again: importing it puts a filter of its own in front
        logs = [logging.getLogger(name) for name in ("yfinance", "bs4")]
        levels = [log.level for log in logs]
        hide, retries = yf.config.debug.hide_exceptions, yf.config.network.retries
        kept = cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache
        for log in logs:
            log.setLevel(logging.CRITICAL + 1)
        yf.config.debug.hide_exceptions, yf.config.network.retries = False, 0
        cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache = zones, cookies
        try:
            yield yf
        finally:
            cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache = kept
            yf.config.debug.hide_exceptions, yf.config.network.retries = hide, retries
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)
