"""Yahoo through yfinance's own code path, against a server on 127.0.0.1."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from screener.errors import SourceError, UserError
from screener.market.bars import Bars
from screener.market.sources import PriceRequest, SourceSettings, open_source
from screener.market.sources import yahoo as yahoo_module
from screener.market.sources.yahoo import BROKEN_AFTER, Session, YahooSource
from screener.universe.load import find_universe, load_universe
from tests.stand_in_yahoo import Listing, StandIn, running

NOW = datetime(2026, 7, 11, tzinfo=UTC)
UNIVERSE = load_universe(find_universe("rare_earth_ai"))
INDEX = pd.bdate_range("2024-01-02", "2024-06-28")


def table(**more: float) -> pd.DataFrame:
    close = np.linspace(10, 20, len(INDEX)).round(3)
    columns: dict[str, Any] = {
        "open": close,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": 500.0,
    }
    return pd.DataFrame({**columns, "dividend": 0.0, "split": 1.0, **more}, index=INDEX)


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with_events = table()
    with_events.loc["2024-03-01", "dividend"] = 0.25
    with_events.loc["2024-04-01", "split"] = 2.0
    listings = {
        "MP": Listing(with_events),
        "6762.T": Listing(table(), "JPY", "Asia/Tokyo"),
        "RBW.L": Listing(table(), "GBp", "Europe/London"),
        "JPY=X": Listing(table()[["close"]], "JPY", "Europe/London"),
        **{f"S{number}": Listing(table()) for number in range(8)},
    }
    with running(listings) as server:
        yield server


@pytest.fixture
def source(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> YahooSource:
    monkeypatch.setattr(yahoo_module, "LONGEST_REQUEST", 0.6)
    opened = open_source("yahoo", SourceSettings(UNIVERSE, cache=tmp_path / "cache", base_url=stand_in.url))
    assert isinstance(opened, YahooSource)
    opened._session.sleep = slept.append
    slept.clear()
    return opened


slept: list[float] = []


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def ask(source: YahooSource, symbol: str = "MP", mic: str = "XNYS", currency: str = "USD") -> Bars:
    return source.fetch(PriceRequest(symbol, mic, currency, date(2024, 1, 2), date(2024, 6, 20)), NOW)


def outcome_of(source: YahooSource, symbol: str = "MP") -> str:
    with pytest.raises(SourceError) as caught:
        ask(source, symbol)
    return caught.value.outcome


def test_bars_come_with_dividends_splits_and_volume(source: YahooSource) -> None:
    bars = ask(source)
    assert bars.table.index[0] == pd.Timestamp("2024-01-02") and bars.table.index[-1] == pd.Timestamp(
        "2024-06-20"
    )
    np.testing.assert_allclose(bars.table["close"], table().loc[:"2024-06-20", "close"], rtol=1e-6)  # type: ignore[misc]
    assert bars.table.loc["2024-03-01", "dividend"] == 0.25
    assert bars.table["dividend"].sum() == 0.25
    assert bars.table["split"].prod() == 2.0
    assert (bars.table["volume"] == 500.0).all()
    assert (bars.currency, bars.source, bars.synthetic, bars.fetched_at) == ("USD", "yahoo", False, NOW)


def test_tokyos_dates_are_tokyos_and_pence_stay_pence(source: YahooSource) -> None:
    assert ask(source, "6762.T", "XTKS", "JPY").table.index[0] == pd.Timestamp("2024-01-02")
    assert ask(source, "RBW.L", "XLON", "GBP").currency == "GBp"


def test_a_currency_pair_has_closes_and_no_volume(source: YahooSource) -> None:
    bars = ask(source, "JPY=X", "", "")
    assert bars.table["volume"].isna().all() and bars.table["close"].notna().all()
    assert bars.table.index[0] == pd.Timestamp("2024-01-02")


def test_one_symbol_costs_one_chart_request_and_starts_where_asked(
    source: YahooSource, stand_in: StandIn
) -> None:
    ask(source)
    source.fetch(PriceRequest("MP", "XNYS", "USD", date(2024, 6, 3), date(2024, 6, 20)), NOW)
    assert stand_in.asked["MP"] == 2
    start = pd.Timestamp(stand_in.spans[-1][1], unit="s", tz="UTC").tz_convert("America/New_York")
    assert start.date() == date(2024, 6, 3)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("404", "no such symbol"),
        ("null result", "no such symbol"),
        ("429", "rate limited"),
        ("500", "unreachable"),
        ("web page", "unreachable"),
        ("empty body", "malformed"),
        ("truncated", "malformed"),
        ("no timestamp", "no data"),
        ("no currency", "malformed"),
        ("slow", "timed out"),
    ],
)
def test_every_failure_gets_its_true_name(
    source: YahooSource, stand_in: StandIn, fault: str, outcome: str
) -> None:
    stand_in.faults["MP"] = fault
    assert outcome_of(source) == outcome


def test_an_unknown_symbol_is_not_asked_for_again(source: YahooSource) -> None:
    assert outcome_of(source, "NOPE") == "no such symbol"
    assert slept == []


def test_one_refusal_for_haste_is_invisible(source: YahooSource, stand_in: StandIn) -> None:
    stand_in.faults["MP"] = "429 once"
    assert len(ask(source).table) > 100


def test_waits_grow_and_the_servers_own_wait_is_honoured(source: YahooSource, stand_in: StandIn) -> None:
    stand_in.faults["MP"] = "429"
    outcome_of(source)
    assert len(slept) == 3
    assert all(wait <= bound for wait, bound in zip(slept, (2.0, 4.0, 8.0), strict=True))
    slept.clear()
    stand_in.retry_after = "7"
    outcome_of(source)
    assert slept == [7.0, 7.0, 7.0]


def test_a_second_try_reaches_the_server_and_can_succeed(source: YahooSource, stand_in: StandIn) -> None:
    """yfinance remembers answers of past spans, errors included; asking again must ask."""
    stand_in.faults["MP"] = "500"

    def mend(seconds: float) -> None:
        stand_in.faults.clear()

    source._session.sleep = mend
    assert len(ask(source).table) > 100


def test_after_some_failures_in_a_row_the_rest_is_not_asked(source: YahooSource, stand_in: StandIn) -> None:
    for number in range(8):
        stand_in.faults[f"S{number}"] = "500"
    assert [outcome_of(source, f"S{number}") for number in range(8)] == ["unreachable"] * 8
    assert stand_in.asked[f"S{BROKEN_AFTER - 1}"] > 0
    assert stand_in.asked[f"S{BROKEN_AFTER}"] == 0


def test_unknown_symbols_do_not_count_as_a_broken_service(source: YahooSource) -> None:
    assert [outcome_of(source, f"NOPE{number}") for number in range(6)] == ["no such symbol"] * 6
    assert len(ask(source).table) > 100


def test_no_server_is_unreachable(tmp_path: Path) -> None:
    opened = open_source("yahoo", SourceSettings(UNIVERSE, cache=tmp_path, base_url="http://127.0.0.1:9"))
    assert isinstance(opened, YahooSource)
    opened._session.sleep = slept.append
    assert outcome_of(opened) == "unreachable"


def test_only_this_machine_may_stand_in() -> None:
    with pytest.raises(UserError, match="not on this machine"):
        open_source("yahoo", SourceSettings(UNIVERSE, base_url="http://example.org"))


def test_requests_are_paced_when_they_go_out() -> None:
    waits: list[float] = []
    moments = iter([0.0, 0.1, 0.2, 5.0])
    session = Session(sleep=waits.append, clock=lambda: next(moments))
    for _ in range(4):
        session._wait_for_turn()
    assert waits == pytest.approx([0.4, 0.8])


def test_a_dividend_on_a_day_without_a_price_moves_to_the_next_bar(
    source: YahooSource, stand_in: StandIn
) -> None:
    bars = table()
    bars.loc["2024-03-01", ["open", "high", "low", "close"]] = np.nan
    bars.loc["2024-03-01", "dividend"] = 0.4
    stand_in.listings = {"MP": Listing(bars)}
    served = ask(source).table
    assert pd.Timestamp("2024-03-01") not in served.index
    assert served.loc["2024-03-04", "dividend"] == 0.4
