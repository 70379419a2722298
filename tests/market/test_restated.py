"""Which stored bars say something else than they did at an earlier moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.market.bars import bars_table
from screener.market.restated import restated_since
from screener.market.store import Store
from screener.market.store_rows import Series, Update
from tests.conftest import AS_OF, NOW


@pytest.fixture
def market(sample_store: Path, tmp_path: Path) -> sc.Market:
    """The sample market in a store of its own, which may be written."""
    store = tmp_path / "prices.duckdb"
    store.write_bytes(sample_store.read_bytes())
    return sc.load_market(sc.Request(as_of=AS_OF, now=NOW, source="sample", store=store, offline=True))


def serve(market: sc.Market, symbol: str, rows: pd.DataFrame, now: datetime) -> None:
    series = Series("USD", date(2015, 1, 1), AS_OF, "", now)
    with Store.open(market.request.store) as store:
        store.write(market.source_identity, True, [Update(symbol, "fetched", "", series, rows)], now)


def stored(market: sc.Market, symbol: str) -> pd.DataFrame:
    with Store.open(market.request.store, read_only=True) as store:
        return store.load(market.source_identity, [symbol])[symbol].table


def test_prices_that_a_source_changed_later_are_counted_by_symbol(market: sc.Market) -> None:
    table = stored(market, "MP")
    halved, gone, newer = (
        table.loc["2026-06-01":"2026-06-05"] * 1.0,
        table.loc[["2026-06-08"]] * np.nan,
        "2026-07-06",
    )  # type: ignore[misc]
    halved[["open", "high", "low", "close"]] *= 0.5
    later = table.loc[[newer]] * 1.0
    later["volume"] *= 2
    serve(market, "MP", pd.concat([halved, gone, later]), NOW + timedelta(days=1))
    (found,) = restated_since(market, NOW, date(2026, 7, 3))
    assert (found.symbol, found.sessions, found.withdrawn, found.added) == ("MP", 6, 1, 0)
    assert (found.first, found.last) == (date(2026, 6, 1), date(2026, 6, 8))
    assert found.largest == pytest.approx(-0.5)
    assert found.fields == ("open", "high", "low", "close")
    (whole,) = restated_since(market, NOW, AS_OF)  # the bar of 6 July is after the last report's date above
    assert whole.sessions == 7 and "volume" in whole.fields


def test_a_bar_that_came_late_is_added_and_an_older_history_is_not(market: sc.Market) -> None:
    table = stored(market, "MP")
    first, day = table.index[0], pd.Timestamp("2026-06-08")
    serve(market, "MP", table.loc[[day]] * np.nan, NOW + timedelta(days=1))
    older = bars_table(pd.DataFrame({"close": [5.0], "volume": [1.0]}, index=[first - pd.Timedelta(days=7)]))
    serve(market, "MP", pd.concat([table.loc[[day]], older]), NOW + timedelta(days=2))
    assert restated_since(market, NOW, date(2026, 7, 3)) == ()  # withdrawn and served again is what it was
    (found,) = restated_since(market, NOW + timedelta(days=1), date(2026, 7, 3))
    assert (found.sessions, found.added, found.first) == (0, 1, day.date())


def test_what_was_stored_at_an_earlier_moment_is_compared_up_to_it(market: sc.Market) -> None:
    row = stored(market, "MP").loc[["2026-06-08"]] * 2.0
    serve(market, "MP", row, NOW + timedelta(days=3))
    assert restated_since(market, NOW, date(2026, 7, 3))
    then = replace(market, request=replace(market.request, known_at=NOW + timedelta(days=2)))
    assert restated_since(then, NOW, date(2026, 7, 3)) == ()
