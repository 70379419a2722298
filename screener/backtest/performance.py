"""Named statistics of a wealth series. Whether they are luck is validity.py's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Performance:
    """Statistics of one wealth series in base currency; fractions, annualised where a rate. NaN: not defined."""

    start: date
    end: date
    total_return: float
    cagr: float  # actual days / 365.25
    volatility: float
    sharpe_ratio: float
    sortino_ratio: float
    maximum_drawdown: float  # fraction in [0, 1]
    calmar_ratio: float
    cvar_95: float  # mean of the worst 5 % of daily returns, as a positive loss
    turnover_per_year: float  # one-way; NaN for a benchmark
    cost_drag: float  # CAGR before costs − CAGR after costs; NaN for a benchmark
    beta: float  # to the benchmark
    tracking_error: float
    information_ratio: float
