"""How large the store is and how fast it writes, appends and reads, beside one CSV a symbol.

    python benchmarks/store.py [--names 2000] [--years 20]

Prices are made up (cents, quarterly dividends, a few splits, the last ten sessions of every name in two versions).
Each figure is from a process of its own; peak memory is that process's. Machines differ: quote the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from screener.market.bars import COLUMNS
from screener.market.panel import build
from screener.market.quality import find_for
from screener.market.sessions import sessions_between
from screener.market.store import Store
from screener.market.store_rows import Series, Update
from screener.universe.load import find_universe, load_universe
from screener.universe.model import Instrument

MARKETS = (("XNYS", "USD"), ("XTKS", "JPY"), ("XASX", "AUD"))
LAST, NOW = date(2026, 7, 9), datetime(2026, 7, 10, 6, 0, tzinfo=UTC)
PAIRS = {"JPY=X": 110.0, "AUDUSD=X": 0.75}


def names_of(count: int) -> list[tuple[str, str, str]]:
    """Return symbol, market and currency of each name."""
    return [(f"S{number:04}", *MARKETS[number % len(MARKETS)]) for number in range(count)]


def rows_of(symbol: str, mic: str, years: int) -> pd.DataFrame:
    """Return one name's made-up rows, T × COLUMNS."""
    index = sessions_between(mic, LAST.replace(year=LAST.year - years), LAST)
    chance = np.random.default_rng(int.from_bytes(symbol.encode(), "big"))
    step = chance.normal(0.0003, 0.02, len(index))
    close = PAIRS.get(symbol, 40.0) * np.exp(np.cumsum(step / (10 if symbol in PAIRS else 1)))
    spread = 1 + np.abs(chance.normal(0, 0.008, (3, len(index))))
    digits = 4 if symbol in PAIRS else 2
    values = np.empty((len(index), len(COLUMNS)))
    prices = (close / spread[0], close * spread[1], close / spread[0] / spread[2], close)
    for column, price in enumerate(prices):
        values[:, column] = price.round(digits)
    values[:, 4] = np.nan if symbol in PAIRS else chance.integers(10_000, 5_000_000, len(index))
    values[:, 5] = np.where(np.arange(len(index)) % 63 == 40, (close * 0.005).round(2), 0.0)
    values[:, 6] = np.where(chance.random(len(index)) < 0.0004, 2.0, 1.0)
    return pd.DataFrame(values, index=index, columns=list(COLUMNS))


def everything(count: int) -> list[tuple[str, str, str]]:
    """Return names and currency pairs."""
    return [*names_of(count), *((pair, "", "") for pair in PAIRS)]


def adjusted_of(table: pd.DataFrame) -> pd.Series:
    """Return what a vendor would serve as adjusted close: closes times the later (1 − dividend / close before)."""
    factor = np.nan_to_num(1 - table["dividend"].to_numpy() / table["close"].shift().to_numpy(), nan=1.0)
    later = np.append(factor[1:], 1.0)[::-1].cumprod()[::-1]
    return table["close"] * later


def updates_of(
    rows: dict[str, pd.DataFrame], currencies: dict[str, str], *, whole: bool = False
) -> list[Update]:
    """Return what a fetch would bring."""
    return [
        Update(
            symbol,
            "fetched",
            "",
            Series(currencies[symbol], table.index[0].date(), table.index[-1].date(), "", NOW),
            table,
            adjusted_of(table) if whole and symbol not in PAIRS else None,
        )
        for symbol, table in rows.items()
    ]


def write(store_path: Path, count: int, years: int) -> dict[str, float]:
    """Fill a store; the time of making up the rows does not count."""
    spent, names = 0.0, everything(count)
    currencies = {symbol: currency for symbol, _, currency in names}
    with Store.open(store_path) as store:
        for first in range(0, len(names), 100):
            rows = {symbol: rows_of(symbol, mic, years) for symbol, mic, _ in names[first : first + 100]}
            revised = {symbol: table.tail(10).assign(volume=7.0) for symbol, table in rows.items()}
            began = time.perf_counter()
            store.write("bench", True, updates_of(rows, currencies, whole=True), NOW - timedelta(days=9))
            store.write("bench", True, updates_of(revised, currencies), NOW)
            spent += time.perf_counter() - began
    return {"write, s": spent, "size, MB": store_path.stat().st_size / 1e6}


def append(store_path: Path, count: int, years: int) -> dict[str, float]:
    """Append a day to every name, in one transaction."""
    names = everything(count)
    currencies = {symbol: currency for symbol, _, currency in names}
    spent = []
    day_of_bars = np.array([10.0, 11, 9, 10, 1000, 0, 1])  # one block of floats, as Bars are
    for day in range(1, 6):
        session = pd.DatetimeIndex([pd.Timestamp(LAST) + pd.Timedelta(days=day)]).as_unit("s")
        rows = {
            symbol: pd.DataFrame(day_of_bars[None], index=session, columns=list(COLUMNS))
            for symbol in currencies
        }
        updates = updates_of(rows, currencies)
        with Store.open(store_path) as store:
            began = time.perf_counter()
            store.write("bench", True, updates, NOW + timedelta(days=day))
            spent.append(time.perf_counter() - began)
    return {"append a day, s": min(spent), "append a day, median s": float(np.median(spent))}


