"""`screener universe`: what a universe states."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.options import JsonOption, UniverseOption, parse_date
from screener.cli.show import Column, dump, print_table, say, tell

if TYPE_CHECKING:
    from screener.universe.model import Instrument, Universe

BASED = (  # facts of an instrument that rest on something
    *(
        "symbol",
        "mic",
        "currency",
        "domicile",
        "operations",
        "segment",
        "other_segments",
        "materials",
        "purity",
    ),
    *("china_dependence", "listed_from", "delisted_on", "predecessor", "lot_size", "tags"),
)
app = typer.Typer(help="What the universe states: its names, segments and themes.", no_args_is_help=True)


@app.command("list")
def list_instruments(
    universe: UniverseOption = "rare_earth_ai",
    segment: Annotated[str, typer.Option("--segment", help="Only this segment, primary or other.")] = "",
    theme: Annotated[str, typer.Option("--theme", help="Only this theme's members.")] = "",
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", parser=parse_date, metavar="DATE", help="Only names listed on this date."),
    ] = None,
    unlisted: Annotated[
        bool, typer.Option("--unlisted", help="The private, state and other organisations instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the instruments, upstream to downstream. Example: screener universe list --as-of 2015-01-02."""
    loaded = _load(universe)
    chosen = [each for each in _choose(loaded, segment, theme) if as_of is None or each.is_listed(as_of)]
    if unlisted:
        _list_unlisted(loaded, segment, as_json)
        return
    if as_json:
        dump([_facts(loaded, each.symbol) for each in chosen])
        return
    columns = [
        Column("Symbol"),
        Column("Name", flexible=True),
        Column("Stage", drop=2),
        Column("Purity", drop=3),
    ]
    columns += [Column("China", drop=1), Column("From", drop=4), Column("Until", drop=5)]
    print_table(columns, [_row(loaded, each) for each in chosen])
    say(f"{len(chosen)} instruments, {len(loaded.benchmarks)} benchmarks, {len(loaded.themes)} themes")


def _list_unlisted(loaded: Universe, segment: str, as_json: bool) -> None:
    from dataclasses import asdict

    chosen = [
        each
        for each in loaded.organisations.values()
        if not segment or segment in (each.segment, *each.other_segments)
    ]
    if as_json:
        dump([asdict(each) for each in chosen])
        return
    for each in chosen:
        since = f", {each.status_on}" if each.status_on else ""
        say(f"{each.name} ({each.kind}{since}; {loaded.segments[each.segment].label})")
        say(f"  {each.status}")
    say(f"{len(chosen)} organisations on the chain that cannot be bought on an exchange")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A symbol, theme, segment, material or unlisted organisation.")],
    universe: UniverseOption = "rare_earth_ai",
    as_json: JsonOption = False,
) -> None:
    """Show all that is stated of a name, with what each fact rests on. Example: screener universe show MP."""
    loaded = _load(universe)
    key = _key(loaded, name)
    facts = _facts(loaded, key)
    if as_json:
        dump(facts)
        return
    each = loaded.everything().get(key)
    rows = []
    for fact, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        stated = text not in ("", "None")
        basis = each.basis(fact) if each is not None and stated and fact in BASED else "source"
        rows.append(
            [fact.replace("_", " "), text if stated else "—", "" if basis == "source" else f"({basis})"]
        )
    print_table([Column("Fact"), Column("Stated", flexible=True, folds=True), Column("Rests on")], rows)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The folder to make.", metavar="NAME")],
) -> None:
    """Make a commented folder for a universe of your own. Example: screener universe new my_universe."""
    from pathlib import Path

    from screener.universe.template import write_template

    folder = write_template(Path(name))
    say(f"fill in its files; README.md there says how. Then: screener universe check --universe {folder}")
    say(str(folder))


