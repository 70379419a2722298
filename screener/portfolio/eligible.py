"""Who of a theme's members can be weighted on a date, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.panel import PricePanel
from screener.screening.measures import average_daily_value
from screener.screening.metrics import ADV_SESSIONS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EligibilitySettings:
    """What a member needs to be weighted."""

    min_history_weeks: int
    min_adv: float  # base currency; 0: no floor


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """How N names with prices stand at the end of a date.

    returns: T × N weekly, NaN where there is none. prices: N, of the last session. values: N average daily values
    in a currency, NaN where unknown; None where no floor asks for them.
    """

    day: date
    returns: Floats
    prices: Floats
    values: Floats | None
    currency: str


def average_values(panel: PricePanel, symbols: Sequence[str], end: int | None = None) -> Floats:
    """Return the N average daily values traded as screens define them, base currency; NaN where too little is known.

    end: the row before which the sessions end, None for the panel's end.
    """
    rows = panel.value_traded.to_numpy(dtype=float)[:end][-ADV_SESSIONS:]
    columns = panel.value_traded.columns.get_indexer(pd.Index(list(symbols), dtype="str"))
    return average_daily_value(rows.take(columns, axis=1))


def rejections(
    symbols: Sequence[str], position: Mapping[str, int], standing: Standing, settings: EligibilitySettings
) -> dict[str, str]:
    """Say why each member that cannot be held is left out, with its numbers. position: of those with prices."""
    values = standing.returns
    weeks = np.isfinite(values).sum(axis=0)
    still = (weeks == 0) | (
        np.fmax.reduce(values, axis=0, initial=np.nan) == np.fmin.reduce(values, axis=0, initial=np.nan)
    )
    priced = np.isfinite(standing.prices)
    rejected = {}
    for symbol in symbols:
        number = position.get(symbol)
        if number is None:
            rejected[symbol] = "no prices"
        elif not priced[number]:
            rejected[symbol] = f"no current price on {standing.day}"
        elif weeks[number] < settings.min_history_weeks:
            rejected[symbol] = f"{weeks[number]} weekly returns, fewer than {settings.min_history_weeks}"
        elif still[number]:
            rejected[symbol] = "its price does not move"
        elif standing.values is not None and (
            reason := _too_thin(float(standing.values[number]), settings.min_adv, standing.currency)
        ):
            rejected[symbol] = reason
    return rejected


def _too_thin(value: float, floor: float, currency: str) -> str:
    """Say how an average daily value falls short of a floor, "" when it does not or none is asked for."""
    if floor <= 0 or value >= floor:
        return ""
    if not np.isfinite(value):
        return "volume unknown, so its average daily value cannot be judged"
    return f"average daily value {value / 1e6:,.2f} M {currency} is below {floor / 1e6:,.2f} M"
