import json
import logging
import subprocess
import sys
import time as real_time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from curl_cffi.requests import Session
from curl_cffi.requests.exceptions import DNSError, RequestException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screener.errors import SourceError, UserError
from screener.market.bars import COLUMNS, Bars
from screener.market.sources import PriceRequest, SourceSettings
from screener.market.sources.yahoo import Manners, Waiting, YahooSource, open_source
from screener.market.sources.yahoo_session import Pace
from screener.universe.model import Universe
from tests.stand_in_yahoo import Listing, Reply, StandIn, adjusted_close, chart_result
from tests.stand_in_yahoo.guard import forget_yfinance, stay_on_this_machine

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT.parent / "shared" / "yahoo_chart_answers"
NOW = datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
START, END = date(2024, 1, 1), date(2024, 12, 31)
QUICK = Manners(interval=0, chart_seconds=0.4)


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 100.0
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def waiting(self, chance: float = 1.0) -> Waiting:
        return Waiting(clock=lambda: self.now, sleep=self.sleep, chance=lambda: chance)


def table_of(sessions: int = 30, seed: int = 0, start: str = "2024-01-02") -> pd.DataFrame:
    """Bars of a made-up instrument: T × COLUMNS, business days, no events."""
    chance = np.random.default_rng(seed)
    close = 20 * np.exp(np.cumsum(0.02 * chance.standard_normal(sessions)))
    spread = 1 + 0.01 * chance.random((3, sessions))
    table = pd.DataFrame(
        {"open": close / spread[0], "high": close * spread[1], "low": close / spread[0] / spread[2]}
    )
    table["close"], table["volume"] = close, chance.integers(1, 10**9, sessions).astype(float)
    table["dividend"], table["split"] = 0.0, 1.0
    table.index = pd.bdate_range(start, periods=sessions).as_unit("s").rename("session")
    return table


