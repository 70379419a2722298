"""Theme and panel become Rebalances: who is eligible, how they are weighted, which limits bind.

The live proposal is `build`, a backtest is `build_schedule`; both decide a date by the same function, from the rows
of the panel up to that date, and the same date comes out the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError
from screener.market.panel import PricePanel
from screener.portfolio.decide import decide_weights, sentences
from screener.portfolio.plain import plain_weights
from screener.portfolio.rebalance import BuildSettings, Known, Rebalance, drifted
from screener.portfolio.study import EPOCH, Eligible, Study, covariance_settings
from screener.portfolio.weight_schedule import Members, WeightSchedule
from screener.portfolio.weighting import Case, method_named
from screener.universe.model import Instrument, Theme

__all__ = [
    "BuildSettings",
    "Known",
    "Members",
    "Rebalance",
    "WeightSchedule",
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
    day = panel.sessions[-1].date()
    return build_schedule(theme, lambda _: members, panel, [day], settings, known)[0]


def build_schedule(
    theme: Theme,
    members_on: Callable[[date], Sequence[Instrument]],
    panel: PricePanel,
    dates: Sequence[date],
    settings: BuildSettings,
    known: Known | None = None,
) -> WeightSchedule:
    """Decide a theme's portfolio on each of some increasing dates, each knowing what the one before has drifted to.

    Equal to `build` on `panel.until(date)`, date after date, to the last bit; what dates share is worked out once.
    members_on: the theme's instruments listed on a date. known: what is known on all of them; `held` is of the first.
    Raises as `build` does, and ValueError for a date before the panel or out of order.
    """
    ordinals = np.array([each.toordinal() for each in dates], dtype=np.int64)
    days = panel.sessions.to_numpy().astype("datetime64[D]").astype(np.int64) + EPOCH
    ends = days.searchsorted(ordinals, side="right")
    if len(ends) and (ends[0] == 0 or (np.diff(ordinals) <= 0).any()):
        raise ValueError(
            "the dates of a schedule must increase and not come before the panel's first session"
        )
    if not len(ends):
        return WeightSchedule(theme.key, (), (), np.zeros((0, 0)), _no_date)
    known, given = known or Known(), [members_on(day) for day in dates]
    distinct = {id(each): each for each in given}
    ordered = {key: _in_order(each) for key, each in distinct.items()}
    members = [ordered[id(each)] for each in given]
    everyone = list({each.symbol: each for some in ordered.values() for each in some}.values())
    study = _naming(
        f"{theme.key}, {dates[0]}", lambda: Study.of(theme, panel, settings, int(ends[0]), everyone, known)
    )
    return _decide_all(study, members, ends, known)


def _no_date(number: int) -> Rebalance:
    raise IndexError(number)


def _in_order(members: Sequence[Instrument]) -> Eligible:
    return tuple(sorted({each.symbol: each for each in members}.values(), key=lambda each: each.symbol))


def _decide_all(
    study: Study, members: Sequence[Eligible], ends: npt.NDArray[np.intp], known: Known
) -> WeightSchedule:
    symbols = sorted(study.markets)
    weights, plain = plain_weights(study, members, ends, symbols)
    place = {symbol: number for number, symbol in enumerate(symbols)}
    on = tuple(study.day(end) for end in ends.tolist())
    made: dict[int, Rebalance] = {}

    def known_at(number: int) -> Known:
        if not number:
            return known
        before = np.flatnonzero(weights[number - 1])
        held = [symbols[each] for each in before]
        return replace(
            known, held=study.drifted(held, weights[number - 1, before], on[number - 1], int(ends[number]))
        )

    def make(number: int) -> Rebalance:
        return _describe(
            study, members[number], known_at(number), int(ends[number]), weights[number], symbols
        )

    for number in np.flatnonzero(~plain).tolist():
        made[number] = _decide(study, members[number], known_at(number), int(ends[number]))
        for symbol, weight in zip(made[number].weights.index, made[number].weights.tolist(), strict=True):
            weights[number, place[symbol]] = weight
    return WeightSchedule(study.theme.key, on, tuple(symbols), weights, make, made)


def _naming(what: str, call: Callable[[], T]) -> T:
    """Return what a call returns; its errors say what it was about."""
    try:
        return call()
    except ScreenerError as error:
        raise type(error)(*(f"{what}: {each}" for each in error.problems)) from None


def _decide(study: Study, members: Eligible, known: Known, end: int) -> Rebalance:
    theme, day = study.theme, study.day(end)
    eligible, rejected, returns = study.rejected(members, end)
    if not eligible:
        reason = f"none of {len(members)} members is eligible: all in cash"
        return _all_cash(theme, day, rejected, reason)

    def decide() -> tuple[Case, tuple[Floats, tuple[str, ...]]]:
        case = study.case(eligible, returns, known, end)
        return case, decide_weights(case, method_named(theme.method))

    case, decided = _naming(f"{theme.key}, {day}", decide)
    return _rebalance(theme, day, case, decided, rejected)


def _describe(
    study: Study, members: Eligible, known: Known, end: int, weights: Floats, symbols: Sequence[str]
) -> Rebalance:
    """Return the rebalance that a plain date's weights are. weights: N, of the symbols."""
    theme, day = study.theme, study.day(end)
    eligible, rejected, returns = study.rejected(members, end)
    case = _naming(f"{theme.key}, {day}", lambda: study.case(eligible, returns, known, end))
    place = {symbol: number for number, symbol in enumerate(symbols)}
    chosen = weights[[place[each.symbol] for each in eligible]]
    return _rebalance(
        theme, day, case, (chosen, sentences(case, method_named(theme.method), chosen)), rejected
    )


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
