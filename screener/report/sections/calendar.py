"""What happened and what comes: supply events around the week, and when exchanges are shut."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from screener.market.sessions import CALENDARS, calendar, calendar_of, city_of, half_days, known_until
from screener.report.blocks import Block, Cell, Column, Pair, Paragraph, Rows, Section, Table
from screener.report.sections.chain import stage_label
from screener.report.standing import some
from screener.report.words import Wording, wording
from screener.universe.check import SCHEDULED

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs
    from screener.universe.model import SupplyEvent

BACK, AHEAD = timedelta(days=63), timedelta(days=182)  # of events
HOLIDAYS_AHEAD = timedelta(days=35)


def section(inputs: WeeklyInputs) -> Section:
    """Return events of the last nine weeks, dates scheduled in the next half year, and holidays of five weeks."""
    say, today = wording(inputs.language), inputs.run.as_of
    events = [each for each in inputs.universe.events if _is_shown(each, today)]
    closures = closures_of(inputs)
    coming = [each for each in events if (each.end_day or each.day) > today]
    lead = say("calendar.lead", ahead=len(coming), back=len(events) - len(coming), shut=len(closures))
    left: tuple[Block, ...] = (
        (_events(inputs, events, say),) if events else (Paragraph(say("calendar.no_events"), "note"),)
    )
    right: tuple[Block, ...] = (
        (_closures(closures, say),) if closures else (Paragraph(say("calendar.no_closures"), "note"),)
    )
    return Section("calendar", say("calendar.title"), lead, (Pair(left, (*right, *_earnings(inputs, say))),))


def _earnings(inputs: WeeklyInputs, say: Wording) -> tuple[Block, ...]:
    """Return one row a date with every name that publishes then, if they were asked for."""
    asked, today = inputs.earnings, inputs.run.as_of
    if asked is None:
        return ()
    grouped: dict[tuple[date, ...], list[str]] = {}
    for symbol, days in sorted(asked.dates.items()):
        if days[0] <= today + HOLIDAYS_AHEAD:
            grouped.setdefault((days[0], days[-1]), []).append(symbol)
    rows = tuple(
        (first, last if last > first else "", say.listed(symbols))
        for (first, last), symbols in sorted(grouped.items())
    )
    columns = (
        Column(say("column.date"), "date"),
        Column(say("column.until"), "date"),
        Column(say("column.name"), "text"),
    )
    blocks: list[Block] = [Table(say("calendar.earnings"), columns, (Rows(rows),))] if rows else []
    if not rows:
        blocks.append(Paragraph(say("calendar.no_earnings"), "note"))
    if asked.failures:
        names = say.listed(some(sorted(asked.failures), say, 4))
        blocks.append(Paragraph(say("calendar.unanswered", n=len(asked.failures), names=names), "note"))
    return tuple(blocks)


def closures_of(inputs: WeeklyInputs) -> list[tuple[date, str, str, int]]:
    """Return (date, calendar, kind, names listed there) of each weekday on which an exchange is shut or shuts early.

    kind: closed or half. A calendar that ends before a date says nothing of it.
    """
    today = inputs.run.as_of
    first, last = today + timedelta(days=1), today + HOLIDAYS_AHEAD
    names: dict[str, int] = {}
    for each in inputs.universe.instruments.values():
        if each.mic in CALENDARS and each.is_listed(today):
            names[calendar_of(each.mic)] = names.get(calendar_of(each.mic), 0) + 1
    weekdays = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    weekdays = weekdays[np.is_busday(weekdays)]
    found: list[tuple[date, str, str, int]] = []
    for mic, listed in names.items():
        own = weekdays[weekdays <= np.datetime64(known_until(mic))]
        shut = own[~calendar(mic).is_open(own)]
        found += [(each, mic, "closed", listed) for each in shut.tolist()]
        found += [(each.date(), mic, "half", listed) for each in half_days(mic, first, last)]
    return sorted(found)


def _is_shown(event: SupplyEvent, today: date) -> bool:
    """Say whether an event belongs here: of what had not happened yet, only what was scheduled."""
    if event.day > today:
        return event.kind == SCHEDULED and event.day <= today + AHEAD
    return (event.end_day or event.day) >= today - BACK


def _events(inputs: WeeklyInputs, events: list[SupplyEvent], say: Wording) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for each in sorted(events, key=lambda each: (each.day, each.key)):
        title = each.title_ja if inputs.language == "ja" and each.title_ja else each.title
        stages = [stage_label(inputs, key) for key in each.segments if key in inputs.universe.segments]
        rows.append((each.day, each.end_day or "", title, say.listed(some(stages, say, 2))))
    columns = (
        Column(say("column.date"), "date"),
        Column(say("column.until"), "date"),
        Column(say("column.event"), "text"),
        Column(say("column.stage"), "text"),
    )
    return Table(say("calendar.events"), columns, (Rows(tuple(rows)),), note=say("calendar.note"))


def _closures(closures: list[tuple[date, str, str, int]], say: Wording) -> Table:
    """One row a date and kind, with every exchange that is shut then."""
    grouped: dict[tuple[date, str], list[tuple[str, int]]] = {}
    for day, mic, kind, listed in closures:
        grouped.setdefault((day, kind), []).append((say.retell(city_of(mic)), listed))
    rows = tuple(
        (day, say.listed([city for city, _ in shut]), say(f"calendar.{kind}"), sum(n for _, n in shut))
        for (day, kind), shut in grouped.items()
    )
    columns = (
        Column(say("column.date"), "date"),
        Column(say("column.exchange"), "text"),
        Column(say("column.hours"), "text"),
        Column(say("column.names"), "count", note=say("column.names_note")),
    )
    return Table(say("calendar.closures"), columns, (Rows(rows),))
