"""A folder becomes a Universe: every fault of every file is collected, then raised once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

from screener.errors import UserError, raise_all, unknown
from screener.universe.faults import Faults, Table, check_market, near, parse_day, parse_number
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

PACKAGED = Path(__file__).resolve().parent.parent / "_universes"  # in an installed wheel
CHECKOUT = Path(__file__).resolve().parent.parent.parent / "universes"
INSTRUMENT_COLUMNS = (
    *(
        "symbol",
        "name",
        "name_ja",
        "issuer",
        "kind",
        "mic",
        "currency",
        "domicile",
        "segment",
        "other_segments",
    ),
    *(
        "materials",
        "purity",
        "china_dependence",
        "listed_from",
        "delisted_on",
        "terminal_value",
        "predecessor",
    ),
    *("lot_size", "tags", "verified", "sources", "note"),
)
EVENT_COLUMNS = (
    "key",
    "day",
    "end_day",
    "title",
    "title_ja",
    "kind",
    "segments",
    "sources",
    "verified",
    "note",
)
RULE_FIELDS = tuple(Rule.__dataclass_fields__)
VERIFIED = ("yes", "partial", "no")
CHOICES = {"kind": KINDS, "purity": PURITY, "china_dependence": CHINA_DEPENDENCE, "verified": VERIFIED}
FEWEST_MEMBERS = 4


def shipped_universes() -> list[str]:
    """Return the names of the universes that come with screener."""
    folder = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    return sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def find_universe(name_or_folder: str) -> Path:
    """Return the folder of a universe: a path that exists, or a shipped universe's name."""
    given = Path(name_or_folder)
    if given.is_dir():
        return given
    for parent in (PACKAGED, CHECKOUT):
        if name_or_folder and (parent / name_or_folder).is_dir() and given.name == name_or_folder:
            return parent / name_or_folder
    raise UserError(
        f"{unknown('--universe', name_or_folder, shipped_universes())}; or give a folder that exists"
    )


def load_universe(folder: Path) -> Universe:
    """Read a universe folder. Raises one UserError holding every fault as file:line: what is wrong, what to do."""
    faults = Faults(folder)
    about, _ = faults.toml("universe.toml")
    for key in ("label", "label_ja"):
        if not isinstance(about.get(key), str) or not about[key]:
            faults.add("universe.toml", 1, f'{key} is missing; write {key} = "…"')
    segments = _segments(faults)
    everything = _instruments(faults, segments)
    instruments = {symbol: each for symbol, each in everything.items() if each.kind == "equity"}
    benchmarks = {symbol: each for symbol, each in everything.items() if each.kind != "equity"}
    themes = _themes(faults, segments, instruments, benchmarks)
    screens = _screens(faults)
    events = _events(faults, segments)
    raise_all(faults.lines())
    return Universe(
        key=folder.resolve().name,
        label=about["label"],
        label_ja=about["label_ja"],
        instruments=instruments,
        benchmarks=benchmarks,
        segments=segments,
        themes=themes,
        screens=screens,
        events=events,
    )


def universe_warnings(universe: Universe, today: date) -> tuple[str, ...]:
    """Return what is no fault but a reader should know: unverified facts, thin themes, ended suspensions."""
    said = []
    unsure = [each.symbol for each in universe.instruments.values() if each.verified == "no"]
    if unsure:
        said.append(f"{len(unsure)} instruments rest on facts nobody verified: {', '.join(unsure)}")
    for theme in universe.themes.values():
        members = universe.members(theme, today)
        if len(members) < FEWEST_MEMBERS:
            said.append(f"theme {theme.key} has {len(members)} members, too few to spread risk")
    issuers = Counter(each.issuer for each in universe.instruments.values() if each.delisted_on is None)
    for issuer, count in issuers.items():
        if count > 1:
            lines = [each.symbol for each in universe.instruments.values() if each.issuer == issuer]
            said.append(f"{' and '.join(lines)} are {count} lines of one issuer and share its cap")
    for event in universe.events:
        if event.kind == "truce" and event.end_day and event.day + timedelta(days=31) < event.end_day < today:
            said.append(f"{event.title}: ran to {event.end_day}; no outcome is recorded")
    return tuple(said)


