"""How long a universe takes from a stand-in that answers at once, beside `yf.download` with threads.

    python benchmarks/download.py [--names 80] [--years 7]

The stand-in is a process of its own. yf.download runs with an empty cache of time zones (cold) and with a filled one
(warm); it keeps nothing. Ours ends with everything in the store. Machines differ: quote the ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd

from screener.market.bars import bars_table
from screener.market.refresh import refresh
from screener.market.sessions import sessions_between
from screener.market.sources import PriceRequest
from screener.market.sources.yahoo import Manners, YahooSource
from screener.market.sources.yahoo_session import Pace, RecordingSession
from screener.market.store import Store
from tests.stand_in_yahoo import Listing, StandIn
from tests.stand_in_yahoo.guard import forget_yfinance

LAST, NOW = date(2026, 7, 9), datetime(2026, 7, 10, 6, 0, tzinfo=UTC)


@dataclass
class Served:
    """A stand-in in another process."""

    url: str
    process: subprocess.Popen[str]

    def requests(self) -> int:
        """Return how many requests came in since the last time."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def serve(names: int, years: int) -> None:
    """Serve until stdin ends; a line on stdin prints and forgets the number of requests."""
    index = sessions_between("XNYS", LAST.replace(year=LAST.year - years), LAST + timedelta(days=1))
    listings = {}
    for number in range(names):
        step = np.random.default_rng(number).normal(0, 0.02, len(index))
        close = (40 * np.exp(np.cumsum(step))).round(2)
        columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1e6}
        listings[f"S{number}"] = Listing(bars_table(pd.DataFrame(columns, index=index)))
    with StandIn(listings) as stand_in:
        print(stand_in.url, flush=True)
        for _ in sys.stdin:
            print(len(stand_in.seen), flush=True)
            stand_in.seen.clear()


@contextmanager
def served(names: int, years: int) -> Iterator[Served]:
    """Start the stand-in."""
    command = [sys.executable, __file__, "--serve", "--names", str(names), "--years", str(years)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        yield Served(process.stdout.readline().strip(), process)
        process.stdin.close()


def yfinance_download(service: Served, symbols: list[str], start: date) -> pd.DataFrame:
    """Call yf.download as people do, with threads."""
    import yfinance

    forget_yfinance()
    session = RecordingSession(Pace(0, time.monotonic, time.sleep), 30.0, service.url)
    table = yfinance.download(symbols, start=start, threads=True, progress=False, session=session)
    return pd.DataFrame(table)


def ours(service: Served, symbols: list[str], start: date, store_path: Path, now: datetime) -> str:
    """Refresh a store."""
    forget_yfinance()
    source = YahooSource(service.url, Manners(interval=0), cache=store_path.parent / "yfinance")
    requests = [PriceRequest(symbol, "XNYS", "USD", start, now.date()) for symbol in symbols]
    with Store.open(store_path) as store:
        outcomes = refresh(store, source, requests, now)
    found = [each.outcome for each in outcomes.values()]
    return ", ".join(f"{found.count(each)} {each}" for each in dict.fromkeys(found))


def main() -> None:
    """Run each and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, default=80)
    parser.add_argument("--years", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.names, asked.years)
        return
    import yfinance

    warnings.simplefilter("ignore")  # after the import, which puts a filter of its own in front
    symbols = [f"S{number}" for number in range(asked.names)]
    start = LAST.replace(year=LAST.year - asked.years)
    print(f"{asked.names} names x {asked.years} years, load average {os.getloadavg()[0]:.1f}")
    spent: dict[str, list[tuple[float, float]]] = {}
    with served(asked.names, asked.years) as service:
        for turn in range(asked.repeat):
            with tempfile.TemporaryDirectory() as folder:
                yfinance.set_tz_cache_location(f"{folder}/yf")
                yfinance.cache._TzCacheManager._tz_cache = (
                    yfinance.cache._CookieCacheManager._Cookie_cache
                ) = None
                for name, run in runs_of(service, symbols, start, Path(folder) / "p.duckdb", turn % 2 == 1):
                    service.requests()
                    began, busy = time.perf_counter(), time.process_time()
                    said = run()
                    took = time.perf_counter() - began, time.process_time() - busy
                    spent.setdefault(name, []).append(took)
                    print(
                        f"  {turn + 1} {name:<22}{took[0]:7.2f} s {took[1]:7.2f} s CPU "
                        f"{service.requests():4} requests  {said}",
                        flush=True,
                    )
    print(f"  {'medians':<24}{'s':>9}{'s CPU':>8}{'to warm':>9}{'CPU to warm':>13}")
    warm = np.median(spent["yf.download, warm"], axis=0)
    for name, each in spent.items():
        wall, cpu = np.median(each, axis=0)
        print(f"  {name:<24}{wall:9.2f}{cpu:8.2f}{wall / warm[0]:9.2f}{cpu / warm[1]:13.2f}")


def runs_of(
    service: Served, symbols: list[str], start: date, store: Path, ours_first: bool
) -> list[tuple[str, Callable[[], str]]]:
    """Return what one turn runs; turns alternate in who comes first."""
    theirs = [
        (f"yf.download, {how}", lambda: _rows(yfinance_download(service, symbols, start)))
        for how in ("cold", "warm")
    ]
    moments = {"into the store": NOW, "again at once": NOW, "a day later": NOW + timedelta(days=1)}
    mine = [
        (f"ours, {how}", lambda now=now: ours(service, symbols, start, store, now))
        for how, now in moments.items()
    ]
    return [*mine, *theirs] if ours_first else [*theirs, *mine]


def _rows(table: pd.DataFrame) -> str:
    empty = int(table["Close"].isna().all().sum())
    return f"{len(table)} sessions" + (f", {empty} names lost" if empty else "")


if __name__ == "__main__":
    main()
