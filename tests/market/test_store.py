"""The store: nothing is lost, nothing is asked for twice, nothing of one source is another's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screener.errors import SourceError, UserError
from screener.market.bars import Bars, bars_table
from screener.market.refresh import refresh
from screener.market.sessions import sessions_between
from screener.market.sources import PriceRequest
from screener.market.store import Store, content_hash

NOW = datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
SPAN = PriceRequest("AAA", "XNYS", "USD", date(2025, 1, 2), date(2026, 7, 10))


class Vendor:
    """A source in memory whose truth can change and which can fail."""

    def __init__(self, identity: str = "vendor", synthetic: bool = False) -> None:
        self.identity, self.synthetic = identity, synthetic
        self.level, self.currency, self.fingerprint = 1.0, "USD", ""
        self.asked: list[PriceRequest] = []
        self.failing: set[str] = set()
        self.dying: set[str] = set()
        self.withdrawn: set[pd.Timestamp] = set()

    def version(self, request: PriceRequest) -> str:
        return self.fingerprint

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        self.asked.append(request)
        if request.symbol in self.failing:
            raise SourceError("timed out", "no answer")
        if request.symbol in self.dying:
            raise KeyboardInterrupt
        index = sessions_between(request.mic, request.start, request.end)
        index = index[~index.isin(list(self.withdrawn))]
        close = self.level * (100 + (index - pd.Timestamp("2020-01-01")).days.to_numpy() % 97)
        table = bars_table(pd.DataFrame({"close": close.astype(float), "volume": 1000.0}, index=index))
        return Bars(request.symbol, table, self.currency, self.identity, now, self.synthetic)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "prices.duckdb"


def until(day: date, symbol: str = "AAA") -> PriceRequest:
    return replace(SPAN, symbol=symbol, end=day)


def test_what_was_fetched_is_loaded_again(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        outcome = refresh(store, vendor, [SPAN], NOW)["AAA"]
    with Store.open(path, read_only=True) as store:
        bars = store.load("vendor", ["AAA", "ZZZ"])
    expected = vendor.fetch(SPAN, NOW)
    pd.testing.assert_frame_equal(bars["AAA"].table, expected.table, check_freq=False)
    assert list(bars) == ["AAA"]
    assert (outcome.outcome, outcome.rows, outcome.detail) == ("fetched", len(expected.table), "")
    assert bars["AAA"].fetched_at == NOW


def test_asking_twice_fetches_once(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        refresh(store, vendor, [SPAN], NOW)
        again = refresh(store, vendor, [SPAN], NOW + timedelta(hours=1))["AAA"]
    assert len(vendor.asked) == 1
    assert (again.outcome, again.rows) == ("up to date", 0)


def test_an_update_asks_for_a_short_overlap_and_writes_only_what_is_new(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        refresh(store, vendor, [until(date(2026, 7, 2))], NOW)
        outcome = refresh(store, vendor, [SPAN], NOW)["AAA"]
    assert vendor.asked[1].start == date(2026, 6, 18)
    assert outcome.rows == 5  # 6 to 10 July; the 3rd was a holiday


def test_a_late_split_is_noticed_and_the_whole_history_fetched_again(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        refresh(store, vendor, [until(date(2026, 7, 2))], NOW - timedelta(days=8))
        vendor.level = 0.5
        outcome = refresh(store, vendor, [SPAN], NOW)["AAA"]
        after = store.load("vendor", ["AAA"])["AAA"].table
        before = store.load("vendor", ["AAA"], known_at=NOW - timedelta(days=1))["AAA"].table
        status = store.status("vendor").loc["AAA"]
    assert [each.start for each in vendor.asked[1:]] == [date(2026, 6, 18), SPAN.start]
    assert outcome.detail.startswith("restated: ") and "close ratio 0.5" in outcome.detail
    np.testing.assert_allclose(after["close"].loc[before.index], before["close"] / 2)
    assert status["restated"] == len(before)


def test_rounding_of_the_vendor_is_no_restatement(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        refresh(store, vendor, [until(date(2026, 7, 2))], NOW)
        vendor.level = 1 + 1e-7
        outcome = refresh(store, vendor, [SPAN], NOW)["AAA"]
    assert outcome.detail == "" and len(vendor.asked) == 2


def test_a_bar_that_the_source_withdraws_does_not_come_back(path: Path) -> None:
    vendor = Vendor()
    gone = pd.Timestamp("2026-06-30")
    with Store.open(path) as store:
        refresh(store, vendor, [until(date(2026, 7, 2))], NOW - timedelta(days=8))
        vendor.withdrawn.add(gone)
        outcome = refresh(store, vendor, [SPAN], NOW)["AAA"]
        assert gone not in store.load("vendor", ["AAA"])["AAA"].table.index
        assert gone in store.load("vendor", ["AAA"], known_at=NOW - timedelta(days=1))["AAA"].table.index
    assert "1 withdrawn" in outcome.detail


def test_an_earlier_start_fetches_the_earlier_bars(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        refresh(store, vendor, [SPAN], NOW)
        earlier = replace(SPAN, start=date(2024, 1, 2))
        assert refresh(store, vendor, [earlier], NOW)["AAA"].rows == len(
            sessions_between("XNYS", date(2024, 1, 2), date(2025, 1, 1))
        )
        assert refresh(store, vendor, [SPAN], NOW)["AAA"].outcome == "up to date"


def test_a_changed_fingerprint_fetches_again(path: Path) -> None:
    vendor = Vendor()
    vendor.fingerprint = "one"
    with Store.open(path) as store:
        refresh(store, vendor, [SPAN], NOW)
        assert refresh(store, vendor, [SPAN], NOW)["AAA"].outcome == "up to date"
        vendor.fingerprint, vendor.level = "two", 3.0
        assert refresh(store, vendor, [SPAN], NOW + timedelta(hours=1))["AAA"].rows == 380


def test_the_bar_of_a_session_still_open_is_not_stored(path: Path) -> None:
    noon = datetime(2026, 7, 10, 16, 0, tzinfo=UTC)
    with Store.open(path) as store:
        refresh(store, Vendor(), [SPAN], noon)
        assert store.load("vendor", ["AAA"])["AAA"].table.index[-1] == pd.Timestamp("2026-07-09")
        evening = datetime(2026, 7, 10, 20, 31, tzinfo=UTC)
        assert refresh(store, Vendor(), [SPAN], evening)["AAA"].rows == 1


def test_a_symbol_that_fails_keeps_what_it_had_and_the_others_go_on(path: Path) -> None:
    vendor = Vendor()
    both = [until(date(2026, 7, 2)), until(date(2026, 7, 2), "BBB")]
    with Store.open(path) as store:
        refresh(store, vendor, both, NOW)
        vendor.failing = {"AAA"}
        outcomes = refresh(store, vendor, [SPAN, replace(SPAN, symbol="BBB")], NOW)
        bars = store.load("vendor", ["AAA", "BBB"])
        status = store.status("vendor")
    assert outcomes["AAA"].failed and outcomes["AAA"].outcome == "timed out"
    assert outcomes["BBB"].rows == 5
    assert bars["AAA"].table.index[-1] == pd.Timestamp("2026-07-02")
    assert status.loc["AAA", "outcome"] == "timed out" and status.loc["BBB", "outcome"] == "fetched"


def test_a_run_that_is_stopped_half_way_goes_on_where_it_was(path: Path) -> None:
    vendor = Vendor()
    requests = [replace(SPAN, symbol=symbol) for symbol in ("AAA", "BBB", "CCC")]
    vendor.dying = {"BBB"}
    with pytest.raises(KeyboardInterrupt), Store.open(path) as store:
        refresh(store, vendor, requests, NOW)
    vendor.dying = set()
    with Store.open(path) as store:
        outcomes = refresh(store, vendor, requests, NOW)
    assert [each.outcome for each in outcomes.values()] == ["up to date", "fetched", "fetched"]


def test_the_vendors_adjusted_close_is_kept_from_the_last_whole_history(path: Path) -> None:
    vendor = Vendor()
    fetch = vendor.fetch

    def adjusting(request: PriceRequest, now: datetime) -> Bars:
        bars = fetch(request, now)
        return replace(bars, adjusted=bars.table["close"] * (0.5 if vendor.level == 1 else 0.25))

    vendor.fetch = adjusting  # type: ignore[method-assign]
    with Store.open(path) as store:
        refresh(store, vendor, [until(date(2026, 7, 2))], NOW - timedelta(days=8))
        first = store.adjusted("vendor", ["AAA", "ZZZ"])
        refresh(store, vendor, [SPAN], NOW)  # an overlap only
        assert store.adjusted("vendor", ["AAA"])["AAA"].equals(first["AAA"])
        close = store.load("vendor", ["AAA"])["AAA"].table["close"]
        pd.testing.assert_series_equal(first["AAA"], close[:"2026-07-02"] / 2, check_names=False, rtol=1e-6)  # type: ignore[misc]
        vendor.level, vendor.fingerprint = 3.0, "all anew"
        refresh(store, vendor, [SPAN], NOW)
        again = store.adjusted("vendor", ["AAA"])["AAA"]
        close = store.load("vendor", ["AAA"])["AAA"].table["close"]
        pd.testing.assert_series_equal(again, close / 4, check_names=False, rtol=1e-6)
    assert list(first) == ["AAA"]


def test_sources_never_mix(path: Path) -> None:
    real, made_up = Vendor("yahoo"), Vendor("sample:7", synthetic=True)
    made_up.level = 9.0
    with Store.open(path) as store:
        refresh(store, real, [SPAN], NOW)
        refresh(store, made_up, [SPAN], NOW)
        bars = {each: store.load(each, ["AAA"])["AAA"] for each in store.identities()}
    assert set(bars) == {"yahoo", "sample:7"}
    assert bars["sample:7"].synthetic and not bars["yahoo"].synthetic
    assert (bars["sample:7"].table["close"] == 9 * bars["yahoo"].table["close"]).all()


def test_a_changed_currency_replaces_the_series(path: Path) -> None:
    vendor = Vendor()
    with Store.open(path) as store:
        refresh(store, vendor, [replace(until(date(2026, 7, 2)), currency="GBp")], NOW)
        vendor.currency, vendor.level = "GBp", 100.0
        refresh(store, vendor, [replace(SPAN, currency="GBp")], NOW + timedelta(hours=1))
        bars = store.load("vendor", ["AAA"])["AAA"]
    assert bars.currency == "GBp" and bars.table["close"].min() >= 10_000


def test_progress_is_told_of_every_symbol(path: Path) -> None:
    told: list[str] = []
    with Store.open(path) as store:
        requests = [replace(SPAN, symbol=symbol) for symbol in ("AAA", "BBB")]
        refresh(store, Vendor(), requests, NOW, lambda outcome: told.append(outcome.symbol))
    assert told == ["AAA", "BBB"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.integers(30, 380), min_size=1, max_size=5), crash=st.integers(0, 4))
def test_any_sequence_of_updates_ends_in_what_one_fetch_gives(
    tmp_path: Path, ends: list[int], crash: int
) -> None:
    path = tmp_path / f"{abs(hash((tuple(ends), crash)))}.duckdb"
    index = sessions_between("XNYS", SPAN.start, SPAN.end)
    vendor = Vendor()
    for position, row in enumerate(ends):
        vendor.failing = {"AAA"} if position == crash else set()
        with Store.open(path) as store:
            refresh(store, vendor, [until(index[row - 1].date())], NOW)
    vendor.failing = set()
    with Store.open(path) as store:
        refresh(store, vendor, [SPAN], NOW)
        table = store.load("vendor", ["AAA"])["AAA"].table
    pd.testing.assert_frame_equal(table, vendor.fetch(SPAN, NOW).table, check_freq=False)


# What is no store


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.duckdb"
    notes.write_text("notes")
    with pytest.raises(UserError, match=r"notes\.duckdb"), Store.open(notes):
        pass
    assert notes.read_text() == "notes"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), Store.open(tmp_path / "file" / "prices.duckdb"):
        pass


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
    with pytest.raises(UserError, match="not a price store"), Store.open(other, read_only=read_only):
        pass
    with duckdb.connect(str(other)) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("mine",)]


def test_the_content_hash_depends_on_values_and_on_nothing_else() -> None:
    one = Vendor().fetch(SPAN, NOW)
    later = replace(one, fetched_at=NOW + timedelta(days=3))
    other = Vendor("vendor").fetch(replace(SPAN, symbol="BBB"), NOW)
    assert content_hash({"AAA": one, "BBB": other}) == content_hash({"BBB": other, "AAA": later})
    table = one.table.copy()
    table.iloc[0, 3] += 1e-9
    assert content_hash({"AAA": one}) != content_hash({"AAA": replace(one, table=table)})
