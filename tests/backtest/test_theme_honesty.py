"""What survives of a theme's record on the sample market, and that nothing later reached it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import screener.api as sc
from screener.backtest.ledger import read_ledger
from screener.backtest.theme_honesty import FEWEST_VARIANTS

LOOK = sc.HonestySettings(baskets=40, days=3)


def test_every_variant_is_a_trial_once_and_all_of_a_themes_trials_judge_it(
    sample_market: sc.Market, tmp_path: Path
) -> None:
    ledger = tmp_path / "trials.jsonl"
    look = replace(LOOK, ledger=ledger, baskets=0, days=1)
    chances = []
    for lookback in (52, 78, 104, 130, 104):
        result = sc.backtest(
            sample_market,
            "magnets",
            sc.BacktestSettings(years=3),
            sc.BuildSettings(lookback_weeks=lookback),
            look,
        )
        assert result.honesty is not None
        chances.append((result.honesty.search.trials, result.honesty.deflated_sharpe))
    assert [trials for trials, _ in chances] == [1, 2, 3, 4, 4]
    assert chances[4][1] < result.honesty.validity.probabilistic_sharpe
    assert len(read_ledger(ledger).trials) == FEWEST_VARIANTS
    assert result.honesty.overfitting is not None and result.honesty.superiority is not None
    assert result.honesty.superiority.variants == FEWEST_VARIANTS
    other = sc.backtest(sample_market, "recycling", sc.BacktestSettings(years=3), look=look).honesty
    assert other is not None and other.search.trials == 1


def test_the_whole_paragraph_has_its_numbers(sample_market: sc.Market) -> None:
    result = sc.backtest(sample_market, "recycling", sc.BacktestSettings(years=3), look=LOOK)
    honesty = result.honesty
    assert honesty is not None and result.performance is not None
    assert honesty.cagr == result.performance.cagr
    assert honesty.placebo is not None and honesty.placebo.baskets == 40
    assert honesty.rebalance_days is not None and honesty.rebalance_days.runs == 3
    assert honesty.halves is not None and honesty.halves[0].end <= honesty.halves[1].start
    assert honesty.dependence is not None
    assert honesty.dependence.best_name in result.backtest.shares.columns if result.backtest else False


def test_every_day_of_the_period_is_tried_once(sample_market: sc.Market) -> None:
    settings = sc.BacktestSettings(years=2, frequency="weekly")
    result = sc.backtest(sample_market, "magnets", settings, look=sc.HonestySettings(baskets=0))
    assert result.honesty is not None and result.honesty.rebalance_days is not None
    assert result.honesty.rebalance_days.runs == 5


def test_without_a_ledger_only_this_trial_counts(sample_market: sc.Market) -> None:
    look = replace(LOOK, baskets=0, days=1)
    result = sc.backtest(sample_market, "magnets", sc.BacktestSettings(years=2), look=look)
    assert result.honesty is not None and result.honesty.search.trials == 1
    assert result.honesty.placebo is None and result.honesty.rebalance_days is None


def test_a_trial_that_is_not_recorded_counts_itself_beside_those_of_the_ledger(
    sample_market: sc.Market, tmp_path: Path
) -> None:
    ledger = tmp_path / "trials.jsonl"
    settings = sc.BacktestSettings(years=2)
    look = replace(LOOK, ledger=ledger, baskets=0, days=1)

    def trials(weeks: int, look: sc.HonestySettings) -> int:
        built = sc.BuildSettings(lookback_weeks=weeks)
        honesty = sc.backtest(sample_market, "magnets", settings, built, look).honesty
        assert honesty is not None
        return honesty.search.trials

    assert trials(52, look) == 1
    silent = replace(look, record=False)
    before = ledger.read_bytes()
    assert trials(78, silent) == 2 and trials(52, silent) == 1
    assert ledger.read_bytes() == before
    assert trials(78, replace(silent, until=sample_market.request.now - timedelta(seconds=1))) == 1


@pytest.mark.parametrize(
    "settings",
    [
        sc.BacktestSettings("quarterly", years=2),
        sc.BacktestSettings("quarterly", years=2, execution="open", tranches=2),
    ],
)
def test_the_audit_finds_nothing_that_came_later(
    sample_market: sc.Market, settings: sc.BacktestSettings
) -> None:
    theme = sc.theme_named(sample_market.universe, "friend_shored")
    found = sc.audit_theme(sample_market, theme, settings, sc.BuildSettings(), cuts=4)
    assert found.passed and found.untouched == 0
    assert found.decisions > 0 and len(found.cuts) == 4
