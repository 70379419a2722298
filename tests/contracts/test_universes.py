"""What every shipped universe keeps. Adding a folder under universes/ enrols it here."""

from __future__ import annotations

import pytest

from screener.universe.load import find_universe, load_universe, shipped_universes
from screener.universe.model import Universe


@pytest.fixture(scope="module", params=shipped_universes())
def universe(request: pytest.FixtureRequest) -> Universe:
    """Loading reports every fault of the folder, so a universe that gets here has none."""
    return load_universe(find_universe(request.param))


def test_there_is_a_shipped_universe() -> None:
    assert "rare_earth_ai" in shipped_universes()


def test_every_fact_has_a_source(universe: Universe) -> None:
    facts = [*universe.everything().values(), *universe.events]
    for each in facts:
        assert each.sources
        assert each.verified == "no" or any(source != "memory" for source in each.sources)
    assert all(each.source for each in universe.segments.values() if each.china_share is not None)


def test_everything_shown_has_a_label_in_both_languages(universe: Universe) -> None:
    assert universe.label and universe.label_ja
    for labelled in (universe.segments, universe.themes, universe.screens):
        assert all(each.label and each.label_ja for each in labelled.values())
    assert all(each.name and each.name_ja for each in universe.everything().values())
    assert all(each.title and each.title_ja for each in universe.events)


def test_symbols_come_in_order_and_segments_upstream_to_downstream(universe: Universe) -> None:
    assert list(universe.instruments) == sorted(universe.instruments)
    orders = [each.order for each in universe.segments.values()]
    assert orders == sorted(set(orders))


def test_every_reference_resolves(universe: Universe) -> None:
    for each in universe.instruments.values():
        assert set(each.segments()) <= set(universe.segments)
    for theme in universe.themes.values():
        assert theme.benchmark in universe.benchmarks
        assert set(theme.rule.segments) <= set(universe.segments)
    for event in universe.events:
        assert set(event.segments) <= set(universe.segments)


def test_a_backtest_of_every_theme_can_say_what_is_hindsight(universe: Universe) -> None:
    assert all(theme.known_from is not None for theme in universe.themes.values())


def test_the_hash_is_the_same_every_time(universe: Universe) -> None:
    assert load_universe(find_universe(universe.key)).content_hash() == universe.content_hash()


def test_its_readme_says_where_the_facts_come_from_and_what_is_judgement(universe: Universe) -> None:
    text = (find_universe(universe.key) / "README.md").read_text(encoding="utf-8")
    assert "Where the facts come from" in text and "judgement" in text
