"""What a reader of a sound universe is warned of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from screener.universe.load import find_universe, load_universe, universe_warnings
from screener.universe.model import Rule, SupplyEvent, Theme, Universe

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return load_universe(find_universe("rare_earth_ai"))


def warnings_about(universe: Universe, word: str, today: date = TODAY) -> list[str]:
    return [each for each in universe_warnings(universe, today) if word in each]


def test_facts_from_memory_are_counted(universe: Universe) -> None:
    everything = universe.everything().values()
    memory = sum(each.verified == "no" for each in everything)
    (line,) = warnings_about(universe, "instruments and benchmarks")
    assert line.startswith(f"of {len(everything)} ") and f" {memory} rest on memory" in line
    sure = {symbol: replace(each, verified="yes") for symbol, each in universe.instruments.items()}
    assert not warnings_about(
        replace(universe, instruments=sure, benchmarks={}), "instruments and benchmarks"
    )


def test_a_theme_is_small_on_the_date_it_is_asked_for(universe: Universe) -> None:
    rule = Rule(include=("MP", "USAR", "LYC.AX", "ILU.AX"), tags=("no such tag",))
    small = replace(universe, themes={"few": Theme("few", "Few", "少", rule)})
    listed = universe.instruments["USAR"].listed_from
    assert listed is not None
    assert not warnings_about(small, "theme few", listed)
    assert warnings_about(small, "theme few has 3 members", listed - timedelta(days=1))


def test_two_lines_of_one_issuer_are_named_while_both_are_listed(universe: Universe) -> None:
    (line,) = warnings_about(universe, "one issuer")
    assert "300748.SZ and 6680.HK" in line
    left = replace(universe.instruments["6680.HK"], delisted_on=TODAY)
    gone = replace(universe, instruments={**universe.instruments, "6680.HK": left})
    assert not warnings_about(gone, "one issuer")
    assert warnings_about(gone, "one issuer", TODAY - timedelta(days=1))


@pytest.mark.parametrize(
    ("kind", "end_day", "today", "warned"),
    [
        ("calendar", None, date(2026, 11, 10), False),
        ("calendar", None, date(2026, 11, 11), True),
        ("calendar", date(2026, 11, 12), date(2026, 11, 12), False),
        ("calendar", date(2026, 11, 12), date(2026, 11, 13), True),
        ("truce", None, date(2026, 11, 11), False),
    ],
)
def test_a_scheduled_date_that_has_passed_asks_for_its_outcome(
    universe: Universe, kind: str, end_day: date | None, today: date, warned: bool
) -> None:
    event = SupplyEvent(
        "E9", date(2026, 11, 10), end_day, "Due", "期限", kind, ("magnets",), ("memory",), "no"
    )
    found = warnings_about(replace(universe, events=(event,)), "no outcome is recorded", today)
    assert [each.startswith('event E9 ("Due")') for each in found] == [True] * warned
