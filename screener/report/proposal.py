"""What a theme's proposal changes: today's target against what the last rebalance has drifted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from screener.portfolio.build import Rebalance, drifted

if TYPE_CHECKING:
    from screener.backtest.theme import ThemeResult
    from screener.report.model import WeeklyInputs


@dataclass(frozen=True, eq=False, slots=True)
class Proposal:
    """One theme's target beside what is held.

    previous: the last rebalance of the backtest before the as-of date. table: held, target and change by symbol,
    fractions of wealth, largest change first. turnover: one-way, Σ |change| / 2 with cash counted as a holding.
    """

    previous: Rebalance
    table: pd.DataFrame
    turnover: float


def proposal_of(inputs: WeeklyInputs, result: ThemeResult) -> Proposal | None:
    """Return what a theme's proposal changes, None where no earlier rebalance held anything."""
    if result.backtest is None:
        return None
    earlier = [each for each in result.backtest.schedule if each.decided_on < inputs.run.as_of]
    if not earlier or not len(earlier[-1].weights):
        return None
    previous = earlier[-1]
    held = pd.Series(drifted(previous, inputs.panel), dtype=float)
    target = result.rebalance.weights
    symbols = sorted({*held.index.astype(str), *target.index.astype(str)})
    table = pd.DataFrame(
        {"held": held.reindex(symbols).fillna(0.0), "target": target.reindex(symbols).fillna(0.0)}
    )
    table["change"] = table["target"] - table["held"]
    order = table["change"].abs().sort_values(ascending=False, kind="stable").index
    cash = result.rebalance.cash - (1.0 - float(table["held"].sum()))
    turnover = (float(table["change"].abs().sum()) + abs(cash)) / 2
    return Proposal(previous, table.reindex(order), turnover)
