"""The HTTP session yfinance works through: paced, bounded in time, and remembering what each request met.

It keeps what yfinance forgets (there a 429, a time-out and a web page all become "possibly delisted"), and it
is where a stand-in on this machine takes the service's place. Judging what was met is yahoo.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie
from http.cookies import SimpleCookie
from threading import Lock
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from curl_cffi import CurlOpt
from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import ConnectionError as Unreached
from curl_cffi.requests.exceptions import RequestException

CHART = "/v8/finance/chart/"
CHART_HOST = "query2.finance.yahoo.com"
CONNECT_SECONDS = 5.0
SIDE_SECONDS = 5.0  # cookies and crumbs; yfinance would wait 30 s for each, and prices come without them
BURST = 2
LONGEST_PATIENCE = 60.0  # a service that asks for a longer rest is not asked again in this run


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request met: a status and a body, or the error that came instead (status 0)."""

    host: str
    path: str
    status: int
    text: str
    retry_after: float | None  # seconds
    error: RequestException | None


class Pace:
    """A token bucket in front of every request, and the rest a service asked for with Retry-After."""

    def __init__(self, interval: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """Allow a request every `interval` seconds, and BURST at once after a pause; 0 is no limit."""
        self._interval, self._clock, self._sleep = interval, clock, sleep
        self._bucket_full = self._not_before = clock()

    def rest(self, seconds: float) -> None:
        """Let no request out before this many seconds have passed."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def wait(self) -> None:
        """Sleep until the next request may go out."""
        now = self._clock()
        start = max(now, self._not_before, self._bucket_full - (BURST - 1) * self._interval)
        if start > now:
            self._sleep(start - now)
        self._bucket_full = max(self._bucket_full, start) + self._interval


class RecordingSession(Session[Response]):
    """A browser-like session that paces itself and remembers the last answer of the chart service."""

    def __init__(self, pace: Pace, chart_seconds: float, stand_in: str = "") -> None:
        """`stand_in` ("http://127.0.0.1:PORT" or "") receives every request in the service's place."""
        # A stand-in is never reached through the proxy that the environment may name.
        options: dict[Any, Any] = {CurlOpt.NOPROXY: "*"} if stand_in else {}
        super().__init__(impersonate="chrome", curl_options=options)
        self.chart: Answer | None = None  # forgotten by yahoo.py before each symbol
        self.requests = 0  # sent so far, of all kinds
        self.service_time: datetime | None = None  # UTC, from the newest answer's Date
        self.resting = False  # the service asked for a longer rest than we have patience
        self._pace, self._chart_seconds, self._stand_in = pace, chart_seconds, stand_in
        self._silent: set[str] = set()
        # symbol → the one to be asked for next with the same query: its request goes out, in its turn, as soon as
        # the first is answered, and is under way while yfinance reads that answer
        self.coming: dict[str, str] = {}
        self.budget = 10**9  # requests, after which nothing is sent ahead
        self._ahead: tuple[tuple[str, Any], Future[Response]] | None = None
        self._turn = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Response:
        """Send one request when its time has come, or take its answer if it was sent ahead.

        Raises curl_cffi's RequestException.
        """
        asked = urlsplit(url)
        host, is_chart = asked.hostname or "", asked.path.startswith(CHART)
        if self.resting:
            raise Unreached(f"{host} asked for a rest and is left alone")
        if host in self._silent:
            raise Unreached(f"{host} did not answer before and is left alone")
        ahead, sent = self._ahead if self._ahead is not None else (None, None)
        try:
            if sent is not None and ahead == _key(asked.path, kwargs):
                self._ahead = None
                response = sent.result()
            else:
                response = self._send(method, url, *args, **kwargs)
        except RequestException as error:
            self._remember(Answer(host, asked.path, 0, "", None, error))
            raise
        self.service_time = _moment(response.headers.get("Date") or "") or self.service_time
        text = response.text if is_chart else ""
        self._remember(Answer(host, asked.path, response.status_code, text, _retry_after(response), None))
        coming = self.coming.get(asked.path.removeprefix(CHART)) if is_chart else None
        if coming is not None and response.status_code == 200 and self.requests < self.budget:
            path = CHART + coming
            there = urlunsplit(asked._replace(path=path))
            self._ahead = (
                _key(path, kwargs),
                self._worker().submit(self._send, method, there, *args, **kwargs),
            )
        return response

    def _send(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Response:
        asked = urlsplit(url)
        host, is_chart = asked.hostname or "", asked.path.startswith(CHART)
        with self._turn:
            self._pace.wait()
            self.requests += 1
        seconds = self._chart_seconds if is_chart else min(SIDE_SECONDS, self._chart_seconds)
        connect = min(CONNECT_SECONDS, seconds / 2)
        kwargs["timeout"] = (connect, seconds - connect)  # curl_cffi adds the two up
        target = url
        if self._stand_in:
            target = self._stand_in + (asked.path or "/") + (f"?{asked.query}" if asked.query else "")
            kwargs["headers"] = {**(kwargs.get("headers") or {}), "X-Standin-Host": host}
            kwargs["allow_redirects"] = False  # a redirect would lead back to the real hosts
        response = super().request(method, target, *args, **kwargs)
        if self._stand_in:
            response.url = url
            self._take_cookies(host, response)
        return response

    def _worker(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "next-chart")
        return self._pool

    def _take_cookies(self, host: str, response: Response) -> None:
        """Keep a stand-in's cookies as if their host had set them: curl refuses those of another domain."""
        for morsel in SimpleCookie(response.headers.get("Set-Cookie") or "").values():
            domain, age = morsel["domain"] or host, int(morsel["max-age"] or 0)
            self.cookies.jar.set_cookie(
                Cookie(
                    *(0, morsel.key, morsel.value, None, False, domain, True, domain.startswith(".")),
                    *(morsel["path"] or "/", True, False, _expiry(response, age), age == 0, None, None, {}),
                )
            )

    def _remember(self, answer: Answer) -> None:
        if not answer.path.startswith(CHART):
            if answer.error is not None and answer.host != CHART_HOST:
                self._silent.add(answer.host)  # ad blockers cut off the cookie hosts; ask each of them once
            return
        self.chart = answer
        if answer.retry_after is not None:
            self.resting = answer.retry_after > LONGEST_PATIENCE
            self._pace.rest(0.0 if self.resting else answer.retry_after)


def _key(path: str, kwargs: dict[str, Any]) -> tuple[str, Any]:
    """Return what makes two chart requests the same; period2 is the second at which yfinance asks."""
    query = dict(kwargs.get("params") or {})
    query.pop("period2", None)
    return path, query


def _expiry(response: Response, age: int) -> int | None:
    """Return when a cookie ends, in seconds since 1970 by the clock of the answer's Date."""
    now = _moment(response.headers.get("Date") or "")
    return int(now.timestamp()) + age if now is not None and age else None


def _retry_after(response: Response) -> float | None:
    """Return Retry-After in seconds; a date in it counts from the answer's own Date. None if unsaid."""
    asked = (response.headers.get("Retry-After") or "").strip()
    if asked.isdigit():
        return float(asked)
    then, now = _moment(asked), _moment(response.headers.get("Date") or "")
    return None if then is None or now is None else max(0.0, (then - now).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
