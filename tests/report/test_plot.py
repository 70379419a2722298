"""Charts of their own for slides."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from screener.errors import UserError
from screener.report import browser
from screener.report.model import WeeklyInputs
from screener.report.plot import CHARTS, drawn, save
from screener.report.sections.chain import stages_of
from screener.report.words import change, percent
from tests.report.make_inputs import idle_inputs, in_japanese, make_inputs


@pytest.fixture(scope="module")
def inputs() -> WeeklyInputs:
    return make_inputs(names=32, themes=1, years=2, synthetic=True)


@pytest.mark.parametrize("chart", CHARTS)
def test_a_drawing_is_well_formed_and_says_that_prices_are_synthetic(
    inputs: WeeklyInputs, chart: str
) -> None:
    for week in (inputs, in_japanese(inputs)):
        drawing = drawn(chart, week)
        texts = [each.text or "" for each in ElementTree.fromstring(drawing).iter() if each.text]
        banner = "合成価格" if week.language == "ja" else "SYNTHETIC PRICES"
        assert any(banner in each for each in texts)
        assert not re.search(r"\bnan\b", drawing) and "<script" not in drawing


def test_bars_are_as_long_as_the_returns_they_show(inputs: WeeklyInputs) -> None:
    drawing = drawn("chain", inputs)
    weeks = [each.week for each in stages_of(inputs)]
    widths = [float(each) for each in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"', drawing)]
    assert widths == pytest.approx([abs(each) / max(map(abs, weeks)) * 330 for each in weeks], abs=0.06)
    assert all(change(each) in drawing for each in weeks)


def test_risk_is_drawn_beside_weight(inputs: WeeklyInputs) -> None:
    drawing, rebalance = drawn("risk", inputs), inputs.themes[0].rebalance
    for symbol, weight in rebalance.weights.items():
        assert f"{percent(float(weight))} / {percent(float(rebalance.risk_contributions[symbol]))}" in drawing


def test_there_is_nothing_to_draw_of_a_theme_that_holds_nothing() -> None:
    idle = idle_inputs()
    for chart in ("growth", "risk"):
        with pytest.raises(UserError, match="has nothing to draw: no member has enough history"):
            drawn(chart, replace(idle, themes=idle.themes[:1]))


def test_a_png_is_made_by_the_browser_of_the_machine(inputs: WeeklyInputs, tmp_path: Path) -> None:
    save(drawn("chain", inputs), tmp_path / "chain.svg")
    assert (tmp_path / "chain.svg").read_text(encoding="utf-8").startswith("<svg xmlns=")
    try:
        browser.find_browser()
    except UserError as error:
        pytest.skip(str(error))
    save(drawn("chain", inputs), tmp_path / "chain.png")
    made = (tmp_path / "chain.png").read_bytes()
    assert made.startswith(b"\x89PNG") and made[16:24] == (2560).to_bytes(4) + (1440).to_bytes(4)
    assert {each.name for each in tmp_path.iterdir()} == {"chain.svg", "chain.png"}
