"""What a vendor states of companies' accounts today, in base currency. It knows no past date and is not stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from screener.errors import SourceError, UserError
from screener.market.currency import major_unit
from screener.market.load import Market, open_request

MONEY = ("market_cap", "cash", "debt", "free_cash_flow")
STILL_TODAY = timedelta(days=7)  # an as-of date older than this is a past one


@dataclass(frozen=True, slots=True)
class Stated:
    """What was stated by symbol (name → value, money in base currency), and why others are missing."""

    values: Mapping[str, Mapping[str, float]]
    failures: Mapping[str, str]


def load_fundamentals(
    market: Market, symbols: Iterable[str], progress: Callable[[str], None] | None = None
) -> Stated:
    """Ask the market's source for the fundamentals of symbols.

    Raises UserError when the as-of date is past, for they are today's, when the run is offline, and when the
    source has none.
    """
    request = market.request
    if request.now.date() - request.as_of > STILL_TODAY:
        raise UserError(
            f"--fundamentals are today's and were not known like this on {request.as_of}; leave out --as-of"
        )
    if request.offline:
        raise UserError("--fundamentals are not stored; leave out --offline")
    source = open_request(request, market.universe)
    ask = getattr(source, "fundamentals", None)
    if ask is None:
        raise UserError(f"--fundamentals: the source {request.source} states none; yahoo does")
    values, failures = {}, {}
    for symbol in symbols:
        try:
            stated, accounts, quotes = ask(symbol)
            values[symbol] = _in_base(stated, accounts, quotes, market.rates)
        except SourceError as failure:
            failures[symbol] = f"{failure.outcome}: {failure}"
        if progress is not None:
            progress(symbol)
    return Stated(values, failures)


def _in_base(
    stated: Mapping[str, float], accounts: str, quotes: str, rates: Mapping[str, float]
) -> dict[str, float]:
    """Return values with money in base currency; what is in a currency without a rate is left out.

    The market value is in the currency of the quotes (in pounds where they are in pence), the rest in that of
    the accounts.
    """
    converted = {}
    for name, value in stated.items():
        currency = major_unit(quotes if name == "market_cap" else accounts)[0]
        if name not in MONEY:
            converted[name] = value
        elif currency in rates:
            converted[name] = value * rates[currency]
    return converted
