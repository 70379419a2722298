"""Print for people and for programs: tables that never cut a number, progress on stderr, JSON, exit codes."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from screener.api import EarningsDates, Market, Progress, Stated
    from screener.market.refresh import SymbolOutcome

PARTIAL = 3
SYNTHETIC = "SYNTHETIC PRICES: made by the sample source, not market data"
NAMES_SHOWN = 4
NARROWEST, GAP = 12, 2  # of a flexible column, and between columns


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a terminal table. The highest `drop` goes first when it is narrow; 0 is always shown."""

    header: str
    drop: int = 0
    number: bool = False
    flexible: bool = False  # may be shortened with an ellipsis; symbols and numbers never are
    folds: bool = False  # runs on in a second line instead of being shortened


def console(*, to_stderr: bool = False) -> Console:
    """Return a console; off a terminal it is wide, because rich would assume 80 columns and cut numbers."""
    stream = sys.stderr if to_stderr else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else 160
    return Console(file=stream, width=wide, highlight=False, soft_wrap=False)


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], out: Console | None = None, gap: int = GAP
) -> None:
    """Print rows under columns: whole columns go, and flexible ones shrink, before a number would be cut."""
    out = out or console()
    widths = _widths(columns, rows)
    kept = list(range(len(columns)))

    def least(position: int) -> int:
        return min(widths[position], NARROWEST) if columns[position].flexible else widths[position]

    while sum(least(each) + gap for each in kept) - gap > out.width and any(
        columns[each].drop for each in kept
    ):
        kept.remove(max(kept, key=lambda each: columns[each].drop))
    spare = out.width + gap - sum(least(each) + gap for each in kept)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for position, column in ((each, columns[each]) for each in kept):
        width = least(position)
        if column.flexible and spare > 0:
            width, spare = min(widths[position], width + spare), spare - min(widths[position] - width, spare)
        justify: JustifyMethod = "right" if column.number else "left"
        table.add_column(
            column.header,
            justify=justify,
            no_wrap=not column.folds,
            overflow="fold" if column.folds else "ellipsis",
            width=width,
        )
    for row in rows:
        table.add_row(*(Text(row[each]) for each in kept))
    out.print(table)


def width_of(columns: Sequence[Column], rows: Sequence[Sequence[str]], gap: int = GAP) -> int:
    """Return how wide a table is when nothing is left out."""
    widths = _widths(columns, rows)
    return sum(widths) + gap * (len(widths) - 1)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(Text(each).cell_len for each in (column.header, *(row[position] for row in rows)))
        for position, column in enumerate(columns)
    ]


def say(line: str = "") -> None:
    """Print one plain line of a result to stdout."""
    typer.echo(line)


def tell(line: str) -> None:
    """Print a notice to stderr, where it disturbs no result."""
    typer.echo(line, err=True)


def percent(value: float, *, signed: bool = True, digits: int = 1) -> str:
    """Format a fraction as a percentage with a true minus, or an em dash when it is not known."""
    if value is None or math.isnan(value):
        return "—"
    text = f"{abs(value) * 100:.{digits}f}%"
    if float(text[:-1]) == 0:
        return text
    return ("−" if value < 0 else "+" if signed else "") + text


def number(value: float, digits: int = 2) -> str:
    """Format a number with a true minus, or an em dash when it is not known."""
    return "—" if value is None or math.isnan(value) else f"{value:,.{digits}f}".replace("-", "−")


def millions(value: float) -> str:
    """Format an amount of money in millions."""
    return "—" if value is None or math.isnan(value) else f"{value / 1e6:,.1f}"


def print_json(kind: str, market: Market, content: Any) -> None:
    """Print one object with the result, its as-of date and whether it is complete."""
    typer.echo(
        json.dumps(
            {
                "schema": f"screener.{kind}/1",
                "as_of": str(market.request.as_of),
                "base_currency": market.request.base,
                "prices": "SYNTHETIC" if market.panel.synthetic else market.request.source,
                "status": "partial" if market.problems else "complete",
                "data": plain(content),
                "warnings": [*market.warnings, *market.problems],
            },
            ensure_ascii=False,
            indent=1,
            allow_nan=False,
        )
    )


def dump(content: Any) -> None:
    """Print one JSON object that needs no market beside it."""
    typer.echo(json.dumps(plain(content), ensure_ascii=False, indent=1, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: NaN becomes null, dates become text, numbers become Python's."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is not None and value != value:  # pandas' unknown instant
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def print_banner(market: Market) -> None:
    """Say first, where it cannot be overlooked, that prices are synthetic."""
    if market.panel.synthetic:
        say(SYNTHETIC)


def finish(market: Market, *, quietly: bool = False, stated: Stated | EarningsDates | None = None) -> None:
    """Name what was missing and end with exit code 3, or return when nothing was; `stated` names its own failures."""
    problems = market.problems
    if not problems and (stated is None or not stated.failures):
        return
    if problems and not quietly:
        tell(f"Partial: {len(problems)} symbols have missing or old prices.")
        for line in _grouped(market):
            tell(f"  {line}")
        tell("  `screener prices status` gives each one's reason")
    raise typer.Exit(PARTIAL)


def _grouped(market: Market) -> list[str]:
    """Return a line for each group of symbols with one trouble: the same state, exchange and newest price."""
    from screener.market.sessions import city_of

    everything = market.universe.everything()
    groups: dict[str, list[str]] = {}
    for symbol, state in market.states.items():
        if state.state == "stale":
            reason = f"stale, {city_of(everything[symbol].mic)}, newest price of {state.last}"
        elif state.state == "missing":
            reason = "missing, " + (
                market.outcomes[symbol].outcome if symbol in market.failures else state.reason
            )
        elif symbol in market.failures and state.state == "fresh":
            reason = f"not updated, {market.outcomes[symbol].outcome}"
        else:
            continue
        groups.setdefault(reason, []).append(symbol)
    for symbol in set(market.failures) - set(market.states):  # currency pairs
        groups.setdefault(f"not updated, {market.outcomes[symbol].outcome}", []).append(symbol)
    lines = []
    for reason, symbols in sorted(groups.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(symbols[:NAMES_SHOWN]) + (" …" if len(symbols) > NAMES_SHOWN else "")
        lines.append(f"{len(symbols)} {reason}: {shown}")
    return lines


@contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """Show a bar on stderr while prices come in; off a terminal show nothing."""
    with _bar(what) as update:
        if update is None:
            yield None
            return
        done = 0

        def show(outcome: SymbolOutcome, total: int) -> None:
            nonlocal done
            done += 1
            update(done, total, f"{what} {outcome.symbol:<10}")

        yield show


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar with the time left on stderr; off a terminal show nothing. Called with what is done, of all."""
    with _bar(what) as update:
        yield None if update is None else lambda done, total: update(done, total, what)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int, str], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console(to_stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, words: bar.update(task, completed=done, total=total, description=words)
