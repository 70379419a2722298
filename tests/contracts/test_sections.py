"""Every registered section renders for a full, a fresh, an idle, an empty and a synthetic week."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pytest

from screener.report.blocks import Section
from screener.report.model import WeeklyInputs, assemble
from screener.report.render import render_html, render_markdown
from screener.report.sections import SECTIONS, section_functions
from tests.report.make_inputs import empty_inputs, fresh_inputs, idle_inputs, make_inputs
from tests.report.make_remembered import remembered_inputs

WEEKS: dict[str, Callable[[], WeeklyInputs]] = {
    "full": make_inputs,
    "fresh": fresh_inputs,
    "idle": idle_inputs,
    "empty": empty_inputs,
    "remembered": remembered_inputs,
    "synthetic": lambda: make_inputs(names=20, themes=2, years=2, synthetic=True),
}


@pytest.fixture(scope="module", params=list(WEEKS))
def inputs(request: pytest.FixtureRequest) -> WeeklyInputs:
    made: WeeklyInputs = WEEKS[request.param]()
    return made


def section_named(key: str, inputs: WeeklyInputs) -> Section:
    module, function = SECTIONS[key].split(":")
    made: Section = getattr(import_module(module), function)(inputs)
    return made


@pytest.mark.parametrize("key", list(SECTIONS))
def test_a_section_has_its_key_a_title_and_a_finding(key: str, inputs: WeeklyInputs) -> None:
    section = section_named(key, inputs)
    assert section.key == key
    assert section.title and section.lead
    assert not re.search(r"\bnan\b|\bNone\b|[{}]", section.title + section.lead)


@pytest.mark.parametrize("key", list(SECTIONS))
def test_a_section_is_drawn_alone_as_page_and_as_markdown(key: str, inputs: WeeklyInputs) -> None:
    report = assemble(inputs)
    section = section_named(key, inputs)
    alone = replace(report, sections=(section,))
    page, markdown = render_html(alone), render_markdown(alone)
    assert f'<section id="{key}"' in page
    assert f"## 1 {section.title}" in markdown.replace("\\", "")
    words = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\bNone\b", words + markdown)


@pytest.mark.parametrize("key", list(SECTIONS))
def test_a_section_says_the_same_when_asked_again(key: str, inputs: WeeklyInputs) -> None:
    assert repr(section_named(key, inputs)) == repr(section_named(key, inputs))


def test_the_page_holds_every_registered_section_in_order() -> None:
    assert [each.key for each in assemble(fresh_inputs()).sections] == list(SECTIONS)
    assert len(section_functions()) == len(SECTIONS)
