"""Theme and panel become Rebalances: who is eligible, how they are weighted, which limits bind.

The live proposal is `build`, a backtest is `build_schedule`; both decide a date by the same function, from the rows
of the panel up to that date, and the same date comes out the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError
from screener.market.panel import PricePanel
from screener.portfolio.decide import decide_weights
from screener.portfolio.rebalance import BuildSettings, Known, Rebalance, drifted
from screener.portfolio.study import Study, covariance_settings, row_after
from screener.portfolio.weighting import Case, method_named
from screener.universe.model import Instrument, Theme

__all__ = [
    "BuildSettings",
    "Known",
    "Rebalance",
    "build",
    "build_schedule",
    "covariance_settings",
    "drifted",
]
Floats = npt.NDArray[np.float64]
T = TypeVar("T")


def build(
    theme: Theme,
    members: Sequence[Instrument],
    panel: PricePanel,
    settings: BuildSettings,
    known: Known | None = None,
) -> Rebalance:
    """Decide a theme's portfolio at the end of the panel's last session, by the theme's method and limits.

    members: the theme's instruments listed on that date. Callers cut the panel to what was known
    (`panel.until`); nothing else is looked at. Without an eligible name everything is cash, and said so.
    Raises UserError for an unknown method or estimator, and for limits that no portfolio keeps.
    """
    if not len(panel.sessions):
        raise ValueError("a portfolio cannot be decided on an empty panel")
    known, end = known or Known(), len(panel.sessions)
    with_theme = f"{theme.key}, {panel.sessions[-1].date()}"
    study = _naming(with_theme, lambda: Study.of(theme, panel, settings, end, members, known))
    return _decide(study, members, known, end)


def build_schedule(
    theme: Theme,
    members_on: Callable[[date], Sequence[Instrument]],
    panel: PricePanel,
    dates: Sequence[date],
    settings: BuildSettings,
    known: Known | None = None,
) -> tuple[Rebalance, ...]:
    """Decide a theme's portfolio on each of some increasing dates, each knowing what the one before has drifted to.

    Equal to `build` on `panel.until(date)`, date after date, to the last bit; what dates share is worked out once.
    members_on: the theme's instruments listed on a date. known: what is known on all of them; `held` is of the first.
    Raises as `build` does, and ValueError for a date before the panel or out of order.
    """
    ends = [row_after(panel, day) for day in dates]
    if not ends:
        return ()
    if ends[0] == 0 or any(later <= earlier for earlier, later in pairwise(dates)):
        raise ValueError("the dates of a schedule must increase and not come before the panel's first session")
    known = known or Known()
    members = [tuple(members_on(day)) for day in dates]
    everyone = list({each.symbol: each for some in members for each in some}.values())
    study = _naming(
        f"{theme.key}, {dates[0]}", lambda: Study.of(theme, panel, settings, ends[0], everyone, known)
    )
    made: list[Rebalance] = []
    for some, end in zip(members, ends, strict=True):
        if made:
            known = replace(known, held=study.drifted(made[-1], end))
        made.append(_decide(study, some, known, end))
    return tuple(made)


def _naming(what: str, call: Callable[[], T]) -> T:
    """Return what a call returns; its errors say what it was about."""
    try:
        return call()
    except ScreenerError as error:
        raise type(error)(*(f"{what}: {each}" for each in error.problems)) from None


def _decide(study: Study, members: Sequence[Instrument], known: Known, end: int) -> Rebalance:
    theme, day = study.theme, study.day(end)
    members = sorted({each.symbol: each for each in members}.values(), key=lambda each: each.symbol)
    eligible, rejected, returns = study.rejected(members, end)
    if not eligible:
        reason = f"none of {len(members)} members is eligible: all in cash"
        return _all_cash(theme, day, rejected, reason)

    def decide() -> tuple[Case, tuple[Floats, tuple[str, ...]]]:
        case = study.case(eligible, returns, known, end)
        return case, decide_weights(case, method_named(theme.method))

    case, decided = _naming(f"{theme.key}, {day}", decide)
    return _rebalance(theme, day, case, decided, rejected)


def _rebalance(
    theme: Theme,
    decided_on: date,
    case: Case,
    decided: tuple[Floats, tuple[str, ...]],
    rejected: Mapping[str, str],
) -> Rebalance:
    weights, said = decided
    names = case.region.names.symbols
    marginal = case.covariance @ weights
    variance = float(weights @ marginal)
    kept = weights > 0
    unweighted = {s: "the method gives it no weight" for s, keep in zip(names, kept, strict=True) if not keep}
    cash = max(0.0, 1.0 - float(weights.sum()))
    if not kept.any():
        return _all_cash(theme, decided_on, {**rejected, **unweighted}, *said)
    symbols = case.region.index(kept)
    return Rebalance(
        theme=theme.key,
        decided_on=decided_on,
        method=theme.method,
        weights=pd.Series(weights[kept], index=symbols),
        cash=cash,
        risk_contributions=pd.Series((weights * marginal / variance)[kept], index=symbols),
        volatility=float(np.sqrt(variance)),
        limits_bound=said,
        rejected={**rejected, **unweighted},
        region=case.region,
    )


def _all_cash(theme: Theme, decided_on: date, rejected: Mapping[str, str], *reasons: str) -> Rebalance:
    nothing = pd.Series(dtype=float, index=pd.Index([], dtype="str"))
    return Rebalance(
        theme.key, decided_on, theme.method, nothing, 1.0, nothing, float("nan"), reasons, rejected
    )
