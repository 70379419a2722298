"""`screener universe`: what a universe states."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.options import JsonOption, UniverseOption
from screener.cli.show import Column, plain, print_table, say, tell

if TYPE_CHECKING:
    from screener.universe.model import Instrument, Universe

app = typer.Typer(help="What the universe states: its names, segments and themes.", no_args_is_help=True)


@app.command("list")
def list_instruments(
    universe: UniverseOption = "rare_earth_ai",
    segment: Annotated[str, typer.Option("--segment", help="Only this segment, primary or other.")] = "",
    theme: Annotated[str, typer.Option("--theme", help="Only this theme's members.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the instruments, upstream to downstream. Example: screener universe list --segment magnets."""
    loaded = _load(universe)
    chosen = _choose(loaded, segment, theme)
    if as_json:
        _dump([_facts(loaded, each) for each in chosen])
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


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A symbol, a theme or a segment.")],
    universe: UniverseOption = "rare_earth_ai",
    as_json: JsonOption = False,
) -> None:
    """Show all that is stated of a symbol, theme or segment. Example: screener universe show MP."""
    loaded = _load(universe)
    facts = _find(loaded, name)
    if as_json:
        _dump(facts)
        return
    for key, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        say(
            f"{key.replace('_', ' '):<18} {text}"
            if text not in ("", "None")
            else f"{key.replace('_', ' '):<18} —"
        )


@app.command("check")
def check(universe: UniverseOption = "rare_earth_ai", as_json: JsonOption = False) -> None:
    """Check every file of a universe and report all faults at once. Ends with 2 when there is one."""
    from screener.portfolio.weighting import method_named
    from screener.screening.metrics import metric_named
    from screener.universe.load import universe_warnings

    loaded = _load(universe)
    for theme in loaded.themes.values():
        method_named(theme.method)
    for screen in loaded.screens.values():
        for metric in [*(rule.metric for rule in screen.rules), *(name for name, _ in screen.rank_by)]:
            metric_named(metric)
    warnings = universe_warnings(loaded, datetime.now(UTC).date())
    if as_json:
        _dump({"schema": "screener.universe/1", "universe": loaded.key, "faults": [], "warnings": warnings})
        return
    for line in warnings:
        tell(f"warning: {line}")
    counts = (
        f"{len(loaded.instruments)} instruments, {len(loaded.segments)} segments, {len(loaded.themes)} themes"
    )
    say(f"{loaded.key}: no faults in {counts}, {len(loaded.screens)} screens, {len(loaded.events)} events")


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


def _facts(loaded: Universe, each: Instrument) -> dict[str, object]:
    from dataclasses import asdict

    themes = tuple(theme.key for theme in loaded.themes.values() if theme.rule.matches(each))
    return {**asdict(each), "themes": themes}


def _find(loaded: Universe, name: str) -> dict[str, object]:
    from dataclasses import asdict

    from screener.api import unknown
    from screener.errors import UserError

    everything = loaded.everything()
    if name in everything or name.upper() in everything:
        return _facts(loaded, everything.get(name) or everything[name.upper()])
    if name in loaded.themes:
        theme = loaded.themes[name]
        members = tuple(each.symbol for each in loaded.instruments.values() if theme.rule.matches(each))
        rule = {f"rule {key}": words for key, words in asdict(theme.rule).items() if words}
        return {
            **{key: value for key, value in asdict(theme).items() if key != "rule"},
            **rule,
            "members": members,
        }
    if name in loaded.segments:
        members = tuple(each.symbol for each in loaded.instruments.values() if each.segment == name)
        return {**asdict(loaded.segments[name]), "members": members}
    raise UserError(
        unknown("symbol, theme or segment", name, [*everything, *loaded.themes, *loaded.segments])
    )


def _dump(content: object) -> None:
    import json

    say(json.dumps(plain(content), ensure_ascii=False, indent=1))
