"""The rows of one price file: what can be wrong with their values, and the bars they make.

Getting rows out of CSV and Parquet, and telling a person about faults, is price_file.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.bars import as_sessions, bars_table
from screener.market.sources.rows import carry_events

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume", "dividend", "split", "split_to_apply", "adj_close")
# an adj_close beside dividends: nothing is made of it, quality.py compares with it
VENDOR_CLOSE = "vendor_close"
CURRENCY = re.compile(r"[A-Z]{3}|GBp|ZAc")
# Adjusted closes are printed with about six digits. In 194,000 real rows of 67 US names (2010 to 2024) the
# rounding moved an implied dividend by up to 2.3e-5 of the price; the smallest real one was 4.7e-5 of it.
ROUNDING = 3e-5
TOO_MUCH_FOR_ROUNDING = 1e-3
# A mistyped year leaps; the rows of a folder that has grown since the run that is being repeated do not.
FUTURE_LEAP = np.timedelta64(180, "D")

HEADING = 0

Floats = npt.NDArray[np.float64]


class Fault(NamedTuple):
    """One thing that is wrong, and where. Faults of a sort have the same `kind`, so they can be counted."""

    line: int  # of a CSV, row of a Parquet; HEADING for a whole column
    column: str
    kind: str
    problem: str


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """What a file says, by date (NaT last): a date, numbers (NaN: empty) and a currency ("": empty) a row."""

    dates: npt.NDArray[np.datetime64]
    numbers: Mapping[str, Floats]  # some of NUMBERS, each T; adj_close only where dividends must come from it
    currencies: Sequence[str]  # T, or none
    lines: npt.NDArray[np.int64]  # where in the file

    @classmethod
    def by_date(
        cls,
        dates: npt.NDArray[np.datetime64],
        numbers: Mapping[str, Floats],
        currencies: Sequence[str],
        lines: npt.NDArray[np.int64],
    ) -> Rows:
        """Return rows given in any order, by date."""
        order = np.argsort(dates, kind="stable")
        return cls(
            dates[order],
            {name: values[order] for name, values in numbers.items()},
            [currencies[row] for row in order] if currencies else [],
            lines[order],
        )


def faults_of(rows: Rows, latest: date | None = None) -> list[Fault]:
    """Return each fault of the values; a date far after `latest` and after its neighbours is one."""
    kinds = (_bad_dates(rows, latest), _bad_numbers(rows), _lone_prices(rows), _bad_currencies(rows))
    found = [fault for kind in kinds for fault in kind]
    return [*found, *_bad_adjustments(rows)] if "adj_close" in rows.numbers else found


def _bad_dates(rows: Rows, latest: date | None) -> Iterator[Fault]:
    lines = rows.lines.tolist()
    for row in np.flatnonzero(np.isnat(rows.dates)).tolist():
        yield Fault(lines[row], "date", "empty", "is empty; write 2026-07-10")
    for row in np.flatnonzero(rows.dates[1:] == rows.dates[:-1]).tolist():
        problem = f"{rows.dates[row]} stands in line {lines[row]} already"
        yield Fault(lines[row + 1], "date", "twice", problem)
    if latest is not None:
        before = np.concatenate(([np.datetime64(latest)], rows.dates[:-1]))
        leap = (rows.dates - before > FUTURE_LEAP) & (rows.dates > np.datetime64(latest))
        for row in np.flatnonzero(leap).tolist():
            yield Fault(lines[row], "date", "future", f"{rows.dates[row]} is in the future")


def _bad_numbers(rows: Rows) -> Iterator[Fault]:
    lines = rows.lines.tolist()
    for name, values in rows.numbers.items():
        if name == VENDOR_CLOSE:
            continue
        positive = name in PRICES or name == "adj_close"
        rule = "must be above zero" if positive else "must not be negative"
        for row in np.flatnonzero((values <= 0 if positive else values < 0) | np.isinf(values)).tolist():
            yield Fault(lines[row], name, "sign", f"{values[row]:g} {rule}")
    if {"split", "split_to_apply"} <= rows.numbers.keys():
        both = (_ratios(rows.numbers["split"]) != 1) & (_ratios(rows.numbers["split_to_apply"]) != 1)
        for row in np.flatnonzero(both).tolist():
            problem = "has a split beside it; either the earlier prices contain it or they do not"
            yield Fault(lines[row], "split_to_apply", "both", problem)


def _lone_prices(rows: Rows) -> Iterator[Fault]:
    lines, close = rows.lines.tolist(), rows.numbers["close"]
    if np.isnan(close).all():
        yield Fault(HEADING, "close", "none", "has no value in any row")
        return
    others = [
        values for name, values in rows.numbers.items() if name in (*PRICES, "adj_close") and name != "close"
    ]
    for row in np.flatnonzero(np.isnan(close) & np.any(~np.isnan(others), axis=0)).tolist() if others else ():
        yield Fault(lines[row], "close", "empty", "is empty beside other prices; fill it or empty the row")
    if "adj_close" in rows.numbers:
        for row in np.flatnonzero(~np.isnan(close) & np.isnan(rows.numbers["adj_close"])).tolist():
            yield Fault(
                lines[row], "adj_close", "empty", "is empty beside a close; fill it or give dividends"
            )


def _bad_currencies(rows: Rows) -> Iterator[Fault]:
    first = next((each for each in rows.currencies if each), "")
    for line, each in zip(rows.lines.tolist(), rows.currencies, strict=False):
        if each and not CURRENCY.fullmatch(each):
            yield Fault(
                line, "currency", "form", f"{each!r:.20} is not a currency; write USD, or GBp for pence"
            )
        elif each and each != first:
            yield Fault(
                line, "currency", "change", f"is {each}, and {first} elsewhere; a file has one currency"
            )


def _bad_adjustments(rows: Rows) -> Iterator[Fault]:
    """Yield the rows whose adjusted close no dividend explains: the yield it implies is negative."""
    table = _with_splits_applied(rows)
    sound = ((table["close"] > 0) & (table["adj_close"] > 0) & ~np.isnat(rows.dates)).to_numpy()
    yields = _implied_yields(table["close"].to_numpy()[sound], table["adj_close"].to_numpy()[sound])
    for line, each in zip(rows.lines[sound].tolist(), yields.tolist(), strict=True):
        if each < -TOO_MUCH_FOR_ROUNDING:
            problem = (
                f"gains {-each:.2%} on close against the session before, which no dividend does; "
                "correct it, print more digits or give dividends instead"
            )
            yield Fault(line, "adj_close", "adjustment", problem)


# Rows without a fault become bars


def bars_of(rows: Rows) -> pd.DataFrame:
    """Return the table of Bars: pending splits applied, dividends worked out, rows without a price gone."""
    table = _with_splits_applied(rows)
    if "adj_close" in rows.numbers:
        priced = table["close"].notna().to_numpy()
        close, adjusted = table["close"].to_numpy()[priced], table["adj_close"].to_numpy()[priced]
        table.loc[priced, "dividend"] = implied_dividends(close, adjusted)
    return bars_table(carry_events(table))


def vendor_close_of(rows: Rows) -> pd.Series | None:
    """Return the vendor's adjusted close by session where the file has it beside dividends, else None."""
    if VENDOR_CLOSE not in rows.numbers or "split_to_apply" in rows.numbers:
        return None
    return pd.Series(rows.numbers[VENDOR_CLOSE], index=as_sessions(rows.dates.astype("datetime64[s]")))


