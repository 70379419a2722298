"""`screener reproduce`: a report made again from its run.json, and what differs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption
from screener.cli.show import PARTIAL, dump, say, tell

if TYPE_CHECKING:
    from screener.api import Reproduction
    from screener.market.recall import ChangedBar

WIDTH = 80
SHOWN = 3  # restated bars of each symbol


def reproduce(
    record: Annotated[Path, typer.Argument(metavar="RUN.JSON", help="A report's run.json, or its folder.")],
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", envvar="SCREENER_STORE", help="The price store. [default: the one run.json names]"
        ),
    ] = None,
    universe: Annotated[
        str, typer.Option("--universe", help="Where the universe lies now. [default: as in run.json]")
    ] = "",
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="The ledger of trials. [default: beside the store]")
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(
            "--reports",
            metavar="FOLDER",
            help="Where the reports of earlier weeks lie. [default: the output folder run.json lies in]",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="Leave the report made again there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a report again, without the network, and compare every byte. Example: screener reproduce run.json.

    Prices are those stored when the report was made, whatever came since; report.pdf and report.eml are not made
    again. Ends with 0: the same bytes. 3: an input differs, each is named. 1: no input differs but bytes do, or
    it cannot be made again. 2: no run.json that can be read.
    """
    from screener.api import Places
    from screener.api import reproduce as run

    found = run(record, Places(store, universe, ledger, reports))
    if output is not None:
        found.write(output)
    if as_json:
        dump(_record(found, output))
    else:
        _print(found, output)
    if not found.is_same:
        raise typer.Exit(PARTIAL if found.inputs else 1)


def _print(found: Reproduction, output: Path | None) -> None:
    if found.restated:
        symbols = {each.symbol for each in found.restated}
        tell(
            f"{len(found.restated):,} bars of {len(symbols):,} symbols have another version since; not used:"
        )
        for line in _first_of_each(found.restated):
            tell(f"  {line}")
    for heading, lines in (("Inputs that differ", found.inputs), ("Files that differ", found.files)):
        if lines:
            say(f"{heading}:")
            for line in lines:
                say(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    "))
    for name in found.not_made:
        say(f"{name}: not made again, not compared")
    if found.is_same:
        say(f"the same bytes: all {len(found.compared)} files of {found.folder}")
        return
    if not found.inputs:
        say("No recorded input differs: a file was edited, or a processor rounds otherwise.")
    say(str(output) if output is not None else "--output FOLDER leaves the report made again there.")


def _first_of_each(restated: Iterable[ChangedBar]) -> Iterable[str]:
    """Yield the first few of each symbol, and how many more there are."""
    for symbol, group in groupby(restated, lambda each: each.symbol):
        of_it = list(group)
        yield from map(str, of_it[:SHOWN])
        if len(of_it) > SHOWN:
            yield f"{symbol}: {len(of_it) - SHOWN:,} more; --json lists all"


def _record(found: Reproduction, output: Path | None) -> dict[str, Any]:
    return {
        "schema": "screener.reproduction/1",
        "folder": str(found.folder),
        "same": found.is_same,
        "inputs": list(found.inputs),
        "files": list(found.files),
        "compared": list(found.compared),
        "not_made": list(found.not_made),
        "restated": [
            {
                "symbol": each.symbol,
                "session": str(each.session),
                "stored_at": each.stored_at.isoformat(),
                "values": {name: {"old": old, "new": new} for name, (old, new) in each.values.items()},
            }
            for each in found.restated
        ],
        "output": None if output is None else str(output),
    }
