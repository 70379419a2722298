"""Geometry with answers known by hand."""

from __future__ import annotations

import math
import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.report.charts import (
    BOX,
    LEVELS,
    Axis,
    area,
    axis_over,
    level,
    path,
    round_values,
    sparkline,
    spread,
    wants_log,
    year_ticks,
)

NAN = float("nan")


def points(drawn: str) -> list[tuple[int, int]]:
    """Read a path back the slow way: M is absolute, l and what follows it relative."""
    found: list[tuple[int, int]] = []
    for command, arguments in re.findall(r"([Ml])([^Ml]*)", drawn):
        numbers = [int(each) for each in re.findall(r"-?\d+", arguments)]
        for x, y in zip(numbers[::2], numbers[1::2], strict=True):
            before = found[-1] if command == "l" else (0, 0)
            found.append((before[0] + x, before[1] + y))
    return found


def test_a_line_runs_from_bottom_left_to_top_right_when_it_rises() -> None:
    assert path([0.0, 5.0, 10.0], Axis(0.0, 10.0)) == "M0 500l500-250 500-250"


def test_a_missing_value_lifts_the_pen() -> None:
    assert path([0.0, NAN, 10.0, 5.0], Axis(0.0, 10.0)) == "M0 500M667 0l333 250"
    assert path([NAN, NAN], Axis(0.0, 1.0)) == ""


def test_on_a_log_scale_equal_ratios_are_equally_high() -> None:
    axis = Axis(10.0, 1000.0, log=True)
    assert axis.share(100.0) == pytest.approx(0.5)
    assert points(path([10.0, 100.0, 1000.0], axis)) == [(0, 500), (500, 250), (1000, 0)]


def test_an_area_returns_along_the_top() -> None:
    assert area([0.0, -0.5], Axis(-0.5, 0.0)) == "M0 0l1000 160L1000 0L0 0z"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_rounding_does_not_add_up_along_a_line(values: list[float]) -> None:
    axis = axis_over(values)
    for position, (x, y) in enumerate(points(path(values, axis, height=1000))):
        assert x == round(BOX * position / (len(values) - 1))
        assert abs(y - BOX * axis.share(values[position])) <= 0.5 + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e5))
def test_ticks_are_round_numbers_inside_the_scale(low: float, size: float) -> None:
    axis = Axis(low, low + size)
    ticks = round_values(axis)
    assert 1 <= len(ticks) <= 12
    assert all(axis.low - 1e-9 * size <= each <= axis.high + 1e-9 * size for each in ticks)


def test_log_ticks_are_one_two_and_five() -> None:
    assert round_values(Axis(40.0, 1100.0, log=True)) == [50.0, 100.0, 200.0, 500.0, 1000.0]


def test_a_flat_line_still_has_a_scale() -> None:
    axis = axis_over([7.0, 7.0])
    assert axis.low < 7.0 < axis.high
    assert axis.share(7.0) == pytest.approx(0.5)
    assert axis_over([NAN]).high > axis_over([NAN]).low


def test_a_log_scale_is_wanted_when_a_line_quadruples() -> None:
    assert wants_log([100.0, 400.0]) and not wants_log([100.0, 399.0])
    assert not wants_log([0.0, 400.0]) and not wants_log([NAN])


def test_a_sparkline_needs_two_values_and_keeps_the_last_26() -> None:
    assert sparkline([1.0, NAN]) == ""
    assert sparkline([1.0, 2.0]) == "M0 23l84-22"
    assert len(points(sparkline([float(each) for each in range(80)]))) == 26


def test_colour_steps_are_symmetric_and_full_from_the_scale_on() -> None:
    assert level(0.10, 0.10) == LEVELS and level(-0.3, 0.10) == -LEVELS
    assert level(0.05, 0.10) == LEVELS / 2
    assert level(NAN, 0.1) == level(None, 0.1) == level(0.0, 0.1) == 0
    assert level(0.001, 0.1) == 1


def test_years_begin_where_they_begin() -> None:
    ticks = year_ticks(date(2023, 1, 6), date(2024, 12, 27), 104)
    assert [each.label for each in ticks] == ["2024"]
    assert ticks[0].share == pytest.approx(52 / 103)
    assert [each.label for each in year_ticks(date(2025, 7, 4), date(2026, 6, 26), 52)] == [
        "2025-10",
        "2026-01",
        "2026-04",
    ]


def test_labels_that_would_overlap_are_moved_apart_and_stay_inside() -> None:
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.5, 0.6])
    assert spread([1.0, 0.98], 0.1) == pytest.approx([1.0, 0.9])
    assert spread([], 0.1) == []


def test_no_value_leaves_the_box() -> None:
    drawn = points(path([-5.0, 15.0], Axis(0.0, 10.0)))
    assert drawn == [(0, 500), (1000, 0)]
    assert all(math.isfinite(x) and 0 <= y <= BOX for x, y in drawn)
