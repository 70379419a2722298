"""Returns of prices on a common grid, so that exchanges that close at different hours can be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd


def weekly_returns(prices: pd.DataFrame, weeks: int) -> pd.DataFrame:
    """Return simple returns over the last `weeks` spans of seven days ending with the last row.

    prices: T × N, NaN where there is none. Each anchor takes the last row on or before it, which lines up
    exchanges that close at different hours. A return with a missing end is NaN. Fewer weeks come back when
    the prices do not reach far enough.
    """
    index = pd.DatetimeIndex(prices.index)
    anchors = index[-1] - pd.to_timedelta(7 * np.arange(weeks, -1, -1), unit="D")
    rows = index.searchsorted(anchors, side="right") - 1
    held = rows >= 0
    levels = prices.to_numpy()[rows[held]]
    return pd.DataFrame(levels[1:] / levels[:-1] - 1.0, index=anchors[held][1:], columns=prices.columns)
