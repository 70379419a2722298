"""`screener reproduce`: what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import screener.api as sc
from screener.cli import main

EXAMPLE = Path(sc.__file__).parent / "universe" / "example"
Ran = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*words: object) -> Ran:
        code = main(["reproduce", *map(str, words)])
        captured = capsys.readouterr()
        if "--json" in words:
            return code, captured.out, captured.err
        assert all(len(each) <= 80 for each in captured.out.splitlines() if "/" not in each)
        return code, captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "mine")
    words = ["weekly", "--universe", str(tmp_path / "mine"), "--store", str(tmp_path / "p.duckdb")]
    words += ["--output", str(tmp_path / "out"), "--years", "1", "--now", "2026-07-11T06:00"]
    assert main([*words, "--as-of", "2026-07-10", "--source", "sample"]) == 0
    capsys.readouterr()
    return tmp_path / "out" / "2026-W28" / "mine"


def test_the_same_bytes_end_with_0(run: Callable[..., Ran], folder: Path) -> None:
    code, out, err = run(folder / "run.json")
    assert (code, err) == (
        0,
        "",
    ) and out == f"the same bytes: all {len(list(folder.iterdir()))} files of {folder}\n"
    assert run(folder)[0] == 0


def test_an_input_that_differs_ends_with_3_and_is_named(
    run: Callable[..., Ran], folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine" / "instruments.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("MP Materials", "MP"), encoding="utf-8")
    code, out, _ = run(folder, "--output", tmp_path / "again")
    assert code == 3
    assert "Inputs that differ:\n  universe file instruments.csv: was changed\n" in out
    assert "report.html: differs from line" in out
    assert out.splitlines()[-1] == str(tmp_path / "again")
    assert "MP Materials" not in (tmp_path / "again" / "report.md").read_text(encoding="utf-8")
    assert "MP Materials" in (folder / "report.md").read_text(encoding="utf-8")


def test_bytes_that_differ_though_no_input_does_end_with_1(run: Callable[..., Ran], folder: Path) -> None:
    (folder / "market.csv").write_text("edited", encoding="utf-8")
    code, out, _ = run(folder)
    assert code == 1
    assert "market.csv: differs from line 1 on: 'edited' lies there" in out
    assert "No recorded input differs" in out


def test_json_holds_all_of_it(run: Callable[..., Ran], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").unlink()
    code, out, err = run(folder, "--json")
    told = json.loads(out)
    assert code == 3 and not err and told["schema"] == "screener.reproduction/1"
    assert told["same"] is False and told["restated"] == []
    assert told["inputs"] == [
        f"ledger of trials: {tmp_path / 'trials.jsonl'} is not there; name it with --ledger"
    ]


def test_what_cannot_be_read_ends_with_2_and_what_cannot_be_made_with_1_or_2(
    run: Callable[..., Ran], folder: Path, tmp_path: Path
) -> None:
    assert run(tmp_path / "none.json")[0] == 2
    shutil.rmtree(tmp_path / "mine")
    code, _, err = run(folder)
    assert code == 2 and "is neither a folder nor shipped" in err
