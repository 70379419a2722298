"""Nothing later than a date reaches what was decided, traded or earned up to it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.engine import Backtest, decide_schedule, simulate
from screener.backtest.performance import summarise
from screener.backtest.schedule import rebalance_dates
from screener.backtest.tape import Terms
from screener.market.panel import PricePanel
from screener.portfolio.build import BuildSettings, Rebalance, build
from screener.portfolio.costs import Costs
from screener.universe.model import Instrument, Rule, Theme

METHODS = ("inverse_volatility", "equal_risk_contribution", "hierarchical_risk_parity", "minimum_variance")
NAMES, ROWS = 6, 420


def panel_of(prices: pd.DataFrame, traded: pd.DataFrame) -> PricePanel:
    value = (prices * 1e5).where(traded)
    return PricePanel(prices, traded, prices, value, "USD", prices.index[-1].date())


def market() -> PricePanel:
    """Six names that differ in risk, one listed late, each shut on days of its own."""
    rng = np.random.default_rng(5)
    index = pd.bdate_range("2024-01-01", periods=ROWS, name="session").as_unit("s")
    symbols = pd.Index([f"S{number}" for number in range(NAMES)], dtype="str")
    steps = rng.normal(0, 0.008, (ROWS, 1)) + rng.normal(0, 0.01, (ROWS, NAMES)) * np.linspace(0.5, 2, NAMES)
    prices = pd.DataFrame(50 * np.exp(np.cumsum(steps, axis=0)), index=index, columns=symbols)
    traded = pd.DataFrame(rng.random((ROWS, NAMES)) > 0.1, index=index, columns=symbols)
    traded.iloc[0] = True
    traded.iloc[:150, 2] = False
    return panel_of(prices.where(traded).ffill(), traded)


PANEL = market()
MEMBERS = [
    Instrument(symbol, symbol, symbol, symbol.lower(), "equity", "XNYS", "USD", "US", f"g{number % 2}")
    for number, symbol in enumerate(PANEL.symbols)
]


def run(panel: PricePanel, method: str) -> Backtest:
    theme = Theme("test", "Test", "テスト", Rule(tags=("core",)), method=method, max_weight=0.5)

    def decide(day: date) -> Rebalance:
        return build(theme, MEMBERS, panel.until(day), BuildSettings(min_history_weeks=26))

    dates = rebalance_dates(panel.sessions, "monthly", start=date(2024, 8, 1))
    return simulate(
        decide_schedule(dates, decide),
        panel,
        Costs.flat(15),
        Terms(recoveries={"S4": (date(2025, 5, 2), 0.3)}),
    )


WHOLE = {method: run(PANEL, method) for method in METHODS}


def assert_same_until(day: pd.Timestamp, one: Backtest, other: Backtest) -> None:
    before = [each for each in one.schedule if each.decided_on <= day.date()]
    for first, second in zip(before, other.schedule, strict=False):
        assert first.decided_on == second.decided_on
        pd.testing.assert_series_equal(first.weights, second.weights, rtol=0, atol=0)
    assert len(other.schedule) >= len(before)
    for name in ("wealth", "gross", "cash"):
        left, right = getattr(one, name), getattr(other, name)
        assert left[left.index <= day].equals(right[right.index <= day]), name
    # a name that only a later decision chooses has a column of zeros, or none
    held = [each.weights_held[each.weights_held.index <= day] for each in (one, other)]
    held = [each.reindex(columns=PANEL.symbols, fill_value=0.0) for each in held]
    assert held[0].equals(held[1])
    trades = [each.trades[each.trades["session"] <= day].reset_index(drop=True) for each in (one, other)]
    pd.testing.assert_frame_equal(trades[0], trades[1], rtol=0, atol=0)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=5, deadline=None)
@given(cut=st.integers(190, ROWS - 5), seed=st.integers(0, 10**6))
def test_no_later_price_changes_a_weight_a_trade_or_wealth(method: str, cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    later = np.repeat((np.arange(ROWS) > cut)[:, None], NAMES, axis=1)
    prices = PANEL.prices.where(~later, PANEL.prices * np.exp(rng.normal(0, 0.4, later.shape)))
    traded = PANEL.traded & (~later | (rng.random(later.shape) > 0.4))
    changed = run(panel_of(prices, traded), method)
    assert_same_until(PANEL.sessions[cut], WHOLE[method], changed)
    assert not WHOLE[method].wealth.equals(changed.wealth)  # the change did reach what came later


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=3, deadline=None)
@given(cut=st.integers(190, ROWS - 1))
def test_a_history_that_ends_earlier_tells_the_same_story_up_to_there(method: str, cut: int) -> None:
    day = PANEL.sessions[cut]
    shorter = run(PANEL.until(day.date()), method)
    assert_same_until(day, WHOLE[method], shorter)
    assert shorter.schedule[-1].decided_on <= day.date()


def sharpe_of_following_new_york(seed: int) -> tuple[float, float]:
    """The Sharpe ratio of holding Tokyo whenever New York rose, filled here, and filled as if at the same close.

    Tokyo closes hours before New York, so its close of d + 1 is the first that knows New York's move of d, and
    nothing after it does: the true Sharpe ratio of this strategy is 0. Whoever fills Tokyo at its close of d,
    on a move that New York had yet to make, is paid for it.
    """
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2024-01-01", periods=521, name="session").as_unit("s")
    new_york = rng.normal(0, 0.01, len(index))
    tokyo = 0.8 * np.r_[0.0, new_york[:-1]] + rng.normal(0, 0.006, len(index))
    prices = pd.DataFrame({"NEWYORK": 1 + new_york, "TOKYO": 1 + tokyo}, index=index).cumprod()
    rose = dict(zip(index.date, new_york > 0, strict=True))

    def decide(day: date) -> Rebalance:
        weights = pd.Series({"TOKYO": 1.0} if rose[day] else {}, dtype=float)
        return Rebalance("trap", day, "", weights, 1.0 - float(weights.sum()), weights, 0.2, (), {})

    schedule = decide_schedule(list(index.date[1:-1]), decide)
    here = simulate(schedule, panel_of(prices, prices.notna()), Costs.flat(0)).wealth
    same_close = pd.Series(np.cumprod(1 + np.r_[0.0, (new_york > 0)[1:-1] * tokyo[2:]]), index=index[1:])
    return summarise(here).sharpe_ratio, summarise(same_close).sharpe_ratio


def test_tokyo_cannot_be_traded_on_what_new_york_did_later_that_day() -> None:
    here, same_close = np.array([sharpe_of_following_new_york(seed) for seed in range(20)]).T
    assert same_close.min() > 4  # what a look a few hours ahead is worth
    assert abs(here.mean()) < 0.3
