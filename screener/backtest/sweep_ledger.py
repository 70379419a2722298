"""Every variant of a sweep is a trial, and the ledger counts it with those tried before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from screener.backtest.ledger import Variant, read_ledger, record, trial_of, weekly_matrix
from screener.backtest.sweep import PointResult
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.sweep_run import Sweep
from screener.backtest.theme import BacktestSettings
from screener.backtest.validity import search_of
from screener.backtest.variant import variant_of
from screener.market.load import Market
from screener.portfolio.build import BuildSettings
from screener.universe.model import Theme

if TYPE_CHECKING:
    from screener.backtest.validity import Search

WEEKS_PER_YEAR = 365.25 / 7


def record_sweep(
    path: Path, market: Market, theme: Theme, sweep: Sweep, settings: BacktestSettings, build: BuildSettings
) -> Search:
    """Record the variants of a sweep and return what all trials of the theme amount to, per session of this sweep.

    Raises ScreenerError when the ledger cannot be read or written.
    """
    request, universe, synthetic = market.request, market.universe, market.panel.synthetic
    offered = []
    for each in sweep.results:
        if each.performance is None:
            continue
        wealth = _wealth(each, sweep.sessions)
        variant = variant_of_point(each.point, market, theme, settings, build)
        trial = trial_of(
            variant,
            wealth,
            as_of=request.as_of,
            recorded_at=request.now,
            prices_hash=market.prices_hash,
        )
        offered += [] if trial is None else [trial]
    record(path, offered)
    tried = read_ledger(path).of(universe.key, theme.key, synthetic=synthetic)
    search = search_of(weekly_matrix(tried))
    longest = max(len(each.returns) for each in sweep.results)
    sessions = sweep.sessions[len(sweep.sessions) - longest - 1 :]
    per_year = longest / ((sessions[-1] - sessions[0]).days / 365.25)
    # the ledger's Sharpe ratios are per week, those of a sweep per session: the square root of time
    per_session = search.expected_maximum * float(np.sqrt(WEEKS_PER_YEAR / per_year))
    return replace(search, expected_maximum=per_session)


def variant_of_point(
    point: GridPoint, market: Market, theme: Theme, settings: BacktestSettings, build: BuildSettings
) -> Variant:
    """Return the variant that a point is; the same as of `screener backtest` with these settings."""
    return variant_of(
        market,
        point.theme(theme),
        replace(settings, frequency=point.rebalance, execution=point.execution, cost_bps=point.cost_bps),
        point.settings(build),
        point.cost_scale,
    )


def _wealth(result: PointResult, sessions: pd.DatetimeIndex) -> pd.Series:
    """Return the wealth that a result's returns come from, starting at 1."""
    levels = np.concatenate([[1.0], np.cumprod(1.0 + result.returns)])
    return pd.Series(levels, index=sessions[len(sessions) - len(levels) :])
