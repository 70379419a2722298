"""Find bad bars. Findings are reported and may quarantine a bar; nothing is deleted or repaired.

A check is a function of the bars and a line in CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.bars import Bars
from screener.market.sessions import is_session, sessions_between

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
BAND = 0.01  # adjusted highs and lows carry rounding; real vendors' stay well within this
HUNDRED, NEAR_HUNDRED = float(np.log(100.0)), float(np.log(1.6))
LONGEST_FLIP = 10  # bars; a level 100 times off is believed when it lasts longer
SPIKE, SMALLEST_SPIKE = 12.0, float(np.log(1.25))  # robust deviations, and a size that panics seldom reach
STALE, STALE_CLOSE_ONLY = 5, 8  # equal closes in a row, with and without a volume to tell
SHORTEST_GAP = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious bar or span of one symbol."""

    symbol: str
    session: date
    check: str  # the check's name, such as price_not_positive
    severity: str  # error: quarantined; warning: kept and listed
    detail: str  # a sentence with the numbers
    quarantined: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A rule over one symbol's bars: yields the row and what is wrong with it."""

    severity: str
    rule: str  # in words, for the report
    run: Callable[[pd.DataFrame, str], Iterator[tuple[int, str]]]


def find(bars: Bars, mic: str, as_of: date | None = None) -> tuple[Finding, ...]:
    """Return what every check finds in the bars up to as_of, in session order. mic "" is a currency pair."""
    table = bars.table if as_of is None else bars.table[bars.table.index <= pd.Timestamp(as_of)]
    findings = [
        Finding(bars.symbol, table.index[row].date(), name, check.severity, detail, check.severity == "error")
        for name, check in CHECKS.items()
        for row, detail in check.run(table, mic)
    ]
    return tuple(sorted(findings, key=lambda each: (each.session, each.check)))


def without_quarantined(bars: Bars, findings: Iterable[Finding]) -> Bars:
    """Return the bars without those that a finding quarantines."""
    bad = {pd.Timestamp(each.session) for each in findings if each.quarantined and each.symbol == bars.symbol}
    return bars if not bad else replace(bars, table=bars.table[~bars.table.index.isin(list(bad))])


