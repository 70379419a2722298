"""`screener doctor`: is everything here that a weekly run needs?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.options import JsonOption, UniverseOption, parse_instant
from screener.cli.show import dump, say

if TYPE_CHECKING:
    from screener.market.health import Reached
    from screener.universe.model import Universe

GAPS_SHOWN = 3
LEAST_FREE_GB, AMPLE_FREE_GB = 0.1, 1.0
CLOCK_SECONDS = 300
ADVICE_CALENDAR = "upgrade exchange_calendars before then, or write its notice into market/calendars.toml"
Check = tuple[str, str, str]  # what, result (ok, warning or fault), what to do


def doctor(
    universe: UniverseOption = "rare_earth_ai",
    store: Annotated[
        Path | None, typer.Option("--store", envvar="SCREENER_STORE", help="The price store.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask Yahoo whether it answers.")] = False,
    as_json: JsonOption = False,
    yahoo_url: Annotated[str, typer.Option(hidden=True, envvar="SCREENER_YAHOO_URL")] = "",
    now: Annotated[
        datetime | None, typer.Option(hidden=True, envvar="SCREENER_NOW", parser=parse_instant)
    ] = None,
) -> None:
    """Check installation, universe, store, disk, clock, calendars and network. Ends with 1 when one is broken."""
    from screener.api import default_store

    clock, place = now or datetime.now(UTC), store or default_store()
    loaded, stated = _universe(universe)
    reached, checks = _network(loaded, clock, offline, yahoo_url)
    checks = [
        *(_python(), *_packages(), stated),
        *_store(place, loaded, clock),
        _writer(place),
        _disk(place),
        *_clock(clock, reached),
        *_calendars(clock),
        *checks,
        _output(),
    ]
    faults = sum(result == "fault" for _, result, _ in checks)
    if as_json:
        checked = [dict(zip(("check", "result", "advice"), each, strict=True)) for each in checks]
        dump({"schema": "screener.doctor/1", "data": checked})
    else:
        for what, result, advice in checks:
            say(f"{result:<8}{what}")
            if advice:
                say(f"        -> {advice}")
        warned = sum(result == "warning" for _, result, _ in checks)
        broken = f"{faults} of {len(checks)} checks found a fault" if faults else "nothing is broken"
        say(broken + (f", {warned} warnings" if warned else ""))
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
        "pyarrow",
        "curl_cffi",
    ):
        try:
            checks.append((f"{name} {version(name)}", "ok", ""))
        except PackageNotFoundError:
            checks.append((name, "fault", "not installed; run make env, or pip install ."))
    return checks


def _universe(name: str) -> tuple[Universe | None, Check]:
    from screener.errors import UserError
    from screener.universe.load import find_universe, load_universe

    try:
        loaded = load_universe(find_universe(name))
    except UserError as error:
        return None, (f"universe {name}", "fault", f"{len(error.problems)} faults; screener universe check")
    return loaded, (f"universe {loaded.key}, {len(loaded.instruments)} names", "ok", "")


def _store(place: Path, universe: Universe | None, now: datetime) -> list[Check]:
    from screener.errors import ScreenerError
    from screener.market.health import examine
    from screener.market.store import Store

    if not place.exists():
        return [(f"store {place}: empty", "ok", "the first run makes it")]
    try:
        with Store.open(place, read_only=True) as store:
            hashes = store.checksum()
            held = [] if universe is None else examine(store, universe)
    except ScreenerError as error:
        return [(f"store {place}", "fault", error.problems[0])]
    size = place.stat().st_size / 1e6
    checks = [
        (f"store {place}: {size:,.1f} MB, every block read, bars {hashes['bars']}", "ok", ""),
    ]
    for each in held:
        what = f"prices of {each.identity}: {each.symbols} symbols, {each.rows:,} bars"
        if each.newest_fetch is not None:
            what += f", newest fetch {each.newest_fetch:%Y-%m-%d %H:%M} UTC"
        checks.append((what, "ok", ""))
        if each.gaps:
            worst = sorted(each.gaps, key=lambda symbol: -each.gaps[symbol])[:GAPS_SHOWN]
            named = ", ".join(f"{symbol} {each.gaps[symbol]}" for symbol in worst)
            more = " …" if len(each.gaps) > GAPS_SHOWN else ""
            checks.append(
                (
                    f"gaps in {each.identity}: {sum(each.gaps.values()):,} sessions of {len(each.gaps)} symbols",
                    "warning",
                    f"most: {named}{more}; screener prices status names all",
                )
            )
        if each.newest_fetch is not None and each.newest_fetch > now:
            checks.append(
                (
                    f"the clock shows {now:%Y-%m-%d %H:%M} UTC, before the newest fetch of {each.identity}",
                    "fault",
                    "set the clock; bars of sessions still open may be taken for complete",
                )
            )
    return checks


def _writer(place: Path) -> Check:
    from screener.api import lock_holder

    holder = lock_holder(place)
    if not holder:
        return "nobody is writing the store", "ok", ""
    return f"the store is being written by {holder}", "warning", "wait for it, or end it; nothing is lost"


def _disk(place: Path) -> Check:
    folder = next(each for each in (place.parent, *place.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free / 1e9
    what = f"free disk for the store: {free:,.1f} GB"
    if free < LEAST_FREE_GB:
        return what, "fault", f"free space on the disk of {folder}; a full disk stops updates"
    return what, "ok" if free > AMPLE_FREE_GB else "warning", "" if free > AMPLE_FREE_GB else "make room soon"


def _clock(now: datetime, reached: Reached | None) -> list[Check]:
    if reached is None or reached.service_time is None:
        return [(f"clock: {now:%Y-%m-%d %H:%M} UTC", "ok", "not compared with another clock")]
    apart = abs((now - reached.service_time).total_seconds())
    what = f"clock: {now:%Y-%m-%d %H:%M} UTC, {apart:,.0f} s from the price service's"
    if apart <= CLOCK_SECONDS:
        return [(what, "ok", "")]
    return [(what, "fault", "set the clock; it decides which sessions are complete")]


def _network(
    universe: Universe | None, now: datetime, offline: bool, yahoo_url: str
) -> tuple[Reached | None, list[Check]]:
    if offline:
        return None, [("Yahoo: not asked", "ok", "leave --offline out to ask")]
    if universe is None:
        return None, [("Yahoo: not asked", "warning", "mend the universe first: it says what to ask for")]
    from screener.errors import UserError
    from screener.market.health import reach_yahoo

    try:
        reached = reach_yahoo(universe, now, yahoo_url)
    except UserError as error:
        return None, [("Yahoo: not asked", "warning", error.problems[0])]
    if not reached.failure:
        return reached, [(f"Yahoo answers ({reached.symbol})", "ok", "")]
    advice = "check network and proxy; stored prices work with --offline, files with --source files"
    if reached.failure.startswith("rate limited"):
        advice = "wait an hour; Yahoo limits by address, and other programs count too"
    return reached, [(f"Yahoo does not answer: {reached.failure}", "warning", advice)]


def _calendars(now: datetime) -> list[Check]:
    from screener.market.sessions import CALENDARS, city_of, known_until

    ends = {city_of(mic): known_until(mic) for mic in CALENDARS}
    soon = now.date() + timedelta(days=90)
    late = sorted((city, until) for city, until in ends.items() if until < soon)
    first = min(ends.items(), key=lambda item: item[1])
    if not late:
        return [(f"exchange calendars known to {first[1]} ({first[0]} ends first)", "ok", "")]
    return [(f"calendar of {city} ends {until}", "warning", ADVICE_CALENDAR) for city, until in late]


def _output() -> Check:
    folder = Path(os.environ.get("SCREENER_OUTPUT", "outputs"))
    place = folder if folder.exists() else folder.absolute().parent
    good = os.access(place, os.W_OK)
    return f"output folder {folder}", "ok" if good else "fault", "" if good else "not writable; use --output"
