"""Data quality: what is missing, old, failed or quarantined, name by name."""

from __future__ import annotations

from collections import Counter

from screener.market.sessions import city_of
from screener.report.blocks import Block, Cell, Column, Lines, Section, Table
from screener.report.figures import BAD_STATES, Figures
from screener.report.model import WeeklyInputs
from screener.report.words import day, some

FINDINGS_SHOWN = 60


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return counts, every symbol whose prices are not current, and every finding."""
    say = figures.words
    counts = Counter(each.state for each in inputs.states.values())
    quarantined = [each for each in inputs.findings if each.quarantined]
    others = [each for each in inputs.findings if not each.quarantined]
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    blocks: list[Block] = [
        Lines(
            (
                say("quality.states", states=states),
                say("quality.findings", quarantined=len(quarantined), warnings=len(others)),
                say("quality.source", source=inputs.run.source_identity, hash=inputs.run.prices_hash[:16]),
                *inputs.warnings,
            )
        )
    ]
    if figures.marks:
        blocks.append(_marked(inputs, figures))
    if inputs.findings:
        blocks.append(_findings(inputs, figures))
    return Section("quality", say("quality.title"), say("quality.lead"), tuple(blocks))


def data_banner(inputs: WeeklyInputs, figures: Figures) -> str:
    """Return the sentence across the top of the page when prices are missing or old, "" when none is."""
    say = figures.words
    listed = [each for each in inputs.states.values() if each.state not in ("delisted", "not listed")]
    parts = []
    everything = inputs.universe.everything()
    for state in BAD_STATES:
        symbols = [each for each in listed if each.state == state]
        if not symbols:
            continue
        by_city: dict[str, list[str]] = {}
        for each in symbols:
            by_city.setdefault(city_of(everything[each.symbol].mic), []).append(each.symbol)
        places = "; ".join(
            f"{city} {len(names)}" + _newest(inputs, names)
            for city, names in sorted(by_city.items(), key=lambda x: -len(x[1]))
        )
        parts.append(say(f"quality.banner_{state}", count=len(symbols), total=len(listed), places=places))
    failed_only = [s for s in inputs.failures if s in inputs.states and inputs.states[s].state == "fresh"]
    if failed_only:
        parts.append(say("quality.banner_failed", count=len(failed_only), names=some(failed_only)))
    return " ".join(parts)


def _newest(inputs: WeeklyInputs, symbols: list[str]) -> str:
    lasts = [last for symbol in symbols if (last := inputs.states[symbol].last) is not None]
    return f" (newest {day(max(lasts))})" if lasts else ""


def _marked(inputs: WeeklyInputs, figures: Figures) -> Table:
    say = figures.words
    everything = inputs.universe.everything()
    rows = []
    for symbol, reason in sorted(figures.marks.items()):
        each = everything.get(symbol)
        state = inputs.states.get(symbol)
        rows.append(
            (
                Cell(symbol, symbol, "symbol marked"),
                Cell(each.name if each else say("quality.currency_pair"), "", "name"),
                Cell(city_of(each.mic) if each else "—"),
                Cell(state.state if state else say("quality.failed"), "", "state"),
                Cell(str(state.last) if state and state.last else "—"),
                Cell(reason),
            )
        )
    names = ("symbol", "name", "exchange", "prices", "last", "reason")
    return Table(
        tuple(Column(say(f"columns.{name}")) for name in names), tuple(rows), caption=say("quality.marked")
    )


def _findings(inputs: WeeklyInputs, figures: Figures) -> Table:
    say = figures.words
    ordered = sorted(
        inputs.findings, key=lambda each: (not each.quarantined, -each.session.toordinal(), each.symbol)
    )
    rows = tuple(
        (
            Cell(each.symbol, "", "symbol"),
            Cell(str(each.session)),
            Cell(each.check.replace("_", " ")),
            Cell(say("quality.is_quarantined") if each.quarantined else say("quality.is_kept")),
            Cell(each.detail),
        )
        for each in ordered[:FINDINGS_SHOWN]
    )
    names = ("symbol", "session", "check", "treatment", "detail")
    more = len(ordered) - len(rows)
    caption = say("quality.all_findings", count=len(ordered)) + (
        say("quality.more", count=more) if more > 0 else ""
    )
    return Table(tuple(Column(say(f"columns.{name}")) for name in names), rows, caption=caption, folded=True)