def ask(symbol: str, mic: str = "XNYS", start: date = START, end: date = END) -> PriceRequest:
    return PriceRequest(symbol, mic, "USD" if mic else "", start, end)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    stay_on_this_machine(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        forget_yfinance()
    yield
    forget_yfinance()


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn({f"S{number}": Listing(table_of(seed=number)) for number in range(9)}) as stand_in:
        yield stand_in


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def yahoo(service: StandIn, time: Time) -> YahooSource:
    return YahooSource(service.url, QUICK, time.waiting())


def served(source: YahooSource, request: PriceRequest) -> Bars:
    return source.fetch(request, NOW)


def edited(service: StandIn, symbol: str, edit: Callable[[dict[str, Any]], None]) -> bytes:
    """Return an answer of the stand-in with its result changed."""
    listing = service.listings[symbol]
    result = chart_result(symbol, listing, np.ones(len(listing.table), dtype=bool))
    edit(result)
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def refusal(source: YahooSource, request: PriceRequest) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.fetch(request, NOW)
    return caught.value


# What comes through


def test_bars_arrive_as_they_were_served(service: StandIn, yahoo: YahooSource) -> None:
    bars = served(yahoo, ask("S0"))
    pd.testing.assert_frame_equal(
        bars.table, service.listings["S0"].table, check_freq=False, check_exact=True
    )
    assert (bars.symbol, bars.currency, bars.fetched_at, bars.synthetic) == ("S0", "USD", NOW, False)


@given(
    seed=st.integers(0, 10**6),
    dividends=st.dictionaries(st.integers(1, 29), st.floats(0.01, 1.0), max_size=4),
    splits=st.dictionaries(st.integers(1, 29), st.sampled_from([0.1, 0.5, 1.5, 2.0, 10.0]), max_size=2),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_arrive_on_their_sessions(
    service: StandIn, yahoo: YahooSource, seed: int, dividends: dict[int, float], splits: dict[int, float]
) -> None:
    table = table_of(seed=seed)
    for column, events in (("dividend", dividends), ("split", splits)):
        for row, value in events.items():
            table.iloc[row, COLUMNS.index(column)] = value
    service.listings["S0"] = Listing(table)
    pd.testing.assert_frame_equal(served(yahoo, ask("S0")).table, table, check_freq=False, rtol=1e-15)


@pytest.mark.parametrize(
    ("symbol", "mic", "zone", "currency"),
    [
        ("6762.T", "XTKS", "Asia/Tokyo", "JPY"),
        ("LYC.AX", "XASX", "Australia/Sydney", "AUD"),
        ("300748.SZ", "XSHE", "Asia/Shanghai", "CNY"),
        ("RBW.L", "XLON", "Europe/London", "GBp"),
        ("ARA.TO", "XTSE", "America/Toronto", "CAD"),
    ],
)
def test_exchanges_keep_their_dates_and_currencies_with_one_request_a_symbol(
    service: StandIn, yahoo: YahooSource, symbol: str, mic: str, zone: str, currency: str
) -> None:
    service.listings[symbol] = Listing(table_of(260), currency, zone)  # both clock changes are inside
    bars = served(yahoo, ask(symbol, mic, end=date(2025, 12, 31)))
    assert bars.currency == currency
    pd.testing.assert_index_equal(bars.table.index, service.listings[symbol].table.index, exact="equiv")
    assert len(service.charts(symbol)) == 1


def test_a_currency_pair_is_dated_in_london_and_has_no_volume(service: StandIn, yahoo: YahooSource) -> None:
    service.listings["JPY=X"] = Listing(table_of(260).assign(volume=0.0), "JPY", "Europe/London")
    bars = served(yahoo, ask("JPY=X", "", end=date(2025, 12, 31)))
    assert bars.table["volume"].isna().all()
    assert bars.table.index.equals(service.listings["JPY=X"].table.index)


def test_what_the_service_does_not_know_is_unknown_not_zero(service: StandIn, yahoo: YahooSource) -> None:
    table = table_of()
    table[["open", "high", "low", "volume"]] = np.nan
    service.listings["S0"] = Listing(table)
    pd.testing.assert_frame_equal(served(yahoo, ask("S0")).table, table, check_freq=False, check_exact=True)


def test_a_session_without_trades_has_volume_zero(service: StandIn, yahoo: YahooSource) -> None:
    service.listings["S0"].table.iloc[7, COLUMNS.index("volume")] = 0.0
    assert served(yahoo, ask("S0")).table["volume"].iloc[7] == 0


def test_a_row_without_a_close_is_dropped_and_its_dividend_goes_to_the_next(
    service: StandIn, yahoo: YahooSource
) -> None:
    table = service.listings["S0"].table
    table.iloc[10, :4] = np.nan
    table.iloc[10, COLUMNS.index("dividend")] = 0.25
    table.iloc[-1, :4] = np.nan
    got = served(yahoo, ask("S0")).table
    assert got.index.equals(table.index.delete([10, 29]))
    assert got["dividend"].loc[table.index[11]] == 0.25
    assert got["dividend"].sum() == 0.25


def test_a_dividend_stated_in_pounds_is_turned_into_the_pence_of_its_price(
    service: StandIn, yahoo: YahooSource
) -> None:
    table = table_of()
    table.iloc[4, COLUMNS.index("dividend")] = 0.12
    service.listings["X.L"] = Listing(table, "GBp", "Europe/London", dividend_currency="GBP")
    assert served(yahoo, ask("X.L", "XLON")).table["dividend"].iloc[4] == pytest.approx(12.0, rel=1e-12)


def test_a_dividend_in_quite_another_currency_is_refused(service: StandIn, yahoo: YahooSource) -> None:
    table = table_of()
    table.iloc[4, COLUMNS.index("dividend")] = 0.12
    service.listings["S0"] = Listing(table, "USD", dividend_currency="VND")
    error = refusal(yahoo, ask("S0"))
    assert error.outcome == "malformed"
    assert "2024-01-08 is in VND, the price in USD" in str(error)


def test_only_the_span_asked_for_is_downloaded_and_kept(service: StandIn, yahoo: YahooSource) -> None:
    start, end = date(2024, 1, 22), date(2024, 1, 31)
    got = served(yahoo, ask("S0", start=start, end=end)).table
    assert [got.index[0].date(), got.index[-1].date()] == [start, end]
    (query,) = service.charts("S0")
    assert int(query["period1"]) == pd.Timestamp(start, tz="America/New_York").timestamp()
    assert query["interval"] == "1d"


@pytest.mark.parametrize("start", [date(2024, 3, 1), date(2090, 1, 1)])
def test_a_span_without_rows_is_no_data(yahoo: YahooSource, start: date) -> None:
    assert refusal(yahoo, ask("S0", start=start, end=date(2099, 1, 1))).outcome == "no data"


def test_a_span_that_ended_before_the_rows_is_no_data(yahoo: YahooSource) -> None:
    assert refusal(yahoo, ask("S0", start=date(2023, 1, 1), end=date(2023, 12, 31))).outcome == "no data"


def test_an_answer_without_adjusted_closes_is_as_good(service: StandIn, yahoo: YahooSource) -> None:
    service.misbehave("S0", "no adjclose")
    assert served(yahoo, ask("S0")).table["close"].equals(service.listings["S0"].table["close"])


def test_the_adjusted_close_is_yahoos_and_none_where_it_serves_none(
    service: StandIn, yahoo: YahooSource
) -> None:
    table = service.listings["S0"].table
    table.iloc[20, COLUMNS.index("dividend")] = 0.3
    adjusted = served(yahoo, ask("S0")).adjusted
    assert adjusted is not None
    expected = adjusted_close(table)
    pd.testing.assert_series_equal(adjusted, expected, check_names=False, check_freq=False, rtol=1e-12)
    service.misbehave("S0", "no adjclose")
    assert served(yahoo, ask("S0")).adjusted is None


def test_where_the_service_names_no_currency_the_universe_does(service: StandIn, yahoo: YahooSource) -> None:
    service.listings["S0"] = Listing(table_of(), currency=None)
    assert served(yahoo, ask("S0")).currency == "USD"


# What goes wrong, by its true name


@pytest.mark.parametrize(
    ("fault", "outcome", "said", "attempts"),
    [
        ("404", "no such symbol", "No data found, symbol may be delisted", 1),
        ("null", "no such symbol", "Yahoo knows no S0", 1),
        ("no rows", "no data", "Data doesn't exist", 1),
        ("429", "rate limited", "too many requests", 4),
        ("401", "unreachable", "HTTP 401", 4),
        ("500", "unreachable", "HTTP 500", 4),
        ("404 page", "unreachable", "HTTP 404", 4),
        ("html", "unreachable", "a web page", 4),
        ("down", "unreachable", "a web page", 4),
        ("cut", "unreachable", "missing", 2),
        ("hang", "timed out", "did not finish", 3),
        ("consent", "unreachable", "a web page", 4),
        ("drip", "timed out", "did not finish", 3),
        ("reset", "unreachable", "", 2),
        ("empty result", "no such symbol", "Yahoo knows no S0", 1),
        ("wrong zone", "malformed", "by Asia/Tokyo, the exchange keeps America/New_York", 1),
        ("empty", "malformed", "0 characters", 2),
        ("truncated", "malformed", "breaks off", 2),
        ("no timestamp", "malformed", "lacks 'timestamp'", 2),
        ("no closes", "malformed", "lacks 'quote'", 2),
        ("no currency", "malformed", "lacks 'currency'", 2),
    ],
)
def test_each_failure_has_its_outcome_and_its_number_of_attempts(
    service: StandIn, yahoo: YahooSource, time: Time, fault: str, outcome: str, said: str, attempts: int
) -> None:
    service.misbehave("S0", fault)
    error = refusal(yahoo, ask("S0"))
    assert (error.outcome, said in str(error)) == (outcome, True)
    assert f"({attempts} attempts)" in str(error) or attempts == 1
    assert time.naps == [2.0, 4.0, 8.0][: attempts - 1]  # the pause grows; chance was 1 throughout
    assert len(served(yahoo, ask("S1")).table) == 30


def test_another_name_of_the_same_clock_is_no_fault(service: StandIn, yahoo: YahooSource) -> None:
    service.listings["S0"] = Listing(table_of(), zone="America/Detroit")
    assert len(served(yahoo, ask("S0")).table) == 30


def test_a_newest_row_without_prices_is_dropped_and_said(service: StandIn, yahoo: YahooSource) -> None:
    service.misbehave("S0", "newest null")
    bars = served(yahoo, ask("S0"))
    dropped = service.listings["S0"].table.index[-1]
    assert bars.table.index[-1] < dropped
    assert bars.notes == (f"newest row dropped: {dropped.date()} has a volume and no prices",)
    assert served(yahoo, ask("S1")).notes == ()


def test_rows_in_any_order_arrive_in_order_and_it_is_said(service: StandIn, yahoo: YahooSource) -> None:
    service.misbehave("S0", "backwards")
    bars = served(yahoo, ask("S0"))
    honest = service.listings["S0"].table
    pd.testing.assert_frame_equal(bars.table, honest, check_freq=False, check_exact=True)
    assert bars.notes == ("rows came out of order and were sorted",)


def test_a_row_sent_twice_arrives_once_and_it_is_said(service: StandIn, yahoo: YahooSource) -> None:
    service.misbehave("S0", "row again")
    bars = served(yahoo, ask("S0"))
    honest = service.listings["S0"].table
    pd.testing.assert_frame_equal(bars.table, honest, check_freq=False, check_exact=True)
    assert bars.notes == (f"rows that came twice kept once: 1, the newest of {honest.index[-3].date()}",)


def test_a_date_with_two_different_rows_is_left_out_and_said_and_its_dividend_goes_to_the_next(
    service: StandIn, yahoo: YahooSource
) -> None:
    table = service.listings["S0"].table
    day, following = table.index[-3:-1]
    table.loc[day, "dividend"] = 0.5
    service.misbehave("S0", "row contradicted")
    bars = served(yahoo, ask("S0"))
    assert list(bars.table.index) == list(table.index.drop(day))
    assert bars.table.loc[following, "dividend"] == 0.5
    assert bars.adjusted is not None and day not in bars.adjusted.index
    (said,) = bars.notes
    closes = table.loc[day, "close"]
    assert said.endswith(f"left out: 1, the newest {day.date()} (closes {closes:g} and {closes * 1.1:g})")


def test_a_midnight_an_hour_early_is_not_the_day_before(service: StandIn, yahoo: YahooSource) -> None:
    table = table_of()
    service.listings["S0"] = Listing(table, zone="Europe/London")  # rows at midnight, so far

    def an_hour_early(result: dict[str, Any]) -> None:
        result["timestamp"][-5] -= 3600

    service.recorded["S0"] = edited(service, "S0", an_hour_early)
    bars = served(yahoo, replace(ask("S0"), mic="XLON"))
    assert list(bars.table.index) == list(table.index)
    assert bars.notes == ()


def test_of_two_rows_of_the_newest_date_the_later_one_counts_and_nothing_is_wrong(
    service: StandIn, yahoo: YahooSource
) -> None:
    service.misbehave("S0", "live row")
    bars = served(yahoo, ask("S0"))
    honest = service.listings["S0"].table.copy()
    honest.iloc[-1, honest.columns.get_loc("volume")] += 1
    pd.testing.assert_frame_equal(bars.table, honest, check_freq=False, check_exact=True)
    assert bars.notes == ()


def test_a_budget_that_is_spent_ends_the_asking(service: StandIn, time: Time) -> None:
    yahoo = YahooSource(service.url, replace(QUICK, budget=5), time.waiting())
    for number in range(3):  # the first costs a cookie and a crumb beside it
        served(yahoo, ask(f"S{number}"))
    error = refusal(yahoo, ask("S3"))
    assert (error.outcome, len(service.seen)) == ("rate limited", 5)
    assert str(error) == "not asked: the 5 requests of this run are spent; run again to go on"


def test_yfinances_caches_lie_where_they_are_told_and_save_the_next_run_a_cookie(
    service: StandIn, tmp_path: Path, time: Time
) -> None:
    for asked_for_cookies in (1, 0):
        forget_yfinance()
        service.seen.clear()
        yahoo = YahooSource(service.url, QUICK, time.waiting(), tmp_path / "yfinance")
        for number in range(3):
            served(yahoo, ask(f"S{number}"))
        assert [each.host for each in service.seen].count("fc.yahoo.com") == asked_for_cookies
    folder = tmp_path / "yfinance" / yahoo.identity.replace(":", "-")
    assert {each.name for each in folder.iterdir()} >= {"cookies.db", "tkr-tz.db"}
    assert folder.stat().st_mode & 0o077 == 0  # cookies are pickles


@pytest.mark.parametrize("name", ["cookies.db", "tkr-tz.db"])
def test_a_broken_cache_of_yfinances_costs_no_symbol(
    service: StandIn, tmp_path: Path, time: Time, name: str
) -> None:
    yahoo = YahooSource(service.url, QUICK, time.waiting(), tmp_path)
    folder = tmp_path / yahoo.identity.replace(":", "-")
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"no database at all" * 100)
    assert len(served(yahoo, ask("S0")).table) == 30
    assert refusal(yahoo, ask("NOPE", mic="XXXX")).outcome == "no such symbol"  # yfinance asks for its zone


def test_an_unknown_symbol_is_no_such_symbol(yahoo: YahooSource, time: Time) -> None:
    assert refusal(yahoo, ask("NOPE")).outcome == "no such symbol"
    assert time.naps == []


@pytest.mark.parametrize("fault", ["429", "500", "html", "truncated", "hang", "cut", "401"])
def test_a_failure_that_passes_is_not_seen(service: StandIn, yahoo: YahooSource, fault: str) -> None:
    service.misbehave("S0", fault, times=1)
    assert len(served(yahoo, ask("S0")).table) == 30


def test_retry_after_is_waited_for(service: StandIn, yahoo: YahooSource, time: Time) -> None:
    service.misbehave("S0", "429 7", times=1)
    served(yahoo, ask("S0"))
    assert sum(time.naps) == pytest.approx(7.0)


def test_a_rest_longer_than_our_patience_ends_the_asking(
    service: StandIn, yahoo: YahooSource, time: Time
) -> None:
    service.misbehave("*", "429 3600")
    assert "wait 3600 s" in str(refusal(yahoo, ask("S0")))
    assert "not asked after a symbol failed" in str(refusal(yahoo, ask("S1")))
    assert time.naps == []
    assert (len(service.charts("S0")), len(service.charts("S1"))) == (1, 0)


@pytest.mark.parametrize("fault", ["500", "429"])
def test_after_five_symbols_in_a_row_the_others_are_not_asked(
    service: StandIn, yahoo: YahooSource, fault: str
) -> None:
    service.misbehave("*", fault)
    first = [refusal(yahoo, ask(f"S{number}")) for number in range(5)]
    rest = [refusal(yahoo, ask(f"S{number}")) for number in range(5, 9)]
    assert {each.outcome for each in first + rest} == {first[0].outcome}
    assert all("not asked after 5 symbols in a row failed" in str(each) for each in rest)
    assert not service.charts("S5")


def test_one_symbol_that_works_starts_the_count_anew(service: StandIn, yahoo: YahooSource) -> None:
    for number in (0, 1, 2, 3, 5, 6, 7, 8):
        service.misbehave(f"S{number}", "500")
    for number in range(9):
        if number == 4:
            served(yahoo, ask("S4"))
        else:
            assert "not asked" not in str(refusal(yahoo, ask(f"S{number}")))


def test_unknown_symbols_say_nothing_about_the_service(yahoo: YahooSource) -> None:
    for number in range(6):
        assert refusal(yahoo, ask(f"NOPE{number}")).outcome == "no such symbol"
    assert len(served(yahoo, ask("S0")).table) == 30


def test_without_a_network_every_symbol_fails_soon_and_says_why(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    asked: list[str] = []

    def unresolvable(self: Any, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(url.split("/")[2])
        host = asked[-1]
        raise DNSError(
            f"Failed to perform, curl: (6) Could not resolve host: {host}. See https://curl.se/x", 6
        )

    monkeypatch.setattr(Session, "request", unresolvable)
    yahoo = YahooSource(waiting=time.waiting(chance=0.5))
    errors = [refusal(yahoo, ask(f"S{number}")) for number in range(40)]
    assert {each.outcome for each in errors} == {"unreachable"}
    assert str(errors[0]) == "Could not resolve host: query2.finance.yahoo.com (2 attempts)"
    assert str(errors[-1]).startswith("not asked after 5 symbols in a row failed: Could not resolve host")
    assert asked.count("query2.finance.yahoo.com") == 10
    assert asked.count("fc.yahoo.com") == asked.count("guce.yahoo.com") == 1
    assert sum(time.naps) < 10


def test_a_port_where_nobody_listens_is_unreachable(time: Time) -> None:
    with StandIn({}) as gone:
        address = gone.url
    error = refusal(YahooSource(address, QUICK, time.waiting()), ask("S0"))
    assert error.outcome == "unreachable"
    assert "ould not connect" in str(error)


def test_prices_come_even_where_the_cookie_hosts_are_blocked(
    monkeypatch: pytest.MonkeyPatch, service: StandIn, yahoo: YahooSource
) -> None:
    through: Callable[..., Any] = Session.request
    blocked: list[str] = []

    def blocking(self: Any, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        host = (kwargs.get("headers") or {}).get("X-Standin-Host")
        if host in ("fc.yahoo.com", "guce.yahoo.com"):
            blocked.append(host)
            raise RequestException("Failed to perform, curl: (28) Connection timed out after 5000 ms", 28)
        return through(self, method, url, *args, **kwargs)

    monkeypatch.setattr(Session, "request", blocking)
    assert all(len(served(yahoo, ask(f"S{number}")).table) == 30 for number in range(4))
    assert sorted(blocked) == ["fc.yahoo.com", "guce.yahoo.com"]  # each waited for once in the whole run


def test_prices_come_even_where_crumbs_are_rationed(service: StandIn, yahoo: YahooSource, time: Time) -> None:
    service.crumb = Reply(429, b"Too Many Requests", {"Retry-After": "3600"}, "text/plain")
    assert all(len(served(yahoo, ask(f"S{number}")).table) == 30 for number in range(4))
    assert time.naps == []


# Ahead


def test_the_next_request_is_under_way_while_an_answer_is_read(service: StandIn, yahoo: YahooSource) -> None:
    asked = [ask(f"S{number}") for number in range(5)]
    yahoo.expect(asked)
    served(yahoo, asked[0])
    wait_for(lambda: bool(service.charts("S1")))
    for number, request in enumerate(asked):
        if number:
            expected = service.listings[f"S{number}"].table
            pd.testing.assert_frame_equal(served(yahoo, request).table, expected, check_freq=False)
    assert [len(service.charts(f"S{number}")) for number in range(6)] == [1, 1, 1, 1, 1, 0]


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        real_time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.parametrize("fault", ["429", "500", "hang", "reset", "html", "empty"])
def test_a_failure_met_ahead_is_a_failure_like_any_other(
    service: StandIn, yahoo: YahooSource, time: Time, fault: str
) -> None:
    service.misbehave("S1", fault)
    asked = [ask(f"S{number}") for number in range(3)]
    yahoo.expect(asked)
    served(yahoo, asked[0])
    ahead = refusal(yahoo, asked[1])
    assert len(served(yahoo, asked[2]).table) == 30
    service.misbehave("S4", fault)
    alone = refusal(yahoo, ask("S4"))
    assert (ahead.outcome, str(ahead)) == (alone.outcome, str(alone).replace("S4", "S1"))
    assert len(service.charts("S1")) == len(service.charts("S4"))


def test_another_span_or_exchange_is_not_asked_ahead(service: StandIn, yahoo: YahooSource) -> None:
    service.listings["T"] = Listing(table_of(), "JPY", "Asia/Tokyo")
    asked = [ask("S0"), ask("S1", start=date(2024, 1, 22)), ask("T", "XTKS", start=date(2024, 1, 22))]
    yahoo.expect(asked)
    assert [len(served(yahoo, each).table) for each in asked] == [30, 16, 16]
    assert [len(service.charts(each.symbol)) for each in asked] == [1, 1, 1]


def test_nothing_is_asked_ahead_of_the_budget(service: StandIn, time: Time) -> None:
    yahoo = YahooSource(service.url, replace(QUICK, budget=4), time.waiting())
    asked = [ask(f"S{number}") for number in range(4)]
    yahoo.expect(asked)
    served(yahoo, asked[0])
    assert "not asked" in str(refusal(yahoo, asked[1])) or len(service.seen) <= 4
    assert len(service.seen) <= 4


# Manners


def test_requests_go_out_two_a_second(time: Time) -> None:
    pace = Pace(0.5, lambda: time.now, time.sleep)
    began = time.now
    for _ in range(12):
        pace.wait()
    assert time.now - began == pytest.approx((12 - 2) / 2)


def test_time_that_passed_anyway_is_not_waited_for_again(time: Time) -> None:
    pace = Pace(0.5, lambda: time.now, time.sleep)
    for _ in range(12):
        pace.wait()
        time.now += 3.0
    assert time.naps == []


def test_the_real_service_is_asked_at_two_requests_a_second_and_a_stand_in_at_once() -> None:
    universe = Universe("u", "u", "u", {}, {}, {}, {}, {})
    real = open_source(SourceSettings(universe))
    near = open_source(SourceSettings(universe, base_url="http://127.0.0.1:80"))
    assert isinstance(real, YahooSource) and isinstance(near, YahooSource)
    assert (real._manners.interval, near._manners.interval) == (0.5, 0)


@pytest.mark.parametrize(
    ("base_url", "identity"),
    [
        ("", "yahoo"),
        ("http://127.0.0.1:8123", "yahoo:127.0.0.1:8123"),
        ("http://localhost:8123/", "yahoo:127.0.0.1:8123"),
        ("http://[::1]:8123", "yahoo:[::1]:8123"),
    ],
)
def test_rows_of_a_stand_in_are_kept_apart_from_yahoos(base_url: str, identity: str) -> None:
    source = open_source(SourceSettings(Universe("u", "u", "u", {}, {}, {}, {}, {}), base_url=base_url))
    assert source.identity == identity
    assert source.version(ask("S0")) == ""
    assert source.synthetic is False


@pytest.mark.parametrize(
    "base_url",
    [
        "http://example.com",
        "http://10.0.0.1:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1@example.com:80",
        "http://127.0.0.1:80@example.com",
        "http://user@127.0.0.1:80",
        "http://127.0.0.1.example.com:80",
        "http://127.0.0.1:80/path",
        "http://127.0.0.1:80?x=1",
        "http://127.0.0.1:99999",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "http://",
        "nonsense",
    ],
)
def test_only_this_machine_may_stand_in(base_url: str) -> None:
    with pytest.raises(UserError, match="SCREENER_YAHOO_URL"):
        open_source(SourceSettings(Universe("u", "u", "u", {}, {}, {}, {}, {}), base_url=base_url))


def test_every_request_reaches_the_stand_in_and_knows_its_host(service: StandIn, yahoo: YahooSource) -> None:
    served(yahoo, ask("S0"))
    refusal(yahoo, ask("NOPE"))
    assert {each.host for each in service.seen} == {
        "fc.yahoo.com",
        "query1.finance.yahoo.com",
        "query2.finance.yahoo.com",
    }


def test_a_proxy_of_the_environment_does_not_come_between(
    monkeypatch: pytest.MonkeyPatch, yahoo: YahooSource
) -> None:
    for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(served(yahoo, ask("S0")).table) == 30


def test_yfinance_is_left_as_it_was_found_and_says_nothing(
    service: StandIn, yahoo: YahooSource, capfd: pytest.CaptureFixture[str]
) -> None:
    import yfinance
    from yfinance import cache

    def state() -> tuple[Any, ...]:
        debug, network = yfinance.config.debug, yfinance.config.network
        caches = cache._TzCacheManager._tz_cache, cache._CookieCacheManager._Cookie_cache
        return (
            debug.hide_exceptions,
            network.retries,
            caches,
            logging.getLogger("yfinance").level,
            warnings.filters[:],
        )

    before = state()
    served(yahoo, ask("S0"))
    service.misbehave("S1", "html")
    refusal(yahoo, ask("S1"))
    refusal(yahoo, ask("NOPE", mic="XXXX"))  # no zone: yfinance goes looking for one
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_nothing_heavy_is_imported_before_the_first_symbol() -> None:
    code = (
        "import sys, screener.market.sources.yahoo as y; y.YahooSource();"
        "print({'yfinance', 'curl_cffi'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "set()"


# Answers recorded from the real service


@pytest.mark.skipif(not RECORDED.is_dir(), reason="recorded answers belong beside the project in ../shared")
def test_recorded_answers_are_understood(service: StandIn, yahoo: YahooSource) -> None:
    seen = {"split": 0, "dividend": 0, "no data": 0}
    for path in sorted(RECORDED.glob("*.json")):
        answer = json.loads(path.read_text(encoding="utf-8"))
        results = (answer["body"].get("chart") or {}).get("result") if answer["status"] == 200 else None
        if not results or results[0]["meta"]["dataGranularity"] != "1d":
            continue
        symbol, result = path.stem, results[0]
        service.recorded[symbol.upper()] = json.dumps(answer["body"]).encode()
        try:
            bars = served(yahoo, PriceRequest(symbol, "", "", date(1990, 1, 1), date(2026, 7, 10)))
        except SourceError as error:
            assert error.outcome in ("no data", "malformed"), path.name
            assert "timestamp" not in result, path.name
            seen["no data"] += 1
            continue
        closes = [each for each in result["indicators"]["quote"][0]["close"] if each is not None]
        assert bars.table["close"].tolist() == closes, path.name
        assert bars.currency == result["meta"]["currency"]
        for kind, column, empty in (("dividends", "dividend", 0.0), ("splits", "split", 1.0)):
            events = (result.get("events") or {}).get(kind, {})
            assert int((bars.table[column] != empty).sum()) == len(events), path.name
            seen[column] += len(events)
    assert all(seen.values())


# The stand-in in a person's hands


def test_a_folder_of_files_can_be_served_from_the_command_line(tmp_path: Path, time: Time) -> None:
    (tmp_path / "6762.T.csv").write_text("date,close\n2024-01-04,2000\n2024-01-05,2010\n", encoding="utf-8")
    (tmp_path / "AUDUSD=X.csv").write_text("date,close\n2024-01-04,0.67\n", encoding="utf-8")
    command = [sys.executable, "-m", "tests.stand_in_yahoo", "--prices", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            announced = server.stdout.readline().strip()
            yahoo = YahooSource(announced.rpartition("SCREENER_YAHOO_URL=")[2], QUICK, time.waiting())
            tdk, dollars = served(yahoo, ask("6762.T", "XTKS")), served(yahoo, ask("AUDUSD=X", ""))
        finally:
            server.terminate()
    assert announced.startswith("2 symbols of")
    assert (tdk.currency, dollars.currency) == ("JPY", "USD")
    assert tdk.table["close"].tolist() == [2000.0, 2010.0]
    assert tdk.table[["open", "high", "low", "volume"]].isna().all(axis=None)


# What Yahoo states of companies


def statement_refusal(yahoo: YahooSource, symbol: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        yahoo.fundamentals(symbol)
    return caught.value


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("429", "rate limited"), ("500", "unreachable"), ("html", "malformed"), ("truncated", "malformed")],
)
def test_a_statement_that_fails_says_what_failed(
    service: StandIn, yahoo: YahooSource, fault: str, outcome: str
) -> None:
    service.summary_fault = fault
    failure = statement_refusal(yahoo, "MP")
    assert failure.outcome == outcome and "MP" in str(failure)


def test_a_company_that_yahoo_does_not_know_is_no_such_symbol(yahoo: YahooSource) -> None:
    assert statement_refusal(yahoo, "NOPE").outcome == "no such symbol"


def test_after_five_statements_in_a_row_the_others_are_not_asked(
    service: StandIn, yahoo: YahooSource
) -> None:
    service.summary_fault = "429"
    for _ in range(5):
        statement_refusal(yahoo, "MP")
    asked = len(service.seen)
    failure = statement_refusal(yahoo, "MP")
    assert failure.outcome == "rate limited" and "not asked after 5 symbols in a row" in str(failure)
    assert len(service.seen) == asked
