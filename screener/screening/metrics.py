"""What is known of each instrument on a date, as one table. Judging it is rules.py's business.

Add a metric by a line in METRICS and a column in one of the functions below compute_metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.panel import PricePanel
from screener.market.returns import weekly_returns
from screener.screening import measures

Floats = npt.NDArray[np.float64]
VOLATILITY_WEEKS, BETA_WEEKS = 52, 104
ADV_SESSIONS = 63


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is called and shown; its unit decides the format."""

    label: str
    unit: str  # fraction, base currency, sessions, days, months, ratio
    description: str


@dataclass(frozen=True, slots=True)
class Position:
    """The position whose trading is judged: capital in base currency, at most a share of each day's volume."""

    capital: float = 1e6
    participation: float = 0.10


METRICS = {
    "return_1w": Metric("1-week return", "fraction", "total return over 7 days"),
    "return_1m": Metric("1-month return", "fraction", "total return over one month"),
    "return_3m": Metric("3-month return", "fraction", "total return over three months"),
    "return_6m": Metric("6-month return", "fraction", "total return over six months"),
    "return_12m": Metric("12-month return", "fraction", "total return over twelve months"),
    "return_ytd": Metric("return this year", "fraction", "total return since the last year's end"),
    "return_3y": Metric("3-year return", "fraction", "total return over three years, not annualised"),
    "momentum_12_1": Metric(
        "12−1 momentum", "fraction", "total return from twelve months ago to one month ago"
    ),
    "momentum_6_1": Metric("6−1 momentum", "fraction", "total return from six months ago to one month ago"),
    "volatility": Metric("volatility", "fraction", "annualised, from the last 52 weekly returns"),
    "volatility_daily": Metric(
        "daily volatility", "fraction", "annualised, from one year of daily returns in base currency"
    ),
    "downside_deviation": Metric(
        "downside deviation", "fraction", "annualised, of the last 52 weekly returns below 0"
    ),
    "max_drawdown": Metric("maximum drawdown", "fraction", "largest fall from a peak in twelve months"),
    "max_drawdown_3y": Metric(
        "3-year maximum drawdown", "fraction", "largest fall from a peak in three years"
    ),
    "drawdown": Metric("drawdown", "fraction", "fall from the highest price of three years to today"),
    "distance_from_high": Metric("distance from the 52-week high", "fraction", "price / high − 1"),
    "distance_from_low": Metric("distance from the 52-week low", "fraction", "price / low − 1"),
    "beta": Metric("beta", "ratio", "to the benchmark, from the last 104 weekly returns"),
    "correlation": Metric("correlation", "ratio", "with the benchmark, of the last 104 weekly returns"),
    "idiosyncratic_volatility": Metric(
        "idiosyncratic volatility", "fraction", "annualised, of what the benchmark does not explain"
    ),
    "beta_peers": Metric("beta to peers", "ratio", "to the other names of the theme, else of the segment"),
    "correlation_peers": Metric(
        "correlation with peers", "ratio", "with the other names of the theme, else of the segment"
    ),
    "adv": Metric(
        "average daily value traded", "base currency", "mean over the sessions traded of the last 63"
    ),
    "days_to_trade": Metric("days to trade", "days", "for the stated capital at the stated participation"),
    "liquidity_class": Metric(
        "liquidity class", "ratio", "1: traded within a day, 2: a week, 3: a month (20 days), 4: longer"
    ),
    "amihud": Metric("Amihud illiquidity", "ratio", "mean of |daily return| per million traded, 63 sessions"),
    "zero_volume_days": Metric("days without volume", "sessions", "of the last 63, bars with volume 0"),
    "stale_days": Metric("unchanged closes", "sessions", "of the last 63, bars that repeat the last close"),
    "history_days": Metric("history", "sessions", "sessions with a bar since listing"),
}


def compute_metrics(
    panel: PricePanel,
    benchmark: str | None,
    peers: Mapping[str, str] | None = None,
    position: Position | None = None,
) -> pd.DataFrame:
    """Return N × M: every metric of every symbol of the panel at its last session, NaN where unknown.

    Returns are total returns in base currency. A symbol without a current price has only its history.
    benchmark: a symbol of the panel that betas are taken against, or None (NaN). peers: symbol → the group
    whose other names are its peers (none: NaN). Everything that compares names is of weekly returns, because
    exchanges close at different hours, and needs FEWEST_WEEKS of them.
    """
    symbols = panel.prices.columns
    if not len(panel.sessions):
        return pd.DataFrame(np.nan, index=symbols, columns=list(METRICS))
    window = panel.since(panel.sessions[-1] - pd.DateOffset(months=36, days=10))
    weekly = weekly_returns(window.prices.iloc[-(BETA_WEEKS + 4) * 7 :], BETA_WEEKS)
    columns = {
        **_returns(window),
        **_risk(window, weekly),
        **_against(weekly, benchmark, peers or {}),
        **_liquidity(window, position or Position()),
        "history_days": panel.traded.to_numpy().sum(axis=0).astype(float),
    }
    table = pd.DataFrame(columns, index=symbols)[list(METRICS)]
    without_price = ~np.isfinite(panel.prices.to_numpy()[-1])
    table.loc[without_price, table.columns != "history_days"] = np.nan
    return table


PERCENTILE, IN_SEGMENT = "_percentile", "_percentile_in_segment"  # endings of a metric's name


