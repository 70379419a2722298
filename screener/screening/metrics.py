"""What is known of each instrument on a date, as one table. Judging it is rules.py's business."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import UserError, unknown
from screener.market.panel import PricePanel
from screener.market.returns import weekly_returns

Floats = npt.NDArray[np.float64]
VOLATILITY_WEEKS, BETA_WEEKS, FEWEST_WEEKS = 52, 104, 26
ADV_SESSIONS, FEWEST_ADV_SESSIONS = 63, 20


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is called and shown; its unit decides the format."""

    label: str
    unit: str  # fraction, base currency, sessions, ratio
    description: str


METRICS = {
    "return_1w": Metric("1-week return", "fraction", "total return over 7 days"),
    "return_1m": Metric("1-month return", "fraction", "total return over one month"),
    "return_3m": Metric("3-month return", "fraction", "total return over three months"),
    "return_6m": Metric("6-month return", "fraction", "total return over six months"),
    "return_12m": Metric("12-month return", "fraction", "total return over twelve months"),
    "momentum_12_1": Metric(
        "12−1 momentum", "fraction", "total return from twelve months ago to one month ago"
    ),
    "volatility": Metric("volatility", "fraction", "annualised, from the last 52 weekly returns"),
    "max_drawdown": Metric("maximum drawdown", "fraction", "largest fall from a peak in twelve months"),
    "distance_from_high": Metric("distance from the 52-week high", "fraction", "price / high − 1"),
    "adv": Metric(
        "average daily value traded",
        "base currency",
        "mean over the sessions traded of the last 63",
    ),
    "history_days": Metric("history", "sessions", "sessions with a bar since listing"),
    "beta": Metric("beta", "ratio", "to the benchmark, from the last 104 weekly returns"),
}


def metric_named(name: str) -> Metric:
    """Return a metric by its name, or raise UserError with the nearest one."""
    if name not in METRICS:
        raise UserError(unknown("metric", name, list(METRICS)))
    return METRICS[name]


def compute_metrics(panel: PricePanel, benchmark: str | None) -> pd.DataFrame:
    """Return N × M: every metric of every symbol of the panel at its last session, NaN where unknown.

    Returns are total returns in base currency. A symbol without a current price has only its history.
    benchmark: a symbol of the panel that betas are taken against, or None (beta NaN). Volatility and beta
    are of weekly returns, because exchanges close at different hours; they need FEWEST_WEEKS of them.
    """
    symbols = panel.prices.columns
    if not len(panel.sessions):
        return pd.DataFrame(np.nan, index=symbols, columns=list(METRICS))
    prices = panel.prices.to_numpy()
    index, today = panel.sessions, panel.sessions[-1]
    now = prices[-1]

    def at(day: pd.Timestamp) -> Floats:
        row = int(index.searchsorted(day, side="right")) - 1
        return prices[row] if row >= 0 else np.full(len(symbols), np.nan)

    month_ago, year_ago = at(today - pd.DateOffset(months=1)), at(today - pd.DateOffset(months=12))
    last_year = prices[int(index.searchsorted(today - pd.DateOffset(months=12))) :]
    weekly = weekly_returns(panel.prices.iloc[-(BETA_WEEKS + 4) * 7 :], BETA_WEEKS)
    columns = {
        "return_1w": now / at(today - pd.Timedelta(days=7)) - 1,
        "return_1m": now / month_ago - 1,
        "return_3m": now / at(today - pd.DateOffset(months=3)) - 1,
        "return_6m": now / at(today - pd.DateOffset(months=6)) - 1,
        "return_12m": now / year_ago - 1,
        "momentum_12_1": month_ago / year_ago - 1,
        "volatility": _volatility(weekly.to_numpy()[-VOLATILITY_WEEKS:]),
        "max_drawdown": _maximum_drawdown(last_year),
        "distance_from_high": now / np.fmax.reduce(last_year, axis=0) - 1,
        "adv": _average_daily_value(panel.value_traded.to_numpy()[-ADV_SESSIONS:]),
        "history_days": panel.traded.to_numpy().sum(axis=0).astype(float),
        "beta": _beta(weekly, benchmark),
    }
    table = pd.DataFrame(columns, index=symbols)[list(METRICS)]
    without_price = ~np.isfinite(now)
    table.loc[without_price, table.columns != "history_days"] = np.nan
    return table


def _volatility(weekly: Floats) -> Floats:
    """Return the annualised sample deviation (ddof 1) of each column's known weekly returns."""
    known = np.isfinite(weekly)
    count = known.sum(axis=0)
    mean = np.where(known, weekly, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(known, weekly - mean, 0.0) ** 2).sum(axis=0)
    deviation: Floats = np.sqrt(squares / np.maximum(count - 1, 1) * 52)
    return np.where(count >= FEWEST_WEEKS, deviation, np.nan)


def _maximum_drawdown(prices: Floats) -> Floats:
    """Return each column's largest fall from a running peak, a fraction in [0, 1]; missing rows are passed over."""
    peak = np.fmax.accumulate(prices, axis=0)
    return np.asarray(np.fmax.reduce(1.0 - prices / peak, axis=0))


def _average_daily_value(value_traded: Floats) -> Floats:
    known = np.isfinite(value_traded)
    count = known.sum(axis=0)
    total = np.where(known, value_traded, 0.0).sum(axis=0)
    return np.where(count >= FEWEST_ADV_SESSIONS, total / np.maximum(count, 1), np.nan)


def _beta(weekly: pd.DataFrame, benchmark: str | None) -> Floats:
    """Return the slope of each column on the benchmark's, over the weeks both have."""
    if benchmark is None:
        return np.full(weekly.shape[1], np.nan)
    values = weekly.to_numpy()
    market = weekly[benchmark].to_numpy()[:, None]
    both = np.isfinite(values) & np.isfinite(market)
    count = both.sum(axis=0)
    y, x = np.where(both, values, 0.0), np.where(both, market, 0.0)
    n = np.maximum(count, 1)
    covariance = (x * y).sum(axis=0) - x.sum(axis=0) * y.sum(axis=0) / n
    variance = (x * x).sum(axis=0) - x.sum(axis=0) ** 2 / n
    slope = np.divide(covariance, variance, out=np.full(len(n), np.nan), where=variance > 0)
    return np.where(count >= FEWEST_WEEKS, slope, np.nan)
