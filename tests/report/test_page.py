"""The page: safe, self-contained, honest about its data, small, and readable."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from screener.report.charts import HEIGHT
from screener.report.model import WeeklyInputs, WeeklyReport, assemble
from screener.report.render import render_html, render_markdown, run_json, tables
from screener.report.words import UNKNOWN
from tests.report.make_inputs import FORMULA, HOSTILE, empty_inputs, fresh_inputs, idle_inputs, make_inputs

PAGE_BYTES, SCRIPT_BYTES = 300_000, 10_000


@pytest.fixture(scope="module")
def inputs() -> WeeklyInputs:
    """The largest week: ninety names, ten themes, four screens, five years."""
    return make_inputs(themes=10)


@pytest.fixture(scope="module")
def report(inputs: WeeklyInputs) -> WeeklyReport:
    return assemble(inputs)


@pytest.fixture(scope="module")
def page(report: WeeklyReport) -> str:
    return render_html(report)


class Tags(HTMLParser):
    """Collects the tags and attributes of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def text_of(fragment: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", fragment)).strip()


def test_a_hostile_name_is_text_in_the_page(page: str) -> None:
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script>") == page.count("</script>") == 1


def test_a_hostile_name_is_text_in_markdown(report: WeeklyReport) -> None:
    markdown = render_markdown(report)
    assert "<script" not in markdown
    assert "&lt;script&gt;alert(1)" in markdown
    row = next(line for line in markdown.splitlines() if "=cmd" in line)
    assert r"=cmd\|" in row  # a bar in a name does not start a cell


def test_a_formula_is_text_in_a_spreadsheet(report: WeeklyReport) -> None:
    market = tables(report)["market.csv"]
    assert f"'{FORMULA}" in market["name"].tolist()
    for name, table in tables(report).items():
        for column in table.select_dtypes(exclude="number").columns:
            starts = [each[0] for each in table[column] if isinstance(each, str) and each]
            assert not set(starts) & set("=+-@\t\r"), f"{name}: {column}"


def test_negative_numbers_stay_numbers_in_a_spreadsheet(report: WeeklyReport) -> None:
    week = tables(report)["market.csv"]["return_week"]
    assert pd.api.types.is_float_dtype(week)
    assert (week < 0).any()


def test_nothing_on_the_page_reaches_for_a_network(page: str) -> None:
    assert "//" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|import\(", page)
    for tag, attributes in Tags(page).seen:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attributes and "style" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)


def test_every_link_has_a_target_and_every_id_is_its_own(page: str) -> None:
    seen = Tags(page).seen
    ids = [attributes["id"] for _, attributes in seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(attributes["href"] or "")[1:] for _, attributes in seen if "href" in attributes}
    assert targets <= set(ids)


def test_the_policy_allows_exactly_this_style_and_this_script(page: str) -> None:
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Tags(page).seen
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "data:" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_page_and_script_keep_their_budgets(page: str) -> None:
    assert len(page.encode()) <= PAGE_BYTES
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(script.encode()) <= SCRIPT_BYTES


def test_the_same_inputs_give_the_same_bytes(inputs: WeeklyInputs, page: str, report: WeeklyReport) -> None:
    again = assemble(make_inputs(themes=10))
    assert render_html(again) == page
    assert render_markdown(again) == render_markdown(report)
    assert run_json(again) == run_json(report)


def test_synthetic_prices_are_said_on_everything() -> None:
    report = assemble(make_inputs(names=20, themes=2, synthetic=True))
    page = render_html(report)
    body = page.index("<body")
    assert "SYNTHETIC PRICES — not market data" in page[body : body + 700]
    assert "SYNTHETIC" in re.findall("<title>(.*?)</title>", page)[0]
    assert re.search(r"@media print\{@page\{@top-center\{content:\"\\000053\\000059", page)
    assert "**SYNTHETIC PRICES" in render_markdown(report)
    assert '"prices": "SYNTHETIC"' in run_json(report)
    for name, table in tables(report).items():
        assert table.columns[0] == "prices", name
        assert set(table["prices"]) <= {"SYNTHETIC"}, name


def test_market_prices_are_never_called_synthetic(report: WeeklyReport, page: str) -> None:
    assert "SYNTHETIC" not in page and "SYNTHETIC" not in render_markdown(report)
    assert all(set(table["prices"]) <= {"market"} for table in tables(report).values())


def test_the_data_banner_counts_and_names_what_is_old(report: WeeklyReport, page: str) -> None:
    banner = report.masthead.data_banner
    assert banner.startswith("Of 90 instruments and benchmarks: 18 stale, 1 missing and 1 not updated.")
    assert "Sydney: newest price is of 2026-01-02 (18 stale: N002, N007, N012, N017 and 14 more)." in banner
    assert "No prices: N003." in banner and "Download failed: N020." in banner
    assert banner in page and page.index(banner) < page.index("<main")
    assert banner in render_markdown(report)


def test_there_is_no_data_banner_when_every_price_is_fresh() -> None:
    report = assemble(fresh_inputs())
    assert report.masthead.data_banner == ""
    assert 'class="banner' not in render_html(report)
    assert report.key_points[4].words.startswith("21 of 21 prices are current, 0 stale, 0 missing")


def test_a_symbol_with_a_problem_is_marked_wherever_it_appears(inputs: WeeklyInputs, page: str) -> None:
    marks = {"N003": "missing", "N005": "delisted", "N020": "update failed"}
    marks |= {symbol: "stale" for symbol, each in inputs.states.items() if each.state == "stale"}
    assert len(marks) == 21
    for symbol, mark in marks.items():
        heads = re.findall(rf"<th><b>{symbol}</b>([^\n]*?)(?=<td|<th|\n)", page)
        assert heads, symbol
        assert all(f"<em class=mark>{mark}</em>" in each for each in heads), symbol


def test_fresh_names_carry_no_mark(page: str) -> None:
    heads = re.findall(r"<th><b>N000</b>([^\n]*?)(?=<td|<th|\n)", page)
    assert heads and not any("mark" in each for each in heads)


def test_the_weights_on_the_page_and_cash_make_a_hundred_percent(page: str) -> None:
    articles = re.findall(r'<article class="two" id="theme-.*?</article>', page, flags=re.DOTALL)
    assert len(articles) == 10
    for article in articles:
        table = re.findall(r"<table.*?</table>", article, flags=re.DOTALL)[0]
        rows = [re.findall(r"<td>([\d.]+)%", each) for each in re.split(r"<tr", table)]
        shares = [(float(each[-2]), float(each[-1])) for each in rows if len(each) >= 2]
        *held, total = shares
        assert total == (100.0, 100.0)
        assert sum(each[0] for each in held) == pytest.approx(100, abs=0.05 * len(held))
        assert sum(each[1] for each in held) == pytest.approx(100, abs=0.05 * len(held))


def test_an_unknown_figure_is_an_em_dash(page: str) -> None:
    words = text_of(re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL))
    assert UNKNOWN in words
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b|\bNaT\b", words)
    assert not set("▲▼△▽") & set(page)