def implied_dividends(close: Floats, adjusted: Floats) -> Floats:
    """Return the dividends that lie between closes and adjusted closes. T, T → T, in the closes' currency.

    close, adjusted: > 0, no NaN, closes adjusted for splits. For a dividend D with ex-date t Yahoo multiplies
    all earlier prices by 1 − D/C[t−1], so D = C[t−1]·(1 − f[t−1]/f[t]) with f = adjusted/close. Rounding to
    the digits printed makes f tremble. No dividend makes the yield negative, so the most negative one tells
    how much this file trembles: what is below 1.5 times that, or below ROUNDING, is no dividend.
    """
    yields = _implied_yields(close, adjusted)
    tremble = max(ROUNDING, 1.5 * float(-yields.min(initial=0.0)))
    before = np.concatenate((close[:1], close[:-1]))
    return np.where(yields > tremble, before * yields, 0.0)


def _implied_yields(close: Floats, adjusted: Floats) -> Floats:
    """Return T: the dividend each adjusted close implies, as a fraction of the close before; first 0."""
    factor = adjusted / close
    return np.concatenate((np.zeros(min(1, len(close))), 1 - factor[:-1] / factor[1:]))


def _with_splits_applied(rows: Rows) -> pd.DataFrame:
    """Return the numbers with dividend and split in every row, and split_to_apply in all earlier prices."""
    table = pd.DataFrame(dict(rows.numbers))
    table.index = pd.DatetimeIndex(rows.dates.astype("datetime64[s]"), name="session")
    table["dividend"] = table["dividend"].fillna(0.0) if "dividend" in table else 0.0
    table["split"] = _ratios(rows.numbers["split"]) if "split" in table else 1.0
    if "split_to_apply" in table:
        due = _ratios(rows.numbers["split_to_apply"])
        divisor = np.append(due[::-1].cumprod()[::-1][1:], 1.0)  # the product of the splits still to come
        divided = [name for name in (*PRICES, "dividend") if name in table]
        table[divided] = table[divided].div(divisor, axis=0)
        if "volume" in table:
            table["volume"] *= divisor
        table["split"] *= due
    return table


def _ratios(splits: Floats) -> Floats:
    """Return splits with 1 where there is none: vendors write 0 or nothing."""
    return np.where(np.isnan(splits) | (splits == 0), 1.0, splits)
