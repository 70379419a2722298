"""When companies say what they earned next, as a vendor states it today. Past answers are not kept by anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from screener.errors import SourceError, UserError
from screener.market.fundamentals import STILL_TODAY
from screener.market.load import Request, open_request
from screener.universe.model import Universe


@dataclass(frozen=True, slots=True)
class EarningsDates:
    """Symbol → dates on or after the as-of date, in order (two are a range), and why others could not be asked."""

    dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


def load_earnings(
    request: Request,
    universe: Universe,
    symbols: Iterable[str],
    progress: Callable[[str], None] | None = None,
) -> EarningsDates:
    """Ask the request's source for the earnings dates of symbols, a request each.

    Raises UserError when the as-of date is past, for they are today's, when the run is offline, and when the
    source has none.
    """
    if request.now.date() - request.as_of > STILL_TODAY:
        raise UserError(
            f"--earnings are today's and were not known like this on {request.as_of}; leave it out"
        )
    if request.offline:
        raise UserError("--earnings are not stored; leave out --offline or --earnings")
    ask = getattr(open_request(request, universe), "earnings", None)
    if ask is None:
        raise UserError(f"--earnings: the source {request.source} states none; yahoo does")
    dates, failures = {}, {}
    for symbol in symbols:
        try:
            ahead = tuple(sorted({each for each in ask(symbol) if each >= request.as_of}))
            if ahead:
                dates[symbol] = ahead
        except SourceError as failure:
            failures[symbol] = f"{failure.outcome}: {failure}"
        if progress is not None:
            progress(symbol)
    return EarningsDates(dates, failures)
