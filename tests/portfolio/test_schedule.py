"""Many dates decided together are what each would be alone, to the last bit, and nothing later reaches them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from screener.market.panel import PricePanel
from screener.portfolio.build import (
    BuildSettings,
    Known,
    Members,
    Rebalance,
    build,
    build_schedule,
    drifted,
)
from screener.portfolio.constrained import Goal, optimise
from screener.portfolio.filling import filled, scaled_to_caps
from screener.portfolio.limits import parse_limits
from screener.portfolio.region import Names, Region, find
from screener.portfolio.weighting import METHODS, Case
from screener.risk.covariance import CovarianceSettings, covariance_matrix, estimate_panel_covariance
from screener.risk.quotes import PriceHistory
from screener.universe.model import Instrument, Rule, Theme

NAMES, ROWS = 7, 560
MICS = ("XTKS", "XNYS", "XLON", "XASX", "XNYS", "XTKS", "XNYS")
SETTINGS = BuildSettings(lookback_weeks=60, min_history_weeks=27)
THEME = Theme("test", "Test", "テスト", Rule(tags=("core",)), max_weight=1.0)
BACKTESTED = [each for each in METHODS if each not in ("market_value", "index_rule", "black_litterman")]


def panel_of(seed: int, *, whole: bool) -> PricePanel:
    """Prices of seven names; unless whole, one is listed late, one suspended for a while, all shut now and then."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2023-01-02", periods=ROWS, name="session").as_unit("s")
    symbols = pd.Index([f"S{number}" for number in range(NAMES)], dtype="str")
    steps = rng.normal(0, 0.008, (ROWS, 1)) + rng.normal(0, 0.01, (ROWS, NAMES)) * np.linspace(0.5, 2, NAMES)
    prices = pd.DataFrame(50 * np.exp(np.cumsum(steps, axis=0)), index=index, columns=symbols)
    traded = pd.DataFrame(True, index=index, columns=symbols)
    if not whole:
        traded = pd.DataFrame(rng.random((ROWS, NAMES)) > 0.08, index=index, columns=symbols)
        traded.iloc[0] = True
        traded.iloc[:260, 2] = False
        traded.iloc[300:340, 4] = False
    prices = prices.where(traded).ffill()
    return PricePanel(prices, traded, prices, (prices * 1e5).where(traded), "USD", index[-1].date())


def members_of(panel: PricePanel, *, one_exchange: bool) -> list[Instrument]:
    return [
        Instrument(
            symbol,
            symbol,
            symbol,
            f"i{number // 2}",
            "equity",
            "XNYS" if one_exchange else MICS[number],
            "USD",
            "US",
            f"g{number % 2}",
            listed_from=date(2024, 3, 1) if symbol == "S5" else None,
            delisted_on=date(2024, 9, 2) if symbol == "S1" else None,
        )
        for number, symbol in enumerate(panel.symbols)
    ]


RAGGED, WHOLE = panel_of(1, whole=False), panel_of(2, whole=True)
DATES = [each.date() for each in RAGGED.sessions[150::37]]


def assert_same(one: Rebalance, other: Rebalance) -> None:
    assert one.decided_on == other.decided_on
    assert one.weights.to_dict() == other.weights.to_dict()
    assert one.risk_contributions.to_dict() == other.risk_contributions.to_dict()
    assert one.cash == other.cash and one.limits_bound == other.limits_bound
    assert one.volatility == other.volatility or np.isnan(one.volatility)
    assert one.rejected == other.rejected


def assert_each_alone(theme: Theme, panel: PricePanel, members: Members, how: BuildSettings) -> None:
    together = build_schedule(theme, members, panel, DATES, how)
    last: Rebalance | None = None
    for day, found in zip(DATES, together, strict=True):
        cut = panel.until(day)
        held = drifted(last, cut) if last is not None and len(last.weights) else None
        last = build(theme, members(day), cut, how, Known(held))
        assert_same(found, last)


