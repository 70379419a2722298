"""Many variants of a theme's backtest together: decided once where they agree, and traded stacked over one tape.

Each comes out as `simulate` alone would have it, to the last bit, whatever it is run beside.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import Account, Variant, run_account
from screener.backtest.engine import benchmark_wealth, one_way
from screener.backtest.performance import Performance, simple_returns, summarise
from screener.backtest.schedule import parse_schedule, rebalance_dates
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.tape import Rates, Tape, Terms, make_rates, make_tape
from screener.backtest.theme import FEWEST_SESSIONS, BacktestSettings
from screener.errors import ScreenerError
from screener.market.load import Market
from screener.market.panel import PricePanel
from screener.portfolio.build import BuildSettings, Known, build_schedule
from screener.portfolio.costs import Costs
from screener.portfolio.decide import theme_limits
from screener.universe.model import Instrument, Theme

Floats = npt.NDArray[np.float64]
MOST_STATES = 32_000_000  # numbers that the states of one account may take: 256 MB
FULL = 256  # points of a batch, about: more save little time
ON_HOLDINGS = ("turnover", "trade")  # limits under which a decision depends on the one before


@dataclass(frozen=True, eq=False, slots=True)
class Ground:
    """What all points of a sweep share, and a worker receives once.

    members: every instrument that was ever in the theme, in symbol order. panel: of those and the benchmarks. costs:
    by kind. first, last: between which decisions are made. benchmark_mics: as in Known.
    """

    theme: Theme
    members: tuple[Instrument, ...]
    panel: PricePanel
    terms: Terms
    costs: Costs
    first: date
    last: date
    build: BuildSettings = field(default_factory=BuildSettings)
    benchmark_mics: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, market: Market, theme: Theme, settings: BacktestSettings, build: BuildSettings) -> Ground:
        """Return the ground of a theme of a market; of `settings` it takes the span, the costs and the capital."""
        universe, panel = market.universe, market.panel
        members = tuple(each for each in universe.instruments.values() if theme.rule.matches(each))
        wanted = {each.symbol for each in members} | set(universe.benchmarks)
        known = universe.everything()
        kept = [symbol for symbol in panel.symbols if symbol in wanted]
        return cls(
            theme=theme,
            members=members,
            panel=panel.select(kept),
            terms=Terms(
                mics={symbol: each.mic for symbol, each in known.items()},
                domiciles={symbol: each.domicile for symbol, each in known.items()},
                recoveries=market.recoveries,
                capital=settings.capital,
            ),
            costs=settings.costs(),
            first=settings.first(market.request.as_of),
            last=market.request.as_of,
            build=build,
            benchmark_mics={symbol: each.mic for symbol, each in universe.benchmarks.items()},
        )

    def listed(self) -> Callable[[date], tuple[Instrument, ...]]:
        """Return who was in the theme on a date; the same tuple whenever it was the same names."""
        days = {day for each in self.members for day in (each.listed_from, each.delisted_on)}
        changes = sorted(day for day in days if day is not None)
        known: dict[int, tuple[Instrument, ...]] = {}

        def members_on(day: date) -> tuple[Instrument, ...]:
            span = bisect_right(changes, day)  # between two changes it is the same names
            if span not in known:
                known[span] = tuple(each for each in self.members if each.is_listed(day))
            return known[span]

        return members_on


@dataclass(frozen=True, eq=False, slots=True)
class PointResult:
    """What came of one point. returns: simple ones of the sessions after `start`; note: why there are none."""

    point: GridPoint
    start: date | None
    returns: Floats
    performance: Performance | None
    note: str = ""


class Decisions(NamedTuple):
    """D decisions in order: their dates, and D × N target weights of N symbols, sorted."""

    dates: tuple[date, ...]
    symbols: tuple[str, ...]
    weights: Floats


def decide_dates(
    theme: Theme,
    members_on: Callable[[date], Sequence[Instrument]],
    panel: PricePanel,
    dates: Sequence[date],
    settings: BuildSettings,
    known: Known,
) -> Decisions:
    """Decide a theme's portfolio on each of some increasing dates; the only place where a sweep decides anything."""
    made = build_schedule(theme, members_on, panel, dates, settings, known)
    return Decisions(made.decided_on, made.symbols, made.weights)


