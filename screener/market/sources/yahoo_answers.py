"""What Yahoo really answered, and which failure that is. yfinance calls nearly all of it "possibly delisted"."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from screener.errors import SourceError
from screener.market.bars import SAME
from screener.market.currency import major_unit
from screener.market.sources import PriceRequest

if TYPE_CHECKING:
    from screener.market.sources.yahoo_session import Answer


TIMESTAMPS = re.compile(r'"timestamp":\s*\[([^\]]*)\]')
STATED_ZONE = re.compile(r'"exchangeTimezoneName":\s*"([^"]+)"')


class Miss(SourceError):
    """A failed attempt, and how many attempts such a failure deserves."""

    def __init__(self, outcome: str, message: str, attempts: int = 1) -> None:
        """`attempts` counts the first one."""
        super().__init__(outcome, message)
        self.attempts = attempts


def judge(request: PriceRequest, answer: Answer | None, error: Exception) -> Miss:
    """Return the failure an exception of yfinance stands for, read from what the service answered."""
    from curl_cffi.requests.exceptions import RequestException

    if answer is None and isinstance(error, RequestException):
        return Miss("unreachable", reason_of(error), attempts=2)
    if answer is not None and answer.error is not None:
        if "Operation timed out" in str(answer.error):
            return Miss("timed out", f"{answer.host} was reached and did not finish its answer", attempts=3)
        return Miss("unreachable", reason_of(answer.error), attempts=2)
    if answer is None:
        return Miss("malformed", f"yfinance failed before asking for prices: {error!r}")
    if answer.status == 429:
        wait = "" if answer.retry_after is None else f", wait {answer.retry_after:.0f} s"
        return Miss("rate limited", f"{answer.host} answered: too many requests (HTTP 429{wait})", attempts=4)
    chart = chart_of(answer.text)
    if answer.status in (401, 403) or answer.status >= 500 or (chart is None and answer.status != 200):
        return Miss(
            "unreachable", f"{answer.host} answered HTTP {answer.status} instead of prices", attempts=4
        )
    if chart is None:
        if answer.text.lstrip().startswith("<") or "Will be right back" in answer.text:
            return Miss(
                "unreachable", f"{answer.host} answered with a web page instead of prices", attempts=4
            )
        return Miss("malformed", f"the answer breaks off or is no JSON ({len(answer.text)} characters)", 2)
    return _judge_chart(request, answer.status, chart, error)


def judge_statement(symbol: str, error: Exception) -> SourceError:
    """Return the failure that an exception of yfinance stands for when asked what Yahoo states of a company."""
    from curl_cffi.requests.exceptions import RequestException, Timeout
    from yfinance.exceptions import YFRateLimitError

    asked = f"asked what it states of {symbol}, Yahoo"
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, YFRateLimitError) or status == 429:
        return SourceError("rate limited", f"{asked} answered: too many requests (HTTP 429)")
    if isinstance(error, Timeout):
        return SourceError("timed out", f"{asked} did not finish its answer")
    if status == 404:
        return SourceError("no such symbol", f"{asked} knows no such symbol")
    if status:
        return SourceError("unreachable", f"{asked} answered HTTP {status}")
    if isinstance(error, RequestException):
        return SourceError("unreachable", reason_of(error))
    return SourceError("malformed", f"{asked} answered what cannot be read: {error!r}")


def _judge_chart(request: PriceRequest, status: int, chart: dict[str, Any], error: Exception) -> Miss:
    """Return the failure told by a readable answer of the chart service."""
    said = (chart.get("error") or {}).get("description") or ""
    if status in (400, 422):
        return Miss("no data", f"Yahoo has no rows since {request.start}" + (f": {said}" if said else ""))
    results = chart.get("result")
    if not results:
        return Miss("no such symbol", said or f"Yahoo knows no {request.symbol}")
    quotes = (results[0].get("indicators") or {}).get("quote") or [{}]
    if not results[0].get("timestamp") and not any(quotes[0].values()):
        return Miss("no data", f"Yahoo has no rows since {request.start}")
    lacking = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read: {error!r}"
    return Miss("malformed", f"the answer {lacking}", 2)


def chart_of(text: str) -> dict[str, Any] | None:
    """Return the "chart" of an answer, or None if it is not the chart service speaking."""
    try:
        chart = json.loads(text)["chart"]
    except (ValueError, KeyError, TypeError):
        return None
    return chart if isinstance(chart, dict) else None


def reason_of(error: Exception) -> str:
    """Return curl's own words: "Could not resolve host: query2.finance.yahoo.com"."""
    words = str(error).removeprefix("Failed to perform, curl: ").split(". See https")[0]
    return words.split(") ", 1)[-1] if words.startswith("(") else words


