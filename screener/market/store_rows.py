"""The rows of the store: what SQL asks for and what comes out as arrays. No file is opened here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from screener.market.bars import COLUMNS, NAMES
from screener.market.store_schema import Connection

CHUNK = 1 << 20  # rows taken from DuckDB in one piece
FIRST, LAST = date(1900, 1, 1), date(9999, 1, 1)
DAYS = 1 << 20  # more than there are days; series × DAYS + day orders bars


@dataclass(frozen=True, slots=True)
class Series:
    """What the store knows of one symbol of one source, from the last time it was fetched."""

    currency: str
    covered_from: date
    covered_to: date
    version: str
    whole_at: datetime  # UTC; when its whole history was last asked for


@dataclass(frozen=True, eq=False, slots=True)
class Update:
    """What one fetch brings for one symbol. `series` is None for a failure, `rows` (T × COLUMNS) may be empty."""

    symbol: str
    outcome: str  # fetched, or one of SourceError.OUTCOMES
    detail: str
    series: Series | None = None
    rows: pd.DataFrame | None = None  # only what is new, changed, or withdrawn (all NaN)
    # T: the vendor's adjusted close of the whole history; replaces the last one
    adjusted: pd.Series | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A symbol's id and what its newest successful fetch said."""

    id: int
    synthetic: bool
    fetched_at: datetime
    series: Series

    @property
    def currency(self) -> str:
        """Return the currency its newest fetch was quoted in."""
        return self.series.currency


def facts_of(connection: Connection, source: str, known_at: datetime | None) -> dict[str, Facts]:
    """Return what is known of each symbol of a source that was ever fetched, as of a moment."""
    rows = connection.execute(
        """
        SELECT s.symbol, s.id, s.synthetic, f.fetched_at, f.currency, f.covered_from, f.covered_to, f.version,
          f.whole_at
        FROM series s JOIN fetches f ON f.series = s.id
        WHERE s.source = ? AND f.fetched_at <= ? AND f.outcome = 'fetched'
        QUALIFY row_number() OVER (PARTITION BY s.id ORDER BY f.fetched_at DESC) = 1
        """,
        [source, until(known_at)],
    ).fetchall()
    return {
        symbol: Facts(
            number,
            synthetic,
            fetched.replace(tzinfo=UTC),
            Series(currency, begin, end, version, whole.replace(tzinfo=UTC)),
        )
        for symbol, number, synthetic, fetched, currency, begin, end, version, whole in rows
    }


class SharedSessions:
    """The sessions of many symbols, kept once where they are the same, as those of most names of an exchange are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[tuple[int, int, int], tuple[npt.NDArray[np.int64], pd.DatetimeIndex]] = {}

    def of(self, days: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
        """Return the index of days since 1970, of which there is at least one."""
        like = (len(days), int(days[0]), int(days[-1]))
        kept = self._kept.get(like)
        if kept is None or not np.array_equal(kept[0], days):
            index = pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[s]"), name="session")
            kept = self._kept[like] = (days.copy(), index)
        return kept[1]


def read_tables(
    connection: Connection,
    ids: Sequence[int],
    span: tuple[date, date],
    known_at: datetime | None,
    sessions: SharedSessions,
) -> dict[int, pd.DataFrame]:
    """Return the newest version of each bar from one date to another, T × COLUMNS, by series."""
    keys, block = _read_bars(connection, ids, span, known_at)
    series, days = keys // DAYS, keys & (DAYS - 1)
    return {
        # views of one block: nobody writes to the tables of Bars
        int(series[first]): pd.DataFrame(
            block[:, first:last].T, sessions.of(days[first:last]), NAMES, copy=False
        )
        for first, last in pairwise(edges_of(series))
    }


def _read_bars(
    connection: Connection, ids: Sequence[int], span: tuple[date, date], known_at: datetime | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the newest version of each bar: keys (series × DAYS + day, increasing) and COLUMNS × rows."""
    where, asked = _condition(ids, span, known_at)
    query = f"SELECT series, session, fetched_at, {', '.join(COLUMNS)} FROM bars WHERE {where}"
    rows = connection.sql(query, params=asked).to_arrow_reader(CHUNK).read_all().combine_chunks()
    keys = rows.column(0).to_numpy().astype(np.int64) * DAYS
    keys += rows.column(1).cast("int32").to_numpy()
    moments = rows.column(2).cast("int64").to_numpy()
    close = rows.column(3 + COLUMNS.index("close"))
    held = close.is_valid().to_numpy() if close.null_count else np.ones(len(keys), dtype=bool)
    keys, places = _places(keys, moments, held)
    runs = [(0, len(keys), 0)] if places is None else _runs(places)
    block = np.empty((len(COLUMNS), len(keys)))
    for row, name in enumerate(COLUMNS):
        values = rows.column(name).to_numpy()  # NULL becomes NaN
        if runs is None and places is not None:
            block[row, places[places >= 0]] = values[places >= 0]
        for first, last, place in runs or ():
            block[row, place : place + last - first] = values[first:last]
    return keys, block


