"""`screener themes` and `screener dependence`: what the themes are, and where they stand on the chain."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption, UniverseOption, parse_date, with_request
from screener.cli.show import Column, dump, percent, print_banner, print_table, progress, say, tell

if TYPE_CHECKING:
    from screener.api import Request
    from screener.risk.dependence import DependenceMap
    from screener.universe.model import Theme, Universe

TITLES = {
    "stage": "Stage",
    "element": "Element",
    "china_dependence": "Dependence on China",
    "operations": "Country of operations",
    "domicile": "Domicile",
}


def themes(
    universe: UniverseOption = "rare_earth_ai",
    as_of: Annotated[
        date | None,
        typer.Option(
            "--as-of", parser=parse_date, metavar="DATE", help="Members on a date. [default: today]"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the themes with their members, purity and limits. Example: screener themes --as-of 2015-06-01."""
    from screener.universe.load import find_universe, load_universe
    from screener.universe.purity import LEAST_PURITY

    loaded = load_universe(find_universe(universe))
    on = as_of or datetime.now(UTC).date()
    facts = {key: _facts(loaded, theme, on) for key, theme in loaded.themes.items()}
    if as_json:
        dump({"schema": "screener.themes/1", "as_of": str(on), "themes": facts})
        return
    columns = [Column("Theme"), Column("Label", 1, flexible=True), Column("Names", number=True)]
    columns += [Column("Purity", number=True), Column("Cap", 4, True), Column("Stage cap", 5, True)]
    columns += [Column("Method", 2), Column("Benchmark", 3), Column("Known from", 6)]
    print_table(columns, [_row(theme, facts[key]) for key, theme in loaded.themes.items()])
    say(f"members listed on {on}; purity: share of their value that rare earths drive (a judgement)")
    for key, each in facts.items():
        if each["purity"] is not None and each["purity"] < LEAST_PURITY:
            tell(f"warning: {key} is {each['purity']:.0%} pure, less than {LEAST_PURITY:.0%}")


def _facts(loaded: Universe, theme: Theme, on: date) -> dict[str, Any]:
    from screener.universe.purity import theme_purity

    members = loaded.members(theme, on)
    purity = theme_purity(members)
    return {
        "label": theme.label,
        "members": [each.symbol for each in members],
        "issuers": len({each.issuer for each in members}),
        "purity": None if purity is None else purity.middle,
        "purity_bounds": None if purity is None else (purity.low, purity.high),
        "method": theme.method,
        "benchmark": theme.benchmark,
        "known_from": theme.known_from,
        "max_weight": theme.max_weight,
        "max_segment_weight": theme.max_segment_weight,
        "note": theme.note,
    }


def _row(theme: Theme, facts: dict[str, Any]) -> list[str]:
    purity = "—" if facts["purity"] is None else percent(facts["purity"], signed=False, digits=0)
    caps = [percent(each, signed=False, digits=0) for each in (theme.max_weight, theme.max_segment_weight)]
    known = str(theme.known_from or "—")
    names = str(len(facts["members"]))
    return [theme.key, theme.label, names, purity, *caps, theme.method, theme.benchmark or "—", known]


@with_request
def dependence(
    request: Request,
    theme: Annotated[str, typer.Argument(help="A theme of the universe.")] = "",
    portfolio: Annotated[
        Path | None, typer.Option("--portfolio", help="A CSV of symbol,weight instead of a theme.")
    ] = None,
    equal: Annotated[
        bool, typer.Option("--equal", help="Every issuer of the theme alike; asks for no prices.")
    ] = False,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="COUNTRY:STAGE", help="Without this node, such as CN:refining."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a theme by stage, element, country and dependence. Example: screener dependence magnets --equal."""
    from screener.risk.dependence import dependence_map, parse_node
    from screener.universe.load import find_universe, load_universe

    universe = load_universe(find_universe(request.universe))
    nodes = [parse_node(each, universe) for each in drop or []]
    result = dependence_map(universe, _weights(request, universe, theme, portfolio, equal), nodes)
    if as_json:
        dump(_as_records(result))
    else:
        _print(universe, result, drop or [])


def _weights(
    request: Request, universe: Universe, theme: str, portfolio: Path | None, equal: bool
) -> dict[str, float]:
    """Return the weights asked for: a file's, every issuer alike, or the theme's portfolio of the as-of date."""
    from screener.api import build, load_market, theme_named
    from screener.universe.weights_file import read_weights

    if bool(theme) == bool(portfolio):
        raise typer.BadParameter("name a theme, or a file with --portfolio", param_hint="THEME")
    if portfolio is not None:
        return read_weights(portfolio, universe.instruments)
    chosen = theme_named(universe, theme)
    if equal:
        members = universe.members(chosen, request.as_of)
        lines = [each.issuer for each in members]
        return {each.symbol: 1 / lines.count(each.issuer) for each in members}
    with progress("prices") as show:
        market = load_market(request, show)
    print_banner(market)
    weights = build(market, chosen).weights
    return {str(symbol): float(weight) for symbol, weight in weights.items()}


def _print(universe: Universe, result: DependenceMap, dropped: list[str]) -> None:
    for axis, shares in result.shares.items():
        labels = {key: each.label for key, each in universe.segments.items()} if axis == "stage" else {}
        touching = result.touching[axis]
        rows = [
            [labels.get(str(key), str(key)), _share(shares.get(key, 0.0)), _share(share)]
            for key, share in touching.items()
        ]
        columns = [Column(TITLES[axis], flexible=True), Column("Share", 0, True), Column("Touching", 0, True)]
        print_table(columns, rows)
        say(f"sum {_share(float(shares.sum()))}, overlaps {_share(float(touching.sum()) - 1.0)}")
        say()
    say(f"{_share(result.unverified)} rests on names whose facts are not verified in full")
    if dropped:
        say(f"without {', '.join(dropped)}: {_share(result.lost)} is lost, the rest is scaled to 100%;")
        say(f"{_share(result.exposed)} of the rest is downstream and depends on China highly")


def _share(fraction: float) -> str:
    return percent(fraction, signed=False)


def _as_records(result: DependenceMap) -> dict[str, Any]:
    return {
        "schema": "screener.dependence/1",
        "shares": {axis: shares.to_dict() for axis, shares in result.shares.items()},
        "touching": {axis: shares.to_dict() for axis, shares in result.touching.items()},
        "nodes": {str(country): row.to_dict() for country, row in result.nodes.iterrows()},
        "unverified": result.unverified,
        "lost": result.lost,
        "exposed": result.exposed,
    }