def batches(points: Sequence[GridPoint], full: int = FULL) -> list[tuple[GridPoint, ...]]:
    """Return points in batches of about `full`; those that share a rule of weights stay together."""
    found: list[tuple[GridPoint, ...]] = []
    for _, group in groupby(sorted(points, key=lambda each: each.rule), key=lambda each: each.rule):
        own = tuple(group)
        if found and len(found[-1]) + len(own) <= full:
            found[-1] += own
        else:
            found.append(own)
    return found


def run_batch(ground: Ground, points: Sequence[GridPoint]) -> list[PointResult]:
    """Return what came of each point, in their order. A point that cannot be decided says why."""
    rules: dict[tuple[object, ...], list[GridPoint]] = {}
    for each in points:
        rules.setdefault(each.rule, []).append(each)
    decided: dict[tuple[object, ...], Decisions | str] = {}
    dates_of: dict[str, Sequence[date]] = {
        words: rebalance_dates(ground.panel.sessions, words, start=ground.first, end=ground.last)
        for words in {each.rebalance for each in points}
    }
    members_on = ground.listed()
    for own in rules.values():
        decided.update(_decide_rule(ground, own, dates_of, members_on))
    found: dict[GridPoint, PointResult] = {}
    stacks: dict[tuple[object, ...], dict[tuple[object, ...], list[GridPoint]]] = {}
    for each in points:
        decisions = decided[each.task]
        if isinstance(decisions, str):
            found[each] = PointResult(each, None, np.empty(0), None, decisions)
            continue
        alike = (decisions.dates[0], each.execution, each.cost_bps is None)
        stacks.setdefault(alike, {}).setdefault(each.task, []).append(each)
    for tasks in stacks.values():
        for part in _in_room(ground, tasks, decided):
            found.update((each.point, each) for each in _trade(ground, part, decided))
    return [found[each] for each in points]


def _decide_rule(
    ground: Ground,
    points: Sequence[GridPoint],
    dates_of: Mapping[str, Sequence[date]],
    members_on: Callable[[date], tuple[Instrument, ...]],
) -> dict[tuple[object, ...], Decisions | str]:
    """Decide all schedules of one rule; what they share of dates is decided once.

    From the first decision on that holds anything: the record does not start with years of cash.
    """
    point = points[0]
    theme = point.theme(ground.theme)
    tasks = {each.task: each.rebalance for each in points}
    dates = {task: dates_of[words] for task, words in tasks.items()}
    alone = any(each.subject in ON_HOLDINGS for each in theme_limits(theme))
    together: list[Sequence[date]] = list(dates.values())
    if not alone:
        together = [sorted({day for each in dates.values() for day in each})]
    known = Known(benchmark_mics=ground.benchmark_mics)
    made = []
    try:
        for each in together:
            args = (theme, members_on, ground.panel, each, point.settings(ground.build), known)
            made.append(decide_dates(*args))
    except ScreenerError as error:
        return dict.fromkeys(tasks, "; ".join(error.problems))
    whole = made if alone else made * len(tasks)
    return {
        task: _invested(_rows(every, dates[task]), f"no {words} rebalance falls in the span")
        for (task, words), every in zip(tasks.items(), whole, strict=True)
    }


def _rows(decisions: Decisions, dates: Sequence[date]) -> Decisions:
    place = {day: at for at, day in enumerate(decisions.dates)}
    weights = decisions.weights[[place[day] for day in dates]] if dates else decisions.weights[:0]
    return Decisions(tuple(dates), decisions.symbols, weights)


def _invested(decisions: Decisions, empty: str) -> Decisions | str:
    if not decisions.dates:
        return empty
    rows = np.flatnonzero((decisions.weights > 0).any(axis=1))
    if not len(rows):
        return "no member has enough history for a backtest"
    ever = np.flatnonzero((decisions.weights[rows[0] :] > 0).any(axis=0))
    symbols = tuple(decisions.symbols[at] for at in ever)
    return Decisions(decisions.dates[rows[0] :], symbols, decisions.weights[rows[0] :, ever])


Tasks = dict[tuple[object, ...], list[GridPoint]]


