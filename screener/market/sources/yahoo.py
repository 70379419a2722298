"""Prices from Yahoo through yfinance's own code path, one symbol at a time, through a session of ours.

yfinance reports most failures as "possibly delisted"; the session keeps what the server really answered, so
that each failure gets its true name. It also paces requests and shortens the half-minute waits that yfinance
asks for. Opening the source changes yfinance's process-wide settings: exceptions are raised, nothing is retried
behind our back, and its caches lie in the folder given.
"""

from __future__ import annotations

import json
import logging
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from curl_cffi import requests as curl

from screener.errors import SourceError, UserError
from screener.market.bars import Bars, bars_table
from screener.market.sessions import calendar_of
from screener.market.sources import PriceRequest, SourceSettings

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
COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "split",
}
SECONDS_BETWEEN_REQUESTS = 0.5
LONGEST_REQUEST = 15.0  # seconds; yfinance asks for 30 when it fetches a crumb
ATTEMPTS = {
    "rate limited": 4,
    "timed out": 3,
    "unreachable": 2,
}  # other outcomes will not change by asking again
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
BROKEN_AFTER = 5  # symbols in a row; then the service is down, not the symbol


def open_source(settings: SourceSettings) -> YahooSource:
    """Return Yahoo as a source; settings.base_url, a loopback address, stands in for it in tests."""
    if settings.base_url and urlsplit(settings.base_url).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise UserError(
            f"SCREENER_YAHOO_URL: {settings.base_url} is not on this machine; use http://127.0.0.1:PORT"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import yfinance
        from yfinance import cache

        if settings.cache is not None:
            settings.cache.mkdir(parents=True, exist_ok=True)
            yfinance.set_tz_cache_location(str(settings.cache))
        cache.get_cookie_cache()  # made here once, because two threads making it lock each other out
    yfinance.config.debug.hide_exceptions = False
    yfinance.config.network.retries = 0
    for noisy in ("yfinance", "bs4"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    return YahooSource(Session(settings.base_url))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server last said about a chart: status 0 when it said nothing."""

    status: int
    text: str
    retry_after: float | None


class Session(curl.Session):  # type: ignore[type-arg]
    """A browser-like session that paces itself and remembers the last chart answer."""

    def __init__(
        self,
        base_url: str = "",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """base_url, when given, receives every request in place of Yahoo's hosts, and nothing is paced."""
        super().__init__(impersonate="chrome")
        self.answer = Answer(0, "", None)
        self.sleep = sleep
        self._clock, self._base_url = clock, base_url
        self._next = 0.0

    def request(self, method: Any, url: Any, *arguments: Any, **options: Any) -> Any:
        """Send one request, in its turn."""
        asked = urlsplit(str(url))
        target = str(url)
        if self._base_url:
            target = self._base_url.rstrip("/") + asked.path + (f"?{asked.query}" if asked.query else "")
            options["headers"] = {**(options.get("headers") or {}), "X-Standin-Host": asked.hostname or ""}
        else:
            self._wait_for_turn()
        options["timeout"] = min(float(options.get("timeout") or LONGEST_REQUEST), LONGEST_REQUEST)
        is_chart = "/finance/chart/" in asked.path
        if is_chart:
            self.answer = Answer(0, "", None)
        response = super().request(method, target, *arguments, **options)
        if is_chart:
            self.answer = Answer(
                response.status_code, response.text, _seconds(response.headers.get("Retry-After"))
            )
        if self._base_url:
            response.url = str(url)
        return response

    def _wait_for_turn(self) -> None:
        now = self._clock()
        if now < self._next:
            self.sleep(self._next - now)
        self._next = max(now, self._next) + SECONDS_BETWEEN_REQUESTS


class YahooSource:
    """Yahoo's daily bars. Splits are applied by Yahoo, dividends are not; quotes may be in pence."""

    identity = "yahoo"
    synthetic = False

    def __init__(self, session: Session) -> None:
        """Use a session; it carries the pace and the address."""
        self._session = session
        self._jitter = random.Random(0)
        self._failures = 0

    def version(self, request: PriceRequest) -> str:
        """Return "": Yahoo does not say when it restates."""
        return ""

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the symbol's bars, asking again after a growing wait where that may help."""
        if self._failures >= BROKEN_AFTER:
            message = f"not asked, because {BROKEN_AFTER} symbols in a row failed before it"
            raise SourceError("unreachable", message)
        attempt = 1
        while True:
            try:
                bars = self._fetch_once(request, now)
            except SourceError as error:
                if attempt < ATTEMPTS.get(error.outcome, 1):
                    self._session.sleep(self._wait(attempt))
                    attempt += 1
                    continue
                self._failures += error.outcome in ATTEMPTS
                if error.outcome not in ATTEMPTS:
                    self._failures = 0
                raise
            self._failures = 0
            return bars

    def _wait(self, attempt: int) -> float:
        """Return how long to wait: what the server asks for, else a random share of a doubling span."""
        asked = self._session.answer.retry_after
        if asked is not None:
            return min(asked, LONGEST_WAIT)
        return self._jitter.uniform(0.0, min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT))

    def _fetch_once(self, request: PriceRequest, now: datetime) -> Bars:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # yfinance 1.7 on pandas 3.1
            import yfinance
            from yfinance.data import YfData

            # the process-wide cache of answers keeps errors too, so that asking again would not ask
            YfData.cache_get.cache_clear()
            ticker = yfinance.Ticker(request.symbol, session=self._session)
            ticker._tz = (
                "Europe/London" if request.mic == "" else ZONES[calendar_of(request.mic)]
            )  # saves a request
            try:
                # no end: a past one would go through that cache; later rows are cut below
                served = ticker.history(
                    start=request.start.isoformat(),
                    interval="1d",
                    auto_adjust=False,
                    actions=True,
                    keepna=True,
                )
                currency = str(ticker.history_metadata.get("currency") or request.currency)
            except Exception as error:
                raise _named(error, self._session.answer) from error
        table = _as_table(served)
        span = table[
            (table.index >= pd.Timestamp(request.start)) & (table.index <= pd.Timestamp(request.end))
        ]
        if not len(span):
            raise SourceError("no data", f"Yahoo has no bar from {request.start} to {request.end}")
        return Bars(request.symbol, span, currency, "yahoo", now)


def _as_table(served: pd.DataFrame) -> pd.DataFrame:
    """Return yfinance's frame as the table Bars wants.

    A dividend or split on a row without a price moves to the next row with one, where a holder sees it.
    """
    table = served.rename(columns=COLUMNS)
    if "Capital Gains" in table:
        table["dividend"] = table["dividend"] + table["Capital Gains"].fillna(0.0)
    table = table.reindex(columns=list(COLUMNS.values())).astype(float)
    if not (table["volume"] > 0).any():
        table["volume"] = float("nan")  # yfinance writes 0 where Yahoo has none, as for currencies
    priced = table["close"].notna()
    following = priced[::-1].cumsum()[
        ::-1
    ]  # the same number for a priced row and the unpriced ones before it
    table["dividend"] = table["dividend"].fillna(0.0).groupby(following).transform("sum").where(priced, 0.0)
    table["split"] = (
        table["split"].replace(0.0, 1.0).fillna(1.0).groupby(following).transform("prod").where(priced, 1.0)
    )
    index = pd.DatetimeIndex(table.index).tz_localize(None).normalize()
    table = table.set_axis(index)
    return bars_table(table[~index.duplicated(keep="last")])


def _named(error: Exception, answer: Answer) -> SourceError:
    """Return what really happened, from the exception and what the server said."""
    kind = type(error).__name__
    if isinstance(error, curl.exceptions.Timeout):
        return SourceError("timed out", f"no answer within {LONGEST_REQUEST:g} seconds")
    if kind == "YFRateLimitError" or answer.status == 429:
        return SourceError("rate limited", "Yahoo answered 429, too many requests")
    if isinstance(error, curl.exceptions.RequestException) and answer.status == 0:
        return SourceError("unreachable", f"no connection to Yahoo ({kind})")
    if answer.status == 404:
        return SourceError("no such symbol", "Yahoo knows no such symbol")
    if answer.status >= 400:
        return SourceError("unreachable", f"Yahoo answered {answer.status}")
    return _what_it_said(answer)


def _what_it_said(answer: Answer) -> SourceError:
    """Judge an answer with status 200 that yfinance could not use."""
    if answer.text.lstrip().startswith("<"):
        return SourceError("unreachable", "Yahoo answered with a web page instead of prices")
    try:
        chart = json.loads(answer.text)["chart"]
        results = chart.get("result") or []
    except (ValueError, KeyError, TypeError, AttributeError):
        return SourceError("malformed", "Yahoo's answer is cut off or not in its usual form")
    if not results:
        return SourceError("no such symbol", "Yahoo knows no such symbol")
    if not (isinstance(results[0], dict) and results[0].get("timestamp")):
        return SourceError("no data", "Yahoo has no bar in that span")
    return SourceError("malformed", "Yahoo's answer lacks fields that every chart has")


def _seconds(header: str | None) -> float | None:
    """Read a Retry-After header given in seconds; a date is treated as absent."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None