@pytest.mark.parametrize("method", BACKTESTED)
def test_a_date_among_many_is_decided_as_it_is_alone(method: str) -> None:
    theme = replace(THEME, method=method, max_weight=0.4, max_segment_weight=0.7)
    assert_each_alone(theme, RAGGED, Members(members_of(RAGGED, one_exchange=False)), SETTINGS)


@pytest.mark.parametrize(
    "limits",
    [("turnover <= 30%",), ("trade >= 2%", "names <= 4"), ("volatility <= 12%",), ("segment g0 >= 20%",)],
)
def test_a_decision_that_remembers_is_the_same_too(limits: tuple[str, ...]) -> None:
    theme = replace(THEME, method="inverse_volatility", max_weight=0.6, limits=limits)
    assert_each_alone(theme, RAGGED, Members(members_of(RAGGED, one_exchange=False)), SETTINGS)


@pytest.mark.parametrize("estimator", ["sample", "ledoit_wolf"])
@pytest.mark.parametrize("method", ["inverse_volatility", "equal_risk_contribution"])
@pytest.mark.parametrize("cap", [1.0, 0.33])
def test_plain_dates_are_the_same_alone_and_whatever_comes_later(
    method: str, estimator: str, cap: float
) -> None:
    theme, how = replace(THEME, method=method, max_weight=cap), replace(SETTINGS, estimator=estimator)
    members = Members(members_of(WHOLE, one_exchange=True))
    assert_each_alone(theme, WHOLE, members, how)
    day = DATES[5]
    prices = WHOLE.prices.copy()
    prices.loc[prices.index > pd.Timestamp(day)] **= 1.5
    changed = replace(WHOLE, prices=prices, close=prices)
    before, after = (build_schedule(theme, members, each, DATES, how) for each in (WHOLE, changed))
    assert (before.weights[:6] == after.weights[:6]).all()
    assert (before.weights[6:] != after.weights[6:]).any()


def test_inverse_volatility_of_many_names_is_the_same_alone() -> None:
    rng = np.random.default_rng(5)
    symbols = pd.Index([f"S{number:03d}" for number in range(130)], dtype="str")
    steps = rng.normal(0, 0.01, (200, 1)) + rng.normal(0, 0.01, (200, 130))
    prices = pd.DataFrame(50 * np.exp(np.cumsum(steps, axis=0)), index=WHOLE.sessions[:200], columns=symbols)
    panel = PricePanel(prices, prices.notna(), prices, prices * 1e5, "USD", prices.index[-1].date())
    members = Members(
        [Instrument(each, each, each, each, "equity", "XNYS", "USD", "US", "g") for each in symbols]
    )
    theme = replace(THEME, method="inverse_volatility")
    how = BuildSettings(estimator="sample", lookback_weeks=20, min_history_weeks=12)
    days = [each.date() for each in panel.sessions[150::10]]
    for day, found in zip(days, build_schedule(theme, members, panel, days, how), strict=True):
        assert_same(found, build(theme, members(day), panel.until(day), how))
        deviation = panel.until(day).prices.pct_change().iloc[-100:].std()
        np.testing.assert_allclose(found.weights, (1 / deviation) / (1 / deviation).sum(), rtol=0.2)


@pytest.mark.parametrize("estimator", ["sample", "ledoit_wolf"])
@pytest.mark.parametrize("method", ["inverse_volatility", "equal_risk_contribution"])
def test_plain_dates_have_the_weights_of_the_method_on_the_covariance(method: str, estimator: str) -> None:
    how = replace(SETTINGS, estimator=estimator)
    members = members_of(WHOLE, one_exchange=True)
    made = build_schedule(replace(THEME, method=method), Members(members), WHOLE, DATES, how)
    assert not made.made  # no date needed a decision of its own
    for number, day in enumerate(DATES):
        markets = {each.symbol: each.mic for each in members if each.is_listed(day)}
        asked = CovarianceSettings(estimator, lookback_weeks=60)
        matrix = estimate_panel_covariance(WHOLE.until(day), markets, asked).matrix
        expected = METHODS[method](Case(matrix.to_numpy(), Region(Names(tuple(matrix.index)), ())))
        columns = [made.symbols.index(each) for each in matrix.index]
        np.testing.assert_allclose(made.weights[number, columns], expected, rtol=0, atol=1e-9)
        assert made[number].weights.to_dict() == pytest.approx(dict(zip(matrix.index, expected, strict=True)))