def _segments(faults: Faults) -> dict[str, Segment]:
    content, line_of = faults.toml("segments.toml")
    segments: dict[str, Segment] = {}
    orders: dict[int, str] = {}
    for key, fields in content.items():
        table = Table("segments.toml", line_of(key), f"segment {key}", fields, faults)
        table.only(("order", "label", "label_ja", "china_share", "china_share_year", "source"))
        order = table.number("order", whole=True)
        share = table.number("china_share", least=0.0, most=1.0, required=False)
        year = table.number("china_share_year", whole=True, required=False)
        source = table.text("source", required=False)
        if share is not None and (year is None or not source):
            table.fault("china_share needs china_share_year and source")
        if order is not None and int(order) in orders:
            table.fault(f"order {order:g} is already that of {orders[int(order)]}")
        orders[int(order or 0)] = key
        label, label_ja = table.text("label"), table.text("label_ja")
        segments[key] = Segment(
            key, int(order or 0), label, label_ja, share, int(year) if year else None, source
        )
    return dict(sorted(segments.items(), key=lambda item: item[1].order))


def _instruments(faults: Faults, segments: Mapping[str, Segment]) -> dict[str, Instrument]:
    seen: dict[str, int] = {}
    instruments = {}
    for line, row in faults.csv("instruments.csv", INSTRUMENT_COLUMNS):

        def fault(what: str, line: int = line) -> None:
            faults.add("instruments.csv", line, what)

        symbol = row["symbol"]
        if symbol in seen:
            fault(f"symbol {symbol} stands already in line {seen[symbol]}; a symbol has one row")
            continue
        seen[symbol] = line
        _check_instrument(row, segments, fault)
        instruments[symbol] = Instrument(
            symbol=symbol,
            name=row["name"],
            name_ja=row["name_ja"] or row["name"],
            issuer=row["issuer"],
            kind=row["kind"],
            mic=row["mic"],
            currency=row["currency"],
            domicile=row["domicile"],
            segment=row["segment"],
            other_segments=_words(row["other_segments"]),
            materials=_words(row["materials"]),
            purity=row["purity"],
            china_dependence=row["china_dependence"],
            listed_from=parse_day(row["listed_from"], "listed_from", fault),
            delisted_on=parse_day(row["delisted_on"], "delisted_on", fault),
            terminal_value=parse_number(row["terminal_value"], "terminal_value", fault),
            predecessor=row["predecessor"],
            lot_size=int(parse_number(row["lot_size"] or "1", "lot_size", fault) or 1),
            tags=_words(row["tags"]),
            verified=row["verified"],
            sources=tuple(each.strip() for each in row["sources"].split("|") if each.strip()),
            note=row["note"],
        )
        each = instruments[symbol]
        if each.listed_from and each.delisted_on and each.listed_from >= each.delisted_on:
            fault(f"listed_from {each.listed_from} is not before delisted_on {each.delisted_on}")
    return dict(sorted(instruments.items()))


def _check_instrument(
    row: Mapping[str, str], segments: Mapping[str, Segment], fault: Callable[[str], None]
) -> None:
    if not SYMBOL.fullmatch(row["symbol"]):
        fault(f"symbol {row['symbol']!r} is not one: capitals, digits and . - = ^, at most 16")
    for column in ("name", "name_ja", "issuer"):
        if any(mark in row[column] for mark in "<>") or row[column][:1] in tuple("=+-@\t"):
            fault(f"{column} {row[column]!r} holds markup or starts like a formula; write plain text")
    for column in ("name", "issuer", "domicile", "segment"):
        if not row[column]:
            fault(f"{column} is empty")
    if row["domicile"] and not re.fullmatch("[A-Z]{2}", row["domicile"]):
        fault(f"domicile {row['domicile']!r} is not an ISO 3166 code such as US or JP")
    for column, word in [
        ("segment", row["segment"]),
        *(("other_segments", each) for each in _words(row["other_segments"])),
    ]:
        if word and word not in segments:
            fault(f"{column} {word!r} is not defined{near(word, segments)}")
    for column, choices in (
        ("kind", KINDS),
        ("purity", PURITY),
        ("china_dependence", CHINA_DEPENDENCE),
        ("verified", VERIFIED),
    ):
        if row[column] not in choices:
            fault(f"{column} {row[column]!r} is none of {', '.join(choices)}")
    if row["verified"] != "no" and not row["sources"]:
        fault(f"{row['symbol']} has no source; give one, or set verified to no")
    check_market(row["symbol"], row["mic"], row["currency"], fault)


