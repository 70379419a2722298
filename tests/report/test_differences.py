"""What differs between two reports: who came and went and why, and which rules and settings are not the same."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from screener.report.differences import differences
from screener.report.rules import rules_of
from tests.report.make_inputs import make_universe


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
