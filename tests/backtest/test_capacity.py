"""Capacity: impact grows with the root of the capital, so the curve falls and one point of it is half the excess."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from screener.backtest.capacity import CAPITALS, capacity, capital_curve
from screener.backtest.engine import simulate
from screener.backtest.performance import cagr
from screener.backtest.tape import Terms
from screener.market.panel import PricePanel
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import load_costs


def a_run() -> tuple[PricePanel, list[Rebalance]]:
    rng = np.random.default_rng(1)
    index = pd.bdate_range("2024-01-01", periods=300, name="session").as_unit("s")
    moves = rng.normal(0.0005, 0.02, (300, 3))
    close = pd.DataFrame(10 * np.exp(np.cumsum(moves, axis=0)), index=index, columns=list("ABC"))
    panel = PricePanel(close, close.notna(), close, close * 0 + 1e7, "USD", index[-1].date())
    schedule = []
    for row in range(100, 290, 20):
        weights = pd.Series(rng.dirichlet(np.ones(3)), index=list("ABC"))
        schedule.append(Rebalance("t", index[row].date(), "equal", weights, 0.0, weights, 0.2, (), {}))
    return panel, schedule


def test_each_point_of_the_curve_is_the_backtest_at_that_capital() -> None:
    panel, schedule = a_run()
    terms = Terms(capital=1e6)
    run = simulate(schedule, panel, load_costs(), terms)
    curve = capital_curve(run, panel, terms)
    assert (np.diff(curve) <= 1e-12).all()
    at = int(np.argmin(np.abs(CAPITALS - 1e6)))
    assert CAPITALS[at] == pytest.approx(1e6)
    assert curve[1 + at] == pytest.approx(cagr(run.wealth), abs=1e-12)


def test_at_the_capacity_half_of_the_excess_return_is_gone() -> None:
    capitals = np.array([1e6, 1e7, 1e8])
    curve = np.array([0.12, 0.119, 0.11, 0.08])
    got = capacity(curve, 0.08, capitals)
    # half of 4 points are lost between 10 and 100 million, where 1 and 4 are
    assert np.log(got) == pytest.approx(np.log(1e7) + (np.log(1e8) - np.log(1e7)) / 3)
    assert np.isnan(capacity(curve, 0.13, capitals))
    assert capacity(curve, -5.0, capitals) == np.inf
    assert capacity(curve, 0.119, capitals) == 1e6
