from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from screener.market.panel import PricePanel
from screener.screening.metrics import METRICS, compute_metrics


def panel_of(columns: dict[str, object], rows: int = 700) -> PricePanel:
    index = pd.bdate_range(end="2026-07-10", periods=rows, name="session").as_unit("s")
    prices = pd.DataFrame(columns, index=index, dtype=float).sort_index(axis=1)
    value = pd.DataFrame(3e6, index=index, columns=prices.columns).where(prices.notna())
    return PricePanel(prices, prices.notna(), prices, value, "USD", index[-1].date())


def random_walk(
    rows: int = 700, seed: int = 0, drift: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(drift, 0.015, rows))))


def test_returns_run_from_the_price_on_or_before_the_day() -> None:
    panel = panel_of({"A": random_walk()})
    metrics = compute_metrics(panel, None).loc["A"]
    price = panel.prices["A"]
    assert metrics["return_1w"] == pytest.approx(price.iloc[-1] / price["2026-07-03"] - 1)
    assert metrics["return_1m"] == pytest.approx(price.iloc[-1] / price["2026-06-10"] - 1)
    assert metrics["return_3m"] == pytest.approx(price.iloc[-1] / price["2026-04-10"] - 1)
    # 10 January 2026 is a Saturday
    assert metrics["return_6m"] == pytest.approx(price.iloc[-1] / price["2026-01-09"] - 1)
    assert metrics["momentum_12_1"] == pytest.approx(price["2026-06-10"] / price["2025-07-10"] - 1)


def test_volatility_is_that_of_52_weekly_returns() -> None:
    panel = panel_of({"A": random_walk()})
    fridays = panel.prices["A"][panel.sessions.day_of_week == 4].iloc[-53:]
    expected = fridays.pct_change().dropna().std() * np.sqrt(52)
    assert compute_metrics(panel, None).loc["A", "volatility"] == pytest.approx(expected)


def test_drawdown_and_distance_from_high_of_a_known_path() -> None:
    path = np.concatenate(
        [np.full(600, 50.0), np.linspace(50, 100, 50), np.linspace(100, 60, 30), np.full(20, 80.0)]
    )
    metrics = compute_metrics(panel_of({"A": path}), None).loc["A"]
    assert metrics["max_drawdown"] == pytest.approx(0.4)
    assert metrics["distance_from_high"] == pytest.approx(-0.2)


def test_the_drawdown_of_years_ago_is_forgotten() -> None:
    path = np.concatenate([[100.0, 20.0], np.full(698, 100.0)])
    assert compute_metrics(panel_of({"A": path}), None).loc["A", "max_drawdown"] == pytest.approx(0.0)


def test_beta_to_the_benchmark_is_the_regressions() -> None:
    market = random_walk(seed=1)
    own = 100 * np.exp(1.5 * np.log(market / 100) + 0.2 * np.log(random_walk(seed=2) / 100))
    panel = panel_of({"OWN": own, "SPY": market})
    fridays = panel.prices[panel.sessions.day_of_week == 4].iloc[-105:].pct_change().dropna()
    expected = np.polyfit(fridays["SPY"], fridays["OWN"], 1)[0]
    metrics = compute_metrics(panel, "SPY")
    assert metrics.loc["OWN", "beta"] == pytest.approx(expected)
    assert metrics.loc["SPY", "beta"] == pytest.approx(1.0)
    assert compute_metrics(panel, None)["beta"].isna().all()


def test_average_daily_value_counts_only_sessions_that_traded() -> None:
    panel = panel_of({"A": random_walk(), "B": random_walk(seed=3)})
    value = panel.value_traded.copy()
    value.iloc[-63:-30, 0] = np.nan
    value.iloc[-10:, 1] = np.nan
    value.iloc[:-15, 1] = np.nan
    metrics = compute_metrics(replace(panel, value_traded=value), None)
    assert metrics.loc["A", "adv"] == pytest.approx(3e6)
    assert np.isnan(metrics.loc["B", "adv"])  # five known sessions are too few


def test_what_needs_more_history_than_there_is_is_unknown() -> None:
    path = random_walk()
    path[:-40] = np.nan
    metrics = compute_metrics(panel_of({"A": random_walk(), "NEW": path}), "A").loc["NEW"]
    assert np.isfinite(metrics["return_1m"])
    for name in ("return_3m", "return_12m", "momentum_12_1", "volatility", "beta"):
        assert np.isnan(metrics[name]), name
    assert metrics["history_days"] == 40


def test_a_name_without_a_current_price_has_only_its_history() -> None:
    path = random_walk()
    path[-1] = np.nan
    metrics = compute_metrics(panel_of({"A": random_walk(), "OLD": path}), "A").loc["OLD"]
    assert metrics.drop("history_days").isna().all()
    assert metrics["history_days"] == 699


def test_nothing_after_the_panels_end_matters() -> None:
    panel = panel_of({"A": random_walk(), "B": random_walk(seed=4)})
    day = panel.sessions[-100].date()
    scrambled = panel.prices.copy()
    scrambled.iloc[-99:] *= 7
    other = replace(panel, prices=scrambled)
    pd.testing.assert_frame_equal(
        compute_metrics(panel.until(day), "A"), compute_metrics(other.until(day), "A"), rtol=0, atol=0
    )


def test_every_metric_is_described_and_computed() -> None:
    metrics = compute_metrics(panel_of({"A": random_walk()}), None)
    assert list(metrics.columns) == list(METRICS)
    assert {each.unit for each in METRICS.values()} <= {
        *("fraction", "base currency", "sessions", "days", "ratio")
    }
    assert all(each.description for each in METRICS.values())
