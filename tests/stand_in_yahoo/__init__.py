"""A small server on 127.0.0.1 that answers as Yahoo's chart service does, and misbehaves on request.

Its answers have the shape of recorded ones and are built from tables of bars: tests know what must come out.
`python -m tests.stand_in_yahoo --prices FOLDER` serves a folder of files to a person (see __main__.py).
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

CHART = "/v8/finance/chart/"
OPENING = {"America/New_York": 9.5, "Asia/Tokyo": 9, "Australia/Sydney": 10, "Asia/Shanghai": 9.5}
RANGES = {"1d": 1, "5d": 5, "1mo": 21, "3mo": 63, "6mo": 126, "1y": 252, "2y": 504, "5y": 1260, "10y": 2520}
CONSENT = """<html><body><form action="/v2/collectConsent">
<input name="csrfToken" value="token"><input name="sessionId" value="session"></form></body></html>"""
CAPTIVE = "<html><body>Before you continue to Yahoo</body></html>"


@dataclass(frozen=True, eq=False)
class Listing:
    """What is served for one symbol: bars (T × open … split), their currency and their exchange's zone."""

    table: pd.DataFrame
    currency: str | None = "USD"
    zone: str = "America/New_York"
    dividend_currency: str = ""  # stated with each dividend if not ""
    fundamentals: Mapping[str, object] = field(default_factory=dict)  # keys as Yahoo's financialData has them
    earnings: tuple[int, ...] = ()  # instants in seconds, as Yahoo's calendarEvents has them


@dataclass(frozen=True)
class Seen:
    """A request as it came in; `host` is the one it was meant for."""

    host: str
    path: str
    query: Mapping[str, str]


@dataclass
class Reply:
    """What goes out."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    promised: int = 0  # bytes announced beyond those sent
    drip: float = 0.0  # seconds between two bytes
    reset: bool = False  # the connection is reset instead


def _error(status: int, code: str, description: str) -> Reply:
    body = {"chart": {"result": None, "error": {"code": code, "description": description}}}
    return Reply(status, json.dumps(body).encode())


def _without(*keys: str) -> Callable[[Reply], Reply]:
    """Return a fault that leaves something out of the first result."""

    def fault(honest: Reply) -> Reply:
        body = json.loads(honest.body)
        inner = body["chart"]["result"][0]
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        return Reply(body=json.dumps(body).encode())

    return fault


def _edited(edit: Callable[[dict[str, Any]], None]) -> Callable[[Reply], Reply]:
    """Return a fault that changes the first result."""

    def fault(honest: Reply) -> Reply:
        body = json.loads(honest.body)
        edit(body["chart"]["result"][0])
        return Reply(body=json.dumps(body).encode())

    return fault


def _newest_without_prices(result: dict[str, Any]) -> None:
    for name in ("open", "high", "low", "close"):
        result["indicators"]["quote"][0][name][-1] = None
    result["indicators"]["adjclose"][0]["adjclose"][-1] = None


def _rows_of_null(result: dict[str, Any]) -> None:
    for values in (
        *result["indicators"]["quote"][0].values(),
        result["indicators"]["adjclose"][0]["adjclose"],
    ):
        values[-4:-2] = [None, None]


def _hundredfold(result: dict[str, Any]) -> None:
    for name in ("open", "high", "low", "close"):
        values = result["indicators"]["quote"][0][name]
        values[-6:-3] = [100 * each for each in values[-6:-3]]


def _columns(result: dict[str, Any]) -> list[list[Any]]:
    """Return every list that has an entry a row, timestamps first."""
    indicators = result["indicators"]
    return [
        result["timestamp"],
        *indicators["quote"][0].values(),
        indicators["adjclose"][0]["adjclose"],
    ]


def _row_again(result: dict[str, Any]) -> None:
    for values in _columns(result):
        values.insert(-3, values[-3])


def _row_contradicted(result: dict[str, Any]) -> None:
    _row_again(result)
    for name in ("open", "high", "low", "close"):
        result["indicators"]["quote"][0][name][-3] *= 1.1


def _live_row(result: dict[str, Any]) -> None:
    """Add the row that Yahoo adds while a session is open and for some hours after: the day's, of another second."""
    for values in _columns(result):
        values.append(values[-1])
    result["timestamp"][-1] += 6 * 3600
    result["indicators"]["quote"][0]["volume"][-1] += 1


