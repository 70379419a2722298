"""`screener prices`: fill the store, and see what it holds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import typer

from screener.cli.options import JsonOption, with_request
from screener.cli.show import (
    PARTIAL,
    Column,
    finish,
    print_banner,
    print_json,
    print_table,
    progress,
    say,
    tell,
)

if TYPE_CHECKING:
    from screener.api import Request
    from screener.market.store import SymbolOutcome

app = typer.Typer(help="The price store: bring it up to date, see what it holds.", no_args_is_help=True)


@app.command("update")
@with_request
def update(request: Request, as_json: JsonOption = False) -> None:
    """Fetch what the store lacks. Example: screener prices update --source yahoo."""
    from screener.api import refresh

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
    """Show first, last, gaps and state of each symbol in the store. Example: screener prices status."""
    from screener.api import status as stored_status

    table, market = stored_status(request)
    if as_json:
        print_json("prices", market, table.reset_index(names="symbol").to_dict("records"))
        finish(market, quietly=True)
        return
    print_banner(market)
    columns = [
        Column("Symbol"),
        Column("State"),
        Column("First", drop=4),
        Column("Last"),
        Column("Rows", 3, True),
    ]
    columns += [Column("Missed", 1, True), Column("Bad", 2, True), Column("Restated", 5, True)]
    columns += [Column("Reason", drop=6, flexible=True)]
    print_table(columns, [_status_row(str(symbol), row) for symbol, row in table.iterrows()])
    counts = Counter(each.state for each in market.states.values())
    say(", ".join(f"{count} {state}" for state, count in counts.most_common()))
    say(str(request.store))
    finish(market, quietly=True)


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
    import json
    from dataclasses import asdict

    say(
        json.dumps(
            {"schema": "screener.update/1", "data": [asdict(each) for each in outcomes.values()]}, indent=1
        )
    )


def _status_row(symbol: str, row: Any) -> list[str]:
    def text(value: Any) -> str:
        return "—" if value is None or value != value else str(value)

    restated = 0 if row["restated"] != row["restated"] else int(row["restated"])
    counts = [str(row["missed"]), str(row["quarantined"]), str(restated)]
    return [
        symbol,
        row["state"],
        text(row["first"]),
        text(row["last"]),
        f"{row['rows']:,}",
        *counts,
        row["reason"],
    ]
