"""What every registered price source keeps to. A new line in SOURCES is tested here without further work.

Each source is opened with all that SourceSettings can hold and takes what it wants: a folder of files and a
stand-in for Yahoo serve the same made-up bars of a few symbols of the shipped universe.
"""

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screener.errors import SourceError
from screener.market.bars import COLUMNS, Bars, bars_table
from screener.market.sessions import sessions_between
from screener.market.sources import SOURCES, PriceRequest, PriceSource, SourceSettings, open_source
from screener.universe.load import find_universe, load_universe
from screener.universe.model import Universe
from tests.stand_in_yahoo import Listing, StandIn
from tests.stand_in_yahoo.guard import forget_yfinance, stay_on_this_machine

NOW = datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
START, END = date(2024, 1, 1), date(2025, 6, 30)
SERVED = {
    "MP": ("XNYS", "USD", "America/New_York"),
    "6762.T": ("XTKS", "JPY", "Asia/Tokyo"),
    "LYC.AX": ("XASX", "AUD", "Australia/Sydney"),
    "JPY=X": ("", "JPY", "Europe/London"),
}
UNKNOWN = "NOBODY.X"


def wanted(symbol: str, start: date = START, end: date = END) -> PriceRequest:
    mic, currency, _ = SERVED.get(symbol, ("XNYS", "USD", ""))
    return PriceRequest(symbol, mic, currency if mic else "", start, end)


def made_up(symbol: str) -> pd.DataFrame:
    """Bars of one symbol on its exchange's sessions, some weeks longer than the span at both ends."""
    sessions = sessions_between(SERVED[symbol][0], date(2023, 11, 1), date(2025, 8, 29))
    chance = np.random.default_rng(sorted(SERVED).index(symbol))
    close = pd.Series(30 * np.exp(np.cumsum(0.02 * chance.standard_normal(len(sessions)))), index=sessions)
    return bars_table(
        pd.DataFrame(
            {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1e6}
        )
    )


@pytest.fixture(scope="module")
def universe() -> Universe:
    return load_universe(find_universe("rare_earth_ai"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prices")
    for symbol in SERVED:
        made_up(symbol).rename_axis("date").to_csv(place / f"{symbol}.csv")
    return place


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only places a source could write to without being told of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture(params=sorted(SOURCES))
def source(
    request: pytest.FixtureRequest,
    universe: Universe,
    folder: Path,
    empty_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[PriceSource]:
    stay_on_this_machine(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        forget_yfinance()
    listings = {
        symbol: Listing(made_up(symbol), currency, zone) for symbol, (_, currency, zone) in SERVED.items()
    }
    with StandIn(listings) as stand_in:
        settings = SourceSettings(universe, folder=folder, base_url=stand_in.url)
        yield open_source(request.param, settings)
    forget_yfinance()


def all_bars(source: PriceSource) -> list[Bars]:
    return [source.fetch(wanted(symbol), NOW) for symbol in SERVED]


def test_bars_are_what_was_asked_for_and_say_where_they_come_from(source: PriceSource) -> None:
    for symbol, bars in zip(SERVED, all_bars(source), strict=True):
        assert (bars.symbol, bars.source, bars.fetched_at) == (symbol, source.identity, NOW)
        assert bars.synthetic == source.synthetic
        assert bars.table.index[0].date() >= START and bars.table.index[-1].date() <= END
        assert len(bars.table) > 300
        assert bars.currency == SERVED[symbol][1] or (SERVED[symbol][0] == "" and bars.currency == "")


def test_tables_have_the_columns_types_and_ranges_of_bars(source: PriceSource) -> None:
    for bars in all_bars(source):
        assert tuple(bars.table.columns) == COLUMNS
        assert (bars.table.dtypes == np.float64).all()
        assert bars.table.index.dtype == np.dtype("datetime64[s]") and bars.table.index.name == "session"
        assert np.isfinite(bars.table[["close", "dividend", "split"]]).all(axis=None)
        assert (bars.table["dividend"] >= 0).all() and (bars.table["split"] > 0).all()
        assert not (bars.table["volume"] < 0).any()


def test_a_shorter_span_is_a_part_of_a_longer_one(source: PriceSource) -> None:
    for symbol in SERVED:
        longer = source.fetch(wanted(symbol), NOW).table
        shorter = source.fetch(wanted(symbol, date(2024, 10, 1), date(2025, 3, 31)), NOW).table
        pd.testing.assert_frame_equal(shorter, longer.loc["2024-10-01":"2025-03-31"], check_freq=False)


def test_asking_twice_gives_the_same(source: PriceSource) -> None:
    for first, second in zip(all_bars(source), all_bars(source), strict=True):
        pd.testing.assert_frame_equal(first.table, second.table)
        assert first.currency == second.currency
    assert [source.version(wanted(symbol)) for symbol in SERVED] == [
        source.version(wanted(symbol)) for symbol in SERVED
    ]


def test_an_unknown_symbol_is_refused_as_such(source: PriceSource) -> None:
    with pytest.raises(SourceError) as caught:
        source.fetch(wanted(UNKNOWN), NOW)
    assert caught.value.outcome == "no such symbol"
    assert str(caught.value)
    assert isinstance(source.version(wanted(UNKNOWN)), str)


def test_a_span_before_all_rows_is_no_data(source: PriceSource) -> None:
    with pytest.raises(SourceError) as caught:
        source.fetch(wanted("MP", date(1990, 1, 1), date(1990, 12, 31)), NOW)
    assert caught.value.outcome == "no data"


def test_nothing_is_written(source: PriceSource, empty_home: Path, folder: Path) -> None:
    before = sorted(folder.iterdir())
    all_bars(source)
    with pytest.raises(SourceError):
        source.fetch(wanted(UNKNOWN), NOW)
    assert list(empty_home.rglob("*")) == []
    assert sorted(folder.iterdir()) == before


def test_each_source_keeps_its_rows_apart(universe: Universe, folder: Path, empty_home: Path) -> None:
    settings = SourceSettings(universe, folder=folder, base_url="http://127.0.0.1:1")
    identities = [open_source(name, settings).identity for name in SOURCES]
    assert all(identities) and len(set(identities)) == len(SOURCES)
    assert all(identity.startswith(name) for name, identity in zip(SOURCES, identities, strict=True))
