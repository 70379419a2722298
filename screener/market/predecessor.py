"""A company that was merely renamed keeps its history: the bars of its old symbol come before those of the new."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from screener.market.bars import Bars

AGREEMENT = 0.002  # median difference of daily returns; two symbols that differ by more are two securities
PRICES = ("open", "high", "low", "close", "dividend")


def with_predecessor(bars: Bars, earlier: Bars) -> Bars:
    """Return a renamed company's bars with those of its old symbol before them.

    A vendor that moved the history to the new symbol serves both alike, and the new symbol's rows count. Where
    both have rows and they move differently, the new symbol was another security's then (COHR before 2022), and
    the old symbol's rows count up to its last. Old rows are put on the new one's footing: they know nothing of
    the splits that came after them. Bars in another currency are never joined.
    """
    if not len(earlier.table) or earlier.currency != bars.currency:
        return bars
    own, old = bars.table, earlier.table
    shared = own.index.intersection(old.index)
    if not _move_alike(own["close"].loc[shared], old["close"].loc[shared]):
        own = own[own.index > old.index[-1]]
    if not len(own):
        return replace(bars, table=old)
    old = old[old.index < own.index[0]].copy()
    later_splits = own["split"].to_numpy()
    factor = float(np.prod(later_splits[later_splits > 0])) if len(own) else 1.0
    old[list(PRICES)] /= factor
    old["volume"] *= factor
    return replace(bars, table=pd.concat([old, own]))


def _move_alike(one: pd.Series, other: pd.Series) -> bool:
    """Say whether two closes on the same sessions are one security's, whatever splits are in either."""
    if len(one) < 2:
        return True
    apart = one.pct_change().iloc[1:] - other.pct_change().iloc[1:]
    return float(np.median(np.abs(apart.to_numpy()))) <= AGREEMENT
