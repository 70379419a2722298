"""What every price source keeps; being in SOURCES is being tested here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screener.errors import SourceError, UserError
from screener.market.bars import COLUMNS
from screener.market.sources import SOURCES, PriceRequest, PriceSource, SourceSettings, open_source
from screener.universe.load import find_universe, load_universe
from tests.stand_in_yahoo import Listing, running

NOW = datetime(2026, 7, 11, tzinfo=UTC)
UNIVERSE = load_universe(find_universe("rare_earth_ai"))
INDEX = pd.bdate_range("2025-01-02", "2026-07-10", name="date")
TABLE = pd.DataFrame({"close": np.linspace(10, 20, len(INDEX)).round(3), "volume": 900.0}, index=INDEX)


def request_of(symbol: str, start: str = "2025-02-03", end: str = "2026-06-30") -> PriceRequest:
    return PriceRequest(symbol, "XNYS", "USD", date.fromisoformat(start), date.fromisoformat(end))


@pytest.fixture(params=list(SOURCES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PriceSource]:
    folder = tmp_path / "prices"
    folder.mkdir()
    TABLE.to_csv(folder / "MP.csv")
    with ExitStack() as stack:
        url = stack.enter_context(running({"MP": Listing(TABLE)})).url if request.param == "yahoo" else ""
        settings = SourceSettings(UNIVERSE, folder=folder, cache=tmp_path / "cache", base_url=url)
        yield open_source(request.param, settings)


def test_bars_lie_in_the_span_and_keep_their_invariants(source: PriceSource) -> None:
    bars = source.fetch(request_of("MP"), NOW)
    assert tuple(bars.table.columns) == COLUMNS
    assert bars.table.index[0] >= pd.Timestamp("2025-02-03") and bars.table.index[-1] <= pd.Timestamp(
        "2026-06-30"
    )
    assert len(bars.table) > 300
    assert (
        (bars.table["close"] > 0).all()
        and (bars.table["dividend"] >= 0).all()
        and (bars.table["split"] > 0).all()
    )
    assert bars.symbol == "MP" and bars.fetched_at == NOW and bars.currency == "USD"


def test_asking_twice_gives_the_same_bars(source: PriceSource) -> None:
    one, other = source.fetch(request_of("MP"), NOW), source.fetch(request_of("MP"), NOW)
    pd.testing.assert_frame_equal(one.table, other.table, rtol=0, atol=0)
    assert source.version(request_of("MP")) == source.version(request_of("MP"))


def test_a_shorter_span_is_a_part_of_the_longer(source: PriceSource) -> None:
    whole = source.fetch(request_of("MP"), NOW).table
    part = source.fetch(request_of("MP", "2026-01-05", "2026-03-31"), NOW).table
    pd.testing.assert_frame_equal(part, whole.loc[part.index], rtol=0, atol=0)


def test_an_unknown_symbol_is_a_source_error_with_its_name(source: PriceSource) -> None:
    with pytest.raises(SourceError) as caught:
        source.fetch(request_of("NOSUCH"), NOW)
    assert caught.value.outcome == "no such symbol"


def test_a_span_before_everything_is_no_data(source: PriceSource) -> None:
    with pytest.raises(SourceError) as caught:
        source.fetch(request_of("MP", "2001-01-02", "2001-02-01"), NOW)
    assert caught.value.outcome == "no data"


def test_fetching_writes_nothing_beside_the_prices(source: PriceSource, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "prices").iterdir()}
    source.fetch(request_of("MP"), NOW)
    assert {path: path.read_bytes() for path in (tmp_path / "prices").iterdir()} == before


def test_only_the_sample_market_calls_itself_synthetic(source: PriceSource) -> None:
    assert source.synthetic == source.identity.startswith("sample:")


def test_an_unknown_source_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match="choose one of yahoo, files, sample"):
        open_source("stooq", SourceSettings(UNIVERSE))