def dividends_in_quote_unit(served: pd.DataFrame, answer: Answer | None, currency: str) -> None:
    """Turn dividends that Yahoo states in pounds into pence where the price is in pence, and so on.

    Raises Miss for a dividend in quite another currency: yfinance would take it for the price's.
    """
    chart = chart_of(answer.text) if answer is not None and answer.text.count('"currency"') > 1 else None
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
            raise Miss("malformed", f"the dividend of {session.date()} is in {unit}, the price in {currency}")
        if session in served.index:
            served.loc[session, "Dividends"] = event["amount"] * paid[1] / quoted[1]


def check_zone(request: PriceRequest, answer: Answer | None, zone: str | None) -> None:
    """Raise Miss when the answer dates its rows by another clock than the exchange's: every date is in doubt."""
    if answer is None or not request.mic or not zone:
        return
    found = STATED_ZONE.search(answer.text)  # parsing it all again would cost a tenth of the download
    stated = found[1].replace("\\/", "/") if found else zone
    try:
        apart = any(_offset(stated, day) != _offset(zone, day) for day in ("2026-01-15", "2026-07-15"))
    except (KeyError, ValueError, OSError):
        apart = True
    if stated != zone and apart:
        raise Miss("malformed", f"the answer dates its rows by {stated}, the exchange keeps {zone}")


def mend_order(served: pd.DataFrame, answer: Answer | None, zone: str | None) -> tuple[str, ...]:
    """Empty the prices of dates that came twice and differ, and return what is to be said of the order of rows.

    yfinance sorts rows and keeps the first of a date without a word. Two rows of the newest date are no fault while
    their timestamps differ: the later one is Yahoo's live price, and yfinance keeps that. Rows that came twice alike
    are kept once. served: yfinance's frame by session.
    """
    found = TIMESTAMPS.search(answer.text) if answer is not None else None
    if answer is None or found is None or not found[1].strip():
        return ()
    stated = STATED_ZONE.search(answer.text)
    keeps = stated[1].replace("\\/", "/") if stated else zone or "UTC"
    moments = pd.DatetimeIndex(np.array(found[1].split(","), dtype=np.int64), tz="UTC", dtype="M8[s, UTC]")
    local = moments.tz_convert(keeps).tz_localize(None)
    # at times Yahoo's midnight is an hour or two early; yfinance too takes such a row for the next day's
    early = (local.minute == 0) & (local.hour >= 22)
    dates = (local + pd.to_timedelta(2 * early, unit="h") if early.any() else local).normalize()
    if dates.is_monotonic_increasing and dates.is_unique:
        return ()
    said = [] if moments.is_monotonic_increasing else ["rows came out of order and were sorted"]
    rows = pd.DataFrame(json.loads(answer.text)["chart"]["result"][0]["indicators"]["quote"][0], index=dates)
    repeated = dates.duplicated(keep=False)
    if len(set(moments[dates == dates.max()])) == 2 == int((dates == dates.max()).sum()):
        repeated &= dates != dates.max()
    alike: list[date] = []
    apart: list[tuple[date, str]] = []
    for day in dates[repeated].unique():
        group = rows[dates == day]
        prices = group[["open", "high", "low", "close"]].to_numpy(dtype=float)
        same = np.isclose(prices, prices[0], rtol=SAME, equal_nan=True).all()
        if same:
            alike.append(pd.Timestamp(day).date())
        else:
            apart.append((pd.Timestamp(day).date(), " and ".join(f"{each:g}" for each in prices[:, 3])))
            served.loc[day, ["Open", "High", "Low", "Close", "Adj Close"]] = np.nan
    if alike:
        said.append(f"rows that came twice kept once: {len(alike)}, the newest of {max(alike)}")
    if apart:
        newest, closes = max(apart)
        said.append(
            f"dates that came twice with different prices left out: {len(apart)}, the newest {newest} (closes {closes})"
        )
    return tuple(said)


def _offset(zone: str, day: str) -> object:
    return pd.Timestamp(day, tz=zone).utcoffset()


def dropped_rows(served: pd.DataFrame) -> tuple[str, ...]:
    """Return what is to be said of rows without a close, which are left out: the newest one, and the others."""
    empty = served.index[served["Close"].isna()]
    if not len(empty):
        return ()
    said, others = [], empty
    if empty[-1] == served.index[-1]:
        volume = served["Volume"].iloc[-1]
        had = "a volume" if volume > 0 else "no volume"
        said.append(f"newest row dropped: {empty[-1].date()} has {had} and no prices")
        others = empty[:-1]
    if len(others):
        said.append(f"rows without prices left out: {len(others)}, the newest of {others[-1].date()}")
    return tuple(said)
