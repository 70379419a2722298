"""`screener reports` and the memory of `screener weekly`, from the command line."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from screener.cli import main
from tests.cli.test_commands import price_folder, small_universe

NOW = "2026-07-12T06:00"


class Desk:
    """A small universe with prices from files, whose reports lie in `out`."""

    def __init__(self, folder: Path) -> None:
        self.prices = price_folder(folder / "prices")
        self.names = tuple(each.stem for each in self.prices.glob("*.csv"))
        self.universe = small_universe(folder / "small", self.names)
        self.out, self.store = folder / "out", folder / "s.duckdb"

    def weekly(self, as_of: str, *more: str, now: str = NOW) -> int:
        words = ["--source", "files", "--prices", str(self.prices), "--store", str(self.store)]
        words += ["--universe", str(self.universe), "--as-of", as_of, "--now", now, "--years", "1"]
        return main(["weekly", *words, "--output", str(self.out), *more])

    def record(self, week: str) -> dict[str, Any]:
        (path,) = self.out.glob(f"{week}/*/run.json")
        made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return made

    def page(self, week: str) -> str:
        (path,) = self.out.glob(f"{week}/*/report.md")
        return path.read_text(encoding="utf-8").replace("\\", "")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two weeks of reports; between them a price was restated, a name was left out and a setting changed."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    assert made.weekly("2026-07-03", now="2026-07-04T06:00") in (0, 3)
    file = made.prices / "MP.csv"
    table = pd.read_csv(file)
    table.loc[table["date"] == "2026-06-16", "close"] *= 1.02
    table.to_csv(file, index=False)
    themes = made.universe / "themes.toml"
    text = themes.read_text(encoding="utf-8").replace("max_weight = 0.5", "max_weight = 0.45")
    themes.write_text(text + 'exclude = ["MP"]\n', encoding="utf-8")
    assert made.weekly("2026-07-10", "--cost-bps", "20") in (0, 3)
    return made


def test_the_second_week_says_what_changed_since_the_first(desk: Desk) -> None:
    assert "This is the first report of this universe here" in desk.page("2026-W27")
    changes = desk.record("2026-W28")["changes"]
    assert changes["against"]["as_of"] == "2026-07-03"
    (earlier,) = desk.out.glob("2026-W27/*/run.json")
    assert changes["against"]["path"] == earlier.relative_to(desk.out).as_posix()
    assert changes["against"]["sha256"] == hashlib.sha256(earlier.read_bytes()).hexdigest()
    for theme in changes["themes"].values():
        parts = sum(value for row in theme["segments"].values() for value in row.values())
        assert abs(parts - theme["total"]) < 1e-10
    assert {each["field"] for each in changes["rules"]} == {"max_weight", "rule.exclude", "costs"}
    (restated,) = changes["restated"]
    assert (restated["symbol"], restated["sessions"], restated["first"]) == ("MP", 1, "2026-06-16")
    assert restated["largest"] == pytest.approx(0.02, abs=1e-4)
    page = desk.page("2026-W28")
    assert "| MP | Chips | went out |" in page and "the rule of the theme changed" in page
    assert "| Run | costs | by kind and exchange (costs.toml) | 20 bps of value traded |" in page


def test_a_second_run_of_a_week_compares_with_the_week_before_and_is_the_same_bytes(desk: Desk) -> None:
    (folder,) = desk.out.glob("2026-W28/*")
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert desk.weekly("2026-07-10", "--cost-bps", "20") in (0, 3)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_the_list_names_each_report_and_what_is_broken(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = desk.out / "2026-W20" / "small" / "run.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{", encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["reports", "list", "--output", str(desk.out)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [each.split()[:2] for each in lines[1:3]] == [
        ["2026-W28", "2026-07-10"],
        ["2026-W27", "2026-07-03"],
    ]
    assert "files" in lines[1] and max(len(each) for each in lines[:-1]) <= 80
    assert printed.err.startswith("passed over: ")
    said = "2026-W20/small/run.json is broken; make the report again with `screener weekly`"
    assert printed.err.strip().endswith(said)
    assert main(["reports", "list", "--output", str(desk.out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["week"] for each in said["reports"]] == ["2026-W28", "2026-W27"]
    assert said["passed_over"] == [{"path": "2026-W20/small/run.json", "why": "broken"}]


def test_an_empty_folder_has_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "list", "--output", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == f"no report is stored in {tmp_path / 'none'}\n"


def test_diff_says_what_differs_within_80_columns(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["reports", "diff", "2026-W27", "2026-W28", "--output", str(desk.out)]) == 0
    printed = capsys.readouterr().out
    assert max(len(each) for each in printed.splitlines()) <= 80
    folded = re.sub(r"\s+", " ", printed)
    for words in (
        "A as of 2026-07-03, B as of 2026-07-10",
        "What made B's returns since 2026-07-03:",
        "chips out MP",
        "the rule of the theme changed",
        "Rules, settings and versions that differ: 3",
        "theme chips max_weight: 0.5 → 0.45",
        "theme chips rule.exclude: — → MP",
        "run costs: by kind and exchange (costs.toml) → 20 bps of value traded",
        "Prices SHA-256: A ",
        "Data: A ",
    ):
        assert words in folded, words


def test_diff_takes_weeks_folders_and_files_and_gives_json(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = desk.out.glob("2026-W27/*")
    said = []
    for first in ("2026-W27", str(folder), str(folder / "run.json")):
        assert main(["reports", "diff", first, "2026-W28", "--output", str(desk.out), "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out))
        said[-1]["a"].pop("path")
    assert said[0] == said[1] == said[2]
    theme = said[0]["themes"]["chips"]
    assert theme["weights"]["MP"]["b"] == 0.0 and theme["weights"]["MP"]["a"] > 0
    parts = dict(theme["return_since_a"])
    assert parts.pop("total") == pytest.approx(sum(parts.values()), abs=1e-10)
    assert {each["field"] for each in said[0]["rules"]} == {"max_weight", "rule.exclude", "costs"}


def test_backwards_there_is_no_split_of_returns(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "diff", "2026-W28", "2026-W27", "--output", str(desk.out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["themes"]["chips"]["return_since_a"] is None


def test_wrong_names_end_with_one_line_and_2(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "out"
    for key, prices in (("mine", "market"), ("yours", "SYNTHETIC")):
        for week in ("2026-W27", "2026-W28"):
            record = {
                **desk.record(week),
                "universe": key,
                "prices": prices if week == "2026-W28" else "market",
            }
            path = other / week / key / "run.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "run.json").write_text("[]", encoding="utf-8")
    (folder,) = desk.out.glob("2026-W28/*")
    for words, part in (
        (("2026-W01", "2026-W28"), "no report in"),
        (("nowhere", "2026-W28"), "no such report; name a week such as 2026-W27"),
        (("2026-W27", "2026-W28"), "has reports of mine, yours; choose one with --universe"),
        ((str(tmp_path), str(folder)), "is no report that this version knows"),
        ((str(other / "2026-W27" / "mine"), str(folder)), "name two of one universe"),
        (("2026-W27", "2026-W28", "--universe", "yours"), "SYNTHETIC"),
    ):
        assert main(["reports", "diff", *words, "--output", str(other)]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and part in lines[0], lines
    assert (
        main(["reports", "diff", "2026-W27", "2026-W28", "--universe", "mine", "--output", str(other)]) == 0
    )


def test_the_commands_explain_themselves_and_stand_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "diff"):
        assert main(["reports", command, "--help"]) == 0
        assert "Example: screener reports" in capsys.readouterr().out
    readme = Path(__file__).resolve().parents[2] / "README.md"
    assert "screener reports list" in readme.read_text(encoding="utf-8")