def test_a_schedule_is_arrays_and_rebalances_at_once() -> None:
    members = Members(members_of(RAGGED, one_exchange=False))
    made = build_schedule(replace(THEME, max_weight=0.3), members, RAGGED, DATES, SETTINGS)
    assert made.weights.shape == (len(made), len(made.symbols)) and len(made) == len(DATES)
    np.testing.assert_allclose(made.weights.sum(axis=1) + made.cash, 1.0, atol=1e-12)
    for number, each in enumerate(made):
        row = dict(zip(made.symbols, made.weights[number].tolist(), strict=True))
        assert {symbol: weight for symbol, weight in row.items() if weight} == each.weights.to_dict()
    assert [each.decided_on for each in made[2:4]] == list(made.decided_on[2:4]) and made[-1] is made[
        len(made) - 1
    ]
    with pytest.raises(IndexError):
        made[len(made)]
    with pytest.raises(ValueError, match="increase"):
        build_schedule(THEME, members, RAGGED, DATES[::-1], SETTINGS)
    assert len(build_schedule(THEME, members, RAGGED, [], SETTINGS)) == 0


def test_a_history_shared_by_dates_gives_each_dates_own_covariance() -> None:
    members = members_of(RAGGED, one_exchange=False)
    markets = {each.symbol: each.mic for each in members}
    history, asked = PriceHistory.of(RAGGED, markets), CovarianceSettings(lookback_weeks=60)
    for end in (320, 333, 420, ROWS):
        some = {symbol: mic for symbol, mic in markets.items() if symbol != "S3" or end > 400}
        alone = estimate_panel_covariance(RAGGED.until(RAGGED.sessions[end - 1].date()), some, asked)
        shared = covariance_matrix(history.quotes(list(some), 60, end), asked)
        assert (alone.matrix.to_numpy() == shared).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_how_much_can_be_placed_is_what_a_linear_program_finds(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbols = tuple(f"S{each:02d}" for each in range(n))
    groups = {
        subject: tuple(f"{subject[0]}{each}" for each in rng.integers(0, 1 + n // 2, n))
        for subject in ("issuer", "segment")
    }
    texts = [f"{subject} <= {rng.integers(0, 60)}%" for subject in ("name", "issuer", "segment")]
    region = Region(Names(symbols, groups), parse_limits(texts[: rng.integers(1, 4)]))
    program = find(region, goal=lambda count: -np.ones(count))
    assert program is not None
    assert region.most_invested() == pytest.approx(min(1.0, program.weights.sum()), abs=1e-9)
    weights, _ = filled(region.matrix, region.bound, 1.0)
    assert not region.broken(weights)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000))
def test_weights_scaled_to_caps_are_what_the_interior_point_method_finds(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbols = tuple(f"S{each:02d}" for each in range(n))
    groups = {
        subject: tuple(f"{subject[0]}{each}" for each in rng.integers(0, 1 + n // 2, n))
        for subject in ("issuer", "segment")
    }
    region = Region(Names(symbols, groups), parse_limits(["issuer <= 40%", "segment <= 60%", "name <= 30%"]))
    total = 0.98 * (region.most_invested() or 0.0)
    raw = rng.dirichlet(np.ones(n))
    found = scaled_to_caps(np.maximum(raw, 1e-12), region.matrix, region.bound, total)
    assume(found is not None and not region.broken(found))

    def entropy(rows: np.ndarray) -> Goal:
        wanted = np.maximum(raw[rows], 1e-12)
        return Goal(lambda w, _: (np.log(w / wanted), np.diag(1.0 / w)), wanted, logarithmic=True)

    assert found is not None and found.sum() == pytest.approx(total, abs=1e-12)
    np.testing.assert_allclose(found, optimise(entropy, region, total)[0], rtol=0, atol=1e-7)
