"""A server on 127.0.0.1 that answers Yahoo's chart, cookie and crumb requests from a table of bars.

It can be told to misbehave, symbol by symbol. By hand, to try the Yahoo source without Yahoo:

    python -m tests.stand_in_yahoo --prices FOLDER --port 8765
    SCREENER_YAHOO_URL=http://127.0.0.1:8765 screener weekly
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import pandas as pd

FAULTS = (
    "404",
    "null result",
    "429 once",
    "429",
    "500",
    "web page",
    "empty body",
    "truncated",
    "no timestamp",
    "no currency",
    "slow",
)


@dataclass(frozen=True, eq=False)
class Listing:
    """What the stand-in knows of one symbol: bars as Yahoo serves them, and the meta fields yfinance reads."""

    bars: pd.DataFrame  # any of open, high, low, close, volume, dividend, split, by session
    currency: str = "USD"
    zone: str = "America/New_York"


@dataclass(eq=False)
class StandIn:
    """A running stand-in: where it is, what it serves, how it misbehaves and what it was asked."""

    url: str
    listings: Mapping[str, Listing]
    faults: dict[str, str] = field(default_factory=dict)
    retry_after: str = ""
    slowness: float = 1.0  # seconds
    asked: Counter[str] = field(default_factory=Counter)  # charts by symbol
    spans: list[tuple[str, int]] = field(default_factory=list)  # symbol and period1 of each chart


def chart(symbol: str, listing: Listing, start: int, end: int) -> dict[str, Any]:
    """Return the body of Yahoo's chart answer for a span of Unix seconds."""
    zone = ZoneInfo(listing.zone)
    opens = [pd.Timestamp(day).tz_localize(zone) + pd.Timedelta(hours=9) for day in listing.bars.index]
    stamps = [int(each.timestamp()) for each in opens]
    rows = [row for row, stamp in enumerate(stamps) if start <= stamp < end]
    bars = listing.bars.iloc[rows]
    meta = {
        "currency": listing.currency,
        "symbol": symbol,
        "exchangeName": "STD",
        "instrumentType": "EQUITY",
        "gmtoffset": 0,
        "timezone": "STD",
        "exchangeTimezoneName": listing.zone,
        "priceHint": 2,
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "max"],
        "currentTradingPeriod": {
            part: {"timezone": "STD", "start": 0, "end": 1, "gmtoffset": 0}
            for part in ("pre", "regular", "post")
        },
    }
    result: dict[str, Any] = {"meta": meta}
    if rows:

        def column(name: str) -> list[float | None]:
            values = bars[name] if name in bars else pd.Series(float("nan"), index=bars.index)
            return [None if value != value else float(value) for value in values]

        quote = {name: column(name) for name in ("open", "high", "low", "close", "volume")}
        result["timestamp"] = [stamps[row] for row in rows]
        result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": column("close")}]}
        events = _events(bars, [stamps[row] for row in rows])
        if events:
            result["events"] = events
    else:
        result["indicators"] = {"quote": [{}], "adjclose": [{}]}
    return {"chart": {"result": [result], "error": None}}


def _events(bars: pd.DataFrame, stamps: list[int]) -> dict[str, Any]:
    events: dict[str, Any] = {}
    for position, stamp in enumerate(stamps):
        dividend = float(bars["dividend"].iloc[position]) if "dividend" in bars else 0.0
        split = float(bars["split"].iloc[position]) if "split" in bars else 1.0
        if dividend > 0:
            events.setdefault("dividends", {})[str(stamp)] = {"amount": dividend, "date": stamp}
        if split not in (0.0, 1.0) and split == split:
            ratio = {"date": stamp, "numerator": split, "denominator": 1.0, "splitRatio": f"{split:g}:1"}
            events.setdefault("splits", {})[str(stamp)] = ratio
    return events


@contextmanager
def running(listings: Mapping[str, Listing], port: int = 0) -> Iterator[StandIn]:
    """Serve the listings on 127.0.0.1 while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet, or each answer waits for an acknowledgement

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            status, body, headers = _answer(stand_in, self.path)
            content = body.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # a client that timed out has gone
                self.wfile.write(content)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    stand_in = StandIn(f"http://127.0.0.1:{server.server_address[1]}", listings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(stand_in: StandIn, path: str) -> tuple[int, str, dict[str, str]]:
    parts = urlsplit(path)
    json_headers = {"Content-Type": "application/json"}
    if parts.path.endswith("/getcrumb"):
        return 200, "crumb", {"Content-Type": "text/plain"}
    if "/finance/chart/" not in parts.path:
        return 404, "", {}  # what fc.yahoo.com answers; it sets a cookie that no test needs
    symbol = unquote(parts.path.rsplit("/", 1)[1])
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    stand_in.asked[symbol] += 1
    stand_in.spans.append((symbol, int(query.get("period1", "0"))))
    fault = stand_in.faults.get(symbol, "")
    if fault == "429 once":
        del stand_in.faults[symbol]
    plain = _plain_faults(stand_in).get(fault)
    if plain is not None:
        return plain
    if fault == "404" or symbol not in stand_in.listings:
        error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        return 404, json.dumps({"chart": {"result": None, "error": error}}), json_headers
    if fault == "slow":
        time.sleep(stand_in.slowness)
    start, end = int(query.get("period1", 0)), int(query.get("period2", 2**33))
    content = chart(symbol, stand_in.listings[symbol], start, end)
    if fault == "no timestamp":
        content["chart"]["result"][0].pop("timestamp", None)
    if fault == "no currency":
        content["chart"]["result"][0]["meta"].pop("currency")
    body = json.dumps(content)
    return 200, body[: len(body) // 2] if fault == "truncated" else body, json_headers


def _plain_faults(stand_in: StandIn) -> dict[str, tuple[int, str, dict[str, str]]]:
    """Return the answers that do not depend on the bars."""
    text, web = {"Content-Type": "text/plain"}, {"Content-Type": "text/html"}
    wait = {"Retry-After": stand_in.retry_after} if stand_in.retry_after else {}
    busy = (429, "Too Many Requests", {**text, **wait})
    nothing = json.dumps({"chart": {"result": None, "error": None}})
    return {
        "429": busy,
        "429 once": busy,
        "500": (500, "internal error", text),
        "web page": (200, "<!doctype html><html>Before you continue</html>", web),
        "empty body": (200, "", {"Content-Type": "application/json"}),
        "null result": (200, nothing, {"Content-Type": "application/json"}),
    }
