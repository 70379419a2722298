"""Is the store sound, is the price service there, is the clock right? Facts only; advice is the doctor's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from screener.errors import SourceError
from screener.market.sessions import gaps
from screener.market.sources import PriceRequest, SourceSettings
from screener.market.store import Store
from screener.universe.model import Universe


@dataclass(frozen=True, slots=True)
class StoredSource:
    """What the store holds of one source."""

    identity: str
    symbols: int
    rows: int
    gaps: dict[str, int]  # symbol → sessions between its first and last bar without one; only those with any
    newest_fetch: datetime | None  # UTC


@dataclass(frozen=True, slots=True)
class Reached:
    """How asking the price service for one symbol went."""

    symbol: str
    failure: str  # "" when it answered
    service_time: datetime | None  # UTC, by its own clock


def examine(store: Store, universe: Universe) -> list[StoredSource]:
    """Return what is stored of each source; gaps are counted for the universe's symbols."""
    instruments = universe.everything()
    found = []
    for identity in store.identities():
        status = store.status(identity)
        bars = store.load(identity, [each for each in status.index if each in instruments])
        missing = {
            symbol: len(gaps(instruments[symbol].mic, pd.DatetimeIndex(each.table.index)))
            for symbol, each in bars.items()
        }
        newest = status["fetched_at"].max()
        moment = None if pd.isna(newest) else newest.to_pydatetime()
        found.append(
            StoredSource(
                identity,
                len(status),
                int(status["rows"].sum()),
                {s: n for s, n in missing.items() if n},
                moment,
            )
        )
    return found


def reach_yahoo(universe: Universe, now: datetime, base_url: str = "") -> Reached:
    """Ask Yahoo (or what stands in for it) for a week of the universe's first benchmark; nothing is stored."""
    from screener.market.sources.yahoo import open_source

    source = open_source(SourceSettings(universe, base_url=base_url))
    symbol, instrument = next(iter({**universe.benchmarks, **universe.instruments}.items()))
    week = (now - timedelta(days=10)).date(), now.date()
    failure = ""
    try:
        source.fetch(PriceRequest(symbol, instrument.mic, instrument.currency, *week), now)
    except SourceError as error:
        failure = "" if error.outcome == "no data" else f"{error.outcome}: {error}"
    return Reached(symbol, failure, getattr(source, "service_time", None))
