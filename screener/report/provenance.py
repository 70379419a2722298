"""What run.json says a report was made from: the request, the settings, and a hash of every input.

Enough to make the report again, and to say which input differs where it does not come out the same.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from screener.backtest.ledger import read_ledger, trials_hash
from screener.backtest.theme import BacktestSettings
from screener.backtest.theme_honesty import HonestySettings
from screener.errors import UserError
from screener.market.earnings import EarningsDates
from screener.market.load import Request, Stored, default_store
from screener.market.recall import findings_written, fingerprint_of
from screener.market.refresh import SymbolOutcome
from screener.portfolio.build import BuildSettings
from screener.portfolio.costs import SHIPPED as COSTS
from screener.portfolio.index_rule import SHIPPED as INDEX_RULES
from screener.report.render import Forms
from screener.universe.model import Universe

PACKAGE = Path(__file__).resolve().parent.parent
CALENDARS = PACKAGE / "market" / "calendars.toml"
# that decide a bit of a report: numbers, calendars, and how the files are written
LIBRARIES = (
    *("numpy", "pandas", "scipy", "pyportfolioopt", "exchange_calendars", "duckdb", "pyarrow", "jinja2"),
    *("markupsafe", "xlsxwriter"),
)
PROGRAM = (".py", ".toml", ".css", ".js", ".j2")  # endings of the program's own files
NOT_PROGRAM = ("_universes", "cli", "example")  # folders of it that decide nothing
Values = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was chosen beside the request."""

    settings: BacktestSettings
    built: BuildSettings
    look: HonestySettings
    forms: Forms


@dataclass(frozen=True, eq=False, slots=True)
class RunInputs:
    """All that one report is made from. folder: where the universe was read; known_at: what was stored by then."""

    request: Request
    recipe: Recipe
    folder: Path
    universe: Universe
    stored: Stored
    known_at: datetime
    earnings: EarningsDates | None = None  # as stated when the run was made


def provenance_of(run: RunInputs, *, synthetic: bool) -> dict[str, object]:
    """Return the part of run.json that `reproduce` reads; call it when the trials have been recorded."""
    recipe, stored = run.recipe, run.stored
    return {
        "request": request_written(run.request),
        "known_at": run.known_at,
        "settings": {
            "backtest": asdict(recipe.settings),
            "build": asdict(recipe.built),
            "honesty": {"baskets": recipe.look.baskets, "days": recipe.look.days},
            "forms": asdict(recipe.forms),
        },
        "universe": {
            path.name: file_hash(path)
            for path in sorted(run.folder.iterdir())
            if path.suffix in (".csv", ".toml")
        },
        "files": _data_files(recipe),
        "prices": {symbol: fingerprint_of(each) for symbol, each in sorted(stored.bars.items())},
        "failed": {
            each.symbol: {"outcome": each.outcome, "detail": each.detail}
            for each in stored.outcomes.values()
            if each.failed
        },
        "verdicts": [
            f"{each.symbol} {each.session} {each.decision} at {each.close:g}: {each.reason}"
            for each in stored.verdicts
        ],
        "vendor_findings": findings_written(stored.found),
        "earnings": None if run.earnings is None else asdict(run.earnings),
        "trials": _trials(run, synthetic),
        "libraries": {"python": platform.python_version(), **{each: _version(each) for each in LIBRARIES}},
        "program": {"version": _version("screener"), "sha256": program_hash()},
    }


def request_written(request: Request) -> dict[str, object]:
    """Return a request as plain values; "" for the usual store."""
    return {
        "as_of": request.as_of,
        "now": request.now,
        "universe": request.universe,
        "source": request.source,
        "prices": None if request.prices is None else str(request.prices),
        "store": "" if request.store == default_store() else str(request.store),
        "base": request.base,
        "since": request.since,
        "benchmark": request.benchmark,
        "known_at": request.known_at,
    }


def request_read(written: Values) -> Request:
    """Return the request that `request_written` wrote, with no way to a source."""
    known = written["known_at"]
    return Request(
        as_of=date.fromisoformat(written["as_of"]),
        now=datetime.fromisoformat(written["now"]),
        universe=written["universe"],
        source=written["source"],
        prices=None if written["prices"] is None else Path(written["prices"]),
        store=Path(written["store"]) if written["store"] else default_store(),
        base=written["base"],
        since=date.fromisoformat(written["since"]),
        benchmark=written["benchmark"],
        known_at=None if known is None else datetime.fromisoformat(known),
        offline=True,
    )


def earnings_read(written: Values | None) -> EarningsDates | None:
    """Return the earnings dates of a run; nobody else keeps what was stated then."""
    if written is None:
        return None
    dates = {
        symbol: tuple(date.fromisoformat(each) for each in days) for symbol, days in written["dates"].items()
    }
    return EarningsDates(dates, dict(written["failures"]))


def recipe_read(written: Values, ledger: Path, until: datetime) -> Recipe:
    """Return settings that record no trial, and count those recorded until then."""
    look = HonestySettings(ledger, **written["honesty"], until=until, record=False)
    return Recipe(
        _made(BacktestSettings, written["backtest"]),
        _made(BuildSettings, written["build"]),
        look,
        _made(Forms, written["forms"]),
    )


def outcomes_read(written: Mapping[str, Values]) -> dict[str, SymbolOutcome]:
    """Return the downloads that had failed."""
    return {
        symbol: SymbolOutcome(symbol, each["outcome"], 0, each["detail"]) for symbol, each in written.items()
    }


def file_hash(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256, "" where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def program_hash() -> str:
    """Return a hash of all code, wording and style that a report is made by."""
    named = {COSTS, INDEX_RULES, CALENDARS}  # hashed each by its name
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        parts = path.relative_to(PACKAGE).parts
        if path.suffix in PROGRAM and path not in named and not set(parts[:-1]) & set(NOT_PROGRAM):
            digest.update(f"{'/'.join(parts)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _data_files(recipe: Recipe) -> dict[str, str]:
    """Return the files beside the universe that decide numbers; costs only where they are by kind."""
    costs = [] if recipe.settings.cost_bps is not None else [recipe.settings.costs_file or COSTS]
    return {path.name: file_hash(path) for path in (*costs, INDEX_RULES, CALENDARS)}


def _trials(run: RunInputs, synthetic: bool) -> dict[str, object]:
    """Return the ledger, and by theme how many trials of it counted and their hash."""
    look = run.recipe.look
    if look.ledger is None:
        return {}
    ledger = read_ledger(look.ledger, look.until)
    counted = {each: ledger.of(run.universe.key, each, synthetic=synthetic) for each in run.universe.themes}
    return {
        "ledger": ""
        if run.request.ledger == default_store().with_name("trials.jsonl")
        else str(run.request.ledger),
        "until": look.until,
        "themes": {
            theme: {"trials": len(trials), "sha256": trials_hash(trials)} for theme, trials in counted.items()
        },
    }


def _made(kind: type[T], written: Values) -> T:
    """Return a dataclass from its fields; dates and paths from their text."""
    known = {each.name: str(each.type) for each in fields(kind)}  # type: ignore[arg-type]
    needed = {
        each.name
        for each in fields(kind)  # type: ignore[arg-type]
        if each.default is MISSING and each.default_factory is MISSING
    }
    odd: Iterable[str] = (set(written) - set(known)) | (needed - set(written))
    if odd:
        raise UserError(f"it sets {', '.join(sorted(odd))} of {kind.__name__}, unlike this version")
    return kind(**{name: _value(known[name], value) for name, value in written.items()})


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return None
    return date.fromisoformat(value) if "date" in kind else Path(value) if "Path" in kind else value


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
