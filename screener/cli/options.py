"""The options that every command on prices shares, gathered into one Request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from screener.api import Request


def parse_date(text: str) -> date:
    """Read an ISO date from the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write it as 2026-07-10") from None


def parse_instant(text: str) -> datetime:
    """Read an ISO instant; without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an instant; write it as 2026-07-10T21:00") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def option(name: str, kind: Any, default: Any, help_text: str, **more: Any) -> inspect.Parameter:
    """Describe one option of a command as Typer reads it from a signature."""
    flag = "--" + name.replace("_", "-")
    annotation = Annotated[kind, typer.Option(flag, help=help_text, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


DATE = {"parser": parse_date, "metavar": "DATE"}
UniverseOption = Annotated[
    str,
    typer.Option("--universe", envvar="SCREENER_UNIVERSE", help="A shipped universe's name, or a folder."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else there.")]

REQUEST_OPTIONS = [
    option(
        "universe",
        str,
        "rare_earth_ai",
        "A shipped universe's name, or a folder.",
        envvar="SCREENER_UNIVERSE",
    ),
    option(
        "source",
        str,
        "",
        "yahoo, files or sample. [default: files with --prices, else yahoo]",
        envvar="SCREENER_SOURCE",
    ),
    option(
        "prices", Path | None, None, "Folder of CSV or Parquet files, one a symbol.", envvar="SCREENER_PRICES"
    ),
    option(
        "store",
        Path | None,
        None,
        "The price store. [default: the user's data folder]",
        envvar="SCREENER_STORE",
    ),
    option("as_of", date | None, None, "Nothing later is used. [default: New York's last close]", **DATE),
    option(
        "base",
        str,
        "USD",
        "Base currency: USD, JPY, EUR, AUD, GBP, CNY, CAD, HKD or CHF.",
        envvar="SCREENER_BASE",
    ),
    option("since", date | None, None, "First session asked for. [default: 2015-01-01]", **DATE),
    option("benchmark", str, "", "Benchmark of the betas. [default: the universe's ACWI, SPY or first]"),
    option(
        "as_of_fetch",
        datetime | None,
        None,
        "Use what was stored then, ask no source. [default: now]",
        parser=parse_instant,
        metavar="INSTANT",
    ),
    option("wait", float, 10.0, "Seconds to wait for another process that writes the store.", min=0),
    option("offline", bool, False, "Use stored prices; ask no source."),
    option("strict", bool, False, "End with 1 and publish nothing when a price is missing or old."),
    option(
        "now",
        datetime | None,
        None,
        "The clock, to repeat a run.",
        parser=parse_instant,
        hidden=True,
        envvar="SCREENER_NOW",
    ),
    option("yahoo_url", str, "", "Stands in for Yahoo.", hidden=True, envvar="SCREENER_YAHOO_URL"),
    option("debug", bool, False, "Show tracebacks."),
]


def with_request(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options, and hand them to its first parameter `request` as one value."""
    own = [
        each.replace(
            annotation=eval(each.annotation, function.__globals__), kind=inspect.Parameter.KEYWORD_ONLY
        )
        for each in inspect.signature(function).parameters.values()
        if each.name != "request"  # its type is imported for checking only, to keep the start-up light
    ]
    shared = {each.name for each in REQUEST_OPTIONS}

    @wraps(function)
    def command(**arguments: Any) -> None:
        request = make_request({name: value for name, value in arguments.items() if name in shared})
        function(request=request, **{name: value for name, value in arguments.items() if name not in shared})

    parameters = own + REQUEST_OPTIONS
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def make_request(arguments: dict[str, Any]) -> Request:
    """Turn the shared options and the clock into a Request."""
    from screener.api import Request, default_store
    from screener.market.sessions import last_completed

    now = arguments["now"] or datetime.now(UTC)
    source = arguments["source"] or ("files" if arguments["prices"] else "yahoo")
    as_of = arguments["as_of"] or last_completed("XNYS", now)
    if as_of > now.date():
        raise typer.BadParameter(f"{as_of} lies in the future", param_hint="--as-of")
    since = arguments["since"] or min(date(2015, 1, 1), as_of.replace(year=as_of.year - 6, day=1))
    if since >= as_of:
        raise typer.BadParameter(f"{since} is not before the as-of date {as_of}", param_hint="--since")
    request = Request(
        as_of=as_of,
        now=now,
        universe=arguments["universe"],
        source=source,
        prices=arguments["prices"],
        store=arguments["store"] or default_store(),
        base=arguments["base"].upper(),
        since=since,
        benchmark=arguments["benchmark"],
        # what was stored then is not changed by asking now
        offline=arguments["offline"] or arguments["as_of_fetch"] is not None,
        strict=arguments["strict"],
        yahoo_url=arguments["yahoo_url"],
        known_at=_moment_known(arguments),
        wait=arguments["wait"],
    )
    _tell_who_writes(request)
    return request


def _moment_known(arguments: dict[str, Any]) -> datetime | None:
    """Return --as-of-fetch, which must not lie in the future."""
    moment: datetime | None = arguments["as_of_fetch"]
    if moment is not None and moment > (arguments["now"] or datetime.now(UTC)):
        raise typer.BadParameter(f"{moment:%Y-%m-%dT%H:%M} lies in the future", param_hint="--as-of-fetch")
    return moment


def _tell_who_writes(request: Request) -> None:
    """Say on stderr whom a command is going to wait for."""
    from screener.api import lock_holder

    holder = "" if request.offline else lock_holder(request.store)
    if holder:
        typer.echo(
            f"{request.store} is being written by {holder}; waiting up to {request.wait:g} s", err=True
        )
