"""`screener prices`: fill the store, and see what it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.options import JsonOption, parse_date, with_request
from screener.cli.price_status import print_status, status_records
from screener.cli.show import PARTIAL, dump, finish, print_banner, print_json, progress, say, tell

if TYPE_CHECKING:
    from screener.api import Request
    from screener.market.refresh import SymbolOutcome
    from screener.market.store_files import Moved

app = typer.Typer(help="The price store: bring it up to date, see what it holds.", no_args_is_help=True)


@app.command("update")
@with_request
def update(
    request: Request,
    requests: Annotated[
        int | None,
        typer.Option(
            "--requests", min=1, help="Most requests in this run; the next run goes on. [default: 2000]"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch what the store lacks. Example: screener prices update --source yahoo."""
    from screener.api import refresh

    request = replace(request, budget=requests)

    with progress("prices") as show:
        outcomes = refresh(request, show)
    failed = _unexpected(request, outcomes)
    if as_json:
        _print_outcomes(outcomes)
    else:
        _summarise(outcomes, failed)
        say(str(request.store))
    if failed:
        raise typer.Exit(1 if request.strict or len(failed) == len(outcomes) else PARTIAL)


@app.command("status")
@with_request
def status(request: Request, as_json: JsonOption = False) -> None:
    """Show first, last, gaps, fetches, restatements and quarantined bars. Example: screener prices status."""
    from screener.api import status as stored_status

    table, market = stored_status(request)
    if as_json:
        print_json("prices", market, status_records(table, market))
        finish(market, quietly=True)
        return
    print_banner(market)
    print_status(table, market)
    say(str(request.store))
    finish(market, quietly=True)


SymbolArgument = Annotated[
    str, typer.Argument(help="The symbol, as the universe names it.", show_default=False)
]
DateArgument = Annotated[
    date, typer.Argument(help="The bar's session.", parser=parse_date, metavar="DATE", show_default=False)
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is stored with the verdict.")]


@app.command("accept")
@with_request
def accept(request: Request, symbol: SymbolArgument, session: DateArgument, reason: ReasonOption) -> None:
    """Take a bar for right whatever the checks say. Example: screener prices accept MP 2025-07-10 --reason news."""
    _judge(request, symbol, session, "accept", reason)


@app.command("reject")
@with_request
def reject(request: Request, symbol: SymbolArgument, session: DateArgument, reason: ReasonOption) -> None:
    """Leave a bar out of every panel. Example: screener prices reject UUUU 2010-05-24 --reason "no such trade"."""
    _judge(request, symbol, session, "reject", reason)


FolderArgument = Annotated[Path, typer.Argument(help="The folder of the export.", show_default=False)]


@app.command("export")
@with_request
def export(request: Request, folder: FolderArgument) -> None:
    """Write the whole store as Parquet, partitioned by year. Example: screener prices export backup."""
    from screener.api import export_prices

    _tell_moved(export_prices(request, folder), "written")
    say(str(folder))


@app.command("import")
@with_request
def import_(request: Request, folder: FolderArgument) -> None:
    """Add what an export holds and the store lacks. Example: screener prices import backup."""
    from screener.api import import_prices

    _tell_moved(import_prices(request, folder), "added")
    say(str(request.store))


def _tell_moved(moved: Moved, what: str) -> None:
    counted = ", ".join(f"{count:,} {name}" for name, count in moved.rows.items())
    say(f"{counted} {what}")


def _judge(request: Request, symbol: str, session: date, decision: str, reason: str) -> None:
    from screener.api import judge

    verdict = judge(request, symbol.upper(), session, decision, reason)
    say(f"{verdict.symbol} {verdict.session}, close {verdict.close:g}: {decision}ed; {verdict.reason}")
    say(str(request.store))


def _unexpected(request: Request, outcomes: dict[str, SymbolOutcome]) -> list[SymbolOutcome]:
    """Return the failures that matter: a source need not know a name that was delisted, or an old symbol."""
    from screener.universe.load import find_universe, load_universe

    everything = load_universe(find_universe(request.universe)).everything()
    gone = {s for s, each in everything.items() if each.delisted_on and each.delisted_on <= request.as_of}
    gone |= {each.predecessor for each in everything.values() if each.predecessor_kind == "renamed"}
    return [each for each in outcomes.values() if each.failed and each.symbol not in gone]


def _summarise(outcomes: dict[str, SymbolOutcome], failed: list[SymbolOutcome]) -> None:
    counts = Counter(each.outcome for each in outcomes.values())
    rows = sum(each.rows for each in outcomes.values())
    say(
        ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        + f"; {rows:,} rows written"
    )
    for each in outcomes.values():
        if each.detail and not each.failed:
            say(f"  {each.symbol}: {each.detail}")
    for each in failed:
        tell(f"  {each.symbol}: {each.outcome}; {each.detail}")


def _print_outcomes(outcomes: dict[str, SymbolOutcome]) -> None:
    from dataclasses import asdict

    dump({"schema": "screener.update/1", "data": [asdict(each) for each in outcomes.values()]})