def _condition(
    ids: Sequence[int], span: tuple[date, date], known_at: datetime | None
) -> tuple[str, dict[str, Any]]:
    """Return a WHERE with only what narrows anything: on ten million rows each term costs its tenth of a second."""
    asked: dict[str, Any] = {"low": min(ids, default=0), "high": max(ids, default=-1)}
    terms = ["series BETWEEN $low AND $high"]
    if len(ids) != asked["high"] - asked["low"] + 1:
        terms.append("series IN (SELECT unnest($ids))")
        asked["ids"] = list(ids)
    if span != (FIRST, LAST):
        terms.append("session BETWEEN $start AND $end")
        asked |= {"start": span[0], "end": span[1]}
    if known_at is not None:
        terms.append("fetched_at <= $known")
        asked["known"] = naive(known_at)
    return " AND ".join(terms), asked


def _places(
    keys: npt.NDArray[np.int64], moments: npt.NDArray[np.int64], held: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp] | None]:
    """Return the keys of the bars that count, increasing, and where each row's values go among them.

    A row goes nowhere (−1) when a newer version of its bar is stored, or when the newest is withdrawn. None: all
    as is. Nearly all rows lie in order; only those that do not, later days and later versions, are sorted.
    """
    if not len(keys):
        return keys, None
    in_order = np.append(True, keys[1:] > np.maximum.accumulate(keys)[:-1])
    if bool(in_order.all()) and bool(held.all()):
        return keys, None
    late = np.flatnonzero(~in_order)
    late = late[np.lexsort((moments[late], keys[late]))]
    late = late[np.append(keys[late][1:] != keys[late][:-1], True)[: len(late)]]  # the newest of each
    early = np.flatnonzero(in_order)
    twin = early[np.minimum(np.searchsorted(keys[early], keys[late]), len(early) - 1)]
    same = keys[twin] == keys[late]
    newer = moments[late] > moments[twin]
    counts = in_order.copy()
    counts[twin[same & newer]] = False
    counts[late[~same | newer]] = True
    counts &= held
    late, early = late[counts[late]], early[counts[early]]

    after = np.searchsorted(keys[early], keys[late]) + np.arange(len(late))
    places = np.full(len(keys), -1, dtype=np.intp)
    places[late] = after
    free = np.ones(len(early) + len(late), dtype=bool)
    free[after] = False
    places[early] = np.flatnonzero(free)
    newest = np.empty(len(free), dtype=np.int64)
    newest[free], newest[after] = keys[early], keys[late]
    return newest, places


def _runs(places: npt.NDArray[np.intp]) -> list[tuple[int, int, int]] | None:
    """Return first row, row after the last, and place of each run of rows that stay side by side.

    None where they are too many: one copy by index is then the faster way.
    """
    edges = edges_of(places - np.arange(len(places)))
    if len(edges) * 16 > len(places):
        return None
    return [(first, last, int(places[first])) for first, last in pairwise(edges) if places[first] >= 0]


def edges_of(groups: npt.NDArray[Any]) -> list[int]:
    """Return where each run of equal values begins, and the end."""
    if not len(groups):
        return []
    return [0, *(np.flatnonzero(groups[1:] != groups[:-1]) + 1).tolist(), len(groups)]


