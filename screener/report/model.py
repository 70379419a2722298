"""What a weekly report is made from: everything the use cases computed, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from screener.backtest.engine import Backtest
from screener.backtest.performance import Performance
from screener.market.panel import PricePanel, SymbolState
from screener.market.quality import Finding
from screener.portfolio.build import Rebalance
from screener.screening.rules import ScreenResult
from screener.universe.model import Theme, Universe


@dataclass(frozen=True, slots=True)
class RunFacts:
    """How a report came to be; everything needed to make it again."""

    version: str
    command: str  # the command that makes this page again
    generated_at: datetime  # UTC, the clock handed in by the command line
    as_of: date
    base_currency: str
    source: str  # yahoo, files, sample
    source_identity: str
    synthetic: bool
    universe_hash: str
    prices_hash: str
    settings: Mapping[str, str]  # rebalance schedule, costs, method, lookback …


@dataclass(frozen=True, eq=False, slots=True)
class ThemeResult:
    """One theme: today's portfolio, its backtest and how the benchmark did over the same days."""

    theme: Theme
    members: tuple[str, ...]
    rebalance: Rebalance
    backtest: Backtest | None  # None when there is too little history; `note` says why
    performance: Performance | None
    benchmark: str
    benchmark_wealth: pd.Series | None  # aligned with backtest.wealth, starting at 1
    benchmark_performance: Performance | None
    note: str


@dataclass(frozen=True, eq=False, slots=True)
class WeeklyInputs:
    """Everything the use cases computed, as handed to `assemble`."""

    run: RunFacts
    universe: Universe
    panel: PricePanel  # instruments and benchmarks
    states: Mapping[str, SymbolState]
    failures: Mapping[str, str]  # symbol → why its download failed in this run
    findings: tuple[Finding, ...]
    screens: tuple[ScreenResult, ...]
    themes: tuple[ThemeResult, ...]
    warnings: tuple[str, ...]
