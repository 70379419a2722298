"""What changed since the last report of the same universe, and why: returns split up, moves, prices, rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from screener.backtest.attribution import attribute
from screener.report.differences import Differences, differences
from screener.report.measures import wealth_returns
from screener.report.record import plain_record

if TYPE_CHECKING:
    from screener.backtest.engine import Backtest
    from screener.market.panel import PricePanel
    from screener.market.restated import Restated
    from screener.report.memory import Previous
    from screener.report.model import WeeklyInputs

PARTS = ("price", "currency", "dividends", "cost")


@dataclass(frozen=True, eq=False, slots=True)
class ReturnSplit:
    """What made a theme's return from one report to the next, in this week's backtest; fractions of its wealth.

    segments: S × PARTS, largest sum first; all of it adds up to `total` within 1e-10. since, until: the last sessions
    on or before the two as-of dates. told: the return of the week before the earlier report as that report told it,
    recomputed: the same week's in this backtest; they differ where prices or rules of that week were changed since.
    """

    theme: str
    since: date
    until: date
    segments: pd.DataFrame
    total: float
    told: float = math.nan
    recomputed: float = math.nan

    @property
    def parts(self) -> pd.Series:
        """Return the sums over segments: price, currency, dividends, cost."""
        return self.segments.sum()

    @property
    def largest(self) -> tuple[str, float] | None:
        """Return the segment with the largest contribution in size, and that contribution."""
        if not len(self.segments):
            return None
        sums = self.segments.sum(axis=1)
        at = int(sums.abs().to_numpy().argmax())
        return str(sums.index[at]), float(sums.iloc[at])


@dataclass(frozen=True, eq=False, slots=True)
class Changes:
    """What changed between a report and this week's.

    splits: by theme, those with a backtest over the span. restated: stored prices that were changed since; None where
    the two have another source, so that nothing can be said.
    """

    previous: Previous
    differences: Differences
    splits: Mapping[str, ReturnSplit]
    restated: tuple[Restated, ...] | None


def changes_between(
    previous: Previous, inputs: WeeklyInputs, restated: tuple[Restated, ...] | None = ()
) -> Changes:
    """Return what changed from an earlier report to this week's inputs."""
    labels = {symbol: each.segment for symbol, each in inputs.universe.instruments.items()}
    splits = {}
    for result in inputs.themes:
        if result.backtest is None:
            continue
        made = split_return(result.backtest, inputs.panel, labels, previous.as_of, inputs.run.as_of)
        if made is not None:
            told = previous.record["themes"].get(result.theme.key, {}).get("returns", {}).get("week")
            splits[result.theme.key] = _with_told(made, result.backtest, previous.as_of, told)
    return Changes(previous, differences(previous.record, plain_record(inputs)), splits, restated)


def split_return(
    run: Backtest, panel: PricePanel, labels: Mapping[str, str], since: date, until: date
) -> ReturnSplit | None:
    """Return what made a backtest's return between two dates, by segment; None where it has no session after `since`.

    labels: symbol → segment. Raises nothing for a span that begins before the backtest: it is then shorter.
    """
    sessions = pd.DatetimeIndex(run.wealth.index)
    last = int(sessions.searchsorted(pd.Timestamp(until), side="right"))
    first = max(int(sessions.searchsorted(pd.Timestamp(since), side="right")) - 1, 0)
    if last - first < 2:
        return None
    found = attribute(run, panel, pd.Timestamp(since), pd.Timestamp(until))
    # a name that was neither held nor traded adds nothing, nor does its segment
    moved = found.names[(found.names != 0).any(axis=1)]
    grouped = moved.groupby([labels.get(str(each), "other") for each in moved.index]).sum()
    order = grouped.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return ReturnSplit(
        theme=run.theme,
        since=sessions[first].date(),
        until=sessions[last - 1].date(),
        segments=grouped.loc[order, list(PARTS)],
        total=found.total,
    )


def _with_told(split: ReturnSplit, run: Backtest, then: date, told: float | None) -> ReturnSplit:
    before = run.wealth[run.wealth.index <= pd.Timestamp(then)]
    again = wealth_returns(before, then)["week"] if len(before) else math.nan
    return replace(split, told=math.nan if told is None else float(told), recomputed=again)
