from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.errors import UserError


@pytest.fixture(scope="module")
def taken_apart(sample_market: sc.Market) -> tuple[sc.Rebalance, sc.RiskReport]:
    rebalance = sc.build(sample_market, "magnets")
    return rebalance, sc.explain(sample_market, "magnets", rebalance)


def test_risk_contributions_are_those_the_weights_were_made_with(
    taken_apart: tuple[sc.Rebalance, sc.RiskReport],
) -> None:
    rebalance, report = taken_apart
    names = report.explanation.names
    pd.testing.assert_series_equal(
        names["risk_contribution"], rebalance.risk_contributions, check_names=False, rtol=1e-6
    )
    assert report.explanation.volatility == pytest.approx(rebalance.volatility, rel=1e-6)


@pytest.mark.parametrize("grouping", ["segment", "country", "currency"])
def test_every_grouping_adds_up_to_the_whole(
    taken_apart: tuple[sc.Rebalance, sc.RiskReport], grouping: str
) -> None:
    rebalance, report = taken_apart
    table = report.groups[grouping]
    assert table["risk"].sum() == pytest.approx(1.0)
    assert table["weight"].sum() == pytest.approx(float(rebalance.weights.sum()))
    assert table["risk"].is_monotonic_decreasing


def test_exposures_are_shares_of_the_risk_in_the_names_that_have_them(
    sample_market: sc.Market, taken_apart: tuple[sc.Rebalance, sc.RiskReport]
) -> None:
    rebalance, report = taken_apart
    universe, risk = sample_market.universe, rebalance.risk_contributions
    china = [s for s in risk.index if universe.instruments[s].china_dependence in ("high", "china-domiciled")]
    assert report.dependent == pytest.approx(float(risk[china].sum()), rel=1e-6)
    stages = {key for key, each in universe.segments.items() if (each.china_share or 0) > 0.8}
    dominated = [s for s in risk.index if universe.instruments[s].segment in stages]
    assert report.dominated == pytest.approx(float(risk[dominated].sum()), rel=1e-6)
    assert dominated and china


def test_what_moves_the_weights_is_what_building_with_it_gives(
    sample_market: sc.Market, taken_apart: tuple[sc.Rebalance, sc.RiskReport]
) -> None:
    rebalance, report = taken_apart
    moved = report.moved_by[report.moved_by["to"] == "52"].iloc[0]
    other = sc.build(sample_market, "magnets", sc.BuildSettings(lookback_weeks=52))
    change = other.weights.sub(rebalance.weights, fill_value=0.0)
    assert moved["moved"] == pytest.approx(float(np.abs(change).sum() / 2))
    assert moved["by"] == pytest.approx(float(change[moved["most"]]))


def test_cash_alone_has_no_risk_to_explain(sample_market: sc.Market) -> None:
    settings = sc.BuildSettings(min_adv=1e15)
    rebalance = sc.build(sample_market, "magnets", settings)
    with pytest.raises(UserError, match="nothing but cash"):
        sc.explain(sample_market, "magnets", rebalance, settings)


def test_names_that_got_no_weight_stay_in_the_covariance_that_explains(sample_market: sc.Market) -> None:
    theme = replace(sc.theme_named(sample_market.universe, "magnets"), limits=("names <= 12",))
    rebalance = sc.build(sample_market, theme)
    report = sc.explain(sample_market, theme, rebalance)
    assert len(report.covariance.matrix) > len(rebalance.weights)
    pd.testing.assert_series_equal(
        report.explanation.names["risk_contribution"],
        rebalance.risk_contributions,
        check_names=False,
        rtol=1e-9,
    )


def test_a_method_that_looks_at_market_values_is_explained_with_them(sample_market: sc.Market) -> None:
    theme = replace(sc.theme_named(sample_market.universe, "magnets"), method="market_value")
    known = sc.Known(market_values=dict.fromkeys(sample_market.universe.instruments, 1e9))
    rebalance = sc.build(sample_market, theme, known=known)
    report = sc.explain(sample_market, theme, rebalance, known=known)
    assert (report.moved_by["moved"] < 1e-9).all()  # market values do not look at the covariance


def test_what_cannot_be_built_says_which_theme_and_when(sample_market: sc.Market) -> None:
    theme = replace(sc.theme_named(sample_market.universe, "magnets"), limits=("cash <= 0%", "name <= 1%"))
    with pytest.raises(UserError, match=r"^magnets, 2026-07-10: of \d+ eligible names no portfolio keeps"):
        sc.build(sample_market, theme)
