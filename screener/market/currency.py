"""Quote units and exchange rates: what one unit of each currency is worth in the base currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screener.errors import UserError
from screener.market.bars import Bars

BASES = ("USD", "JPY", "EUR", "AUD", "GBP", "CNY", "CAD")
# Vendors quote London in pence (GBp, GBX), Johannesburg in cents, Tel Aviv in agorot.
MINOR_UNITS = {"GBp": ("GBP", 0.01), "GBX": ("GBP", 0.01), "ZAc": ("ZAR", 0.01), "ILA": ("ILS", 0.01)}
KEEP_RATE_ROWS = 7  # Golden Week never shuts the currency market; a week without a rate is a broken feed


@dataclass(frozen=True, slots=True)
class Pair:
    """A currency pair against the dollar, as Yahoo names it."""

    symbol: str
    usd_per_unit: bool  # AUDUSD=X quotes dollars per unit, JPY=X units per dollar


PAIRS = {
    "JPY": Pair("JPY=X", False),
    "AUD": Pair("AUDUSD=X", True),
    "EUR": Pair("EURUSD=X", True),
    "GBP": Pair("GBPUSD=X", True),
    "CNY": Pair("CNY=X", False),
    "CAD": Pair("CAD=X", False),
    "HKD": Pair("HKD=X", False),
    "CHF": Pair("CHF=X", False),
}


def check_base(base: str) -> str:
    """Return the base currency, or raise UserError when it is none of BASES."""
    if base not in BASES:
        raise UserError(f"--base: {base!r} is not a base currency; choose one of {', '.join(BASES)}")
    return base


def major_unit(currency: str) -> tuple[str, float]:
    """Return the currency a quote is really in, and how much of it one quoted unit is: GBp → GBP, 0.01."""
    return MINOR_UNITS.get(currency, (currency, 1.0))


def pairs_needed(currencies: Iterable[str], base: str) -> tuple[str, ...]:
    """Return the symbols of the pairs that turn these currencies into the base, sorted.

    A currency without a pair is left out: its instruments are reported as missing a rate.
    """
    majors = {major_unit(each)[0] for each in currencies} | {base}
    if majors == {base}:
        return ()
    return tuple(sorted(PAIRS[each].symbol for each in majors - {"USD"} if each in PAIRS))


def rates_to_base(
    base: str, currencies: Iterable[str], bars: Mapping[str, Bars], index: pd.DatetimeIndex
) -> pd.DataFrame:
    """Return T × K: base currency per one major unit of each currency, on each date of index.

    A date without a quote keeps the last rate for up to KEEP_RATE_ROWS rows, then NaN. A currency whose
    pair is not in `bars` is left out. Yahoo's daily rate is struck near the start of its date (London),
    so converting with it is slightly stale and never ahead.
    """

    def usd_per(currency: str) -> pd.Series | None:
        if currency == "USD":
            return pd.Series(1.0, index=index)
        pair = PAIRS.get(currency)
        if pair is None or pair.symbol not in bars:
            return None
        quotes = bars[pair.symbol].table["close"]
        quotes = quotes[quotes > 0]
        known = (
            quotes.reindex(index.union(pd.DatetimeIndex(quotes.index)))
            .ffill(limit=KEEP_RATE_ROWS)
            .reindex(index)
        )
        return known if pair.usd_per_unit else 1.0 / known

    base_in_usd = usd_per(base)
    rates: dict[str, pd.Series] = {}
    for currency in sorted({major_unit(each)[0] for each in currencies}):
        if currency == base:
            rates[currency] = pd.Series(1.0, index=index)
            continue
        in_usd = usd_per(currency)
        if in_usd is not None and base_in_usd is not None:
            rates[currency] = in_usd / base_in_usd
    return pd.DataFrame(rates, index=index, dtype=np.float64)
