"""Every sentence that is asked for exists, and every sentence that exists is asked for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import screener.report
from screener.report.words import wording

REPORT = Path(screener.report.__path__[0])
KEY = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+")


def literals() -> tuple[set[str], set[str]]:
    """Every string in code and templates, and the beginnings of those that are put together."""
    whole, beginnings = set(), set()
    for file in REPORT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                beginnings.add(str(node.values[0].value))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
    for file in (REPORT / "template").glob("*.j2"):
        whole |= set(re.findall(r'say\("([^"]+)"', file.read_text(encoding="utf-8")))
    beginnings |= {each for each in whole if each.endswith(".")}
    return whole, {each for each in beginnings if re.fullmatch(r"[a-z_]+\.", each)}


def asked_for() -> set[str]:
    """Every key that a call of `say` names in full."""
    found = set()
    for file in REPORT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            key = node.args[0]
            if isinstance(key, ast.Constant) and called in ("say", "self", "say.count"):
                found |= (
                    {f"{key.value}.one", f"{key.value}.many"} if called == "say.count" else {str(key.value)}
                )
    for file in (REPORT / "template").glob("*.j2"):
        found |= set(re.findall(r'say\("([^"]+)"', file.read_text(encoding="utf-8")))
    return found


def test_every_key_asked_for_exists() -> None:
    assert len(asked_for()) > 100
    assert asked_for() <= set(wording("en").sentences)


def test_every_sentence_is_used() -> None:
    whole, beginnings = literals()
    unused = {
        key
        for key in wording("en").sentences
        if key not in whole
        and key.removesuffix(".one").removesuffix(".many") not in whole
        and not any(key.startswith(each) for each in beginnings)
    }
    assert not unused


def test_marks_are_worded_for_every_state_a_symbol_can_have() -> None:
    say = wording("en")
    for mark in ("stale", "missing", "not listed", "delisted", "update failed"):
        assert say("mark." + mark.replace(" ", "_")) == mark


def test_sentences_hold_no_markup_and_no_triangles() -> None:
    for key, sentence in wording("en").sentences.items():
        assert not set("<>▲▼△▽↑↓") & set(sentence), key
