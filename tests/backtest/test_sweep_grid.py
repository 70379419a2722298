"""A grid file becomes points, or a line for each of its faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screener.backtest.sweep_grid import MOST_POINTS, GridPoint, grid_points, read_grid
from screener.errors import UserError
from tests.backtest.small_sweep import a_universe

UNIVERSE = a_universe()
THEME = UNIVERSE.themes["magnets"]


def points(**table: Any) -> tuple[GridPoint, ...]:
    return grid_points(table, UNIVERSE, THEME, "grid.toml")


def problems(**table: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        points(**table)
    return list(caught.value.problems)


def test_an_empty_grid_is_the_theme_as_it_is_backtested() -> None:
    (only,) = points()
    assert only == GridPoint(
        THEME.method, 104, "ledoit_wolf", THEME.max_weight, (), "monthly", "close", None, 1.0
    )
    assert only.theme(THEME) == THEME
    assert only.costs == "by kind"


def test_every_combination_comes_once_and_the_last_setting_changes_first() -> None:
    found = points(method=["equal", "inverse_volatility"], rebalance=["weekly", "monthly"], cost_bps=[10, 20])
    assert [(each.method, each.rebalance, each.cost_bps) for each in found] == [
        (method, rebalance, bps)
        for method in ("equal", "inverse_volatility")
        for rebalance in ("weekly", "monthly")
        for bps in (10.0, 20.0)
    ]


def test_what_is_given_twice_counts_once() -> None:
    assert (
        len(points(cost_bps=[15, 15.0], lookback_weeks=[52, 52], limits=[["name <= 5%"], ["name <= 5%"]]))
        == 1
    )


def test_flat_costs_and_multiples_of_costs_by_kind_stand_beside_each_other() -> None:
    found = points(cost_bps=[0, 10], cost_scale=[1, 2])
    assert [each.costs for each in found] == ["0 bps", "10 bps", "by kind", "2 × by kind"]


def test_limits_are_lists_beyond_the_themes_own_and_one_list_is_one_choice() -> None:
    theme = replace(THEME, limits=("name <= 8%",))
    several = grid_points({"limits": [[], ["cash >= 5%"]]}, UNIVERSE, theme)
    assert [each.theme(theme).limits for each in several] == [("name <= 8%",), ("name <= 8%", "cash >= 5%")]
    assert [each.limits for each in points(limits=["cash >= 5%", "name <= 5%"])] == [
        ("cash >= 5%", "name <= 5%")
    ]
    assert points(limits=[])[0].limits == ()


def test_every_fault_is_told_at_once_with_its_key() -> None:
    found = problems(
        metod=["equal"],
        method=["equl", "market_value"],
        lookback_weeks=[10, True],
        estimator="ledoit-wolf",
        max_weight=[0, "x"],
        limits=[["sgment magnets <= 3%"], 5],
        rebalance=["fortnightly", "screen"],
        execution=["noon"],
        cost_bps=[-1],
        cost_scale=[],
    )
    told = "\n".join(found)
    assert found[0] == "grid.toml: key 'metod' is unknown; did you mean 'method'?"
    for words in (
        "grid.toml, method, value 1: weighting method 'equl' is unknown; did you mean 'equal'?",
        "grid.toml, method, value 2: market_value is known of today only and cannot be backtested",
        "grid.toml, lookback_weeks, value 1: 10 is not a whole number of weeks from 26 to 1,040",
        "grid.toml, lookback_weeks, value 2: True is not",
        "grid.toml, estimator, value 1: estimator 'ledoit-wolf' is unknown",
        "grid.toml, max_weight, value 1: 0 is not a fraction",
        "grid.toml, max_weight, value 2: 'x' is not a fraction",
        "grid.toml, limits, value 1: limit",
        "grid.toml, limits, value 2: it is a list of limits",
        "grid.toml, rebalance, value 1: 'fortnightly' is not a schedule; it may be weekly",
        "grid.toml, rebalance, value 2: a sweep follows no screen",
        "grid.toml, execution, value 1: execution 'noon' is unknown",
        "grid.toml, cost_bps, value 1: -1 is not a number from 0 to 5,000",
        "grid.toml, cost_scale: the list is empty",
    ):
        assert words in told, words


def test_risk_budgets_need_budgets() -> None:
    assert problems(method="risk_budgets") == [
        "grid.toml, method: magnets states no risk budgets to weigh by"
    ]


def test_a_grid_that_is_too_large_says_of_what() -> None:
    (line,) = problems(cost_bps=list(range(2000)), lookback_weeks=[52, 104, 156])
    assert line == f"grid.toml: 3 lookback_weeks × 2000 costs are 6,000 variants; the most is {MOST_POINTS:,}"


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "grid.toml"
    bad.write_text("method = [", encoding="utf-8")
    with pytest.raises(UserError, match=r"grid\.toml: "):
        read_grid(bad, UNIVERSE, THEME)
    with pytest.raises(UserError, match="No such file"):
        read_grid(tmp_path / "none.toml", UNIVERSE, THEME)
    bad.write_text('method = "equal"\n', encoding="utf-8")
    assert [each.method for each in read_grid(bad, UNIVERSE, THEME)] == ["equal"]


scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 200), st.floats(), st.text(max_size=5))
keys = st.sampled_from(
    [
        "method",
        "lookback_weeks",
        "estimator",
        "max_weight",
        "limits",
        "rebalance",
        "execution",
        "cost_bps",
        "x",
    ]
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4))
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_words(table: dict[str, Any]) -> None:
    try:
        found = grid_points(table, UNIVERSE, THEME)
    except UserError as error:
        assert all(error.problems)
    else:
        assert len(set(found)) == len(found) >= 1
