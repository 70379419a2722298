"""What a vendor states of companies' accounts today, in base currency. It knows no past date and is not stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from screener.market.currency import major_unit
from screener.market.load import Market
from screener.market.statements import ask_each, asker

MONEY = ("market_cap", "cash", "debt", "free_cash_flow")


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
    ask = asker(market.request, market.universe, "fundamentals")
    answers, failures = ask_each(ask, symbols, progress)
    values = {
        symbol: _in_base(stated, accounts, quotes, market.rates)
        for symbol, (stated, accounts, quotes) in answers.items()
    }
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
