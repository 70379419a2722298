"""The reports of earlier weeks: which there are in the output folder, and which one this week is compared with.

A run.json that cannot be read, or is no report of ours, is passed over with its reason; nothing here raises for one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screener.market.restated import restated_since
from screener.report.changes import changes_between

if TYPE_CHECKING:
    from screener.market.load import Market
    from screener.report.model import WeeklyInputs

RECORD = "run.json"
SCHEMA = re.compile(r"screener\.run/([12])")
WEEK = re.compile(r"\d{4}-W\d\d")
# why a report is passed over; each has its sentence under changes.passed_over
REASONS = ("unreadable", "broken", "foreign", "other_prices", "not_earlier")


@dataclass(frozen=True, eq=False, slots=True)
class Previous:
    """A report as its run.json tells it.

    path: of the run.json, below the output folder where it was found. known_at: UTC, its prices are those stored then.
    sha256: of the file, so that making a report again can tell whether it is compared with the same one.
    """

    week: str  # such as 2026-W27
    path: str
    universe: str
    as_of: date
    known_at: datetime
    synthetic: bool
    record: Mapping[str, Any]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A run.json that nothing is compared with. why: one of REASONS."""

    path: str
    why: str


def last_report(
    output: Path, universe: str, as_of: date, synthetic: bool
) -> tuple[Previous | None, tuple[PassedOver, ...]]:
    """Return the newest report of a universe from a week before that of `as_of`, and what newer was passed over.

    A report of the same week is what a second run replaces, so both runs compare with the same week before. Synthetic
    prices are compared with synthetic ones alone, market prices with market prices, whatever the language and the base
    currency.
    """
    year, week, _ = as_of.isocalendar()
    passed_over: list[PassedOver] = []
    for found in stored_reports(output, universe):
        name = Path(found.path).parts[0]
        if name >= f"{year}-W{week:02d}":
            continue
        if isinstance(found, Previous):
            if found.synthetic == synthetic and found.as_of < as_of:
                return found, tuple(passed_over)
            why = "other_prices" if found.synthetic != synthetic else "not_earlier"
            found = PassedOver(found.path, why)
        passed_over.append(found)
    return None, tuple(passed_over)


def stored_reports(output: Path, universe: str = "") -> Iterator[Previous | PassedOver]:
    """Yield every report under output/<year>-W<week>/<universe>/, newest week first; "": of all universes."""
    weeks = sorted((each for each in _folders(output) if WEEK.fullmatch(each.name)), reverse=True)
    for week in weeks:
        for folder in sorted(_folders(week)):
            if folder.name.startswith(".") or universe not in ("", folder.name):
                continue  # a hidden folder is a report being written
            path = folder / RECORD
            if path.exists():
                yield read_report(path, f"{week.name}/{folder.name}/{RECORD}")


def _folders(parent: Path) -> list[Path]:
    try:
        return [each for each in parent.iterdir() if each.is_dir()]
    except OSError:
        return []


def read_report(path: Path, name: str = "") -> Previous | PassedOver:
    """Return what a run.json says, or why it cannot be compared with. name: what to call it, else its path."""
    name = name or str(path)
    try:
        content = path.read_bytes()
        record = json.loads(content.decode("utf-8"))
    except OSError:
        return PassedOver(name, "unreadable")
    except (ValueError, RecursionError):
        return PassedOver(name, "broken")
    if not isinstance(record, dict) or not SCHEMA.fullmatch(str(record.get("schema"))):
        return PassedOver(name, "foreign")
    if name.count("/") == 2 and record.get("universe") != Path(name).parent.name:
        return PassedOver(name, "foreign")
    try:
        as_of = date.fromisoformat(record["run"]["as_of"])
        known = datetime.fromisoformat(record.get("prices_as_stored_at") or record["run"]["generated_at"])
        _check(record)
    except (KeyError, TypeError, ValueError, AttributeError):
        return PassedOver(name, "broken")
    year, week, _ = as_of.isocalendar()
    return Previous(
        week=f"{year}-W{week:02d}",
        path=name,
        universe=str(record["universe"]),
        as_of=as_of,
        known_at=known if known.tzinfo else known.replace(tzinfo=UTC),
        synthetic=record["prices"] == "SYNTHETIC",
        record=record,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _check(record: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless the parts that are compared have the shape we write."""
    if record["prices"] not in ("SYNTHETIC", "market"):
        raise ValueError("prices are neither synthetic nor of the market")
    for each in record["themes"].values():
        _check_texts(each["rejected"].values())
        _check_texts(each["limits_bound"])
        _check_numbers([*each["weights"].values(), *each["returns"].values(), each["cash"]])
    for each in record["screens"].values():
        _check_texts(each["passed"])
        for reasons in each["rejected"].values():
            _check_texts(reasons)
    run = record["run"]
    _check_texts([*run["settings"].values(), run["version"], run["base_currency"], run["source_identity"]])
    outcomes, changes = record.get("outcomes") or {}, record.get("changes") or {}
    _check_numbers([*outcomes.get("states", {}).values()])
    _check_texts(outcomes.get("failures", {}).values())
    for each in changes.get("themes", {}).values():
        _check_numbers([each["total"], *(each for row in each["segments"].values() for each in row.values())])
    changes.get("against", {}).get("as_of")
    for part in record.get("rules", {}).values():
        for fields in part.values():
            _check_texts(fields.values())


def _check_texts(values: Any) -> None:
    if isinstance(values, str) or any(not isinstance(each, str) for each in values):
        raise ValueError("a text is missing")


def _check_numbers(values: list[Any]) -> None:
    if any(each is not None and not isinstance(each, int | float) for each in values):
        raise ValueError("a number is missing")


def recalled(
    inputs: WeeklyInputs, market: Market, output: Path, known_at: datetime | None = None
) -> WeeklyInputs:
    """Return the inputs with what changed since the last report of the same universe in the output folder.

    known_at: the prices are those stored then; default: of the request, else all that is stored. The market's request
    names the store that is asked for restated prices.
    """
    run, request = inputs.run, market.request
    known_at = known_at or request.known_at
    previous, passed_over = last_report(output, inputs.universe.key, run.as_of, run.synthetic)
    inputs = replace(inputs, passed_over=passed_over, prices_as_stored_at=known_at or request.now)
    if previous is None:
        return inputs
    restated = None
    if previous.record["run"]["source_identity"] == run.source_identity:
        restated = restated_since(market, previous.known_at, previous.as_of, known_at)
    return replace(inputs, changes=changes_between(previous, inputs, restated))
