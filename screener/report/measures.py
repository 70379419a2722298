"""The few figures a report needs beside those it is given: returns over horizons, stages, weekly points.

Simple returns of total-return prices in base currency. Nothing is filled: a name without a price at either
end of a horizon has no return over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import cast

import numpy as np
import pandas as pd

from screener.market.panel import PricePanel
from screener.universe.model import Universe

# The change that gets the strongest colour grows about with the square root of the horizon.
HORIZONS = {"week": 0.10, "month": 0.20, "quarter": 0.30, "ytd": 0.50, "year": 0.60}
FEWEST_WEEKS = 26


def horizon_start(horizon: str, as_of: date) -> pd.Timestamp:
    """Return the date whose last price a horizon starts from; "year to date" starts at last year's end."""
    end = pd.Timestamp(as_of)
    starts = {
        "week": end - pd.Timedelta(days=7),
        "month": end - pd.DateOffset(months=1),
        "quarter": end - pd.DateOffset(months=3),
        "ytd": pd.Timestamp(year=end.year - 1, month=12, day=31),
        "year": end - pd.DateOffset(years=1),
    }
    return starts[horizon]


def horizon_returns(prices: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Return N × 5 returns over HORIZONS; NaN where a price is missing at either end.

    prices: T × N with a row for every session up to as_of, such as panel.prices or a wealth series.
    """
    before = {
        name: prices.index.searchsorted(horizon_start(name, as_of), side="right") - 1 for name in HORIZONS
    }
    returns = {
        name: prices.iloc[-1] / prices.iloc[row] - 1
        if len(prices) and row >= 0
        else pd.Series(np.nan, index=prices.columns, dtype=float)
        for name, row in before.items()
    }
    return pd.DataFrame(returns, columns=list(HORIZONS), index=prices.columns)


def wealth_returns(wealth: pd.Series, as_of: date) -> dict[str, float]:
    """Return the returns of one wealth series over HORIZONS; NaN where it does not reach back so far."""
    table = horizon_returns(wealth.to_frame("wealth"), as_of)
    return {key: value_at(table, "wealth", key) for key in HORIZONS}


def value_at(table: pd.DataFrame, row: str, column: str) -> float:
    """Return one figure of a table of floats."""
    return float(cast(float, table.at[row, column]))


def fridays(first: date, last: date) -> pd.DatetimeIndex:
    """Return the Fridays that end the weeks from one date to another."""
    return pd.date_range(first, pd.Timestamp(last) + pd.Timedelta(days=6), freq="W-FRI", unit="s")


def weekly(series: pd.Series, last: date) -> pd.Series:
    """Return the last value of each week up to `last`, indexed by its Friday. Missing stays missing."""
    if not len(series):
        return series
    return series.reindex(fridays(series.index[0], last), method="ffill")


def weekly_table(prices: pd.DataFrame, last: date, weeks: int) -> pd.DataFrame:
    """Return the last row of each of the last `weeks` + 1 weeks of a table of prices."""
    if not len(prices):
        return prices
    return prices.reindex(fridays(prices.index[0], last), method="ffill").iloc[-weeks - 1 :]


def worst_of_week(fractions: pd.Series, last: date) -> pd.Series:
    """Return the lowest value of each week, on the same Fridays as `weekly`; NaN for a week without one."""
    lowest = fractions.groupby(pd.DatetimeIndex(fractions.index).to_period("W-FRI")).min()
    weeks = fridays(fractions.index[0], last)
    return pd.Series(lowest.reindex(weeks.to_period("W-FRI")).to_numpy(), index=weeks)


def last_close(panel: PricePanel) -> pd.Series:
    """Return N last quoted closes in base currency, however old; their mark says when they are."""
    rows = np.isfinite(panel.close.to_numpy(dtype=float))
    newest = (
        rows.shape[0] - 1 - rows[::-1].argmax(axis=0) if len(rows) else np.zeros(rows.shape[1], dtype=int)
    )
    values = [
        panel.close.iat[row, column] if rows[:, column].any() else np.nan for column, row in enumerate(newest)
    ]
    return pd.Series(values, index=panel.close.columns, dtype=float)


def names_by_stage(universe: Universe, present: Mapping[str, str]) -> dict[str, list[str]]:
    """Return segment → its symbols in symbol order; `present`: symbol → state, the delisted are left out."""
    stages: dict[str, list[str]] = {key: [] for key in universe.segments}
    for symbol, each in universe.instruments.items():
        if present.get(symbol) not in ("delisted", "not listed"):
            stages[each.segment].append(symbol)
    return {key: names for key, names in stages.items() if names}


def stage_means(returns: pd.DataFrame, stages: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return S × 5: the mean over a stage's names of each horizon's return, over those that have one."""
    rows = {key: returns.reindex(names).mean() for key, names in stages.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=returns.columns)


def stage_correlations(panel: PricePanel, stages: Mapping[str, list[str]], weeks: int = 104) -> pd.DataFrame:
    """Return S × S correlations of the stages' equal-weighted weekly returns; NaN below 26 common weeks."""
    returns = weekly_table(panel.prices, panel.as_of, weeks).pct_change(fill_method=None)
    stage_returns = pd.DataFrame(
        {key: returns.reindex(columns=names).mean(axis=1) for key, names in stages.items()}
    )
    return stage_returns.corr(min_periods=FEWEST_WEEKS)


def clustered(correlations: pd.DataFrame) -> pd.DataFrame:
    """Return S × S correlations with those that move together beside each other; the unknown come last.

    Average-linkage clusters of the distance √((1 − ρ) / 2) with scipy's optimal leaf order.
    """
    known = [key for key in correlations.index if correlations.loc[key].notna().sum() > 1]
    while known and bool(correlations.loc[known, known].isna().to_numpy().any()):
        known.remove(max(known, key=lambda key: int(correlations.loc[key, known].isna().sum())))
    if len(known) > 2:
        from scipy.cluster.hierarchy import leaves_list, linkage
        from scipy.spatial.distance import squareform

        distance = np.sqrt(np.clip(1.0 - correlations.loc[known, known].to_numpy(), 0.0, 2.0) / 2)
        np.fill_diagonal(distance, 0.0)
        tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
        known = [known[each] for each in leaves_list(tree)]
    order = [*known, *(key for key in correlations.index if key not in known)]
    return correlations.loc[order, order]
