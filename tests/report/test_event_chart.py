"""The plot of an event study: one SVG that needs nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from screener.report.event_chart import HEIGHT, MOST_LINES, WIDTH, event_svg

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(count: int) -> dict[str, np.ndarray]:
    return {f"Stage {each}": np.linspace(0, (each + 1) / 100, 31) for each in range(count)}


def test_it_is_well_formed_and_loads_nothing() -> None:
    drawn = event_svg(lines_of(3), -10, 'A <b>"title"</b> & more', "note")
    root = ET.fromstring(drawn)
    assert root.find(f"{SVG}title").text == 'A <b>"title"</b> & more'  # type: ignore[union-attr]
    assert not re.search(r"href|url\(|<script|<image", drawn)
    assert len(root.findall(f"{SVG}path")) == 3


@pytest.mark.parametrize("count", [1, MOST_LINES, MOST_LINES + 4])
def test_no_more_lines_than_can_be_told_apart_and_nothing_outside_the_picture(count: int) -> None:
    drawn = event_svg(lines_of(count), -10, "title", "note")
    root = ET.fromstring(drawn)
    assert len(root.findall(f"{SVG}path")) == min(count, MOST_LINES)
    assert (f"{MOST_LINES} of {count} lines" in drawn) == (count > MOST_LINES)
    for text in root.findall(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= WIDTH and 0 <= float(text.attrib["y"]) <= HEIGHT


def test_sessions_that_have_not_been_lift_the_pen_and_the_last_known_value_is_the_label() -> None:
    values = np.concatenate((np.full(20, 0.05), np.full(11, np.nan)))
    drawn = event_svg({"Magnets": values, "None": np.full(31, np.nan)}, -10, "title", "note")
    assert "Magnets +5.0%" in drawn
    assert "None no data" in drawn
