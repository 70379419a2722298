"""The Japanese report is Japanese: every sentence, those of the lower layers included."""

from __future__ import annotations

import ast
import html
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import screener
from screener.report.model import WeeklyInputs, assemble
from screener.report.render import render_html, render_markdown
from screener.report.words import wording
from screener.screening.words import RULED, describe, why_not
from screener.universe.model import ScreenRule
from tests.report.make_inputs import (
    FORMULA,
    HOSTILE,
    empty_inputs,
    fresh_inputs,
    idle_inputs,
    in_japanese,
    make_inputs,
)
from tests.report.make_remembered import remembered_inputs

PACKAGE = Path(screener.__path__[0])
# Latin words that a Japanese reader expects: names of programs, methods, measures and companies.
ALLOWED = re.compile(
    r"screener|\w+\.csv|sample|files|prices|rare_earth_ai|REMX|BENCH|N\d{3}|Company \d+ Holdings|World equity fund"
    r"|Ledoit|Wolf|Carino|theme_9|run\.json|SHA|CAGR|CVaR|PDF|UTC|USD|JPY|EUR|ISO|HRP|PBR|EV|Yahoo|ACWI|SQL|bp|calendars\.toml|weekly"
    r"|--[a-z-]+|[a-f0-9]{64}|sampleソース|SYNTHETIC|[A-Z]{1,5}"
)
LATIN = re.compile(r"[A-Za-z]{3,}")
WEEKS: dict[str, Callable[[], WeeklyInputs]] = {
    "full": make_inputs,
    "fresh": fresh_inputs,
    "idle": idle_inputs,
    "empty": empty_inputs,
    "remembered": remembered_inputs,
    "synthetic": lambda: make_inputs(names=20, themes=2, years=2, synthetic=True),
}


def english_in(text: str) -> list[str]:
    for hostile in (HOSTILE, FORMULA):
        text = text.replace(hostile, "")
    return LATIN.findall(ALLOWED.sub(" ", text))


def words_of(page: str) -> Iterator[str]:
    """Every text a reader sees or hears, and every sentence the script shows."""
    bare = re.sub(r"<(style|script)>.*?</\1>|<meta[^>]*>", "", page, flags=re.DOTALL)
    yield from (html.unescape(each) for each in re.findall(r">([^<]+)", bare))
    spoken = r'(?:title|aria-label|placeholder|alt|data-(?:all|log|scales|week|year|sort|filter|hint|name))="([^"]*)"'
    yield from (html.unescape(each) for each in re.findall(spoken, bare))


@pytest.fixture(scope="module", params=list(WEEKS))
def inputs(request: pytest.FixtureRequest) -> WeeklyInputs:
    return in_japanese(WEEKS[request.param]())


def test_no_english_is_left_on_the_page(inputs: WeeklyInputs) -> None:
    page = render_html(assemble(inputs))
    assert '<html lang="ja">' in page
    left = {each.strip(): english_in(each) for each in words_of(page) if english_in(each)}
    assert not left


def test_no_english_is_left_in_markdown(inputs: WeeklyInputs) -> None:
    markdown = render_markdown(assemble(inputs)).replace("\\", "")
    left = {each: english_in(html.unescape(each)) for each in markdown.splitlines()}
    assert not {key: value for key, value in left.items() if value}


def test_both_languages_have_the_same_sentences_with_the_same_gaps() -> None:
    english, japanese = wording("en"), wording("ja")
    assert set(english.sentences) == set(japanese.sentences)

    def gaps(sentence: str) -> set[str | None]:
        return {each[1] for each in string.Formatter().parse(sentence)} - {None, "", "month", "weekday"}

    for key, sentence in english.sentences.items():
        if not key.startswith("format."):
            assert gaps(sentence) == gaps(japanese.sentences[key]), key


def test_no_triangle_and_no_red() -> None:
    page = render_html(assemble(in_japanese(fresh_inputs())))
    assert not set("▲▼△▽") & set(page)
    assert "+" in page and "−" in page


