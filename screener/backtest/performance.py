"""Named statistics of a wealth series. Whether they are luck is validity.py's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
FEWEST_WEEKS = 26  # for figures relative to a benchmark


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


def summarise(
    wealth: pd.Series,
    *,
    benchmark: pd.Series | None = None,
    gross: pd.Series | None = None,
    turnover: pd.Series | None = None,
    risk_free_rate: float = 0.0,
) -> Performance:
    """Return the statistics of a wealth series; what lacks its input is NaN.

    wealth: T ≥ 2, ≥ 0, no NaN, indexed by sessions; once it is 0 its returns are 0. benchmark, gross: on the
    same sessions. turnover: one-way, a row a rebalance. risk_free_rate: annual fraction. The united calendar has
    more rows than an exchange has sessions, so rates are annualised by the rows there really are in a year.
    Figures relative to the benchmark are of weekly returns, because the two close at different hours.
    Raises ValueError if T < 2.
    """
    if len(wealth) < 2:
        raise ValueError("a performance needs at least two sessions")
    years = _years(wealth)
    returns = simple_returns(wealth)
    per_year = len(returns) / years
    excess = returns - risk_free_rate / per_year
    volatility = float(returns.std(ddof=1) * np.sqrt(per_year)) if len(returns) > 1 else float("nan")
    downside = float(np.sqrt((np.minimum(excess, 0.0) ** 2).mean() * per_year))
    growth, fall = cagr(wealth), maximum_drawdown(wealth)
    beta, tracking_error, information_ratio = _relative(wealth, benchmark)
    return Performance(
        start=pd.Timestamp(wealth.index[0]).date(),
        end=pd.Timestamp(wealth.index[-1]).date(),
        total_return=float(wealth.iloc[-1] / wealth.iloc[0] - 1.0),
        cagr=growth,
        volatility=volatility,
        sharpe_ratio=_ratio(float(excess.mean()) * per_year, volatility),
        sortino_ratio=_ratio(float(excess.mean()) * per_year, downside),
        maximum_drawdown=fall,
        calmar_ratio=_ratio(growth, fall),
        cvar_95=conditional_value_at_risk(returns, 0.05),
        turnover_per_year=float("nan") if turnover is None else float(turnover.sum()) / years,
        cost_drag=float("nan") if gross is None else cagr(gross) - growth,
        beta=beta,
        tracking_error=tracking_error,
        information_ratio=information_ratio,
    )


def simple_returns(wealth: pd.Series) -> Floats:
    """Return the T − 1 simple returns; where nothing was left to lose, 0."""
    levels = wealth.to_numpy(dtype=float)
    growth = np.divide(levels[1:], levels[:-1], out=np.ones(len(levels) - 1), where=levels[:-1] > 0)
    return np.asarray(growth - 1.0)


def cagr(wealth: pd.Series) -> float:
    """Return the compound annual growth rate over actual days / 365.25."""
    return float((wealth.iloc[-1] / wealth.iloc[0]) ** (1.0 / _years(wealth)) - 1.0)


def drawdowns(wealth: pd.Series) -> pd.Series:
    """Return T falls from the running peak, fractions in [−1, 0]."""
    return wealth / wealth.cummax() - 1.0


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall from a peak until wealth is back there. Lengths in calendar days.

    recovery: None while it lasts; `days` then runs to the end of the record.
    """

    peak: date
    trough: date
    recovery: date | None
    depth: float  # fraction in (0, 1]
    days_down: int  # peak to trough
    days: int  # peak to recovery


def drawdown_table(wealth: pd.Series, most: int = 10) -> tuple[Drawdown, ...]:
    """Return the deepest drawdowns, deepest first, each from its last peak to the first session back at it.

    wealth: T, > 0, no NaN, indexed by sessions.
    """
    levels, dates = wealth.to_numpy(dtype=float), pd.DatetimeIndex(wealth.index)
    at_peak = np.flatnonzero(levels >= np.maximum.accumulate(levels)).tolist()
    ends = [*at_peak[1:], len(levels)]
    found = []
    for peak, end in zip(at_peak, ends, strict=True):
        if end == peak + 1:
            continue  # the next session stands at a peak too
        trough = peak + 1 + int(levels[peak + 1 : end].argmin())
        last = min(end, len(levels) - 1)
        found.append(
            Drawdown(
                peak=dates[peak].date(),
                trough=dates[trough].date(),
                recovery=dates[end].date() if end < len(levels) else None,
                depth=float(1.0 - levels[trough] / levels[peak]),
                days_down=(dates[trough] - dates[peak]).days,
                days=(dates[last] - dates[peak]).days,
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.depth, each.peak))[:most])


