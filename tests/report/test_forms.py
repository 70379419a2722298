"""Workbook, message, summary and PDF: the same week in other forms."""

from __future__ import annotations

import re
import zipfile
from email import message_from_bytes, policy
from io import BytesIO
from pathlib import Path

import pytest

from screener.errors import UserError
from screener.report import browser
from screener.report.message import message_of
from screener.report.model import WeeklyReport, assemble
from screener.report.render import Forms, write_report
from screener.report.summary import cells_of, folded, spark_text, summary_of
from screener.report.words import wording
from screener.report.workbook import SHEETS, heading, kind_of, workbook_of
from tests.report.make_inputs import FORMULA, in_japanese, make_inputs

NAN = float("nan")


@pytest.fixture(scope="module", params=["en", "ja"])
def report(request: pytest.FixtureRequest) -> WeeklyReport:
    inputs = make_inputs(names=20, themes=2, years=2, synthetic=True)
    return assemble(in_japanese(inputs) if request.param == "ja" else inputs)


def parts_of(workbook: bytes) -> dict[str, str]:
    with zipfile.ZipFile(BytesIO(workbook)) as archive:
        return {each: archive.read(each).decode("utf-8") for each in archive.namelist()}


def test_the_workbook_has_numbers_as_numbers_and_no_formula(report: WeeklyReport) -> None:
    parts = parts_of(workbook_of(report))
    sheets = {name: text for name, text in parts.items() if name.startswith("xl/worksheets/sheet")}
    assert len(sheets) == 1 + len(SHEETS)
    assert not any("<f>" in text or "hyperlink" in text for text in sheets.values())
    assert FORMULA in parts["xl/sharedStrings.xml"].replace("&#39;", "'")  # as text, and shown as it is
    market = sheets["xl/worksheets/sheet2.xml"]
    assert market.count("<pane ySplit=") == 1 and "<autoFilter" in market
    week = report.tables["market"]["return_week"].dropna()
    numbers = {float(each) for each in re.findall(r'<c r="[A-Z]+\d+" s="\d+"><v>([^<]+)</v>', market)}
    assert set(week.round(12)) <= {round(each, 12) for each in numbers}


def test_every_heading_of_a_sheet_is_in_the_language_of_the_report(report: WeeklyReport) -> None:
    say = wording(report.language)
    for key in ("years", "months", "drawdowns"):
        for column in map(str, report.tables[key].columns):
            assert heading(column, say).isascii() == (report.language == "en"), column


def test_a_year_is_written_as_one_and_a_return_as_a_percentage(report: WeeklyReport) -> None:
    kinds = {each: kind_of(str(each), report.tables["months"][each]) for each in report.tables["months"]}
    assert kinds["year"] == "year" and {kinds[each] for each in ("jan", "dec", "return")} == {"fraction"}
    table = report.tables["drawdowns"]
    assert [kind_of(each, table[each]) for each in ("peak", "depth", "days")] == ["date", "fraction", "count"]


def test_the_workbook_says_that_prices_are_synthetic(report: WeeklyReport) -> None:
    assert report.masthead.synthetic_banner in parts_of(workbook_of(report))["xl/sharedStrings.xml"]


def test_the_workbook_is_the_same_bytes_again(report: WeeklyReport) -> None:
    assert workbook_of(report) == workbook_of(report)


def test_the_message_is_a_draft_with_the_page_attached(report: WeeklyReport) -> None:
    page = "<p>page ▁</p>".encode()
    raw = message_of(report, {"report.html": page, "report.pdf": b"%PDF-1.4 x"})
    message = message_from_bytes(raw, policy=policy.default)
    assert message["Subject"].endswith("[合成価格]" if report.language == "ja" else "[SYNTHETIC PRICES]")
    assert message["To"] is None and message["From"] is None and message["X-Unsent"] == "1"
    plain, inline = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None and inline is not None
    assert report.headline[:20] in plain.get_content()
    assert "<script" not in inline.get_content()
    attached = {each.get_filename(): each.get_payload(decode=True) for each in message.iter_attachments()}
    assert attached == {"report.html": page, "report.pdf": b"%PDF-1.4 x"}
    assert raw == message_of(report, {"report.html": page, "report.pdf": b"%PDF-1.4 x"})


def test_no_line_of_the_summary_is_wider_than_a_terminal(report: WeeklyReport) -> None:
    lines = summary_of(report).splitlines()
    assert max(map(cells_of, lines)) <= 80
    assert report.masthead.synthetic_banner in lines
    assert sum("▁" in each or "█" in each for each in lines) >= 3  # two themes and their benchmark


def test_a_sparkline_runs_from_low_to_high_and_leaves_gaps() -> None:
    assert spark_text([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 8) == "▁▂▃▄▅▆▇█"
    assert spark_text([1.0, NAN, 2.0], 3) == "▁ █"
    assert spark_text([1.0, NAN], 3) == "" and spark_text([2.0, 2.0], 2) == "▁▁"


def test_wide_characters_take_two_columns() -> None:
    assert cells_of("磁石 MP") == 7
    assert all(cells_of(each) <= 11 for each in folded("磁石の週間騰落率は上昇。", 10))


def test_a_pdf_without_a_browser_is_refused_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "BROWSERS", ("no-such-browser",))
    with pytest.raises(UserError, match=r"none was found; install one, or open report\.html and print it"):
        Forms(pdf=True).check()
    with pytest.raises(UserError, match="language 'fr' is unknown"):
        Forms("fr").check()


def test_a_pdf_and_a_message_that_are_not_asked_for_again_do_not_stay(
    report: WeeklyReport, tmp_path: Path
) -> None:
    folder = write_report(report, tmp_path / "out", Forms(report.language, eml=True))
    assert (folder / "report.eml").exists()
    (folder / "report.pdf").write_bytes(b"old")
    write_report(report, folder)
    assert not (folder / "report.eml").exists() and not (folder / "report.pdf").exists()


def test_the_page_is_printed_to_pdf_by_the_browser_of_the_machine(
    report: WeeklyReport, tmp_path: Path
) -> None:
    try:
        browser.find_browser()
    except UserError as error:
        pytest.skip(str(error))
    folder = write_report(report, tmp_path / "out", Forms(report.language, pdf=True))
    printed = (folder / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
