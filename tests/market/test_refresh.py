"""What a refresh asks, what it makes of the answer, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screener.errors import SourceError
from screener.market.bars import Bars
from screener.market.refresh import BATCH, refresh
from screener.market.sessions import sessions_between
from screener.market.sources import PriceRequest
from screener.market.store import Store
from tests.market.test_store import NOW, SPAN, Vendor, until


class Careless(Vendor):
    """A vendor that revises, forgets and refuses on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.revised: dict[str, tuple[str, float]] = {}  # session → column and what is added
        self.unknown: set[str] = set()
        self.newest = date(2099, 1, 1)  # it has no row later than this
        self.dies_after = 10**9

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        if len(self.asked) >= self.dies_after:
            raise SourceError("rate limited", "too many requests")
        if request.symbol in self.unknown:
            self.asked.append(request)
            raise SourceError("no such symbol", "never heard of it")
        bars = super().fetch(request, now)
        table = bars.table[bars.table.index <= pd.Timestamp(self.newest)].copy()
        for session, (column, added) in self.revised.items():
            if pd.Timestamp(session) in table.index:
                table.loc[session, column] += added
        return replace(bars, table=table)


@pytest.fixture
def vendor() -> Careless:
    return Careless()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.duckdb"


def again(path: Path, vendor: Vendor, request: PriceRequest = SPAN, now: datetime = NOW) -> str:
    with Store.open(path) as store:
        return refresh(store, vendor, [request], now)["AAA"].detail


def first(path: Path, vendor: Vendor) -> None:
    again(path, vendor, until(date(2026, 7, 2)), NOW - timedelta(days=8))


@pytest.mark.parametrize(
    ("column", "added", "said"),
    [
        ("close", 0.5, "restated: 1 of 375 rows changed (close), 0 withdrawn, from 2026-06-30, close ratio"),
        ("dividend", 0.25, "restated: 1 of 375 rows changed (dividend), 0 withdrawn, from 2026-06-30"),
        ("volume", 7.0, "volume revised on 1 sessions from 2026-06-30"),
    ],
)
def test_what_changed_is_said_by_name(
    path: Path, vendor: Careless, column: str, added: float, said: str
) -> None:
    first(path, vendor)
    vendor.revised["2026-06-30"] = (column, added)
    assert again(path, vendor).startswith(said)
    with Store.open(path, read_only=True) as store:
        now = store.load("vendor", ["AAA"])["AAA"].table.loc["2026-06-30", column]
        then = store.load("vendor", ["AAA"], known_at=NOW - timedelta(days=7))["AAA"].table
    assert now - then.loc["2026-06-30", column] == pytest.approx(added)


def test_a_split_that_came_late_is_called_one(path: Path, vendor: Careless) -> None:
    first(path, vendor)
    vendor.level = 0.1
    assert again(path, vendor).endswith("close ratio 0.1: a split that came late")


def test_revised_volumes_alone_cost_no_second_request(path: Path, vendor: Careless) -> None:
    first(path, vendor)
    vendor.revised["2026-07-01"] = ("volume", 7.0)
    again(path, vendor)
    assert len(vendor.asked) == 2


def test_what_was_corrected_long_ago_is_found_within_four_weeks(path: Path, vendor: Careless) -> None:
    first(path, vendor)
    vendor.revised["2025-03-03"] = ("dividend", 0.3)  # long before any overlap
    assert again(path, vendor) == ""
    later = replace(SPAN, end=date(2026, 8, 7))
    assert "(dividend)" in again(path, vendor, later, datetime(2026, 8, 8, 6, tzinfo=UTC))
    assert vendor.asked[-1].start == SPAN.start


def test_a_newest_session_without_a_bar_is_asked_for_again_the_same_day(path: Path, vendor: Careless) -> None:
    vendor.newest = date(2026, 7, 9)
    again(path, vendor)
    vendor.newest = date(2099, 1, 1)
    again(path, vendor, now=NOW + timedelta(hours=2))
    with Store.open(path, read_only=True) as store:
        assert store.load("vendor", ["AAA"])["AAA"].table.index[-1] == pd.Timestamp("2026-07-10")
    with Store.open(path) as store:
        assert refresh(store, vendor, [SPAN], NOW)["AAA"].outcome == "up to date"


