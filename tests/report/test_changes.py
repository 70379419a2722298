"""What changed between two reports: returns that add up in every week, moves with their reasons, prices and rules."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.engine import Backtest
from screener.report.changes import PARTS, split_return
from screener.report.model import WeeklyInputs, assemble
from screener.report.record import record_of, to_json
from screener.report.render import render_html, render_markdown, tables
from tests.conftest import AS_OF
from tests.report.make_inputs import fresh_inputs, in_japanese
from tests.report.make_remembered import remembered_inputs

# Returns


@pytest.fixture(scope="module")
def run(sample_market: sc.Market) -> Backtest:
    """Five years of a theme with names on many exchanges."""
    result = sc.backtest(sample_market, "japan_us_alliance")
    assert result.backtest is not None
    return result.backtest


@pytest.fixture(scope="module")
def labels(sample_market: sc.Market) -> dict[str, str]:
    return {symbol: each.segment for symbol, each in sample_market.universe.instruments.items()}


def test_every_week_of_five_years_adds_up_and_the_weeks_make_the_whole(
    run: Backtest, sample_market: sc.Market, labels: dict[str, str]
) -> None:
    fridays = [each.date() for each in pd.date_range(run.wealth.index[0], AS_OF, freq="W-FRI")]
    assert len(fridays) > 255
    grown, kinds = 1.0, np.zeros(len(PARTS))
    for since, until in pairwise(fridays):
        split = split_return(run, sample_market.panel, labels, since, until)
        assert split is not None
        before, after = (run.wealth[: pd.Timestamp(day)].iloc[-1] for day in (since, until))
        assert split.total == pytest.approx(after / before - 1, abs=1e-14)
        assert abs(split.segments.to_numpy().sum() - split.total) < 1e-10
        assert abs(split.parts.sum() - split.total) < 1e-10
        grown *= 1 + split.total
        kinds += np.abs(split.parts[list(PARTS)].to_numpy())
    first, last = (run.wealth[: pd.Timestamp(day)].iloc[-1] for day in (fridays[0], fridays[-1]))
    assert grown == pytest.approx(last / first, rel=1e-12)
    assert (kinds > 0).all()  # no part is a column of zeros


def test_costs_and_dividends_of_one_session_are_those_of_the_account(
    run: Backtest, sample_market: sc.Market, labels: dict[str, str]
) -> None:
    """Over a single session no linking is needed, so the parts can be read off the account's own books."""
    sessions = pd.DatetimeIndex(run.wealth.index)
    traded = set(run.trades["session"]) | set(run.payments["session"])
    checked = 0
    for at in [at for at, each in enumerate(sessions) if at and each in traded][:60]:
        split = split_return(run, sample_market.panel, labels, sessions[at - 1].date(), sessions[at].date())
        assert split is not None
        paid = run.payments[(run.payments["session"] == sessions[at]) & (run.payments["kind"] == "dividend")]
        cost = run.trades.loc[run.trades["session"] == sessions[at], "cost"].sum()
        before = run.wealth.iloc[at - 1]
        assert split.parts["cost"] == pytest.approx(-cost / before, abs=1e-15)
        assert split.parts["dividends"] == pytest.approx(paid["value"].sum() / before, abs=1e-15)
        checked += 1
    assert checked == 60


def test_local_price_and_currency_of_a_quiet_session_by_hand(
    run: Backtest, sample_market: sc.Market, labels: dict[str, str]
) -> None:
    """Without a trade, holdings times the change of the rate, and of the quoted price at the new rate."""
    panel = sample_market.panel
    assert panel.quotes is not None
    sessions = pd.DatetimeIndex(run.wealth.index)
    busy = set(run.trades["session"]) | set(run.payments["session"]) | set(panel.quotes.actions["session"])
    quiet = [at for at, each in enumerate(sessions) if at > 20 and each not in busy][:40]
    for at in quiet:
        split = split_return(run, panel, labels, sessions[at - 1].date(), sessions[at].date())
        assert split is not None
        price = currency = 0.0
        for symbol in run.shares.columns:
            rates = panel.quotes.rates[panel.quotes.rate_of[symbol]]
            then, now = (float(rates[each]) for each in sessions[at - 1 : at + 1])
            value, after = (
                float(run.shares[symbol].iloc[n] * run.prices[symbol].iloc[n]) for n in (at - 1, at)
            )
            currency += value * (now / then - 1)
            price += after - value - value * (now / then - 1)
        before = float(run.wealth.iloc[at - 1])
        assert split.parts["currency"] == pytest.approx(currency / before, abs=1e-13)
        assert split.parts["price"] == pytest.approx(price / before, abs=1e-13)


def test_segments_are_those_of_the_names_that_were_held(
    run: Backtest, sample_market: sc.Market, labels: dict[str, str]
) -> None:
    split = split_return(run, sample_market.panel, labels, date(2026, 7, 3), AS_OF)
    assert split is not None and split.largest is not None
    held = run.shares.columns[run.shares.iloc[-1] > 0]
    assert set(split.segments.index) == {labels[str(each)] for each in held}
    sums = split.segments.sum(axis=1)
    assert sums.is_monotonic_decreasing
    assert abs(split.largest[1]) == sums.abs().max()


