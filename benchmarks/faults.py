"""A bench of faults: clean synthetic panels, the same with faults planted, and what the checks find.

`python -m benchmarks.faults` prints recall by kind of fault and false alarms per 10,000 clean bars. All prices
here are synthetic. The clean ones are made hard: fat tails, clustered volatility, real-looking jumps of up to
3 times, splits, dividends and special dividends, penny prices on coarse ticks, days without a trade, holidays.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from screener.errors import UserError
from screener.market.bars import Bars, bars_table
from screener.market.quality import Finding, find
from screener.market.sessions import sessions_between
from screener.market.sources.price_file import read_price_file

MARKETS = (
    ("XNYS", "USD"),
    ("XTKS", "JPY"),
    ("XASX", "AUD"),
    ("XLON", "GBp"),
    ("XSHG", "CNY"),
    ("XTSE", "CAD"),
)
FIRST, LAST = date(2023, 1, 4), date(2026, 1, 30)
FETCHED = datetime(2026, 2, 1, tzinfo=UTC)
PRICES = ["open", "high", "low", "close"]
NAMES = 10  # in a panel


@dataclass(frozen=True, eq=False)
class Raw:
    """One symbol as a source might serve it. `planted` are the sessions that a fault touches."""

    table: pd.DataFrame
    mic: str
    currency: str
    adjusted: pd.Series | None = None
    served_currency: str = ""
    planted: tuple[pd.Timestamp, ...] = ()
    told: tuple[str, ...] = ()
    fetched_at: datetime = field(default=FETCHED)


def clean(rng: np.random.Generator, market: tuple[str, str] | None = None) -> Raw:
    """Return one symbol without a fault, of a random market and temper."""
    mic, currency = market or MARKETS[rng.integers(len(MARKETS))]
    index = sessions_between(mic, FIRST, LAST)
    count = len(index)
    level = rng.uniform(0.008, 0.045)
    calm = np.exp(0.5 * _smooth(rng, count))
    returns = level * calm * np.clip(rng.standard_t(4, count) / np.sqrt(2), -8, 8)
    jumps = rng.random(count) < 1 / 400
    returns[jumps] += np.clip(rng.normal(0, 0.25, int(jumps.sum())), -1.0, 1.0)
    dividend_share = _payouts(rng, count)
    start = float(np.exp(rng.uniform(np.log(0.5), np.log(3000.0))))
    close = start * np.exp(np.cumsum(returns + np.log1p(-dividend_share)))
    tick = 10.0 ** np.floor(np.log10(start) - 3)
    silent = rng.random(count) < rng.choice([0.0, 0.0, 0.03])
    silent[0] = False
    close = pd.Series(np.where(silent, np.nan, close)).ffill().to_numpy()
    close = np.maximum(np.round(close / tick), 1) * tick
    opened = close * np.exp(rng.normal(0, 0.4 * level, count))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.5 * level, count)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.5 * level, count)))
    volume = np.round(rng.lognormal(rng.uniform(8, 15), 0.5, count) * calm) + 1
    for each in (opened, high, low):
        each[silent] = close[silent]
    volume[silent] = 0.0
    before = np.r_[close[:1], close[:-1]]
    split = np.ones(count)
    if rng.random() < 0.3:  # correctly applied: the ratio is told, prices run on
        split[rng.integers(60, count - 60)] = rng.choice([2.0, 3.0, 10.0, 0.1, 0.2, 1.5])
    table = pd.DataFrame(
        {
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "dividend": np.round(dividend_share * before, 6),
            "split": split,
        },
        index=index,
    )
    return Raw(table, mic, currency, adjusted=adjusted_close(table) if rng.random() < 0.5 else None)


def adjusted_close(table: pd.DataFrame) -> pd.Series:
    """Return the adjusted close a vendor would print, to six digits: earlier closes times 1 − D / C[previous]."""
    close, dividend = table["close"].to_numpy(), table["dividend"].to_numpy()
    factor = np.r_[1 - dividend[1:] / close[:-1], 1.0]
    adjusted = close * np.cumprod(factor[::-1])[::-1]
    return pd.Series([float(f"{each:.7g}") for each in adjusted], index=table.index)


def _smooth(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return an autoregressive walk with unit deviation: volatility that comes in clusters."""
    noise = rng.standard_normal(count) * np.sqrt(1 - 0.97**2)
    return np.asarray(lfilter([1.0], [1.0, -0.97], noise, zi=[0.97 * rng.standard_normal()])[0])


