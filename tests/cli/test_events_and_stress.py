"""`screener events` and `screener stress` as a person meets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from screener.cli import main

Run = Callable[..., tuple[int, str, str]]
OPTIONS = ["--source", "sample", "--as-of", "2026-07-10", "--now", "2026-07-11T06:00", "--offline"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], sample_store: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> tuple[int, str, str]:
        code = main([*map(str, words), *OPTIONS, "--store", str(sample_store)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_one_event_is_shown_with_its_sources_and_the_first_session_of_each_exchange(
    run: Run, tmp_path: Path
) -> None:
    plot = tmp_path / "plot.svg"
    _, out, _ = run("events", "E2507A", "--segment", "mining", "--placebos", 60, "--plot", plot)
    assert out.startswith("SYNTHETIC PRICES")
    assert "https://www.stocktitan.net/sec-filings/MP/" in out
    assert re.search(r"New York +2025-07-10 +2025-07-10 20:00 UTC", out)
    assert "LYC.AX" in out and "\n* mining" in out
    assert "SYNTHETIC PRICES" in plot.read_text(encoding="utf-8")


def test_the_overview_fits_eighty_columns_and_cuts_no_number(run: Run) -> None:
    _, out, _ = run("events", "--type", "truce", "--placebos", 0, "--window", "-1:1")
    table = out[: out.index("not studied") if "not studied" in out else None]
    assert all(len(line) <= 80 for line in table.splitlines())
    assert "E2510H" in out and "All of a kind" in out and "sessions −1:1" in out


def test_events_that_are_not_studied_say_why(run: Run) -> None:
    _, out, _ = run("events", "E1012", "E2002", "E2510H", "--segment", "magnets", "--placebos", 0)
    assert "not studied, before the price history, which begins 2015-01-02:\n  E1012" in out
    assert "not studied, its use is stress_window, not event_study:\n  E2002" in out


def test_the_table_and_json_hold_every_window(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    _, out, _ = run("events", "E2510H", "--segment", "magnets", "--placebos", 0, "--output", file, "--json")
    data = json.loads(out)
    assert data["prices"] == "SYNTHETIC" and data["schema"] == "screener.events/1"
    assert [each["window"] for each in data["data"]["segments"]] == ["0:0", "-1:1", "0:4", "0:19"]
    table = pd.read_csv(file)
    assert table["prices"].unique().tolist() == ["SYNTHETIC"]
    assert table[["first", "last"]].to_numpy().tolist() == [[0, 0], [-1, 1], [0, 4], [0, 19]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("events", "E250"), "event 'E250' is unknown"),
        (("events", "--window", "4"), "write it as -1:1 or 0:4"),
        (("events", "--window", "4:0"), "--window 4:0: write first:last"),
        (("events", "--time", "9am"), "write it as 09:00"),
        (("events", "--plot", "plot.png"), "ends in .svg"),
        (("events", "E2605", "--plot", "plot.svg"), "nothing to draw"),
        (("stress", "magnet"), "did you mean 'magnets'"),
        (("stress", "magnets", "--shock", "magnets=20"), "write it as magnets=-20%"),
        (("stress", "magnets", "--shock", "mining=1%", "--shock", "mining=2%"), "given twice"),
        (("stress", "magnets", "--scenario", "truces"), "did you mean 'truce'"),
        (("stress", "magnets", "--factor", "SPX=-20%"), "--factor 'SPX' is unknown"),
        (("stress", "magnets", "--factor", "SPY=-101%"), "a price cannot move by that much"),
    ],
)
def test_typing_errors_end_with_two_and_one_clear_line(run: Run, words: tuple[str, ...], said: str) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert said in err


def test_stress_without_options_shows_every_window_and_scenario(run: Run) -> None:
    _, out, _ = run("stress", "magnets")
    assert out.startswith("SYNTHETIC PRICES")
    for word in ("E2002", "E2602D", "china_stops_magnet_exports", "government_buys_in", "ESTIMATES"):
        assert word in out
    assert "E1009 not replayed: before the price history" in out


def test_one_window_one_scenario_and_a_shock_are_shown_by_stage_and_name(run: Run) -> None:
    words = ("--window", "E2201", "--scenario", "truce", "--shock", "magnets=-20%", "--factor", "JPY=+10%")
    _, out, _ = run("stress", "magnets", *words)
    assert "given magnets −20.0%, JPY +10.0%" in out
    assert "ESTIMATED, beta" in out
    assert "measured from E2505A, E2506, E2510H, E2511B" in out


def test_the_json_of_stress_adds_up(run: Run) -> None:
    _, out, _ = run("stress", "magnets", "--window", "E2201", "--json")
    data = json.loads(out)["data"]
    (one,) = data["replays"]
    assert sum(each["contribution"] for each in one["segments"]) == pytest.approx(one["estimated_move"])
    assert sum(data["weights"].values()) + data["cash"] == pytest.approx(1.0)
