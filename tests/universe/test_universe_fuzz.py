"""Whatever is written into a universe's folder, it loads or every fault is said in a line: never a traceback."""

from __future__ import annotations

import os
import re
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import screener.api as sc
from screener.errors import UserError
from screener.universe.load import universe_warnings
from screener.universe.model import Universe
from screener.universe.template import EXAMPLE
from tests.conftest import AS_OF

CASES = int(os.environ.get("FUZZ_CASES", "1000"))  # `FUZZ_CASES=6000 make test` for the long run
SPLICES = (
    *("", ",", '"', "\n", "\r\n", "\0", ";", "=", "[", "]", "]]", "{", "}", "#", "'", "\t", " ", "\ufeff"),
    *("2026-02-30", "9999-99-99", "1e999", "-1", "nan", "inf", "999999999999999999999", "0", "true", "CN"),
    *("<script>", "=cmd()", "@SUM(A1)", "[bold]", "MP", "mp", "XTKS", "XNYS", "GBp", "mining", "miningg"),
    *("memory", "yes", "no", "high", "equity", "renamed", "é", "レア", "\u202e", "x" * 300, "adv >", ">= 1"),
    *(
        "rules",
        "rank_by",
        "[core]",
        "[core.rule]",
        "order = 10",
        "label = 1",
        'where = "adv >"',
        "within = 1",
    ),
)


@cache
def example() -> dict[str, bytes]:
    return {
        file.name: file.read_bytes() for file in sorted(EXAMPLE.iterdir()) if file.suffix in (".csv", ".toml")
    }


edits = st.lists(
    st.tuples(
        st.sampled_from(("replace", "insert", "cut", "repeat", "swap", "bytes", "delete", "empty")),
        st.integers(0, 10**6),
        st.integers(0, 60),
        st.sampled_from(SPLICES),
        st.binary(max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edit: tuple[str, int, int, str, bytes]) -> bytes:
    kind, place, length, splice, noise = edit
    at = place % (len(content) + 1)
    if kind == "insert":
        return content[:at] + splice.encode() + content[at:]
    if kind == "replace":  # a whole cell, word or line
        cells = list(re.finditer(rb"[^,\n=\"\[\] ]+", content))
        if not cells:
            return splice.encode()
        cell = cells[place % len(cells)]
        return content[: cell.start()] + splice.encode() + content[cell.end() :]
    if kind == "cut":
        return content[:at] + content[at + length :]
    if kind == "bytes":
        return content[:at] + noise + content[at + len(noise) :]
    lines = content.split(b"\n")
    one, other = place % len(lines), (place + length) % len(lines)
    if kind == "repeat":
        return b"\n".join([*lines[:one], lines[one], *lines[one:]])
    if kind == "swap":
        lines[one], lines[other] = lines[other], lines[one]
        return b"\n".join(lines)
    return b""


def check(folder: Path) -> Universe | None:
    """Do what `screener universe check` does; a UserError is an answer, anything else is not."""
    try:
        universe = sc.check_universe(folder)
        universe_warnings(universe, AS_OF)
    except UserError as error:
        assert error.problems
        for problem in error.problems:
            assert len(problem) < 1000 and "\n" not in problem, problem
            assert "Traceback" not in problem
        return None
    universe.content_hash()
    for theme in universe.themes.values():
        universe.members(theme, AS_OF)
    return universe


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 100), edits), min_size=1, max_size=3))
def test_a_folder_of_anything_loads_or_says_every_fault_in_a_line(
    changes: list[tuple[int, list[tuple[str, int, int, str, bytes]]]],
) -> None:
    contents = dict(example())
    names = list(contents)
    for file, several in changes:
        name = names[file % len(names)]
        for edit in several:
            if edit[0] == "delete":
                contents.pop(name, None)
                break
            contents[name] = edited(contents.get(name, b""), edit)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        check(Path(folder))


def test_the_example_itself_is_sound() -> None:
    universe = check(EXAMPLE)
    assert universe is not None and len(universe.instruments) == 3