def _themes(
    faults: Faults,
    segments: Mapping[str, Segment],
    instruments: Mapping[str, Instrument],
    benchmarks: Iterable[str],
) -> dict[str, Theme]:
    content, line_of = faults.toml("themes.toml")
    words: dict[str, set[str]] = {
        "segments": set(segments),
        "purity": set(PURITY),
        "china_dependence": set(CHINA_DEPENDENCE),
        "domicile": {each.domicile for each in instruments.values()},
        "not_domicile": {each.domicile for each in instruments.values()},
        "materials": {word for each in instruments.values() for word in each.materials},
        "tags": {word for each in instruments.values() for word in each.tags},
        "include": set(instruments),
        "exclude": set(instruments),
    }
    themes = {}
    for key, fields in content.items():
        table = Table("themes.toml", line_of(key), f"theme {key}", fields, faults)
        table.only(tuple(each for each in Theme.__dataclass_fields__ if each != "key"))
        rule = _rule(table, words)
        benchmark = table.text("benchmark", required=False)
        if benchmark and benchmark not in benchmarks:
            table.fault(f"benchmark {benchmark!r} is not one of the universe{near(benchmark, benchmarks)}")
        known_from = fields.get("known_from") if isinstance(fields, dict) else None
        if known_from is not None and type(known_from) is not date:
            table.fault(f"known_from {known_from!r} is not a date; write it as 2025-11-02")
            known_from = None
        if not any(rule.matches(each) for each in instruments.values()):
            table.fault("its rule selects no instrument")
        optional = {
            "method": table.text("method", required=False),
            "max_weight": table.number("max_weight", above=0.0, most=1.0, required=False),
            "max_segment_weight": table.number("max_segment_weight", above=0.0, most=1.0, required=False),
            "note": table.text("note", required=False),
        }
        given = {name: value for name, value in optional.items() if value}
        label, label_ja = table.text("label"), table.text("label_ja")
        themes[key] = Theme(key, label, label_ja, rule, benchmark=benchmark, known_from=known_from, **given)  # type: ignore[arg-type]
    return themes


def _rule(table: Table, words: Mapping[str, set[str]]) -> Rule:
    fields = table.fields.get("rule", {})
    if not isinstance(fields, dict) or not fields:
        table.fault('rule is missing; write rule = { segments = ["magnets"] }')
        return Rule()
    chosen: dict[str, tuple[str, ...]] = {}
    for name, given in fields.items():
        if name not in RULE_FIELDS:
            table.fault(f"rule field {name!r} is unknown{near(name, RULE_FIELDS)}")
            continue
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            table.fault(f"rule field {name!r} must be a list of words")
            continue
        for word in given:
            if word not in words[name]:
                table.fault(f"rule field {name!r}: {word!r} matches nothing{near(word, words[name])}")
        chosen[name] = tuple(given)
    return Rule(**chosen)


def _screens(faults: Faults) -> dict[str, ScreenSpec]:
    content, line_of = faults.toml("screens.toml")
    screens = {}
    for key, fields in content.items():
        table = Table("screens.toml", line_of(key), f"screen {key}", fields, faults)
        table.only(("label", "label_ja", "rules", "rank_by"))
        rules = []
        given = table.fields.get("rules")
        for text in given if isinstance(given, list) else [None]:
            parts = text.split() if isinstance(text, str) else []
            number = parse_number(parts[2], "bound", table.fault) if len(parts) == 3 else None
            if len(parts) != 3 or parts[1] not in (">=", "<=", ">", "<") or number is None:
                table.fault(f'rule {text!r} is not one; write it as "volatility <= 0.6"')
                continue
            rules.append(ScreenRule(parts[0], parts[1], number))
        ranking = table.fields.get("rank_by")
        numbers = ranking.values() if isinstance(ranking, dict) else ()
        if not any(numbers) or not all(type(each) in (int, float) for each in numbers):
            table.fault("rank_by is missing; write rank_by = { momentum_12_1 = 1.0 }")
            ranking = {}
        rank_by = tuple((str(name), float(weight)) for name, weight in (ranking or {}).items())
        screens[key] = ScreenSpec(key, table.text("label"), table.text("label_ja"), tuple(rules), rank_by)
    if not screens:
        faults.add("screens.toml", 1, "a universe needs at least one screen")
    return screens


def _events(faults: Faults, segments: Mapping[str, Segment]) -> tuple[SupplyEvent, ...]:
    events = []
    for line, row in faults.csv("events.csv", EVENT_COLUMNS):

        def fault(what: str, line: int = line) -> None:
            faults.add("events.csv", line, what)

        for word in _words(row["segments"]):
            if word not in segments:
                fault(f"segment {word!r} is not defined{near(word, segments)}")
        day, end_day = parse_day(row["day"], "day", fault), parse_day(row["end_day"], "end_day", fault)
        if day is None:
            fault("day is empty")
        elif end_day is not None and end_day < day:
            fault(f"end_day {end_day} is before day {day}")
        sources = tuple(each.strip() for each in row["sources"].split("|") if each.strip())
        events.append(
            SupplyEvent(
                row["key"],
                day or date.min,
                end_day,
                row["title"],
                row["title_ja"] or row["title"],
                row["kind"],
                _words(row["segments"]),
                sources,
                row["verified"],
            )
        )
    return tuple(sorted(events, key=lambda each: (each.day, each.key)))


def _words(cell: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in cell.split(";") if each.strip())
