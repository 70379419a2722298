"""The page as a reader's browser shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from screener.report.model import assemble
from screener.report.render import render_html
from tests.report.make_inputs import HOSTILE, in_japanese, make_inputs

THEMES = 3


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same week in both languages, hostile names and stale prices included."""
    folder = tmp_path_factory.mktemp("pages")
    inputs = make_inputs(themes=THEMES, synthetic=True)
    made = {}
    for language, week in {"en": inputs, "ja": in_japanese(inputs)}.items():
        made[language] = folder / f"{language}.html"
        made[language].write_text(render_html(assemble(week)), encoding="utf-8")
    small = make_inputs(
        names=8, themes=1, years=1
    )  # every kind of block once: axe is slow on thousands of cells
    for language, week in {"en small": small, "ja small": in_japanese(small)}.items():
        made[language] = folder / f"{language.replace(' ', '-')}.html"
        made[language].write_text(render_html(assemble(week)), encoding="utf-8")
    return made


Opener = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Opener]:
    """Open a page; afterwards nothing may have been logged, asked for or popped up."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_page(language: str = "en", width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages[language].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said
    assert all(each.startswith("file:") for each in asked) and len(asked) == len(contexts)


def cells(page: Any, table: str, column: int) -> list[str]:
    rows = page.locator(f"{table} tbody tr:not(.g)")
    texts: list[str] = rows.evaluate_all(f"rows => rows.map(row => row.cells[{column}].textContent.trim())")
    return texts


def numbers(texts: list[str]) -> list[float]:
    known = [each.replace("−", "-").replace("+", "").replace("%", "").replace(",", "") for each in texts]
    return [float(each.replace("万", "e4").replace("億", "e8")) for each in known if each not in ("—", "")]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_chart_draws_and_can_be_cut_to_a_year(opened: Opener, language: str) -> None:
    page = opened(language)
    figures = page.locator("figure.chart")
    assert figures.count() == THEMES
    for place in range(THEMES):
        figure = figures.nth(place)
        paths = figure.locator("svg svg path")
        assert paths.count() == 3  # theme, benchmark, drawdown
        boxes = paths.evaluate_all("each => each.map(path => path.getBoundingClientRect().width)")
        assert min(boxes) > 200
        before = paths.first.get_attribute("d")
        figure.locator("button").first.click()
        after = paths.first.get_attribute("d")
        assert before != after and "NaN" not in after
        ticks = figure.locator(".plot:not(.fall) .y text").all_text_contents()
        assert len(ticks) >= 2
    text = page.locator("body").inner_text()
    assert "NaN" not in text and "undefined" not in text


def test_a_chart_reads_its_values_to_the_keyboard(opened: Opener) -> None:
    page = opened()
    plot = page.locator("figure.chart .plot").first
    plot.focus()
    page.keyboard.press("ArrowLeft")
    assert re.match(
        r"Week to 2026-07-03: Theme [\d.]+, BENCH [\d.]+", page.locator(".readout").first.inner_text()
    )


def test_the_market_table_sorts_with_unknown_values_last(opened: Opener) -> None:
    page = opened()
    head = page.locator("#market thead th").nth(3).locator("[role=button]")
    head.click()
    week = cells(page, "#market table", 3)
    assert numbers(week) == sorted(numbers(week), reverse=True)
    assert week[-1] == "—"
    head.press("Enter")
    week = cells(page, "#market table", 3)
    assert numbers(week) == sorted(numbers(week))
    assert week[-1] == "—"


def test_money_in_myriads_sorts_by_size(opened: Opener) -> None:
    page = opened("ja")
    head = page.locator("#market thead th").nth(10)
    assert head.inner_text() == "売買代金"
    head.locator("[role=button]").click()
    money = cells(page, "#market table", 10)
    assert any("億" in each for each in money) and any("万" in each for each in money)
    assert numbers(money) == sorted(numbers(money), reverse=True)


def test_the_market_table_filters_and_a_stage_shows_its_names(opened: Opener) -> None:
    page = opened()
    shown = page.locator("#market tbody tr:not(.g):not([hidden])")
    total = shown.count()
    page.locator("#market input").fill("N001")
    assert shown.count() == 1
    page.locator("#market input").fill("")
    assert shown.count() == total
    page.locator(".ribbon a").nth(1).click()
    assert 1 <= shown.count() < 10
    assert page.locator("#market .g:not([hidden])").count() == 1
    assert page.url.endswith("#stage-stage_01")


def test_dark_and_light_follow_the_system_and_the_button(opened: Opener) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert opened(color_scheme="dark").evaluate(ground) == "rgb(14, 20, 27)"
    page = opened(color_scheme="light")
    assert page.evaluate(ground) == "rgb(251, 250, 246)"
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(14, 20, 27)"


def test_it_prints_everything_on_white(opened: Opener) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator("#print").is_visible()
    assert page.locator("details table").first.is_visible()  # what is folded on a screen
    overflow = page.locator(".tall").evaluate_all(
        "each => each.filter(box => getComputedStyle(box).overflowY !== 'visible').length"
    )
    assert overflow == 0
    printed: bytes = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") > 5


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_width_needs_scrolling_sideways(opened: Opener, language: str) -> None:
    page = opened(language)
    for width in (320, 390, 768, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


@pytest.mark.parametrize(
    ("language", "scheme"), [("en small", "light"), ("en small", "dark"), ("ja small", "light")]
)
def test_axe_finds_nothing_serious(opened: Opener, language: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page = opened(language, color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    serious = {
        each["id"]: [node["html"][:120] for node in each["nodes"][:3]]
        for each in found
        if each["impact"] in ("serious", "critical")
    }
    assert not serious


def test_a_hostile_name_is_shown_as_text(opened: Opener) -> None:
    page = opened()
    assert page.locator("#market tbody th", has_text=HOSTILE).count() == 1
    assert page.locator("script").count() == 1


def test_it_reads_without_script(opened: Opener) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("figure.chart svg svg path").count() == 3 * THEMES
    assert page.locator("#market tbody tr").count() > 100


def test_the_policy_forbids_everything_else(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(pages["en"].as_uri())
    blocked = page.evaluate(
        """async () => {
            let reached = true;
            try { await fetch("data:text/plain,x"); } catch { reached = false; }
            return !reached;
        }"""
    )
    page.close()
    assert blocked


def test_how_soon_it_is_ready_is_reported(
    opened: Opener, record_property: Callable[[str, object], None]
) -> None:
    """Not asserted: a busy machine is no fault of the page. benchmarks/page.py measures it properly."""
    page = opened()
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    record_property("ready_ms", ready)
    assert ready > 0
