"""A theme walked forward on the sample market."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.attribution import attribute, brinson_fachler
from screener.backtest.shared import Shared
from screener.backtest.tape import Terms
from screener.backtest.theme import (
    BUY_AND_HOLD,
    EQUAL_WEIGHT,
    ThemeResult,
    equal_weight_universe,
    survivorship,
)
from screener.errors import UserError


@pytest.fixture(scope="module")
def result(sample_market: sc.Market) -> ThemeResult:
    return sc.backtest(sample_market, "magnets", sc.BacktestSettings(years=3))


def test_it_stands_beside_its_benchmark_the_universe_and_its_own_first_names(result: ThemeResult) -> None:
    assert [each.name for each in result.comparisons] == ["REMX", EQUAL_WEIGHT, BUY_AND_HOLD]
    assert result.backtest is not None
    for each in result.comparisons:
        assert each.wealth.index.equals(result.backtest.wealth.index)
        assert np.isfinite([each.beta, each.tracking_error, each.information_ratio]).all()
    held = result.comparisons[2].wealth
    # until the second rebalance fills, holding on is the portfolio itself
    second = pd.Timestamp(result.backtest.schedule[1].decided_on)
    early = held.index <= second
    pd.testing.assert_series_equal(held[early], result.backtest.wealth[early], check_names=False, rtol=1e-12)


def test_every_entry_and_exit_has_its_reason(result: ThemeResult) -> None:
    assert result.backtest is not None and result.membership is not None
    held: set[str] = set()
    for each in result.backtest.schedule:
        rows = result.membership[result.membership["decided_on"] == each.decided_on]
        held |= set(rows.loc[rows["change"] == "in", "symbol"])
        held -= set(rows.loc[rows["change"] == "out", "symbol"])
        assert held == set(each.weights.index)
    assert result.membership["reason"].str.len().min() > 0


def test_costs_by_kind_are_all_there(result: ThemeResult) -> None:
    assert result.backtest is not None
    trades = result.backtest.trades
    kinds = ["commission", "half-spread", "currency", "tax", "impact"]
    np.testing.assert_allclose(trades[kinds].sum(axis=1), trades["cost"], rtol=0, atol=1e-15)
    assert (trades[["commission", "half-spread", "currency", "impact"]].sum() > 0).all()
    assert (result.backtest.gross.iloc[-1] > result.backtest.wealth.iloc[-1]).all()


def test_attribution_adds_up_by_every_grouping(result: ThemeResult, sample_market: sc.Market) -> None:
    assert result.backtest is not None
    wealth = result.backtest.wealth
    found = attribute(result.backtest, sample_market.panel)
    assert found.names.to_numpy().sum() == pytest.approx(wealth.iloc[-1] - 1, abs=1e-10)
    names = sample_market.universe.instruments
    by = found.by({symbol: each.segment for symbol, each in names.items()})
    assert by.to_numpy().sum() == pytest.approx(found.total, abs=1e-10)
    for week in wealth.resample("W-FRI").last().index[:40]:
        start, end = week - pd.Timedelta(days=7), min(week, wealth.index[-1])
        part = attribute(result.backtest, sample_market.panel, start, end)
        assert part.names.to_numpy().sum() == pytest.approx(part.total, abs=1e-10)


def test_the_active_return_is_allocation_selection_and_interaction(
    result: ThemeResult, sample_market: sc.Market
) -> None:
    assert result.backtest is not None
    names = sample_market.universe.instruments
    labels = {symbol: each.segment for symbol, each in names.items()}
    terms = Terms(
        mics={symbol: each.mic for symbol, each in names.items()}, recoveries=sample_market.recoveries
    )
    chain = equal_weight_universe(sample_market, result.backtest, terms)
    found = brinson_fachler(result.backtest, chain, labels)
    active = result.backtest.wealth.iloc[-1] - chain.wealth.iloc[-1]
    assert found.effects.to_numpy().sum() == pytest.approx(active, abs=1e-10)
    same = brinson_fachler(result.backtest, result.backtest, labels)
    assert np.abs(same.effects.to_numpy()).max() < 1e-12


def test_members_may_have_to_pass_a_screen(sample_market: sc.Market) -> None:
    screen = next(iter(sample_market.universe.screens))
    settings = sc.BacktestSettings("quarterly", years=2, screen=screen)
    run = sc.backtest(sample_market, "full_chain", settings).backtest
    assert run is not None
    for each in run.schedule:
        chosen = sc.ScreenSettings(theme="full_chain")
        passing = sc.screen(sample_market, screen, chosen, on=each.decided_on).rank.index
        assert set(each.weights.index) <= set(passing)


def test_a_schedule_on_screen_changes_decides_only_when_they_come(sample_market: sc.Market) -> None:
    screen = next(iter(sample_market.universe.screens))
    settings = sc.BacktestSettings("screen", years=1, screen=screen)
    run = sc.backtest(sample_market, "magnets", settings).backtest
    assert run is not None
    chosen = sc.ScreenSettings(theme="magnets")
    passing = [
        frozenset(sc.screen(sample_market, screen, chosen, on=each.decided_on).rank.index)
        for each in run.schedule
    ]
    assert all(one != other for one, other in pairwise(passing))


def test_tranches_trade_on_more_days_and_less_each(sample_market: sc.Market) -> None:
    plain = sc.backtest(sample_market, "magnets", sc.BacktestSettings(years=2)).backtest
    spread = sc.backtest(sample_market, "magnets", sc.BacktestSettings(years=2, tranches=3)).backtest
    assert plain is not None and spread is not None
    assert 2 * len(plain.schedule) < len(spread.schedule) <= 3 * len(plain.schedule) + 2
    assert spread.trades["session"].nunique() > plain.trades["session"].nunique()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (sc.BacktestSettings("yearly"), "not a schedule"),
        (sc.BacktestSettings("screen"), "needs --screen"),
        (sc.BacktestSettings(screen="nope"), "--screen"),
        (sc.BacktestSettings(execution="noon"), "--execution"),
        (sc.BacktestSettings(tranches=30), "room for 1 to 21"),
        (sc.BacktestSettings(cost_bps=9_999), "basis points"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    sample_market: sc.Market, settings: sc.BacktestSettings, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        sc.backtest(sample_market, "magnets", settings)


def test_what_is_not_known_of_the_dead_is_said(sample_market: sc.Market) -> None:
    theme = sc.theme_named(sample_market.universe, "magnets")
    assert survivorship(sample_market, theme, date(2022, 1, 3)).traded == ("5486.T",)
    panel = sample_market.panel
    without = replace(sample_market, panel=panel.select([each for each in panel.symbols if each != "5486.T"]))
    assert "not controlled; no prices of 5486.T" in str(survivorship(without, theme, date(2022, 1, 3)))


def test_the_part_that_was_not_hindsight_has_statistics_of_its_own(result: ThemeResult) -> None:
    assert result.performance is not None and result.since_known is not None
    assert result.since_known.start >= (result.theme.known_from or date.min)
    assert result.since_known.end == result.performance.end


def test_what_themes_share_changes_none_of_them(sample_market: sc.Market) -> None:
    settings, look = sc.BacktestSettings(years=2), sc.HonestySettings(baskets=20, days=1)
    shared = Shared()
    for key in ("magnets", "ai_components"):
        one = sc.backtest(sample_market, key, settings, look=look, shared=shared)
        alone = sc.backtest(sample_market, key, settings, look=look)
        assert one.honesty is not None and alone.honesty is not None
        assert one.honesty.placebo is not None and alone.honesty.placebo is not None
        assert (one.honesty.placebo.cagrs == alone.honesty.placebo.cagrs).all()
        for ours, theirs in zip(one.comparisons, alone.comparisons, strict=True):
            assert ours.wealth.equals(theirs.wealth)
    assert len(shared.results) < 4  # something was not worked out twice
