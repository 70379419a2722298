"""The report as Markdown, from the same blocks as the page. What can only be drawn is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from screener.report.blocks import (
    DRAWN,
    TEXTUAL,
    Block,
    Cell,
    Details,
    Facts,
    Group,
    LineChart,
    Listing,
    Name,
    Pair,
    Paragraph,
    Ribbon,
    Section,
    Table,
)
from screener.report.words import UNKNOWN, Wording, cell_text, change, number, percent, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyReport

ACTIVE = re.compile(r"([\\`*_\[\]<>|#])")  # characters that Markdown or HTML inside it would act on


def markdown_of(report: WeeklyReport) -> str:
    """Return the whole report."""
    say, head = wording(report.language), report.masthead
    lines = [f"# {safe(head.title)}", "", safe(head.kicker), ""]
    for banner in (head.synthetic_banner, head.data_banner):
        if banner:
            lines += [f"> **{safe(banner)}**", ""]
    lines += [safe(report.headline), ""]
    lines += [f"- **{safe(each.label)}.** {safe(each.words)}" for each in report.key_points]
    figures = [f"{each.label} {each.value} ({each.comparison})" for each in report.figures]
    lines += ["", *(f"- {safe(each)}" for each in figures), ""]
    for number_, section in enumerate(report.sections, 1):
        lines += _section(section, number_, say)
    lines += ["---", "", *(f"{safe(each)}  " for each in head.footer), ""]
    return "\n".join(lines)


def safe(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return (
        ACTIVE.sub(r"\\\1", " ".join(text.split()))
        .replace("&", "&amp;")
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
    )


def _section(section: Section, number_: int, say: Wording) -> list[str]:
    lines = [f"## {number_} {safe(section.title)}", "", safe(section.lead), ""]
    for block in section.blocks:
        lines += _block(block, say)
    return lines


def _block(block: Block, say: Wording) -> list[str]:
    match block:
        case Table():
            return _table(block, say)
        case Ribbon():
            return _ribbon(block, say)
        case LineChart():
            return _chart(block, say)
        case Paragraph():
            return [safe(block.words), ""]
        case Listing():
            return [f"{safe(block.title)}:", "", *(f"- {safe(each)}" for each in block.items), ""]
        case Facts():
            return [*(f"- {safe(what)}: {safe(value)}" for what, value in block.pairs), ""]
        case Details():
            return [
                f"{safe(block.summary)}:",
                "",
                *(line for each in block.blocks for line in _block(each, say)),
            ]
        case Pair():
            return [line for each in (*block.left, *block.right) for line in _block(each, say)]
        case Group():
            inner = [line for each in (*block.left, *block.right) for line in _block(each, say)]
            return [f"### {safe(block.title)}", "", safe(block.lead), "", *inner]


def _table(table: Table, say: Wording) -> list[str]:
    kept = [position for position, each in enumerate(table.columns) if each.kind not in DRAWN]
    columns = [table.columns[each] for each in kept]
    lines = [f"*{safe(table.title)}*", ""] if table.title else []
    lines.append(_line([safe(each.label) for each in columns]))
    lines.append(_line(["---" if each.kind in TEXTUAL else "---:" for each in columns]))
    for rows in table.groups:
        if rows.heading:
            lines.append(
                _line([_cell(rows.heading[each], table.columns[each].kind, say, True) for each in kept])
            )
        lines += [
            _line([_cell(row[each], table.columns[each].kind, say) for each in kept]) for row in rows.rows
        ]
    lines += [
        _line([_cell(row[each], table.columns[each].kind, say, True) for each in kept])
        for row in table.footing
    ]
    return [*lines, "", *([safe(table.note), ""] if table.note else [])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Cell, kind: str, say: Wording, strong: bool = False) -> str:
    text = safe(cell_text(value, kind, say))
    if isinstance(value, Name) and value.mark:
        return f"{text} ({safe(say('mark.' + value.mark.replace(' ', '_')))})"
    return f"**{text}**" if strong and text and text != UNKNOWN else text


def _ribbon(ribbon: Ribbon, say: Wording) -> list[str]:
    lines = []
    for stage in ribbon.stages:
        parts = [
            f"**{safe(stage.label)}** {change(stage.week)}",
            say("chain.month", change=change(stage.returns["month"])),
            say("chain.year", change=change(stage.returns["year"])),
        ]
        if stage.china_share is not None:
            parts.append(say("chain.china", share=percent(stage.china_share, 0)))
        parts.append(say("chain.names", up=stage.up, priced=stage.priced, names=stage.names))
        lines.append(f"- {', '.join(parts)}")
    return [*lines, "", safe(ribbon.note), ""]


def _chart(chart: LineChart, say: Wording) -> list[str]:
    ends = [
        say("page.chart_end", line=each.label, value=number(each.values[-1] if each.values else None, 0))
        for each in chart.lines
    ]
    words = [
        f"{chart.title}: {say.listed(ends)}",
        f"{chart.drawdown_title}: {percent(min(chart.drawdown, default=None))}",
    ]
    return [line for each in words for line in (safe(each), "")]
