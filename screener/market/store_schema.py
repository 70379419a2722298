"""The store's layout, how an older one becomes the present one, and opening the file.

A connection is open for the moment of one read or one write only: DuckDB lets a writer in only while nobody
reads, and readers only while nobody writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from screener.errors import ScreenerError, UserError
from screener.market.bars import COLUMNS
from screener.market.store_lock import GLANCE, Patience, busy, gate, writer_lock

Connection = duckdb.DuckDBPyConnection

# bars: every version of every bar; the newest fetched_at of a session counts, one without a close is withdrawn.
# fetches: what each refresh did for a symbol. A currency, a coverage or a version is that of the last success.
# adjusted: the vendor's own adjusted close when the whole history was last asked for, only ever compared with,
# so single precision does (it is the vendor's own, too).
# verdicts: what the user said of a bar; the newest counts.
TABLES = f"""
CREATE TABLE about (schema_version INTEGER);
CREATE TABLE series (id INTEGER, source VARCHAR, symbol VARCHAR, synthetic BOOLEAN);
CREATE TABLE bars (
  series INTEGER, session DATE, {", ".join(f"{each} DOUBLE" for each in COLUMNS)}, fetched_at TIMESTAMP);
CREATE TABLE fetches (
  series INTEGER, fetched_at TIMESTAMP, outcome VARCHAR, detail VARCHAR, written INTEGER, currency VARCHAR,
  covered_from DATE, covered_to DATE, version VARCHAR, whole_at TIMESTAMP);
CREATE TABLE adjusted (series INTEGER, session DATE, close FLOAT);
CREATE TABLE verdicts (
  source VARCHAR, symbol VARCHAR, session DATE, decision VARCHAR, reason VARCHAR, close DOUBLE,
  given_at TIMESTAMP);
"""
# ids in place of names (a third of the reading time), a log of fetches in place of the last one, verdicts
ONE_TO_TWO = """
CREATE TABLE old_series AS SELECT row_number() OVER (ORDER BY source, symbol)::INTEGER AS id, * FROM series;
ALTER TABLE bars RENAME TO old_bars;
DROP TABLE series;
CREATE TABLE series (id INTEGER, source VARCHAR, symbol VARCHAR, synthetic BOOLEAN);
INSERT INTO series SELECT id, source, symbol, synthetic FROM old_series ORDER BY id;
CREATE TABLE bars (
  series INTEGER, session DATE, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE,
  dividend DOUBLE, split DOUBLE, fetched_at TIMESTAMP);
INSERT INTO bars
  SELECT id, session, open, high, low, close, volume, dividend, split, b.fetched_at
  FROM old_bars b JOIN old_series s USING (source, symbol) ORDER BY id, session, b.fetched_at;
CREATE TABLE fetches (
  series INTEGER, fetched_at TIMESTAMP, outcome VARCHAR, detail VARCHAR, written INTEGER, currency VARCHAR,
  covered_from DATE, covered_to DATE, version VARCHAR, whole_at TIMESTAMP);
INSERT INTO fetches
  SELECT s.id, b.fetched_at, 'fetched', '', count(*), s.currency, s.covered_from, max(b.session), s.version,
    b.fetched_at
  FROM old_bars b JOIN old_series s USING (source, symbol) WHERE b.fetched_at <> s.fetched_at GROUP BY ALL;
INSERT INTO fetches
  SELECT id, s.fetched_at, 'fetched', CASE outcome WHEN 'fetched' THEN detail ELSE '' END,
    (SELECT count(*) FROM old_bars b
     WHERE b.source = s.source AND b.symbol = s.symbol AND b.fetched_at = s.fetched_at),
    currency, covered_from, covered_to, version, s.fetched_at
  FROM old_series s ORDER BY id;
CREATE TABLE adjusted (series INTEGER, session DATE, close FLOAT);
CREATE TABLE verdicts (
  source VARCHAR, symbol VARCHAR, session DATE, decision VARCHAR, reason VARCHAR, close DOUBLE,
  given_at TIMESTAMP);
