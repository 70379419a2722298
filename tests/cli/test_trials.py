"""`screener trials` shows what was tried, and reads damaged ledgers without losing heart."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screener.backtest.ledger import Variant, record, trial_of
from screener.cli import main


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "trials.jsonl"
    monkeypatch.setenv("SCREENER_LEDGER", str(path))
    return path


def fill(path: Path) -> None:
    rng = np.random.default_rng(0)
    index = pd.bdate_range("2022-01-03", periods=800)
    trials = []
    for theme, method in (("magnets", "equal"), ("magnets", "minimum_variance"), ("recycling", "equal")):
        wealth = pd.Series(np.cumprod(1 + rng.normal(0.0004, 0.01, 800)), index=index)
        variant = Variant("rare_earth_ai", theme, "yahoo", {"method": method, "cost_bps": 15.0})
        found = trial_of(
            variant,
            wealth,
            as_of=date(2025, 1, 31),
            recorded_at=datetime(2025, 2, 1, tzinfo=UTC),
            prices_hash="x",
        )
        assert found is not None
        trials.append(found)
    record(path, trials)


def test_every_theme_with_its_count(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(ledger)
    assert main(["trials"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["magnets", "rare_earth_ai", "real", "2"]
    assert lines[2].split()[:4] == ["recycling", "rare_earth_ai", "real", "1"]


def test_the_variants_of_one_theme_best_first(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(ledger)
    assert main(["trials", "magnets"]) == 0
    out = capsys.readouterr().out
    assert "2 variants" in out and "method minimum_variance" in out and "the first" in out
    assert "Without skill the best of them is expected" in out


def test_json_holds_everything(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(ledger)
    assert main(["trials", "magnets", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    (theme,) = content["themes"]
    assert len(theme["variants"]) == 2 and theme["variants"][0]["settings"]["method"] == "equal"
    assert theme["expected_maximum"] > 0


def test_nothing_tried_is_said_and_no_failure(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trials"]) == 0
    assert capsys.readouterr().out.startswith("no backtest is recorded in ")


def test_an_unknown_theme_is_the_user_s_mistake(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(ledger)
    assert main(["trials", "magnet"]) == 2
    assert "did you mean 'magnets'?" in capsys.readouterr().err


def test_a_damaged_line_is_named_on_stderr(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(ledger)
    with ledger.open("a") as file:
        file.write("{broken\n")
    assert main(["trials"]) == 0
    seen = capsys.readouterr()
    assert "line 4: cannot be read and is not counted" in seen.err and "magnets" in seen.out


def test_there_is_no_way_to_forget(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["trials", "--delete"], ["trials", "--forget", "magnets"]):
        assert main(words) == 2
