"""The price store: one DuckDB file that remembers every bar as each source served it, and when.

Rows are never changed or deleted. A bar that a source restates is a second row with a later fetch time, a bar
it withdraws a row without a close; readers take the newest row of each session. The source's identity is part
of every key, so synthetic and real prices cannot mix. Who decides what to fetch is refresh.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from screener.errors import UserError
from screener.market.bars import Bars
from screener.market.store_files import Moved, export_tables, import_tables, is_export, opened_export
from screener.market.store_lock import Patience, writer_lock
from screener.market.store_rows import (
    CHANGED,
    FIRST,
    LAST,
    MOMENTS,
    REFUSALS,
    STATUS,
    Series,
    SharedSessions,
    Update,
    edges_of,
    facts_of,
    ids_of,
    insert_bars,
    insert_fetches,
    naive,
    read_tables,
    replace_adjusted,
    until,
)
from screener.market.store_schema import SCHEMA, Connection, layout_of, opened, prepare
from screener.market.verdicts import Verdict

HASH = "SELECT coalesce(bit_xor(hash(t)), 0), count(*) FROM {} t"
TOGETHER, READERS = 100, 2  # symbols that are read at once, and threads that read


class Store:
    """An open price store. Use `with Store.open(path) as store:`.

    A writer holds the writer's lock for as long as its store is open, but a connection only for the moment of
    one read or write, so that readers get in between. A reader should close its store soon: the writer waits.
    """

    def __init__(self, path: Path, patience: Patience, reader: Connection | None) -> None:
        """Take a store that `open` has prepared; `reader` is None for one that may be written."""
        self.path = path
        self._patience, self._reader = patience, reader

    @staticmethod
    @contextmanager
    def open(path: Path, *, read_only: bool = False, patience: Patience | None = None) -> Iterator[Store]:
        """Open the store at a path; create it and its folder unless read_only, and bring its layout up to date.

        Raises UserError when the place cannot be written or the file is no store of ours, ScreenerError
        when another process writes it for longer than our patience lasts.
        """
        patience = patience or Patience()
        if is_export(path):
            if not read_only:
                raise UserError(f"--store: {path} is an export and is only read; add --offline")
            with opened_export(path) as connection:
                yield Store(path, patience, connection)
            return
        if read_only and not path.exists():
            raise UserError(f"--store: there is no price store at {path}; run `screener prices update` first")
        with ExitStack() as held:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if not read_only:
                    held.enter_context(writer_lock(path, patience))
            except OSError as error:
                raise UserError(
                    f"--store: {path} cannot be written ({error.strerror}); name another place"
                ) from None
            if not read_only:
                prepare(path, patience, locked=True)
                yield Store(path, patience, None)
                return
            reader = held.enter_context(opened(path, patience, read_only=True))
            if layout_of(reader, path) != SCHEMA:
                held.close()
                prepare(path, patience, locked=False)
                reader = held.enter_context(opened(path, patience, read_only=True))
            yield Store(path, patience, reader)

    def load(
        self,
        source: str,
        symbols: Sequence[str],
        start: date | None = None,
        end: date | None = None,
        known_at: datetime | None = None,
    ) -> dict[str, Bars]:
        """Return the newest version of each stored bar by symbol; symbols without rows are absent.

        known_at: ignore what was fetched later, to see the prices as they were known then.
        """
        with self._reading() as connection:
            about = facts_of(connection, source, known_at)
            named = {about[symbol].id: symbol for symbol in symbols if symbol in about}
            ids = sorted(named)
            sessions = SharedSessions()
            groups = [ids[first : first + TOGETHER] for first in range(0, len(ids), TOGETHER)]

            def tables_of(group: list[int]) -> dict[int, pd.DataFrame]:
                with connection.cursor() as cursor:
                    return read_tables(cursor, group, (start or FIRST, end or LAST), known_at, sessions)

            # DuckDB and NumPy let other threads run: a group is read while the tables of another are made
            with ThreadPoolExecutor(READERS, "store-reader") as pool:
                tables = {
                    named[number]: table
                    for tables in pool.map(tables_of, groups)
                    for number, table in tables.items()
                }
        return {
            symbol: Bars(
                symbol,
                tables[symbol],
                about[symbol].currency,
                source,
                about[symbol].fetched_at,
                about[symbol].synthetic,
            )
            for symbol in sorted(tables)
        }

    def adjusted(self, source: str, symbols: Sequence[str]) -> dict[str, pd.Series]:
        """Return the vendor's adjusted close by symbol, as of the last time the whole history was asked for."""
        with self._reading() as connection:
            rows = connection.execute(
                """
                SELECT s.symbol, a.session, a.close FROM adjusted a JOIN series s ON s.id = a.series
                WHERE s.source = ? AND s.symbol IN (SELECT unnest(?)) ORDER BY s.symbol, a.session
                """,
                [source, list(symbols)],
            ).fetchnumpy()
        names, closes = np.asarray(rows["symbol"], dtype=object), np.asarray(rows["close"], dtype=float)
        index = pd.DatetimeIndex(np.asarray(rows["session"]).astype("datetime64[s]"), name="session")
        return {
            str(names[first]): pd.Series(closes[first:last], index=index[first:last], name="adjusted")
            for first, last in pairwise(edges_of(names))
        }

    def series(self, source: str) -> dict[str, Series]:
        """Return what is known of each symbol that was ever fetched."""
        with self._reading() as connection:
            about = facts_of(connection, source, None)
        return {symbol: facts.series for symbol, facts in about.items()}

    def write(self, source: str, synthetic: bool, updates: Sequence[Update], now: datetime) -> None:
        """Store a batch of updates in one transaction: all of it or, whatever happens, nothing."""
        with self._writing() as connection:
            ids, latest = ids_of(connection, source, synthetic, [each.symbol for each in updates])
            # Later than all that is stored of the symbol, even where the clock was set back: the newest row counts.
            moments = {
                symbol: max(naive(now), latest[symbol] + timedelta(microseconds=1))
                if symbol in latest
                else naive(now)
                for symbol in ids
            }
            insert_bars(connection, ids, moments, updates)
            insert_fetches(connection, ids, moments, updates)
            replace_adjusted(connection, ids, updates)

    def status(self, source: str, known_at: datetime | None = None) -> pd.DataFrame:
        """Return a row a symbol: first, last, rows, restated, currency, fetched_at, outcome, detail.

        restated counts the sessions of which more than one version is kept; fetched_at (UTC) is the last success,
        outcome and detail are those of the last time the source was asked.
        """
        with self._reading() as connection:
            table: pd.DataFrame = connection.execute(STATUS, [source, until(known_at)]).df()
        return table.assign(fetched_at=pd.to_datetime(table["fetched_at"], utc=True)).set_index("symbol")

    def moments(self, source: str, symbols: Sequence[str]) -> dict[str, list[datetime]]:
        """Return when each symbol's bars were written, the newest first, in UTC; symbols without any are absent."""
        with self._reading() as connection:
            rows = connection.execute(MOMENTS, [source, list(symbols)]).fetchall()
        found: dict[str, list[datetime]] = {}
        for symbol, moment in rows:
            found.setdefault(symbol, []).append(moment.replace(tzinfo=UTC))
        return found

    def changed(
        self, source: str, symbols: Sequence[str], day: date, between: tuple[datetime, datetime | None]
    ) -> pd.DataFrame:
        """Return the sessions up to `day` of which a newer version was stored between two moments (None: now).

        A row a session: symbol, session, fetched_at (of the newer version), inside (not earlier than what was first
        known), the values now, and those then under then_<name>; NaN where a bar was not there or is withdrawn.
        """
        since, until_when = between
        with self._reading() as connection:
            moments = [naive(since), until(until_when)]
            return connection.execute(CHANGED, [source, list(symbols), day, *moments]).df()

    def refusals(self, source: str) -> dict[str, list[date]]:
        """Return the dates on which the source said it knows no such symbol while it answered for others.

        Only dates since the symbol was last fetched count; symbols without any are absent.
        """
        with self._reading() as connection:
            rows = connection.execute(REFUSALS, [source]).fetchall()
        found: dict[str, list[date]] = {}
        for symbol, day in rows:
            found.setdefault(symbol, []).append(day)
        return found

    def identities(self) -> list[str]:
        """Return the identity of every source that has stored anything, sorted."""
        with self._reading() as connection:
            rows = connection.execute("SELECT DISTINCT source FROM series ORDER BY source").fetchall()
        return [each for (each,) in rows]

    def judge(self, source: str, verdict: Verdict) -> None:
        """Store what the user said of a bar."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    *(source, verdict.symbol, verdict.session, verdict.decision, verdict.reason),
                    *(verdict.close, naive(verdict.given_at)),
                ],
            )

    def verdicts(self, source: str, known_at: datetime | None = None) -> tuple[Verdict, ...]:
        """Return the newest verdict on each bar, in order of symbol and session."""
        with self._reading() as connection:
            rows = connection.execute(
                """
                SELECT symbol, session, decision, reason, close, given_at FROM verdicts
                WHERE source = ? AND given_at <= ?
                QUALIFY row_number() OVER (PARTITION BY symbol, session ORDER BY given_at DESC, rowid DESC) = 1
                ORDER BY symbol, session
                """,
                [source, until(known_at)],
            ).fetchall()
        return tuple(
            Verdict(symbol, session, decision, reason, close, given_at.replace(tzinfo=UTC))
            for symbol, session, decision, reason, close, given_at in rows
        )

    def export(self, folder: Path) -> Moved:
        """Write everything into Parquet files in a folder; see store_files.py."""
        with self._reading() as connection:
            return export_tables(connection, folder)

    def take_in(self, folder: Path) -> Moved:
        """Add what an export holds and this store lacks, in one transaction."""
        with self._writing() as connection:
            return import_tables(connection, folder)

    def checksum(self) -> dict[str, str]:
        """Return a hash of each table's content; reading every block, DuckDB verifies its own checksums too.

        It depends on the rows and not on their order. Raises ScreenerError when a block is damaged.
        """
        with self._reading() as connection:
            return {
                name: "{:016x} over {} rows".format(*connection.execute(HASH.format(name)).fetchall()[0])
                for name in ("series", "bars", "fetches", "adjusted", "verdicts")
            }

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._reader is not None:
            yield self._reader
            return
        with opened(self.path, self._patience, read_only=True) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._reader is not None:
            raise ValueError("this store was opened for reading")
        with opened(self.path, self._patience) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # after a full disk DuckDB has rolled back by itself
                    connection.execute("ROLLBACK")
                raise


def content_hash(bars: Mapping[str, Bars]) -> str:
    """Return a SHA-256 of symbols, sessions and values; fetch times and order do not enter."""
    digest = hashlib.sha256()
    for symbol, each in sorted(bars.items()):
        digest.update(f"{symbol} {each.currency} {len(each.table)}\n".encode())
        digest.update(each.table.index.to_numpy().astype("datetime64[s]").astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(each.table.to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()
