"""A process that writes to a store until it is killed; `run` forks one after another and kills each.

Run as a program it prints a JSON object: how many were killed, where, and every store that was not whole.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from screener.market.bars import COLUMNS
from screener.market.sessions import sessions_between
from screener.market.store import Store
from screener.market.store_rows import Series, Update

SYMBOLS, ROWS = ("AAA", "BBB", "CCC"), 8
SESSIONS = sessions_between("XNYS", date(2018, 1, 2), date(2026, 7, 10))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def batch(number: int) -> list[Update]:
    """The number-th batch: a few sessions more for every symbol, and the first session restated."""
    updates = []
    for position, symbol in enumerate(SYMBOLS):
        index = SESSIONS[number * ROWS : (number + 1) * ROWS]
        values = np.full((ROWS, len(COLUMNS)), 1000.0 * position + number)
        rows = pd.DataFrame(values, index=index, columns=list(COLUMNS))
        if number:
            rows = pd.concat([pd.DataFrame(values[:1], index=SESSIONS[:1], columns=list(COLUMNS)), rows])
        series = Series("USD", SESSIONS[0].date(), index[-1].date(), "", BEGAN)
        updates.append(Update(symbol, "fetched", f"batch {number}", series, rows))
    return updates


def write_forever(path: Path, ready: int) -> None:
    """Go on from where the store is; a byte to `ready` says that the first batch comes next."""
    with Store.open(path) as store:
        number = batches_in(store)
        os.write(ready, b".")
        while (number + 1) * ROWS <= len(SESSIONS):
            store.write("vendor", False, batch(number), BEGAN + timedelta(minutes=number))
            number += 1


def batches_in(store: Store) -> int:
    """Return how many whole batches the store holds. Raises AssertionError when a part of one is there."""
    bars = store.load("vendor", SYMBOLS)
    if not bars:
        return 0
    lengths = {len(each.table) for each in bars.values()}
    assert set(bars) == set(SYMBOLS) and len(lengths) == 1, f"torn: {lengths} rows of {sorted(bars)}"
    rows = lengths.pop()
    assert rows % ROWS == 0, f"torn: {rows} rows"
    number = rows // ROWS
    for position, symbol in enumerate(SYMBOLS):
        expected = 1000.0 * position + np.repeat(np.arange(number), ROWS)
        expected[0] = 1000.0 * position + number - 1  # the restated one
        assert (bars[symbol].table["close"].to_numpy() == expected).all(), f"torn: values of {symbol}"
    assert set(store.status("vendor")["detail"]) == {f"batch {number - 1}"}, "torn: the log of fetches"
    return number


def examine(path: Path) -> int:
    """Return how many batches a store holds, looked at by a process of its own; raise what it found broken."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        found = ""
        try:
            with Store.open(path, read_only=True) as store:
                found = str(batches_in(store))
        except BaseException as error:
            found = f"{type(error).__name__}: {error}"
        os.write(writing, found.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        found = answer.read().decode()
    os.waitpid(child, 0)
    if not found.isdigit():
        raise AssertionError(found)
    return int(found)


def run(folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill `kills` writers at random moments, checking the store after each.

    This process opens no store itself: DuckDB's threads would not live on in those it forks.
    """
    chance = random.Random(seed)
    turn, before = 0, 0
    torn: list[str] = []
    met = {"with a log to replay": 0, "batches": 0}
    for _ in range(kills):
        path = folder / f"{turn}.duckdb"
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                write_forever(path, writing)
            finally:
                os._exit(1)
        os.close(writing)
        early = chance.random() < 0.15  # while the store is being made or opened
        if not early:
            os.read(reading, 1)
        time.sleep(chance.uniform(0.0, 0.15))
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            torn.append("a writer ended by itself")
        log = path.with_name(path.name + ".wal")
        met["with a log to replay"] += log.exists()
        try:
            now = examine(path) if path.exists() else 0
            assert now >= before, f"lost: {before} batches before, {now} after"
            met["batches"] += now - before
            before = now
        except AssertionError as error:
            torn.append(str(error))
        if before > 40:  # a new store: its first moments are the most delicate
            turn, before = turn + 1, 0
    return {"kills": kills, "torn": torn, "stores": turn + 1, **met}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
