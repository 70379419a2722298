"""The tables of a theme's record: its years beside others', its months, its drawdowns, and a year rolled through it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import pandas as pd

from screener.backtest.performance import (
    Drawdown,
    drawdown_table,
    monthly_returns,
    rolling_statistics,
    yearly_returns,
)

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MOST_DRAWDOWNS = 10
SPREAD = ("lowest", "median", "highest")


def years_table(wealth: dict[str, pd.Series]) -> pd.DataFrame:
    """Return years × portfolios simple returns of calendar years; the first and the last may be parts of years.

    wealth: T each, on the same sessions, by the portfolio's name.
    """
    table = pd.DataFrame({name: yearly_returns(each) for name, each in wealth.items()})
    return table.rename_axis("year")


def months_table(wealth: pd.Series) -> pd.DataFrame:
    """Return years × (the 12 MONTHS, return) simple returns, NaN where there is none; a row multiplies to `return`.

    wealth: T, > 0, no NaN, indexed by sessions.
    """
    table = monthly_returns(wealth).set_axis(list(MONTHS), axis=1)
    table["return"] = yearly_returns(wealth).reindex(table.index)
    return table.rename_axis("year")


def drawdowns_table(wealth: pd.Series) -> pd.DataFrame:
    """Return a row for each of the deepest drawdowns, deepest first: the fields of Drawdown."""
    rows = [asdict(each) for each in drawdown_table(wealth, MOST_DRAWDOWNS)]
    return pd.DataFrame(rows, columns=[each.name for each in fields(Drawdown)])


@dataclass(frozen=True, eq=False, slots=True)
class RollingYear:
    """Statistics of a year's window; columns as of `rolling_statistics`.

    steps: by last session, a window apart and the latest last. spread: SPREAD of every window, each column by itself.
    window: sessions. windows: how many there are.
    """

    steps: pd.DataFrame
    spread: pd.DataFrame
    window: int
    windows: int


def rolling_year(wealth: pd.Series) -> RollingYear | None:
    """Return what a window of a year says through a record; None of one that is shorter than a year.

    wealth: T, no NaN, indexed by sessions. A window has as many sessions as the record has a year. After a total loss
    there is nothing left to move, so the record ends there.
    """
    alive = wealth[wealth > 0]
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    if years <= 0:
        return None
    window = round((len(wealth) - 1) / years)
    if not 2 <= window < len(alive):
        return None
    found = rolling_statistics(alive, window)
    spread = found.quantile([0.0, 0.5, 1.0]).set_axis(list(SPREAD))
    return RollingYear(found.iloc[::-1][::window].iloc[::-1], spread, window, len(found))