def _backwards(result: dict[str, Any]) -> None:
    for values in _columns(result):
        values.reverse()


def _in_pence(result: dict[str, Any]) -> None:
    result["meta"]["currency"] = "GBp"


def _by_tokyo(result: dict[str, Any]) -> None:
    result["meta"]["exchangeTimezoneName"] = "Asia/Tokyo"


FAULTS: dict[str, Callable[[Reply], Reply]] = {
    "404": lambda honest: _error(404, "Not Found", "No data found, symbol may be delisted"),
    "404 page": lambda honest: Reply(404, b"<html>not found</html>", kind="text/html"),
    "null": lambda honest: Reply(body=b'{"chart":{"result":null,"error":null}}'),
    "no rows": lambda honest: _error(400, "Bad Request", "Data doesn't exist for startDate = 1, endDate = 2"),
    "401": lambda honest: Reply(401, b'{"finance":{"result":null,"error":{"code":"Unauthorized"}}}'),
    "429": lambda honest: Reply(429, b"Too Many Requests", kind="text/plain"),
    "500": lambda honest: Reply(500, b'{"finance":{"result":null,"error":{"code":"internal-error"}}}'),
    "html": lambda honest: Reply(body=CAPTIVE.encode(), kind="text/html"),
    "down": lambda honest: Reply(body=b"Will be right back...", kind="text/plain"),
    "empty": lambda honest: Reply(),
    "truncated": lambda honest: Reply(body=honest.body[: len(honest.body) // 2]),
    "cut": lambda honest: Reply(body=honest.body, promised=1000),
    "empty result": lambda honest: Reply(body=b'{"chart":{"result":[],"error":null}}'),
    "consent": lambda honest: Reply(body=CONSENT.encode(), kind="text/html"),
    "drip": lambda honest: replace(honest, drip=0.05),
    "reset": lambda honest: Reply(reset=True),
    "null rows": _edited(_rows_of_null),
    "newest null": _edited(_newest_without_prices),
    "row again": _edited(_row_again),
    "row contradicted": _edited(_row_contradicted),
    "live row": _edited(_live_row),
    "backwards": _edited(_backwards),
    "glitch": _edited(_hundredfold),
    "wrong currency": _edited(_in_pence),
    "wrong zone": _edited(_by_tokyo),
    "no timestamp": _without("timestamp"),
    "no closes": _without("indicators", "quote"),
    "no currency": _without("meta", "currency"),
    "no adjclose": _without("indicators", "adjclose"),
}


class StandIn:
    """The server, as a context manager. `seen` records every request, `misbehave` arranges trouble."""

    def __init__(self, listings: Mapping[str, Listing], port: int = 0) -> None:
        self.listings = dict(listings)
        self.crumb = Reply(body=b"crumb", kind="text/plain")
        self.recorded: dict[str, bytes] = {}  # symbol → an answer's body, sent as it is
        self.seen: list[Seen] = []
        self.summary_fault = ""  # a key of FAULTS: what is wrong with every quote summary
        self.closing = threading.Event()
        self._trouble: dict[str, list[tuple[str, int | None]]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StandIn:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def misbehave(self, symbol: str, fault: str, times: int | None = None) -> None:
        """Answer the next `times` (None: all) chart requests for a symbol ("*": any) with a fault.

        `fault` is one of FAULTS, "hang", or "429 N" with a Retry-After of N.
        """
        if fault != "hang" and fault.split(" ")[0] != "429" and fault not in FAULTS:
            raise ValueError(f"unknown fault {fault!r}")
        self._trouble.setdefault(symbol, []).append((fault, times))

    def charts(self, symbol: str) -> list[Mapping[str, str]]:
        """Return the queries of the chart requests for a symbol."""
        return [each.query for each in self.seen if each.path == CHART + symbol]

    def answer(self, seen: Seen) -> Reply | None:
        """Return the reply to a request; None hangs."""
        with self._lock:
            self.seen.append(seen)
        if seen.path.startswith(CHART):
            symbol = seen.path.removeprefix(CHART)
            return self._troubled(symbol, self._chart(symbol, seen.query))
        if seen.path == "/v1/test/getcrumb":
            return self.crumb
        if seen.path in ("/consent", "/v2/collectConsent", "/copyConsent"):
            return Reply(body=CONSENT.encode(), kind="text/html")
        if seen.path.startswith("/v10/finance/quoteSummary/"):
            honest = self._summary(seen.path.rsplit("/", 1)[1])
            return FAULTS[self.summary_fault](honest) if self.summary_fault else honest
        if seen.path == "/v7/finance/quote":
            known = [each for each in seen.query.get("symbols", "").split(",") if each in self.listings]
            quotes = [{"symbol": each, "currency": self.listings[each].currency} for each in known]
            return Reply(body=json.dumps({"quoteResponse": {"result": quotes, "error": None}}).encode())
        if seen.path.startswith("/ws/fundamentals-timeseries/"):  # asked for one ratio that we do not use
            return Reply(body=b'{"timeseries": {"result": [], "error": null}}')
        # fc.yahoo.com answers 404 and sets the cookie all the same
        return Reply(404, headers={"Set-Cookie": "A3=crumbs; Domain=.yahoo.com; Path=/; Max-Age=31557600"})

    def _troubled(self, symbol: str, honest: Reply) -> Reply | None:
        with self._lock:
            for queue in (self._trouble.get(symbol, []), self._trouble.get("*", [])):
                if queue:
                    fault, times = queue[0]
                    if times is not None:
                        queue[0] = (fault, times - 1)
                        if times <= 1:
                            queue.pop(0)
                    break
            else:
                return honest
        if fault == "hang":
            return None
        if fault.startswith("429 "):
            return Reply(429, b"Too Many Requests", {"Retry-After": fault[4:]}, "text/plain")
        return FAULTS[fault](honest)

    def _summary(self, symbol: str) -> Reply:
        if symbol not in self.listings:
            body: dict[str, Any] = {
                "result": None,
                "error": {"code": "Not Found", "description": "Quote not found"},
            }
            return Reply(404, json.dumps({"quoteSummary": body}).encode())
        listing = self.listings[symbol]
        summary = {
            "price": {"symbol": symbol, "currency": listing.currency},
            "quoteType": {"symbol": symbol, "quoteType": "EQUITY"},
            "financialData": dict(listing.fundamentals),
            "calendarEvents": {"maxAge": 1, "earnings": {"earningsDate": list(listing.earnings)}},
        }
        return Reply(body=json.dumps({"quoteSummary": {"result": [summary], "error": None}}).encode())

    def _chart(self, symbol: str, query: Mapping[str, str]) -> Reply:
        if symbol in self.recorded:
            return Reply(body=self.recorded[symbol])
        if symbol not in self.listings:
            return _error(404, "Not Found", "No data found, symbol may be delisted")
        listing = self.listings[symbol]
        moments = _moments(listing)
        if "period1" in query:
            start, end = int(query["period1"]), int(query["period2"])
            if start > end:
                return _error(400, "Bad Request", "Invalid input - start date cannot be after end date.")
            inside = (moments >= start) & (moments < end)
        else:
            inside = np.arange(len(moments)) >= len(moments) - RANGES.get(
                query.get("range", "1mo"), len(moments)
            )
        result = chart_result(symbol, listing, inside)
        return Reply(body=json.dumps({"chart": {"result": [result], "error": None}}).encode())


def chart_result(symbol: str, listing: Listing, inside: np.ndarray) -> dict[str, Any]:
    """Return one entry of chart.result with the rows inside, in the shape of the recorded answers."""
    moments, table = _moments(listing)[inside], listing.table[inside]
    result: dict[str, Any] = {"meta": _meta(symbol, listing)}
    if not len(table):
        return {**result, "indicators": {"quote": [{}]}}
    quote = {name: _nullable(table[name]) for name in ("open", "high", "low", "close")}
    quote["volume"] = [None if value is None else int(value) for value in _nullable(table["volume"])]
    adjusted = adjusted_close(listing.table)[inside]
    result["timestamp"] = moments.tolist()
    events = _events(table, moments, listing.dividend_currency)
    if events:
        result["events"] = events
    result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": _nullable(adjusted)}]}
    return result


def adjusted_close(table: pd.DataFrame) -> pd.Series:
    """Return Yahoo's adjusted close: closes times the product of later (1 − dividend / previous close)."""
    factor = 1 - table["dividend"].to_numpy() / table["close"].ffill().shift().to_numpy()
    later = np.append(np.nan_to_num(factor[1:], nan=1.0), 1.0)
    return table["close"] * later[::-1].cumprod()[::-1]


def _moments(listing: Listing) -> np.ndarray:
    opening = pd.Timedelta(hours=OPENING.get(listing.zone, 0 if listing.zone == "Europe/London" else 9))
    local = (pd.DatetimeIndex(listing.table.index) + opening).tz_localize(ZoneInfo(listing.zone))
    return local.as_unit("s").asi8


def _nullable(values: pd.Series) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _events(table: pd.DataFrame, moments: np.ndarray, dividend_currency: str) -> dict[str, Any]:
    events: dict[str, dict[str, Any]] = {"dividends": {}, "splits": {}}
    for moment, dividend, split in zip(moments.tolist(), table["dividend"], table["split"], strict=True):
        if dividend:
            unit = {"currency": dividend_currency} if dividend_currency else {}
            events["dividends"][str(moment)] = {"amount": dividend, "date": moment, **unit}
        if split != 1:
            ratio = Fraction(split).limit_denominator(1000)
            events["splits"][str(moment)] = {
                "date": moment,
                "numerator": ratio.numerator,
                "denominator": ratio.denominator,
                "splitRatio": f"{ratio.numerator}:{ratio.denominator}",
            }
    return {kind: entries for kind, entries in events.items() if entries}


def _meta(symbol: str, listing: Listing) -> dict[str, Any]:
    moments = _moments(listing)
    last = int(moments[-1])
    offset = int(
        datetime.fromtimestamp(last, UTC).astimezone(ZoneInfo(listing.zone)).utcoffset().total_seconds()
    )
    period = {"timezone": "LT", "start": last, "end": last + 23400, "gmtoffset": offset}
    kind = "CURRENCY" if symbol.endswith("=X") else "INDEX" if symbol.startswith("^") else "EQUITY"
    return {
        "currency": listing.currency,
        "symbol": symbol,
        "exchangeName": "STD",
        "fullExchangeName": "Stand-in",
        "instrumentType": kind,
        "firstTradeDate": int(moments[0]),
        "regularMarketTime": last,
        "hasPrePostMarketData": False,
        "gmtoffset": offset,
        "timezone": "LT",
        "exchangeTimezoneName": listing.zone,
        "regularMarketPrice": float(listing.table["close"].dropna().iloc[-1]),
        "longName": f"{symbol} of the stand-in",
        "shortName": symbol,
        "priceHint": 2,
        "currentTradingPeriod": {"pre": dict(period), "regular": dict(period), "post": dict(period)},
        "dataGranularity": "1d",
        "range": "",
        "validRanges": [*RANGES, "ytd", "max"],
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client that lost patience has gone."""


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes; 40 ms each otherwise

        def do_GET(self) -> None:
            self.rfile.read(
                int(self.headers.get("Content-Length") or 0)
            )  # yfinance sends bodies with GET too
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            seen = Seen(self.headers.get("X-Standin-Host", ""), unquote(asked.path), query)
            self._send(stand_in.answer(seen))

        do_POST = do_GET

        def _send(self, reply: Reply | None) -> None:
            if reply is None:
                stand_in.closing.wait(30)
                self.close_connection = True
                return
            if reply.reset:
                # lingering for no time at all makes the system answer with a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body) + reply.promised))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for piece in [reply.body] if not reply.drip else (bytes([each]) for each in reply.body):
                    self.wfile.write(piece)
                    if reply.drip and stand_in.closing.wait(reply.drip):
                        break
            if reply.promised:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: what came in is in `seen`."""

    return Handler
