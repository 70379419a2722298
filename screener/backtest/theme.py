"""A theme of a market walked forward with the same `build` as the live proposal, beside what else could be held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from screener.backtest.capacity import capacity, capital_curve
from screener.backtest.engine import Backtest, Plan, benchmark_wealth, simulate, target_weights
from screener.backtest.honesty import Honesty
from screener.backtest.membership import Survivorship, membership_changes, survivorship
from screener.backtest.performance import Performance, cagr, summarise
from screener.backtest.schedule import Schedule, parse_schedule, staggered_dates
from screener.backtest.shared import Shared
from screener.backtest.tape import CAPITAL, EXECUTIONS, Terms
from screener.backtest.validity import Validity, assess
from screener.errors import UserError, unknown
from screener.market.load import Market
from screener.portfolio.build import (
    BuildSettings,
    Known,
    Members,
    Rebalance,
    WeightSchedule,
    build_schedule,
)
from screener.portfolio.costs import SHIPPED, Costs, load_costs
from screener.portfolio.weighting import TODAY_ONLY
from screener.screening.market_screen import ScreenSettings, screen
from screener.universe.model import Instrument, Theme

FEWEST_SESSIONS = 60  # a shorter backtest says nothing, and the result says so instead
EQUAL_WEIGHT, BUY_AND_HOLD = "equal weight", "buy and hold"  # the whole universe; the first portfolio


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """How a theme is walked forward.

    frequency: see schedule.parse_schedule. cost_bps: one cost for every trade; None: costs by kind, of costs_file or
    those shipped. years: back from the as-of date, unless `start` says when. execution: close or open. capital: base
    currency, which market impact depends on. tranches: parts that rebalance on staggered dates. screen: members must
    pass it at each rebalance. withholding: dividends lose the tax their country keeps back.
    """

    frequency: str = "monthly"
    cost_bps: float | None = None
    years: int = 5
    start: date | None = None
    execution: str = "close"
    capital: float = CAPITAL
    tranches: int = 1
    screen: str = ""
    withholding: bool = False
    costs_file: Path | None = None

    def costs(self) -> Costs:
        """Return what trading costs."""
        if self.cost_bps is None:
            return load_costs(self.costs_file or SHIPPED, withholding=self.withholding)
        if self.costs_file is not None:
            raise UserError("--cost-bps is one cost for every trade and needs no --costs file")
        kept = load_costs(withholding=True).withholding if self.withholding else {}
        return replace(Costs.flat(self.cost_bps), withholding=kept)

    def first(self, as_of: date) -> date:
        """Return the first date on which a theme may be decided."""
        if self.start is not None:
            return self.start
        return (pd.Timestamp(as_of) - pd.DateOffset(years=self.years)).date()

    def cost_words(self) -> str:
        """Return the costs in words."""
        if self.cost_bps is not None:
            return f"{self.cost_bps:g} bps of value traded"
        return f"by kind and exchange ({(self.costs_file or SHIPPED).name})"


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """What else could have been held over the sessions of a backtest; wealth starts at 1, in base currency."""

    name: str
    wealth: pd.Series
    performance: Performance
    beta: float  # of the theme to it, from weekly returns
    tracking_error: float
    information_ratio: float


@dataclass(frozen=True, eq=False, slots=True)
class ThemeResult:
    """One theme: today's portfolio, its backtest and how the benchmark did over the same days.

    comparisons: the theme's benchmark first, then the equal-weight universe and the first names bought and held.
    since_known: statistics of the part that was not hindsight, None where there is none or all is. membership: a row an
    entry or exit: decided_on, symbol, change, reason. survivorship: the names that died. capacity: base
    currency at which market impact has eaten half of the lead over the benchmark, inf beyond what was asked, None
    without a lead or an impact. honesty: what survives of the record. equal_weight: the universe in equal parts.
    """

    theme: Theme
    members: tuple[str, ...]
    rebalance: Rebalance
    backtest: Backtest | None  # None when there is too little history; `note` says why
    performance: Performance | None
    benchmark: str
    benchmark_wealth: pd.Series | None  # aligned with backtest.wealth, starting at 1
    benchmark_performance: Performance | None
    note: str
    validity: Validity | None = None  # how far the record can be trusted
    comparisons: tuple[Comparison, ...] = ()
    since_known: Performance | None = None
    membership: pd.DataFrame | None = None
    survivorship: Survivorship | None = None
    capacity: float | None = None
    honesty: Honesty | None = None
    equal_weight: Backtest | None = None

    @property
    def portfolios(self) -> dict[str, pd.Series]:
        """Return T wealth by name, the theme's first, then what else could have been held; empty without a backtest."""
        if self.backtest is None:
            return {}
        others = {each.name: each.wealth for each in self.comparisons}
        return {self.theme.key: self.backtest.wealth, **others}


