"""The week as an e-mail draft: the summary inline, the page attached. Nothing is sent."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from markupsafe import escape

from screener.report.summary import summary_of
from screener.report.words import wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from screener.report.model import WeeklyReport

TYPES = {".html": ("text", "html"), ".pdf": ("application", "pdf")}
CELL = "padding:4px 14px 4px 0;border-bottom:1px solid #dcd8cd;vertical-align:top"


def message_of(report: WeeklyReport, attached: Mapping[str, bytes]) -> bytes:
    """Return a draft without sender and recipients, as RFC 5322 bytes; the same report gives the same bytes.

    attached: file name (.html or .pdf) → content. Mail programs drop scripts and drawings, so the inline part is
    text and plain tables.
    """
    message = EmailMessage(policy=SMTP)
    year, week, _ = report.run.as_of.isocalendar()
    banner = report.masthead.synthetic_banner.split(" — ")[0]
    marked = f" [{banner}]" if banner else ""
    message["Subject"] = f"{report.masthead.title} {year}-W{week:02d}{marked}"
    message["Date"] = format_datetime(report.run.generated_at)
    message["X-Unsent"] = "1"  # mail programs open it as a draft
    message.set_content(summary_of(report))
    message.add_alternative(_inline(report), subtype="html")
    for name, content in attached.items():
        kind, subtype = TYPES[name[name.rindex(".") :]]
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=name)
    for number, part in enumerate(each for each in message.walk() if each.is_multipart()):
        part.set_boundary(f"=-screener-{number}-{report.run.as_of}")
    return message.as_bytes()


def _inline(report: WeeklyReport) -> str:
    say, head = wording(report.language), report.masthead
    parts = [
        f'<html lang="{report.language}"><body style="font:14px/1.5 sans-serif;color:#15202b;max-width:640px">'
    ]
    if head.synthetic_banner:
        parts.append(f'<p style="background:#f6d365;padding:6px"><b>{escape(head.synthetic_banner)}</b></p>')
    if head.data_banner:
        parts.append(f'<p style="background:#fbe3d3;padding:6px">{escape(head.data_banner)}</p>')
    parts.append(f"<p>{escape(head.kicker)}</p><h1 style='font-size:22px'>{escape(head.title)}</h1>")
    parts.append(f"<p>{escape(report.headline)}</p><ul>")
    parts += [f"<li><b>{escape(each.label)}</b> {escape(each.words)}</li>" for each in report.key_points]
    parts.append(f'</ul><table style="border-collapse:collapse" aria-label="{escape(say("page.figures"))}">')
    parts += [
        f'<tr><td style="{CELL}">{escape(each.label)}</td><td style="{CELL}"><b>{escape(each.value)}</b></td>'
        f'<td style="{CELL}">{escape(each.comparison)}</td></tr>'
        for each in report.figures
    ]
    parts.append("</table>")
    parts += [f'<p style="color:#5a646e;font-size:12px">{escape(each)}</p>' for each in head.footer]
    return "\n".join([*parts, "</body></html>"])
