"""Walk a schedule of rebalances through a panel: decided at one close, traded at the next of each name."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from screener.portfolio.build import Rebalance


@dataclass(frozen=True, eq=False, slots=True)
class Backtest:
    """What a schedule of rebalances would have done, in base currency, starting from wealth 1.

    wealth: T, from the first decision on, after costs. gross: T, the same trades before costs.
    weights_held: T × N, fractions of wealth at each close. cash: T, fraction of wealth.
    trades: one row a fill: session, symbol, shares, price, value, cost, decided_on.
    turnover: one row a rebalance, indexed by decided_on: Σ |value traded| / wealth / 2 (one-way).
    """

    theme: str
    schedule: tuple[Rebalance, ...]
    wealth: pd.Series
    gross: pd.Series
    weights_held: pd.DataFrame
    cash: pd.Series
    trades: pd.DataFrame
    turnover: pd.Series
    cost_bps: float
