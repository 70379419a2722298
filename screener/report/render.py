"""Write a WeeklyReport: one HTML page that needs nothing else, Markdown, CSV tables and run.json.

Everything is made in memory first, then written to a folder beside the destination, then moved into place:
a run that fails leaves the old report as it was.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from screener.errors import UserError
from screener.report import charts
from screener.report.blocks import TEXTUAL, LineChart
from screener.report.browser import find_browser, pdf_of
from screener.report.chartview import chart_view
from screener.report.markdown import markdown_of
from screener.report.message import message_of
from screener.report.model import WeeklyReport
from screener.report.record import to_json
from screener.report.tables import for_spreadsheets
from screener.report.words import cell_text, change, percent, wording
from screener.report.workbook import workbook_of

# a space on both sides, or after a comma, that JavaScript does not need; "+" and "-" keep theirs: a + +b is not a++b
SPACED = re.compile(r" (=>|===|!==|[=<>]=?|\?|:|&&|\|\||\*\*?|/) |(?<=[,;]) (?=[\w(\[{\"'])")
PAGE, MARKDOWN, RECORD = "report.html", "report.md", "run.json"
WORKBOOK, PRINTED, MESSAGE = "report.xlsx", "report.pdf", "report.eml"


def render_html(report: WeeklyReport) -> str:
    """Return the page. Its content security policy allows its own style and script, by hash, no more."""
    say = wording(report.language)
    style, script = _asset("style.css") + _print_banner(report), _asset("script.js")
    policy = (
        f"default-src 'none'; style-src {_hash_source(style)}; script-src {_hash_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("page.html.j2")
    return template.render(
        report=report,
        say=say,
        policy=policy,
        style=Markup(style),  # our own file, not a name from outside
        script=Markup(script),
        textual=TEXTUAL,
        kind_of=lambda block: type(block).__name__,
        cell_text=lambda value, kind: cell_text(value, kind, say),
        change=change,
        percent=percent,
        heat=_heat,
        pct=_position,
        mark=lambda each: say("mark." + each.replace(" ", "_")),
        spark=_Sparks().drawn,
        strip=_strip,
        chart_view=lambda chart: _chart(chart, report.language),
    )


def render_markdown(report: WeeklyReport) -> str:
    """Return the report as Markdown: the same sentences and tables, without what can only be drawn."""
    return markdown_of(report)


def tables(report: WeeklyReport) -> dict[str, pd.DataFrame]:
    """Return the tables by file name, each saying in its first column whether its prices are synthetic."""
    return {
        f"{name}.csv": for_spreadsheets(table, report.run.synthetic) for name, table in report.tables.items()
    }


def run_json(report: WeeklyReport) -> str:
    """Return run.json: keys sorted, NaN as null."""
    return to_json(report.record)


@dataclass(frozen=True, slots=True)
class Forms:
    """In which language a report is written, and what is made of it beside page, Markdown, tables and workbook.

    earnings: whether the source is asked for earnings dates.
    """

    language: str = "en"
    pdf: bool = False
    eml: bool = False
    earnings: bool = False

    def check(self) -> None:
        """Raise UserError for a language that is not known, or for a PDF where there is no browser."""
        wording(self.language)
        if self.pdf:
            find_browser()


def contents_of(report: WeeklyReport) -> dict[str, bytes]:
    """Return each file of a report by its name, without the PDF and the message."""
    texts = {
        PAGE: render_html(report),
        MARKDOWN: render_markdown(report),
        RECORD: run_json(report),
        **{name: table.to_csv(index=False, lineterminator="\n") for name, table in tables(report).items()},
    }
    return {name: text.encode("utf-8") for name, text in texts.items()} | {WORKBOOK: workbook_of(report)}


def write_report(report: WeeklyReport, folder: Path, forms: Forms | None = None) -> Path:
    """Write everything into a folder, replacing an older report there whole, and return the folder.

    Files in the folder that no report wrote are kept. Raises UserError if the folder cannot be written or
    is something else than a report, or if a PDF is asked for and no browser is installed.
    """
    forms = forms or Forms(report.language)
    contents = contents_of(report)
    try:
        _check_destination(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as staging:
            new = Path(staging) / "new"
            new.mkdir()
            for name, content in contents.items():
                (new / name).write_bytes(content)
            if forms.pdf:
                pdf_of(new / PAGE, new / PRINTED)
            if forms.eml:
                (new / MESSAGE).write_bytes(_message(report, new))
            _swap(new, folder, Path(staging) / "old")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{folder}: the report cannot be written ({reason}); choose another --output"
        ) from error
    return folder


def _message(report: WeeklyReport, folder: Path) -> bytes:
    """Return the draft of a message with the page attached, and the PDF where one was made."""
    attached = [folder / name for name in (PAGE, PRINTED) if (folder / name).exists()]
    return message_of(report, {each.name: each.read_bytes() for each in attached})


def _check_destination(folder: Path) -> None:
    """Refuse to replace what is not a report."""
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / RECORD).exists():
            raise UserError(
                f"{folder} holds files but no {RECORD}, so it is no report; choose another --output"
            )
    elif folder.exists():
        raise UserError(f"{folder} is a file, not a folder; choose another --output")


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Put a finished folder in another's place by renaming; if that fails, put the old one back."""
    if not folder.exists():
        new.rename(folder)
        return
    for each in folder.iterdir():
        if each.name in (PRINTED, MESSAGE):
            continue  # of the report that is replaced, and not made anew
        if not (new / each.name).exists():  # someone's notes beside our files
            shutil.copytree(each, new / each.name) if each.is_dir() else shutil.copy2(each, new / each.name)
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("screener.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache
def _asset(name: str) -> str:
    """Return a style or script file without indentation, whole-line comments and a script's needless spaces."""
    text = files("screener.report").joinpath("template", name).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith("//")]
    return "\n".join(_tight(each) for each in kept) if name.endswith(".js") else "\n".join(kept)


