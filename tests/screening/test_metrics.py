from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.market.panel import PricePanel
from screener.screening.metrics import (
    IN_SEGMENT,
    METRICS,
    PERCENTILE,
    Position,
    compute_metrics,
    percentiles,
    with_percentiles,
)
from screener.screening.rules import evaluate
from screener.universe.model import ScreenRule, ScreenSpec


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


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), back=st.integers(1, 400))
def test_a_screen_at_a_date_is_unchanged_by_anything_after_it(seed: int, back: int) -> None:
    rng = np.random.default_rng(seed)
    columns = {name: random_walk(seed=seed + n, drift=0.001 * n) for n, name in enumerate("ABCDEF")}
    columns["F"][: rng.integers(1, 690)] = np.nan  # listed late, perhaps after the date
    panel = panel_of(dict(columns))
    day = panel.sessions[-1 - back].date()
    rows = np.arange(len(panel.sessions)) >= len(panel.sessions) - back
    later = np.repeat(rows[:, None], len(panel.symbols), axis=1)
    noise = np.exp(rng.normal(0, 1, panel.prices.shape))

    def changed(table: pd.DataFrame) -> pd.DataFrame:
        return table.where(~later, table * noise)

    other = replace(
        panel,
        prices=changed(panel.prices),
        close=changed(panel.close),
        value_traded=changed(panel.value_traded),
        traded=panel.traded & (~later | (rng.random(panel.prices.shape) > 0.5)),
    )
    spec = ScreenSpec(
        "s", "S", "S", (ScreenRule("volatility", "<=", 0.24),), (("momentum_12_1", 1.0), ("beta", -0.5))
    )
    groups = dict.fromkeys("ABC", "mining") | dict.fromkeys("DEF", "magnets")
    one, two = (
        evaluate(spec, with_percentiles(compute_metrics(each.until(day), "A", groups), groups))
        for each in (panel, other)
    )
    pd.testing.assert_frame_equal(one.metrics, two.metrics, rtol=0, atol=0)
    pd.testing.assert_series_equal(one.rank, two.rank)
    assert one.reasons == two.reasons and one.near == two.near


def test_every_metric_is_described_and_computed() -> None:
    metrics = compute_metrics(panel_of({"A": random_walk()}), None)
    assert list(metrics.columns) == list(METRICS)
    assert {each.unit for each in METRICS.values()} <= {
        *("fraction", "base currency", "sessions", "days", "ratio")
    }
    assert all(each.description for each in METRICS.values())


def test_more_windows_of_returns() -> None:
    panel = panel_of({"A": random_walk(rows=900)}, rows=900)
    metrics, price = compute_metrics(panel, None).loc["A"], panel.prices["A"]
    assert metrics["return_ytd"] == pytest.approx(price.iloc[-1] / price["2025-12-31"] - 1)
    assert metrics["return_3y"] == pytest.approx(price.iloc[-1] / price["2023-07-10"] - 1)
    assert metrics["momentum_6_1"] == pytest.approx(price["2026-06-10"] / price["2026-01-09"] - 1)


def test_daily_volatility_is_annualised_by_the_rows_of_the_year() -> None:
    panel = panel_of({"A": random_walk()})
    year = panel.prices["A"]["2025-07-10":]
    expected = year.pct_change().std() * np.sqrt(
        365.25 * (len(year) - 1) / (year.index[-1] - year.index[0]).days
    )
    assert compute_metrics(panel, None).loc["A", "volatility_daily"] == pytest.approx(expected)


def test_drawdown_now_worst_and_the_distance_from_both_ends() -> None:
    path = np.concatenate([np.full(300, 100.0), np.full(300, 40.0), np.full(100, 60.0)])
    metrics = compute_metrics(panel_of({"A": path}), None).loc["A"]
    assert metrics["drawdown"] == pytest.approx(0.4)
    assert metrics["max_drawdown_3y"] == pytest.approx(0.6)
    assert metrics["max_drawdown"] == pytest.approx(0.0)
    assert metrics["distance_from_low"] == pytest.approx(0.5)


