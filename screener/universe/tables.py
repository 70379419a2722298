"""A universe's TOML files: segments, materials, themes and screens. CSV rows are listings.py's business.

Weighting methods and metrics stay words: they are defined in layers above this one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path

from screener.universe.check import selects_anyone
from screener.universe.model import (
    CHINA_DEPENDENCE,
    GROUPS,
    PURITY,
    Instrument,
    Material,
    Rule,
    Scenario,
    ScreenRule,
    ScreenSpec,
    Segment,
    Theme,
)
from screener.universe.records import Fault, read_text, shown_path, undefined
from screener.universe.toml_tables import Document, Table

COMPARISONS = (">=", "<=", ">", "<")
VERIFIED = ("yes", "partial", "no")
KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
MATERIAL = re.compile(r"[A-Za-z][A-Za-z0-9 ()_\-]{0,39}")
COUNTRY = re.compile(r"[A-Z]{2}")
SCREEN_RULE = re.compile(r"([a-z][a-z0-9_]*)\s*([<>=!]+)\s*([+-]?[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]{1,2})?)")

SEGMENT_KEYS = tuple(each.name for each in fields(Segment) if each.name != "key")
MATERIAL_KEYS = tuple(each.name for each in fields(Material) if each.name != "key")
THEME_KEYS = tuple(each.name for each in fields(Theme) if each.name != "key")
RULE_KEYS = tuple(each.name for each in fields(Rule))
SCENARIO_KEYS = tuple(each.name for each in fields(Scenario) if each.name != "key")
SCREEN_KEYS = tuple(each.name for each in fields(ScreenSpec) if each.name != "key")

Segments = Mapping[str, Segment] | None  # None: the file could not be read, so nothing can be held against it
Materials = Mapping[str, Material] | None
Listed = Mapping[str, Instrument] | None


# Segments


def load_segments(folder: Path, faults: list[Fault]) -> Segments:
    """Return the segments by key, or None when the file cannot be read."""
    tables = read_tables(folder, "segments.toml", SEGMENT_KEYS, faults)
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
        checked_on=table.day("checked_on"),
    )


# Materials


def load_materials(folder: Path, segments: Segments, faults: list[Fault]) -> Materials:
    """Return the materials by key; without the file every word that instruments use is taken as it is."""
    if not (folder / "materials.toml").exists():
        return None
    tables = read_tables(folder, "materials.toml", MATERIAL_KEYS, faults, MATERIAL)
    if tables is None:
        return None
    return {key: _material(key, table, segments, tables) for key, table in tables.items()}


def _material(key: str, table: Table, segments: Segments, known: Collection[str]) -> Material:
    uses = table.table("uses")
    for segment in uses.values:
        if segments is not None and segment not in segments:
            uses.note(undefined("segment", segment, segments), segment)
    verified = table.one_of("verified", VERIFIED, default="no")
    return Material(
        key=key,
        label=table.text("label"),
        label_ja=table.text("label_ja"),
        group=table.one_of("group", GROUPS),
        uses=tuple((segment, uses.text(segment)) for segment in uses.values),
        elements=table.known_words("elements", known),
        control=table.text("control", required=False),
        suspended_until=table.day("suspended_until"),
        verified=verified,
        sources=table.sources("sources", verified),
        checked_on=table.day("checked_on"),
    )


# Themes


def load_themes(folder: Path, segments: Segments, listed: Listed, faults: list[Fault]) -> dict[str, Theme]:
    """Return the themes by key."""
    tables = read_tables(folder, "themes.toml", THEME_KEYS, faults) or {}
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
        limits=table.words("limits"),
        risk_budgets=table.words("risk_budgets"),
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
        if country and not COUNTRY.fullmatch(country.removesuffix(" state")):
            table.note(
                f'not_domicile "{country:.40}" is malformed; it looks like CN or CN state', "not_domicile"
            )
    return Rule(
        segments=table.known_words("segments", segments),
        purity=table.known_words("purity", PURITY),
        china_dependence=table.known_words("china_dependence", CHINA_DEPENDENCE),
        domicile=table.known_words("domicile", borne("domiciles")),
        not_domicile=elsewhere,
        materials=table.known_words("materials", borne("materials")),
        tags=table.known_words("tags", borne("tags")),
        include=table.known_words("include", symbols),
        exclude=table.known_words("exclude", symbols),
    )


# Screens


def load_screens(folder: Path, faults: list[Fault]) -> dict[str, ScreenSpec]:
    """Return the screens by key, in the order of the file."""
    tables = read_tables(folder, "screens.toml", SCREEN_KEYS, faults) or {}
    return {key: _screen(key, table) for key, table in tables.items()}


def _screen(key: str, table: Table) -> ScreenSpec:
    for column in ("rules", "rank_by"):
        absent = not table.has(column) or not table.values[column]
        if absent and not (column == "rules" and table.has("where")):
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
        where=table.text("where", required=False),
        within=table.one_of("within", ("segment",), default=""),
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


# Scenarios


def load_scenarios(
    folder: Path, segments: Segments, kinds: Collection[str], faults: list[Fault]
) -> dict[str, Scenario]:
    """Return the scenarios by key; the file may be left out. kinds: those that the events have."""
    if not (folder / "scenarios.toml").exists():
        return {}
    tables = read_tables(folder, "scenarios.toml", SCENARIO_KEYS, faults) or {}
    return {key: _scenario(key, table, segments, kinds) for key, table in tables.items()}


def _scenario(key: str, table: Table, segments: Segments, kinds: Collection[str]) -> Scenario:
    for column in ("kinds", "segments"):
        if not table.words(column):
            table.note(f"{column} is missing", column)
    first = table.whole("first", "a whole number from -10 to 60", low=-10, high=60) or 0
    last = table.whole("last", "a whole number from 0 to 60", low=0, high=60)
    last = 4 if last is None else last
    if last < first:
        table.note(f"last {last} is before first {first}", "last")
    return Scenario(
        key=key,
        label=table.text("label"),
        label_ja=table.text("label_ja"),
        kinds=table.known_words("kinds", kinds),
        segments=table.known_words("segments", segments),
        first=first,
        last=last,
        note=table.text("note", required=False),
    )


# Files


def read_document(folder: Path, name: str, faults: list[Fault]) -> Document | None:
    """Return a TOML file's document, or None when it cannot be read, which is noted."""
    path = shown_path(folder / name)
    text = read_text(folder / name, path, faults)
    document = None if text is None else Document(path, text, faults)
    return document if document is not None and document.is_toml else None


def read_tables(
    folder: Path, name: str, keys: Collection[str], faults: list[Fault], form: re.Pattern[str] = KEY
) -> dict[str, Table] | None:
    """Return a TOML file's tables by key, or None when it cannot be read, which is noted."""
    document = read_document(folder, name, faults)
    if document is None:
        return None
    tables = document.tables(keys)
    if not tables:
        faults.append(
            Fault(document.path, 0, "defines nothing; it needs at least one table, such as [my_key]")
        )
    for key, table in tables.items():
        if not form.fullmatch(key):
            table.note(f'key "{key:.40}" is malformed; use lower case, digits and underscores')
    return tables
