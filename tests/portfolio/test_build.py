from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from screener.errors import UserError
from screener.market.panel import PricePanel
from screener.portfolio.build import BuildSettings, Known, build
from screener.portfolio.weighting import METHODS
from screener.universe.model import Instrument, Rule, Theme

KNOWN = Known(market_values={f"S{number:02d}": 1e9 for number in range(12)})
THEME = Theme("test", "Test", "テスト", Rule(tags=("core",)), max_weight=1.0)


def instrument(symbol: str, segment: str = "mining", issuer: str = "") -> Instrument:
    return Instrument(
        symbol,
        symbol,
        symbol,
        issuer or symbol.lower(),
        "equity",
        "XNYS",
        "USD",
        "US",
        segment,
        purity="pure-play",
    )


def panel_of(names: int = 6, rows: int = 700, seed: int = 0) -> PricePanel:
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2023-01-02", periods=rows, name="session").as_unit("s")
    symbols = pd.Index([f"S{number:02d}" for number in range(names)], dtype="str")
    steps = rng.normal(0, 0.01, (rows, 1)) + rng.normal(0, 0.01, (rows, names)) * np.linspace(0.5, 2, names)
    prices = pd.DataFrame(100 * np.exp(np.cumsum(steps, axis=0)), index=index, columns=symbols)
    value = pd.DataFrame(2e6, index=index, columns=symbols)
    return PricePanel(prices, prices.notna(), prices, value, "USD", index[-1].date())


def members_of(panel: PricePanel) -> list[Instrument]:
    return [instrument(symbol, f"g{number % 2}") for number, symbol in enumerate(panel.symbols)]


def edited(panel: PricePanel, prices: pd.DataFrame) -> PricePanel:
    return replace(
        panel, prices=prices, traded=prices.notna(), value_traded=panel.value_traded.where(prices.notna())
    )


@pytest.mark.parametrize("method", list(METHODS))
def test_weights_cash_and_risk_contributions_make_one(method: str) -> None:
    panel = panel_of()
    made = build(replace(THEME, method=method), members_of(panel), panel, BuildSettings(), KNOWN)
    assert made.weights.sum() + made.cash == pytest.approx(1.0, abs=1e-9)
    assert made.risk_contributions.sum() == pytest.approx(1.0, abs=1e-9)
    assert made.decided_on == panel.sessions[-1].date()
    assert 0.05 < made.volatility < 0.6


def test_equal_risk_contributions_reach_the_portfolio() -> None:
    panel = panel_of()
    made = build(THEME, members_of(panel), panel, BuildSettings())
    assert made.risk_contributions.to_list() == pytest.approx([1 / 6] * 6, rel=1e-8)


@pytest.mark.parametrize("method", list(METHODS))
def test_caps_per_issuer_and_segment_hold(method: str) -> None:
    panel = panel_of(10)
    theme = replace(THEME, method=method, max_weight=0.15, max_segment_weight=0.55)
    members = members_of(panel)
    made = build(theme, members, panel, BuildSettings(), KNOWN)
    segment = pd.Series({each.symbol: each.segment for each in members})
    assert made.weights.max() <= 0.15 + 1e-9
    assert made.weights.groupby(segment).sum().max() <= 0.55 + 1e-9
    assert made.cash == pytest.approx(0.0, abs=1e-9)


def test_every_rejection_has_its_reason_with_numbers() -> None:
    panel = panel_of()
    prices = panel.prices.copy()
    prices.loc[:, "S00"] = prices["S00"].where(prices.index >= prices.index[-60])  # listed lately
    prices.loc[prices.index[-3] :, "S01"] = np.nan  # its feed stopped
    prices.loc[:, "S02"] = 100.0  # does not move
    members = [*members_of(panel), instrument("ZZZ")]
    made = build(THEME, members, edited(panel, prices), BuildSettings())
    assert made.rejected == {
        "S00": "11 weekly returns, fewer than 26",
        "S01": f"no current price on {panel.sessions[-1].date()}",
        "S02": "its price does not move",
        "ZZZ": "no prices",
    }
    assert list(made.weights.index) == ["S03", "S04", "S05"]


def test_a_floor_on_value_traded_rejects_thin_and_unknown_names() -> None:
    panel = panel_of(3)
    value = panel.value_traded.copy()
    value["S00"] = 1e5
    value["S01"] = np.nan
    made = build(THEME, members_of(panel), replace(panel, value_traded=value), BuildSettings(min_adv=1e6))
    assert made.rejected["S00"] == "average daily value 0.10 M USD is below 1.00 M"
    assert made.rejected["S01"].startswith("volume unknown")
    assert made.weights.to_dict() == {"S02": pytest.approx(1.0)}


def test_without_an_eligible_name_all_is_cash_and_said() -> None:
    panel = panel_of(3)
    made = build(THEME, [instrument("ZZZ")], panel, BuildSettings())
    assert made.cash == 1.0 and not len(made.weights) and np.isnan(made.volatility)
    assert made.limits_bound == ("none of 1 members is eligible: all in cash",)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("names", [1, 2])
def test_one_or_two_names_work(method: str, names: int) -> None:
    panel = panel_of(names)
    made = build(replace(THEME, method=method), members_of(panel), panel, BuildSettings(), KNOWN)
    assert made.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("method", list(METHODS))
def test_prices_after_the_decision_change_nothing(method: str) -> None:
    panel = panel_of()
    day = panel.sessions[500].date()
    rng = np.random.default_rng(9)
    later = np.asarray(panel.sessions > pd.Timestamp(day))
    prices = panel.prices.copy()
    prices.loc[later] *= np.exp(rng.normal(0, 0.5, (int(later.sum()), len(panel.symbols))))
    theme = replace(THEME, method=method, max_weight=0.4)
    one = build(theme, members_of(panel), panel.until(day), BuildSettings(), KNOWN)
    other = build(theme, members_of(panel), edited(panel, prices).until(day), BuildSettings(), KNOWN)
    pd.testing.assert_series_equal(one.weights, other.weights, rtol=0, atol=0)


def test_the_order_of_members_changes_nothing() -> None:
    panel = panel_of()
    theme = replace(THEME, method="hierarchical_risk_parity")
    forward = build(theme, members_of(panel), panel, BuildSettings())
    backward = build(theme, members_of(panel)[::-1], panel, BuildSettings())
    pd.testing.assert_series_equal(forward.weights, backward.weights, rtol=0, atol=0)


def test_an_unknown_method_or_estimator_is_the_users_mistake() -> None:
    panel = panel_of(2)
    with pytest.raises(UserError, match="weighting method"):
        build(replace(THEME, method="magic"), members_of(panel), panel, BuildSettings())
    with pytest.raises(UserError, match="estimator"):
        build(THEME, members_of(panel), panel, BuildSettings(estimator="magic"))


def test_a_rebalance_refuses_weights_that_do_not_make_one() -> None:
    panel = panel_of(2)
    made = build(THEME, members_of(panel), panel, BuildSettings())
    with pytest.raises(ValueError, match="sum to one"):
        replace(made, cash=0.5)
    assert made.decided_on > date(2025, 1, 1)
