"""`screener sweep` from a grid file to its tables, on synthetic prices."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from screener.cli import main

pytest.importorskip("screener.backtest.overfitting")
GRID = 'method = ["equal", "inverse_volatility"]\nrebalance = "quarterly"\ncost_bps = [10, 40]\n'
CLOCK = ["--as-of", "2026-07-10", "--now", "2026-07-11T06:00", "--source", "sample", "--offline"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    (made / "grid.toml").write_text(GRID, encoding="utf-8")
    return made


@pytest.fixture
def words(folder: Path, sample_store: Path) -> list[str]:
    places = ["--store", str(sample_store), "--ledger", str(folder / "trials.jsonl")]
    kept = ["--output", str(folder / "out"), "--years", "1"]
    return ["sweep", "magnets", "--grid", str(folder / "grid.toml"), *CLOCK, *places, *kept]


def test_it_shows_the_best_the_spread_and_what_survives(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--plot", str(folder / "map.svg")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("SYNTHETIC PRICES")
    assert max(len(line) for line in shown.splitlines() if str(folder) not in line) <= 80
    for each in ("best", "median", "lowest", "Method", "40 bps", "probability of", "What survives"):
        assert each in " ".join(shown.split()), each
    assert ElementTree.parse(folder / "map.svg").getroot().tag.endswith("svg")
    results = pd.read_parquet(folder / "out" / "results.parquet")
    returns = pd.read_parquet(folder / "out" / "returns.parquet")
    assert list(results["variant"]) == ["v0001", "v0002", "v0003", "v0004"]
    assert set(results["prices"]) == {"SYNTHETIC"}
    assert list(returns.columns[2:]) == list(results["variant"])
    assert (folder / "trials.jsonl").read_text(encoding="utf-8").count("\n") == 4


def test_a_second_run_picks_up_what_is_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    out, told = capsys.readouterr()
    answer = json.loads(out)["data"]
    assert answer["picked_up"] == 4 and "4 of 4 variants were there" in told
    assert answer["search"]["trials"] == 4
    assert {each["costs"] for each in answer["variants"]} == {"10 bps", "40 bps"}


def test_other_inputs_start_anew_and_say_so(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert main([*words, "--from", "2025-10-01"]) == 0
    assert "older results are of other inputs (first decision); all done anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--workers", "none"], "--workers 'none': write a number of processes"),
        (["--plot", "map.png"], "--plot map.png: write a name that ends in .svg"),
        (["--axes", "method"], "--axes 'method': write two settings"),
        (["--axes", "method,cost"], "--axes 'cost' is unknown"),
    ],
)
def test_what_cannot_be_done_is_refused_before_prices_are_read(
    words: list[str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == 2
    assert said in capsys.readouterr().err
