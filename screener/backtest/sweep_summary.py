"""What a sweep as a whole says: which settings mattered, and whether the best variant is more than luck.

Variants are compared over the sessions that all of them have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.performance import Performance, simple_returns
from screener.backtest.sweep_grid import DIMENSIONS, GridPoint
from screener.backtest.sweep_run import Sweep
from screener.backtest.validity import probabilistic_sharpe_ratio

if TYPE_CHECKING:
    from screener.backtest.overfitting import Overfitting, Superiority
    from screener.backtest.validity import Search

Floats = npt.NDArray[np.float64]
FLAT = 1e-12  # standard deviation of returns that do not vary


@dataclass(frozen=True, eq=False, slots=True)
class SweepSummary:
    """The variants of a sweep side by side over their common sessions, `first` to `last`.

    table: a row a variant, indexed v0001 …: settings, figures over its own record, `sharpe_common` over the common
    sessions, and a note where there is no record. best, median: of sharpe_common. spread: dimension → a row a value:
    variants, mean, lowest, highest of sharpe_common; only dimensions that vary. superiority: over the benchmark, or
    over cash ("") where there is none. deflated_sharpe: of the best, after `search`. None or NaN: cannot be said.
    """

    table: pd.DataFrame
    first: date
    last: date
    best: str
    median: str
    spread: Mapping[str, pd.DataFrame]
    benchmark: str
    benchmark_sharpe: float
    overfitting: Overfitting | None
    superiority: Superiority | None
    search: Search
    probabilistic_sharpe: float
    deflated_sharpe: float


def names_of(count: int) -> list[str]:
    """Return the names of so many variants."""
    return [f"v{number:04d}" for number in range(1, count + 1)]


def results_table(sweep: Sweep) -> pd.DataFrame:
    """Return a row a variant: its settings and figures, NaN and a note where there is no record."""
    figures = [each.name for each in fields(Performance)]
    rows = []
    for each in sweep.results:
        row = {dimension: _plain(each.point, dimension) for dimension in DIMENSIONS}
        row |= {name: getattr(each.performance, name, None) for name in figures}
        rows.append({**row, "note": each.note})
    table = pd.DataFrame(rows, index=pd.Index(names_of(len(rows)), name="variant"))
    numbers = [name for name in figures if name not in ("start", "end")]
    return table.astype(dict.fromkeys(numbers, "float64"))


def returns_table(sweep: Sweep) -> pd.DataFrame:
    """Return T × V daily returns by session and variant, NaN before a variant's record begins."""
    longest = max(len(each.returns) for each in sweep.results)
    table = np.full((longest, len(sweep.results)), np.nan)
    for number, each in enumerate(sweep.results):
        table[longest - len(each.returns) :, number] = each.returns
    index = pd.DatetimeIndex(sweep.sessions[len(sweep.sessions) - longest :], name="session")
    return pd.DataFrame(table, index=index, columns=names_of(len(sweep.results)))


def summarise_sweep(
    sweep: Sweep, benchmark: pd.Series | None = None, search: Search | None = None
) -> SweepSummary:
    """Return the summary of a sweep, of which one variant at least has a record.

    benchmark: T prices over the panel's sessions, named, for superiority. search: what was tried in all, with its
    expected maximum per session; by default the variants of this sweep.
    """
    from screener.backtest.overfitting import backtest_overfitting
    from screener.backtest.validity import search_of

    table = results_table(sweep)
    has = np.array([each.performance is not None for each in sweep.results])
    shortest = min(len(each.returns) for each in sweep.results if each.performance is not None)
    kept = [
        each.returns[len(each.returns) - shortest :] for each in sweep.results if each.performance is not None
    ]
    returns = np.column_stack(kept)
    sessions = sweep.sessions[len(sweep.sessions) - shortest - 1 :]
    per_year = shortest / ((sessions[-1] - sessions[0]).days / 365.25)
    sharpe = _sharpe_ratios(returns) * np.sqrt(per_year)
    table.insert(len(DIMENSIONS), "sharpe_common", np.nan)
    table.loc[has, "sharpe_common"] = sharpe
    order = np.argsort(sharpe, kind="stable")
    names = table.index[has]
    best = int(np.flatnonzero(sharpe == np.nanmax(sharpe))[0]) if np.isfinite(sharpe).any() else 0
    against = None if benchmark is None else simple_returns(benchmark.reindex(sessions))
    if against is not None and not np.isfinite(against).all():
        against = None
    search = search or search_of(returns)
    varies = returns[:, best].std(ddof=1) > FLAT
    return SweepSummary(
        table=table,
        first=sessions[0].date(),
        last=sessions[-1].date(),
        best=str(names[best]),
        median=str(names[order[(len(order) - 1) // 2]]),
        spread=_spread(table[has]),
        benchmark="" if against is None or benchmark is None else str(benchmark.name),
        benchmark_sharpe=float("nan") if against is None else _sharpe(against) * float(np.sqrt(per_year)),
        overfitting=backtest_overfitting(returns),
        superiority=_superiority(returns, against),
        search=search,
        probabilistic_sharpe=probabilistic_sharpe_ratio(returns[:, best]) if varies else float("nan"),
        deflated_sharpe=probabilistic_sharpe_ratio(returns[:, best], search.expected_maximum)
        if varies
        else float("nan"),
    )


def pivot(table: pd.DataFrame, rows: str, columns: str) -> pd.DataFrame:
    """Return the mean sharpe_common by the values of two dimensions, in the order of the grid; NaN: no such variant."""
    across = list(dict.fromkeys(table[columns].map(str)))
    down = list(dict.fromkeys(table[rows].map(str)))
    keys = [table[rows].map(str), table[columns].map(str)]
    return table.groupby(keys)["sharpe_common"].mean().unstack().reindex(index=down, columns=across)


def _plain(point: GridPoint, dimension: str) -> object:
    value = point.value(dimension)
    return getattr(point, dimension) if dimension in ("lookback_weeks", "max_weight") else value


def _sharpe_ratios(returns: Floats) -> Floats:
    deviation = returns.std(axis=0, ddof=1)
    return np.asarray(returns.mean(axis=0) / np.where(deviation > FLAT, deviation, np.nan))


def _sharpe(returns: Floats) -> float:
    return float(_sharpe_ratios(returns[:, None])[0])


def _spread(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    found = {}
    for dimension in DIMENSIONS:
        groups = table.groupby(dimension, sort=False)["sharpe_common"]
        if groups.ngroups > 1:
            spread = groups.agg(["size", "mean", "min", "max"])
            spread.columns = pd.Index(["variants", "mean", "lowest", "highest"])
            found[dimension] = spread
    return found


def _superiority(returns: Floats, against: Floats | None) -> Superiority | None:
    """Test the best variant against the benchmark; variants that never differ from it are left out."""
    from screener.backtest.overfitting import superior_predictive_ability

    excess = returns if against is None else returns - against[:, None]
    varying = excess[:, excess.std(axis=0) > FLAT]
    if varying.shape[1] == 0:
        return None
    return superior_predictive_ability(varying)
