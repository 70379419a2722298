"""Exchanges that close at different hours: the known answer comes back, and one exchange alone changes nothing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.market.panel import PricePanel
from screener.risk.covariance import CovarianceSettings, estimate_panel_covariance
from tests.risk.simulated_markets import (
    DAY,
    WEEKDAYS_PER_YEAR,
    SimulatedMarket,
    closes_of,
    minimum_variance,
    panel_of,
    simulated_market,
    weekday_seconds,
)

SEEDS = range(12)


@lru_cache(maxsize=32)
def market(seed: int) -> SimulatedMarket:
    return simulated_market(seed)


def matrix_of(one: SimulatedMarket, synchroniser: str = "", estimator: str = "ledoit_wolf") -> pd.DataFrame:
    return estimate_panel_covariance(
        one.panel, one.markets, CovarianceSettings(estimator, synchroniser)
    ).matrix


def surprise(one: SimulatedMarket, matrix: pd.DataFrame) -> float:
    """Realised over predicted volatility of the minimum-variance portfolio, less 1."""
    predicted, truth = matrix.to_numpy(), one.truth.to_numpy()
    weights = minimum_variance(predicted)
    return float(np.sqrt((weights @ truth @ weights) / (weights @ predicted @ weights)) - 1)


def between(one: SimulatedMarket, matrix: pd.DataFrame, here: str, there: str) -> float:
    deviation = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(deviation, deviation)
    rows, columns = ([s for s in matrix if one.markets[str(s)] == mic] for mic in (here, there))
    return float(correlation.loc[rows, columns].to_numpy().mean())


def test_minimum_variance_is_as_risky_as_the_default_predicts_and_tokyo_moves_with_new_york() -> None:
    surprises, correlations = [], []
    for seed in SEEDS:
        matrix = matrix_of(market(seed))
        surprises.append(surprise(market(seed), matrix))
        correlations.append(between(market(seed), matrix, "XTKS", "XNYS"))
    assert abs(np.mean(surprises)) < 0.05
    assert abs(np.mean(correlations) - 0.5) < 0.05


@pytest.mark.parametrize("share", [0.1, 0.8])
def test_neither_news_while_new_york_is_open_nor_news_while_it_is_shut_changes_that(share: float) -> None:
    markets = [simulated_market(seed, in_new_york=share) for seed in SEEDS]
    matrices = [matrix_of(one) for one in markets]
    assert abs(np.mean([surprise(one, m) for one, m in zip(markets, matrices, strict=True)])) < 0.05
    across = [between(one, m, "XTKS", "XNYS") for one, m in zip(markets, matrices, strict=True)]
    assert abs(np.mean(across) - 0.5) < 0.05


def test_plain_daily_returns_predict_too_little_on_the_same_panels() -> None:
    matrices = [matrix_of(market(seed), "daily") for seed in SEEDS]
    assert np.mean([surprise(market(s), m) for s, m in zip(SEEDS, matrices, strict=True)]) > 0.10
    assert (
        np.mean([between(market(s), m, "XTKS", "XNYS") for s, m in zip(SEEDS, matrices, strict=True)]) < 0.3
    )


@pytest.mark.parametrize("synchroniser", ["weekly", "overlapping", "burns_engle_mezrich"])
def test_the_other_ways_come_closer_than_plain_daily_returns(synchroniser: str) -> None:
    def miss(way: str) -> float:
        return abs(
            float(np.mean([between(market(s), matrix_of(market(s), way), "XTKS", "XNYS") for s in SEEDS[:6]]))
            - 0.5
        )

    assert miss(synchroniser) < miss("daily") / 3


def test_the_default_is_lead_lag_on_daily_returns() -> None:
    one = market(0)
    default = estimate_panel_covariance(one.panel, one.markets)
    assert default.synchroniser == "lead_lag"
    pd.testing.assert_frame_equal(default.matrix, matrix_of(one, "lead_lag"))


def test_a_panel_of_one_exchange_changes_by_less_than_one_per_cent() -> None:
    one = simulated_market(3, {"XNYS": 8})
    plain, ours = matrix_of(one, "daily"), matrix_of(one)
    assert np.abs(np.sqrt(np.diag(ours)) / np.sqrt(np.diag(plain)) - 1).max() < 0.01
    assert abs(minimum_variance(ours.to_numpy()) - minimum_variance(plain.to_numpy())).max() < 0.01


@pytest.mark.parametrize("mics", [{"XTKS": 6}, {"XNYS": 4, "XNAS": 4}])
def test_names_that_close_together_keep_their_sample_correlations_to_the_last_digits(
    mics: dict[str, int],
) -> None:
    one = simulated_market(4, mics)
    returns = one.panel.prices.pct_change().iloc[1:]
    ours = matrix_of(one, "lead_lag", "sample")
    deviation = np.sqrt(np.diag(ours))
    np.testing.assert_allclose(ours / np.outer(deviation, deviation), returns.corr(), rtol=0, atol=1e-12)
    # annualised by the sessions there really were in a year
    years = (returns.index[-1] - one.panel.sessions[0]).days / 365.25
    np.testing.assert_allclose(deviation, returns.std() * np.sqrt(len(returns) / years), rtol=0.005)


def gapped(one: SimulatedMarket, seed: int) -> PricePanel:
    """The same panel with a fifth of the bars of half the names missing, and two names listed late."""
    rng = np.random.default_rng(seed)
    traded = one.panel.traded.copy()
    for number, symbol in enumerate(traded):
        if number % 2:
            traded[symbol] &= rng.random(len(traded)) > 0.2
    traded.iloc[:40, 0] = False
    traded.iloc[:33, 3] = False
    traded.iloc[-9:, 2] = False
    return panel_of(one.panel.prices.where(traded).ffill(), traded)


def overlapping_products(panel: PricePanel, markets: dict[str, str], a: str, b: str) -> float:
    """Hayashi and Yoshida's sum, span by span, from closes straight out of the exchanges' calendars."""
    spans = {}
    for symbol in (a, b):
        prices = panel.prices[symbol][panel.traded[symbol]]
        closes = closes_of(markets[symbol], panel.sessions[0], panel.sessions[-1]).reindex(prices.index)
        clock = weekday_seconds(closes)
        returns = prices.to_numpy()[1:] / prices.to_numpy()[:-1] - 1
        spans[symbol] = (clock[:-1], clock[1:], returns - returns.mean())
    (start_a, end_a, r_a), (start_b, end_b, r_b) = spans[a], spans[b]
    total = 0.0
    for s, e, r in zip(start_a, end_a, r_a, strict=True):
        total += r * r_b[(start_b < e) & (end_b > s)].sum()
    common = min(end_a[-1], end_b[-1]) - max(start_a[0], start_b[0])
    return total / (common / DAY / WEEKDAYS_PER_YEAR)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_covariance_is_the_sum_over_overlapping_spans(seed: int) -> None:
    names = {"XNYS": 2, "XTKS": 2, "XASX": 2, "XLON": 1, "XSHG": 1}
    one = simulated_market(seed, names, "2024-09-02", 40)
    panel = gapped(one, seed)
    ours = estimate_panel_covariance(panel, one.markets, CovarianceSettings("sample")).matrix
    if np.linalg.eigvalsh(ours.to_numpy())[0] < 2e-4 * np.diag(ours).min():
        return  # repaired: no longer the plain sums
    for a in ours:
        for b in ours:
            plain = overlapping_products(panel, one.markets, str(a), str(b))
            assert ours.loc[a, b] == pytest.approx(plain, rel=0.02, abs=2e-4)  # n against n − 1 returns


def test_nothing_after_the_panels_end_and_nothing_before_the_lookback_is_looked_at() -> None:
    one = market(1)
    day = one.panel.sessions[300].date()
    rng = np.random.default_rng(0)
    later = np.asarray(one.panel.sessions > pd.Timestamp(day))[:, None]
    noise = np.where(later, np.exp(rng.normal(0, 0.3, one.panel.prices.shape)), 1.0)
    changed = panel_of(one.panel.prices * noise, one.panel.traded)
    before = estimate_panel_covariance(one.panel.until(day), one.markets)
    after = estimate_panel_covariance(changed.until(day), one.markets)
    pd.testing.assert_frame_equal(before.matrix, after.matrix, rtol=0, atol=0)
    short = CovarianceSettings(lookback_weeks=30)
    whole = estimate_panel_covariance(one.panel, one.markets, short)
    tail = panel_of(one.panel.prices.iloc[-180:], one.panel.traded.iloc[-180:])
    pd.testing.assert_frame_equal(whole.matrix, estimate_panel_covariance(tail, one.markets, short).matrix)


def test_renaming_symbols_renames_the_estimate() -> None:
    one = market(2)
    names = {symbol: f"Z{99 - number}" for number, symbol in enumerate(one.truth)}
    renamed = panel_of(
        one.panel.prices.rename(columns=names).sort_index(axis=1),
        one.panel.traded.rename(columns=names).sort_index(axis=1),
    )
    moved = estimate_panel_covariance(renamed, {names[s]: mic for s, mic in one.markets.items()}).matrix
    order = list(names.values())
    np.testing.assert_allclose(moved.loc[order, order], matrix_of(one), rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_name_listed_for_90_days_keeps_the_volatility_of_those_days(seed: int) -> None:
    one = market(seed)
    symbol = "TKS1" if seed % 2 else "NYS2"
    late = one.panel.sessions >= one.panel.sessions[-1] - pd.Timedelta(days=90)
    traded = one.panel.traded.copy()
    traded[symbol] &= late
    panel = panel_of(one.panel.prices.where(traded | (traded.cumsum() > 0)), traded)
    covariance = estimate_panel_covariance(panel, one.markets)
    window = one.panel.prices[symbol][
        late & one.panel.traded[symbol].to_numpy()
    ].pct_change().std() * np.sqrt(252)
    assert covariance.volatility[symbol] == pytest.approx(window, rel=0.10)
    # some 60 normal returns know a volatility to 1/√120 of it, less well where holidays make some of them longer
    assert 0.8 / np.sqrt(120) < covariance.volatility_error[symbol] < 1.6 / np.sqrt(120)
    assert covariance.volatility_error.drop(symbol).max() < covariance.volatility_error[symbol] / 2
    fair = minimum_variance(matrix_of(one).to_numpy())[list(one.truth).index(symbol)]
    weight = minimum_variance(covariance.matrix.to_numpy())[list(one.truth).index(symbol)]
    assert abs(weight - fair) < 0.12  # filled zeros gave such a name 43 % of a portfolio
