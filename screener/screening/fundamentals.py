"""Metrics of a company's accounts as a vendor states them today; of no past date, so never in a backtest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from screener.screening.metrics import Metric

FUNDAMENTALS = {
    "market_cap": Metric("market value", "base currency", "shares × price, as the vendor states it"),
    "ev_to_sales": Metric("enterprise value to sales", "ratio", "of the last twelve months"),
    "price_to_book": Metric("price to book", "ratio", "price / book value of a share"),
    "cash": Metric("cash", "base currency", "with short-term investments"),
    "debt": Metric("debt", "base currency", "total"),
    "free_cash_flow": Metric("free cash flow", "base currency", "of the last twelve months"),
    "cash_runway_months": Metric(
        "cash runway", "months", "cash / monthly free cash outflow; none for who earns cash"
    ),
}


def fundamental_metrics(stated: Mapping[str, Mapping[str, float]], symbols: pd.Index) -> pd.DataFrame:
    """Return N × F: the columns of FUNDAMENTALS, NaN where a vendor states nothing.

    stated: symbol → name → value, money in base currency already. The runway follows from cash and outflow.
    """
    table = pd.DataFrame(
        {name: [stated.get(str(each), {}).get(name, np.nan) for each in symbols] for name in FUNDAMENTALS},
        index=symbols,
        dtype=float,
    )
    outflow = -table["free_cash_flow"].where(table["free_cash_flow"] < 0)
    table["cash_runway_months"] = table["cash"] / (outflow / 12)
    return table