def ids_of(
    connection: Connection, source: str, synthetic: bool, symbols: Sequence[str]
) -> tuple[dict[str, int], dict[str, datetime]]:
    """Return each symbol's id, new ones made, and the newest fetch time stored of each."""
    rows = connection.execute(
        """
        SELECT symbol, id, max(fetched_at) FROM series LEFT JOIN fetches ON series = id
        WHERE source = ? AND symbol IN (SELECT unnest(?)) GROUP BY ALL
        """,
        [source, list(symbols)],
    ).fetchall()
    ids = {symbol: number for symbol, number, _ in rows}
    latest = {symbol: moment for symbol, _, moment in rows if moment is not None}
    new = [each for each in dict.fromkeys(symbols) if each not in ids]
    ((top,),) = connection.execute("SELECT coalesce(max(id), 0) FROM series").fetchall()
    for number, symbol in enumerate(new, start=top + 1):
        connection.execute("INSERT INTO series VALUES (?, ?, ?, ?)", [number, source, symbol, synthetic])
        ids[symbol] = number
    return ids, latest


def insert_bars(
    connection: Connection, ids: Mapping[str, int], moments: Mapping[str, datetime], updates: Sequence[Update]
) -> None:
    """Add the rows of all updates in one statement; NaN becomes NULL."""
    written = [(each, each.rows) for each in updates if each.rows is not None and len(each.rows)]
    if not written:
        return
    lengths = [len(rows) for _, rows in written]
    values = np.concatenate([rows.values for _, rows in written], dtype=np.float64)
    fetched = np.array([moments[each.symbol] for each, _ in written], dtype="datetime64[us]")
    incoming = {
        "series": pa.array(np.repeat([ids[each.symbol] for each, _ in written], lengths)),
        "session": pa.array(
            np.concatenate([rows.index.values for _, rows in written]).astype("datetime64[D]")
        ),
        "fetched_at": pa.array(np.repeat(fetched, lengths)),
    }
    for at, name in enumerate(COLUMNS):
        incoming[name] = pa.array(np.ascontiguousarray(values[:, at]), from_pandas=True)
    _insert(connection, "bars", pa.table(incoming))


def insert_fetches(
    connection: Connection, ids: Mapping[str, int], moments: Mapping[str, datetime], updates: Sequence[Update]
) -> None:
    """Add a line for each update to the log of fetches."""
    incoming = pa.table(
        {
            "series": [ids[each.symbol] for each in updates],
            "fetched_at": [moments[each.symbol] for each in updates],
            "outcome": [each.outcome for each in updates],
            "detail": [each.detail for each in updates],
            "written": [0 if each.rows is None else len(each.rows) for each in updates],
            "currency": [each.series.currency if each.series else None for each in updates],
            "covered_from": [each.series.covered_from if each.series else None for each in updates],
            "covered_to": [each.series.covered_to if each.series else None for each in updates],
            "version": [each.series.version if each.series else None for each in updates],
            "whole_at": [naive(each.series.whole_at) if each.series else None for each in updates],
        }
    )
    _insert(connection, "fetches", incoming)


def _insert(connection: Connection, table: str, incoming: pa.Table) -> None:
    connection.register("incoming", incoming)
    connection.execute(f"INSERT INTO {table} BY NAME FROM incoming")
    connection.unregister("incoming")


def replace_adjusted(connection: Connection, ids: Mapping[str, int], updates: Sequence[Update]) -> None:
    """Put the vendor's adjusted closes in the place of those before."""
    given = [(ids[each.symbol], each.adjusted) for each in updates if each.adjusted is not None]
    if not given:
        return
    incoming = pd.DataFrame(
        {
            "series": np.repeat([number for number, _ in given], [len(closes) for _, closes in given]),
            "session": np.concatenate([closes.index.to_numpy() for _, closes in given]),
            "close": np.concatenate([closes.to_numpy(dtype=float) for _, closes in given]),
        }
    )
    connection.execute(
        "DELETE FROM adjusted WHERE series IN (SELECT unnest(?))", [[each for each, _ in given]]
    )
    connection.register("incoming", incoming)
    connection.execute(
        "INSERT INTO adjusted SELECT series, session::DATE, close FROM incoming WHERE isfinite(close)"
    )
    connection.unregister("incoming")


