"""A heatmap shows each number once, in its place."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from screener.report.heatmap import heatmap_svg

TABLE = pd.DataFrame([[0.5, -0.25], [np.nan, 1.0]], index=["a<b", "equal"], columns=["weekly", "monthly"])


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("text")]


def test_every_value_and_label_is_there_and_nothing_for_what_is_missing() -> None:
    found = texts(heatmap_svg(TABLE, "Sharpe & more", "note", rows="Method", columns="Rebalance"))
    assert found[:4] == ["Sharpe & more", "note", "Method", "Rebalance"]
    assert sorted(found[4:]) == sorted(["weekly", "monthly", "a<b", "equal", "0.50", "−0.25", "1.00"])


def test_zero_is_the_pale_middle_where_signs_differ_and_the_extremes_are_strongest() -> None:
    svg = heatmap_svg(pd.DataFrame([[-1.0, 0.0, 1.0]], index=["x"], columns=list("abc")), "t")
    assert re.findall(r"rgb\((.*?)\)", svg) == ["178,74,46", "245,243,238", "28,112,120"]


def test_one_value_has_a_colour() -> None:
    assert "rgb(245,243,238)" in heatmap_svg(pd.DataFrame([[0.7]], index=["x"], columns=["y"]), "t")


def test_all_of_it_lies_inside() -> None:
    root = ElementTree.fromstring(heatmap_svg(TABLE, "a title that is rather long for so small a table", "n"))
    _, _, width, height = (float(each) for each in root.attrib["viewBox"].split())
    for each in root.iter():
        if each.tag.endswith("rect") and "x" in each.attrib:
            right = float(each.attrib["x"]) + float(each.attrib["width"])
            bottom = float(each.attrib["y"]) + float(each.attrib["height"])
            assert 0 <= right <= width and 0 <= bottom <= height
