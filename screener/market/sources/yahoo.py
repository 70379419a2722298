"""Prices from Yahoo through yfinance: one symbol at a time, politely, and each failure by its true name.

yfinance 1.7 says "possibly delisted" for nearly everything that can go wrong, so the session it works through
(yahoo_session.py) remembers what the service really answered and `_judge` reads that. Rows come as served:
prices adjusted for splits by Yahoo, dividends apart. Whether the last row is complete, the store decides.

For tests and demonstrations SourceSettings.base_url puts a server on this machine in the service's place; the
command line takes it from the environment variable SCREENER_YAHOO_URL. No other address is accepted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from screener.errors import SourceError, UserError
from screener.market.bars import NAMES, Bars, as_sessions, bars_table
from screener.market.sessions import CALENDARS
from screener.market.sources import PriceRequest, PriceSource, SourceSettings
from screener.market.sources.rows import carry_events
from screener.market.sources.yahoo_answers import (
    Miss,
    check_zone,
    dividends_in_quote_unit,
    dropped_rows,
    judge,
    judge_statement,
    mend_order,
)
from screener.market.sources.yahoo_setup import Cache, Cookies, open_caches, yfinance_our_way

if TYPE_CHECKING:
    from screener.market.sources.yahoo_session import RecordingSession

COLUMNS = {  # in the order of Bars
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
    # requests in one run, cookies and repetitions included; the rest waits for the next run
    budget: int = 2000


@dataclass(frozen=True, slots=True)
class Waiting:
    """The clock, the sleep and the chance in the waiting, so that tests wait for nothing."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.SystemRandom().random


def open_source(settings: SourceSettings) -> PriceSource:
    """Open Yahoo; nothing is asked yet. Raises UserError when base_url is not on this machine."""
    stand_in = _on_this_machine(settings.base_url)
    # Manners are for the service; a server of our own need not be spared.
    manners = Manners(interval=0) if stand_in else Manners()
    if settings.budget is not None:
        manners = replace(manners, budget=settings.budget)
    return YahooSource(stand_in, manners, cache=settings.cache)