def _price_not_positive(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    prices = table[["open", "high", "low", "close"]].to_numpy()
    for row in np.flatnonzero((prices <= 0).any(axis=1)):
        yield int(row), f"a price of {np.nanmin(prices[row]):g}"


def _high_below_low(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    high, low = table["high"].to_numpy(), table["low"].to_numpy()
    for row in np.flatnonzero(high < low * (1 - BAND)):
        yield int(row), f"high {high[row]:g} is below low {low[row]:g}"


def _close_outside_range(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    high, low, close = (table[each].to_numpy() for each in ("high", "low", "close"))
    outside = ((close > high * (1 + BAND)) | (close < low * (1 - BAND))) & (high >= low)
    for row in np.flatnonzero(outside):
        yield int(row), f"close {close[row]:g} lies outside {low[row]:g} to {high[row]:g}"


def _hundredfold(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    """A run of closes about 100 times too high or low: pence for pounds, cents for dollars.

    The new level is believed after LONGEST_FLIP bars, not before. So what is quarantined up to a date never
    depends on later bars, and a backtest on cleaned prices cannot learn from the reversal.
    """
    close = table["close"].to_numpy()
    rows = np.flatnonzero(close > 0)
    logs = np.log(close[rows])
    handled = -1  # position of the first bar after the last run: the step into it is the way back
    for step in np.flatnonzero(np.abs(np.abs(np.diff(logs)) - HUNDRED) < NEAR_HUNDRED):
        start = int(step) + 1
        if start <= handled:
            continue
        away = np.abs(logs[start : start + LONGEST_FLIP] - logs[step])
        flipped = np.abs(away - HUNDRED) < 2 * NEAR_HUNDRED
        length = len(flipped) if flipped.all() else int(np.argmin(flipped))
        before = close[rows[step]]
        for row in rows[start : start + length]:
            yield (
                int(row),
                f"close {close[row]:g} is {close[row] / before:.3g} times the {before:g} before it",
            )
        handled = start + length


def _spike_that_reverts(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    close = table["close"].to_numpy()
    if len(close) < 30 or (close <= 0).any():
        return
    step = np.diff(np.log(close))
    moved = step[step != 0]
    if not len(moved):
        return
    spread = 1.4826 * float(np.median(np.abs(moved - np.median(moved))))
    out, back = step[:-1], step[1:]
    spikes = (
        (np.abs(out) > max(SPIKE * spread, SMALLEST_SPIKE))
        & (np.abs(out + back) < 0.2 * np.abs(out))
        & (spread > 0)
    )
    for row in np.flatnonzero(spikes & (np.abs(np.abs(out) - HUNDRED) >= NEAR_HUNDRED)):
        yield (
            int(row) + 1,
            f"moved {np.expm1(out[row]):+.1%} and back {np.expm1(back[row]):+.1%} the next session",
        )


def _bar_on_holiday(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    open_on = is_session(mic, pd.DatetimeIndex(table.index))
    for row in np.flatnonzero(~open_on):
        yield int(row), "a bar on a date without a session"


def _stale_run(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    """Equal closes in a row while nothing traded, or, where volume is unknown, for longer than chance allows."""
    close, volume = table["close"].to_numpy(), table["volume"].to_numpy()
    if len(close) < 2 or mic == "":
        return
    unknown = not np.isfinite(volume).any()
    silent = np.r_[False, np.diff(close) == 0] & (np.full(len(close), unknown) | (volume == 0))
    for start, length in _runs(silent):
        if length + 1 >= (STALE_CLOSE_ONLY if unknown else STALE):
            yield start, f"{length + 1} equal closes of {close[start]:g} in a row"


def _missing_sessions(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    index = pd.DatetimeIndex(table.index)
    if len(index) < 2:
        return
    expected = sessions_between(mic, index[0].date(), index[-1].date())
    missing = ~np.asarray(expected.isin(index))
    for start, length in _runs(missing):
        if length >= SHORTEST_GAP:
            row = int(index.searchsorted(expected[start]))
            yield (
                row,
                f"{length} sessions from {expected[start].date()} to {expected[start + length - 1].date()} have no bar",
            )


def _volume_zero_price_changed(table: pd.DataFrame, mic: str) -> Iterator[tuple[int, str]]:
    close, volume = table["close"].to_numpy(), table["volume"].to_numpy()
    if mic == "" or not (volume > 0).any():
        return
    changed = np.r_[False, np.abs(np.diff(close)) > 1e-9 * np.abs(close[:-1])]
    rows = np.flatnonzero(changed & (volume == 0))
    if len(rows):
        yield int(rows[0]), f"the close changed without volume on {len(rows)} sessions"


def _runs(flags: Bools) -> list[tuple[int, int]]:
    """Return start and length of each run of True."""
    edges = np.diff(np.r_[0, flags.astype(np.int8), 0])
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(start), int(end - start)) for start, end in zip(starts, ends, strict=True)]


CHECKS = {
    "price_not_positive": Check("error", "a price is zero or negative", _price_not_positive),
    "high_below_low": Check("error", "the high is below the low", _high_below_low),
    "close_outside_range": Check(
        "error", "the close lies outside the day's range by over 1 %", _close_outside_range
    ),
    "hundredfold_glitch": Check("error", "the close is about 100 times off for up to 10 bars", _hundredfold),
    "spike_that_reverts": Check(
        "warning", "a move of over 12 robust deviations that reverts", _spike_that_reverts
    ),
    "bar_on_holiday": Check("warning", "a bar on a date without a session", _bar_on_holiday),
    "stale_run": Check("warning", "the same close for many bars without trading", _stale_run),
    "missing_sessions": Check("warning", "three or more sessions in a row without a bar", _missing_sessions),
    "volume_zero_price_changed": Check(
        "warning", "the close changed without volume", _volume_zero_price_changed
    ),
}
