"""The price store: one DuckDB file that remembers every bar as each source served it, and when.

Rows are never changed or deleted. A bar that a source restates is a second row with a later fetch time, a bar
it withdraws a row without a close; readers take the newest row of each session. The source's identity is part
of every key, so synthetic and real prices cannot mix. This is the only module that writes price files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from screener.errors import SourceError, UserError
from screener.market.bars import COLUMNS, Bars, as_sessions
from screener.market.sessions import last_completed, sessions_between
from screener.market.sources import PriceRequest, PriceSource

SCHEMA = 1
OVERLAP_SESSIONS = 10
SAME = 5e-6  # relative; a vendor's floats are of single precision
TABLES = """
CREATE TABLE IF NOT EXISTS about (schema_version INTEGER);
CREATE TABLE IF NOT EXISTS bars (
  source VARCHAR, symbol VARCHAR, session DATE, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE,
  volume DOUBLE, dividend DOUBLE, split DOUBLE, fetched_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS series (
  source VARCHAR, symbol VARCHAR, currency VARCHAR, synthetic BOOLEAN, covered_from DATE, covered_to DATE,
  version VARCHAR, fetched_at TIMESTAMP, outcome VARCHAR, detail VARCHAR, PRIMARY KEY (source, symbol));
"""


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """What a refresh did for one symbol."""

    symbol: str
    outcome: str  # fetched, up to date, or one of SourceError.OUTCOMES
    rows: int  # rows written
    detail: str  # "" or a sentence: what failed, what was restated

    @property
    def failed(self) -> bool:
        """Say whether the source could not serve this symbol."""
        return self.outcome not in ("fetched", "up to date")


@dataclass(frozen=True, slots=True)
class _Series:
    """What the store knows of one symbol of one source."""

    currency: str
    covered_from: date
    covered_to: date
    version: str


class Store:
    """An open price store. Use `with Store.open(path) as store:`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Wrap a connection whose tables exist; `open` makes one."""
        self._connection = connection

    @staticmethod
    @contextmanager
    def open(path: Path, *, read_only: bool = False) -> Iterator[Store]:
        """Open the store at a path, creating it and its folder unless read_only.

        Raises UserError when the place cannot be written, the file is no store of ours or another process
        holds it.
        """
        connection = _connect(path, read_only)
        try:
            yield Store(connection)
        finally:
            connection.close()

    def refresh(
        self,
        source: PriceSource,
        requests: Sequence[PriceRequest],
        now: datetime,
        progress: Callable[[SymbolOutcome], None] | None = None,
    ) -> dict[str, SymbolOutcome]:
        """Fetch what is missing of each request and store it, one transaction a symbol.

        The bar of a session still open, or closed for less than half an hour, is not stored. A symbol that
        fails keeps what it had and the others go on, so a run stopped anywhere loses nothing and resumes.
        """
        outcomes = {}
        known = self._series(source.identity)
        for request in requests:
            try:
                outcome = self._refresh_one(source, request, known.get(request.symbol), now)
            except SourceError as error:
                outcome = SymbolOutcome(request.symbol, error.outcome, 0, str(error))
                self._note_failure(source, request, outcome, now)
            outcomes[request.symbol] = outcome
            if progress is not None:
                progress(outcome)
        return outcomes

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
        rows = self._connection.execute(
            f"""
            SELECT symbol, session, {", ".join(COLUMNS)}, fetched_at FROM bars
            WHERE source = $source AND symbol IN (SELECT unnest($symbols))
              AND session >= $start AND session <= $end AND fetched_at <= $known
            QUALIFY row_number() OVER (PARTITION BY symbol, session ORDER BY fetched_at DESC) = 1
            ORDER BY symbol, session
            """,
            {
                "source": source,
                "symbols": list(symbols),
                "start": start or date(1900, 1, 1),
                "end": end or date(9999, 1, 1),
                "known": _naive(known_at) if known_at else datetime(9999, 1, 1),
            },
        ).fetchnumpy()
        described = self._connection.execute(
            "SELECT symbol, currency, synthetic, fetched_at FROM series WHERE source = ?", [source]
        ).fetchall()
        about = {symbol: facts for symbol, *facts in described}
        names = np.asarray(rows["symbol"], dtype=object)
        sessions = np.asarray(rows["session"]).astype("datetime64[s]")
        values: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.column_stack(
            [np.ma.filled(np.ma.asarray(rows[each], dtype=float), np.nan) for each in COLUMNS]
        )
        held = np.isfinite(values[:, COLUMNS.index("close")])  # a withdrawn bar has no close
        names, sessions, values = names[held], sessions[held], values[held]
        edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1), len(names)] if len(names) else []
        bars = {}
        for first, last in pairwise(edges):
            symbol = str(names[first])
            currency, synthetic, fetched_at = about[symbol]
            table = pd.DataFrame(
                values[first:last], index=as_sessions(sessions[first:last]), columns=list(COLUMNS)
            )
            bars[symbol] = Bars(
                symbol, table, currency, source, fetched_at.replace(tzinfo=UTC), bool(synthetic)
            )
        return bars

    def status(self, source: str) -> pd.DataFrame:
        """Return a row a symbol: first, last, rows, restated, currency, fetched_at, outcome, detail."""
        table: pd.DataFrame = self._connection.execute(
            """
            WITH versions AS (
              SELECT symbol, session, count(*) AS n, arg_max(close, fetched_at) AS close
              FROM bars WHERE source = $1 GROUP BY symbol, session)
            SELECT s.symbol, min(v.session) FILTER (v.close IS NOT NULL) AS first,
              max(v.session) FILTER (v.close IS NOT NULL) AS last,
              count(v.session) FILTER (v.close IS NOT NULL) AS rows,
              count(v.session) FILTER (v.n > 1) AS restated,
              s.currency, s.fetched_at, s.outcome, s.detail
            FROM series s LEFT JOIN versions v USING (symbol)
            WHERE s.source = $1 GROUP BY ALL ORDER BY s.symbol
            """,
            [source],
        ).df()
        return table.set_index("symbol")

    def identities(self) -> list[str]:
        """Return the identity of every source that has stored anything, sorted."""
        rows = self._connection.execute("SELECT DISTINCT source FROM series ORDER BY source").fetchall()
        return [each for (each,) in rows]

    def _refresh_one(
        self, source: PriceSource, request: PriceRequest, known: _Series | None, now: datetime
    ) -> SymbolOutcome:
        end = min(request.end, last_completed(request.mic, now))
        version = source.version(request)
        if known is not None and known.version == version and known.covered_from <= request.start:
            if known.covered_to >= end:
                return SymbolOutcome(request.symbol, "up to date", 0, "")
            overlapping = _ask(
                request, max(request.start, _sessions_before(request.mic, known.covered_to)), end
            )
            served = source.fetch(overlapping, now)
            stored = self._stored_table(source.identity, request.symbol, overlapping.start)
            if served.currency == known.currency and not _restated(stored, served.table):
                return self._write(source, request, served, (stored, known.covered_from, end), version, now)
        start = min(request.start, known.covered_from) if known is not None else request.start
        served = source.fetch(_ask(request, start, end), now)
        stored = self._stored_table(source.identity, request.symbol, start)
        return self._write(source, request, served, (stored, start, end), version, now)

    def _write(
        self,
        source: PriceSource,
        request: PriceRequest,
        served: Bars,
        covering: tuple[pd.DataFrame, date, date],
        version: str,
        now: datetime,
    ) -> SymbolOutcome:
        """Store the rows that are new, changed or withdrawn, and what is covered now, in one transaction."""
        stored, covered_from, covered_to = covering
        # a source may serve more than was asked for, such as the bar of a session still open
        table = served.table[served.table.index <= pd.Timestamp(covered_to)]
        fresh = table.loc[table.index.difference(stored.index)]
        shared = table.index.intersection(stored.index)
        changed = table.loc[shared][_differs(stored.loc[shared], table.loc[shared])]
        withdrawn = stored.loc[stored.index.difference(table.index), []].reindex(columns=list(COLUMNS))
        rows = pd.concat([each for each in (fresh, changed, withdrawn) if len(each)] or [fresh])
        detail = _restatement(stored, changed, withdrawn)
        with self._transaction():
            if len(rows):
                self._insert(source.identity, request.symbol, rows, now)
            self._connection.execute(
                "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'fetched', ?)",
                [
                    *(source.identity, request.symbol, served.currency, source.synthetic),
                    *(covered_from, covered_to, version, _naive(now), detail),
                ],
            )
        return SymbolOutcome(request.symbol, "fetched", len(rows), detail)

    def _insert(self, source: str, symbol: str, rows: pd.DataFrame, now: datetime) -> None:
        incoming = rows.reset_index(names="session")
        self._connection.register("incoming", incoming)
        self._connection.execute(
            f"""
            INSERT INTO bars SELECT ?, ?, session::DATE, {", ".join(f"nullif({c}, 'nan'::DOUBLE)" for c in COLUMNS)}, ?
            FROM incoming
            """,
            [source, symbol, _naive(now)],
        )
        self._connection.unregister("incoming")

    def _note_failure(
        self, source: PriceSource, request: PriceRequest, outcome: SymbolOutcome, now: datetime
    ) -> None:
        self._connection.execute(
            "UPDATE series SET outcome = ?, detail = ? WHERE source = ? AND symbol = ?",
            [outcome.outcome, outcome.detail, source.identity, request.symbol],
        )

    def _series(self, source: str) -> dict[str, _Series]:
        rows = self._connection.execute(
            "SELECT symbol, currency, covered_from, covered_to, version FROM series WHERE source = ?",
            [source],
        ).fetchall()
        return {symbol: _Series(*facts) for symbol, *facts in rows}

    def _stored_table(self, source: str, symbol: str, start: date) -> pd.DataFrame:
        bars = self.load(source, [symbol], start)
        empty = pd.DataFrame(columns=list(COLUMNS), index=as_sessions([]), dtype=float)
        return bars[symbol].table if symbol in bars else empty

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def content_hash(bars: Mapping[str, Bars]) -> str:
    """Return a SHA-256 of symbols, sessions and values; fetch times and order do not enter."""
    digest = hashlib.sha256()
    for symbol, each in sorted(bars.items()):
        digest.update(f"{symbol} {each.currency} {len(each.table)}\n".encode())
        digest.update(each.table.index.to_numpy().astype("datetime64[s]").astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(each.table.to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()


def _connect(path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=read_only)
        tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if tables and "about" not in tables:
            connection.close()
            raise UserError(f"--store: {path} is not a price store of ours; name another file")
        if not read_only:
            connection.execute(TABLES)
            connection.execute("INSERT INTO about SELECT ? WHERE NOT EXISTS (FROM about)", [SCHEMA])
        (version,) = connection.execute("SELECT max(schema_version) FROM about").fetchone() or (None,)
    except OSError as error:
        raise UserError(f"--store: {path} cannot be written ({error.strerror}); name another place") from None
    except duckdb.IOException as error:
        reason = str(error).splitlines()[0]
        if "lock" in reason.lower():
            raise UserError(
                f"--store: {path} is in use by another process; wait for it, or name another store"
            ) from None
        raise UserError(f"--store: {path} cannot be opened as a price store ({reason})") from None
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--store: {path} is not a price store of ours ({reason}); name another file"
        ) from None
    if version != SCHEMA:
        connection.close()
        raise UserError(
            f"--store: {path} has layout {version}, this screener reads {SCHEMA}; name another file"
        )
    return connection


def _ask(request: PriceRequest, start: date, end: date) -> PriceRequest:
    return PriceRequest(request.symbol, request.mic, request.currency, start, end)


def _sessions_before(mic: str, day: date) -> date:
    """Return the session that lies OVERLAP_SESSIONS before a date."""
    sessions = sessions_between(mic, day - timedelta(days=3 * OVERLAP_SESSIONS), day)
    first: date = sessions[-OVERLAP_SESSIONS:][0].date()
    return first


def _differs(stored: pd.DataFrame, served: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say for each shared row whether any value changed by more than the vendor's own rounding."""
    a, b = stored.to_numpy(dtype=float), served.to_numpy(dtype=float)
    same = np.isclose(a, b, rtol=SAME, atol=1e-9, equal_nan=True)
    return np.asarray(~same.all(axis=1))


def _restated(stored: pd.DataFrame, served: pd.DataFrame) -> bool:
    """Say whether the overlap of an update disagrees with what is stored: a split, correction or late bar."""
    if not stored.index.isin(served.index).all():
        return True
    return bool(_differs(stored, served.loc[stored.index]).any()) if len(stored) else True


def _restatement(stored: pd.DataFrame, changed: pd.DataFrame, withdrawn: pd.DataFrame) -> str:
    if not len(changed) and not len(withdrawn):
        return ""
    first = min(each.index[0] for each in (changed, withdrawn) if len(each)).date()
    said = f"restated: {len(changed)} of {len(stored)} rows changed, {len(withdrawn)} withdrawn, from {first}"
    if len(changed):
        ratio = float((changed["close"] / stored.loc[changed.index, "close"]).median())
        said += f", close ratio {ratio:.6g}"
    return said


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
