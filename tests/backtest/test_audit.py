"""The look-ahead audit passes an honest backtest and catches a dishonest one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from screener.backtest.audit import Outcome, audit, scrambled
from screener.market.panel import PricePanel

ROWS, NAMES = 300, 4


def market(seed: int = 1) -> PricePanel:
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2024-01-01", periods=ROWS, name="session").as_unit("s")
    symbols = pd.Index([f"S{number}" for number in range(NAMES)], dtype="str")
    prices = pd.DataFrame(
        50 * np.exp(np.cumsum(rng.normal(0, 0.01, (ROWS, NAMES)), axis=0)), index=index, columns=symbols
    )
    traded = pd.DataFrame(rng.random((ROWS, NAMES)) > 0.1, index=index, columns=symbols)
    traded.iloc[0] = True
    traded.iloc[:80, 2] = False
    prices = prices.where(traded).ffill()
    return PricePanel(prices, traded, prices, (prices * 1e5).where(traded), "USD", index[-1].date())


def strategy(
    ahead: int = 0, peek: Callable[[PricePanel], pd.Series] | None = None
) -> Callable[[PricePanel], Outcome]:
    """Hold, from the next session on, what rose most in the last 20 sessions, `ahead` sessions later than allowed."""

    def run(panel: PricePanel) -> Outcome:
        prices = panel.prices.ffill()
        decided = np.arange(60, len(prices) - 1, 10)
        seen = np.minimum(decided + ahead, len(prices) - 1)
        past = (prices.to_numpy()[seen] / prices.to_numpy()[seen - 20]) - 1
        best = np.nan_to_num(past, nan=-1.0).argmax(axis=1)
        weights = pd.DataFrame(np.eye(NAMES)[best], prices.index[decided], prices.columns)
        if peek is not None:
            weights = weights.mul(peek(panel), axis=1)
        held = weights.reindex(prices.index).ffill().shift(1).fillna(0.0)
        wealth = (1 + (held * prices.pct_change().fillna(0.0)).sum(axis=1)).cumprod()
        return weights, wealth

    return run


def test_an_honest_strategy_passes() -> None:
    found = audit(strategy(), market(), cuts=10)
    assert found.passed and found.difference is None and found.untouched == 0
    assert len(found.cuts) == 10 and found.decisions > 50 and found.sessions > 1000


@pytest.mark.parametrize("ahead", [1, 5])
def test_a_look_of_one_session_ahead_is_caught_and_told_where(ahead: int) -> None:
    found = audit(strategy(ahead=ahead), market(), cuts=10)
    assert not found.passed and found.difference is not None
    assert found.difference.what == "weight" and found.difference.on <= found.difference.cut
    assert found.difference.symbol.startswith("S") and found.difference.before != found.difference.after


def test_a_parameter_fitted_to_the_whole_history_is_caught() -> None:
    def whole(panel: PricePanel) -> pd.Series:
        return 1.0 / panel.prices.pct_change(fill_method=None).std()

    assert audit(strategy(peek=whole), market(), cuts=2).difference is not None


def test_volumes_and_trades_of_later_are_scrambled_too() -> None:
    def by_volume(panel: PricePanel) -> pd.Series:
        return panel.value_traded.mean() / panel.value_traded.mean().sum()

    def by_trades(panel: PricePanel) -> pd.Series:
        return panel.traded.mean()

    for peek in (by_volume, by_trades):
        assert audit(strategy(peek=peek), market(), cuts=2).difference is not None


def test_wealth_that_knows_tomorrow_is_caught() -> None:
    def run(panel: PricePanel) -> Outcome:
        weights, wealth = strategy()(panel)
        return weights, wealth.shift(-1).ffill()

    found = audit(run, market(), cuts=6)
    assert found.difference is not None and found.difference.what == "wealth"
    assert found.difference.symbol == ""


def test_a_decision_that_comes_and_goes_with_the_future_is_caught() -> None:
    def run(panel: PricePanel) -> Outcome:
        weights, wealth = strategy()(panel)
        return weights.iloc[int(panel.prices.iloc[-1, 0]) % 7 :], wealth

    found = audit(run, market(), cuts=6)
    assert found.difference is not None and found.difference.what == "decision"


def test_a_strategy_that_looks_at_nothing_does_not_pass_for_proven() -> None:
    def run(panel: PricePanel) -> Outcome:
        days = panel.sessions[::20]
        return pd.DataFrame(1.0, days, ["S0"]), pd.Series(1.0, panel.sessions)

    found = audit(run, market(), cuts=4)
    assert found.difference is None and found.untouched == 4 and not found.passed


def test_a_scrambled_panel_is_the_same_before_and_valid_after() -> None:
    panel = market()
    row = 150
    other = scrambled(panel, row, np.random.default_rng(0))
    for name in ("prices", "close", "traded", "value_traded"):
        left, right = getattr(panel, name), getattr(other, name)
        assert left.iloc[: row + 1].equals(right.iloc[: row + 1]), name
        assert not left.iloc[row + 1 :].equals(right.iloc[row + 1 :]), name
        assert name == "traded" or name == "value_traded" or left.notna().equals(right.notna())
    idle = ~other.traded.to_numpy()[row + 1 :]
    still = other.prices.to_numpy()[row + 1 :] == other.prices.to_numpy()[row:-1]
    assert still[idle].all()  # a name that does not trade keeps its price
    assert (other.value_traded.notna().to_numpy()[row + 1 :] == ~idle).all()


def test_without_a_decision_there_is_nothing_to_audit() -> None:
    def run(panel: PricePanel) -> Outcome:
        return pd.DataFrame(index=pd.DatetimeIndex([])), pd.Series(1.0, panel.sessions)

    with pytest.raises(ValueError, match="needs a decision"):
        audit(run, market())


def test_the_same_seed_looks_at_the_same_dates() -> None:
    assert audit(strategy(), market(), seed=3).cuts == audit(strategy(), market(), seed=3).cuts
    assert audit(strategy(), market(), seed=3).cuts != audit(strategy(), market(), seed=4).cuts