def with_percentiles(metrics: pd.DataFrame, segments: Mapping[str, str]) -> pd.DataFrame:
    """Return the metrics with each one's percentile among all names and among those of its segment beside it.

    metrics: N × M. segments: symbol → segment. The columns are called like the metric with PERCENTILE or
    IN_SEGMENT behind it.
    """
    inside = percentiles(metrics, segments).add_suffix(IN_SEGMENT)
    return pd.concat([metrics, percentiles(metrics).add_suffix(PERCENTILE), inside], axis=1)


def percentiles(metrics: pd.DataFrame, groups: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return each value's percentile among the names that have the metric, in (0, 1), NaN where it is unknown.

    metrics: N × M. groups: symbol → group within which it is ranked; without them, among all. Ties share.
    """
    if groups is None:
        ranks, counts = metrics.rank(), metrics.notna().sum()
        return (ranks - 0.5) / counts
    key = pd.Series([groups.get(str(each), "") for each in metrics.index], index=metrics.index)
    ranks = metrics.groupby(key).rank()
    return (ranks - 0.5) / metrics.notna().groupby(key).transform("sum")


def _rows(table: pd.DataFrame) -> Floats:
    """Return T × N row by row in memory, so that a sum over time adds in one order, to the last bit."""
    return np.ascontiguousarray(table.to_numpy(dtype=float))


def _returns(window: PricePanel) -> dict[str, Floats]:
    prices, index, today = _rows(window.prices), window.sessions, window.sessions[-1]
    now = prices[-1]

    def at(day: pd.Timestamp) -> Floats:
        row = int(index.searchsorted(day, side="right")) - 1
        return prices[row] if row >= 0 else np.full(prices.shape[1], np.nan)

    def months_ago(months: int) -> Floats:
        return at(today - pd.DateOffset(months=months))

    return {
        "return_1w": now / at(today - pd.Timedelta(days=7)) - 1,
        "return_1m": now / months_ago(1) - 1,
        "return_3m": now / months_ago(3) - 1,
        "return_6m": now / months_ago(6) - 1,
        "return_12m": now / months_ago(12) - 1,
        "return_ytd": now / at(pd.Timestamp(today.year - 1, 12, 31)) - 1,
        "return_3y": now / months_ago(36) - 1,
        "momentum_12_1": months_ago(1) / months_ago(12) - 1,
        "momentum_6_1": months_ago(1) / months_ago(6) - 1,
    }


def _risk(window: PricePanel, weekly: pd.DataFrame) -> dict[str, Floats]:
    today = window.sessions[-1]
    three_years = _rows(window.since(today - pd.DateOffset(months=36)).prices)
    year = window.since(today - pd.DateOffset(months=12))
    last_year = _rows(year.prices)
    # the united calendar has more rows in a year than any one exchange
    rows_per_year = 365.25 * (len(last_year) - 1) / max((today - year.sessions[0]).days, 1)
    year_of_weeks = _rows(weekly)[-VOLATILITY_WEEKS:]
    return {
        "volatility": measures.volatility(year_of_weeks, 52),
        "volatility_daily": measures.volatility(
            last_year[1:] / last_year[:-1] - 1, rows_per_year, measures.FEWEST_DAYS
        ),
        "downside_deviation": measures.downside_deviation(year_of_weeks, 52),
        "max_drawdown": measures.maximum_drawdown(last_year),
        "max_drawdown_3y": measures.maximum_drawdown(three_years),
        "drawdown": 1 - three_years[-1] / np.fmax.reduce(three_years, axis=0),
        "distance_from_high": last_year[-1] / np.fmax.reduce(last_year, axis=0) - 1,
        "distance_from_low": last_year[-1] / np.fmin.reduce(last_year, axis=0) - 1,
    }


def _against(weekly: pd.DataFrame, benchmark: str | None, peers: Mapping[str, str]) -> dict[str, Floats]:
    values = _rows(weekly)
    market = np.full(values.shape, np.nan)
    if benchmark is not None:
        market[:] = weekly[benchmark].to_numpy()[:, None]
    others = measures.mean_of_others(values, [peers.get(str(each), "") for each in weekly.columns])
    to_market, to_peers = measures.regression(values, market), measures.regression(values, others)
    return {
        "beta": to_market.slope,
        "correlation": to_market.correlation,
        "idiosyncratic_volatility": to_market.residual * np.sqrt(52),
        "beta_peers": to_peers.slope,
        "correlation_peers": to_peers.correlation,
    }


def _liquidity(window: PricePanel, position: Position) -> dict[str, Floats]:
    value = _rows(window.value_traded)[-ADV_SESSIONS:]
    prices = _rows(window.prices)[-ADV_SESSIONS - 1 :]
    adv = measures.average_daily_value(value)
    days = position.capital / (position.participation * np.where(adv > 0, adv, np.nan))
    return {
        "adv": adv,
        "days_to_trade": days,
        "liquidity_class": np.where(np.isfinite(days), 1.0 + (days > 1) + (days > 5) + (days > 20), np.nan),
        "amihud": measures.amihud(prices, value),
        "zero_volume_days": np.where(np.isfinite(adv), (value == 0).sum(axis=0), np.nan),
        "stale_days": measures.repeated(
            window.close.to_numpy()[-ADV_SESSIONS:], window.traded.to_numpy()[-ADV_SESSIONS:]
        ),
    }
