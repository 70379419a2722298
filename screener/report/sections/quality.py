"""Data quality: what is old, missing or failed, what was set aside, and where the prices came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screener.market.quality import SEVERITIES, is_repair
from screener.report.blocks import Block, Cell, Column, Facts, Listing, Paragraph, Rows, Section, Table
from screener.report.standing import GONE, data_banner, named, standing_of, told
from screener.report.words import Wording, wording

if TYPE_CHECKING:
    from screener.market.quality import Finding
    from screener.report.model import WeeklyInputs


def section(inputs: WeeklyInputs) -> Section:
    """Return counts, every symbol with a problem, every finding, and where the prices came from."""
    say = wording(inputs.language)
    standing = standing_of(inputs)
    lead = data_banner(inputs, say) or say("quality.lead_fresh", n=len(standing.expected))
    blocks: list[Block] = [_counts(inputs, say)]
    if inputs.warnings:
        blocks.append(Listing(say("quality.warnings"), tuple(told(inputs, each) for each in inputs.warnings)))
    if standing.troubled or any(each.state in GONE for each in inputs.states.values()):
        blocks.append(_problems(inputs, say))
    if inputs.findings:
        blocks.append(_findings(inputs, say))
    else:
        blocks.append(Paragraph(say("quality.no_findings"), "note"))
    return Section("quality", say("quality.title"), lead, tuple(blocks))


def _counts(inputs: WeeklyInputs, say: Wording) -> Facts:
    standing, run = standing_of(inputs), inputs.run
    aside = sum(each.quarantined and not is_repair(each) for each in inputs.findings)
    repaired = sum(each.quarantined and is_repair(each) for each in inputs.findings)
    pairs = (
        (say("quality.prices"), say("quality.synthetic") if run.synthetic else say("quality.market")),
        (say("quality.fresh"), say("quality.of", n=len(standing.fresh), of=len(standing.expected))),
        (say("quality.stale"), str(len(standing.stale))),
        (say("quality.missing"), str(len(standing.missing))),
        (say("quality.failed"), str(len(standing.failed))),
        (say("quality.quarantined"), str(aside)),
        (say("quality.put_right"), str(repaired)),
        (say("quality.listed"), str(sum(_is_warning(each) for each in inputs.findings))),
        (say("quality.source"), f"{run.source} ({run.source_identity})"),
        (say("quality.made_at"), say.instant(run.generated_at)),
    )
    return Facts(pairs)


def _problems(inputs: WeeklyInputs, say: Wording) -> Table:
    """Everything that has no current price and why, the worst first; those no longer listed come last."""
    order = ("missing", "stale", "fresh", "not listed", "delisted")
    symbols = {
        *standing_of(inputs).troubled,
        *(key for key, each in inputs.states.items() if each.state in GONE),
    }
    ranked = sorted(symbols, key=lambda each: (order.index(_state(inputs, each)), each))
    rows: list[tuple[Cell, ...]] = []
    for symbol in ranked:
        state = inputs.states.get(symbol)
        reasons = [
            each for each in ("" if state is None else state.reason, inputs.failures.get(symbol, "")) if each
        ]
        last = None if state is None else state.last
        missed = None if state is None or state.state != "stale" else state.sessions_missed
        rows.append(
            (named(inputs, symbol), last, missed, say.reasons([told(inputs, each) for each in reasons]))
        )
    columns = (
        Column(say("column.name"), "name"),
        Column(say("column.last_bar"), "date"),
        Column(say("column.missed"), "count", note=say("column.missed_note")),
        Column(say("column.why"), "text"),
    )
    return Table(say("quality.problems"), columns, (Rows(tuple(rows)),))


def _state(inputs: WeeklyInputs, symbol: str) -> str:
    state = inputs.states.get(symbol)
    return "missing" if state is None else state.state


def _is_warning(finding: Finding) -> bool:
    return not finding.quarantined and finding.severity != "note"


def _treatment(finding: Finding) -> str:
    """Return the key of the word for what became of a finding."""
    if finding.quarantined:
        return "quality.repaired" if is_repair(finding) else "quality.set_aside"
    return "quality.noted" if finding.severity == "note" else "quality.kept"


def _findings(inputs: WeeklyInputs, say: Wording) -> Table:
    """Every finding, quarantined ones first, then by symbol and session."""

    def order(each: Finding) -> tuple[bool, int, str, str]:
        return (not each.quarantined, SEVERITIES.index(each.severity), each.symbol, each.session.isoformat())

    rows = tuple(
        (
            named(inputs, each.symbol),
            each.session,
            say(_treatment(each)),
            say.retell(each.check.replace("_", " ")),
            told(inputs, each.detail),
        )
        for each in sorted(inputs.findings, key=order)
    )
    columns = (
        Column(say("column.name"), "name"),
        Column(say("column.session"), "date"),
        Column(say("column.treatment"), "text"),
        Column(say("column.check"), "text"),
        Column(say("column.detail"), "text"),
    )
    return Table(say("quality.findings"), columns, (Rows(rows),), tall=True)
