"""Stress tests of a portfolio on the sample market, whose prices are synthetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.stress_test import FEWEST_SESSIONS
from screener.errors import UserError
from screener.risk.covariance import CovarianceSettings, estimate_panel_covariance
from screener.universe.model import Scenario

HELD = pd.Series({"MP": 0.3, "6762.T": 0.2, "USAR": 0.1})


def test_a_window_is_replayed_from_the_close_before_it_to_its_end(sample_market: sc.Market) -> None:
    report = sc.stress(sample_market, HELD, sc.StressAsk(windows=("E2504A", "E1009")))
    (one,) = report.replays
    assert (str(one.start), str(one.end)) == ("2025-04-01", "2025-04-09")
    prices = sample_market.panel.prices.loc["2025-04-01":"2025-04-09", list(HELD.index)].ffill()
    growth = prices.iloc[-1] / prices.iloc[0]
    assert one.replay.covered == pytest.approx(1.0)
    assert one.replay.move == pytest.approx(float(((growth - 1) * HELD).sum()))
    assert report.left_out == {"E1009": "before the price history, which begins 2015-01-02"}


def test_a_name_that_was_not_listed_is_not_covered_and_its_estimate_says_so(sample_market: sc.Market) -> None:
    (one,) = sc.stress(sample_market, HELD, sc.StressAsk(windows=("E2201",))).replays
    assert one.replay.names.loc["USAR", "basis"] == "estimated"
    assert one.replay.covered == pytest.approx(0.5 / 0.6)
    assert one.replay.estimated == pytest.approx(0.1 / 0.6)


def test_a_factor_moves_names_by_their_beta_to_it(sample_market: sc.Market) -> None:
    shock = sc.stress(sample_market, HELD, sc.StressAsk(factors={"SPY": -0.2})).shock
    assert shock is not None
    universe = sample_market.universe.everything()
    mics = {symbol: universe[symbol].mic for symbol in [*HELD.index, "SPY"]}
    sigma = estimate_panel_covariance(sample_market.panel, mics, CovarianceSettings()).matrix
    betas = sigma["SPY"] / sigma.loc["SPY", "SPY"]
    assert shock.names["expected"].to_numpy() == pytest.approx((betas * -0.2).to_numpy())
    assert shock.low < shock.expected < shock.high


def test_a_currency_moves_by_what_was_asked_and_hardly_moves_dollars_in_a_market_made_in_dollars(
    sample_market: sc.Market,
) -> None:
    shock = sc.stress(sample_market, HELD, sc.StressAsk(factors={"JPY": 0.10})).shock
    assert shock is not None
    assert shock.names.loc["JPY", "expected"] == pytest.approx(0.10)
    # the sample market makes prices in dollars and takes the currency off: the quote falls, the dollars do not move
    assert abs(shock.names.loc["6762.T", "expected"]) < 0.08


def test_the_average_of_a_shocked_stage_moves_by_the_shock(sample_market: sc.Market) -> None:
    shock = sc.stress(sample_market, HELD, sc.StressAsk(shocks={"magnets": -0.2, "mining": 0.1})).shock
    assert shock is not None
    of = sample_market.universe.instruments
    stage = pd.Series({s: of[str(s)].segment for s in shock.names.index})
    recent = sample_market.panel.since((sample_market.panel.sessions[-1] - pd.Timedelta(weeks=104)).date())
    whole = recent.traded[list(stage.index)].sum() >= FEWEST_SESSIONS
    means = shock.names["expected"][whole].groupby(stage[whole]).mean()
    assert means["magnets"] == pytest.approx(-0.2) and means["mining"] == pytest.approx(0.1)


def test_a_scenario_takes_the_mean_of_the_events_of_its_kinds(sample_market: sc.Market) -> None:
    report = sc.stress(sample_market, HELD, sc.StressAsk(scenarios=("truce",)))
    (one,) = report.scenarios
    study = sc.event_study(
        sample_market,
        sc.Selection(one.events, segments=("mining",)),
        sc.StudySettings(windows=((0, 4),), placebos=0),
    )
    assert len(one.events) == 4
    assert one.segments.loc["mining", "caar"] == pytest.approx(study.segments["caar"].mean())
    held = one.segments[one.segments["weight"] > 0]
    assert one.move == pytest.approx(float((held["weight"] * held["caar"]).sum()))
    assert one.covered == pytest.approx(0.4 / 0.6)  # MP and USAR; components are no stage of it


def test_a_scenario_without_past_events_has_no_figure(sample_market: sc.Market) -> None:
    scenario = Scenario("war", "War", "戦争", kinds=("war",), segments=("mining",))
    market = replace(sample_market, universe=replace(sample_market.universe, scenarios={"war": scenario}))
    (one,) = sc.stress(market, HELD, sc.StressAsk(scenarios=("war",))).scenarios
    assert one.events == () and one.covered == 0.0
    assert np.isnan([one.move, one.low, one.high]).all()


def test_what_cannot_be_stressed_is_said(sample_market: sc.Market) -> None:
    ask = sc.StressAsk(("E0",), {"magnet": -0.2}, {"SPYY": -1.5}, ("peace",))
    with pytest.raises(UserError) as caught:
        sc.stress(sample_market, HELD, ask)
    assert len(caught.value.problems) == 5
    with pytest.raises(UserError, match="nothing but cash"):
        sc.stress(sample_market, HELD[:0], sc.StressAsk(windows=("E2201",)))


def test_a_report_can_show_everything_in_one_table(sample_market: sc.Market) -> None:
    table = sc.stress_table(sample_market, HELD)
    universe = sample_market.universe
    windows = [each.key for each in universe.events if each.use == "stress_window"]
    assert sorted(table["key"]) == sorted([*windows, *universe.scenarios])
    replayed = table[table["what"].eq("replay") & table["note"].eq("")]
    assert replayed[["covered", "move", "drawdown"]].notna().all(axis=None)
    assert table["label_ja"].str.len().gt(0).all()