def check_settings(market_screens: Sequence[str], settings: BacktestSettings) -> Schedule:
    """Return the schedule of settings that make sense; raises UserError. Asks for no prices."""
    schedule = parse_schedule(settings.frequency)
    if settings.screen and settings.screen not in market_screens:
        raise UserError(unknown("--screen", settings.screen, list(market_screens)))
    if schedule.on_screen and not settings.screen:
        raise UserError("--rebalance screen needs --screen NAME: the screen whose changes are followed")
    if settings.execution not in EXECUTIONS:
        raise UserError(unknown("--execution", settings.execution, list(EXECUTIONS)))
    if settings.tranches > 1 and schedule.on_screen:
        raise UserError("--tranches staggers dates; --rebalance screen has none of its own")
    settings.costs()
    return schedule


def walk_theme(
    market: Market,
    theme: Theme,
    settings: BacktestSettings,
    build_settings: BuildSettings,
    shared: Shared | None = None,
) -> ThemeResult:
    """Walk a theme forward and put it beside its benchmark, the equal-weight universe and its own first names.

    shared: of the themes of this market walked with the same settings.
    Raises UserError for settings that make no sense and for a method that knows only today.
    """
    rule = check_settings(list(market.universe.screens), settings)
    if theme.method in TODAY_ONLY:
        raise UserError(
            f"{theme.method} is known of today only and cannot be backtested; build {theme.key} with it"
        )
    walk = _Walk(market, theme, settings, build_settings)
    today = walk.decided([market.request.as_of])[0]
    members = tuple(each.symbol for each in market.universe.members(theme, market.request.as_of))
    result = ThemeResult(theme, members, today, None, None, theme.benchmark, None, None, "")
    dates, tranches = walk.dates(rule)
    if not dates:
        span = f"{settings.first(market.request.as_of)} and {market.request.as_of}"
        return replace(result, note=f"no {settings.frequency} rebalance falls between {span}")
    walked = walk.run(rule, dates, tranches)
    if walked is None:
        return replace(result, note="no member has enough history for a backtest")
    run, plan = walked
    if len(run.wealth) < FEWEST_SESSIONS:
        few = f"only {len(run.wealth)} sessions of history; a backtest needs {FEWEST_SESSIONS}"
        return replace(result, note=few)
    return _beside_others(walk, result, (run, plan), shared or Shared())


def rebalanced_later(
    market: Market, theme: Theme, settings: BacktestSettings, build: BuildSettings, sessions: int
) -> Backtest | None:
    """Return the theme's backtest with every decision so many sessions later; None if it never holds anything."""
    rule = parse_schedule(settings.frequency)
    walk = _Walk(market, theme, settings, build)
    dates, tranches = walk.dates(rule, sessions)
    walked = walk.run(rule, dates, tranches) if dates else None
    return None if walked is None else walked[0]


def _renumbered(tranches: tuple[int, ...]) -> tuple[int, ...]:
    used = sorted(set(tranches))
    return tuple(used.index(each) for each in tranches) if len(used) > 1 else ()


@dataclass(frozen=True, eq=False, slots=True)
class _Walk:
    """A theme's decisions, each from what was known on its date."""

    market: Market
    theme: Theme
    settings: BacktestSettings
    build: BuildSettings

    @property
    def terms(self) -> Terms:
        """Return what the theme trades under."""
        known = self.market.universe.everything()
        return Terms(
            mics={symbol: each.mic for symbol, each in known.items()},
            domiciles={symbol: each.domicile for symbol, each in known.items()},
            recoveries=self.market.recoveries,
            execution=self.settings.execution,
            capital=self.settings.capital,
        )

    def dates(self, rule: Schedule, later: int = 0) -> tuple[list[date], tuple[int, ...]]:
        """Return the dates of decisions, each so many sessions later, and each one's tranche."""
        dates, tranches = staggered_dates(
            self.market.panel.sessions,
            rule,
            self.settings.tranches,
            start=self.settings.first(self.market.request.as_of),
            end=self.market.request.as_of,
            offset=later,
        )
        if rule.on_screen:
            dates = _when_changed(dates, self.members)
            tranches = (0,) * len(dates)
        return dates, tranches

    def members(self, day: date) -> tuple[Instrument, ...]:
        """Return the theme's instruments listed on a date, of those that pass the screen asked for."""
        listed = self.market.universe.members(self.theme, day)
        if not self.settings.screen:
            return listed
        judged = screen(self.market, self.settings.screen, ScreenSettings(theme=self.theme.key), on=day)
        passing = set(judged.rank.index)
        return tuple(each for each in listed if each.symbol in passing)

    def schedule(self, dates: list[date], tranches: tuple[int, ...]) -> Sequence[Rebalance]:
        """Return the decisions; each tranche knows what its own last one has drifted to."""
        if len(set(tranches)) == 1:
            return self.decided(dates)
        of = [
            [day for day, own in zip(dates, tranches, strict=True) if own == number]
            for number in set(tranches)
        ]
        made = {each.decided_on: each for some in of for each in self.decided(some)}
        return [made[day] for day in dates]

    def decided(self, dates: list[date]) -> WeightSchedule:
        """Return the portfolios decided at the end of each date, all at once and each as if alone."""
        mics = {symbol: each.mic for symbol, each in self.market.universe.benchmarks.items()}
        members = (
            self.members if self.settings.screen else Members(self.market.universe.belonging(self.theme))
        )
        known = Known(benchmark_mics=mics)
        return build_schedule(self.theme, members, self.market.panel, dates, self.build, known)

    def run(
        self, rule: Schedule, dates: list[date], tranches: tuple[int, ...]
    ) -> tuple[Backtest, Plan] | None:
        """Decide and trade the dates; None if there is never anything to hold."""
        schedule = self.schedule(dates, tranches)
        targets = target_weights(schedule)[1]
        invested = next(iter(np.flatnonzero(targets.any(axis=1)).tolist()), None)
        if invested is None:
            return None
        # the record starts with the first portfolio, not with the years of cash before it
        plan = Plan(rule.band, _renumbered(tranches[invested:]))
        kept = schedule[invested:]
        return simulate(kept, self.market.panel, self.settings.costs(), self.terms, plan), plan