def _in_room(
    ground: Ground, tasks: Tasks, decided: Mapping[tuple[object, ...], Decisions | str]
) -> Iterable[Tasks]:
    """Split tasks so that the states of an account stay within MOST_STATES numbers, but never a task."""
    part: Tasks = {}
    symbols: set[str] = set()
    days: set[date] = set()
    count = 0
    for task, points in tasks.items():
        decisions = decided[task]
        assert isinstance(decisions, Decisions)
        more_symbols, more_days = symbols | set(decisions.symbols), days | set(decisions.dates)
        # a decision is followed by a fill on each exchange, and dividends and splits come beside it
        events = min(3 * len(more_days), len(ground.panel.sessions))
        more = count + len(points) + 1
        if part and more * events * len(more_symbols) > MOST_STATES:
            yield part
            part, more_symbols, more_days = {}, set(decisions.symbols), set(decisions.dates)
            more = len(points) + 1
        part[task] = points
        symbols, days, count = more_symbols, more_days, more
    yield part


def _trade(
    ground: Ground, tasks: Tasks, decided: Mapping[tuple[object, ...], Decisions | str]
) -> list[PointResult]:
    """Trade tasks that start on the same date, with the same execution and kind of costs, over one tape."""
    schedules = {task: each for task in tasks if isinstance(each := decided[task], Decisions)}
    point = next(iter(tasks.values()))[0]
    symbols = sorted({symbol for each in schedules.values() for symbol in each.symbols})
    panel = ground.panel
    start = int(panel.sessions.searchsorted(pd.Timestamp(next(iter(schedules.values())).dates[0])))
    sessions = panel.sessions[start:]
    if len(sessions) < FEWEST_SESSIONS:
        few = f"only {len(sessions)} sessions of history; a backtest needs {FEWEST_SESSIONS}"
        return [PointResult(p, None, np.empty(0), None, few) for each in tasks.values() for p in each]
    tape, rates = _market_of(ground, point, symbols, start)
    variants: list[Variant] = []
    places: list[tuple[GridPoint, int, int]] = []  # point, number of its account and of the one without costs
    place = {symbol: at for at, symbol in enumerate(symbols)}
    for task, points in tasks.items():
        decisions, band = schedules[task], parse_schedule(points[0].rebalance).band
        targets = np.zeros((len(decisions.dates), len(symbols)))
        targets[:, [place[symbol] for symbol in decisions.symbols]] = decisions.weights
        decided_on = sessions.searchsorted(pd.DatetimeIndex(decisions.dates))
        free = len(variants)
        variants.append(Variant(decided_on, targets, 0.0, 0.0, band))
        for own in points:
            places.append((own, len(variants), free))
            scale, impact = own.cost_scale, own.cost_scale
            if own.cost_bps is not None:
                scale, impact = own.cost_bps / 1e4, 0.0
            variants.append(Variant(decided_on, targets, scale, impact, band))
    account = run_account(tape, rates, variants, detail=False)
    benchmark = benchmark_wealth(panel, ground.theme.benchmark, sessions) if ground.theme.benchmark else None
    return [_result(account, each, variants, (sessions, benchmark)) for each in places]


def _market_of(ground: Ground, point: GridPoint, symbols: Sequence[str], start: int) -> tuple[Tape, Rates]:
    terms = Terms(
        ground.terms.mics,
        ground.terms.domiciles,
        ground.terms.recoveries,
        point.execution,
        ground.terms.capital,
    )
    costs = ground.costs if point.cost_bps is None else Costs(withholding=ground.costs.withholding)
    tape = make_tape(ground.panel, symbols, start, terms, costs)
    rates = make_rates(ground.panel, symbols, tape, terms, Costs() if point.cost_bps is not None else costs)
    if point.cost_bps is not None:
        # a rate of one, so that the scale of each variant is its cost to the last bit
        one = np.ones_like(rates.buy)
        rates = Rates(one, one, None, rates.row_of)
    return tape, rates


def _result(
    account: Account,
    place: tuple[GridPoint, int, int],
    variants: Sequence[Variant],
    index: tuple[pd.DatetimeIndex, pd.Series | None],
) -> PointResult:
    (point, number, free), (sessions, benchmark) = place, index
    wealth = pd.Series(np.ascontiguousarray(account.wealth[:, number]), index=sessions, name="wealth")
    gross = pd.Series(np.ascontiguousarray(account.wealth[:, free]), index=sessions, name="gross")
    rows = variants[number].decided
    before = np.asarray(wealth, dtype=np.float64)[rows]
    turnover = pd.Series(one_way(account.traded[: len(rows), number], before))
    figures = summarise(wealth, benchmark=benchmark, gross=gross, turnover=turnover)
    return PointResult(point, sessions[0].date(), simple_returns(wealth), figures)
