"""Quote units and exchange rates: what one unit of each currency is worth in the base currency.

A rate has a time of day, its fix. Yahoo's daily close of a pair is in fact the rate at the start of the labelled
day in London, so the rate of date d is known before any exchange closes on d, and converts all closes of d. Other
fixes are told by the source (`FX_MARK` in its identity): the ECB's of 14:15 in Frankfurt comes after Tokyo's close
of the same date, which then takes the rate of the day before. A close never meets a rate that was not known yet.
All currencies are crossed through the dollar, so no pair but those against it is ever needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import UserError
from screener.market.bars import Bars
from screener.market.sessions import as_days, closes_on

Floats = npt.NDArray[np.float64]
BASES = ("USD", "JPY", "EUR", "AUD", "GBP", "CNY", "CAD", "HKD", "CHF")
# Vendors quote London in pence (GBp, GBX), Johannesburg in cents, Tel Aviv in agorot.
MINOR_UNITS = {"GBp": ("GBP", 0.01), "GBX": ("GBP", 0.01), "ZAc": ("ZAR", 0.01), "ILA": ("ILS", 0.01)}
KEEP_RATE_DAYS = 5  # weekdays; no holiday shuts the currency market so long, so it is a broken feed
FX_MARK = "#fx="  # in a source's identity, before the fix of its rates: files:/prices#fx=14:15 Europe/Berlin


@dataclass(frozen=True, slots=True)
class Pair:
    """A currency pair against the dollar, as Yahoo names it."""

    symbol: str
    usd_per_unit: bool  # AUDUSD=X quotes dollars per unit, JPY=X units per dollar


@dataclass(frozen=True, slots=True)
class Fix:
    """When in the day a source's rates are struck."""

    time_of_day: time
    zone: ZoneInfo

    def after_closes(self, mic: str, days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
        """Say for each date whether the rate of that date is struck after the exchange's close of it."""
        closes = closes_on(mic, days)
        moments = pd.DatetimeIndex(days.astype("datetime64[s]")) + pd.Timedelta(
            hours=self.time_of_day.hour, minutes=self.time_of_day.minute
        )
        struck = moments.tz_localize(self.zone, ambiguous=True, nonexistent="shift_forward").tz_convert("UTC")
        return np.asarray(struck.tz_localize(None).to_numpy() > closes)  # no close: False


START_OF_DAY = Fix(time(0, 0), ZoneInfo("Europe/London"))


def parse_fix(text: str) -> Fix:
    """Return the fix that "14:15 Europe/Berlin" describes. Raises ValueError saying how to write one."""
    clock, _, zone = text.strip().partition(" ")
    try:
        return Fix(time.fromisoformat(clock), ZoneInfo(zone.strip()))
    except (ValueError, ZoneInfoNotFoundError, IsADirectoryError):
        raise ValueError(f"{text!r} is no time of day with its zone; write 14:15 Europe/Berlin") from None


def fix_of(source: str) -> Fix:
    """Return when the rates of a source are struck, by its identity; the start of the day unless it says."""
    _, mark, text = source.partition(FX_MARK)
    return parse_fix(text) if mark else START_OF_DAY


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
    base: str, currencies: Iterable[str], bars: Mapping[str, Bars], index: pd.DatetimeIndex, mic: str = ""
) -> pd.DataFrame:
    """Return T × K: base currency per one major unit of each currency, as known on each date of index.

    mic: at the close of that exchange; "" at the end of the date. A date without a quote keeps the last rate for
    up to KEEP_RATE_DAYS weekdays, then NaN. A currency whose pair is not in `bars` is left out.
    """
    days = as_days(index)
    in_usd: dict[str, Floats | None] = {}

    def usd_per(currency: str) -> Floats | None:
        if currency not in in_usd:
            pair = PAIRS.get(currency)
            if currency == "USD":
                in_usd[currency] = np.ones(len(days))
            elif pair is None or pair.symbol not in bars:
                in_usd[currency] = None
            else:
                quotes = _known_quotes(bars[pair.symbol], days, mic)
                in_usd[currency] = quotes if pair.usd_per_unit else 1.0 / quotes
        return in_usd[currency]

    rates: dict[str, Floats] = {}
    for currency in sorted({major_unit(each)[0] for each in currencies}):
        quoted, based = usd_per(currency), usd_per(base)
        if currency == base:
            rates[currency] = np.ones(len(days))
        elif quoted is not None and based is not None:
            rates[currency] = quoted / based
    return pd.DataFrame(rates, index=index, dtype=np.float64)


def _known_quotes(bars: Bars, days: npt.NDArray[np.datetime64], mic: str) -> Floats:
    """Return T: the newest quote of a pair that was known on each date, NaN when it is too old."""
    close = bars.table["close"].to_numpy()
    sound = close > 0
    quoted, close = as_days(pd.DatetimeIndex(bars.table.index))[sound], close[sound]
    wanted = days
    fix = fix_of(bars.source)
    if mic and fix != START_OF_DAY:
        wanted = days - fix.after_closes(mic, days).astype("timedelta64[D]")
    latest = np.searchsorted(quoted, wanted, side="right") - 1
    if not len(quoted):
        return np.full(len(days), np.nan)
    age = np.busday_count(quoted[np.maximum(latest, 0)], wanted)
    return np.where((latest >= 0) & (age <= KEEP_RATE_DAYS), close[np.maximum(latest, 0)], np.nan)