def naive(moment: datetime) -> datetime:
    """Return an instant as the store keeps it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def until(known_at: datetime | None) -> datetime:
    """Return the latest fetch time that counts."""
    return datetime(9999, 1, 1) if known_at is None else naive(known_at)


STATUS = """
WITH versions AS (
  SELECT b.series, b.session, count(*) AS n, arg_max(b.close, b.fetched_at) IS NOT NULL AS held
  FROM bars b JOIN series s ON s.id = b.series WHERE s.source = $1 AND b.fetched_at <= $2 GROUP BY ALL),
counted AS (
  SELECT series, min(session) FILTER (held) AS first, max(session) FILTER (held) AS last,
    count(*) FILTER (held) AS rows, count(*) FILTER (n > 1) AS restated FROM versions GROUP BY series),
asked AS (
  SELECT series, max(fetched_at) FILTER (outcome = 'fetched') AS fetched_at,
    arg_max(currency, fetched_at) FILTER (outcome = 'fetched') AS currency,
    arg_max(outcome, fetched_at) AS outcome, arg_max(detail, fetched_at) AS detail
  FROM fetches WHERE fetched_at <= $2 GROUP BY series)
SELECT s.symbol, c.first, c.last, coalesce(c.rows, 0) AS rows, coalesce(c.restated, 0) AS restated,
  a.currency, a.fetched_at, a.outcome, a.detail
FROM series s JOIN asked a ON a.series = s.id LEFT JOIN counted c ON c.series = s.id
WHERE s.source = $1 ORDER BY s.symbol
"""
CHANGED = f"""
WITH mine AS (SELECT id, symbol FROM series WHERE source = $1 AND symbol IN (SELECT unnest($2))),
later AS (
  SELECT b.* FROM bars b WHERE series IN (SELECT id FROM mine)
    AND session <= $3 AND fetched_at > $4 AND fetched_at <= $5
  QUALIFY row_number() OVER (PARTITION BY series, session ORDER BY fetched_at DESC) = 1),
earlier AS (
  SELECT b.* FROM bars b SEMI JOIN later USING (series, session) WHERE fetched_at <= $4
  QUALIFY row_number() OVER (PARTITION BY series, session ORDER BY fetched_at DESC) = 1),
begun AS (SELECT series, min(session) AS first FROM bars WHERE fetched_at <= $4 AND close IS NOT NULL GROUP BY series)
SELECT m.symbol, l.session, l.fetched_at, coalesce(l.session >= g.first, false) AS inside,
  {", ".join(f"l.{each}, e.{each} AS then_{each}" for each in COLUMNS)}
FROM later l JOIN mine m ON m.id = l.series LEFT JOIN earlier e USING (series, session)
  LEFT JOIN begun g USING (series)
ORDER BY m.symbol, l.session
"""
REFUSALS = """
WITH mine AS (SELECT f.*, s.symbol FROM fetches f JOIN series s ON s.id = f.series WHERE s.source = $1),
answered AS (SELECT DISTINCT fetched_at::DATE AS day FROM mine WHERE outcome = 'fetched'),
served AS (SELECT series, max(fetched_at) AS at FROM mine WHERE outcome = 'fetched' GROUP BY series)
SELECT DISTINCT m.symbol, m.fetched_at::DATE AS day
FROM mine m LEFT JOIN served USING (series)
WHERE m.outcome = 'no such symbol' AND (served.at IS NULL OR m.fetched_at > served.at)
  AND m.fetched_at::DATE IN (SELECT day FROM answered)
ORDER BY m.symbol, day
"""
MOMENTS = """
SELECT s.symbol, f.fetched_at FROM fetches f JOIN series s ON s.id = f.series
WHERE s.source = $1 AND s.symbol IN (SELECT unnest($2)) AND f.outcome = 'fetched' AND f.written > 0
ORDER BY s.symbol, f.fetched_at DESC
"""