def _tight(line: str) -> str:
    """Return a line of our script without the spaces around operators; strings and templates stay as they are."""
    parts = re.split(r"""("[^"]*")""", line)
    return "".join(
        each if each.startswith('"') else SPACED.sub(lambda found: found[1] or "", each) for each in parts
    )


def _hash_source(text: str) -> str:
    """Return the CSP source that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _print_banner(report: WeeklyReport) -> str:
    """Return the style that repeats the synthetic banner in the margin of every printed page."""
    banner = report.masthead.synthetic_banner
    if not banner:
        return ""
    words = "".join(f"\\{ord(each):06x}" for each in banner)  # escaped, whatever the wording holds
    return (
        f'\n@media print{{@page{{@top-center{{content:"{words}";font:700 10pt sans-serif;color:#8a2b00}}}}}}'
    )


def _heat(value: float | None, scale: float) -> str:
    """Return the class of a cell's colour: u1…u8 for up, d1…d8 for down, "" for none."""
    known = value if isinstance(value, int | float) else None
    step = charts.level(known, scale)
    return "" if not step else f"u{step}" if step > 0 else f"d{-step}"


class _Sparks:
    """The sparklines of one page. A line that was drawn before is referred to, not repeated."""

    def __init__(self) -> None:
        self.drawn_before: dict[str, str] = {}

    def drawn(self, values: Sequence[float]) -> Markup:
        """Return a small SVG, or "" where fewer than two values are known."""
        line = charts.sparkline(values)
        if not line:
            return Markup("")
        if line in self.drawn_before:
            inner = f'<use href="#{self.drawn_before[line]}"/>'
        else:
            self.drawn_before[line] = f"s{len(self.drawn_before)}"
            inner = f'<path id={self.drawn_before[line]} d="{line}"/>'
        return Markup(f"<svg class=s>{inner}</svg>")


def _strip(marks: Sequence[float]) -> Markup:
    """Return a band with a mark for every week that is 1."""
    runs = charts.strip(marks)
    return Markup(f'<svg class=h><path d="{runs}"/></svg>')


def _position(share: float, digits: int = 1) -> str:
    """Write a share of the width or height in percent, without a needless zero."""
    text = f"{100 * share:.{digits}f}"
    return text.removesuffix(".0") if digits else text


def _chart(chart: LineChart, language: str) -> object:
    return chart_view(chart, wording(language))