def listed(count: int) -> dict[str, Instrument]:
    """Return the names as instruments of a universe."""
    instrument = next(iter(load_universe(find_universe("rare_earth_ai")).instruments.values()))
    return {
        symbol: replace(
            instrument, symbol=symbol, mic=mic, currency=currency, listed_from=None, delisted_on=None
        )
        for symbol, mic, currency in names_of(count)
    }


def checks(store_path: Path, count: int, years: int) -> dict[str, float]:
    """Let every quality check look at 90 of the names, as each load of a universe does."""
    instruments = listed(min(count, 90))
    with Store.open(store_path, read_only=True) as store:
        bars = store.load("bench", list(instruments), end=LAST)
    find_for(bars["S0000"], instruments["S0000"], LAST)  # calendars are loaded once a run
    began, busy = time.perf_counter(), time.process_time()
    for symbol, each in bars.items():
        find_for(each, instruments[symbol], LAST)
    spent, cpu = time.perf_counter() - began, time.process_time() - busy
    return {"checks of 90 names, s": spent, "checks of 90 names, s CPU": cpu}


def panel(store_path: Path, count: int, years: int) -> dict[str, float]:
    """Read everything and build the adjusted panel in dollars."""
    instruments = listed(count)
    for mic, _ in MARKETS:
        sessions_between(mic, LAST, LAST)  # calendars are loaded once a run, whatever is built
    began, busy = time.perf_counter(), time.process_time()
    with Store.open(store_path, read_only=True) as store:
        bars = store.load("bench", [*instruments, *PAIRS], end=LAST)
    loaded = time.perf_counter()
    built, _ = build(bars, instruments, "USD", LAST, NOW)
    done = time.perf_counter()
    assert built.prices.shape[1] == count
    cpu = time.process_time() - busy
    return {
        "load, s": loaded - began,
        "panel, s": done - loaded,
        "load and panel, s": done - began,
        "load and panel, s CPU": cpu,
    }


def write_csv(folder: Path, count: int, years: int) -> dict[str, float]:
    """Write one CSV a symbol, as people do."""
    spent = 0.0
    folder.mkdir()
    for symbol, mic, _ in everything(count):
        table = rows_of(symbol, mic, years)
        began = time.perf_counter()
        table.to_csv(folder / f"{symbol}.csv")
        spent += time.perf_counter() - began
    return {"write, s": spent, "size, MB": sum(each.stat().st_size for each in folder.iterdir()) / 1e6}


def append_csv(folder: Path, count: int, years: int) -> dict[str, float]:
    """Append a line to every file."""
    began = time.perf_counter()
    for symbol, _, _ in everything(count):
        with (folder / f"{symbol}.csv").open("a", encoding="utf-8") as file:
            file.write("2026-07-10,10,11,9,10,1000,0,1\n")
    return {"append a day, s": time.perf_counter() - began}


def panel_csv(folder: Path, count: int, years: int) -> dict[str, float]:
    """Read every file and put the closes side by side; neither adjusted nor in one currency."""
    began = time.perf_counter()
    closes = {
        path.stem: pd.read_csv(path, index_col=0, parse_dates=True)["close"] for path in folder.iterdir()
    }
    table = pd.concat(closes, axis=1)
    assert table.shape[1] == count + len(PAIRS)
    return {"closes side by side, s": time.perf_counter() - began}


STEPS = {each.__name__: each for each in (write, append, panel, checks, write_csv, append_csv, panel_csv)}


def in_a_process_of_its_own(step: str, place: Path, count: int, years: int) -> dict[str, float]:
    """Run one step and return its figures and the peak of its memory."""
    command = [sys.executable, __file__, "--step", step, "--place", str(place)]
    command += ["--names", str(count), "--years", str(years)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout))


def main() -> None:
    """Run all steps and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, default=2000)
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--no-csv", action="store_true", help="leave the CSV files out")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        figures = STEPS[asked.step](asked.place, asked.names, asked.years)
        figures["peak memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(figures))
        return
    print(f"{asked.names} names x {asked.years} years, load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        store, files = Path(folder) / "p.duckdb", Path(folder) / "csv"
        for step in STEPS:
            if asked.no_csv and step.endswith("_csv"):
                continue
            place = files if step.endswith("_csv") else store
            for name, value in in_a_process_of_its_own(step, place, asked.names, asked.years).items():
                print(f"  {step:<11} {name:<26} {value:10,.3f}", flush=True)


if __name__ == "__main__":
    main()
