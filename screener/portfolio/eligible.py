"""Who of a theme's members can be weighted on a date, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.panel import PricePanel
from screener.screening.measures import average_daily_value
from screener.screening.metrics import ADV_SESSIONS


@dataclass(frozen=True, slots=True)
class EligibilitySettings:
    """What a member needs to be weighted."""

    min_history_weeks: int
    min_adv: float  # base currency; 0: no floor


def average_values(panel: PricePanel, symbols: list[str], end: int | None = None) -> npt.NDArray[np.float64]:
    """Return the N average daily values traded as screens define them, base currency; NaN where too little is known.

    end: the row before which the sessions end, None for the panel's end.
    """
    rows = panel.value_traded[symbols].iloc[:end].iloc[-ADV_SESSIONS:]
    return average_daily_value(np.ascontiguousarray(rows.to_numpy(dtype=float)))


def rejections(
    symbols: list[str], panel: PricePanel, returns: pd.DataFrame, settings: EligibilitySettings
) -> dict[str, str]:
    """Say why each member that cannot be held is left out, with its numbers."""
    values = returns.to_numpy()
    known = np.isfinite(values)
    weeks = known.sum(axis=0)
    highest = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    lowest = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    priced = np.isfinite(panel.prices[returns.columns].iloc[-1].to_numpy())
    value = average_values(panel, list(returns.columns))
    position = {symbol: number for number, symbol in enumerate(returns.columns)}
    rejected = {}
    for symbol in symbols:
        number = position.get(symbol)
        if number is None:
            rejected[symbol] = "no prices"
        elif not priced[number]:
            rejected[symbol] = f"no current price on {panel.sessions[-1].date()}"
        elif weeks[number] < settings.min_history_weeks:
            rejected[symbol] = f"{weeks[number]} weekly returns, fewer than {settings.min_history_weeks}"
        elif highest[number] == lowest[number]:
            rejected[symbol] = "its price does not move"
        elif reason := _too_thin(float(value[number]), settings.min_adv, panel.base_currency):
            rejected[symbol] = reason
    return rejected


def _too_thin(value: float, floor: float, currency: str) -> str:
    """Say how an average daily value falls short of a floor, "" when it does not or none is asked for."""
    if floor <= 0 or value >= floor:
        return ""
    if not np.isfinite(value):
        return "volume unknown, so its average daily value cannot be judged"
    return f"average daily value {value / 1e6:,.2f} M {currency} is below {floor / 1e6:,.2f} M"
