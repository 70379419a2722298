"""What lands on disk, and that nothing is ever lost or half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from screener.errors import UserError
from screener.report import render
from screener.report.model import WeeklyReport, assemble
from screener.report.render import write_report
from tests.report.make_inputs import make_inputs

FILES = {
    "report.html",
    "report.md",
    "report.xlsx",
    "run.json",
    "market.csv",
    "screen.csv",
    "weights.csv",
    "performance.csv",
    "years.csv",
    "months.csv",
    "drawdowns.csv",
    "wealth.csv",
    "data_quality.csv",
    "changes.csv",
    "moves.csv",
}
NOTHING_YET = {"changes.csv", "moves.csv"}  # of a first report


@pytest.fixture(scope="module")
def report() -> WeeklyReport:
    return assemble(make_inputs(names=20, themes=2, years=2, synthetic=True))


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_report_is_fifteen_files_and_nothing_beside_them(report: WeeklyReport, tmp_path: Path) -> None:
    folder = write_report(report, tmp_path / "2026-W28" / "universe")
    assert {each.name for each in folder.iterdir()} == FILES
    assert list(folder.parent.iterdir()) == [folder]
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["prices"] == "SYNTHETIC"


def test_every_table_reads_back(report: WeeklyReport, tmp_path: Path) -> None:
    folder = write_report(report, tmp_path / "out")
    for file in folder.glob("*.csv"):
        table = pd.read_csv(file)
        assert set(table["prices"]) == (set() if file.name in NOTHING_YET else {"SYNTHETIC"}), file.name
    weights = pd.read_csv(folder / "weights.csv")
    assert weights.groupby("theme")["weight"].sum().tolist() == pytest.approx([1.0, 1.0], abs=1e-9)


def test_years_months_and_drawdowns_are_those_of_the_record(report: WeeklyReport, tmp_path: Path) -> None:
    folder = write_report(report, tmp_path / "out")
    years, months, drawdowns, wealth = (
        pd.read_csv(folder / f"{each}.csv") for each in ("years", "months", "drawdowns", "wealth")
    )
    for theme, record in wealth.groupby("theme"):
        total = record["wealth"].iloc[-1] / record["wealth"].iloc[0]
        own = years[(years["theme"] == theme) & (years["portfolio"] == theme)]
        assert (1 + own["return"]).prod() == pytest.approx(total, abs=1e-9)
        of_months = months[months["theme"] == theme]
        assert of_months["return"].to_list() == pytest.approx(own["return"].to_list())
        assert (1 + of_months.loc[:, "jan":"dec"]).prod(axis=None) == pytest.approx(total, abs=1e-9)  # type: ignore[misc]
        deepest = (1 - record["wealth"] / record["wealth"].cummax()).max()
        assert drawdowns.loc[drawdowns["theme"] == theme, "depth"].iloc[0] == pytest.approx(deepest)


def test_writing_twice_leaves_the_same_bytes(report: WeeklyReport, tmp_path: Path) -> None:
    folder = write_report(report, tmp_path / "out")
    before = everything_in(folder)
    assert everything_in(write_report(report, folder)) == before


def test_someones_notes_beside_the_report_are_kept(report: WeeklyReport, tmp_path: Path) -> None:
    folder = write_report(report, tmp_path / "out")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "charts").mkdir()
    (folder / "charts" / "one.txt").write_text("mine too", encoding="utf-8")
    (folder / "report.md").write_text("old", encoding="utf-8")
    write_report(report, folder)
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert (folder / "charts" / "one.txt").read_text(encoding="utf-8") == "mine too"
    assert (folder / "report.md").read_text(encoding="utf-8") != "old"


@pytest.mark.parametrize("stage", ["render_markdown", "_swap"])
def test_a_failure_leaves_the_old_report_as_it_was(
    report: WeeklyReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    folder = write_report(report, tmp_path / "out")
    before = everything_in(tmp_path)

    def fail(*_: object) -> None:
        raise RuntimeError("half-way")

    monkeypatch.setattr(render, stage, fail)
    with pytest.raises(RuntimeError, match="half-way"):
        write_report(report, folder)
    assert everything_in(tmp_path) == before


def test_a_rename_that_fails_puts_the_old_report_back(
    report: WeeklyReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_report(report, tmp_path / "out")
    before = everything_in(tmp_path)
    rename = Path.rename

    def fail_for_the_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(UserError, match="cannot be written"):
        write_report(report, folder)
    assert everything_in(tmp_path) == before


def test_a_place_that_cannot_be_written_is_named(report: WeeklyReport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"file/out: the report cannot be written .* choose another --output"):
        write_report(report, tmp_path / "file" / "out")
    with pytest.raises(UserError, match="is a file, not a folder"):
        write_report(report, tmp_path / "file")


def test_a_folder_of_other_things_is_not_replaced(report: WeeklyReport, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UserError, match="it is no report"):
        write_report(report, tmp_path)
    assert everything_in(tmp_path) == {"thesis.txt": b"years of work"}


def test_an_empty_folder_is_a_fine_place(report: WeeklyReport, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert {each.name for each in write_report(report, tmp_path / "out").iterdir()} == FILES