@app.command("check")
def check(universe: UniverseOption = "rare_earth_ai", as_json: JsonOption = False) -> None:
    """Check every file of a universe and report all faults at once. Ends with 2 when there is one."""
    from screener.api import check_universe
    from screener.universe.load import find_universe, universe_warnings

    loaded = check_universe(find_universe(universe))
    warnings = universe_warnings(loaded, datetime.now(UTC).date())
    if as_json:
        dump({"schema": "screener.universe/1", "universe": loaded.key, "faults": [], "warnings": warnings})
        return
    for line in warnings:
        tell(f"warning: {line}")
    counts = (
        f"{len(loaded.instruments)} instruments, {len(loaded.organisations)} unlisted organisations, "
        f"{len(loaded.segments)} segments, {len(loaded.materials)} materials, {len(loaded.themes)} themes"
    )
    more = f"{len(loaded.screens)} screens, {len(loaded.events)} events, {len(loaded.scenarios)} scenarios"
    say(f"{loaded.key}: no faults in {counts}, {more}")


def _load(universe: str) -> Universe:
    from screener.universe.load import find_universe, load_universe

    return load_universe(find_universe(universe))


def _choose(loaded: Universe, segment: str, theme: str) -> list[Instrument]:
    from screener.api import theme_named, unknown
    from screener.errors import UserError

    if segment and segment not in loaded.segments:
        raise UserError(unknown("segment", segment, list(loaded.segments)))
    rule = theme_named(loaded, theme).rule if theme else None
    chosen = [
        each
        for each in loaded.instruments.values()
        if (not segment or segment in each.segments()) and (rule is None or rule.matches(each))
    ]
    return sorted(chosen, key=lambda each: (loaded.segments[each.segment].order, each.symbol))


def _row(loaded: Universe, each: Instrument) -> list[str]:
    label = loaded.segments[each.segment].label
    until = str(each.delisted_on or "")
    return [
        each.symbol,
        each.name,
        label,
        each.purity,
        each.china_dependence,
        str(each.listed_from or ""),
        until,
    ]


def _key(loaded: Universe, name: str) -> str:
    """Return the symbol or key that a name means, whatever its case; a whole company name will do too."""
    from screener.api import unknown
    from screener.errors import UserError

    everything = loaded.everything()
    known = [*everything, *loaded.themes, *loaded.segments, *loaded.materials, *loaded.organisations]
    if name in known:
        return name
    names = {key: each.name for key, each in everything.items()}
    names |= {key: each.name for key, each in loaded.organisations.items()}
    by_fold = {called.casefold(): key for key, called in names.items()} | {
        key.casefold(): key for key in known
    }
    if name.casefold() not in by_fold:
        raise UserError(unknown("name", name, known))
    return by_fold[name.casefold()]


def _facts(loaded: Universe, key: str) -> dict[str, object]:
    """Return all that is stated of a symbol, theme, segment, material or organisation."""
    from dataclasses import asdict

    equities = loaded.instruments.values()
    if key in loaded.themes:
        theme = loaded.themes[key]
        rule = {f"rule {field}": words for field, words in asdict(theme.rule).items() if words}
        stated = {field: value for field, value in asdict(theme).items() if field != "rule"}
        return {**stated, **rule, "members": tuple(s.symbol for s in equities if theme.rule.matches(s))}
    if key in loaded.segments:
        members = tuple(each.symbol for each in equities if each.segment == key)
        return {**asdict(loaded.segments[key]), "members": members}
    if key in loaded.materials:
        members = tuple(
            each.symbol for each in equities if key in (*each.materials, *loaded.elements_of(each))
        )
        uses = tuple(f"{segment}: {product}" for segment, product in loaded.materials[key].uses)
        return {**asdict(loaded.materials[key]), "uses": uses, "members": members}
    if key in loaded.organisations:
        return asdict(loaded.organisations[key])
    each = loaded.everything()[key]
    return {
        **asdict(each),
        "themes": tuple(theme.key for theme in loaded.themes.values() if theme.rule.matches(each)),
    }
