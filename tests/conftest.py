"""Fixtures that many tests share. Prices are synthetic, or come from ../shared/prices where it exists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import screener.api as sc

ROOT = Path(__file__).resolve().parent.parent
SHARED_PRICES = ROOT.parent / "shared" / "prices"
NOW = datetime(2026, 7, 11, 6, 0, tzinfo=UTC)
AS_OF = date(2026, 7, 10)


@pytest.fixture(scope="session")
def shared_prices() -> Path:
    """The folder of real prices beside the project, or a skip that says what is missing."""
    if not SHARED_PRICES.is_dir():
        pytest.skip("real prices are not here: they belong beside the project in ../shared/prices")
    return SHARED_PRICES


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A price store filled once from the sample market."""
    store = tmp_path_factory.mktemp("store") / "prices.duckdb"
    sc.refresh(sc.Request(as_of=AS_OF, now=NOW, source="sample", store=store))
    return store


@pytest.fixture(scope="session")
def sample_market(sample_store: Path) -> sc.Market:
    """The sample market as of a fixed date."""
    return sc.load_market(sc.Request(as_of=AS_OF, now=NOW, source="sample", store=sample_store, offline=True))


@pytest.fixture(autouse=True)
def no_environment_of_the_person_running_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings in the environment must not change what tests see."""
    for name in ("UNIVERSE", "SOURCE", "PRICES", "STORE", "BASE", "OUTPUT", "NOW", "YAHOO_URL"):
        monkeypatch.delenv(f"SCREENER_{name}", raising=False)
    yield
