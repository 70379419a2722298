"""Statistics of many columns at once, each over what that column knows; NaN is never taken for 0.

T × N → N throughout. Nothing here knows dates or symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FEWEST_WEEKS = 26
FEWEST_DAYS = 60
FEWEST_ADV_SESSIONS = 20


@dataclass(frozen=True, eq=False, slots=True)
class Regression:
    """Ordinary least squares of each column on its regressor, N each: slope, correlation, residual deviation."""

    slope: Floats
    correlation: Floats
    residual: Floats  # per period, ddof 2


def volatility(returns: Floats, per_year: float, fewest: int = FEWEST_WEEKS) -> Floats:
    """Return the annualised sample deviation (ddof 1); NaN with fewer than `fewest` returns."""
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    mean = np.where(known, returns, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(known, returns - mean, 0.0) ** 2).sum(axis=0)
    deviation: Floats = np.sqrt(squares / np.maximum(count - 1, 1) * per_year)
    return np.where(count >= fewest, deviation, np.nan)


def downside_deviation(returns: Floats, per_year: float) -> Floats:
    """Return the annualised root mean square of returns below 0, over all returns (Sortino & van der Meer 1991)."""
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    squares = np.where(known, np.minimum(returns, 0.0), 0.0) ** 2
    deviation: Floats = np.sqrt(squares.sum(axis=0) / np.maximum(count, 1) * per_year)
    return np.where(count >= FEWEST_WEEKS, deviation, np.nan)


def maximum_drawdown(prices: Floats) -> Floats:
    """Return the largest fall from a running peak, a fraction in [0, 1]; missing rows are passed over."""
    peak = np.fmax.accumulate(prices, axis=0)
    return np.asarray(np.fmax.reduce(1.0 - prices / peak, axis=0))


def average_daily_value(value_traded: Floats) -> Floats:
    """Return the mean over the rows that are known; NaN with fewer than FEWEST_ADV_SESSIONS."""
    known = np.isfinite(value_traded)
    count = known.sum(axis=0)
    total = np.where(known, value_traded, 0.0).sum(axis=0)
    return np.where(count >= FEWEST_ADV_SESSIONS, total / np.maximum(count, 1), np.nan)


def amihud(prices: Floats, value_traded: Floats) -> Floats:
    """Return the mean of |return| per million of value traded (Amihud 2002, eq. 1).

    prices: (T + 1) × N or T × N, ending with the rows of value_traded (T × N). Rows without value are left out.
    """
    moves = np.abs(prices[1:] / prices[:-1] - 1)
    value = value_traded[len(value_traded) - len(moves) :]
    usable = np.isfinite(moves) & np.isfinite(value) & (value > 0)
    count = usable.sum(axis=0)
    ratios = np.divide(moves, value, out=np.zeros_like(moves), where=usable)
    return np.where(count >= FEWEST_ADV_SESSIONS, ratios.sum(axis=0) / np.maximum(count, 1) * 1e6, np.nan)


def repeated(closes: Floats, traded: npt.NDArray[np.bool_]) -> Floats:
    """Return on how many traded rows the close is that of the row before; NaN with too few traded rows."""
    same = traded[1:] & (closes[1:] == closes[:-1])
    return np.where(traded.sum(axis=0) >= FEWEST_ADV_SESSIONS, same.sum(axis=0).astype(float), np.nan)


def mean_of_others(returns: Floats, groups: Sequence[str]) -> Floats:
    """Return T × N, for each column the mean of the other columns of its group; "" is no group.

    Left out of its own mean, a name of a small group does not correlate with itself.
    """
    known = np.isfinite(returns)
    values = np.where(known, returns, 0.0)
    means = np.full(returns.shape, np.nan)
    labels = np.array(groups, dtype=object)
    for label in sorted(set(groups) - {""}):
        inside = np.flatnonzero(labels == label)
        others = known[:, inside].sum(axis=1, keepdims=True) - known[:, inside]
        total = values[:, inside].sum(axis=1, keepdims=True) - values[:, inside]
        means[:, inside] = np.divide(total, others, out=np.full(total.shape, np.nan), where=others > 0)
    return means


def regression(y: Floats, x: Floats) -> Regression:
    """Regress each column of y on the same column of x over the rows both have; NaN with too few of them."""
    both = np.isfinite(y) & np.isfinite(x)
    count = both.sum(axis=0)
    n = np.maximum(count, 1)
    dy = np.where(both, y - np.where(both, y, 0.0).sum(axis=0) / n, 0.0)
    dx = np.where(both, x - np.where(both, x, 0.0).sum(axis=0) / n, 0.0)
    xx, xy, yy = (dx * dx).sum(axis=0), (dx * dy).sum(axis=0), (dy * dy).sum(axis=0)
    enough = (count >= FEWEST_WEEKS) & (xx > 0)
    unknown = np.full(len(n), np.nan)
    slope = np.divide(xy, xx, out=unknown.copy(), where=enough)
    correlation = np.divide(xy, np.sqrt(xx * yy), out=unknown.copy(), where=enough & (yy > 0))
    left = np.maximum(yy - slope * xy, 0.0) / np.maximum(count - 2, 1)
    return Regression(slope, correlation, np.sqrt(left))
