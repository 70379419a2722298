"""Each misbehaviour of the service × what the user sees × what the store holds afterwards.

    python -m tests.stand_in_yahoo.matrix

prints the matrix as Markdown. Every line is a run of `screener prices update` over a store that was filled a week
before, then of `screener prices status`; prices are made up.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from screener.cli import main
from screener.market.bars import bars_table
from screener.market.sessions import sessions_between
from screener.market.sources import yahoo
from tests.cli.test_commands import small_universe
from tests.stand_in_yahoo import Listing, StandIn
from tests.stand_in_yahoo.guard import forget_yfinance

SYMBOL, OTHERS = "MP", ("NVDA", "ACWI")
BEFORE = ("--as-of", "2026-07-02", "--now", "2026-07-03T06:00")
AFTER = ("--as-of", "2026-07-10", "--now", "2026-07-11T06:00")


@dataclass(frozen=True)
class Line:
    """One line of the matrix."""

    service: str
    seen: str  # what `prices update` says of the symbol
    exit_code: int
    stored: dict[str, Any]  # the record of `prices status --json`

    @property
    def store(self) -> str:
        """Return what the store holds of the symbol, in words."""
        facts = self.stored
        words = [f"{facts['rows'] + facts['quarantined']} bars to {facts['last']}"]
        for name, said in (("gaps", "gaps"), ("restated", "in two versions"), ("quarantined", "quarantined")):
            if facts[name]:
                words.append(f"{facts[name]} {said}")
        return ", ".join(words)


def fault(name: str, times: int | None = None) -> Callable[[StandIn], None]:
    """Return what arranges a misbehaviour for the symbol."""
    return lambda service: service.misbehave(SYMBOL, name, times)


def _late_split(service: StandIn) -> None:
    table = service.listings[SYMBOL].table.copy()
    table[["open", "high", "low", "close"]] /= 4
    table.loc["2026-07-06", "split"] = 4.0
    service.listings[SYMBOL] = Listing(table)


def _late_dividend(service: StandIn) -> None:
    service.listings[SYMBOL].table.loc["2026-06-30", "dividend"] = 0.25


CASES: dict[str, Callable[[StandIn], None]] = {
    "answers as it should": lambda service: None,
    "404, unknown symbol": fault("404"),
    "401 once, crumb too old": fault("401", 1),
    "401 always": fault("401"),
    "429 once": fault("429", 1),
    "429 always": fault("429"),
    "429 once, Retry-After: 1": fault("429 1", 1),
    "429, Retry-After: 3600": fault("429 3600"),
    "500 once": fault("500", 1),
    "500 always": fault("500"),
    "HTML consent page": fault("consent"),
    "truncated JSON": fault("truncated"),
    "empty result": fault("empty result"),
    "no rows in the span (400)": fault("no rows"),
    "two rows of null": fault("null rows"),
    "newest row with a volume and no prices": fault("newest null"),
    "a row sent twice": fault("row again"),
    "a date sent twice with different prices": fault("row contradicted"),
    "newest date twice, the second a live row": fault("live row"),
    "rows out of order": fault("backwards"),
    "slow drip": fault("drip"),
    "no answer": fault("hang"),
    "connection reset": fault("reset"),
    "body cut off": fault("cut"),
    "wrong currency (GBp for USD)": fault("wrong currency"),
    "shifted time zone (Tokyo for New York)": fault("wrong zone"),
    "100× glitch on three rows": fault("glitch"),
    "split known late (4:1)": _late_split,
    "dividend known late": _late_dividend,
}


def run_case(name: str, folder: Path) -> Line:
    """Fill a store, let the service misbehave, update, and look."""
    universe = small_universe(folder / "universe", (SYMBOL, *OTHERS))
    tables = {symbol: _made_up(seed) for seed, symbol in enumerate((SYMBOL, *OTHERS))}
    with StandIn({symbol: Listing(table) for symbol, table in tables.items()}) as service:
        words = [
            *("--source", "yahoo", "--yahoo-url", service.url, "--universe", str(universe)),
            *("--store", str(folder / "p.duckdb"), "--since", "2025-07-01"),
        ]
        with _hurried():
            assert _said("prices", "update", *words, *BEFORE)[0] == 0
            CASES[name](service)
            code, said = _said("prices", "update", *words, *AFTER)
            _, status = _said("prices", "status", *words, *AFTER, "--json")
    mine = [line.strip() for line in said.splitlines() if line.strip().startswith(f"{SYMBOL}: ")]
    record = next(each for each in json.loads(status)["data"] if each["symbol"] == SYMBOL)
    return Line(name, mine[0] if mine else "fetched, nothing to say", code, record)


def _made_up(seed: int) -> pd.DataFrame:
    index = sessions_between("XNYS", date(2025, 7, 1), date(2026, 7, 10))
    close = 40 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, len(index))))
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1e6}
    return bars_table(pd.DataFrame(columns, index=index))


def _said(*words: str) -> tuple[int, str]:
    forget_yfinance()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    return code, out.getvalue() + ("" if "--json" in words else err.getvalue())


@contextlib.contextmanager
def _hurried() -> Iterator[None]:
    """Wait milliseconds where a run would wait seconds; Retry-After is honoured as it is."""
    real = yahoo.Manners

    def hurried(**manners: Any) -> yahoo.Manners:
        return replace(real(**manners), chart_seconds=0.8, first_pause=0.01)

    with patch.object(yahoo, "Manners", hurried):
        yield


def main_matrix() -> None:
    """Print the matrix."""
    print("| the service | `prices update` says | exit | the store afterwards |")
    print("| --- | --- | --- | --- |")
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            line = run_case(name, Path(folder))
        print(f"| {line.service} | {line.seen} | {line.exit_code} | {line.store} |", flush=True)


if __name__ == "__main__":
    main_matrix()
