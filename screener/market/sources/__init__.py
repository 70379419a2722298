"""The registry of price sources. A new one is a module with `open_source`, and one line in SOURCES.

Sources are imported only when asked for: yfinance costs a third of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from screener.errors import UserError

if TYPE_CHECKING:
    from screener.market.bars import Bars
    from screener.universe.model import Universe

SOURCES = {
    "yahoo": "screener.market.sources.yahoo",
    "files": "screener.market.sources.files",
    "sample": "screener.market.sources.sample",
}


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """One symbol, and the inclusive span of sessions wanted. `mic` is "" for a currency pair."""

    symbol: str
    mic: str
    currency: str  # what the universe says the quotes are in; a source that knows better says so in Bars
    start: date
    end: date


class PriceSource(Protocol):
    """Where bars come from. `identity` keeps each source's rows apart in the store.

    A source may have `expect(requests)`, which says what will be fetched next, in this order.
    """

    identity: str  # "yahoo", "sample:7", "files:/path"
    synthetic: bool

    def fetch(self, request: PriceRequest, now: datetime) -> Bars:
        """Return the bars from request.start to request.end, or raise SourceError with an outcome.

        `now` (UTC) becomes fetched_at. A symbol that is known but has no rows in the span raises
        SourceError("no data", …). Nothing is written anywhere.
        """
        ...

    def version(self, request: PriceRequest) -> str:
        """Return a fingerprint that changes when what is stored may be out of date; "" if unknown.

        For files a hash of the file; for the sample market its seed and recipe version; for Yahoo "".
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What a source may need to open; each takes what it wants."""

    universe: Universe
    folder: Path | None = None  # files: where the files lie
    seed: int = 7  # sample
    base_url: str = ""  # yahoo: an address that stands in for Yahoo's hosts, for tests
    cache: Path | None = None  # yahoo: where yfinance keeps cookies and time zones; None: in memory
    budget: int | None = None  # yahoo: most requests in one run


def open_source(name: str, settings: SourceSettings) -> PriceSource:
    """Open a price source by its name. Raises UserError for an unknown name or unusable settings."""
    if name not in SOURCES:
        raise UserError(f"--source: price source {name!r} is unknown; choose one of {', '.join(SOURCES)}")
    source: PriceSource = import_module(SOURCES[name]).open_source(settings)
    return source
