"""Sentences and figures are made from numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from screener.report.measures import horizon_returns, names_by_stage
from screener.report.model import assemble
from screener.report.render import run_json
from screener.report.words import change, percent
from tests.report.make_inputs import AS_OF, empty_inputs, fresh_inputs, make_inputs


def test_the_headline_names_the_strongest_and_the_weakest_stage() -> None:
    inputs = fresh_inputs()
    week = horizon_returns(inputs.panel.prices, AS_OF)["week"]
    stages = names_by_stage(inputs.universe, {})
    means = {key: float(np.mean([week[each] for each in names])) for key, names in stages.items()}
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    headline = assemble(inputs).headline
    assert f"{inputs.universe.segments[best].label} led with {change(means[best])}" in headline
    assert f"{inputs.universe.segments[worst].label} came last with {change(means[worst])}" in headline
    assert f"The chain moved {change(float(week.drop('BENCH').mean()))}" in headline
    assert f"BENCH moved {change(float(week['BENCH']))}" in headline


def test_the_weights_point_names_the_largest_change_against_what_is_held() -> None:
    inputs = fresh_inputs()
    largest = []
    for each in inputs.themes:
        assert each.backtest is not None
        before = each.backtest.schedule[0]
        growth = inputs.panel.prices.iloc[-1] / inputs.panel.prices.loc[str(before.decided_on)]
        worth = before.weights * growth[before.weights.index]
        held = worth / (worth.sum() + before.cash)
        target = each.rebalance.weights
        change = target.sub(held, fill_value=0.0)
        symbol = str(change.abs().idxmax())
        largest.append((abs(change[symbol]), symbol, each.theme.label, held.get(symbol, 0.0), target[symbol]))
    _, symbol, label, was, now = max(largest)
    words = assemble(inputs).key_points[2].words
    assert words.startswith(
        f"{symbol} of {label} changes most, from {percent(was)} held to {percent(float(now))};"
    )


def test_the_risk_point_compares_with_the_last_rebalance() -> None:
    inputs = make_inputs(names=30, themes=3)  # predicted: 20 %, 21 % and 22 %, all of them 25 % before
    words = assemble(inputs).key_points[3].words
    assert words.startswith("Predicted volatility rose in 0 of 3 themes")
    assert words.endswith("it moved most in Theme number 0, from 25.0% to 20.0%.")


def test_the_screens_point_counts_who_came_and_went() -> None:
    inputs = make_inputs(names=30, themes=1)
    entered = [symbol for each in inputs.histories.values() for symbol in each.entered[AS_OF]]
    words = assemble(inputs).key_points[1].words
    assert words.startswith(f"Over 4 screens, came in this week: {len(entered)} (")
    assert words.endswith("; went out: 0.")


def test_the_data_point_counts_what_is_wrong() -> None:
    point = assemble(make_inputs(names=30, themes=1)).key_points[4]
    assert point.section == "quality"
    assert point.words == (
        "23 of 30 prices are current, 6 stale, 1 missing, 1 not updated; bars set aside or put right: 1."
    )


def test_there_are_five_points_with_numbers_and_six_figures_each_compared() -> None:
    report = assemble(make_inputs(names=30, themes=2))
    assert [each.section for each in report.key_points] == ["chain", "screen", "themes", "themes", "quality"]
    assert all(any(sign.isdigit() for sign in each.words) for each in report.key_points)
    assert {each.section for each in report.key_points} <= {each.key for each in report.sections}
    assert len(report.figures) == 6
    assert all(each.value and each.comparison for each in report.figures)
    assert report.figures[5].value == "23 / 30"  # one of the failed has today's price all the same


def test_a_week_without_prices_claims_nothing() -> None:
    report = assemble(empty_inputs())
    assert report.headline == "No stage has a price for both ends of the week."
    assert "%" not in report.headline + "".join(each.words for each in report.key_points)


def test_the_record_holds_what_next_week_compares_with() -> None:
    inputs = make_inputs(names=30, themes=2)
    record = json.loads(run_json(assemble(inputs)))
    assert list(record) == sorted(record)
    for each in inputs.themes:
        theme = record["themes"][each.theme.key]
        assert sum(theme["weights"].values()) + theme["cash"] == pytest.approx(1, abs=1e-9)
        assert theme["weights"] == dict(each.rebalance.weights)
        assert theme["benchmark_performance"]["turnover_per_year"] is None  # NaN is null
    assert record["run"]["prices_hash"] == "b" * 64
    assert record["outcomes"]["states"]["stale"] == 6
    assert record["outcomes"]["failures"]["N003"] == "no such symbol: not found"
    assert record["screens"]["tradable"]["passed"] == list(inputs.screens[0].rank.sort_values().index)


def test_a_theme_says_what_it_holds_in_numbers() -> None:
    inputs = fresh_inputs()
    (themes,) = [each for each in assemble(inputs).sections if each.key == "themes"]
    rebalance = inputs.themes[0].rebalance
    lead = themes.blocks[1].lead  # type: ignore[union-attr]
    assert f"predicted volatility {percent(rebalance.volatility)}" in lead
    assert f"Largest weight {rebalance.weights.idxmax()}" in lead
    assert f"largest risk {rebalance.risk_contributions.idxmax()}" in lead
