"""How much of a theme is about rare earths."""

from __future__ import annotations

from datetime import date

import pytest

from screener.universe.check import universe_warnings
from screener.universe.load import find_universe, load_universe
from screener.universe.model import PURITY, Instrument
from screener.universe.purity import BOUNDS, theme_purity


def name(symbol: str, purity: str, issuer: str = "") -> Instrument:
    return Instrument(
        symbol, symbol, symbol, issuer or symbol, "equity", "XNYS", "USD", "US", "mining", purity=purity
    )


def test_a_theme_is_as_pure_as_the_middle_of_its_members_classes() -> None:
    got = theme_purity([name("A", "pure-play"), name("B", "none")])
    assert got is not None
    assert (got.low, got.middle, got.high) == pytest.approx((0.25, 0.375, 0.5))


def test_weights_count_and_need_not_sum_to_one() -> None:
    members = [name("A", "pure-play"), name("B", "none")]
    got = theme_purity(members, {"A": 0.6, "B": 0.2})
    assert got is not None and got.middle == pytest.approx(0.75 * 0.75)


def test_two_lines_of_one_issuer_count_once() -> None:
    got = theme_purity([name("A1", "pure-play", "a"), name("A2", "pure-play", "a"), name("B", "none")])
    assert got is not None and got.middle == pytest.approx(0.375)


def test_nobody_has_no_purity() -> None:
    assert theme_purity([]) is None
    assert theme_purity([name("A", "major")], {"B": 1.0}) is None


def test_every_class_has_bounds_and_they_meet() -> None:
    assert tuple(BOUNDS) == PURITY
    lows = [low for low, _ in BOUNDS.values()]
    assert lows == sorted(lows, reverse=True)


def test_the_theme_without_pure_plays_is_warned_of() -> None:
    universe = load_universe(find_universe("rare_earth_ai"))
    (line,) = [
        each for each in universe_warnings(universe, date(2026, 11, 1)) if "drive less than 30%" in each
    ]
    assert "substitutes 15%" in line and "magnets" not in line
