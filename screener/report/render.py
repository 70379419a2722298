"""A WeeklyReport becomes files: one self-contained page, Markdown, CSV tables and run.json."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from screener.errors import UserError
from screener.report.assemble import WeeklyReport
from screener.report.blocks import Chart, Heading, Lines, Ribbon, Table, each_block


def write_report(report: WeeklyReport, folder: Path) -> Path:
    """Write the report into a folder, replacing what was there as a whole, and return the folder.

    Everything is written beside it first and then moved into place, so that nothing is ever half there.
    Raises UserError when the place cannot be written.
    """
    contents = {
        "report.html": render_html(report),
        "report.md": render_markdown(report),
        "run.json": run_json(report),
    }
    contents |= {f"{name}.csv": to_csv(table) for name, table in report.tables.items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"--output: {folder} cannot be written ({error.strerror}); name another folder"
        ) from None
    try:
        for name, text in contents.items():
            (fresh / name).write_text(text, encoding="utf-8", newline="\n")
        fresh.chmod(0o755)
        _swap(fresh, folder)
    except OSError as error:
        raise UserError(
            f"--output: {folder} cannot be written ({error.strerror}); name another folder"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _swap(fresh: Path, folder: Path) -> None:
    """Put the fresh folder in the other's place; on failure the old one is put back."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)) / "old"
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def render_html(report: WeeklyReport) -> str:
    """Return the page. Its policy allows its own style and script, by hash, and nothing from anywhere else."""
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("page.html.jinja")
    return template.render(report=report, style=Markup(style), script=Markup(script), policy=policy)


def render_markdown(report: WeeklyReport) -> str:
    """Return the page's words and tables as Markdown."""
    lines = [f"# {_plain(report.title)}", "", report.kicker, ""]
    lines += [f"> **{_plain(banner)}**\n" for banner in report.banners]
    lines += [_plain(report.headline), ""]
    lines += [f"- **{label}.** {_plain(text)}" for label, text in report.points]
    lines += [""] + [f"- {figure.label}: {figure.value} ({figure.detail})" for figure in report.figures]
    for number, section in enumerate(report.sections, 1):
        lines += ["", f"## {number} {section.title}", "", _plain(section.lead)]
        for block in each_block(section.blocks):
            lines += ["", *_as_markdown(block)]
    return "\n".join([*lines, "", report.footer, ""])


def run_json(report: WeeklyReport) -> str:
    """Return run.json: keys sorted, NaN as null."""
    return (
        json.dumps(_plain_value(report.record), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV whose text cells no spreadsheet takes for a formula."""
    safe = table.copy()
    for column in safe.columns:
        safe[column] = safe[column].map(_safe_cell)
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text


def _safe_cell(value: object) -> object:
    return "'" + value if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _as_markdown(block: object) -> list[str]:
    if isinstance(block, Heading):
        return [f"### {_plain(block.text)}", "", _plain(block.detail)]
    if isinstance(block, Lines):
        return [f"- {_plain(line)}" for line in block.lines]
    if isinstance(block, Ribbon):
        return [f"- {_plain(each.label)}: {each.week} ({'; '.join(each.detail)})" for each in block.stages]
    if isinstance(block, Chart):
        return [
            f"{_plain(block.title)}: "
            + ", ".join(_plain(label.text) for label in block.end_labels or block.y_labels)
        ]
    if not isinstance(block, Table):
        raise TypeError(f"no Markdown for {type(block).__name__}")
    shown = [
        position for position in range(len(block.columns)) if any(row[position].text for row in block.rows)
    ]
    rule = ["---:" if block.columns[position].number else "---" for position in shown]
    rows = [
        [_plain(block.columns[position].label) for position in shown],
        rule,
        *([_plain(row[position].text) for position in shown] for row in block.rows),
    ]
    return ([f"{_plain(block.caption)}", ""] if block.caption else []) + [
        f"| {' | '.join(row)} |" for row in rows
    ]


def _plain(text: str) -> str:
    """Return text that Markdown shows as it stands."""
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("|", "\\|")
        .replace("\n", " ")
    )


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(each) for each in value]
    if isinstance(value, datetime | date | Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("screener.report", "template")
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )


@cache
def _resource(name: str) -> str:
    return (files("screener.report") / "template" / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