@pytest.mark.parametrize(
    ("mic", "session", "closed"),
    [
        ("XNYS", date(2026, 7, 9), datetime(2026, 7, 9, 20, 0, tzinfo=UTC)),
        ("XNYS", date(2025, 11, 28), datetime(2025, 11, 28, 18, 0, tzinfo=UTC)),  # half a day
        ("XTKS", date(2026, 7, 9), datetime(2026, 7, 9, 6, 30, tzinfo=UTC)),
        ("XTKS", date(2024, 11, 1), datetime(2024, 11, 1, 6, 0, tzinfo=UTC)),  # before the longer day
        ("XASX", date(2026, 1, 8), datetime(2026, 1, 8, 5, 0, tzinfo=UTC)),  # summer time in Sydney
        ("XLON", date(2025, 12, 24), datetime(2025, 12, 24, 12, 30, tzinfo=UTC)),
        ("XSHG", date(2026, 7, 9), datetime(2026, 7, 9, 7, 0, tzinfo=UTC)),
    ],
)
def test_a_bar_is_stored_half_an_hour_after_its_exchanges_own_close_and_not_before(
    path: Path, vendor: Careless, mic: str, session: date, closed: datetime
) -> None:
    request = PriceRequest("AAA", mic, "USD", session - timedelta(days=40), session)
    for minutes, stored in ((-60, False), (29, False), (30, True)):
        with Store.open(path) as store:
            refresh(store, vendor, [request], closed + timedelta(minutes=minutes))
            last = store.load("vendor", ["AAA"])["AAA"].table.index[-1].date()
        assert (last == session) is stored


def test_a_symbol_is_gone_after_two_days_on_which_others_were_served(path: Path, vendor: Careless) -> None:
    vendor.unknown = {"BBB"}
    heard = []
    for day in range(4):
        now = NOW + timedelta(days=day)
        end = date(2026, 7, 10) + timedelta(days=day)
        others = [replace(SPAN, end=end)] if day != 1 else []  # nobody else was served on the second day
        with Store.open(path) as store:
            outcome = refresh(store, vendor, [*others, replace(SPAN, symbol="BBB")], now)["BBB"]
        heard.append((outcome.outcome, outcome.detail))
        assert outcome.failed
    assert [each for each, _ in heard] == ["no such symbol", "no such symbol", "no such symbol", "gone"]
    assert heard[0][1] == "never heard of it; refused on 2026-07-11, counts as gone after another such day"
    assert heard[3][1] == "never heard of it; gone, refused on 2026-07-11 and 2026-07-14"


def test_twice_on_one_day_is_not_two_days(path: Path, vendor: Careless) -> None:
    vendor.unknown = {"BBB"}
    for hours in (0, 5):
        with Store.open(path) as store:
            requests = [replace(SPAN, start=date(2025, 1, 2 + hours)), replace(SPAN, symbol="BBB")]
            outcome = refresh(store, vendor, requests, NOW + timedelta(hours=hours))["BBB"]
    assert outcome.outcome == "no such symbol"


def test_a_symbol_that_is_served_again_is_not_gone(path: Path, vendor: Careless) -> None:
    for day, unknown in enumerate(({"BBB"}, set(), {"BBB"})):
        vendor.unknown = unknown
        end = date(2026, 7, 8) + timedelta(days=day)
        with Store.open(path) as store:
            requests = [until(end), until(end, "BBB")]
            outcome = refresh(store, vendor, requests, NOW + timedelta(days=day))["BBB"]
    assert outcome.outcome == "no such symbol"


