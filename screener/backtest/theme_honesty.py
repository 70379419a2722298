"""Everything that can be asked about how far a theme's record can be trusted, gathered from its market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.audit import Audit, audit
from screener.backtest.honesty import Honesty, deflated_by_search
from screener.backtest.ledger import (
    Trial,
    friday_returns,
    read_ledger,
    record,
    trial_of,
    weekly_matrix,
)
from screener.backtest.luck import Spread, SubPeriod, dependence, spread, start_luck, sub_periods
from screener.backtest.overfitting import (
    Overfitting,
    Superiority,
    backtest_overfitting,
    superior_predictive_ability,
)
from screener.backtest.performance import simple_returns
from screener.backtest.placebo import Placebo, PlaceboSettings, placebo_themes, with_recoveries
from screener.backtest.schedule import parse_schedule
from screener.backtest.shared import Shared
from screener.backtest.theme import BacktestSettings, ThemeResult, rebalanced_later
from screener.backtest.validity import search_of
from screener.backtest.variant import variant_of
from screener.market.load import Market
from screener.market.panel import PricePanel
from screener.portfolio.build import BuildSettings
from screener.universe.model import Theme

Floats = npt.NDArray[np.float64]
FEWEST_VARIANTS = 4  # of a search whose overfitting can be measured
FEWEST_WEEKS = 52


@dataclass(frozen=True, slots=True)
class HonestySettings:
    """What is looked at. ledger: where every backtest is recorded; None: nowhere, and only this one counts.

    baskets: random ones drawn; 0: none. days: days of rebalance that are tried, evenly spread over the period; 1: none.
    until: trials recorded later do not count; None: all count. record: write this trial to the ledger.
    """

    ledger: Path | None = None
    baskets: int = 1000
    days: int = 21
    until: datetime | None = None
    record: bool = True


def theme_honesty(
    market: Market,
    result: ThemeResult,
    settings: BacktestSettings,
    build: BuildSettings,
    look: HonestySettings,
    shared: Shared | None = None,
) -> Honesty | None:
    """Return what survives of a theme's record, None when there is too little of it.

    The record counts as a trial: it is written to the ledger, and judged by all trials of its theme in there.
    """
    run, performance, validity = result.backtest, result.performance, result.validity
    if run is None or performance is None or validity is None:
        return None
    theme, wealth = result.theme, run.wealth
    trials = _trials(market, result, settings, build, look)
    matrix = weekly_matrix(trials)
    search = search_of(matrix)
    returns = simple_returns(wealth)
    benchmark = result.benchmark_performance
    return Honesty(
        theme=theme.label,
        method=theme.method,
        benchmark="" if benchmark is None else theme.benchmark,
        cagr=performance.cagr,
        benchmark_cagr=None if benchmark is None else benchmark.cagr,
        validity=validity,
        search=search,
        deflated_sharpe=deflated_by_search(returns, len(returns) / validity.years, search),
        placebo=_placebo(market, result, build, look.baskets, shared) if look.baskets else None,
        overfitting=_overfitting(matrix),
        superiority=_superiority(trials, result),
        dependence=dependence(wealth, run.weights_held, market.panel.prices),
        start_dates=start_luck(wealth),
        rebalance_days=_rebalance_days(market, result, settings, build, look.days),
        halves=_halves(wealth),
        hindsight=theme.known_from is not None and performance.start < theme.known_from,
    )


def audit_theme(
    market: Market, theme: Theme, settings: BacktestSettings, build: BuildSettings, cuts: int = 10
) -> Audit:
    """Return whether any decision or wealth of a theme's backtest changes when everything after a date does."""

    def run(panel: PricePanel) -> tuple[pd.DataFrame, pd.Series]:
        found = rebalanced_later(replace(market, panel=panel), theme, settings, build, 0)
        if found is None:
            raise ValueError("there is no backtest to audit")
        weights = pd.DataFrame(
            [each.weights for each in found.schedule],
            index=pd.DatetimeIndex([each.decided_on for each in found.schedule]),
        )
        return weights.reindex(columns=panel.symbols).fillna(0.0), found.wealth

    return audit(run, market.panel, cuts=cuts)