DROP TABLE old_bars;
DROP TABLE old_series;
"""
MIGRATIONS = (ONE_TO_TWO,)  # the n-th turns layout n into n + 1; a new layout is one more line
SCHEMA = len(MIGRATIONS) + 1


def prepare(path: Path, patience: Patience, *, locked: bool) -> None:
    """Make a store of the present layout out of nothing or of an older one; anything else is refused.

    locked: the caller holds the writer's lock. Raises UserError when the file is no store of ours.
    """
    if path.exists():
        with opened(path, patience, read_only=True) as connection:
            version = layout_of(connection, path)
        if version == SCHEMA:
            return
    if not locked:
        with writer_lock(path, patience):
            return prepare(path, patience, locked=True)
    with opened(path, patience) as connection:
        version = layout_of(connection, path)
        connection.execute("BEGIN")
        try:
            if version == 0:
                connection.execute(TABLES)
                connection.execute("INSERT INTO about VALUES (?)", [SCHEMA])
            else:
                for step in MIGRATIONS[version - 1 :]:
                    connection.execute(step)
                connection.execute("UPDATE about SET schema_version = ?", [SCHEMA])
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return None


def layout_of(connection: Connection, path: Path) -> int:
    """Return the layout's number, 0 for an empty file. Raises UserError for a layout we cannot read."""
    try:
        ((version,),) = connection.execute("SELECT max(schema_version) FROM about").fetchall()
        connection.execute("SELECT symbol FROM series LIMIT 0").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        if not connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            return 0
        raise UserError(f"--store: {path} is not a price store of ours; name another file") from None
    if not isinstance(version, int) or not 1 <= version <= SCHEMA:
        raise UserError(
            f"--store: {path} has layout {version}, this screener knows up to {SCHEMA}; "
            "upgrade screener or name another file"
        )
    return version


@contextmanager
def opened(path: Path, patience: Patience, *, read_only: bool = False) -> Iterator[Connection]:
    """Connect for one read or one write. Raises ScreenerError for a full disk, a broken file, a busy store."""
    with gate(path, patience, shared=read_only):
        connection = _patiently(lambda: duckdb.connect(str(path), read_only=read_only), path, patience)
        try:
            yield connection
            connection.close()  # writes what is left to the file, and may find the disk full
        except duckdb.Error as error:
            failed = isinstance(error, duckdb.IOException | duckdb.FatalException) or "No space" in str(error)
            raise (_failure(path, error) if failed else error) from None
        finally:
            connection.close()


def _patiently(connect: Callable[[], Connection], path: Path, patience: Patience) -> Connection:
    deadline = patience.clock() + patience.seconds
    while True:
        try:
            return connect()
        except OSError as error:
            raise UserError(
                f"--store: {path} cannot be written ({error.strerror}); name another place"
            ) from None
        except duckdb.Error as error:
            reason = str(error)
            taken = "Could not set lock" in reason or "different configuration" in reason
            if not taken:
                raise _failure(path, error) from error
            if patience.clock() >= deadline:
                who = re.search(r"held in (\S+) \(PID (\d+)\)", reason)
                holder = f"process {who[2]} ({Path(who[1]).name})" if who else "another process"
                raise ScreenerError(busy(path, holder, patience.seconds)) from None
        patience.sleep(GLANCE)


def _failure(path: Path, error: duckdb.Error) -> ScreenerError:
    reason = str(error).splitlines()[0]
    lowered = reason.lower()
    if "no space" in lowered or "disk full" in lowered or "could not write" in lowered:
        return ScreenerError(
            f"--store: the disk of {path} is full; nothing of this step was stored and all before it is whole. "
            "Free some space and run again"
        )
    if "checksum" in lowered or "corrupt" in lowered:
        return ScreenerError(
            f"--store: {path} is damaged ({reason}); restore it from a backup or with `screener prices import`, "
            "or name another store and fetch again"
        )
    if isinstance(error, duckdb.IOException) and "not a valid duckdb" not in lowered:
        return UserError(f"--store: {path} cannot be opened as a price store ({reason})")
    return UserError(f"--store: {path} is not a price store of ours ({reason}); name another file")