def test_idiosyncratic_volatility_is_what_the_benchmark_leaves() -> None:
    market = random_walk(seed=1)
    panel = panel_of({"OWN": 100 * (market / 100) ** 1.5, "SPY": market})
    metrics = compute_metrics(panel, "SPY")
    assert metrics.loc["OWN", "correlation"] == pytest.approx(1.0, abs=1e-3)
    assert metrics.loc["OWN", "idiosyncratic_volatility"] < 0.02 * metrics.loc["OWN", "volatility"] * 2
    assert metrics.loc["SPY", "idiosyncratic_volatility"] == pytest.approx(0.0, abs=1e-12)


def test_peers_are_the_other_names_of_the_group() -> None:
    columns = {name: random_walk(seed=n) for n, name in enumerate("ABC")}
    panel = panel_of(columns)
    weekly = panel.prices[panel.sessions.day_of_week == 4].iloc[-105:].pct_change().dropna()
    metrics = compute_metrics(panel, None, {"A": "mining", "B": "mining", "C": "magnets"})
    assert metrics.loc["A", "beta_peers"] == pytest.approx(np.polyfit(weekly["B"], weekly["A"], 1)[0])
    assert metrics.loc["A", "correlation_peers"] == pytest.approx(weekly["A"].corr(weekly["B"]))
    assert np.isnan(metrics.loc["C", "beta_peers"])


def test_days_to_trade_a_capital_at_a_participation() -> None:
    panel = panel_of({"A": random_walk()})
    metrics = compute_metrics(panel, None, position=Position(capital=3e7, participation=0.2)).loc["A"]
    assert metrics["days_to_trade"] == pytest.approx(3e7 / (0.2 * 3e6))
    assert metrics["liquidity_class"] == 4


@pytest.mark.parametrize(("capital", "expected"), [(3e5, 1), (1.5e6, 2), (6e6, 3), (6.1e6, 4)])
def test_liquidity_classes_are_a_day_a_week_a_month_and_longer(capital: float, expected: int) -> None:
    metrics = compute_metrics(panel_of({"A": random_walk()}), None, position=Position(capital, 0.1))
    assert metrics.loc["A", "liquidity_class"] == expected


def test_days_without_volume_are_counted_and_the_unknown_is_not_zero() -> None:
    panel = panel_of({"A": random_walk(), "B": random_walk(seed=3)})
    value = panel.value_traded.copy()
    value.iloc[-5:, 0] = 0.0
    value.iloc[:, 1] = np.nan
    metrics = compute_metrics(replace(panel, value_traded=value), None)
    assert metrics.loc["A", "zero_volume_days"] == 5
    assert np.isnan(metrics.loc["B", "zero_volume_days"])


def test_a_panel_without_sessions_has_no_metrics() -> None:
    nothing = pd.DataFrame({"A": []}, index=pd.DatetimeIndex([], name="session").as_unit("s"), dtype=float)
    panel = PricePanel(
        nothing, nothing.astype(bool), nothing, nothing, "USD", pd.Timestamp("2026-07-10").date()
    )
    assert compute_metrics(panel, None).isna().all(axis=None)


def test_a_percentile_is_the_middle_of_its_place_and_ties_share() -> None:
    table = pd.DataFrame({"x": [1.0, 3.0, 3.0, 9.0, np.nan]}, index=list("ABCDE"))
    assert percentiles(table)["x"].tolist()[:4] == [0.125, 0.5, 0.5, 0.875]
    assert np.isnan(percentiles(table).loc["E", "x"])
    groups = {"A": "m", "B": "m", "C": "n", "D": "n", "E": "n"}
    assert percentiles(table, groups)["x"].tolist()[:4] == [0.25, 0.75, 0.25, 0.75]


def test_percentiles_stand_beside_their_metric() -> None:
    table = with_percentiles(pd.DataFrame({"beta": [1.0, 2.0]}, index=["A", "B"]), {"A": "m", "B": "n"})
    assert list(table.columns) == ["beta", f"beta{PERCENTILE}", f"beta{IN_SEGMENT}"]
    assert table.loc["A"].tolist() == [1.0, 0.25, 0.5]
