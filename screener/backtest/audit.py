"""The look-ahead audit: scramble everything after a date, and nothing up to it may change by a bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.panel import PricePanel, Quotes

Floats = npt.NDArray[np.float64]
CUTS = 10
SILENCED, WOKEN = 0.3, 0.3  # shares of later sessions that lose or gain a trade
# weights, indexed by the dates of the decisions, N symbols; and wealth, indexed by sessions
Outcome = tuple[pd.DataFrame, pd.Series]
Run = Callable[[PricePanel], Outcome]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that changed although it was decided or earned on or before the cut."""

    cut: date
    what: str  # decision, weight or wealth
    on: date
    symbol: str  # "" unless a weight
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Audit:
    """What was compared, and the first difference.

    cuts: dates after which everything was scrambled. decisions, sessions: compared, over all cuts. untouched: cuts at
    which the scrambling changed nothing later either, so that they prove nothing.
    """

    cuts: tuple[date, ...]
    decisions: int
    sessions: int
    untouched: int
    difference: Difference | None

    @property
    def passed(self) -> bool:
        """Say whether nothing changed, and something could have."""
        return self.difference is None and self.untouched < len(self.cuts)


def audit(run: Run, panel: PricePanel, *, cuts: int = CUTS, seed: int = 0) -> Audit:
    """Run a backtest again with all data after random dates scrambled, and compare what was before, bit for bit.

    Half of the dates (rounded up) are dates of decisions, where a look of a single session ahead shows; the others any
    session between the first decision and the end. Raises ValueError for a run without decisions before its end.
    """
    rng = np.random.default_rng(seed)
    weights, wealth = run(panel)
    chosen = _cuts(weights, panel, cuts, rng)
    decisions = sessions = untouched = 0
    for row in chosen:
        other_weights, other_wealth = run(scrambled(panel, row, rng))
        cut = panel.sessions[row]
        decisions += int((pd.DatetimeIndex(weights.index) <= cut).sum())
        sessions += int((pd.DatetimeIndex(wealth.index) <= cut).sum())
        found = _first_difference((weights, wealth), (other_weights, other_wealth), cut)
        if found is not None:
            days = tuple(panel.sessions[each].date() for each in chosen)
            return Audit(days, decisions, sessions, untouched, found)
        untouched += wealth.equals(other_wealth) and weights.equals(other_weights)
    days = tuple(panel.sessions[each].date() for each in chosen)
    return Audit(days, decisions, sessions, untouched, None)


def scrambled(panel: PricePanel, row: int, rng: np.random.Generator) -> PricePanel:
    """Return the panel with every session after a row changed: prices, volumes, and which names trade.

    Prices walk at random with a daily deviation of 20 %. Some sessions lose their trade, and then the last price is
    kept; others gain one where there is a price. What has no price gets none. Opens and exchange rates move as well,
    and later dividends and splits never happened.
    """
    later = np.arange(len(panel.sessions))[:, None] > row
    shape = panel.prices.shape
    steps = np.where(later, rng.normal(0.0, 0.2, shape), 0.0)
    factor = np.exp(np.cumsum(steps, axis=0))
    known = np.isfinite(panel.prices.to_numpy(dtype=float))
    was = panel.traded.to_numpy(dtype=bool)
    draw = rng.random(shape)
    traded = np.where(later, np.where(was, draw >= SILENCED, known & (draw < WOKEN)), was)
    changes = later & ~traded

    def kept(values: pd.DataFrame) -> pd.DataFrame:
        moved = pd.DataFrame(values.to_numpy(dtype=float) * factor, values.index, values.columns)
        held = moved.mask(changes).ffill()
        # a name whose first price would be an untraded one keeps that
        return moved.where(~changes | held.isna(), held.where(values.notna()))

    volumes = panel.value_traded.to_numpy(dtype=float)
    value = np.where(later, np.where(traded, np.exp(rng.normal(13.0, 2.0, shape)), np.nan), volumes)
    index, columns = panel.prices.index, panel.prices.columns
    return replace(
        panel,
        prices=kept(panel.prices),
        close=kept(panel.close),
        traded=pd.DataFrame(traded, index, columns),
        value_traded=pd.DataFrame(value, index, columns),
        quotes=None if panel.quotes is None else _scrambled_quotes(panel.quotes, factor, panel.sessions[row]),
    )


def _scrambled_quotes(quotes: Quotes, factor: Floats, cut: pd.Timestamp) -> Quotes:
    drift = np.asarray(factor.mean(axis=1))[:, None]
    return replace(
        quotes,
        open=quotes.open * factor,
        rates=quotes.rates * drift,
        actions=quotes.actions[quotes.actions["session"] <= cut],
    )


def _cuts(weights: pd.DataFrame, panel: PricePanel, count: int, rng: np.random.Generator) -> list[int]:
    rows = panel.sessions.searchsorted(pd.DatetimeIndex(weights.index), side="right") - 1
    rows = rows[(rows >= 0) & (rows < len(panel.sessions) - 1)]
    if not len(rows):
        raise ValueError("an audit needs a decision before the last session")
    decided = rng.choice(np.unique(rows), size=min(-(-count // 2), len(np.unique(rows))), replace=False)
    anywhere = np.setdiff1d(np.arange(rows.min(), len(panel.sessions) - 1), decided)
    others = rng.choice(anywhere, size=min(count - len(decided), len(anywhere)), replace=False)
    return sorted(int(each) for each in np.concatenate([decided, others]))


def _first_difference(one: Outcome, other: Outcome, cut: pd.Timestamp) -> Difference | None:
    day = cut.date()
    columns = one[0].columns.union(other[0].columns)
    tables = [each[0].reindex(columns=columns, fill_value=0.0) for each in (one, other)]
    left, right = (each[pd.DatetimeIndex(each.index) <= cut] for each in tables)
    for decided in sorted(set(left.index) ^ set(right.index)):
        there = float(decided in left.index), float(decided in right.index)
        return Difference(day, "decision", pd.Timestamp(decided).date(), "", *there)
    before, after = left.to_numpy(dtype=float), right.to_numpy(dtype=float)
    apart = np.argwhere(~((before == after) | (np.isnan(before) & np.isnan(after))))
    if len(apart):
        row, column = apart[0]
        on = pd.Timestamp(left.index[row]).date()
        symbol = str(columns[column])
        return Difference(day, "weight", on, symbol, float(before[row, column]), float(after[row, column]))
    paths = [each[1][pd.DatetimeIndex(each[1].index) <= cut] for each in (one, other)]
    index = paths[0].index.union(paths[1].index)
    first, second = (each.reindex(index).to_numpy(dtype=float) for each in paths)
    changed = np.flatnonzero(first != second)
    if len(changed):
        row = int(changed[0])
        on = pd.Timestamp(index[row]).date()
        return Difference(day, "wealth", on, "", float(first[row]), float(second[row]))
    return None
