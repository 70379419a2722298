"""Synthetic bars that many tests of the market layer start from."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from screener.market.bars import Bars, bars_table
from screener.market.sessions import sessions_between

NOW = datetime(2026, 7, 11, tzinfo=UTC)
SESSIONS = sessions_between("XNYS", date(2024, 1, 2), date(2026, 7, 10))
PRICES = ["open", "high", "low", "close"]


def steady(seed: int = 0, rows: int = len(SESSIONS)) -> pd.DataFrame:
    """Return T × open, high, low, close, volume of a name with a daily volatility of about 1.5 %."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.standard_t(5, rows) * 0.012))
    opened = close * np.exp(rng.normal(0, 0.005, rows))
    high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, rows))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, rows))
    columns = {
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": rng.lognormal(13, 0.4, rows),
    }
    return pd.DataFrame(columns, index=SESSIONS[:rows])


def bars(table: pd.DataFrame, currency: str = "USD", adjusted: pd.Series | None = None) -> Bars:
    return Bars("AAA", bars_table(table), currency, "test", NOW, adjusted=adjusted)