class YahooSource:
    """Yahoo, or what stands in for it, as a PriceSource."""

    synthetic = False

    def __init__(
        self,
        stand_in: str = "",
        manners: Manners | None = None,
        waiting: Waiting | None = None,
        cache: Path | None = None,
    ) -> None:
        """`stand_in` is "" for the real service, else "http://127.0.0.1:PORT"; `cache` a folder for yfinance's."""
        # Rows of a stand-in must not mix with real ones in the store.
        self.identity = f"yahoo:{stand_in.removeprefix('http://')}" if stand_in else "yahoo"
        self._stand_in = stand_in
        self._manners = manners or Manners()
        self._waiting = waiting or Waiting()
        self._session: RecordingSession | None = None
        # neither must cookies of a stand-in reach the real service
        self._cache = None if cache is None else cache / self.identity.replace(":", "-")
        self._caches: tuple[Cache, Cookies] | None = None
        self._failed_in_a_row = 0
        self._outage: SourceError | None = None

    def version(self, request: PriceRequest) -> str:
        """Return "": Yahoo does not say whether anything changed."""
        return ""

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the bars Yahoo serves for the request. Raises SourceError; see PriceSource."""
        self._refuse_when_out()
        try:
            served, currency = self._ask_patiently(request)
        except SourceError as failure:
            self._count(failure)
            raise
        self._failed_in_a_row = 0
        dropped = dropped_rows(served)
        disorder = mend_order(served, self._connect().chart, _zone(request.mic))
        return Bars(
            symbol=request.symbol,
            table=_table(served, request),
            currency=currency or request.currency,
            source=self.identity,
            fetched_at=now,
            adjusted=_adjusted(served, request, self._session),
            notes=(*dropped, *disorder),
        )

    def expect(self, requests: Sequence[PriceRequest]) -> None:
        """Say what will be fetched, in this order, so that a request can be under way while an answer is read."""
        self._connect().coming = {
            each.symbol: following.symbol
            for each, following in pairwise(requests)
            if (_zone(each.mic), each.start) == (_zone(following.mic), following.start) and _zone(each.mic)
        }

    def fundamentals(self, symbol: str) -> tuple[dict[str, float], str, str]:
        """Return what Yahoo states of a company today: values, currency of the accounts, currency of quotes.

        Raises SourceError when it states nothing that can be read; after an outage nothing more is asked.
        """
        stated = self._stated(symbol, "info")
        values = {
            name: float(stated[key])
            for name, key in STATED.items()
            if isinstance(stated.get(key), int | float) and np.isfinite(stated[key])
        }
        if not values:
            raise SourceError("no data", f"Yahoo states no fundamentals of {symbol}")
        quotes = str(stated.get("currency") or "")
        return values, str(stated.get("financialCurrency") or quotes), quotes

    def earnings(self, symbol: str) -> tuple[date, ...]:
        """Return the dates on which a company is to publish its next results; two of them are a range.

        yfinance turns Yahoo's instants into dates by the time zone of this machine. Raises SourceError as
        `fundamentals` does.
        """
        found = self._stated(symbol, "calendar").get("Earnings Date") or ()
        return tuple(each for each in found if isinstance(each, date))

    def _stated(self, symbol: str, what: str) -> dict[str, Any]:
        """Return an attribute of yfinance's Ticker that is a statement of today."""
        self._refuse_when_out()
        session = self._connect()
        with yfinance_our_way(*self._yfinance_caches()) as yf:
            try:
                stated = dict(getattr(yf.Ticker(symbol, session=session), what) or {})
            except Exception as error:  # yfinance lets anything out here too
                failure = judge_statement(symbol, error)
                self._count(failure)
                raise failure from error
        self._failed_in_a_row = 0
        return stated

    @property
    def service_time(self) -> datetime | None:
        """Return what the service's own clock showed (UTC) with its newest answer, None before the first."""
        return None if self._session is None else self._session.service_time

    def _refuse_when_out(self) -> None:
        """Raise SourceError when the service is out or the budget of this run is spent."""
        if self._outage is not None:
            count = self._failed_in_a_row
            symbols = f"{count} symbols in a row" if count > 1 else "a symbol"
            raise SourceError(self._outage.outcome, f"not asked after {symbols} failed: {self._outage}")
        if self._session is not None and self._session.requests >= self._manners.budget:
            budget = f"the {self._manners.budget} requests of this run are spent"
            raise SourceError("rate limited", f"not asked: {budget}; run again to go on")

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
            except Miss as miss:
                resting = self._session is not None and self._session.resting
                if resting or attempt >= min(miss.attempts, self._manners.attempts):
                    tried = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise SourceError(miss.outcome, f"{miss}{tried}") from miss.__cause__
            # Full jitter (Brooker 2015); the session adds what Retry-After asks for.
            self._waiting.sleep(self._waiting.chance() * min(pause, self._manners.longest_pause))
            pause *= 2
            attempt += 1

    def _ask(self, request: PriceRequest) -> tuple[pd.DataFrame, str]:
        """Return yfinance's frame and the quote currency. Raises Miss for whatever goes wrong."""
        session = self._connect()
        session.chart = None
        with yfinance_our_way(*self._yfinance_caches()) as yf:
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
                raise judge(request, session.chart, error) from error
        check_zone(request, session.chart, _zone(request.mic))
        served.index = as_sessions(served.index)
        dividends_in_quote_unit(served, session.chart, currency)
        return served, currency

    def _yfinance_caches(self) -> tuple[Cache, Cookies]:
        if self._caches is None:
            self._caches = open_caches(self._cache)
        return self._caches

    def _connect(self) -> RecordingSession:
        if self._session is None:
            from screener.market.sources.yahoo_session import Pace, RecordingSession

            pace = Pace(self._manners.interval, self._waiting.clock, self._waiting.sleep)
            self._session = RecordingSession(pace, self._manners.chart_seconds, self._stand_in)
            self._session.budget = self._manners.budget
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


# From yfinance's frame to ours


def _adjusted(
    served: pd.DataFrame, request: PriceRequest, session: RecordingSession | None
) -> pd.Series | None:
    """Return Yahoo's adjusted close, None where the answer has none: yfinance repeats the close then."""
    answer = None if session is None else session.chart
    if not request.mic or answer is None or '"adjclose"' not in answer.text:
        return None
    closes: pd.Series = served["Adj Close"].dropna().astype(float)
    return closes


def _table(served: pd.DataFrame, request: PriceRequest) -> pd.DataFrame:
    """Return the table of Bars: rows with a close, from request.start to request.end."""
    columns = list(COLUMNS.values())
    values = np.array([served[each].to_numpy(dtype=float) for each in COLUMNS]).T
    values[np.isinf(values)] = np.nan
    opened, close, volume, split = (
        values[:, columns.index(each)] for each in ("open", "close", "volume", "split")
    )
    split[(split == 0) | np.isnan(split)] = 1.0
    # yfinance turns an unknown volume into 0. Currencies have none, nor have rows without a range.
    volume[(volume == 0) & (np.isnan(opened) if request.mic else True)] = np.nan
    table = pd.DataFrame(values, index=served.index, columns=NAMES, copy=False)
    if np.isnan(close).any() or np.isnan(values[:, columns.index("dividend")]).any():
        table = bars_table(carry_events(table.fillna({"dividend": 0.0})))
    table = table.loc[pd.Timestamp(request.start) : pd.Timestamp(request.end)]
    if table.empty:
        raise SourceError("no data", f"Yahoo has no rows from {request.start} to {request.end}")
    return table