def monthly_returns(wealth: pd.Series) -> pd.DataFrame:
    """Return years × 12 simple returns of calendar months, NaN where the record has none.

    wealth: T, > 0, no NaN, indexed by sessions. The first month starts with the first session, so it and the last
    may be parts of months.
    """
    returns = _period_returns(wealth, "M")
    months = pd.PeriodIndex(returns.index)
    table = pd.DataFrame({"year": months.year, "month": months.month, "value": returns.to_numpy()})
    return table.pivot(index="year", columns="month", values="value").reindex(columns=range(1, 13))


def yearly_returns(wealth: pd.Series) -> pd.Series:
    """Return the simple return of each calendar year, by year; the first and the last may be parts of years."""
    returns = _period_returns(wealth, "Y")
    return pd.Series(returns.to_numpy(), index=pd.PeriodIndex(returns.index).year, name="return")


def _period_returns(wealth: pd.Series, frequency: str) -> pd.Series:
    periods = pd.DatetimeIndex(wealth.index).to_period(frequency)
    ends = wealth.groupby(periods).last()
    starts = ends.shift(1).fillna(wealth.iloc[0])
    # a first period of one session has nothing to return
    kept = slice(1, None) if len(periods) > 1 and periods[0] != periods[1] else slice(None)
    return (ends / starts - 1.0).iloc[kept]


def rolling_statistics(wealth: pd.Series, window: int) -> pd.DataFrame:
    """Return CAGR, volatility, Sharpe ratio and maximum drawdown of every `window` successive returns, by last session.

    wealth: T > window, > 0, no NaN. Annualised as `summarise` does, by the days and rows there are in each window.
    Raises ValueError for a window of fewer than two returns or longer than the record.
    """
    returns = simple_returns(wealth)
    if not 2 <= window <= len(returns):
        raise ValueError(f"a window has 2 to {len(returns)} returns, not {window}")
    dates, levels = pd.DatetimeIndex(wealth.index), wealth.to_numpy(dtype=float)
    years = (dates[window:] - dates[:-window]).days.to_numpy() / 365.25
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    deviation, per_year = views.std(axis=1, ddof=1), window / years
    spans = np.lib.stride_tricks.sliding_window_view(levels, window + 1)
    falls = (spans / np.maximum.accumulate(spans, axis=1)).min(axis=1)
    moving = deviation > 1e-15
    sharpe = np.where(moving, views.mean(axis=1) / np.where(moving, deviation, 1.0), np.nan)
    return pd.DataFrame(
        {
            "cagr": (levels[window:] / levels[:-window]) ** (1.0 / years) - 1.0,
            "volatility": deviation * np.sqrt(per_year),
            "sharpe_ratio": sharpe * np.sqrt(per_year),
            "maximum_drawdown": 1.0 - falls,
        },
        index=dates[window:],
    )


def maximum_drawdown(wealth: pd.Series) -> float:
    """Return the largest peak-to-trough loss, a fraction in [0, 1] (Magdon-Ismail & Atiya 2004)."""
    return float(abs(drawdowns(wealth).min()))


def conditional_value_at_risk(returns: Floats, tail: float) -> float:
    """Return the mean of the worst ⌈tail·T⌉ returns as a positive loss (Rockafellar & Uryasev 2000)."""
    worst = np.sort(returns)[: max(1, int(np.ceil(tail * len(returns) - 1e-9)))]
    return float(-worst.mean())


def weekly_wealth(wealth: pd.Series) -> pd.Series:
    """Return the last wealth on or before each seventh day, counted back from the end."""
    last, first = wealth.index[-1], wealth.index[0]
    anchors = pd.date_range(end=last, periods=(last - first).days // 7 + 1, freq="7D")
    rows = pd.DatetimeIndex(wealth.index).searchsorted(anchors, side="right") - 1
    return pd.Series(wealth.to_numpy()[rows], index=anchors)


def _years(wealth: pd.Series) -> float:
    return float((wealth.index[-1] - wealth.index[0]).days) / 365.25


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 1e-15 else float("nan")


def _relative(wealth: pd.Series, benchmark: pd.Series | None) -> tuple[float, float, float]:
    """Return beta, tracking error and information ratio of weekly returns against the benchmark."""
    if benchmark is None:
        return float("nan"), float("nan"), float("nan")
    own, other = simple_returns(weekly_wealth(wealth)), simple_returns(weekly_wealth(benchmark))
    if len(own) < FEWEST_WEEKS:
        return float("nan"), float("nan"), float("nan")
    active = own - other
    tracking_error = float(active.std(ddof=1) * np.sqrt(52))
    beta = _ratio(float(np.cov(own, other)[0, 1]), float(other.var(ddof=1)))
    return beta, tracking_error, _ratio(float(active.mean() * 52), tracking_error)
