"""`screener reports`: the reports in the output folder, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption
from screener.cli.show import SYNTHETIC, Column, dump, percent, print_table, say, tell

if TYPE_CHECKING:
    from screener.report.differences import Differences, Move, ThemeDifference
    from screener.report.memory import Previous

app = typer.Typer(help="The reports that were written, and what differs between two.", no_args_is_help=True)

OutputOption = Annotated[
    Path, typer.Option("--output", envvar="SCREENER_OUTPUT", help="Folder of the reports.")
]
UniverseOption = Annotated[
    str, typer.Option("--universe", help="Of this universe alone. [default: of all; diff: the only one]")
]
WIDTH = 80
HORIZONS = ("week", "year")
WHY = {
    "unreadable": "cannot be read; look at its permissions",
    "broken": "is broken; make the report again with `screener weekly`",
    "foreign": "is no report that this version knows; name another",
}


@app.command("list")
def list_reports(
    output: OutputOption = Path("outputs"),
    universe: UniverseOption = "",
    as_json: JsonOption = False,
) -> None:
    """List the stored reports, newest first. Example: screener reports list."""
    from screener.report.memory import PassedOver, stored_reports

    found = list(stored_reports(output, Path(universe).name))
    good = [each for each in found if not isinstance(each, PassedOver)]
    rows = [_facts(output, each) for each in good]
    bad = [each for each in found if isinstance(each, PassedOver)]
    if as_json:
        faults = [{"path": each.path, "why": each.why} for each in bad]
        dump({"schema": "screener.reports/1", "output": str(output), "reports": rows, "passed_over": faults})
    elif not rows:
        say(f"no report is stored in {output}")
    else:
        columns = [Column("Week"), Column("As of"), Column("Universe"), Column("Lang", 3)]
        columns += [Column("Prices"), Column("Base", 4), Column("State", flexible=True), Column("Folder", 5)]
        print_table(columns, [list(row.values()) for row in rows])
        say(f"each in {output}/<week>/<universe>/")
    for each in bad:
        tell(f"passed over: {output}/{each.path} {WHY[each.why]}")


def _facts(output: Path, report: Previous) -> dict[str, str]:
    record, run = report.record, report.record["run"]
    return {
        "week": report.week,
        "as_of": str(report.as_of),
        "universe": report.universe,
        "language": str(record.get("language", "")),
        "prices": "SYNTHETIC" if report.synthetic else str(run.get("source", "")),
        "base_currency": run["base_currency"],
        "state": _state(record),
        "folder": str((output / report.path).parent),
    }


def _state(record: Mapping[str, Any]) -> str:
    """Return "complete", or how many symbols had old or no prices, or were not updated."""
    outcomes = record.get("outcomes", {})
    states, failures = outcomes.get("states", {}), outcomes.get("failures", {})
    counts = {name: states.get(name, 0) for name in ("stale", "missing")} | {"failed": len(failures)}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "complete"


@app.command("diff")
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A week such as 2026-W27, a folder or a run.json.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The report that A is compared with.")],
    output: OutputOption = Path("outputs"),
    universe: UniverseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what differs between two reports. Example: screener reports diff 2026-W27 2026-W28."""
    from screener.errors import UserError
    from screener.report.differences import differences

    then, now = (_found(each, output, Path(universe).name) for each in (a, b))
    if then.universe != now.universe:
        raise UserError(
            f"{a} is of universe {then.universe}, {b} of {now.universe}; name two of one universe"
        )
    if then.synthetic != now.synthetic:
        raise UserError(f"one of {a} and {b} is made from SYNTHETIC prices, the other is not")
    found = differences(then.record, now.record)
    if as_json:
        dump(_record(then, now, found))
    else:
        _print(then, now, found)


def _found(words: str, output: Path, universe: str) -> Previous:
    """Return the report that a week, a folder or a file names. Raises UserError."""
    from screener.errors import UserError
    from screener.report.memory import RECORD, WEEK, PassedOver, read_report

    path = Path(words)
    if WEEK.fullmatch(words) and not path.exists():
        folder = output / words
        paths = sorted(folder.glob(f"{universe or '[!.]*'}/{RECORD}"))
        if not paths:
            of = f" of {universe}" if universe else ""
            raise UserError(f"no report{of} in {folder}; `screener reports list` names those there are")
        if len(paths) > 1:
            names = ", ".join(each.parent.name for each in paths)
            raise UserError(f"{folder} has reports of {names}; choose one with --universe")
        path = paths[0]
    elif path.is_dir():
        path = path / RECORD
    if not path.is_file():
        raise UserError(f"{words}: no such report; name a week such as 2026-W27, a folder or a run.json")
    report = read_report(path)
    if isinstance(report, PassedOver):
        raise UserError(f"{path} {WHY[report.why]}")
    return report


