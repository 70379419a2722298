"""Make a report again from its run.json and the price store alone, and say what differs.

No source is opened. Prices are those that the store held when the report was made, so neither a year of further
data nor a restated price changes anything; where an input is not what it was, it is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from screener.errors import UserError
from screener.market.load import Request, market_of
from screener.market.recall import ChangedBar, findings_read, recall
from screener.report.model import WeeklyReport
from screener.report.provenance import RunInputs, earnings_read, outcomes_read, recipe_read, request_read
from screener.report.record import SCHEMA
from screener.report.render import MESSAGE, PRINTED, RECORD, contents_of, write_report
from screener.report.weekly import report_of
from screener.universe.load import find_universe, load_universe

Values = Mapping[str, Any]
LONGEST = 50  # characters shown of a line that differs


@dataclass(frozen=True, slots=True)
class Places:
    """Where inputs lie now, if not where they lay then."""

    store: Path | None = None
    universe: str = ""
    ledger: Path | None = None
    reports: Path | None = None  # the output folder with the reports of earlier weeks


@dataclass(frozen=True, eq=False, slots=True)
class Reproduction:
    """A report made again, beside the one that lies in `folder`.

    inputs: a line for each input that is not what it was. files: a line for each file that is not the same bytes.
    not_made: files of the folder that are never made again. restated: bars that have another version since,
    which were not used.
    """

    folder: Path
    request: Request
    report: WeeklyReport
    inputs: tuple[str, ...]
    files: tuple[str, ...]
    compared: tuple[str, ...]
    not_made: tuple[str, ...]
    restated: tuple[ChangedBar, ...]

    @property
    def is_same(self) -> bool:
        """Say whether every file came out the same, from the same inputs."""
        return not self.inputs and not self.files

    def write(self, folder: Path) -> Path:
        """Write the report made again into a folder of its own."""
        if folder.resolve() == self.folder.resolve():
            raise UserError(f"--output: {folder} holds the report that is compared with; name another folder")
        return write_report(self.report, folder)


def reproduce(record: Path, places: Places | None = None) -> Reproduction:
    """Make the report of a run.json again and compare it, byte by byte, with the files beside it.

    Raises UserError for a file that is no run.json of this form, ScreenerError when the store has no prices of it.
    """
    places = places or Places()
    path = record / RECORD if record.is_dir() else record
    run, restated, told = read_run(path, places)
    where = replace(run.request, known_at=run.known_at, store=places.store or run.request.store)
    market = replace(
        market_of(where, run.universe, run.stored), request=replace(where, known_at=run.request.known_at)
    )
    _, report = report_of(market, run, places.reports or path.resolve().parent.parent.parent)
    folder, made = path.parent, contents_of(report)
    now = json.loads(made[RECORD])
    return Reproduction(
        folder=folder,
        request=run.request,
        report=report,
        inputs=tuple(_differences(told, now, run.recipe.look.ledger)),
        files=tuple(line for name, content in made.items() for line in _compared(folder / name, content)),
        compared=tuple(made),
        not_made=tuple(name for name in (PRINTED, MESSAGE) if (folder / name).exists()),
        restated=restated,
    )


def read_run(path: Path, places: Places) -> tuple[RunInputs, tuple[ChangedBar, ...], Values]:
    """Return what a run.json says its report was made from, read anew; what was restated since; and the record."""
    told = _record(path)
    try:
        return *_inputs(told, places), told
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path}: is damaged or was edited ({why}); make the report again") from None


def _inputs(told: Values, places: Places) -> tuple[RunInputs, tuple[ChangedBar, ...]]:
    told_of, identity = told["provenance"], told["run"]["source_identity"]
    request = request_read(told_of["request"])
    known_at = datetime.fromisoformat(told_of["known_at"])
    where = replace(
        request,
        known_at=known_at,
        store=places.store or request.store,
        universe=places.universe or request.universe,
    )
    ledger = places.ledger or where.ledger
    recipe = recipe_read(told_of["settings"], ledger, datetime.fromisoformat(told_of["trials"]["until"]))
    failed, found = outcomes_read(told_of["failed"]), findings_read(told_of["vendor_findings"])
    folder = find_universe(where.universe)
    universe = load_universe(folder)
    recalled = recall(where, universe, identity, told_of["prices"])
    stored = replace(recalled.stored, outcomes=failed, found=found)
    earnings = earnings_read(told_of.get("earnings"))
    return RunInputs(request, recipe, folder, universe, stored, known_at, earnings), recalled.restated


def _record(path: Path) -> Values:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a report's {RECORD}") from None
    except ValueError:
        raise UserError(f"{path}: is no JSON; name a report's {RECORD}") from None
    schema = told.get("schema") if isinstance(told, dict) else None
    if schema != SCHEMA:
        raise UserError(
            f"{path}: its schema is {schema!r}, not {SCHEMA!r}, so it does not say what it was made from; "
            "make the report again with `screener weekly`"
        )
    assert isinstance(told, dict)
    return told


def _differences(told: Values, made: Values, ledger: Path | None) -> Iterator[str]:
    """Yield a line for each input that is not what it was."""
    then, now = told["provenance"], made["provenance"]
    yield from _named(then["universe"], now["universe"], "universe file {}")
    yield from _named(then["files"], now["files"], "{}")
    yield from _prices(then["prices"], now["prices"])
    for line in sorted(set(then["verdicts"]) ^ set(now["verdicts"])):
        yield f"verdict {line}: " + ("counted then, not stored now" if line in then["verdicts"] else "new")
    yield from _trials(then["trials"], now["trials"], ledger)
    yield from _named(then["reports"], now["reports"], "earlier report {}")
    if then["reports"] == now["reports"]:
        yield from _versions(told.get("changes"), made.get("changes"))
    for name, before in then["libraries"].items():
        after = now["libraries"].get(name, "none")
        if before != after:
            yield f"library {name}: {before} then, {after} now"
    old, new = then["program"], now["program"]
    if old != new:
        yield f"program: {old['version']} ({old['sha256']}) then, {new['version']} ({new['sha256']}) now"


def _named(then: Values, now: Values, what: str) -> Iterator[str]:
    for name in sorted({*then, *now}):
        before, after = then.get(name, ""), now.get(name, "")
        if before != after:
            said = "is new" if not before else "is gone" if not after else "was changed"
            yield f"{what.format(name)}: {said}"


def _versions(then: Values | None, now: Values | None) -> Iterator[str]:
    """Yield a line for each symbol whose restatements since the earlier report the store tells otherwise."""
    old, new = ({each["symbol"]: each for each in (told or {}).get("restated") or ()} for told in (then, now))
    for symbol in sorted({*old, *new}):
        if old.get(symbol) != new.get(symbol):
            yield f"prices of {symbol}: the store holds other versions from before the report than it did"


def _prices(then: Mapping[str, Values], now: Mapping[str, Values]) -> Iterator[str]:
    for symbol in sorted({*then, *now}):
        old, new = then.get(symbol), now.get(symbol)
        if old is None or new is None:
            yield f"prices of {symbol}: " + ("none then, some now" if old is None else "some then, none now")
        elif old != new:
            yield f"prices of {symbol}: {_changed(old, new)}"


def _changed(old: Values, new: Values) -> str:
    """Return in words where two fingerprints differ."""
    said = []
    if old["currency"] != new["currency"]:
        said.append(f"in {old['currency']} then, in {new['currency']} now")
    parts = [dict(part.split(":") for part in each["years"].split()) for each in (old, new)]
    years = sorted(year for year in {*parts[0], *parts[1]} if parts[0].get(year) != parts[1].get(year))
    if years:
        said.append(f"bars of {', '.join(years)} differ")
    for what, key in (("bars", "rows"), ("first", "first"), ("last", "last")):
        if old[key] != new[key]:
            said.append(f"{what} {old[key]} then, {new[key]} now")
    return "; ".join(said)


def _trials(then: Values, now: Values, ledger: Path | None) -> Iterator[str]:
    if ledger is not None and not ledger.exists() and any(each["trials"] for each in then["themes"].values()):
        yield f"ledger of trials: {ledger} is not there; name it with --ledger"
        return
    for theme in sorted({*then["themes"], *now["themes"]}):
        old, new = (each["themes"].get(theme, {"trials": 0, "sha256": ""}) for each in (then, now))
        if old != new:
            yield f"trials of {theme}: {old['trials']} then, {new['trials']} now ({ledger})"


def _compared(path: Path, made: bytes) -> Iterator[str]:
    """Yield a line where a file differs from what was made, with the first line of it that does."""
    if not path.is_file():
        yield f"{path.name}: is not in the folder"
        return
    lies = path.read_bytes()
    if lies == made:
        return
    try:
        texts = [each.decode("utf-8").split("\n") for each in (lies, made)]
    except UnicodeDecodeError:
        yield f"{path.name}: differs"
        return
    pairs = zip(*texts, strict=False)
    line = next((at for at, (old, new) in enumerate(pairs) if old != new), min(map(len, texts)))
    old, new = (_part(each, line, texts) for each in texts)
    yield f"{path.name}: differs from line {line + 1} on: {old!r} lies there, {new!r} was made"


def _part(lines: list[str], line: int, texts: list[list[str]]) -> str:
    """Return the end of a line from shortly before the first character that differs, cut to a readable length."""
    if line >= len(lines):
        return ""
    others = [each[line] for each in texts if line < len(each)]
    at = next((at for at, letters in enumerate(zip(*others, strict=False)) if len(set(letters)) > 1), 0)
    return lines[line][max(0, at - 20) :][:LONGEST]
