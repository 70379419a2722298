"""The store as Parquet files in a folder (hive layout), and back without loss; an export on S3 can be read in place.

    FOLDER/screener.json                     what this is, and how many rows each table has
    FOLDER/bars/year=2026/data_0.parquet     every version of every bar, with source, symbol and currency
    FOLDER/series|fetches|adjusted|verdicts/data_0.parquet

`year` is the session's; rows are sorted by source, symbol and session.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from screener.errors import ScreenerError, UserError
from screener.market.bars import COLUMNS
from screener.market.store_schema import SCHEMA, TABLES, Connection

FORMAT, LABEL = "screener.prices/1", "screener.json"
FETCHES = "outcome, detail, written, currency, covered_from, covered_to, version, whole_at"
OUT = {
    "bars": f"""
        SELECT s.source, s.symbol, s.synthetic, f.currency, b.session, {", ".join(f"b.{each}" for each in COLUMNS)},
          b.fetched_at, year(b.session) AS year
        FROM bars b JOIN series s ON s.id = b.series LEFT JOIN (
          SELECT series, arg_max(currency, fetched_at) AS currency FROM fetches WHERE outcome = 'fetched'
          GROUP BY series) f ON f.series = s.id
        ORDER BY year, s.source, s.symbol, b.session, b.fetched_at""",
    "series": "SELECT source, symbol, synthetic FROM series ORDER BY source, symbol",
    "fetches": f"""
        SELECT source, symbol, fetched_at, {FETCHES}
        FROM fetches f JOIN series s ON s.id = f.series ORDER BY source, symbol, fetched_at""",
    "adjusted": """
        SELECT source, symbol, session, close FROM adjusted a JOIN series s ON s.id = a.series
        ORDER BY source, symbol, session""",
    "verdicts": "SELECT * FROM verdicts ORDER BY source, symbol, session, given_at",
}
IN = {
    "series": """
        INSERT INTO series
        SELECT (SELECT coalesce(max(id), 0) FROM series) + row_number() OVER (ORDER BY source, symbol),
          source, symbol, synthetic
        FROM incoming_series ANTI JOIN series USING (source, symbol)""",
    "bars": f"""
        INSERT INTO bars BY NAME
        SELECT s.id AS series, i.session, {", ".join(f"i.{each}" for each in COLUMNS)}, i.fetched_at
        FROM incoming_bars i JOIN series s USING (source, symbol)
        ANTI JOIN bars b ON b.series = s.id AND b.session = i.session AND b.fetched_at = i.fetched_at
        ORDER BY s.id, i.session, i.fetched_at""",
    # before the fetches, which tell whose whole history is the newer one
    "adjusted": """
        DELETE FROM adjusted WHERE series IN (
          SELECT s.id FROM (
            SELECT source, symbol, max(whole_at) AS whole_at FROM incoming_fetches GROUP BY ALL) i
          JOIN series s USING (source, symbol)
          JOIN (SELECT series, max(whole_at) AS whole_at FROM fetches GROUP BY series) f ON f.series = s.id
          WHERE i.whole_at > f.whole_at);
        INSERT INTO adjusted
        SELECT s.id, i.session, i.close FROM incoming_adjusted i JOIN series s USING (source, symbol)
        ANTI JOIN adjusted a ON a.series = s.id
        ORDER BY s.id, i.session""",
    "fetches": f"""
        INSERT INTO fetches BY NAME
        SELECT s.id AS series, i.fetched_at, {", ".join(f"i.{each}" for each in FETCHES.split(", "))}
        FROM incoming_fetches i JOIN series s USING (source, symbol)
        ANTI JOIN fetches f ON f.series = s.id AND f.fetched_at = i.fetched_at
        ORDER BY s.id, i.fetched_at""",
    "verdicts": """
        INSERT INTO verdicts BY NAME
        FROM incoming_verdicts ANTI JOIN verdicts USING (source, symbol, session, given_at)""",
}
CONFLICTS = f"""
    SELECT i.source, i.symbol, i.session FROM incoming_bars i JOIN series s USING (source, symbol)
    JOIN bars b ON b.series = s.id AND b.session = i.session AND b.fetched_at = i.fetched_at
    WHERE ({", ".join(f"i.{each}" for each in COLUMNS)}) IS DISTINCT FROM ({", ".join(f"b.{each}" for each in COLUMNS)})
    ORDER BY ALL LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows of each table an export wrote, or an import added."""

    rows: Mapping[str, int]


def export_tables(connection: Connection, folder: Path) -> Moved:
    """Write the whole store into a folder, which appears complete or not at all.

    An older export of ours in its place is replaced. Raises UserError for a folder that holds anything else.
    """
    if folder.exists() and not (folder / LABEL).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something else than an export of ours; name an empty folder")
    partial, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    rows = {}
    try:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, query in OUT.items():
            if name == "bars":
                to = f"'{_quoted(partial / name)}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (year))"
            else:
                (partial / name).mkdir()
                to = f"'{_quoted(partial / name / 'data_0.parquet')}' (FORMAT parquet, COMPRESSION zstd)"
            connection.execute(f"COPY ({query}) TO {to}")
            rows[name] = _count(connection, name)
        label = {"format": FORMAT, "layout": SCHEMA, "rows": rows}
        (partial / LABEL).write_text(json.dumps(label, indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, duckdb.IOException) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ScreenerError(f"{folder} cannot be written ({str(error).splitlines()[0]})") from None
    return Moved(rows)


def import_tables(connection: Connection, folder: Path) -> Moved:
    """Add what an export holds and the store lacks; what is stored stays as it is.

    connection: one of its own, inside a transaction. Raises UserError when the folder is no export, is
    damaged, or contradicts what is stored.
    """
    label = _label((folder / LABEL).read_text(encoding="utf-8") if (folder / LABEL).is_file() else "", folder)
    try:
        for name in IN:
            files = _quoted(folder / name / "**" / "*.parquet")
            has_rows = label["rows"][name] > 0
            source = f"read_parquet('{files}', hive_partitioning = true)" if has_rows else _empty(name)
            connection.execute(f"CREATE TEMP VIEW incoming_{name} AS FROM {source}")
        return _add(connection, label["rows"], folder)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise UserError(
            f"{folder}: the export is damaged ({str(error).splitlines()[0]}); nothing was added"
        ) from None


@contextmanager
def opened_export(place: Path) -> Iterator[Connection]:
    """Read an export in a folder or at s3://BUCKET/PREFIX into memory and connect to it as to a store.

    S3 credentials, region and endpoint come from the usual AWS_* settings. Raises UserError when it is none.
    """
    import pyarrow.dataset
    import pyarrow.fs

    connection = duckdb.connect()
    try:
        if is_remote(place):
            files, root = pyarrow.fs.FileSystem.from_uri(remote_address(place))
        else:
            files, root = pyarrow.fs.LocalFileSystem(), str(place)
        with files.open_input_stream(f"{root}/{LABEL}") as stream:
            label = _label(stream.read().decode(), place)
        connection.execute(TABLES)
        connection.execute("INSERT INTO about VALUES (?)", [SCHEMA])
        for name in IN:
            if label["rows"][name]:
                dataset = pyarrow.dataset.dataset(
                    f"{root}/{name}", filesystem=files, format="parquet", partitioning="hive"
                )
                connection.register(f"incoming_{name}", dataset.to_table())
            else:
                connection.execute(f"CREATE TEMP VIEW incoming_{name} AS FROM {_empty(name)}")
        _add(connection, label["rows"], place)
        yield connection
    except OSError as error:  # pyarrow's S3 errors are OSErrors too
        raise UserError(f"--store: {place} cannot be read as an export ({error})") from None
    finally:
        connection.close()


def is_remote(place: Path) -> bool:
    """Say whether a --store is on S3; a Path has only one slash left after s3:."""
    return str(place).startswith("s3:/")


def is_export(place: Path) -> bool:
    """Say whether a --store is an export, in a folder or on S3, which can only be read."""
    return is_remote(place) or (place / LABEL).is_file()


def remote_address(place: Path) -> str:
    """Return s3://BUCKET/PREFIX of a --store on S3."""
    return "s3://" + str(place).removeprefix("s3:").lstrip("/")


