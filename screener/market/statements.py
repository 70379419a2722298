"""Asking a source what it states of companies today. It knows no past date, and nothing of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from screener.errors import SourceError, UserError
from screener.market.load import Request, open_request
from screener.universe.model import Universe

STILL_TODAY = timedelta(days=7)  # an as-of date older than this is a past one
Ask = Callable[[str], Any]


def asker(request: Request, universe: Universe, what: str) -> Ask:
    """Return the request's source's own `what`, a function of a symbol; also the name of the option that asks for it.

    Raises UserError when the as-of date is past, for statements are today's, when the run is offline, and when the
    source has none.
    """
    if request.now.date() - request.as_of > STILL_TODAY:
        raise UserError(
            f"--{what} are today's and were not known like this on {request.as_of}; leave out --as-of"
        )
    if request.offline:
        raise UserError(f"--{what} are not stored; leave out --offline")
    ask: Ask | None = getattr(open_request(request, universe), what, None)
    if ask is None:
        raise UserError(f"--{what}: the source {request.source} states none; yahoo does")
    return ask


def ask_each(
    ask: Ask, symbols: Iterable[str], progress: Callable[[str], None] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the answers by symbol, and why others have none."""
    answers, failures = {}, {}
    for symbol in symbols:
        try:
            answers[symbol] = ask(symbol)
        except SourceError as failure:
            failures[symbol] = f"{failure.outcome}: {failure}"
        if progress is not None:
            progress(symbol)
    return answers, failures