def test_a_span_before_or_after_the_backtest_is_cut_or_nothing(
    run: Backtest, sample_market: sc.Market, labels: dict[str, str]
) -> None:
    first = run.wealth.index[0].date()
    whole = split_return(run, sample_market.panel, labels, first - timedelta(days=400), AS_OF)
    assert whole is not None and whole.since == first
    assert whole.total == pytest.approx(run.wealth.iloc[-1] / run.wealth.iloc[0] - 1)
    assert split_return(run, sample_market.panel, labels, AS_OF, AS_OF) is None
    assert split_return(run, sample_market.panel, labels, date(2010, 1, 1), date(2010, 2, 1)) is None


# Section, tables and record


@pytest.fixture(scope="module")
def inputs() -> WeeklyInputs:
    return remembered_inputs()


def test_the_first_report_says_so_in_one_line() -> None:
    section = next(each for each in assemble(fresh_inputs()).sections if each.key == "changes")
    assert section.lead.startswith("This is the first report") and section.blocks == ()


def test_the_page_names_moves_prices_and_rules(inputs: WeeklyInputs) -> None:
    page = render_markdown(assemble(inputs)).split("## 2 ")[0].replace("\\", "").replace("&gt;", ">")
    for words in (
        "no longer: no prices",
        "no longer: 12−1 momentum −0.9% is not above 0.0%",
        "| N002 Company 2 Holdings | 3 | 1 | 1 | 2026-06-01 | 2026-06-30 | −50.00% | close and volume |",
        "| Theme number 0 | max weight | 0.2 | 0.1 |",
        "| Tradable momentum | rules | average daily value traded ≥ 2.00 M |",
        "| Run | version | 0.0.9 | 0.1.0 |",
        "Themes that are gone: theme_9.",
        "Theme number 0 +25.00%, now ",
        "2026-W22/rare_earth_ai/run.json is broken",
    ):
        assert words in page, words


def test_the_themes_own_part_compares_with_the_last_report(inputs: WeeklyInputs) -> None:
    part = render_markdown(assemble(inputs)).split("### Theme number 0")[1].split("###")[0]
    assert "Against the report of 2026-07-03: 16.2% one-way." in part
    assert "Binds no longer" in part


def test_key_points_say_what_changed_where_there_is_an_earlier_report(inputs: WeeklyInputs) -> None:
    point = assemble(inputs).key_points[-1]
    assert (point.label, point.section) == ("Changes", "changes")
    assert "rules, settings and versions that differ: 9" in point.words
    assert all(each.section != "changes" for each in assemble(fresh_inputs()).key_points)


def test_the_tables_hold_every_segment_and_every_move(inputs: WeeklyInputs) -> None:
    report = assemble(inputs)
    assert inputs.changes is not None
    split = tables(report)["changes.csv"].groupby("theme")["total"].sum()
    for key, each in inputs.changes.splits.items():
        assert split[key] == pytest.approx(each.total, abs=1e-10)
    moves = tables(report)["moves.csv"]
    found = inputs.changes.differences
    assert moves["kind"].value_counts().to_dict() == {"theme": len(found.moves), "screen": len(found.screens)}
    assert moves["reason"].str.len().gt(0).all()


def test_run_json_says_what_it_was_compared_with_and_the_next_run_can_read_it(inputs: WeeklyInputs) -> None:
    said = json.loads(to_json(record_of(inputs)))
    assert said["schema"] == "screener.run/2"
    against = {"as_of": "2026-07-03", "path": "2026-W27/rare_earth_ai/run.json", "sha256": ""}
    assert said["changes"]["against"] == against
    theme = said["changes"]["themes"]["theme_0"]
    assert sum(sum(row.values()) for row in theme["segments"].values()) == pytest.approx(
        theme["total"], abs=1e-10
    )
    assert said["rules"]["themes"]["theme_0"]["max_weight"] == "0.1"


def test_prices_of_another_source_are_not_called_restated(inputs: WeeklyInputs) -> None:
    assert inputs.changes is not None
    other = replace(inputs, changes=replace(inputs.changes, restated=None))
    for each in (other, in_japanese(other)):
        page = render_html(assemble(each))
        assert "another source" in page or "ソースが異なる" in page


def test_many_moves_are_cut_on_the_page_and_whole_in_the_table(inputs: WeeklyInputs) -> None:
    assert inputs.changes is not None
    found = inputs.changes.differences
    many = replace(found, screens=found.screens * 20)
    report = assemble(replace(inputs, changes=replace(inputs.changes, differences=many)))
    assert f"{len(many.screens) - 12} more in moves.csv" in render_markdown(report)
    assert (tables(report)["moves.csv"]["kind"] == "screen").sum() == len(many.screens)