def _print(then: Previous, now: Previous, found: Differences) -> None:
    if now.synthetic:
        say(SYNTHETIC)
    say(f"{now.universe}: A as of {then.as_of}, B as of {now.as_of}")
    if found.themes:
        columns = [
            Column("Theme"),
            Column("Week A", 0, True),
            Column("B", 0, True),
            Column("Year A", 1, True),
        ]
        columns += [Column("B", 1, True), Column("One-way", 0, True), Column("Largest change", 2)]
        print_table(columns, [_theme_row(then, now, each) for each in found.themes])
    _print_split(then, now)
    for title, moves in (("Holdings", found.moves), ("Screens", found.screens)):
        if moves:
            say(
                f"{title}: {sum(each.entered for each in moves)} in, {sum(not each.entered for each in moves)} out"
            )
        for move in moves:
            _line(_words(move))
    for words, keys in (("only in B", found.new_themes), ("only in A", found.gone_themes)):
        if keys:
            _line(f"themes {words}: {', '.join(keys)}")
    _print_rules(then, now, found)
    say(f"Data: A {_state(then.record)}; B {_state(now.record)}")


def _print_split(then: Previous, now: Previous) -> None:
    """Print what made the returns, where B was compared with A when it was made."""
    split = _split(then, now)
    if not split:
        return
    say(f"What made B's returns since {then.as_of}:")
    names = ("Local price", "Currency", "Dividends", "Costs")
    columns = [Column("Theme"), Column("Return", 0, True), *(Column(each, 0, True) for each in names)]
    print_table(columns, [[key, *(percent(each, digits=2) for each in row)] for key, row in split.items()])


def _split(then: Previous, now: Previous) -> dict[str, list[float]]:
    """Return total, price, currency, dividends and cost by theme from B's record; empty if it is against another."""
    changes = now.record.get("changes") or {}
    if changes.get("against", {}).get("as_of") != str(then.as_of):
        return {}
    from screener.report.changes import PARTS

    return {
        key: [
            float("nan") if each["total"] is None else each["total"],
            *(sum(row.get(part) or 0.0 for row in each["segments"].values()) for part in PARTS),
        ]
        for key, each in changes["themes"].items()
    }


def _theme_row(then: Previous, now: Previous, found: ThemeDifference) -> list[str]:
    returns = [
        _percent(each.record["themes"][found.theme]["returns"].get(horizon))
        for horizon in HORIZONS
        for each in (then, now)
    ]
    symbol, (before, after) = next(iter(found.weights.items()), ("", (0.0, 0.0)))
    largest = f"{symbol} {percent(after - before)}" if symbol else "—"
    return [found.theme, *returns, percent(found.turnover, signed=False), largest]


def _percent(value: float | None) -> str:
    return percent(float("nan") if value is None else value)


def _words(move: Move) -> str:
    way = "in" if move.entered else "out"
    weights = "" if move.then is None else f" {_share(move.then)} → {_share(move.now)}"
    reason = f"no longer: {move.reason}" if move.earlier else move.reason
    return f"{move.where} {way} {move.symbol}{weights}: {reason}"


def _share(value: float | None) -> str:
    return percent(0.0 if value is None else value, signed=False)


def _print_rules(then: Previous, now: Previous, found: Differences) -> None:
    say(f"Rules, settings and versions that differ: {len(found.rules)}")
    if not found.rules_known:
        say("  A does not state its rules, so only settings and versions are compared")
    for each in found.rules:
        name = " ".join(part for part in (each.kind, each.key, each.field) if part)
        _line(f"{name}: {each.then or '—'} → {each.now or '—'}")
    for label, name in (("Universe", "universe_hash"), ("Prices", "prices_hash")):
        a, b = (str(each.record["run"].get(name, "")) for each in (then, now))
        say(f"{label} SHA-256: " + (f"the same, {a[:8]}" if a == b else f"A {a[:8]}, B {b[:8]}"))


def _line(words: str) -> None:
    say(fill(words, WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False))


def _record(then: Previous, now: Previous, found: Differences) -> dict[str, Any]:
    from dataclasses import asdict

    from screener.report.changes import PARTS

    def side(each: Previous) -> dict[str, Any]:
        run = each.record["run"]
        kept = ("version", "base_currency", "source", "universe_hash", "prices_hash", "generated_at")
        return {
            "week": each.week,
            "as_of": str(each.as_of),
            "path": each.path,
            "state": _state(each.record),
            "outcomes": each.record.get("outcomes"),
            **{name: run.get(name) for name in kept},
        }

    split, names = _split(then, now), ("total", *PARTS)
    return {
        "schema": "screener.reports-diff/1",
        "universe": now.universe,
        "prices": "SYNTHETIC" if now.synthetic else "market",
        "a": side(then),
        "b": side(now),
        "themes": {
            each.theme: {
                "returns": {
                    name: report.record["themes"][each.theme]["returns"]
                    for name, report in (("a", then), ("b", now))
                },
                "return_since_a": dict(zip(names, split[each.theme], strict=True))
                if each.theme in split
                else None,
                "turnover": each.turnover,
                "weights": {symbol: {"a": a, "b": b} for symbol, (a, b) in each.weights.items()},
                "moves": [asdict(move) for move in each.moves],
                "binds_now": each.bound,
                "binds_no_longer": each.loosened,
            }
            for each in found.themes
        },
        "new_themes": found.new_themes,
        "gone_themes": found.gone_themes,
        "screens": [asdict(each) for each in found.screens],
        "rules": [asdict(each) for each in found.rules],
        "rules_known": found.rules_known,
    }
