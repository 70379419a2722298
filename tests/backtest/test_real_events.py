"""A well-known day on real prices, which lie beside the project; skipped with a reason where they do not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from screener.backtest.abnormal import StudySettings, measure, reactions, series_of
from screener.backtest.event_world import instants_of
from screener.market.bars import Bars
from screener.market.panel import build
from screener.market.sources.price_file import read_price_file
from screener.universe.load import find_universe, load_universe

WANTED = ("MP", "4063.T", "SPY", "JPY=X")


def test_mp_materials_rose_by_half_on_the_day_of_its_deal_and_tokyo_heard_of_it_a_day_later(
    shared_prices: Path,
) -> None:
    universe = load_universe(find_universe("rare_earth_ai"))
    everything = universe.everything()
    now = datetime(2025, 12, 27, tzinfo=UTC)
    bars = {}
    for symbol in WANTED:
        file = read_price_file(shared_prices / "2026" / f"{symbol}.csv")
        currency = everything[symbol].currency if symbol in everything else ""
        bars[symbol] = Bars(symbol, file.table, currency, "2026", now, adjusted=file.adjusted)
    chosen = {symbol: everything[symbol] for symbol in WANTED if symbol in everything}
    panel, _ = build(bars, chosen, "USD", date(2025, 12, 26), now)
    series = series_of(panel, {"MP": "XNYS", "4063.T": "XTKS"}, "SPY", "XNYS")
    settings = StudySettings(windows=((0, 0),))
    (event,) = (each for each in universe.events if each.key == "E2507A")
    places = reactions(series, instants_of([event], settings))
    sessions = {each.symbol: str(each.days[at]) for each, at in zip(series, places[0], strict=True)}
    assert sessions == {"4063.T": "2025-07-11", "MP": "2025-07-10"}
    found = measure(series, places, settings)
    cars = dict(zip(sessions, found.cars[0, :, 0], strict=True))
    assert cars["MP"] == pytest.approx(0.505, abs=0.02)  # 30.03 to 45.23, and a market that hardly moved
    assert abs(cars["4063.T"]) < 0.03
