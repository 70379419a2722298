"""Returns over horizons, stages and weeks."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from screener.backtest.performance import drawdowns
from screener.market.panel import PricePanel
from screener.report import measures
from tests.report.make_inputs import AS_OF, fresh_inputs, make_inputs


def prices_of(**columns: list[float]) -> pd.DataFrame:
    index = pd.bdate_range(end=AS_OF, periods=len(next(iter(columns.values()))), unit="s", name="session")
    return pd.DataFrame(columns, index=index)


def test_a_horizon_starts_at_the_last_price_on_or_before_its_first_day() -> None:
    prices = prices_of(A=[float(each) for each in range(1, 401)])
    returns = measures.horizon_returns(prices, AS_OF).loc["A"]
    last = prices["A"].iloc[-1]
    starts = {
        "week": "2026-07-03",
        "month": "2026-06-10",
        "quarter": "2026-04-10",
        "ytd": "2025-12-31",
        "year": "2025-07-10",
    }
    for horizon, day in starts.items():
        assert returns[horizon] == pytest.approx(last / prices["A"].asof(pd.Timestamp(day)) - 1)


def test_a_price_missing_at_either_end_leaves_no_return() -> None:
    prices = prices_of(A=[100.0] * 399 + [np.nan], B=[np.nan] * 390 + [100.0] * 10, C=[100.0] * 399 + [110.0])
    returns = measures.horizon_returns(prices, AS_OF)
    assert returns.loc["A"].isna().all()
    assert returns.loc["B", "week"] == 0 and np.isnan(returns.loc["B", "month"])
    assert returns.loc["C", "year"] == pytest.approx(0.10)


def test_a_history_shorter_than_a_horizon_has_no_return_over_it() -> None:
    returns = measures.wealth_returns(prices_of(A=[1.0] * 30)["A"], AS_OF)
    assert returns["month"] == 0 and np.isnan(returns["quarter"]) and np.isnan(returns["year"])


def test_a_stage_is_the_mean_of_its_names_that_have_a_return() -> None:
    returns = pd.DataFrame({"week": {"A": 0.10, "B": 0.20, "C": np.nan}})
    means = measures.stage_means(returns, {"mines": ["A", "B", "C"], "magnets": ["C"]})
    assert means.loc["mines", "week"] == pytest.approx(0.15)
    assert np.isnan(means.loc["magnets", "week"])


def test_weekly_points_end_on_fridays_and_fill_nothing() -> None:
    series = pd.Series([1.0, 2.0, np.nan], index=pd.to_datetime(["2026-06-30", "2026-07-02", "2026-07-08"]))
    points = measures.weekly(series, date(2026, 7, 9))
    assert [f"{each:%Y-%m-%d}" for each in points.index] == ["2026-07-03", "2026-07-10"]
    assert points.iloc[0] == 2.0 and np.isnan(points.iloc[1])


def test_drawdown_keeps_the_worst_of_each_week() -> None:
    wealth = prices_of(A=[1.0, 0.5, 0.9, 1.0, 1.2, 1.2, 0.6, 1.2, 1.2, 1.2])["A"]
    depth = measures.worst_of_week(drawdowns(wealth), AS_OF)
    assert depth.tolist() == [-0.5, -0.5]
    assert depth.index.equals(measures.weekly(wealth, AS_OF).index)


def test_a_stale_name_shows_its_last_close_however_old() -> None:
    inputs = make_inputs(names=10, themes=1)
    panel = inputs.panel
    closes = measures.last_close(panel)
    assert np.isnan(panel.close["N002"].iloc[-1])
    assert closes["N002"] == panel.close["N002"].dropna().iloc[-1]
    assert closes["N000"] == panel.close["N000"].iloc[-1]


def test_correlations_need_half_a_year_of_common_weeks() -> None:
    inputs = fresh_inputs()
    stages = {"one": ["N000", "N001"], "other": ["N002"]}
    matrix = measures.stage_correlations(inputs.panel, stages)
    weekly = inputs.panel.prices.reindex(
        measures.fridays(inputs.panel.sessions[0], AS_OF), method="ffill"
    ).iloc[-105:]
    returns = weekly.pct_change(fill_method=None)
    expected = np.corrcoef(returns[["N000", "N001"]].mean(axis=1).iloc[1:], returns["N002"].iloc[1:])[0, 1]
    assert matrix.loc["one", "other"] == pytest.approx(expected)
    short = inputs.panel.select(["N000", "N001", "N002"])
    rows = short.sessions[-100:]
    recent = PricePanel(
        short.prices.loc[rows],
        short.traded.loc[rows],
        short.close.loc[rows],
        short.value_traded.loc[rows],
        "USD",
        AS_OF,
    )
    assert np.isnan(measures.stage_correlations(recent, stages).loc["one", "other"])
