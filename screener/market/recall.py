"""What a run read of the store, written down so that a later one can read the same, or say what differs.

A symbol is written down as a fingerprint of its bars, in all and by year. Vendors' adjusted closes are kept only in
their newest version, so what the checks found by them is written down as it was found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from screener.errors import ScreenerError
from screener.market.bars import COLUMNS, Bars
from screener.market.load import Request, Stored, joined, open_store, price_requests
from screener.market.quality import Finding, find_for
from screener.market.store import Store
from screener.market.store_rows import edges_of
from screener.universe.model import Universe

DIGITS = 16  # hex digits of a fingerprint; 8 of a year's
MOST_VERSIONS = 60  # of a symbol that are looked through, five years of monthly ones
Prints = Mapping[str, Mapping[str, Any]]  # symbol → fingerprint


@dataclass(frozen=True, slots=True)
class ChangedBar:
    """A bar that the store has in another version since: column → (old, new); None where there was or is no bar."""

    symbol: str
    session: date
    stored_at: datetime  # UTC
    values: Mapping[str, tuple[float | None, float | None]]

    def __str__(self) -> str:
        if all(old is None for old, _ in self.values.values()):
            said = f"came late, close {_shown(self.values['close'][1])}"
        elif "close" in self.values and self.values["close"][1] is None:
            said = f"withdrawn, close was {_shown(self.values['close'][0])}"
        else:
            said = ", ".join(
                f"{name} {_shown(old)} → {_shown(new)}" for name, (old, new) in self.values.items()
            )
        return f"{self.symbol} {self.session}: {said} (stored {self.stored_at:%Y-%m-%d})"


@dataclass(frozen=True, eq=False, slots=True)
class Recalled:
    """What the store held, and the bars of which it has had another version since, which are not in it."""

    stored: Stored
    restated: tuple[ChangedBar, ...]


def fingerprint_of(bars: Bars) -> dict[str, Any]:
    """Return currency, rows, first and last session, and SHA-256 of all values and of each year's."""
    index = pd.DatetimeIndex(bars.table.index)
    values = np.ascontiguousarray(bars.table.to_numpy(), dtype="<f8")
    days = index.to_numpy().astype("datetime64[s]").astype("<i8")
    years = index.year.to_numpy()
    edges = edges_of(years)
    parts = {
        int(years[first]): _hash(days[first:last].tobytes() + values[first:last].tobytes())
        for first, last in pairwise(edges)
    }
    return {
        "currency": bars.currency,
        "rows": len(index),
        "first": str(index[0].date()) if len(index) else "",
        "last": str(index[-1].date()) if len(index) else "",
        "sha256": _hash(f"{bars.currency} {sorted(parts.items())}".encode())[:DIGITS],
        "years": " ".join(f"{year}:{each[: DIGITS // 2]}" for year, each in parts.items()),
    }


def moment_known(request: Request, stored: Stored) -> datetime:
    """Return until when what was read had been stored: the run's clock, or later where a clock was set back."""
    if request.known_at is not None:
        return request.known_at
    moments = [each.fetched_at for each in stored.bars.values()]
    return max([request.now, *moments, *(each.given_at for each in stored.verdicts)])


def vendor_findings(universe: Universe, stored: Stored, as_of: date) -> dict[str, tuple[Finding, ...]]:
    """Return all findings of each symbol that the vendor's adjusted closes change anything about."""
    found, everything = {}, universe.everything()
    for symbol, each in joined(stored.bars, everything).items():
        if each.adjusted is None:
            continue
        told = tuple(find_for(each, everything.get(symbol), as_of))
        if told != tuple(find_for(replace(each, adjusted=None), everything.get(symbol), as_of)):
            found[symbol] = told
    return found


def findings_written(found: Mapping[str, Iterable[Finding]]) -> dict[str, list[dict[str, Any]]]:
    """Return findings as plain values."""
    return {
        symbol: [{**asdict(each), "session": str(each.session)} for each in all_of]
        for symbol, all_of in found.items()
    }


def findings_read(written: Mapping[str, list[dict[str, Any]]]) -> dict[str, tuple[Finding, ...]]:
    """Return findings from what `findings_written` made of them."""
    return {
        symbol: tuple(Finding(**{**each, "session": date.fromisoformat(each["session"])}) for each in all_of)
        for symbol, all_of in written.items()
    }


def recall(request: Request, universe: Universe, identity: str, prints: Prints) -> Recalled:
    """Return what the store held at request.known_at, without opening any source; no adjusted closes.

    A symbol that does not match its fingerprint then, as in a store that was built anew or that took in an export, is
    taken from the newest versions that match; where none do, as it was known then, or else the newest. Raises
    ScreenerError when there is nothing at all.
    """
    assert request.known_at is not None
    symbols = [each.symbol for each in price_requests(request, universe)]
    span, moments = (request.since, request.as_of), dict.fromkeys(symbols, request.known_at)
    with open_store(request, read_only=True) as store:
        bars = store.load(identity, symbols, *span, request.known_at)
        missed = [each for each in symbols if not _matches(bars.get(each), prints.get(each))]
        for symbol, stored_at in store.moments(identity, missed).items() if missed else ():
            for moment in stored_at[:MOST_VERSIONS]:
                found = store.load(identity, [symbol], *span, moment).get(symbol)
                if found is not None and _matches(found, prints.get(symbol)):
                    bars[symbol], moments[symbol] = found, moment
                    break
            else:
                newest = store.load(identity, [symbol], *span).get(symbol)
                if symbol not in bars and newest is not None:
                    bars[symbol], moments[symbol] = newest, stored_at[0]
        verdicts = store.verdicts(identity, request.known_at)
        since = _restated(store, identity, span, moments)
    if not bars:
        raise ScreenerError(
            f"{request.store} holds no prices of {identity}; name the store of that run with --store, or fill "
            "this one with `screener prices update`"
        )
    return Recalled(Stored(identity, dict(sorted(bars.items())), verdicts=verdicts), since)


def _restated(
    store: Store, identity: str, span: tuple[date, date], moments: Mapping[str, datetime]
) -> tuple[ChangedBar, ...]:
    """Return the bars that have had another version since each symbol's moment."""
    found = []
    for moment in sorted(set(moments.values())):
        symbols = [symbol for symbol, each in moments.items() if each == moment]
        table = store.changed(identity, symbols, span[1], (moment, None))
        for row in table[table["session"] >= pd.Timestamp(span[0])].to_dict("records"):
            pairs = {each: (_known(row[f"then_{each}"]), _known(row[each])) for each in COLUMNS}
            changed = {str(name): pair for name, pair in pairs.items() if pair[0] != pair[1]}
            if changed and (pairs["close"][0] is not None or row["inside"]):
                stored_at = pd.Timestamp(row["fetched_at"]).to_pydatetime().replace(tzinfo=UTC)
                session = pd.Timestamp(row["session"]).date()
                found.append(ChangedBar(str(row["symbol"]), session, stored_at, changed))
    return tuple(sorted(found, key=lambda each: (each.symbol, each.session, each.stored_at)))


def _matches(bars: Bars | None, told: Mapping[str, Any] | None) -> bool:
    if bars is None or told is None:
        return bars is None and told is None
    return bool(fingerprint_of(bars)["sha256"] == told.get("sha256"))


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _shown(value: float | None) -> str:
    return "—" if value is None else f"{value:.10g}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
