"""Checks of one row by itself, and of runs of equal rows: what no trading day can look like."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from screener.market.checks.series import DIVIDEND, SERIES, VOLUME, Series, Spot, runs
from screener.market.currency import major_unit
from screener.market.sessions import calendar_of, local_date

BAND = 0.01  # adjusted highs and lows carry rounding; real vendors' stay well within this
# London's official close is a mid-quote, high and low are of trades: in six real London files up to 26 % of the
# closes lie outside the range, by up to 8 %, and are right.
QUOTED_BAND, QUOTED_CLOSES = 0.1, ("XLON",)
OPEN_BAND = 0.1  # London's opening auction often lies outside the range that vendors give
UNIT_INSIDE = 30.0  # an open, high or low this many times off the close is in another unit
WIDE = 3.0  # high over low; the widest real day of 470,000 is 3.0 outside SPAC shells
STALE, STALE_CLOSE_ONLY = 5, 8  # equal closes in a row, with and without a volume to tell
REPEATED = 2  # rows in a row that repeat open, high, low, close and volume of a day that moved


def impossible_prices(s: Series) -> Iterator[Spot]:
    """Prices that are zero, negative or infinite."""
    prices = (s.open, s.high, s.low, s.close)
    wrong = np.zeros(len(s), dtype=bool)
    for each in prices:
        wrong |= (each <= 0) | np.isinf(each)
    for row in np.flatnonzero(wrong).tolist():
        worst = min(float(each[row]) for each in prices if not np.isnan(each[row]))
        infinite = any(np.isinf(each[row]) for each in prices)
        yield Spot("price_not_positive", row, "a price is infinite" if infinite else f"a price of {worst:g}")


def ranges(s: Series) -> Iterator[Spot]:
    """Highs, lows, opens and closes that contradict each other. One finding a row, the gravest."""
    if not np.isfinite(s.high).any():
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        crossed = s.high < s.low * (1 - BAND)
        unit = np.zeros(len(s), dtype=bool)
        for each in (s.open, s.high, s.low):
            ratio = each / s.close
            unit |= (ratio > UNIT_INSIDE) | ((ratio < 1 / UNIT_INSIDE) & (ratio > 0))
        outside = np.maximum(s.close / s.high, s.low / s.close) - 1
        quoted = s.mic != "" and calendar_of(s.mic) in QUOTED_CLOSES
        close_out = outside > (QUOTED_BAND if quoted else BAND)
        open_out = (s.open > s.high * (1 + OPEN_BAND)) | (s.open < s.low * (1 - OPEN_BAND))
        wide = s.high > s.low * WIDE
    beside = (
        np.flatnonzero((outside > BAND) & (outside <= QUOTED_BAND)) if quoted else np.array([], dtype=int)
    )
    if len(beside):
        text = f"on {len(beside)} sessions the close, a mid-quote in London, lies over 1 % outside the day's trades"
        yield Spot("close_outside_trades", int(beside[0]), text)
    suspects = np.flatnonzero(crossed | unit | close_out | open_out | wide)
    for row in suspects.tolist():
        opened, high, low, close = (float(each[row]) for each in (s.open, s.high, s.low, s.close))
        if crossed[row] and not unit[row]:
            yield Spot("high_below_low", row, f"high {high:g} is below low {low:g}")
        elif np.nanmin((opened, high, low, close)) <= 0:
            continue  # a price that is not positive, which is said elsewhere
        elif unit[row]:
            yield Spot(
                "unit_inside_bar", row, f"open {opened:g}, high {high:g}, low {low:g} against close {close:g}"
            )
        elif close_out[row]:
            yield Spot("close_outside_range", row, f"close {close:g} lies outside {low:g} to {high:g}")
        elif open_out[row]:
            yield Spot("open_outside_range", row, f"open {opened:g} lies outside {low:g} to {high:g}")
        elif wide[row]:
            yield Spot("wide_range", row, f"high {high:g} is {high / low:.3g} times low {low:g}")


def volumes(s: Series) -> Iterator[Spot]:
    """Negative volumes; closes that changed on sessions without any."""
    for row in np.flatnonzero((s.volume < 0) | np.isinf(s.volume)).tolist():
        yield Spot("volume_not_possible", row, f"volume {s.volume[row]:g}", VOLUME)
    if s.mic == "" or not (s.volume > 0).any():
        return
    changed = np.r_[False, np.abs(np.diff(s.close)) > 1e-9 * np.abs(s.close[:-1])]
    rows = np.flatnonzero(changed & (s.volume == 0))
    if len(rows):
        yield Spot(
            "volume_zero_price_changed",
            int(rows[0]),
            f"the close changed without volume on {len(rows)} sessions",
        )


def stale_runs(s: Series) -> Iterator[Spot]:
    """Equal closes in a row while nothing traded, or, where volume is unknown, for longer than chance allows."""
    if len(s) < 2 or s.mic == "":
        return
    same = np.r_[False, np.diff(s.close) == 0]
    unknown = not np.isfinite(s.volume).any()
    silent = same if unknown else same & (s.volume == 0)
    for start, length in runs(silent):
        if length + 1 >= (STALE_CLOSE_ONLY if unknown else STALE):
            yield Spot(
                "stale_run",
                start,
                f"{length + 1} equal closes of {s.close[start]:g} in a row without a trade",
            )
    if unknown or not np.isfinite(s.high).any():
        return
    again = same & (s.volume > 0) & (s.high > s.low)
    for each in (s.open, s.high, s.low, s.volume):
        again[1:] &= each[1:] == each[:-1]
    for start, length in runs(again):
        if length + 1 >= REPEATED:
            yield Spot(
                "repeated_bar",
                start,
                f"open, high, low, close and volume are the session's before, {length} times",
            )


def metadata(s: Series) -> Iterator[Spot]:
    """A currency that is not the universe's, and dates that lie ahead of the fetch."""
    if s.currency and s.bars_currency and len(s):
        told, expected = major_unit(s.bars_currency)[0], major_unit(s.currency)[0]
        if told != expected:
            yield Spot(
                "currency_differs",
                0,
                f"the source quotes {s.bars_currency}, the universe says {s.currency}",
                SERIES,
            )
    today = np.datetime64(
        local_date(s.mic, s.fetched_at) if s.mic else s.fetched_at.date() + timedelta(days=1)
    )
    for row in np.flatnonzero(s.days > today).tolist():
        yield Spot("date_in_future", row, f"fetched on {s.fetched_at.date()}, before this session began")


def events(s: Series) -> Iterator[Spot]:
    """Dividends and splits that cannot be."""
    for row in np.flatnonzero((s.dividend < 0) | np.isinf(s.dividend)).tolist():
        yield Spot("dividend_not_possible", row, f"dividend {s.dividend[row]:g}", DIVIDEND)
    for row in np.flatnonzero((s.split <= 0) | np.isinf(s.split)).tolist():
        yield Spot("split_not_possible", row, f"split ratio {s.split[row]:g}; it is not used")
