"""What changed between two reports: returns that add up in every week, moves with their reasons, prices and rules."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.engine import Backtest
from screener.market.bars import bars_table
from screener.market.restated import restated_since
from screener.market.store import Store
from screener.market.store_rows import Series, Update
from screener.report.changes import PARTS, split_return
from screener.report.differences import differences
from screener.report.model import WeeklyInputs, assemble
from screener.report.record import record_of, to_json
from screener.report.render import render_html, render_markdown, tables
from screener.report.rules import rules_of
from tests.conftest import AS_OF, NOW
from tests.report.make_inputs import fresh_inputs, in_japanese, make_universe, remembered_inputs

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


# Moves and rules


def record(**changed: Any) -> dict[str, Any]:
    """A report of one theme and one screen, as its run.json says it."""
    made: dict[str, Any] = {
        "run": {
            "as_of": "2026-07-03",
            "version": "1",
            "base_currency": "USD",
            "source_identity": "files",
            "universe_hash": "aa",
            "settings": {
                "costs": "15 bps",
                "backtest from": "2021-07-03",
                "libraries": "numpy 2.0, duckdb 1.0",
            },
        },
        "themes": {
            "magnets": {
                "weights": {"AAA": 0.5, "BBB": 0.3},
                "cash": 0.2,
                "rejected": {"CCC": "34 weekly returns, fewer than 52"},
                "limits_bound": ["issuer <= 50% binds for AAA"],
            }
        },
        "screens": {"liquid": {"passed": ["AAA"], "rejected": {"BBB": ["adv 0.3 M is below 1.0 M"]}}},
        "rules": {
            "themes": {"magnets": {"method": "equal"}},
            "screens": {"liquid": {"rules": "adv >= 1e+06"}},
            "instruments": {each: {"segment": "magnets"} for each in ("AAA", "BBB", "CCC")},
        },
    }
    made = copy.deepcopy(made)
    made["run"] |= changed.pop("run", {})
    made["themes"]["magnets"] |= changed
    return made


LATER = {"as_of": "2026-07-10"}


def test_nothing_differs_from_itself() -> None:
    found = differences(record(), record(run=LATER))
    assert found.themes[0].turnover == 0
    assert not (found.moves or found.screens or found.rules or found.new_themes or found.gone_themes)


def test_one_way_turnover_counts_cash_as_a_holding() -> None:
    found = differences(record(), record(run=LATER, weights={"AAA": 0.4, "BBB": 0.3}, cash=0.3))
    assert found.themes[0].turnover == pytest.approx(0.1)
    assert next(iter(found.themes[0].weights)) == "AAA"


def test_an_entry_names_the_rule_that_kept_it_out_and_an_exit_the_one_that_put_it_out() -> None:
    now = record(
        run=LATER,
        weights={"AAA": 0.5, "CCC": 0.3},
        rejected={"BBB": "no current price on 2026-07-10"},
        limits_bound=[],
    )
    left, entered = differences(record(), now).moves
    assert (left.symbol, left.entered, left.reason) == ("BBB", False, "no current price on 2026-07-10")
    assert (entered.symbol, entered.entered, entered.earlier) == ("CCC", True, True)
    assert entered.reason == "34 weekly returns, fewer than 52"
    assert (entered.then, entered.now) == (0.0, 0.3)
    assert differences(record(), now).themes[0].loosened == ("issuer <= 50% binds for AAA",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rules: rules["instruments"].pop("BBB"), "no longer in the universe"),
        (
            lambda rules: rules["instruments"]["BBB"].update(delisted_on="2026-07-08"),
            "delisted on 2026-07-08",
        ),
        (
            lambda rules: rules["instruments"]["BBB"].update(purity="none"),
            "its own row in the universe changed",
        ),
        (
            lambda rules: rules["themes"]["magnets"].update({"rule.tags": "x"}),
            "the rule of the theme changed",
        ),
        (lambda rules: None, "no reason is recorded"),
    ],
)
def test_an_exit_without_a_reason_of_the_weights_has_one_of_the_universe(change: Any, reason: str) -> None:
    now = record(run=LATER, weights={"AAA": 0.5})
    change(now["rules"])
    (move,) = differences(record(), now).moves
    assert (move.symbol, move.reason) == ("BBB", reason)


def test_an_entry_of_a_new_name_says_so() -> None:
    now = record(run=LATER, weights={"AAA": 0.5, "BBB": 0.3, "DDD": 0.1, "CCC": 0.1})
    now["rules"]["instruments"]["DDD"] = {"segment": "magnets"}
    now["rules"]["instruments"]["CCC"]["listed_from"] = "2026-07-06"
    then = record(rejected={})
    assert {each.symbol: each.reason for each in differences(then, now).moves} == {
        "CCC": "listed on 2026-07-06",
        "DDD": "new in the universe",
    }


def test_screens_say_who_came_and_went_and_why() -> None:
    now = record(run=LATER)
    now["screens"]["liquid"] = {"passed": ["BBB"], "rejected": {"AAA": ["beta 1.3 is above 1.2", "no price"]}}
    entered, left = differences(record(), now).screens
    assert (entered.symbol, entered.entered, entered.reason) == ("BBB", True, "adv 0.3 M is below 1.0 M")
    assert (left.symbol, left.entered, left.reason) == ("AAA", False, "beta 1.3 is above 1.2; no price")


def test_rules_settings_and_versions_that_differ_are_named_one_by_one() -> None:
    settings = {"costs": "20 bps", "backtest from": "2021-07-10", "libraries": "numpy 2.1, duckdb 1.0"}
    now = record(run={**LATER, "version": "2", "base_currency": "JPY", "settings": settings})
    now["rules"]["screens"]["liquid"]["rules"] = "adv >= 2e+06"
    now["rules"]["instruments"]["AAA"]["purity"] = "major"
    found = {
        (each.kind, each.key, each.field): (each.then, each.now) for each in differences(record(), now).rules
    }
    assert found == {
        ("screen", "liquid", "rules"): ("adv >= 1e+06", "adv >= 2e+06"),
        ("instrument", "AAA", "purity"): ("", "major"),
        ("run", "", "version"): ("1", "2"),
        ("run", "", "base_currency"): ("USD", "JPY"),
        ("run", "", "costs"): ("15 bps", "20 bps"),
        ("run", "", "numpy"): ("2.0", "2.1"),
    }


def test_a_universe_that_differs_in_what_decides_nothing_says_its_hash() -> None:
    (change,) = differences(record(), record(run={**LATER, "universe_hash": "bb"})).rules
    assert (change.field, change.then, change.now) == ("universe_hash", "aa", "bb")


def test_a_report_without_rules_is_compared_without_them() -> None:
    then = record()
    del then["rules"]
    found = differences(then, record(run=LATER, weights={"AAA": 0.5}))
    assert not found.rules_known and not found.rules
    assert [each.reason for each in found.moves] == ["no reason is recorded"]


def test_every_field_that_decides_a_weight_is_a_rule() -> None:
    """Whatever of a theme, screen or instrument is changed, but its labels, the rules differ."""
    universe = make_universe(3, 1)
    plain = rules_of(universe)
    theme, spec, instrument = (
        universe.themes["theme_0"],
        universe.screens["calm"],
        universe.instruments["N001"],
    )
    for each in (
        replace(theme, max_weight=0.2),
        replace(theme, limits=("segment mining <= 40%",)),
        replace(theme, rule=replace(theme.rule, exclude=("N001",))),
    ):
        assert rules_of(replace(universe, themes={"theme_0": each}))["themes"] != plain["themes"]
    for changed in (
        replace(spec, within="segment"),
        replace(spec, rank_by=(("beta", -1.0),)),
        replace(spec, rules=()),
    ):
        screens = {**universe.screens, "calm": changed}
        assert rules_of(replace(universe, screens=screens))["screens"] != plain["screens"]
    moved = {**universe.instruments, "N001": replace(instrument, segment="stage_03")}
    assert rules_of(replace(universe, instruments=moved))["instruments"] != plain["instruments"]
    renamed = {**universe.instruments, "N001": replace(instrument, name="Another", note="x")}
    assert rules_of(replace(universe, instruments=renamed)) == plain


# Restated prices


@pytest.fixture
def market(sample_store: Path, tmp_path: Path) -> sc.Market:
    """The sample market in a store of its own, which may be written."""
    store = tmp_path / "prices.duckdb"
    store.write_bytes(sample_store.read_bytes())
    return sc.load_market(sc.Request(as_of=AS_OF, now=NOW, source="sample", store=store, offline=True))


def serve(market: sc.Market, symbol: str, rows: pd.DataFrame, now: datetime) -> None:
    series = Series("USD", date(2015, 1, 1), AS_OF, "", now)
    with Store.open(market.request.store) as store:
        store.write(market.source_identity, True, [Update(symbol, "fetched", "", series, rows)], now)


def stored(market: sc.Market, symbol: str) -> pd.DataFrame:
    with Store.open(market.request.store, read_only=True) as store:
        return store.load(market.source_identity, [symbol])[symbol].table


def test_prices_that_a_source_changed_later_are_counted_by_symbol(market: sc.Market) -> None:
    table = stored(market, "MP")
    halved, gone, newer = (
        table.loc["2026-06-01":"2026-06-05"] * 1.0,
        table.loc[["2026-06-08"]] * np.nan,
        "2026-07-06",
    )  # type: ignore[misc]
    halved[["open", "high", "low", "close"]] *= 0.5
    later = table.loc[[newer]] * 1.0
    later["volume"] *= 2
    serve(market, "MP", pd.concat([halved, gone, later]), NOW + timedelta(days=1))
    (found,) = restated_since(market, NOW, date(2026, 7, 3))
    assert (found.symbol, found.sessions, found.withdrawn, found.added) == ("MP", 6, 1, 0)
    assert (found.first, found.last) == (date(2026, 6, 1), date(2026, 6, 8))
    assert found.largest == pytest.approx(-0.5)
    assert found.fields == ("open", "high", "low", "close")
    (whole,) = restated_since(market, NOW, AS_OF)  # the bar of 6 July is after the last report's date above
    assert whole.sessions == 7 and "volume" in whole.fields


def test_a_bar_that_came_late_is_added_and_an_older_history_is_not(market: sc.Market) -> None:
    table = stored(market, "MP")
    first, day = table.index[0], pd.Timestamp("2026-06-08")
    serve(market, "MP", table.loc[[day]] * np.nan, NOW + timedelta(days=1))
    older = bars_table(pd.DataFrame({"close": [5.0], "volume": [1.0]}, index=[first - pd.Timedelta(days=7)]))
    serve(market, "MP", pd.concat([table.loc[[day]], older]), NOW + timedelta(days=2))
    assert restated_since(market, NOW, date(2026, 7, 3)) == ()  # withdrawn and served again is what it was
    (found,) = restated_since(market, NOW + timedelta(days=1), date(2026, 7, 3))
    assert (found.sessions, found.added, found.first) == (0, 1, day.date())


def test_what_was_stored_at_an_earlier_moment_is_compared_up_to_it(market: sc.Market) -> None:
    row = stored(market, "MP").loc[["2026-06-08"]] * 2.0
    serve(market, "MP", row, NOW + timedelta(days=3))
    assert restated_since(market, NOW, date(2026, 7, 3))
    then = replace(market, request=replace(market.request, known_at=NOW + timedelta(days=2)))
    assert restated_since(then, NOW, date(2026, 7, 3)) == ()


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