def _payouts(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return T: dividends as a share of the price, none, yearly, half-yearly or quarterly, at times a special one."""
    shares = np.zeros(count)
    every = int(rng.choice([0, 63, 126, 252]))
    if every:
        dates = np.arange(int(rng.integers(20, every + 20)), count, every)
        shares[dates] = rng.uniform(0.002, 0.03) * rng.uniform(0.8, 1.3, len(dates))
        if rng.random() < 0.1:
            shares[int(rng.integers(200, count - 20))] = rng.uniform(0.04, 0.09)
    return shares


# The faults: each takes a clean symbol and returns it with the fault, and where it is


def _at(rng: np.random.Generator, raw: Raw, spare: int = 30) -> int:
    return int(rng.integers(80, len(raw.table) - spare))


def _scaled(raw: Raw, first: int, length: int, factor: float, columns: list[str] | None = None) -> Raw:
    """Multiply prices of some rows. What is planted are the rows up to the tenth; then a level is believed."""
    table = raw.table.copy()
    rows = table.index[first : first + length]
    table.loc[rows, columns or PRICES] *= factor
    return replace(raw, table=table, planted=tuple(rows[:10]), adjusted=None)


def scale(factor: float, length: int, columns: list[str] | None = None) -> Callable[..., Raw]:
    """Return a fault that multiplies prices for a number of rows."""
    return lambda rng, raw: _scaled(raw, _at(rng, raw), length, factor, columns)


def _set(raw: Raw, at: int, **values: float) -> Raw:
    table = raw.table.copy()
    for name, value in values.items():
        table.loc[table.index[at], name] = value
    return replace(raw, table=table, planted=(table.index[at],))


def crossed(rng: np.random.Generator, raw: Raw) -> Raw:
    """Swap high and low on a day that moved."""
    at = _at(rng, raw)
    close = float(raw.table["close"].iloc[at])
    return _set(raw, at, high=close * 0.96, low=close * 1.03)


def close_out(above: bool) -> Callable[..., Raw]:
    """Put the close outside high to low by 3 to 20 %."""

    def plant(rng: np.random.Generator, raw: Raw) -> Raw:
        at = _at(rng, raw)
        row = raw.table.iloc[at]
        off = 1 + rng.uniform(0.03, 0.2)
        return _set(raw, at, close=row["high"] * off if above else row["low"] / off)

    return plant


def split_missed(ratio: float, late: int = 0, twice: bool = False) -> Callable[..., Raw]:
    """Leave a split out of earlier prices, or apply it twice; `late`: prices show it some sessions after its date."""

    def plant(rng: np.random.Generator, raw: Raw) -> Raw:
        at = _at(rng, raw)
        table = raw.table.copy()
        table["split"] = 1.0
        table.loc[table.index[at - late], "split"] = ratio
        factor = 1 / ratio if twice else ratio
        table.loc[table.index[:at], [*PRICES, "dividend"]] *= factor
        table.loc[table.index[:at], "volume"] /= factor
        return replace(raw, table=table, planted=(table.index[at],), adjusted=None)

    return plant


def stale(rng: np.random.Generator, raw: Raw) -> Raw:
    """Repeat a close for six to twelve sessions without volume."""
    at, length = _at(rng, raw), int(rng.integers(6, 13))
    table = raw.table.copy()
    rows = table.index[at : at + length]
    table.loc[rows, PRICES] = float(table["close"].iloc[at - 1])
    table.loc[rows, "volume"] = 0.0
    return replace(raw, table=table, planted=(rows[0],))


def repeated(rng: np.random.Generator, raw: Raw) -> Raw:
    """Serve a session's row again on the next two."""
    at = _at(rng, raw)
    table = raw.table.copy()
    while table["volume"].iloc[at - 1] == 0:
        at += 1
    for row in table.index[at : at + 2]:
        table.loc[row, [*PRICES, "volume"]] = table.iloc[at - 1][[*PRICES, "volume"]]
    return replace(raw, table=table, planted=(table.index[at],))


def gap(length: int) -> Callable[..., Raw]:
    """Take sessions away."""

    def plant(rng: np.random.Generator, raw: Raw) -> Raw:
        at = _at(rng, raw)
        kept = raw.table.drop(raw.table.index[at : at + length])
        return replace(raw, table=kept, planted=(kept.index[at],))

    return plant


def closed_day(weekend: bool) -> Callable[..., Raw]:
    """Put a bar on a weekend or a holiday."""

    def plant(rng: np.random.Generator, raw: Raw) -> Raw:
        days = pd.date_range(FIRST + timedelta(days=200), LAST - timedelta(days=60), unit="s")
        days = days[(days.day_of_week >= 5) == weekend]
        closed = days[~days.isin(raw.table.index)]
        day = closed[int(rng.integers(len(closed)))]
        table = raw.table.copy()
        table.loc[day] = table.iloc[int(table.index.searchsorted(day)) - 1]
        table.loc[day, ["dividend", "split"]] = [0.0, 1.0]
        return replace(raw, table=table.sort_index(), planted=(day,))

    return plant


def no_volume(rng: np.random.Generator, raw: Raw) -> Raw:
    """Take the volume of three sessions on which the close moved."""
    table = raw.table.copy()
    moved = np.flatnonzero((table["close"].diff() != 0) & (np.arange(len(table)) > 80))
    rows = table.index[rng.choice(moved, 3, replace=False)].sort_values()
    table.loc[rows, "volume"] = 0.0
    return replace(raw, table=table, planted=tuple(rows))


def _paying(rng: np.random.Generator, raw: Raw) -> tuple[Raw, int]:
    """Return the symbol with half-yearly dividends of about 1.5 %, and the row of one of the later ones."""
    table = raw.table.copy()
    table["dividend"] = 0.0
    rows = np.arange(60, len(table), 126)
    before = table["close"].to_numpy()[rows - 1]
    table.loc[table.index[rows], "dividend"] = before * 0.015 * rng.uniform(0.9, 1.1, len(rows))
    paying = replace(raw, table=table, adjusted=None)
    return paying, int(rng.choice(rows[3:]))


def dividend_times(factor: float, vendor: bool = False) -> Callable[..., Raw]:
    """Put one dividend in another unit; `vendor`: the adjusted close knows the right one."""

    def plant(rng: np.random.Generator, raw: Raw) -> Raw:
        paying, at = _paying(rng, raw)
        adjusted = adjusted_close(paying.table) if vendor else None
        wrong = _set(paying, at, dividend=float(paying.table["dividend"].iloc[at]) * factor)
        return replace(wrong, adjusted=adjusted)

    return plant


def every_dividend_times_100(rng: np.random.Generator, raw: Raw) -> Raw:
    """Put all dividends in pence and the price in pounds."""
    paying, _ = _paying(rng, raw)
    table = paying.table.copy()
    table["dividend"] *= 100
    return replace(paying, table=table, planted=tuple(table.index[table["dividend"] > 0][:1]))


def dividend_again(rng: np.random.Generator, raw: Raw) -> Raw:
    """Tell a dividend again one to three sessions later."""
    paying, at = _paying(rng, raw)
    later = min(at + int(rng.integers(1, 4)), len(paying.table) - 1)
    return _set(paying, later, dividend=float(paying.table["dividend"].iloc[at]))


def vendor_misses_one(rng: np.random.Generator, raw: Raw) -> Raw:
    """Let the vendor's adjusted close miss a dividend."""
    paying, at = _paying(rng, raw)
    without = _set(paying, at, dividend=0.0)
    return replace(paying, adjusted=adjusted_close(without.table), planted=without.planted)


def shifted_dates(rng: np.random.Generator, raw: Raw) -> Raw:
    """Label every bar a day early, as UTC dates of an eastern exchange do."""
    table = raw.table.copy()
    table.index = (table.index - pd.Timedelta(days=1)).rename("session")
    return replace(
        raw, table=table, planted=tuple(table.index[table.index.day_of_week == 6][:5]), adjusted=None
    )


def rows_twice(rng: np.random.Generator, raw: Raw) -> Raw:
    """Put a session into a file twice with different closes: the file is refused, with the line."""
    at = _at(rng, raw)
    row = raw.table.iloc[[at]] * [1.01, 1.01, 1.01, 1.01, 1, 1, 1]
    table = pd.concat([raw.table.iloc[: at + 1], row, raw.table.iloc[at + 1 :]])
    _, told = _through_a_file(table)
    return replace(raw, told=told, planted=(raw.table.index[at],))


def rows_unsorted(rng: np.random.Generator, raw: Raw) -> Raw:
    """Put the newest row of a file before the oldest: it is read in order."""
    shuffled = raw.table.iloc[rng.permutation(len(raw.table))]
    table, told = _through_a_file(shuffled)
    if not told and table is not None and np.array_equal(table["close"], raw.table["close"]):
        told = ("sorted",)
    return replace(raw, told=told, planted=(raw.table.index[-1],))


def _through_a_file(table: pd.DataFrame) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Return what the files source makes of rows, or what it says of them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "AAA.csv"
        table.rename_axis("date").to_csv(path)
        try:
            return read_price_file(path).table, ()
        except UserError as error:
            return None, error.problems


def other_currency(rng: np.random.Generator, raw: Raw) -> Raw:
    """Name another currency than the universe's."""
    served = str(rng.choice([each for _, each in MARKETS if each != raw.currency]))
    return replace(raw, served_currency=served, planted=(raw.table.index[0],))


def in_future(rng: np.random.Generator, raw: Raw) -> Raw:
    """Serve sessions that had not begun when they were fetched."""
    at = len(raw.table) - int(rng.integers(3, 10))
    fetched = datetime.combine(raw.table.index[at].date(), datetime.min.time(), UTC)
    return replace(raw, fetched_at=fetched + timedelta(hours=12), planted=(raw.table.index[at + 2],))


GLITCH = frozenset({"hundredfold_glitch", "implausible_jump"})
SPLIT = frozenset({"split_not_applied", "split_applied_twice", "implausible_jump", "hundredfold_glitch"})
PAYOUT = frozenset({"dividend_in_other_unit", "dividend_not_in_price"})
CLOSE = frozenset({"close_outside_range", "close_outside_trades"})
GATE = frozenset({"files source"})


def _spike(low: float, high: float) -> Callable[..., Raw]:
    return lambda rng, raw: _scaled(raw, _at(rng, raw), 1, float(rng.uniform(low, high)))


# name → how to plant it, and the checks that may claim to have found it
FAULTS: dict[str, tuple[Callable[[np.random.Generator, Raw], Raw], frozenset[str]]] = {
    "prices of zero": (scale(0.0, 1), frozenset({"price_not_positive"})),
    "prices negative": (scale(-1.0, 2), frozenset({"price_not_positive"})),
    "a low of zero": (scale(0.0, 1, ["low"]), frozenset({"price_not_positive"})),
    "prices infinite": (scale(np.inf, 1), frozenset({"price_not_positive"})),
    "high and low swapped": (crossed, frozenset({"high_below_low"})),
    "close above the high": (close_out(True), CLOSE),
    "close below the low": (close_out(False), CLOSE),
    "high 100 times off": (scale(100.0, 1, ["high"]), frozenset({"unit_inside_bar"})),
    "low 100 times off": (scale(0.01, 1, ["low"]), frozenset({"unit_inside_bar"})),
    "open 100 times off": (scale(100.0, 1, ["open"]), frozenset({"unit_inside_bar"})),
    "pence for pounds, a day": (scale(100.0, 1), GLITCH),
    "pence for pounds, three days": (scale(100.0, 3), GLITCH),
    "pounds for pence, a day": (scale(0.01, 1), GLITCH),
    "pounds for pence, three days": (scale(0.01, 3), GLITCH),
    "pounds for pence, ten days": (scale(0.01, 10), GLITCH),
    "pence for pounds, to the end": (scale(100.0, 10_000), GLITCH),
    "thousandfold, two days (new yen)": (scale(1000.0, 2), GLITCH),
    "tenfold, a day": (scale(10.0, 1), GLITCH),
    "a tenth, two days": (scale(0.1, 2), GLITCH),
    "split 2:1 not applied": (split_missed(2.0), SPLIT),
    "split 3:2 not applied": (split_missed(1.5), SPLIT),
    "split 3:1 not applied": (split_missed(3.0), SPLIT),
    "split 10:1 not applied": (split_missed(10.0), SPLIT),
    "consolidation 1:10 not applied": (split_missed(0.1), SPLIT),
    "consolidation 1:5 not applied": (split_missed(0.2), SPLIT),
    "split 2:1 applied twice": (split_missed(2.0, twice=True), SPLIT),
    "split 4:1 applied twice": (split_missed(4.0, twice=True), SPLIT),
    "split 5:1 applied four sessions late": (split_missed(5.0, late=4), SPLIT),
    "spike up that reverts": (_spike(2.0, 3.5), frozenset({"spike_that_reverts"})),
    "spike of 35 to 70 % that reverts": (_spike(1.35, 1.7), frozenset({"spike_that_reverts"})),
    "spike down that reverts": (_spike(0.28, 0.45), frozenset({"spike_that_reverts"})),
    "stale run": (stale, frozenset({"stale_run"})),
    "bar repeated": (repeated, frozenset({"repeated_bar"})),
    "one session missing": (gap(1), frozenset({"missing_session"})),
    "six sessions missing": (gap(6), frozenset({"missing_sessions"})),
    "bar on a weekend": (closed_day(True), frozenset({"bar_on_holiday"})),
    "bar on a holiday": (closed_day(False), frozenset({"bar_on_holiday"})),
    "dates a day early": (shifted_dates, frozenset({"bar_on_holiday"})),
    "volume zero, close moved": (no_volume, frozenset({"volume_zero_price_changed"})),
    "volume negative": (
        lambda rng, raw: _set(raw, _at(rng, raw), volume=-1000.0),
        frozenset({"volume_not_possible"}),
    ),
    "dividend 100 times too high": (dividend_times(100.0), PAYOUT),
    "dividend 100 times too high, vendor right": (dividend_times(100.0, vendor=True), PAYOUT),
    "dividend 10 times too high": (dividend_times(10.0), PAYOUT),
    "dividend 100 times too low": (dividend_times(0.01), PAYOUT),
    "every dividend 100 times too high": (every_dividend_times_100, PAYOUT),
    "dividend told twice": (dividend_again, frozenset({"dividend_told_twice"})),
    "dividend negative": (dividend_times(-1.0), frozenset({"dividend_not_possible"})),
    "vendor's adjusted close misses one": (vendor_misses_one, frozenset({"vendor_adjusted_differs"})),
    "a session twice": (rows_twice, GATE),
    "rows out of order": (rows_unsorted, GATE),
    "another currency": (other_currency, frozenset({"currency_differs"})),
    "dates in the future": (in_future, frozenset({"date_in_future"})),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Planted and found faults by kind of fault; clean bars, and the findings on them."""

    planted: Counter[str]
    found: Counter[str]
    clean_bars: int
    alarms: tuple[Finding, ...]

    @property
    def recall(self) -> float:
        """Return the share of planted faults that a check for them points to."""
        return self.found.total() / self.planted.total()

    @property
    def alarms_per_10_000(self) -> float:
        """Return the findings on clean bars, for each 10,000 of them; notes are not alarms."""
        return 1e4 * len(self.alarms) / self.clean_bars


def bars_of(raw: Raw, symbol: str = "AAA") -> Bars:
    """Return what a source would hand over."""
    currency = raw.served_currency or raw.currency
    return Bars(
        symbol,
        bars_table(raw.table),
        currency,
        "bench, synthetic",
        raw.fetched_at,
        True,
        adjusted=raw.adjusted,
    )


def check(raw: Raw) -> tuple[Finding, ...]:
    """Return the findings that are alarms."""
    found = find(bars_of(raw), raw.mic, currency=raw.currency)
    return tuple(each for each in found if each.severity != "note")


def clean_panels(seed: int, panels: int) -> Iterator[Raw]:
    """Yield the symbols of clean panels, NAMES each."""
    for panel in range(panels):
        rng = np.random.default_rng([seed, panel])
        for _ in range(NAMES):
            yield clean(rng)


def run(seed: int = 7, panels: int = 50, each_fault: int = 20) -> Outcome:
    """Plant every fault `each_fault` times, and look at clean panels beside them."""
    planted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for number, (name, (plant, checks)) in enumerate(FAULTS.items()):
        for repeat in range(each_fault):
            rng = np.random.default_rng([seed, 1000 + number, repeat])
            raw = plant(rng, clean(rng))
            spotted = {pd.Timestamp(each.session) for each in check(raw) if each.check in checks}
            planted[name] += 1
            if checks is GATE:
                found[name] += bool(raw.told)
            elif checks is GLITCH:  # only when every one of its bars is set aside
                found[name] += all(each in spotted for each in raw.planted)
            else:
                found[name] += any(each in spotted for each in raw.planted)
    bars, alarms = 0, []
    for raw in clean_panels(seed, panels):
        bars += len(raw.table)
        alarms += check(raw)
    return Outcome(planted, found, bars, tuple(alarms))


def main() -> None:
    """Print recall by kind and the false alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--panels", type=int, default=50)
    parser.add_argument("--each-fault", type=int, default=20)
    options = parser.parse_args()
    outcome = run(options.seed, options.panels, options.each_fault)
    for name in FAULTS:
        print(f"{name:44}{outcome.found[name]:5} of {outcome.planted[name]:5}")
    print(f"{len(FAULTS)} kinds, recall {outcome.recall:.2%}")
    for check_name, count in Counter(each.check for each in outcome.alarms).most_common():
        print(f"  {count:4} {check_name} on clean bars")
    print(
        f"{len(outcome.alarms)} false alarms in {outcome.clean_bars:,} clean bars, "
        f"{outcome.alarms_per_10_000:.2f} per 10,000"
    )


if __name__ == "__main__":
    main()
