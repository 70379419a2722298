"""Older stores are brought up to date, whole or not at all; newer ones are left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from screener.errors import UserError
from screener.market import store_schema
from screener.market.store import Store
from screener.market.store_schema import SCHEMA

EARLY, LATE = datetime(2026, 1, 5, 22, tzinfo=UTC), datetime(2026, 1, 6, 22, tzinfo=UTC)
# as screener 0.1 wrote it
LAYOUT_ONE = """
CREATE TABLE about (schema_version INTEGER);
CREATE TABLE bars (
  source VARCHAR, symbol VARCHAR, session DATE, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE,
  volume DOUBLE, dividend DOUBLE, split DOUBLE, fetched_at TIMESTAMP);
CREATE TABLE series (
  source VARCHAR, symbol VARCHAR, currency VARCHAR, synthetic BOOLEAN, covered_from DATE, covered_to DATE,
  version VARCHAR, fetched_at TIMESTAMP, outcome VARCHAR, detail VARCHAR, PRIMARY KEY (source, symbol));
INSERT INTO about VALUES (1);
INSERT INTO series VALUES
  ('yahoo', 'MP', 'USD', false, '2026-01-02', '2026-01-06', '', '2026-01-06 22:00', 'fetched', 'restated: …'),
  ('yahoo', 'LYC.AX', 'AUD', false, '2026-01-02', '2026-01-05', '', '2026-01-05 22:00', 'timed out', 'no answer'),
  ('sample:7', 'MP', 'USD', true, '2026-01-02', '2026-01-05', 's7', '2026-01-05 22:00', 'fetched', '');
INSERT INTO bars VALUES
  ('yahoo', 'MP', '2026-01-05', 9, 12, 8, 10, 1000, 0, 1, '2026-01-05 22:00'),
  ('yahoo', 'LYC.AX', '2026-01-05', NULL, NULL, NULL, 7, NULL, 0, 1, '2026-01-05 22:00'),
  ('sample:7', 'MP', '2026-01-05', 1, 1, 1, 1, 1, 0, 1, '2026-01-05 22:00'),
  ('yahoo', 'MP', '2026-01-05', 4.5, 6, 4, 5, 2000, 0, 2, '2026-01-06 22:00'),
  ('yahoo', 'MP', '2026-01-02', 8, 8, 8, 8, 900, 0.1, 1, '2026-01-05 22:00'),
  ('yahoo', 'MP', '2026-01-02', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-06 22:00');
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "p.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(LAYOUT_ONE)
    return path


def layout(path: Path) -> tuple[object, set[str]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        version = connection.execute("SELECT schema_version FROM about").fetchall()[0][0]
        return version, {
            name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_of_layout_one_keeps_every_version_of_every_bar(old: Path, read_only: bool) -> None:
    with Store.open(old, read_only=read_only) as store:
        now, then = (store.load("yahoo", ["MP", "LYC.AX"], known_at=moment) for moment in (None, EARLY))
        assert now["MP"].table["close"].to_list() == [5.0]
        assert then["MP"].table["close"].to_list() == [8.0, 10.0]
        assert now["LYC.AX"].table["open"].isna().all() and now["LYC.AX"].currency == "AUD"
        assert store.load("sample:7", ["MP"])["MP"].synthetic
        assert store.series("yahoo")["MP"].covered_to == date(2026, 1, 6)
        assert store.status("yahoo").loc["MP", "restated"] == 2
        assert store.identities() == ["sample:7", "yahoo"]
    assert layout(old) == (SCHEMA, {"about", "series", "bars", "fetches", "adjusted", "verdicts"})


def test_a_migration_that_fails_half_way_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout(old)
    broken = store_schema.ONE_TO_TWO + "SELECT * FROM nowhere;"
    monkeypatch.setattr(store_schema, "MIGRATIONS", (broken,))
    with pytest.raises(duckdb.CatalogException), Store.open(old):
        pass
    assert layout(old) == before == (1, {"about", "bars", "series"})
    monkeypatch.undo()
    with Store.open(old, read_only=True) as store:
        assert store.load("yahoo", ["MP"])["MP"].table["close"].to_list() == [5.0]


def test_a_migrated_store_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    with Store.open(old), Store.open(tmp_path / "new.duckdb"):
        pass

    def columns(path: Path) -> list[tuple[str, str, str]]:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(
                "SELECT table_name, column_name, data_type FROM duckdb_columns() ORDER BY ALL"
            ).fetchall()

    assert columns(old) == columns(tmp_path / "new.duckdb")


@pytest.mark.parametrize("version", [0, 99])
def test_a_layout_we_do_not_know_is_left_alone(tmp_path: Path, version: int) -> None:
    path = tmp_path / "p.duckdb"
    with Store.open(path):
        pass
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE about SET schema_version = ?", [version])
    with pytest.raises(UserError, match=f"layout {version}"), Store.open(path):
        pass
    assert layout(path)[0] == version


def test_reading_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="no price store at"),
        Store.open(tmp_path / "deep" / "p.duckdb", read_only=True),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
