"""How long a panel takes, and the memory it needs: `python -m benchmarks.panel [--names 2000 --years 20]`.

Synthetic bars of four exchanges become an adjusted panel in dollars. Beside it, in the same run and on the same
bars, what people do now: one frame of adjusted closes with pandas' concat, filled forward and multiplied by rates
(which keeps dead prices forever and knows no sessions), and the pivot of a long table. Each in its own process.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial

import numpy as np
import pandas as pd

from screener.market.bars import COLUMNS, Bars
from screener.market.panel import build
from screener.market.quality import find_for, without_quarantined
from screener.market.sessions import sessions_between
from screener.universe.model import Instrument

MARKETS = (("XNYS", "USD"), ("XTKS", "JPY"), ("XASX", "AUD"), ("XLON", "GBp"))
RATES = {"JPY=X": 150.0, "AUDUSD=X": 0.66, "GBPUSD=X": 1.3}
LAST = date(2026, 7, 10)
NOW = datetime(2026, 7, 20, tzinfo=UTC)
Market = tuple[dict[str, Bars], dict[str, Instrument]]


def synthetic_market(names: int, years: int) -> Market:
    """Return bars and instruments; quarterly dividends, no faults."""
    rng = np.random.default_rng(7)
    first = date(LAST.year - years, LAST.month, LAST.day)
    index = {mic: sessions_between(mic, first, LAST) for mic, _ in MARKETS}
    bars, instruments = {}, {}
    for number in range(names):
        mic, currency = MARKETS[number % len(MARKETS)]
        count = len(index[mic])
        returns = rng.normal(0.0002, 0.02, count)
        paid = np.zeros(count)
        paid[20 + number % 60 :: 63] = 0.005
        close = 50 * np.exp(np.cumsum(returns + np.log1p(-paid)))
        values = np.empty((count, len(COLUMNS)))
        values[:, 0] = values[:, 3] = close
        values[:, 1], values[:, 2] = close * 1.01, close * 0.99
        values[:, 4] = rng.integers(100_000, 10_000_000, count)
        values[:, 5], values[:, 6] = paid * np.r_[close[:1], close[:-1]], 1.0
        symbol = f"N{number:04d}"
        table = pd.DataFrame(values, index=index[mic], columns=list(COLUMNS))
        bars[symbol] = Bars(symbol, table, currency, "bench", NOW, True)
        instruments[symbol] = Instrument(
            symbol, symbol, symbol, symbol, "equity", mic, currency, "US", "mining"
        )
    weekdays = sessions_between("", first, LAST)
    for symbol, level in RATES.items():
        table = pd.DataFrame(np.nan, index=weekdays, columns=list(COLUMNS))
        table["close"] = level * np.exp(np.cumsum(rng.normal(0, 0.005, len(weekdays))))
        table["dividend"], table["split"] = 0.0, 1.0
        bars[symbol] = Bars(symbol, table, "", "bench", NOW, True)
    return bars, instruments


def ours(market: Market) -> object:
    """Build the panel."""
    bars, instruments = market
    return build(bars, instruments, "USD", LAST, NOW)


def checks(market: Market) -> object:
    """Run every quality check, and leave out what it quarantines."""
    bars, instruments = market
    return [
        without_quarantined(each, find_for(each, instruments.get(symbol), LAST))
        for symbol, each in bars.items()
    ]


def by_concat(market: Market) -> object:
    """Do what people do: adjusted closes side by side, filled forward, times the rate. No traded, no volume."""
    bars, instruments = market
    adjusted = {}
    for symbol in instruments:
        close, dividend = bars[symbol].table["close"], bars[symbol].table["dividend"]
        adjusted[symbol] = close.iloc[0] * ((close + dividend) / close.shift()).fillna(1.0).cumprod()
    table = pd.concat(adjusted, axis=1).ffill()
    return _times_rates(table, market)


def by_pivot(market: Market) -> object:
    """Do it with a long table and pandas' pivot, as a store of rows invites."""
    bars, instruments = market
    parts = []
    for symbol in instruments:
        close, dividend = bars[symbol].table["close"], bars[symbol].table["dividend"]
        level = close.iloc[0] * ((close + dividend) / close.shift()).fillna(1.0).cumprod()
        parts.append(pd.DataFrame({"session": level.index, "symbol": symbol, "level": level.to_numpy()}))
    table = pd.concat(parts).pivot(index="session", columns="symbol", values="level").ffill()
    return _times_rates(table, market)


def _times_rates(table: pd.DataFrame, market: Market) -> pd.DataFrame:
    bars, instruments = market
    index = pd.DatetimeIndex(table.index)
    rate = {name: bars[name].table["close"].reindex(index).ffill() for name in RATES}
    in_usd = {"USD": 1.0, "JPY": 1 / rate["JPY=X"], "AUD": rate["AUDUSD=X"], "GBp": rate["GBPUSD=X"] / 100}
    for mic, currency in MARKETS:
        columns = [symbol for symbol in table.columns if instruments[symbol].mic == mic]
        table[columns] = table[columns].mul(in_usd[currency], axis=0) if currency != "USD" else table[columns]
    return table


def measure(
    task: Callable[[Market], object], names: int, years: int, repeats: int
) -> tuple[float, float, float]:
    """Return the best wall time and CPU time in seconds, and the peak memory of the process in GB."""
    market = synthetic_market(names, years)
    walls, cpus = [], []
    for _ in range(repeats):
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        made = task(market)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        del made
    return min(walls), min(cpus), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=0, help="default: 90 x 10 years, then 2,000 x 20 years")
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    sizes = [(options.names, options.years)] if options.names else [(90, 10), (2000, 20)]
    tasks = {
        "panel": ours,
        "concat and ffill": by_concat,
        "long table, pivot": by_pivot,
        "quality checks": checks,
    }
    print(f"{'':28}{'wall s':>10}{'cpu s':>10}{'peak GB':>10}{'wall, panel = 1':>18}")
    context = multiprocessing.get_context("spawn")
    for names, years in sizes:
        first = 0.0
        for name, task in tasks.items():
            with context.Pool(1) as pool:
                wall, cpu, memory = pool.apply(partial(measure, task, names, years, options.repeats))
            first = first or wall
            size = f"{names} x {years} y  {name}"
            print(f"{size:32}{wall:6.2f}{cpu:10.2f}{memory:10.2f}{wall / first:18.1f}")


if __name__ == "__main__":
    main()
