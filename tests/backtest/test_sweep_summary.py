"""What a sweep as a whole says agrees with its variants."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from screener.backtest.performance import summarise
from screener.backtest.sweep import PointResult
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.sweep_run import Sweep
from screener.backtest.sweep_summary import pivot, results_table, returns_table, summarise_sweep
from screener.backtest.validity import probabilistic_sharpe_ratio

SESSIONS = pd.bdate_range("2020-01-01", periods=501)


def a_sweep(returns: dict[GridPoint, np.ndarray]) -> Sweep:
    """Return a sweep with these returns; each record ends with the last session."""
    found = []
    for point, each in returns.items():
        index = SESSIONS[len(SESSIONS) - len(each) - 1 :]
        wealth = pd.Series(np.concatenate([[1.0], np.cumprod(1 + each)]), index=index)
        found.append(PointResult(point, index[0].date(), each, summarise(wealth)))
    return Sweep(tuple(found), SESSIONS)


def point(method: str = "equal", weeks: int = 52, bps: float = 10.0) -> GridPoint:
    return GridPoint(method, weeks, "ledoit_wolf", 0.1, (), "monthly", "close", bps)


@pytest.fixture
def sweep() -> Sweep:
    rng = np.random.default_rng(3)
    shared = 0.01 * rng.standard_normal(500)
    points = [point(m, w) for m in ("equal", "inverse_volatility") for w in (52, 104)]
    drift = dict(zip(points, (0.0, 0.0005, 0.001, 0.0015), strict=True))
    return a_sweep({each: shared + 0.002 * rng.standard_normal(500) + drift[each] for each in points})


def test_the_common_sharpe_ratio_is_the_usual_one_where_all_records_are_equally_long(sweep: Sweep) -> None:
    pytest.importorskip("screener.backtest.overfitting")
    found = summarise_sweep(sweep)
    np.testing.assert_allclose(found.table["sharpe_common"], found.table["sharpe_ratio"], rtol=1e-12)
    assert found.best == found.table["sharpe_ratio"].idxmax() == "v0004"
    assert (found.first, found.last) == (SESSIONS[0].date(), SESSIONS[-1].date())


def test_the_spread_is_the_mean_of_the_variants_with_that_value(sweep: Sweep) -> None:
    pytest.importorskip("screener.backtest.overfitting")
    found = summarise_sweep(sweep)
    assert list(found.spread) == ["method", "lookback_weeks"]
    spread = found.spread["method"].loc["equal"]
    own = found.table.loc[found.table["method"] == "equal", "sharpe_common"]
    assert (spread["variants"], spread["mean"], spread["lowest"], spread["highest"]) == (
        2, pytest.approx(own.mean()), own.min(), own.max()
    )  # fmt: skip
    cells = pivot(found.table, "method", "lookback_weeks")
    assert cells.loc["inverse_volatility", "104"] == found.table["sharpe_common"].iloc[3]


def test_variants_are_compared_over_the_sessions_all_have(sweep: Sweep) -> None:
    pytest.importorskip("screener.backtest.overfitting")
    late = a_sweep({point(bps=99.0): sweep.results[0].returns[200:]}).results
    found = summarise_sweep(Sweep((*sweep.results, *late), SESSIONS))
    assert found.first == SESSIONS[200].date()
    assert found.table.loc["v0005", "sharpe_common"] == pytest.approx(
        found.table.loc["v0001", "sharpe_common"]
    )
    assert returns_table(Sweep((*sweep.results, *late), SESSIONS))["v0005"].isna().sum() == 200


def test_one_without_a_record_stays_in_the_table_with_its_note(sweep: Sweep) -> None:
    none = PointResult(point(bps=5.0), None, np.empty(0), None, "limits contradict")
    table = results_table(Sweep((*sweep.results, none), SESSIONS))
    assert table.loc["v0005", "note"] == "limits contradict" and np.isnan(table.loc["v0005", "cagr"])
    assert table.loc["v0001", "end"] == date(2021, 12, 1)


def test_the_search_costs_the_best_some_of_its_probability(sweep: Sweep) -> None:
    pytest.importorskip("screener.backtest.overfitting")
    benchmark = pd.Series(np.exp(np.cumsum(np.full(501, 1e-4))), index=SESSIONS, name="SPY")
    found = summarise_sweep(sweep, benchmark)
    assert found.deflated_sharpe < found.probabilistic_sharpe
    assert found.probabilistic_sharpe == probabilistic_sharpe_ratio(sweep.results[3].returns)
    assert found.overfitting is not None and found.overfitting.variants == 4
    assert found.superiority is not None and found.benchmark == "SPY"
    # with the order of the variants as clear as here, the best of one half is the best of the other
    assert found.overfitting.probability < 0.1