@pytest.mark.parametrize("make", [empty_inputs, idle_inputs])
def test_a_week_with_nothing_in_it_still_renders(make: type) -> None:
    report = assemble(make())
    for text in (render_html(report), render_markdown(report)):
        words = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
        assert not re.search(r"\bnan\b|\bNone\b|\bNaT\b", text_of(words))
    assert '"themes": {' in run_json(report)


def test_the_screen_that_lets_nobody_pass_says_so() -> None:
    page = render_html(assemble(idle_inputs()))
    assert "Nothing passes this screen." in page
    assert "no member has enough history for a backtest" in page
    assert "The proposal is all cash." in page


def test_hindsight_is_shaded_up_to_the_day_the_theme_was_known(report: WeeklyReport, page: str) -> None:
    assert "before 2025-10-09: hindsight" in page
    assert "hindsight: no known-from date" in page  # theme 1 states none, so all of it is hindsight
    widths = re.findall(r'class="shade" width="([\d.]+)%"', page)
    assert widths[0] == "84.9" and widths[1] == "100"


def test_a_theme_known_before_its_backtest_has_no_hindsight() -> None:
    inputs = fresh_inputs()
    first = inputs.themes[0]
    known = replace(first, theme=replace(first.theme, known_from=inputs.panel.sessions[0].date()))
    page = render_html(assemble(replace(inputs, themes=(known,))))
    assert (
        'class="shade" width="0%"' in page
        and "shade-label" not in page.split("</style>")[1].split("<script>")[0]
    )


def test_charts_carry_their_values_once_and_the_script_can_read_them_back(
    inputs: WeeklyInputs, page: str
) -> None:
    figure = re.findall(r'<figure class="chart".*?</figure>', page, flags=re.DOTALL)[0]
    low, high = (float(re.findall(rf'data-{each}="([\d.]+)"', figure)[0]) for each in ("low", "high"))
    assert "data-logscale" in figure
    drawn = re.findall(r'data-name="Theme" d="M(\d+) (\d+)l([^"]*)"', figure)[0]
    steps = [int(each) for each in re.findall(r"-?\d+", drawn[2])]
    share = (int(drawn[1]) + sum(steps[1::2])) / HEIGHT
    last = float(np.exp(np.log(high) - share * (np.log(high) - np.log(low))))
    run = inputs.themes[0].backtest
    assert run is not None
    assert last == pytest.approx(100 * run.wealth.iloc[-1] / run.wealth.iloc[0], rel=3e-3)
    assert int(drawn[0]) + sum(steps[::2]) == 1000


def luminance(colour: tuple[float, float, float]) -> float:
    parts = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_stands_out_by_at_least_four_and_a_half(page: str, mode: int) -> None:
    found = re.findall(r"--(\w+):light-dark\((#\w{6}),(#\w{6})\)", page)
    colours = {
        name: tuple(int(both[mode][each : each + 2], 16) / 255 for each in (1, 3, 5)) for name, *both in found
    }
    for name in ("ink", "muted", "accent", "up", "down"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name  # type: ignore[arg-type]
    strongest = max(int(each) for each in re.findall(r"--h:(\d+)%", page)) / 100
    for name in ("up", "down"):
        mixed = tuple(
            strongest * a + (1 - strongest) * b for a, b in zip(colours[name], colours["paper"], strict=True)
        )
        assert contrast(colours["ink"], mixed) >= 4.5, name  # type: ignore[arg-type]
