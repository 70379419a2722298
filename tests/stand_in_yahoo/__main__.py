"""Serve a folder of price files as if it were Yahoo, until interrupted."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, date, datetime
from pathlib import Path

from screener.market.sessions import calendar_of
from screener.market.sources import PriceRequest, SourceSettings, open_source
from screener.market.sources.yahoo import ZONES
from screener.universe.load import find_universe, load_universe
from tests.stand_in_yahoo import Listing, running


def listings_of(folder: Path) -> dict[str, Listing]:
    """Read every price file of the default universe, and the currency pairs, as listings."""
    universe = load_universe(find_universe("rare_earth_ai"))
    everything = universe.everything()
    source = open_source("files", SourceSettings(universe, folder=folder))
    listings = {}
    for path in sorted(folder.iterdir()):
        symbol = path.stem
        each = everything.get(symbol)
        if each is None and not symbol.endswith("=X"):
            continue
        mic, currency = (each.mic, each.currency) if each else ("", symbol[:3])
        request = PriceRequest(symbol, mic, currency, date(1990, 1, 1), date(2100, 1, 1))
        bars = source.fetch(request, datetime.now(UTC))
        zone = ZONES[calendar_of(mic)] if mic else "Europe/London"
        listings[symbol] = Listing(bars.table, bars.currency, zone)
    return listings


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prices", type=Path, required=True, help="folder of CSV or Parquet files")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with running(listings_of(options.prices), options.port) as stand_in:
        print(f"SCREENER_YAHOO_URL={stand_in.url}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass
