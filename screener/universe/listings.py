"""A universe's CSV files: instruments, unlisted organisations and events. TOML files are tables.py's business."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import fields
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from screener.universe.check import MARKETS, contradictions, predecessor_cycles
from screener.universe.csv_rows import Row, note_repeats, read_rows
from screener.universe.model import (
    CHINA_DEPENDENCE,
    KINDS,
    PREDECESSORS,
    PURITY,
    SYMBOL,
    UNLISTED,
    USES,
    Instrument,
    Organisation,
    SupplyEvent,
)
from screener.universe.records import Fault, read_text, shown_path, undefined
from screener.universe.tables import COUNTRY, KEY, VERIFIED, Listed, Materials, Segments

EVERY_SEGMENT = "all"  # what an event says that hit the whole chain
EVENT_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,39}")
CURRENCY = re.compile(r"[A-Z]{3}|GBp|ZAc")

INSTRUMENT_COLUMNS = tuple(each.name for each in fields(Instrument))
OPTIONAL = (
    *("name_ja", "other_segments", "materials", "listed_from", "delisted_on", "terminal_value"),
    *(
        "predecessor",
        "predecessor_kind",
        "lot_size",
        "tags",
        "note",
        "operations",
        "delisting",
        "from_memory",
    ),
    "checked_on",
)
ORGANISATION_COLUMNS = tuple(each.name for each in fields(Organisation))
EVENT_COLUMNS = tuple(each.name for each in fields(SupplyEvent))
OPTIONAL_OF_EVENTS = ("checked_on", "outcome", "use", "zone", "time", "note")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


# Instruments


def load_instruments(folder: Path, segments: Segments, materials: Materials, faults: list[Fault]) -> Listed:
    """Return every row of instruments.csv by symbol, or None when it cannot be read."""
    rows = _read_table(folder, "instruments.csv", INSTRUMENT_COLUMNS, OPTIONAL, faults)
    if rows is None:
        return None
    found = [_instrument(row, segments, materials) for row in rows]
    listed = {each.symbol: each for each in found}
    note_repeats(rows, "symbol")
    lines = {each.symbol: row for each, row in zip(found, rows, strict=True)}
    for symbol, problem in predecessor_cycles(listed).items():
        lines[symbol].note(problem)
    if not any(each.kind == "equity" for each in listed.values()):
        faults.append(Fault(shown_path(folder / "instruments.csv"), 0, "holds no equity"))
    return listed


def _instrument(row: Row, segments: Segments, materials: Materials) -> Instrument:
    kind = row.one_of("kind", KINDS)
    verified = row.one_of("verified", VERIFIED)
    equity = kind == "equity"
    segment = row.text("segment", required=equity)
    if equity and segment and segments is not None and segment not in segments:
        row.note(undefined("segment", segment, segments))
    each = Instrument(
        symbol=row.matching("symbol", SYMBOL, "MP, 6762.T or ^N225"),
        name=row.text("name"),
        name_ja=row.text("name_ja", required=False) or row.text("name", required=False),
        issuer=row.text("issuer"),
        kind=kind,
        mic=row.one_of("mic", MARKETS),
        currency=row.matching("currency", CURRENCY, "USD, or GBp for pence"),
        domicile=row.matching("domicile", COUNTRY, "US"),
        segment=segment,
        other_segments=row.known_words("other_segments", segments),
        materials=row.known_words("materials", materials),
        purity=row.one_of("purity", PURITY, default=None if equity else "none"),
        china_dependence=row.one_of("china_dependence", CHINA_DEPENDENCE, default=None if equity else "low"),
        listed_from=row.day("listed_from", vague=True),
        delisted_on=row.day("delisted_on"),
        terminal_value=row.number("terminal_value", "a number from 0", low=0),
        predecessor=row.text("predecessor", required=False),
        lot_size=row.whole("lot_size", "a whole number from 1", low=1) or 1,
        tags=row.words("tags"),
        verified=verified,
        sources=row.sources("sources", verified),
        note=row.text("note", required=False),
        operations=_countries(row, "operations"),
        predecessor_kind=row.one_of("predecessor_kind", PREDECESSORS, default=""),
        delisting=row.text("delisting", required=False),
        checked_on=row.day("checked_on", vague=True),
        from_memory=row.known_words("from_memory", INSTRUMENT_COLUMNS),
    )
    for problem in contradictions(each):
        row.note(problem)
    return each


def _countries(row: Row, column: str) -> tuple[str, ...]:
    countries = row.words(column)
    for each in countries:
        if each and not COUNTRY.fullmatch(each):
            row.note(f'{column} "{each:.40}" is malformed; it looks like US;MY')
    return countries


# Organisations that are not listed


def load_organisations(
    folder: Path, segments: Segments, materials: Materials, faults: list[Fault]
) -> dict[str, Organisation]:
    """Return what stands on the chain without being listed, by key; the file may be left out."""
    if not (folder / "unlisted.csv").exists():
        return {}
    rows = _read_table(folder, "unlisted.csv", ORGANISATION_COLUMNS, (), faults) or []
    found = [_organisation(row, segments, materials) for row in rows]
    note_repeats(rows, "key")
    return {each.key: each for each in sorted(found, key=lambda each: each.key)}


def _organisation(row: Row, segments: Segments, materials: Materials) -> Organisation:
    segment, verified = row.text("segment"), row.one_of("verified", VERIFIED)
    if segment and segments is not None and segment not in segments:
        row.note(undefined("segment", segment, segments))
    return Organisation(
        key=row.matching("key", EVENT_KEY, "earth-ai"),
        name=row.text("name"),
        name_ja=row.text("name_ja"),
        kind=row.one_of("kind", UNLISTED),
        domicile=row.matching("domicile", COUNTRY, "US"),
        segment=segment,
        status=row.text("status"),
        status_on=row.day("status_on", vague=True),
        other_segments=row.known_words("other_segments", segments),
        materials=row.known_words("materials", materials),
        operations=_countries(row, "operations"),
        owner=row.text("owner", required=False),
        verified=verified,
        sources=row.sources("sources", verified),
        checked_on=row.day("checked_on", vague=True),
        note=row.text("note", required=False),
    )


# Events


def load_events(folder: Path, segments: Segments, faults: list[Fault]) -> tuple[SupplyEvent, ...]:
    """Return the events, by day."""
    rows = _read_table(folder, "events.csv", EVENT_COLUMNS, OPTIONAL_OF_EVENTS, faults) or []
    events = [_event(row, segments) for row in rows]
    note_repeats(rows, "key")
    return tuple(sorted(events, key=lambda each: (each.day, each.key)))


def _event(row: Row, segments: Segments) -> SupplyEvent:
    day, end_day = row.day("day"), row.day("end_day")
    if not row.has("day"):
        row.note("day is empty")
    if day and end_day and end_day < day:
        row.note(f"end_day {end_day} is before day {day}")
    if row.values["segments"] == EVERY_SEGMENT:
        hit = tuple(sorted(segments or {}, key=lambda key: (segments or {})[key].order))
    else:
        hit = row.known_words("segments", segments)
    verified = row.one_of("verified", VERIFIED)
    return SupplyEvent(
        key=row.matching("key", EVENT_KEY, "E2504B"),
        day=day or date.min,
        end_day=end_day,
        title=row.text("title"),
        title_ja=row.text("title_ja"),
        kind=row.matching("kind", KEY, "export_control"),
        segments=hit,
        sources=row.sources("sources", verified),
        verified=verified,
        checked_on=row.day("checked_on", vague=True),
        outcome=row.text("outcome", required=False),
        use=row.one_of("use", USES, default="event_study"),
        zone=_zone(row),
        time=row.matching("time", CLOCK, "09:30", required=False),
        note=row.text("note", required=False),
    )


def _zone(row: Row) -> str:
    """Return the time zone of an event's day; it must be one that this machine knows."""
    zone = row.text("zone", required=False) or "UTC"
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        row.note(f'zone "{zone:.40}" is not a time zone; it looks like Asia/Shanghai')
    return zone


# Files


def _read_table(
    folder: Path, name: str, columns: tuple[str, ...], optional: Collection[str], faults: list[Fault]
) -> list[Row] | None:
    path = shown_path(folder / name)
    text = read_text(folder / name, path, faults)
    return None if text is None else read_rows(text, path, columns, faults, optional)