def _when_changed(dates: list[date], members: Callable[[date], Sequence[Instrument]]) -> list[date]:
    kept, last = [], None
    for day in dates:
        now = {each.symbol for each in members(day)}
        if now != last:
            kept.append(day)
            last = now
    return kept


def _beside_others(
    walk: _Walk, result: ThemeResult, walked: tuple[Backtest, Plan], shared: Shared
) -> ThemeResult:
    """Add a backtest, its statistics, and what else could have been held."""
    (run, plan), theme, panel = walked, result.theme, walk.market.panel
    sessions = pd.DatetimeIndex(run.wealth.index)
    against = benchmark_wealth(panel, theme.benchmark, sessions) if theme.benchmark else None
    missing = against is None and theme.benchmark
    others = {} if against is None else {theme.benchmark: against}
    dates = tuple(each.decided_on for each in run.schedule)
    chain = shared.once((EQUAL_WEIGHT, dates), lambda: equal_weight_universe(walk.market, run, walk.terms))
    others[EQUAL_WEIGHT] = chain.wealth
    if len(run.schedule) > 1:
        held = simulate(run.schedule[:1], panel, run.costs, walk.terms)
        others[BUY_AND_HOLD] = held.wealth
    return replace(
        result,
        backtest=run,
        equal_weight=chain,
        performance=summarise(run.wealth, benchmark=against, gross=run.gross, turnover=run.turnover),
        validity=assess(run.wealth, against),
        benchmark_wealth=against,
        benchmark_performance=None if against is None else summarise(against),
        note=f"{theme.benchmark} has no prices over the backtest" if missing else "",
        comparisons=tuple(_compared(name, run.wealth, wealth) for name, wealth in others.items()),
        since_known=_since_known(theme, run, against),
        membership=membership_changes(run.schedule),
        survivorship=survivorship(walk.market, theme, sessions[0].date()),
        capacity=None if against is None else _capacity(walk, run, plan, cagr(against)),
    )


def _capacity(walk: _Walk, run: Backtest, plan: Plan, benchmark: float) -> float | None:
    if not run.costs.impact_coefficient or not cagr(run.wealth) > benchmark:
        return None
    found = capacity(capital_curve(run, walk.market.panel, walk.terms, plan=plan), benchmark)
    return None if np.isnan(found) else found


def _compared(name: str, own: pd.Series, other: pd.Series) -> Comparison:
    relative = summarise(own, benchmark=other)
    return Comparison(
        name,
        other,
        summarise(other),
        relative.beta,
        relative.tracking_error,
        relative.information_ratio,
    )


def equal_weight_universe(market: Market, run: Backtest, terms: Terms) -> Backtest:
    """Return the whole universe held in equal parts, decided and traded when the backtest was, at the same costs."""
    prices = market.panel.prices
    schedule = []
    for each in run.schedule:
        row = prices.loc[pd.Timestamp(each.decided_on)]
        listed = [symbol for symbol in market.universe.listed(each.decided_on) if symbol in prices.columns]
        names = sorted(str(symbol) for symbol in row[listed].dropna().index)
        weights = pd.Series(1.0 / max(len(names), 1), index=pd.Index(names, dtype="str"))
        cash = 1.0 - float(weights.sum())
        schedule.append(
            Rebalance("universe", each.decided_on, "equal", weights, cash, weights, float("nan"), (), {})
        )
    return simulate(schedule, market.panel, run.costs, terms)


def _since_known(theme: Theme, run: Backtest, against: pd.Series | None) -> Performance | None:
    """Return the statistics from the date on which the theme could be known, if that lies within the record."""
    if theme.known_from is None:
        return None
    since = pd.Timestamp(theme.known_from)
    wealth = run.wealth[run.wealth.index >= since]
    if len(wealth) < FEWEST_SESSIONS or len(wealth) == len(run.wealth):
        return None
    gross = run.gross[wealth.index]
    turnover = run.turnover[run.turnover.index >= since]
    benchmark = None if against is None else against[wealth.index]
    return summarise(wealth, benchmark=benchmark, gross=gross, turnover=turnover)
