"""The same settings are the same trial, whatever command tried them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import screener.api as sc
from screener.backtest.ledger import read_ledger
from screener.backtest.sweep_grid import GridPoint

SETTINGS = sc.BacktestSettings(years=1, cost_bps=10.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "trials.jsonl"


def trials(market: sc.Market, ledger: Path) -> int:
    universe = market.universe.key
    return len(read_ledger(ledger).of(universe, "magnets", synthetic=market.panel.synthetic))


def test_a_point_of_a_sweep_and_the_same_backtest_are_one_trial(
    sample_market: sc.Market, tmp_path: Path, ledger: Path
) -> None:
    theme, build = sample_market.universe.themes["magnets"], sc.BuildSettings()
    plain = GridPoint(
        theme.method,
        build.lookback_weeks,
        build.estimator,
        theme.max_weight,
        (),
        SETTINGS.frequency,
        cost_bps=10.0,
    )
    points = (plain, replace(plain, rebalance="quarterly"))
    options = sc.SweepOptions(output=tmp_path / "sweep", ledger=ledger)
    sc.sweep(sample_market, "magnets", points, SETTINGS, options)
    assert trials(sample_market, ledger) == 2
    look = sc.HonestySettings(ledger, baskets=0, days=1)
    result = sc.backtest(sample_market, "magnets", SETTINGS, look=look)
    assert trials(sample_market, ledger) == 2
    assert result.honesty is not None and result.honesty.search.trials == 2
    sc.backtest(sample_market, "magnets", replace(SETTINGS, frequency="weekly"), look=look)
    assert trials(sample_market, ledger) == 3
