"""Find bad bars, and set them aside. Nothing is deleted: findings say what was found and what became of it.

A check is a function in checks/ that yields spots, and a line in CHECKS for each name it uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from screener.market.bars import Bars
from screener.market.checks import calendar, levels, payouts, rows
from screener.market.checks.series import BAR, DIVIDEND, LEVEL, SERIES, VOLUME, Series, Spot
from screener.market.sources.rows import carry_events
from screener.universe.model import Instrument

SEVERITIES = ("error", "warning", "note")
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious bar or span of one symbol.

    `part` says what `quarantined` sets aside: the bar, its dividend or its volume, or, for a level, the footing of all
    earlier prices; a dividend or level is multiplied by `factor`. The bar as served stays in the store.
    """

    symbol: str
    session: date
    check: str  # the check's name, such as price_not_positive
    severity: str  # error: quarantined; warning: kept and listed; note: nothing wrong, worth knowing
    detail: str  # a sentence with the numbers
    quarantined: bool
    part: str = BAR
    factor: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """What a name means: how grave it is, and the rule in words for the report."""

    severity: str
    rule: str


CHECKS = {
    "price_not_positive": Check("error", "a price is zero, negative or infinite"),
    "unit_inside_bar": Check("error", "open, high or low is over 30 times off the close"),
    "high_below_low": Check("error", "the high is below the low"),
    "close_outside_range": Check(
        "error", "the close lies outside the day's range by over 1 %; in London 10 %"
    ),
    "hundredfold_glitch": Check(
        "error", "the close is about 100, 1,000 or 10,000 times off for up to 10 bars"
    ),
    "implausible_jump": Check("error", "the close is over 4 times off (a rate: 1.5 times) for up to 10 bars"),
    "level_change": Check("error", "a level 10 or more times off has lasted 10 bars without a split"),
    "split_not_applied": Check(
        "error", "the price fell by a split's ratio: earlier prices do not contain it"
    ),
    "split_applied_twice": Check(
        "error", "the price rose by a split's ratio: earlier prices contain it twice"
    ),
    "bar_on_holiday": Check("error", "a bar on a date without a session"),
    "date_in_future": Check("error", "a bar of a session that had not begun when it was fetched"),
    "currency_differs": Check("error", "the source's currency is not the universe's"),
    "volume_not_possible": Check("error", "the volume is negative or infinite"),
    "dividend_not_possible": Check("error", "the dividend is negative or infinite"),
    "dividend_in_other_unit": Check(
        "error", "the dividend is 100 times or a split off what price or history say"
    ),
    "dividend_not_in_price": Check("error", "a dividend of over 8 % of a price that did not fall"),
    "dividend_told_twice": Check("error", "the same dividend within five sessions"),
    "split_not_possible": Check("warning", "the split ratio is not positive"),
    "split_before_its_date": Check("warning", "the price moved by a split's ratio before the split's date"),
    "close_outside_trades": Check(
        "warning", "London closes, which are quotes, over 1 % outside the day's trades"
    ),
    "open_outside_range": Check("warning", "the open lies outside the day's range by over 10 %"),
    "wide_range": Check("warning", "the high is over 3 times the low"),
    "spike_that_reverts": Check("warning", "a move of over 12 robust deviations that reverts"),
    "stale_run": Check("warning", "the same close for many bars without trading"),
    "repeated_bar": Check("warning", "a bar repeats the one before, volume included"),
    "missing_sessions": Check("warning", "three or more sessions in a row without a bar"),
    "missing_session": Check("warning", "one or two sessions in a row without a bar, counted"),
    "dates_shifted": Check("warning", "many bars on closed days that a day's shift would mend"),
    "volume_zero_price_changed": Check("warning", "the close changed without volume"),
    "vendor_adjusted_differs": Check(
        "warning", "the vendor's adjusted close differs from ours by over 0.5 %"
    ),
    "special_dividend": Check(
        "note", "a payout of over 10 % of the price, or 4 times the usual and over 3 %"
    ),
    "spin_off": Check("note", "a split ratio that is not one of small whole numbers"),
    "calendar_unknown": Check("note", "bars past the end of the exchange's calendar"),
}
# Bars that these set aside are nothing to compare with for those below.
FIRST_FINDERS = (rows.impossible_prices, levels.level_breaks)
FINDERS = (
    rows.ranges,
    rows.metadata,
    rows.volumes,
    rows.stale_runs,
    rows.events,
    levels.spikes,
    payouts.dividends,
    payouts.vendor_differences,
    payouts.odd_splits,
    calendar.sessions,
)


def is_repair(finding: Finding) -> bool:
    """Say whether what a finding quarantines is put right: a payout or a level, rather than left out."""
    return finding.part in (DIVIDEND, LEVEL) and finding.factor != 0.0


def find(bars: Bars, mic: str, as_of: date | None = None, currency: str = "") -> tuple[Finding, ...]:
    """Return what every check finds in the bars up to as_of, in session order.

    mic: "" is a currency pair. currency: what the universe says the quotes are in, "" to leave that unchecked.
    """
    index = bars.table.index
    last = len(index) if as_of is None else int(index.searchsorted(pd.Timestamp(as_of), side="right"))
    series = Series(bars, mic, currency, last)
    spots = [spot for finder in FIRST_FINDERS for spot in finder(series)]
    series.set_aside([each.row for each in spots if each.part == BAR and _quarantines(each)])
    spots += [spot for finder in FINDERS for spot in finder(series)]
    findings = [
        Finding(
            bars.symbol,
            index[each.row].date(),
            each.check,
            CHECKS[each.check].severity,
            each.detail,
            _quarantines(each),
            each.part,
            each.factor,
        )
        for each in spots
    ]
    return tuple(sorted(findings, key=lambda each: (each.session, each.check)))


def find_for(bars: Bars, instrument: Instrument | None, as_of: date) -> tuple[Finding, ...]:
    """Return what every check finds in the bars of an instrument; None is a currency pair."""
    if instrument is None:
        return find(bars, "", as_of)
    return find(bars, instrument.mic, as_of, instrument.currency)


def _quarantines(spot: Spot) -> bool:
    return CHECKS[spot.check].severity == "error"


def without_quarantined(bars: Bars, findings: Iterable[Finding]) -> Bars:
    """Return the bars without what findings quarantine.

    A quarantined bar leaves, and its dividend and split go to the next bar. A dividend or volume leaves alone. A
    quarantined level puts all earlier rows on the footing of its own.
    """
    own = [each for each in findings if each.quarantined and each.symbol == bars.symbol]
    if not own:
        return bars
    if any(each.part == SERIES for each in own):
        return replace(bars, table=bars.table.iloc[:0])
    table = bars.table.copy()
    dates = table.index
    dividend, volume = table["dividend"].to_numpy().copy(), table["volume"].to_numpy().copy()
    prices = table[list(PRICES)].to_numpy().copy()
    for each in own:
        row = int(dates.searchsorted(pd.Timestamp(each.session)))
        if each.part == DIVIDEND:
            dividend[row] = dividend[row] * each.factor if each.factor else 0.0
        elif each.part == VOLUME:
            volume[row] = np.nan
        elif each.part == LEVEL:
            prices[:row] *= each.factor
            dividend[:row] *= each.factor
            volume[:row] /= each.factor
    table[list(PRICES)], table["dividend"], table["volume"] = prices, dividend, volume
    bad = dates.isin([pd.Timestamp(each.session) for each in own if each.part == BAR])
    if bad.any():
        table.loc[bad, "close"] = np.nan
        table = carry_events(table)
        table = table[table["close"].notna()]
    return replace(bars, table=table)
