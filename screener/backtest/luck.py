"""How much of a record hangs on its start, its day of rebalance, a part of the time, one name, a month or ten days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.performance import cagr, maximum_drawdown, simple_returns, summarise

Floats = npt.NDArray[np.float64]
SHORTEST_DAYS = 365  # of a record that is compared with others
BEST_DAYS = 10
FEWEST_PERIODS = 20  # returns of a sub-period


@dataclass(frozen=True, slots=True)
class Spread:
    """Annual figures of one strategy run in many ways that should not matter. best, worst: the ways, by CAGR."""

    runs: int
    cagr_low: float
    cagr_median: float
    cagr_high: float
    sharpe_low: float
    sharpe_median: float
    sharpe_high: float
    worst: str
    best: str


@dataclass(frozen=True, slots=True)
class SubPeriod:
    """A part of a record; fractions, annualised where a rate."""

    label: str
    start: date
    end: date
    total_return: float
    cagr: float
    sharpe_ratio: float
    maximum_drawdown: float


@dataclass(frozen=True, slots=True)
class Dependence:
    """The CAGR of a record, and what is left of it without its best parts.

    best_name: the name whose share, had it lain in cash, would have cost most; "" without holdings.
    """

    cagr: float
    best_name: str
    without_best_name: float  # NaN without holdings
    best_month: str  # 2024-03
    without_best_month: float
    without_best_days: float
    days: int  # that were taken out


def spread(wealths: Mapping[str, pd.Series]) -> Spread | None:
    """Return how far runs of one strategy lie apart, such as one for each day of rebalance; None without two.

    wealths: label → T, > 0, no NaN, indexed by sessions. Runs of less than SHORTEST_DAYS are left out.
    """
    long_enough = {
        label: each
        for label, each in wealths.items()
        if (each.index[-1] - each.index[0]).days >= SHORTEST_DAYS
    }
    if len(long_enough) < 2:
        return None
    labels = list(long_enough)
    growth = np.array([cagr(each) for each in long_enough.values()])
    ratios = np.array([summarise(each).sharpe_ratio for each in long_enough.values()])
    return Spread(
        runs=len(labels),
        cagr_low=float(growth.min()),
        cagr_median=float(np.median(growth)),
        cagr_high=float(growth.max()),
        sharpe_low=float(ratios.min()),
        sharpe_median=float(np.median(ratios)),
        sharpe_high=float(ratios.max()),
        worst=labels[int(growth.argmin())],
        best=labels[int(growth.argmax())],
    )


def start_luck(wealth: pd.Series) -> Spread | None:
    """Return how far the record lies apart by the month it is begun in, all to the same end; None without two starts.

    wealth: T, > 0, no NaN, indexed by sessions. The weights of a date do not depend on the start, so a later start is
    the record from there on. A start is the first session of a month with SHORTEST_DAYS left.
    """
    months = pd.DatetimeIndex(wealth.index).to_period("M")
    firsts = np.flatnonzero(np.append(True, months[1:] != months[:-1]))
    return spread(
        {str(months[int(row)]): wealth.iloc[row:] for row in firsts if len(wealth) - row > FEWEST_PERIODS}
    )


def sub_periods(wealth: pd.Series) -> tuple[SubPeriod, ...]:
    """Return the record's two halves, then its calendar years, those with FEWEST_PERIODS returns or more.

    wealth: T, > 0, no NaN, indexed by sessions.
    """
    dates = pd.DatetimeIndex(wealth.index)
    middle = int(dates.searchsorted(dates[0] + (dates[-1] - dates[0]) / 2))
    parts = [("first half", 0, middle), ("second half", middle, len(dates) - 1)]
    years = dates.year
    for year in np.unique(years):
        rows = np.flatnonzero(years == year)
        parts.append((str(year), max(int(rows[0]) - 1, 0), int(rows[-1])))
    return tuple(
        _sub_period(label, wealth.iloc[first : last + 1])
        for label, first, last in parts
        if last - first >= FEWEST_PERIODS
    )


def dependence(
    wealth: pd.Series, weights: pd.DataFrame | None = None, prices: pd.DataFrame | None = None
) -> Dependence:
    """Return what is left of a record's CAGR without its best name, month and BEST_DAYS days.

    wealth: T, > 0, no NaN, indexed by sessions. weights: T × N, fractions of wealth at each close. prices: total-return
    prices with at least these rows and columns. A month or a day taken out earns nothing; time goes on. A name taken
    out has its share lie in cash, so what others earned is unchanged.
    """
    returns = simple_returns(wealth)
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    months = pd.DatetimeIndex(wealth.index[1:]).to_period("M")
    logs = np.log1p(np.maximum(returns, -1.0 + 1e-12))
    monthly = pd.Series(logs, index=months).groupby(level=0).sum()
    best = int(monthly.to_numpy().argmax())
    days = min(BEST_DAYS, len(logs))
    kept = np.sort(logs)[: len(logs) - days]
    name, without = (
        _best_name(wealth, weights, prices) if weights is not None and prices is not None else ("", np.nan)
    )
    return Dependence(
        cagr=cagr(wealth),
        best_name=name,
        without_best_name=without,
        best_month=str(monthly.index[best]),
        without_best_month=float(np.expm1((logs.sum() - monthly.iloc[best]) / years)),
        without_best_days=float(np.expm1(kept.sum() / years)),
        days=days,
    )


def without_each_name(wealth: pd.Series, weights: pd.DataFrame, prices: pd.DataFrame) -> pd.Series:
    """Return the CAGR had each name's share lain in cash, N; arguments as of `dependence`."""
    returns = simple_returns(wealth)
    held = weights.reindex(wealth.index).to_numpy(dtype=float)[:-1]
    # a holding keeps its last price while nothing is known
    known = prices[list(weights.columns)].ffill().reindex(wealth.index)
    moves = known.pct_change(fill_method=None).to_numpy(dtype=float)[1:]
    rest = returns[:, None] - np.where(held > 0, held * np.nan_to_num(moves), 0.0)
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    with np.errstate(divide="ignore"):
        growth = np.expm1(np.log1p(np.maximum(rest, -1.0)).sum(axis=0) / years)
    return pd.Series(growth, index=weights.columns, name="cagr")


def _best_name(wealth: pd.Series, weights: pd.DataFrame, prices: pd.DataFrame) -> tuple[str, float]:
    if not len(weights.columns):
        return "", float("nan")
    growth = without_each_name(wealth, weights, prices)
    return str(growth.idxmin()), float(growth.min())


def _sub_period(label: str, wealth: pd.Series) -> SubPeriod:
    found = summarise(wealth)
    return SubPeriod(
        label,
        found.start,
        found.end,
        found.total_return,
        found.cagr,
        found.sharpe_ratio,
        maximum_drawdown(wealth),
    )
