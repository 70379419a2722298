"""Figures that several sections share, computed once from the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screener.market.returns import weekly_returns
from screener.report.charts import sparkline, weekly
from screener.report.model import ThemeResult, WeeklyInputs
from screener.report.words import Words, wording

HORIZONS = ("1w", "1m", "3m", "YTD", "1y")
SPARK_WEEKS = 26
BAD_STATES = ("stale", "missing")


@dataclass(frozen=True, eq=False, slots=True)
class Figures:
    """What the sections draw on, beside the inputs themselves.

    returns: N × HORIZONS total returns in base currency. stages: a row a segment in chain order with its names'
    equal-weighted return over each horizon, count and breadth (share of names up in the week).
    sparks: symbol → drawing of half a year. marks: symbol → why its prices cannot be taken as current.
    """

    returns: pd.DataFrame
    stages: pd.DataFrame
    sparks: Mapping[str, str]
    marks: Mapping[str, str]
    words: Words


def compute_figures(inputs: WeeklyInputs) -> Figures:
    """Compute the shared figures; nothing here looks past the panel's last session."""
    returns = horizon_returns(inputs.panel.prices)
    listed = [
        symbol
        for symbol in inputs.universe.instruments
        if inputs.states[symbol].state not in ("delisted", "not listed")
    ]
    weekly_prices = _weekly_prices(inputs.panel.prices)
    return Figures(
        returns=returns,
        stages=_stages(inputs, returns.reindex(listed)),
        sparks={str(symbol): sparkline(weekly_prices[symbol].to_numpy()) for symbol in weekly_prices.columns},
        marks=_marks(inputs),
        words=wording(),
    )


def horizon_returns(prices: pd.DataFrame) -> pd.DataFrame:
    """Return N × HORIZONS simple returns up to the last row; NaN where either end is missing."""
    if not len(prices):
        return pd.DataFrame(np.nan, index=prices.columns, columns=list(HORIZONS))
    index = pd.DatetimeIndex(prices.index)
    today = index[-1]
    starts = {
        "1w": today - pd.Timedelta(days=7),
        "1m": today - pd.DateOffset(months=1),
        "3m": today - pd.DateOffset(months=3),
        "YTD": pd.Timestamp(today.year - 1, 12, 31),
        "1y": today - pd.DateOffset(years=1),
    }
    values = prices.to_numpy()

    def since(day: pd.Timestamp) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        row = int(index.searchsorted(day, side="right")) - 1
        base = values[row] if row >= 0 else np.full(values.shape[1], np.nan)
        return np.asarray(values[-1] / base - 1)

    return pd.DataFrame({name: since(day) for name, day in starts.items()}, index=prices.columns)


def series_returns(wealth: pd.Series | None) -> pd.Series:
    """Return the HORIZONS returns of one wealth series, NaN where it is too short or absent."""
    if wealth is None:
        return pd.Series(np.nan, index=list(HORIZONS))
    return horizon_returns(wealth.to_frame("wealth")).T["wealth"]


def stage_correlations(inputs: WeeklyInputs, weeks: int = 52) -> pd.DataFrame:
    """Return correlations of the stages' equal-weighted weekly returns, in chain order."""
    panel = inputs.panel
    weekly_ = (
        weekly_returns(panel.prices.iloc[-(weeks + 4) * 7 :], weeks)
        if len(panel.sessions)
        else pd.DataFrame()
    )
    columns = {}
    for key, segment in inputs.universe.segments.items():
        names = [s for s, each in inputs.universe.instruments.items() if each.segment == key and s in weekly_]
        stage = weekly_[names].mean(axis=1) if names else pd.Series(dtype=float)
        if stage.notna().sum() >= weeks // 2:
            columns[segment.label] = stage
    return pd.DataFrame(columns).corr()


def lead_theme(inputs: WeeklyInputs) -> ThemeResult | None:
    """Return the theme with the most members, which stands for the whole chain."""
    return max(inputs.themes, key=lambda each: len(each.members), default=None)


def _weekly_prices(prices: pd.DataFrame) -> pd.DataFrame:
    tail = prices.iloc[-(SPARK_WEEKS + 2) * 7 :]
    if not len(tail):
        return tail
    anchors = weekly(tail.iloc[:, 0]).index[-SPARK_WEEKS:] if tail.shape[1] else pd.DatetimeIndex([])
    rows = pd.DatetimeIndex(tail.index).searchsorted(anchors, side="right") - 1
    return tail.iloc[rows]


def _stages(inputs: WeeklyInputs, returns: pd.DataFrame) -> pd.DataFrame:
    segment_of = pd.Series(
        {symbol: inputs.universe.instruments[str(symbol)].segment for symbol in returns.index}, dtype="str"
    )
    rows = {}
    for key in inputs.universe.segments:
        names = returns[segment_of == key] if len(returns) else returns
        if len(names):
            week = names["1w"].dropna()
            rows[key] = {
                **names.mean().to_dict(),
                "names": len(names),
                "known": len(week),
                "up": float((week > 0).mean()) if len(week) else float("nan"),
            }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*HORIZONS, "names", "known", "up"])


def _marks(inputs: WeeklyInputs) -> dict[str, str]:
    marks = {s: each.reason for s, each in inputs.states.items() if each.state in BAD_STATES}
    for symbol, reason in inputs.failures.items():
        if symbol not in inputs.states or inputs.states[symbol].state not in ("delisted", "not listed"):
            marks[symbol] = (
                f"{marks[symbol]}; {reason}" if symbol in marks else f"not updated in this run: {reason}"
            )
    return marks
