"""What every source that reads somebody else's rows does to them before they become Bars."""

from __future__ import annotations

import numpy as np
import pandas as pd


def carry_events(table: pd.DataFrame) -> pd.DataFrame:
    """Move dividends and splits from rows without a close to the next row that has one.

    table: T × at least close, dividend and split, sorted; no NaN in dividend and split. Vendors leave the
    prices of an ex-date empty at times; dropping that row would drop the payout with it. Dividends add up,
    splits multiply. An event after the last close waits for the next download: its row is left as it is.
    """
    priced = np.flatnonzero(table["close"].notna())
    empty = np.flatnonzero(table["close"].isna() & ((table["dividend"] != 0) | (table["split"] != 1)))
    target = np.searchsorted(priced, empty)
    empty, target = empty[target < len(priced)], target[target < len(priced)]
    if not len(empty):
        return table
    dividend, split = table["dividend"].to_numpy().copy(), table["split"].to_numpy().copy()
    np.add.at(dividend, priced[target], dividend[empty])
    np.multiply.at(split, priced[target], split[empty])
    dividend[empty], split[empty] = 0.0, 1.0
    return table.assign(dividend=dividend, split=split)


def in_order(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return rows in order of session with each session once, and a sentence for each thing that was wrong.

    table: T × any columns, indexed by session. Of rows for one session the one with most values counts, of equals
    the last: vendors append the corrected or the live one.
    """
    told = []
    index = table.index
    if not index.is_monotonic_increasing:
        back = int((index[1:] < index[:-1]).sum())
        told.append(f"rows out of order: {back} stand after a later session")
    twice = index[index.duplicated()].unique()
    if len(twice):
        some = ", ".join(str(each.date()) for each in twice[:3]) + (" …" if len(twice) > 3 else "")
        told.append(f"{len(twice)} sessions stand more than once: {some}")
    if not told:
        return table, ()
    filled = table.notna().sum(axis=1).to_numpy()
    order = np.lexsort((np.arange(len(table)), filled, index.to_numpy()))
    ordered = table.iloc[order]
    return ordered[~ordered.index.duplicated(keep="last")], tuple(told)
