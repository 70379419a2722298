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