def test_english_stays_as_it_is() -> None:
    say = wording("en")
    assert say.retell("issuer <= 10% binds for MP") == "issuer <= 10% binds for MP"


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("issuer <= 10% binds for MP and 2 more", "発行体 10%以下に到達: MPほか2件"),
        ("issuer <= 10% binds for 300748.SZ and 6680.HK", "発行体 10%以下に到達: 300748.SZ、6680.HK"),
        ("segment mining <= 40% binds", "段階「採掘」 40%以下に到達"),
        ("newest price is of 2026-01-02; 130 Sydney sessions missing since",
         "最新の価格は2026年1月2日、以後シドニーの130営業日が欠落"),
        ("volatility 61.3% is above 60.0%; beta is unknown", "ボラティリティ 61.3%(基準は60.0%以下)、ベータが不明"),
        ("average daily value 0.31 M USD is below 1.00 M", "1日平均売買代金31万USDが下限100万に満たない"),
        ("no bar on 2024-05-01, 2024-05-02 and 2 more", "2024年5月1日、2024年5月2日ほか2日に価格がない"),
        ("pays 12.0% of the price, 5 times the usual", "株価の12.0%、通常の5倍を支払う"),
        ("dividend 12 is read as 0.12: 30% of the price; the adjusted close implies 0.30%",
         "配当12を0.12とみなす(株価の30%だが、調整後終値が示すのは0.30%)"),
        ("15 sessions from 2024-03-04 to 2024-03-22 have no bar", "2024年3月4日〜2024年3月22日の15営業日に価格がない"),
        ("ledoit_wolf, 104 weeks", "Ledoit–Wolf縮小推定、104週"),
        ("words that nobody foresaw", "words that nobody foresaw"),
    ],
)  # fmt: skip
def test_a_sentence_of_a_lower_layer_is_retold(english: str, japanese: str) -> None:
    assert wording("ja").retell(english, (("mining", "採掘"),)) == japanese


@pytest.mark.parametrize("metric", sorted(RULED))
def test_every_metric_and_every_reason_to_fail_has_words(metric: str) -> None:
    say = wording("ja")
    for comparison in (">=", "<=", ">", "<"):
        rule = ScreenRule(metric, comparison, 0.5)
        for sentence in (describe(rule), why_not(rule, float("nan")), why_not(rule, 0.25, "USD")):
            assert not english_in(say.retell(sentence)), sentence


def sentences_made_in(module: str, functions: tuple[str, ...]) -> Iterator[str]:
    """Every text with a space that functions of a module make, numbers and dates standing in its gaps.

    Errors are raised, not reported, so what stands in a `raise` is left out; so are docstrings.
    """
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or (functions and function.name not in functions):
            continue
        skipped: set[int] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Raise | ast.Expr):
                skipped |= {
                    id(each)
                    for each in ast.walk(node)
                    if isinstance(node, ast.Raise) or each is getattr(node, "value", None)
                }
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(each) for each in ast.walk(node) if each is not node}
        for node in ast.walk(function):
            if id(node) in skipped:
                continue
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    str(each.value) if isinstance(each, ast.Constant) else "12" for each in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if re.search(r"[a-z]{2,} |: | [a-z]{2,}", text) and text.strip() not in FRAGMENTS:
                yield text.strip()


# parts of sentences that another test has whole
FRAGMENTS = (
    "and 12 more",
    "12 sessions from 12 have no bar",
    "pays 12 of the price12",
    ", 12 times the usual",
    "newest price is of 12; 12 12 12 missing since",
)
WARNINGS = (
    "_unverified", "_small_themes", "_impure_themes", "_unchecked", "_issuers_with_two_lines", "_unknown_outcomes",
)  # fmt: skip
MADE = [
    ("market/checks/calendar.py", ()),
    ("market/checks/levels.py", ()),
    ("market/checks/payouts.py", ()),
    ("market/checks/rows.py", ()),
    ("market/panel.py", ("_judge", "_with_rate")),
    ("portfolio/eligible.py", ()),
    ("portfolio/decide.py", ("_sentences", "_other", "_listed", "_within_band")),
    ("portfolio/risk_budget.py", ("missed_shares",)),
    ("universe/check.py", WARNINGS),
    ("market/sessions.py", ("calendar_warnings",)),
    ("market/refresh.py", ("gone_since",)),
]  # fmt: skip


@pytest.mark.parametrize(("module", "functions"), MADE, ids=[each[0] for each in MADE])
def test_every_sentence_a_lower_layer_makes_has_a_translation(
    module: str, functions: tuple[str, ...]
) -> None:
    say = wording("ja")
    made = list(sentences_made_in(module, functions))
    assert made
    left = {each: say.retell(each) for each in made if english_in(say.retell(each))}
    assert not left
