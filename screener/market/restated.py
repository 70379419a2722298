"""Which stored bars say something else now than at an earlier moment. Nothing is fetched, nothing written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from screener.market.bars import COLUMNS
from screener.market.currency import pairs_needed
from screener.market.load import Market, open_store
from screener.market.store_files import is_export

SAME = 1e-9  # relative; what a source rounds is not stored as a new version


@dataclass(frozen=True, slots=True)
class Restated:
    """What changed of one symbol's stored bars between two moments, over the sessions up to a date.

    sessions: bars with another value, among them `withdrawn` ones, which are gone. added: bars within the history that
    were not there. largest: of the changes of a close, as a fraction of it, signed; NaN where none changed. fields:
    what changed. first, last: of all these sessions.
    """

    symbol: str
    sessions: int
    withdrawn: int
    added: int
    first: date
    last: date
    largest: float
    fields: tuple[str, ...]


def restated_since(
    market: Market, since: datetime, day: date, until: datetime | None = None
) -> tuple[Restated, ...]:
    """Return what changed, in a market's prices of sessions up to `day`, since a moment; in order of symbols.

    until: as stored then; default: as the market's request says, else all that is stored.
    """
    request = market.request
    if not is_export(request.store) and not request.store.exists():
        return ()
    everything = market.universe.everything().values()
    symbols = {each.symbol for each in everything} | {each.predecessor for each in everything}
    symbols |= set(pairs_needed((each.currency for each in everything), request.base))
    with open_store(request, read_only=True) as store:
        versions = store.changed(
            market.source_identity, sorted(symbols - {""}), day, (since, until or request.known_at)
        )
    versions = versions[versions["session"] >= pd.Timestamp(request.since)]
    return tuple(
        each
        for symbol, rows in versions.groupby("symbol")
        if (each := _summary(str(symbol), rows)) is not None
    )


def _summary(symbol: str, rows: pd.DataFrame) -> Restated | None:
    """Return the change of one symbol, None where every value is what it was."""
    then = rows[[f"then_{each}" for each in COLUMNS]].to_numpy(dtype=float)
    now = rows[list(COLUMNS)].to_numpy(dtype=float)
    was, held = np.isfinite(then[:, _CLOSE]), np.isfinite(now[:, _CLOSE])
    differs = ~np.isclose(then, now, rtol=SAME, atol=0.0, equal_nan=True)
    changed, added = was & differs.any(axis=1), ~was & held & rows["inside"].to_numpy(dtype=bool)
    either = changed | added
    if not either.any():
        return None
    both = changed & held & differs[:, _CLOSE]
    moves = now[both, _CLOSE] / then[both, _CLOSE] - 1.0
    sessions = pd.DatetimeIndex(rows["session"])[either]
    return Restated(
        symbol=symbol,
        sessions=int(changed.sum()),
        withdrawn=int((changed & ~held).sum()),
        added=int(added.sum()),
        first=sessions.min().date(),
        last=sessions.max().date(),
        largest=float(moves[np.abs(moves).argmax()]) if len(moves) else float("nan"),
        fields=tuple(name for at, name in enumerate(COLUMNS) if differs[changed & held, at].any()),
    )


_CLOSE = COLUMNS.index("close")
