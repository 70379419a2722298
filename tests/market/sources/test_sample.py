"""The synthetic market: the same everywhere, shaped like a market, and marked."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from screener.errors import SourceError
from screener.market.bars import Bars
from screener.market.currency import PAIRS
from screener.market.quality import find
from screener.market.sessions import sessions_between
from screener.market.sources import PriceRequest, PriceSource, SourceSettings, open_source
from screener.universe.load import find_universe, load_universe

NOW = datetime(2026, 7, 11, tzinfo=UTC)
UNIVERSE = load_universe(find_universe("rare_earth_ai"))
EVERYTHING = UNIVERSE.everything()


def sample(seed: int = 7) -> PriceSource:
    return open_source("sample", SourceSettings(UNIVERSE, seed=seed))


def bars_of(source: PriceSource, symbol: str, start: str = "2015-01-01", end: str = "2026-07-10") -> Bars:
    each = EVERYTHING.get(symbol)
    mic, currency = (each.mic, each.currency) if each else ("", "")
    return source.fetch(
        PriceRequest(symbol, mic, currency, date.fromisoformat(start), date.fromisoformat(end)), NOW
    )


@pytest.fixture(scope="module")
def market() -> dict[str, Bars]:
    source = sample()
    symbols = [
        s
        for s, each in EVERYTHING.items()
        if each.delisted_on is None or each.delisted_on > date(2015, 1, 31)
    ]
    return {
        symbol: bars_of(source, symbol) for symbol in [*symbols, *(pair.symbol for pair in PAIRS.values())]
    }


@pytest.fixture(scope="module")
def log_returns(market: dict[str, Bars]) -> pd.DataFrame:
    closes = pd.DataFrame(
        {symbol: each.table["close"] for symbol, each in market.items() if symbol in EVERYTHING}
    )
    return np.log(closes[closes > 0]).diff()


def test_the_numbers_are_the_same_on_every_machine() -> None:
    source = sample()
    assert bars_of(source, "MP", "2026-07-08").table["close"].to_list() == [100.16, 102.494, 103.265]
    assert bars_of(source, "6762.T", "2026-07-09").table["close"].to_list() == [9252.7, 9260.3]
    assert bars_of(source, "JPY=X", "2026-07-10").table["close"].to_list() == [
        pytest.approx(119.97297, abs=2e-5)
    ]


def test_another_seed_is_another_market() -> None:
    one, other = bars_of(sample(7), "MP").table, bars_of(sample(8), "MP").table
    assert one.index.equals(other.index)
    assert abs(np.log(one["close"]).diff().corr(np.log(other["close"]).diff())) < 0.1


def test_neither_the_span_nor_the_order_of_asking_changes_a_number() -> None:
    whole = bars_of(sample(), "LYC.AX").table
    source = sample()
    bars_of(source, "NVDA")
    part = bars_of(source, "LYC.AX", "2021-03-01", "2022-03-01").table
    pd.testing.assert_frame_equal(part, whole.loc[part.index], rtol=0, atol=0)
    longer = bars_of(source, "LYC.AX", "2015-01-01", "2029-01-05").table
    pd.testing.assert_frame_equal(longer.loc[whole.index], whole, rtol=0, atol=0)


def test_an_instrument_has_bars_on_its_exchanges_sessions_only(market: dict[str, Bars]) -> None:
    for symbol in ("MP", "6762.T", "LYC.AX", "300748.SZ", "NEO.TO", "SU.PA"):
        index = market[symbol].table.index
        assert index.isin(sessions_between(EVERYTHING[symbol].mic, index[0].date(), index[-1].date())).all()


def test_tails_are_fat_and_volatility_clusters(log_returns: pd.DataFrame) -> None:
    returns = log_returns.clip(-0.4, 0.4)  # without the planted faults
    assert returns.kurt().median() > 1.5
    squares = returns**2
    clustering = [squares[symbol].dropna().autocorr(1) for symbol in squares]
    assert np.mean(np.array(clustering) > 0) > 0.8


def test_volatilities_are_those_of_shares(log_returns: pd.DataFrame) -> None:
    annual = log_returns.clip(-0.4, 0.4).std() * np.sqrt(252)
    assert annual.min() > 0.08 and annual.max() < 1.2
    assert 0.2 < annual.median() < 0.6


def test_tokyo_lags_new_york_as_in_life(market: dict[str, Bars]) -> None:
    closes = pd.DataFrame({symbol: market[symbol].table["close"] for symbol in ("SPY", "^N225")}).dropna()
    daily = np.log(closes).diff().corr().iloc[0, 1]
    weekly = np.log(closes.iloc[::5]).diff().corr().iloc[0, 1]
    ahead = np.log(closes["SPY"]).diff().corr(np.log(closes["^N225"]).diff().shift(-1))
    assert daily < 0.6 * weekly
    assert ahead > 0.4


def test_names_of_one_segment_move_together_more_than_others(log_returns: pd.DataFrame) -> None:
    segment = {
        symbol: each.segment for symbol, each in UNIVERSE.instruments.items() if each.mic in ("XNYS", "XNAS")
    }
    names = [symbol for symbol in segment if symbol in log_returns]
    correlation = log_returns.loc["2022":, names].corr()  # type: ignore[misc]
    pairs = [(correlation.loc[a, b], segment[a] == segment[b]) for a in names for b in names if a < b]
    same, other = [c for c, together in pairs if together], [c for c, together in pairs if not together]
    assert np.nanmean(same) > np.nanmean(other) + 0.05


def test_listings_delistings_a_split_dividends_and_a_suspension_are_there(market: dict[str, Bars]) -> None:
    assert market["USAR"].table.index[0] == pd.Timestamp("2025-03-14")
    assert market["6502.T"].table.index[-1] < pd.Timestamp("2023-12-20")
    assert market["NVDA"].table["split"].loc["2024-06-10"] == 10.0
    assert abs(np.log(market["NVDA"].table["close"]).diff()["2024-06-10"]) < 0.3  # served split-adjusted
    assert (market["6501.T"].table["dividend"] > 0).sum() + (market["JPM"].table["dividend"] > 0).sum() > 10
    gap = sessions_between("XSHG", date(2024, 3, 4), date(2024, 3, 22))
    assert not market["600111.SS"].table.index.isin(gap).any()


def test_the_planted_faults_are_what_the_checks_find_and_all_they_quarantine(market: dict[str, Bars]) -> None:
    found = {
        (each.symbol, each.check)
        for symbol, bars in market.items()
        for each in find(bars, EVERYTHING[symbol].mic if symbol in EVERYTHING else "")
        if each.quarantined
    }
    assert found == {
        ("RBW.L", "hundredfold_glitch"),
        ("UUUU", "high_below_low"),
        ("ILU.AX", "price_not_positive"),
        ("ILU.AX", "high_below_low"),
        ("COHR", "close_outside_range"),
    }


def test_rates_stay_plausible(market: dict[str, Bars]) -> None:
    closes = {symbol: market[symbol].table["close"] for symbol in ("JPY=X", "AUDUSD=X", "HKD=X", "GBPUSD=X")}
    assert closes["JPY=X"].min() > 70 and closes["JPY=X"].max() < 220
    assert closes["AUDUSD=X"].min() > 0.4 and closes["AUDUSD=X"].max() < 1.5
    assert closes["HKD=X"].min() > 7.5 and closes["HKD=X"].max() < 8.1
    assert closes["GBPUSD=X"].min() > 0.9 and closes["GBPUSD=X"].max() < 2.2


def test_everything_is_marked_synthetic(market: dict[str, Bars]) -> None:
    assert all(each.synthetic and each.source == "sample:7" for each in market.values())


def test_a_symbol_that_is_not_there_is_refused() -> None:
    with pytest.raises(SourceError) as caught:
        bars_of(sample(), "NOPE")
    assert caught.value.outcome == "no such symbol"


def test_the_recipe_is_part_of_the_fingerprint() -> None:
    request = PriceRequest("MP", "XNYS", "USD", date(2020, 1, 1), date(2026, 7, 10))
    assert sample(7).version(request) != sample(8).version(request)
    assert "recipe-" in sample().version(request)