def _add(connection: Connection, promised: Mapping[str, int], place: Path) -> Moved:
    for name in IN:
        found = _count(connection, f"incoming_{name}")
        if found != promised[name]:
            raise UserError(
                f"{place}: {name} has {found} rows, {promised[name]} were exported; nothing was added"
            )
    clash = connection.execute(CONFLICTS).fetchall()
    if clash:
        source, symbol, session = clash[0]
        raise UserError(
            f"{place}: {symbol} of {source} on {session} differs from what is stored under the same fetch time; "
            "nothing was added"
        )
    added = {}
    for name, statement in IN.items():
        before = _count(connection, name)
        connection.execute(statement)
        added[name] = _count(connection, name) - before
    return Moved(added)


def _label(text: str, place: Path) -> dict[str, dict[str, int]]:
    try:
        label = json.loads(text)
        if label["format"] == FORMAT and set(label["rows"]) == set(IN):
            return dict(label)
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{place} is no export of `screener prices export` ({LABEL} is missing or another)")


def _empty(name: str) -> str:
    """Return a query of no rows with an export's columns, for a table of which nothing was exported."""
    return f"({OUT[name]}) LIMIT 0" if name != "bars" else f"(SELECT {_typed()}) LIMIT 0"


def _typed() -> str:
    values = ", ".join(f"NULL::DOUBLE AS {each}" for each in COLUMNS)
    return (
        f"''::VARCHAR AS source, ''::VARCHAR AS symbol, DATE '2000-01-01' AS session, {values}, "
        "TIMESTAMP '2000-01-01' AS fetched_at"
    )


def _count(connection: Connection, name: str) -> int:
    ((count,),) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
    return int(count)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
