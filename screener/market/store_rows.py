"""The rows of the store: what SQL asks for and what comes out as arrays. No file is opened here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.bars import COLUMNS
from screener.market.store_schema import Connection

CHUNK = 1 << 20  # rows taken from DuckDB at once: few enough to keep the peak of memory low
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


def read_bars(
    connection: Connection, ids: Sequence[int], start: date, end: date, known_at: datetime | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the newest version of each bar: keys (series × DAYS + day, increasing) and COLUMNS × rows."""
    where, asked = _condition(ids, start, end, known_at)
    ((count,),) = connection.execute(f"SELECT count(*) FROM bars WHERE {where}", asked).fetchall()
    keys, moments = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    block = np.empty((len(COLUMNS), count))
    at = 0
    chosen = f"""
        SELECT series::BIGINT * {DAYS} + (session - DATE '1970-01-01') AS key, epoch_us(fetched_at) AS moment,
          {", ".join(COLUMNS)} FROM bars WHERE {where}"""
    for batch in connection.sql(chosen, params=asked).to_arrow_reader(CHUNK):
        to = at + batch.num_rows
        keys[at:to], moments[at:to] = batch.column(0).to_numpy(), batch.column(1).to_numpy()
        for row in range(len(COLUMNS)):  # NULL becomes NaN
            block[row, at:to] = batch.column(2 + row).to_numpy(zero_copy_only=False)
        at = to
    kept = _newest(keys, moments, block[COLUMNS.index("close")])
    if kept is not None:
        keys = keys[kept]
        for row in range(len(COLUMNS)):
            block[row, : len(keys)] = block[row][kept]
        block = block[:, : len(keys)]
    return keys, block


def _condition(
    ids: Sequence[int], start: date, end: date, known_at: datetime | None
) -> tuple[str, dict[str, Any]]:
    """Return a WHERE with only what narrows anything: on ten million rows each term costs its tenth of a second."""
    asked: dict[str, Any] = {"low": min(ids, default=0), "high": max(ids, default=-1)}
    terms = ["series BETWEEN $low AND $high"]
    if len(ids) != asked["high"] - asked["low"] + 1:
        terms.append("series IN (SELECT unnest($ids))")
        asked["ids"] = list(ids)
    if (start, end) != (FIRST, LAST):
        terms.append("session BETWEEN $start AND $end")
        asked |= {"start": start, "end": end}
    if known_at is not None:
        terms.append("fetched_at <= $known")
        asked["known"] = naive(known_at)
    return " AND ".join(terms), asked


def _newest(
    keys: npt.NDArray[np.int64], moments: npt.NDArray[np.int64], close: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64] | None:
    """Return the positions of the newest version of each bar in order, without withdrawn ones; None: all as is."""
    held = np.isfinite(close)
    if bool((np.diff(keys) > 0).all()) and bool(held.all()):
        return None
    order = np.lexsort((moments, keys))
    ordered = keys[order]
    last = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, dtype=bool)
    newest: npt.NDArray[np.int64] = order[last]
    return newest[held[newest]]


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
        SELECT symbol, id, (SELECT max(fetched_at) FROM fetches WHERE series = id) FROM series
        WHERE source = ? AND symbol IN (SELECT unnest(?))
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
    incoming = pd.DataFrame(
        np.concatenate([rows.to_numpy(dtype=float) for _, rows in written]), columns=list(COLUMNS)
    )
    incoming["series"] = np.repeat([ids[each.symbol] for each, _ in written], lengths)
    incoming["session"] = np.concatenate([rows.index.to_numpy() for _, rows in written])
    fetched = np.array([moments[each.symbol] for each, _ in written], dtype="datetime64[us]")
    incoming["fetched_at"] = np.repeat(fetched, lengths)
    connection.register("incoming", incoming)
    columns = ", ".join(f"nullif({each}, 'nan'::DOUBLE) AS {each}" for each in COLUMNS)
    connection.execute(
        f"INSERT INTO bars BY NAME SELECT series, session::DATE AS session, {columns}, fetched_at FROM incoming"
    )
    connection.unregister("incoming")


def insert_fetches(
    connection: Connection, ids: Mapping[str, int], moments: Mapping[str, datetime], updates: Sequence[Update]
) -> None:
    """Add a line for each update to the log of fetches."""
    incoming = pd.DataFrame(
        {
            "series": [ids[each.symbol] for each in updates],
            "fetched_at": np.array([moments[each.symbol] for each in updates], dtype="datetime64[us]"),
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
    connection.register("incoming", incoming)
    connection.execute("INSERT INTO fetches BY NAME FROM incoming")
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
