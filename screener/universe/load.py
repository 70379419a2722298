"""A folder becomes a Universe, or one error that lists every fault with its file and line.

records.py reads values, check.py knows contradictions; here rows and tables become instruments, segments,
themes, screens and events, and each reference is resolved. Weighting methods and metrics stay words: they are
defined in layers above this one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path

from screener.errors import UserError
from screener.universe.check import MARKETS, contradictions, selects_anyone, universe_warnings
from screener.universe.model import (
    CHINA_DEPENDENCE,
    KINDS,
    PURITY,
    SYMBOL,
    Instrument,
    Rule,
    ScreenRule,
    ScreenSpec,
    Segment,
    SupplyEvent,
    Theme,
    Universe,
)
from screener.universe.records import (
    Document,
    Fault,
    Row,
    Table,
    meant,
    note_repeats,
    printable,
    read_rows,
    read_text,
    undefined,
)

__all__ = ["find_universe", "load_universe", "shipped_universes", "universe_warnings"]

PACKAGE = Path(__file__).resolve().parent.parent
VERIFIED = ("yes", "partial", "no")
COMPARISONS = (">=", "<=", ">", "<")
EVERY_SEGMENT = "all"  # what an event says that hit the whole chain

KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
EVENT_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,39}")
CURRENCY = re.compile(r"[A-Z]{3}|GBp|ZAc")
COUNTRY = re.compile(r"[A-Z]{2}")
SCREEN_RULE = re.compile(r"([a-z][a-z0-9_]*)\s*([<>=!]+)\s*([+-]?[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]{1,2})?)")

INSTRUMENT_COLUMNS = tuple(each.name for each in fields(Instrument))
EVENT_COLUMNS = tuple(each.name for each in fields(SupplyEvent))
SEGMENT_KEYS = tuple(each.name for each in fields(Segment) if each.name != "key")
THEME_KEYS = tuple(each.name for each in fields(Theme) if each.name != "key")
RULE_KEYS = tuple(each.name for each in fields(Rule))
SCREEN_KEYS = tuple(each.name for each in fields(ScreenSpec) if each.name != "key")

Segments = Mapping[str, Segment] | None  # None: the file could not be read, so nothing can be held against it
Listed = Mapping[str, Instrument] | None


def shipped_universes() -> list[str]:
    """Return the names of the universes that come with the package, sorted."""
    return sorted(each.parent.name for each in _shipped_folder().glob("*/universe.toml"))


def find_universe(name_or_folder: str) -> Path:
    """Return a universe's folder: an existing folder of that path, otherwise a shipped universe of that name.

    Raises UserError when there is neither.
    """
    if name_or_folder and os.path.isdir(name_or_folder):  # unlike Path.is_dir, false for any odd string
        return Path(name_or_folder)
    shipped = shipped_universes()
    if name_or_folder in shipped:
        return _shipped_folder() / name_or_folder
    question = meant(name_or_folder, shipped)
    asked, names = printable(name_or_folder)[:60], ", ".join(shipped) or "none"
    raise UserError(f'universe "{asked}" is neither a folder nor shipped (shipped: {names}){question}')


def _shipped_folder() -> Path:
    """Return where universes lie: inside an installed package, beside it in a source checkout."""
    installed = PACKAGE / "_universes"
    return installed if installed.is_dir() else PACKAGE.parent / "universes"


def load_universe(folder: Path) -> Universe:
    """Return the universe that a folder states.

    Raises UserError with a line for every fault of every file, such as
    `universes/rare_earth_ai/instruments.csv:14: segment "magnet" is not defined; did you mean "magnets"?`.
    """
    if not folder.is_dir():
        raise UserError(f"{_shown(folder)}: is not a folder; a universe is a folder of CSV and TOML files")
    faults: list[Fault] = []
    label, label_ja = _load_labels(folder, faults)
    segments = _load_segments(folder, faults)
    listed = _load_instruments(folder, segments, faults)
    themes = _load_themes(folder, segments, listed, faults)
    screens = _load_screens(folder, faults)
    events = _load_events(folder, segments, faults)
    if faults or listed is None or segments is None:
        raise UserError(*map(str, sorted(set(faults))))
    in_order = dict(sorted(listed.items()))
    return Universe(
        key=folder.resolve().name,
        label=label,
        label_ja=label_ja,
        instruments={symbol: each for symbol, each in in_order.items() if each.kind == "equity"},
        benchmarks={symbol: each for symbol, each in in_order.items() if each.kind != "equity"},
        segments=dict(sorted(segments.items(), key=lambda item: item[1].order)),
        themes=themes,
        screens=screens,
        events=events,
    )


def _load_labels(folder: Path, faults: list[Fault]) -> tuple[str, str]:
    document = _read_document(folder, "universe.toml", faults)
    if document is None:
        return "", ""
    table = Table(document, (), document.root, ("label", "label_ja"))
    return table.text("label"), table.text("label_ja")


# Segments


def _load_segments(folder: Path, faults: list[Fault]) -> Segments:
    tables = _read_tables(folder, "segments.toml", SEGMENT_KEYS, faults)
    if tables is None:
        return None
    segments = {key: _segment(key, table) for key, table in tables.items()}
    by_order: dict[int, str] = {}
    for key, each in segments.items():
        if each.order >= 0 and by_order.setdefault(each.order, key) != key:
            tables[key].note(f"order {each.order} is already that of [{by_order[each.order]}]", "order")
    return segments


def _segment(key: str, table: Table) -> Segment:
    if not table.has("order"):
        table.note("order is missing")
    order = table.whole("order", "a whole number from 0", low=0)
    share = table.number("china_share", "a fraction from 0 to 1", low=0, high=1)
    if table.has("china_share") and not table.has("china_share_year"):
        table.note("china_share_year is missing", "china_share")
    return Segment(
        key=key,
        order=-1 if order is None else order,
        label=table.text("label"),
        label_ja=table.text("label_ja"),
        china_share=share,
        china_share_year=table.whole("china_share_year", "a year", low=1900, high=2100),
        source=table.text("source", required=table.has("china_share")),
    )


# Instruments


def _load_instruments(folder: Path, segments: Segments, faults: list[Fault]) -> Listed:
    rows = _read_table(folder, "instruments.csv", INSTRUMENT_COLUMNS, faults)
    if rows is None:
        return None
    listed = {each.symbol: each for each in (_instrument(row, segments) for row in rows)}
    note_repeats(rows, "symbol")
    if not any(each.kind == "equity" for each in listed.values()):
        faults.append(Fault(_shown(folder / "instruments.csv"), 0, "holds no equity"))
    return listed


def _instrument(row: Row, segments: Segments) -> Instrument:
    kind = row.one_of("kind", KINDS)
    verified = row.one_of("verified", VERIFIED)
    equity = kind == "equity"
    segment = row.text("segment", required=equity)
    if equity and segment and segments is not None and segment not in segments:
        row.note(undefined("segment", segment, segments))
    each = Instrument(
        symbol=row.matching("symbol", SYMBOL, "MP, 6762.T or ^N225"),
        name=row.text("name"),
        name_ja=row.text("name_ja"),
        issuer=row.text("issuer"),
        kind=kind,
        mic=row.one_of("mic", MARKETS),
        currency=row.matching("currency", CURRENCY, "USD, or GBp for pence"),
        domicile=row.matching("domicile", COUNTRY, "US"),
        segment=segment,
        other_segments=row.known_words("other_segments", segments),
        materials=row.words("materials"),
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
    )
    for problem in contradictions(each):
        row.note(problem)
    return each


# Themes


def _load_themes(folder: Path, segments: Segments, listed: Listed, faults: list[Fault]) -> dict[str, Theme]:
    tables = _read_tables(folder, "themes.toml", THEME_KEYS, faults) or {}
    return {key: _theme(key, table, segments, listed) for key, table in tables.items()}


def _theme(key: str, table: Table, segments: Segments, listed: Listed) -> Theme:
    faults_before = len(table.faults)
    rule = _rule(table.table("rule", RULE_KEYS), segments, listed)
    if not table.has("rule"):
        table.note(f"a rule is missing; add a table [{key}.rule]")
    elif len(table.faults) == faults_before and listed is not None and not selects_anyone(rule, listed):
        table.note(f"the rule of [{key}] selects nobody", "rule")
    benchmark = table.text("benchmark", required=False)
    benchmarks = [each.symbol for each in (listed or {}).values() if each.kind != "equity"]
    if benchmark and listed is not None and benchmark not in benchmarks:
        table.note(undefined("benchmark", benchmark, benchmarks), "benchmark")
    return Theme(
        key=key,
        label=table.text("label"),
        label_ja=table.text("label_ja"),
        rule=rule,
        method=table.matching("method", KEY, "inverse_volatility"),
        max_weight=_limit(table, "max_weight"),
        max_segment_weight=_limit(table, "max_segment_weight"),
        benchmark=benchmark,
        known_from=table.day("known_from"),
        note=table.text("note", required=False),
    )


def _limit(table: Table, column: str) -> float:
    if not table.has(column):
        table.note(f"{column} is missing; 1.0 means no limit")
    limit = table.number(column, "a fraction above 0 and up to 1", low=5e-324, high=1)
    return 1.0 if limit is None else limit


def _rule(table: Table, segments: Segments, listed: Listed) -> Rule:
    """Read a rule; a word that no equity bears is a fault, for it would select nobody without a sound."""
    equities = None if listed is None else [each for each in listed.values() if each.kind == "equity"]
    symbols = None if equities is None else [each.symbol for each in equities]

    def borne(column: str) -> Collection[str] | None:
        if equities is None:
            return None
        values = [getattr(each, column) for each in equities]
        return sorted({word for value in values for word in ([value] if isinstance(value, str) else value)})

    elsewhere = table.words("not_domicile")  # may name a country that no equity is from
    for country in elsewhere:
        if country and not COUNTRY.fullmatch(country):
            table.note(f'not_domicile "{country:.40}" is malformed; it looks like CN', "not_domicile")
    return Rule(
        segments=table.known_words("segments", segments),
        purity=table.known_words("purity", PURITY),
        china_dependence=table.known_words("china_dependence", CHINA_DEPENDENCE),
        domicile=table.known_words("domicile", borne("domicile")),
        not_domicile=elsewhere,
        materials=table.known_words("materials", borne("materials")),
        tags=table.known_words("tags", borne("tags")),
        include=table.known_words("include", symbols),
        exclude=table.known_words("exclude", symbols),
    )


# Screens


def _load_screens(folder: Path, faults: list[Fault]) -> dict[str, ScreenSpec]:
    tables = _read_tables(folder, "screens.toml", SCREEN_KEYS, faults) or {}
    return {key: _screen(key, table) for key, table in tables.items()}


def _screen(key: str, table: Table) -> ScreenSpec:
    for column in ("rules", "rank_by"):
        if not table.has(column) or not table.values[column]:
            table.note(f"{column} is missing", column)
    ranking = table.table("rank_by")
    weights = {metric: ranking.number(metric, "a weight", low=-1e6, high=1e6) for metric in ranking.values}
    for metric, weight in weights.items():
        if weight == 0:
            ranking.note(f"{metric} has no weight; leave it out", metric)
    return ScreenSpec(
        key=key,
        label=table.text("label"),
        label_ja=table.text("label_ja"),
        rules=tuple(rule for each in table.words("rules") if (rule := _screen_rule(each, table)) is not None),
        rank_by=tuple(sorted((metric, weight or 0.0) for metric, weight in weights.items())),
    )


def _screen_rule(text: str, table: Table) -> ScreenRule | None:
    matched = SCREEN_RULE.fullmatch(text)
    if matched is None:
        if text:
            table.note(f'rule "{text:.60}" is malformed; it looks like volatility <= 0.4', "rules")
        return None
    metric, comparison, bound = matched.groups()
    if comparison not in COMPARISONS:
        table.note(f'comparison "{comparison}" is unknown; choose one of {", ".join(COMPARISONS)}', "rules")
    return ScreenRule(metric, comparison, float(bound))


# Events


def _load_events(folder: Path, segments: Segments, faults: list[Fault]) -> tuple[SupplyEvent, ...]:
    rows = _read_table(folder, "events.csv", EVENT_COLUMNS, faults) or []
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
    )


# Files


def _read_document(folder: Path, name: str, faults: list[Fault]) -> Document | None:
    path = _shown(folder / name)
    text = read_text(folder / name, path, faults)
    document = None if text is None else Document(path, text, faults)
    return document if document is not None and document.is_toml else None


def _read_tables(
    folder: Path, name: str, keys: Collection[str], faults: list[Fault]
) -> dict[str, Table] | None:
    document = _read_document(folder, name, faults)
    if document is None:
        return None
    tables = document.tables(keys)
    if not tables:
        faults.append(
            Fault(document.path, 0, "defines nothing; it needs at least one table, such as [my_key]")
        )
    for key, table in tables.items():
        if not KEY.fullmatch(key):
            table.note(f'key "{key:.40}" is malformed; use lower case, digits and underscores')
    return tables


def _read_table(folder: Path, name: str, columns: tuple[str, ...], faults: list[Fault]) -> list[Row] | None:
    path = _shown(folder / name)
    text = read_text(folder / name, path, faults)
    return None if text is None else read_rows(text, path, columns, faults)


def _shown(path: Path) -> str:
    """Return a path as a person here would write it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
