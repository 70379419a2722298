"""Serve a folder of price files as if it were Yahoo, until interrupted.

    python -m tests.stand_in_yahoo --prices FOLDER [--port N]

Then, in another terminal: SCREENER_YAHOO_URL=http://127.0.0.1:N screener weekly --source yahoo
"""

from __future__ import annotations

import argparse
import csv
import threading
from pathlib import Path

from screener.errors import UserError
from screener.market.sources.price_file import read_price_file
from tests.stand_in_yahoo import Listing, StandIn

UNIVERSE = Path(__file__).resolve().parent.parent.parent / "universes" / "rare_earth_ai" / "instruments.csv"
ZONES = {
    "T": "Asia/Tokyo",
    "AX": "Australia/Sydney",
    "SS": "Asia/Shanghai",
    "SZ": "Asia/Shanghai",
    "HK": "Asia/Hong_Kong",
    "TO": "America/Toronto",
    "V": "America/Toronto",
    "L": "Europe/London",
    "BR": "Europe/Brussels",
    "PA": "Europe/Paris",
    "DE": "Europe/Berlin",
    "SW": "Europe/Zurich",
}


def listings_of(folder: Path) -> dict[str, Listing]:
    """Return by symbol what a folder of price files holds. Raises UserError for a bad file."""
    with UNIVERSE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    currencies = {row["symbol"]: row["currency"] for row in rows}
    markets = {row["symbol"]: row["mic"] for row in rows}
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".csv", ".parquet"):
            symbol, file = path.stem, read_price_file(path)
            currency = file.currency or currencies.get(symbol, "USD")
            if symbol.endswith("=X"):
                currency = symbol[-5:-2]  # JPY=X is in yen, AUDUSD=X in dollars
            # What a file does not say goes out as null: close-only files have no range and no volume.
            found[symbol] = Listing(file.table, currency, _zone(symbol, markets.get(symbol, "")))
    return found


def _zone(symbol: str, mic: str) -> str:
    if symbol.endswith("=X"):
        return "Europe/London"
    if mic == "XTKS":  # the index has no suffix
        return "Asia/Tokyo"
    return ZONES.get(symbol.rpartition(".")[2] if "." in symbol else "", "America/New_York")


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.stand_in_yahoo", description="Stand in for Yahoo.")
    parser.add_argument(
        "--prices", type=Path, required=True, help="folder of CSV or Parquet files, one a symbol"
    )
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    asked = parser.parse_args(arguments)
    try:
        listings = listings_of(asked.prices)
    except (UserError, OSError) as error:
        parser.error(str(error))
    with StandIn(listings, asked.port) as stand_in:
        print(f"{len(listings)} symbols of {asked.prices}; SCREENER_YAHOO_URL={stand_in.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
