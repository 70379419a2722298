"""`screener doctor`: is everything here that a weekly run needs?"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from screener.cli.options import JsonOption, UniverseOption
from screener.cli.show import Column, print_table, say

Check = tuple[str, str, str]  # what, result (ok, warning or fault), what to do


def doctor(
    universe: UniverseOption = "rare_earth_ai",
    store: Annotated[
        Path | None, typer.Option("--store", envvar="SCREENER_STORE", help="The price store.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check installation, universe, store and calendars. Ends with 1 when something is broken."""
    checks = [_python(), *_packages(), _universe(universe), _store(store), *_calendars(), _output()]
    faults = sum(result == "fault" for _, result, _ in checks)
    if as_json:
        checked = [dict(zip(("check", "result", "advice"), each, strict=True)) for each in checks]
        say(json.dumps({"schema": "screener.doctor/1", "data": checked}, ensure_ascii=False, indent=1))
    else:
        columns = [Column("Check", flexible=True), Column("Result"), Column("What to do", flexible=True)]
        print_table(columns, checks)
        say("nothing is broken" if not faults else f"{faults} of {len(checks)} checks found a fault")
    if faults:
        raise typer.Exit(1)


def _python() -> Check:
    good = sys.version_info >= (3, 11)
    return (
        f"Python {platform.python_version()}",
        "ok" if good else "fault",
        "" if good else "use 3.11 or newer",
    )


def _packages() -> list[Check]:
    from importlib.metadata import PackageNotFoundError, version

    checks: list[Check] = []
    for name in (
        "screener",
        "pandas",
        "numpy",
        "scipy",
        "yfinance",
        "pyportfolioopt",
        "exchange_calendars",
        "duckdb",
    ):
        try:
            checks.append((f"{name} {version(name)}", "ok", ""))
        except PackageNotFoundError:
            checks.append((name, "fault", "not installed; run make env, or pip install ."))
    return checks


def _universe(name: str) -> Check:
    from screener.errors import UserError
    from screener.universe.load import find_universe, load_universe

    try:
        loaded = load_universe(find_universe(name))
    except UserError as error:
        return f"universe {name}", "fault", f"{len(error.problems)} faults; screener universe check"
    return f"universe {loaded.key}, {len(loaded.instruments)} names", "ok", ""


def _store(path: Path | None) -> Check:
    from screener.api import default_store
    from screener.errors import ScreenerError
    from screener.market.store import Store

    place = path or default_store()
    if not place.exists():
        return f"store {place}", "ok", "empty; made by the first run"
    try:
        with Store.open(place, read_only=True) as store:
            return f"store {place}", "ok", f"holds {', '.join(store.identities()) or 'nothing yet'}"
    except ScreenerError as error:
        return f"store {place}", "fault", error.problems[0]


def _calendars() -> list[Check]:
    from screener.market.sessions import CALENDARS, city_of, known_until

    soon = datetime.now(UTC).date().toordinal() + 90
    late = sorted(
        {(city_of(mic), known_until(mic)) for mic in CALENDARS if known_until(mic).toordinal() < soon}
    )
    if not late:
        return [("exchange calendars", "ok", "")]
    return [
        (f"calendar of {city}", "warning", f"holidays end {until}; upgrade exchange_calendars")
        for city, until in late
    ]


def _output() -> Check:
    folder = Path(os.environ.get("SCREENER_OUTPUT", "outputs"))
    place = folder if folder.exists() else folder.absolute().parent
    good = os.access(place, os.W_OK)
    return f"output folder {folder}", "ok" if good else "fault", "" if good else "not writable; use --output"
