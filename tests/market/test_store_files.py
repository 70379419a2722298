"""Export and import: nothing is lost, nothing is taken in twice, nothing is half there."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from screener.errors import ScreenerError, UserError
from screener.market.bars import COLUMNS
from screener.market.store import Store, content_hash
from screener.market.store_rows import Series, Update
from screener.market.verdicts import Verdict

NOW = datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
EVERYTHING = {
    "bars": f"SELECT source, symbol, session, {', '.join(COLUMNS)}, fetched_at FROM bars JOIN series ON id = series",
    "series": "SELECT source, symbol, synthetic FROM series",
    "fetches": "SELECT source, symbol, fetches.* EXCLUDE (series) FROM fetches JOIN series ON id = series",
    "adjusted": "SELECT source, symbol, session, close FROM adjusted JOIN series ON id = series",
    "verdicts": "SELECT * FROM verdicts",
}


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a store holds, to the last bit, whatever the ids."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return {
            name: connection.execute(f"{query} ORDER BY ALL").fetchall() for name, query in EVERYTHING.items()
        }


def fill(path: Path, seed: int = 0, fetches: int = 3) -> None:
    """A store with two sources, versions, withdrawals, failures, odd names and a verdict."""
    chance = np.random.default_rng(seed)
    with Store.open(path) as store:
        for number in range(fetches):
            now = NOW + timedelta(days=number, microseconds=int(chance.integers(10**6)))
            for source, synthetic in (("yahoo", False), ("files:/home/o'neil/a=b c", True)):
                updates = [Update("GONE", "no such symbol", "never heard of it")]
                for symbol in ("6762.T", "JPY=X", "^N225", "BRK/B"):
                    index = pd.bdate_range("2025-12-15", periods=20 + 5 * number).as_unit("s")
                    rows = pd.DataFrame(
                        chance.lognormal(3, 1, (len(index), len(COLUMNS))), index=index, columns=list(COLUMNS)
                    )
                    rows.iloc[3, :3] = np.nan
                    if number:
                        rows.iloc[5] = np.nan  # withdrawn
                    series = Series("GBp" if number else "GBP", index[0].date(), index[-1].date(), "v", now)
                    adjusted = rows["close"] * 0.9 if number != 1 else None
                    updates.append(Update(symbol, "fetched", "‘restated’ — ×0.5", series, rows, adjusted))
                store.write(source, synthetic, updates, now)
        store.judge("yahoo", Verdict("6762.T", date(2025, 12, 16), "accept", "it's right", 1 / 3, NOW))


def test_an_export_imported_into_a_new_store_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    fill(tmp_path / "a.duckdb")
    with Store.open(tmp_path / "a.duckdb", read_only=True) as store:
        written = store.export(tmp_path / "export")
    with Store.open(tmp_path / "b.duckdb") as store:
        assert store.take_in(tmp_path / "export") == written
    assert content(tmp_path / "a.duckdb") == content(tmp_path / "b.duckdb")


@example(seed=0, fetches=3, already=1)
@given(seed=st.integers(0, 10**6), fetches=st.integers(0, 4), already=st.integers(0, 4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_importing_over_a_part_of_it_adds_what_is_missing(
    tmp_path: Path, seed: int, fetches: int, already: int
) -> None:
    folder = tmp_path / f"{seed}-{fetches}-{already}"
    folder.mkdir(exist_ok=True)
    for name, number in (("a", fetches), ("b", min(fetches, already))):
        (folder / f"{name}.duckdb").unlink(missing_ok=True)
        fill(folder / f"{name}.duckdb", seed, number)
    with Store.open(folder / "a.duckdb", read_only=True) as store:
        store.export(folder / "export")
    with Store.open(folder / "b.duckdb") as store:
        store.take_in(folder / "export")
        assert sum(store.take_in(folder / "export").rows.values()) == 0
    assert content(folder / "a.duckdb") == content(folder / "b.duckdb")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "a.duckdb"
    fill(path)
    with Store.open(path, read_only=True) as store:
        store.export(path.parent / "export")
    return path


def test_pandas_duckdb_and_polars_read_the_bars_of_an_export(filled: Path) -> None:
    bars = filled.parent / "export" / "bars"
    expected = len(content(filled)["bars"])
    table = pd.read_parquet(bars)
    assert len(table) == expected
    assert {"source", "symbol", "synthetic", "currency", "session", "close", "year"} <= set(table.columns)
    assert (pd.to_datetime(table["session"]).dt.year == table["year"].astype(int)).all()
    found = duckdb.sql(
        f"SELECT count(*), count(DISTINCT year) FROM read_parquet('{bars}/**/*.parquet')"
    ).fetchall()
    assert found == [(expected, 2)]
    polars = pytest.importorskip("polars", reason="Polars is not installed: pip install polars")
    assert polars.read_parquet(f"{bars}/**/*.parquet", hive_partitioning=True).height == expected


def test_an_export_can_be_read_in_place_and_not_written(filled: Path) -> None:
    export = filled.parent / "export"
    with Store.open(filled, read_only=True) as store, Store.open(export, read_only=True) as copy:
        assert_same(store, copy)
    with pytest.raises(UserError, match="only read; add --offline"), Store.open(export):
        pass


def assert_same(store: Store, copy: Store) -> None:
    symbols = ["6762.T", "JPY=X", "^N225", "BRK/B"]
    assert store.identities() == copy.identities()
    for source in store.identities():
        for known_at in (None, NOW + timedelta(hours=1)):
            ours, theirs = (each.load(source, symbols, known_at=known_at) for each in (store, copy))
            assert content_hash(ours) == content_hash(theirs) and ours
        pd.testing.assert_frame_equal(store.status(source), copy.status(source))
        assert store.verdicts(source) == copy.verdicts(source)


def test_a_new_export_replaces_an_older_one_whole(filled: Path, tmp_path: Path) -> None:
    with Store.open(filled, read_only=True) as store:
        store.export(tmp_path / "export")
        (tmp_path / "export" / "bars" / "stray.txt").write_text("old")
        store.export(tmp_path / "export")
    assert not (tmp_path / "export" / "bars" / "stray.txt").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["export"]


def test_a_folder_of_something_else_is_left_alone(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with Store.open(filled, read_only=True) as store, pytest.raises(UserError, match="something else"):
        store.export(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_export_that_cannot_be_written_leaves_nothing_behind(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Store.open(filled, read_only=True) as store, pytest.raises(ScreenerError, match="cannot be written"):
        store.export(tmp_path / "file" / "export")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("damage", ["label", "truncated", "missing", "other rows"])
def test_a_damaged_export_adds_nothing(filled: Path, tmp_path: Path, damage: str) -> None:
    with Store.open(filled, read_only=True) as store:
        store.export(tmp_path / "export")
    (file, *_) = sorted((tmp_path / "export" / "bars").rglob("*.parquet"))
    if damage == "label":
        (tmp_path / "export" / "screener.json").unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "missing":
        file.unlink()
    else:
        label = json.loads((tmp_path / "export" / "screener.json").read_text())
        label["rows"]["fetches"] += 1
        (tmp_path / "export" / "screener.json").write_text(json.dumps(label))
    with Store.open(tmp_path / "b.duckdb") as store:
        with pytest.raises(UserError, match="export"):
            store.take_in(tmp_path / "export")
        assert store.identities() == []


def test_an_export_that_contradicts_the_store_adds_nothing(filled: Path, tmp_path: Path) -> None:
    fill(tmp_path / "b.duckdb", seed=0, fetches=1)
    with duckdb.connect(str(tmp_path / "b.duckdb")) as connection:
        connection.execute("UPDATE bars SET close = close + 1 WHERE session = '2025-12-16'")
    before = content(tmp_path / "b.duckdb")
    with Store.open(tmp_path / "b.duckdb") as store, pytest.raises(UserError, match="2025-12-16 differs"):
        store.take_in(filled.parent / "export")
    assert content(tmp_path / "b.duckdb") == before


@pytest.fixture
def s3(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on this machine that holds the export, and the settings that lead there."""
    server = pytest.importorskip("moto.server", reason="no S3 server here: pip install 'moto[server]'")
    import pyarrow.fs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries
        running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    files = pyarrow.fs.S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True, region="us-east-1"
    )
    files.create_dir("prices")
    pyarrow.fs.copy_files(str(filled.parent / "export"), "prices/deep/export", destination_filesystem=files)
    yield "s3://prices/deep/export"
    threading.Thread(target=running.stop, daemon=True).start()


def test_an_export_on_s3_is_read_in_place(filled: Path, s3: str) -> None:
    with Store.open(filled, read_only=True) as store, Store.open(Path(s3), read_only=True) as remote:
        assert_same(store, remote)
    with (
        pytest.raises(UserError, match="cannot be read as an export"),
        Store.open(Path(s3 + "x"), read_only=True),
    ):
        pass
    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
