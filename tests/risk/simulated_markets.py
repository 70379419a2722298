"""Synthetic panels of several exchanges with a known answer, sampled at the real closes of real sessions.

One global factor and each name's own news arrive evenly over the 24 hours of a weekday. Prices are seen only at
closes, holidays and half days included, so all that is wrong with a covariance is the hours and the sample.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar
from scipy.optimize import minimize

from screener.market.panel import PricePanel

DAY = 86_400
WEEKDAYS_PER_YEAR = 365.25 * 5 / 7
CALENDARS = {"XNAS": "XNYS", "XSHE": "XSHG", "XTSX": "XTSE"}
SIX_EXCHANGES = {"XNYS": 6, "XTKS": 5, "XASX": 4, "XSHG": 3, "XLON": 3, "XTSE": 3}  # how many names on each


@dataclass(frozen=True)
class SimulatedMarket:
    """panel: what a person sees. truth: N × N annualised covariance. markets: symbol → MIC."""

    panel: PricePanel
    truth: pd.DataFrame
    markets: dict[str, str]


def simulated_market(
    seed: int,
    names: dict[str, int] | None = None,
    start: str = "2021-07-01",
    weeks: int = 104,
    correlation: float | tuple[float, float] = 0.5,
    in_new_york: float = 7.5 / 24,
) -> SimulatedMarket:
    """Return a panel of `weeks` weeks from a date on.

    names: MIC → how many. correlation: of every pair, or the bounds between which names' squared loadings on
    the factor are drawn. Volatilities are drawn between 20 and 60 % a year. in_new_york: the share of the news
    that comes between 13:30 and 21:00 UTC; 7.5 / 24 is its even share.
    """
    rng = np.random.default_rng(seed)
    names = names or SIX_EXCHANGES
    markets = {f"{mic[1:]}{number}": mic for mic, count in sorted(names.items()) for number in range(count)}
    symbols = sorted(markets)
    low, high = correlation if isinstance(correlation, tuple) else (correlation, correlation)
    loading = np.sqrt(rng.uniform(low, high, len(symbols)))
    volatility = rng.uniform(0.2, 0.6, len(symbols))
    first = pd.Timestamp(start)
    last = first + pd.Timedelta(weeks=weeks)
    closes = {mic: closes_of(mic, first, last) for mic in names}
    sessions = pd.DatetimeIndex(sorted(set().union(*(each.index for each in closes.values()))))
    # the factor at every instant at which some exchange closes
    clocks = {mic: news_by(weekday_seconds(each), in_new_york) for mic, each in closes.items()}
    instants = np.unique(np.concatenate(list(clocks.values())))
    steps = np.sqrt(np.diff(instants, prepend=instants[0]) / DAY / WEEKDAYS_PER_YEAR)
    factor = np.cumsum(rng.normal(size=len(instants)) * steps)
    prices, traded = {}, {}
    for number, symbol in enumerate(symbols):
        clock = clocks[markets[symbol]]
        own = np.cumsum(
            rng.normal(size=len(clock)) * np.sqrt(np.diff(clock, prepend=clock[0]) / DAY / WEEKDAYS_PER_YEAR)
        )
        common = factor[np.searchsorted(instants, clock)]
        level = loading[number] * common + np.sqrt(1 - loading[number] ** 2) * own
        path = pd.Series(100 * np.exp(volatility[number] * level), index=closes[markets[symbol]].index)
        traded[symbol] = path.reindex(sessions).notna()
        prices[symbol] = path.reindex(sessions).ffill()
    truth = np.outer(loading, loading)
    np.fill_diagonal(truth, 1.0)
    truth = truth * np.outer(volatility, volatility)
    panel = panel_of(pd.DataFrame(prices), pd.DataFrame(traded))
    return SimulatedMarket(panel, pd.DataFrame(truth, index=symbols, columns=symbols), markets)


def panel_of(prices: pd.DataFrame, traded: pd.DataFrame) -> PricePanel:
    """Return a panel of prices that need no currency."""
    prices = prices.rename_axis("session").set_axis(prices.index.as_unit("s"), axis=0)  # type: ignore[attr-defined]
    traded = traded.set_axis(prices.index, axis=0)
    return PricePanel(prices, traded, prices, prices * 1e5, "USD", prices.index[-1].date())


def closes_of(mic: str, first: pd.Timestamp, last: pd.Timestamp) -> pd.Series:
    """Return each session's close in UTC, straight from exchange_calendars, by session date."""
    closes = _all_closes(CALENDARS.get(mic, mic))
    return closes[(closes.index >= first) & (closes.index <= last)]


@lru_cache(maxsize=16)
def _all_closes(name: str) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in market/sessions.py
        closes = get_calendar(name, start="2018-01-01", end="2026-12-31").closes
    return closes.dt.tz_localize(None)


def weekday_seconds(closes: pd.Series) -> np.ndarray:
    """Return the seconds of weekdays that had passed at each close."""
    dates = closes.to_numpy().astype("datetime64[D]")
    since = (closes.to_numpy() - dates).astype("timedelta64[s]").astype(np.int64)
    return np.busday_count(np.datetime64("1970-01-01"), dates) * DAY + since


def news_by(clock: np.ndarray, in_new_york: float) -> np.ndarray:
    """Return the weekday seconds' worth of news that had come by each instant."""
    days, seconds = np.divmod(clock, DAY)
    before = (1 - in_new_york) * 13.5 / 16.5
    share = np.interp(seconds / 3600, [0, 13.5, 21, 24], [0, before, before + in_new_york, 1])
    return (days + share) * DAY


def minimum_variance(covariance: np.ndarray, cap: float = 0.2) -> np.ndarray:
    """Return long-only weights of least variance under a cap, by SciPy's SLSQP; independent of screener."""
    n = len(covariance)
    scaled = covariance / np.diag(covariance).mean()
    found = minimize(
        lambda w: float(w @ scaled @ w),
        np.full(n, 1 / n),
        jac=lambda w: 2 * scaled @ w,
        bounds=[(0.0, cap)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 300},
    )
    return np.asarray(found.x / found.x.sum())