def _trials(
    market: Market,
    result: ThemeResult,
    settings: BacktestSettings,
    build: BuildSettings,
    look: HonestySettings,
) -> tuple[Trial, ...]:
    """Record the trial, and return all trials of its theme, this one among them."""
    assert result.backtest is not None
    theme, universe = result.theme, market.universe
    variant = variant_of(market, theme, settings, build)
    trial = trial_of(
        variant,
        result.backtest.wealth,
        as_of=market.request.as_of,
        recorded_at=market.request.now,
        prices_hash=market.prices_hash,
    )
    if trial is None or look.ledger is None:
        return () if trial is None else (trial,)
    if look.record:
        record(look.ledger, [trial])
    trials = read_ledger(look.ledger, look.until).of(
        universe.key, theme.key, synthetic=market.panel.synthetic
    )
    return trials if any(each.variant.key == variant.key for each in trials) else (*trials, trial)


def _overfitting(matrix: Floats) -> Overfitting | None:
    """Return how often the best trial disappoints, over the weeks that all have; None with few trials or weeks."""
    if matrix.shape[1] < FEWEST_VARIANTS:
        return None
    return backtest_overfitting(matrix[np.isfinite(matrix).all(axis=1)])


def _superiority(trials: Sequence[Trial], result: ThemeResult) -> Superiority | None:
    """Return Hansen's test of the trials against the benchmark, None with few trials or weeks."""
    if result.benchmark_wealth is None or len(trials) < FEWEST_VARIANTS:
        return None
    own = pd.concat([each.weekly for each in trials], axis=1, sort=True)
    excess = own.sub(friday_returns(result.benchmark_wealth), axis=0).dropna()
    if len(excess) < FEWEST_WEEKS or not (excess.std() > 1e-12).all():
        return None
    return superior_predictive_ability(excess.to_numpy())


def _placebo(
    market: Market, result: ThemeResult, build: BuildSettings, baskets: int, shared: Shared | None
) -> Placebo | None:
    assert result.backtest is not None
    instruments = market.universe.instruments
    names = [symbol for symbol in market.panel.symbols if symbol in instruments]
    decisions = [each.decided_on for each in result.backtest.schedule]
    listed = pd.DataFrame(
        [[instruments[symbol].is_listed(day) for symbol in names] for day in decisions],
        index=pd.DatetimeIndex(decisions),
        columns=names,
    )
    members = tuple({each.symbol for day in decisions for each in market.universe.members(result.theme, day)})
    asked = PlaceboSettings(
        method=result.theme.method,
        lookback_weeks=build.lookback_weeks,
        min_history_weeks=build.min_history_weeks,
        cost_bps=result.backtest.cost_bps,
        baskets=baskets,
    )
    prices = with_recoveries(market.panel.prices[names], market.recoveries)
    return placebo_themes(prices, members, decisions, asked, listed, shared)


def _rebalance_days(
    market: Market, result: ThemeResult, settings: BacktestSettings, build: BuildSettings, days: int
) -> Spread | None:
    """Return how far the record lies apart by the day of the period on which it is decided."""
    rule = parse_schedule(settings.frequency)
    if days < 2 or rule.on_screen or settings.tranches > 1:
        return None
    assert result.backtest is not None
    tried = min(days, rule.length)  # a whole period later is the same day again
    shifts = sorted({round(number * rule.length / tried) for number in range(1, tried)})
    wealths: dict[str, pd.Series] = {"as decided": result.backtest.wealth}
    for shift in shifts:
        run = rebalanced_later(market, result.theme, settings, build, shift)
        if run is not None:
            wealths[f"{shift} sessions later"] = run.wealth
    return spread(_over_the_same_days(wealths))


def _over_the_same_days(wealths: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    start = max(each.index[0] for each in wealths.values())
    return {label: each[each.index >= start] for label, each in wealths.items()}


def _halves(wealth: pd.Series) -> tuple[SubPeriod, SubPeriod] | None:
    parts = {each.label: each for each in sub_periods(wealth)}
    if "first half" not in parts or "second half" not in parts:
        return None
    return parts["first half"], parts["second half"]