def test_a_run_that_is_rate_limited_half_way_keeps_its_batches_and_resumes(
    path: Path, vendor: Careless
) -> None:
    requests = [replace(SPAN, symbol=f"S{number:02}") for number in range(2 * BATCH + 5)]
    vendor.dies_after = BATCH + 3
    with Store.open(path) as store:
        limited = refresh(store, vendor, requests, NOW)
        assert len(store.load("vendor", [each.symbol for each in requests])) == BATCH + 3
    assert [each.outcome for each in limited.values()].count("rate limited") == BATCH + 2
    vendor.dies_after = 10**9
    before = len(vendor.asked)
    with Store.open(path) as store:
        resumed = refresh(store, vendor, requests, NOW + timedelta(hours=1))
    assert len(vendor.asked) - before == BATCH + 2
    assert [each.outcome for each in resumed.values()].count("up to date") == BATCH + 3


def test_an_interruption_keeps_what_had_arrived_of_its_batch(path: Path, vendor: Careless) -> None:
    vendor.dying = {"CCC"}
    with pytest.raises(KeyboardInterrupt), Store.open(path) as store:
        refresh(store, vendor, [replace(SPAN, symbol=each) for each in ("AAA", "BBB", "CCC")], NOW)
    with Store.open(path, read_only=True) as store:
        assert set(store.load("vendor", ["AAA", "BBB", "CCC"])) == {"AAA", "BBB"}


def test_a_currency_that_the_universe_does_not_expect_is_said_and_kept(path: Path, vendor: Careless) -> None:
    vendor.currency = "GBp"
    assert again(path, vendor) == "quoted in GBp, the universe says USD"
    vendor.currency = "USD"
    assert "quoted in USD now, in GBp before" in again(
        path, vendor, replace(SPAN, end=date(2026, 7, 13)), NOW + timedelta(days=3)
    )
    with Store.open(path, read_only=True) as store:
        assert store.load("vendor", ["AAA"])["AAA"].currency == "USD"
        assert store.load("vendor", ["AAA"], known_at=NOW)["AAA"].currency == "GBp"


def test_a_currency_that_flips_away_from_universe_and_store_is_refused(path: Path, vendor: Careless) -> None:
    first(path, vendor)
    vendor.currency = "GBp"
    assert again(path, vendor) == "quoted in GBp; the universe and all that is stored say USD"
    with Store.open(path, read_only=True) as store:
        bars = store.load("vendor", ["AAA"])["AAA"]
    assert bars.currency == "USD" and bars.table.index[-1].date() == date(2026, 7, 2)


def test_an_earlier_as_of_date_withdraws_nothing_that_is_stored_beyond_it(
    path: Path, vendor: Careless
) -> None:
    again(path, vendor)
    earlier = replace(SPAN, start=date(2024, 1, 2), end=date(2025, 3, 3))
    assert again(path, vendor, earlier, NOW + timedelta(hours=1)) == ""
    with Store.open(path) as store:
        table = store.load("vendor", ["AAA"])["AAA"].table
        assert refresh(store, vendor, [SPAN], NOW + timedelta(hours=2))["AAA"].outcome == "up to date"
    assert table.index.equals(sessions_between("XNYS", date(2024, 1, 2), SPAN.end))


def test_a_clock_set_back_by_days_withdraws_nothing(path: Path, vendor: Careless) -> None:
    again(path, vendor)
    vendor.fingerprint = "changed"
    assert again(path, vendor, now=NOW - timedelta(days=3)) == ""
    with Store.open(path, read_only=True) as store:
        assert store.load("vendor", ["AAA"])["AAA"].table.index[-1].date() == SPAN.end


def test_a_clock_that_was_set_back_does_not_hide_what_came_later(path: Path, vendor: Careless) -> None:
    first(path, vendor)
    vendor.level = 2.0
    again(path, vendor, now=NOW)
    vendor.level = 3.0
    vendor.fingerprint = "changed"
    again(path, vendor, now=NOW - timedelta(hours=2))
    with Store.open(path, read_only=True) as store:
        close = store.load("vendor", ["AAA"])["AAA"].table["close"]
    index = sessions_between("XNYS", SPAN.start, date(2026, 7, 10))
    np.testing.assert_allclose(close, 3.0 * (100 + (index - pd.Timestamp("2020-01-01")).days % 97))
