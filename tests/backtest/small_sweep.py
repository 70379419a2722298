"""A small ground for sweeps: five synthetic names on one exchange, two years of sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from screener.backtest.sweep import Ground
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.tape import Terms
from screener.market.panel import PricePanel
from screener.portfolio.build import BuildSettings
from screener.portfolio.costs import load_costs
from screener.universe.load import find_universe, load_universe
from screener.universe.model import Instrument, Theme, Universe

NAMES = 5


def a_universe() -> Universe:
    return load_universe(find_universe("rare_earth_ai"))


def a_theme(universe: Universe) -> Theme:
    return replace(
        universe.themes["magnets"], max_weight=0.5, max_segment_weight=1.0, limits=(), benchmark=""
    )


def ground_of(*, seed: int = 0) -> Ground:
    """Return synthetic prices of made-up members, the last of which lists late."""
    universe = a_universe()
    pattern = next(each for each in universe.instruments.values() if each.mic == "XNYS")
    symbols = [f"S{number}" for number in range(NAMES)]
    plain = {"listed_from": None, "delisted_on": None, "predecessor": "", "predecessor_kind": ""}
    members: list[Instrument] = [replace(pattern, symbol=each, issuer=each, **plain) for each in symbols]
    sessions = pd.bdate_range("2022-01-03", "2024-06-28").as_unit("s")
    rng = np.random.default_rng(seed)
    moves = 0.01 * rng.standard_normal((len(sessions), NAMES)) * np.linspace(1, 2, NAMES) + 0.0003
    prices = pd.DataFrame(100 * np.exp(np.cumsum(moves, axis=0)), index=sessions, columns=symbols)
    prices.iloc[:300, -1] = np.nan
    known = prices.notna()
    volume = pd.DataFrame(5e6, index=sessions, columns=symbols).where(known)
    return Ground(
        theme=a_theme(universe),
        members=tuple(members),
        panel=PricePanel(prices, known, prices, volume, "USD", date(2024, 6, 28), synthetic=True),
        terms=Terms(mics=dict.fromkeys(symbols, "XNYS")),
        costs=load_costs(),
        first=date(2023, 1, 1),
        last=date(2024, 6, 28),
        build=BuildSettings(),
    )


def small_points() -> list[GridPoint]:
    """Return 12 points of 3 rules; each rule has 2 schedules, each traded at 2 costs."""
    return [
        GridPoint(method, weeks, "ledoit_wolf", 0.5, (), rebalance, "close", bps)
        for method, weeks in (("inverse_volatility", 52), ("inverse_volatility", 78), ("equal", 52))
        for rebalance in ("quarterly", "every:90")
        for bps in (0.0, 25.0)
    ]
