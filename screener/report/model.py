"""The values of one weekly report, complete: rendering them needs no further calculation.

`assemble` turns what the use cases computed into masthead, headline, key points, figures and sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

import pandas as pd

from screener.backtest.theme import ThemeResult
from screener.market.earnings import EarningsDates
from screener.market.panel import PricePanel, SymbolState
from screener.market.quality import Finding
from screener.report.blocks import Section
from screener.screening.history import ScreenHistory
from screener.screening.rules import ScreenResult
from screener.universe.model import Universe

if TYPE_CHECKING:
    from screener.report.changes import Changes
    from screener.report.memory import PassedOver


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
class WeeklyInputs:
    """Everything the use cases computed, as handed to `assemble`."""

    run: RunFacts
    universe: Universe
    panel: PricePanel  # instruments and benchmarks
    states: Mapping[str, SymbolState]
    failures: Mapping[str, str]  # symbol → why its download failed in this run
    findings: tuple[Finding, ...]
    screens: tuple[ScreenResult, ...]
    histories: Mapping[str, ScreenHistory]  # screen → who passed on each of the last weeks
    themes: tuple[ThemeResult, ...]
    warnings: tuple[str, ...]
    language: str = "en"
    earnings: EarningsDates | None = None  # None: not asked for
    stress: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # theme → a row a shock, of stress_table
    changes: Changes | None = None  # since the last report of this universe; None: there is none
    passed_over: tuple[PassedOver, ...] = ()  # newer reports that nothing can be compared with
    prices_as_stored_at: datetime | None = None  # UTC; None: when the report was made
    provenance: Mapping[str, object] = field(default_factory=dict)  # of provenance.py, for run.json


@dataclass(frozen=True, slots=True)
class Masthead:
    """What stands on top of the page. A banner is "" when there is nothing to warn of."""

    kicker: str  # week, date and currency
    title: str
    synthetic_banner: str
    data_banner: str
    footer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyPoint:
    """One of the three sentences beside the headline, and the section that shows more."""

    label: str
    words: str
    section: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the six figures under the headline, already written, and what to compare it with."""

    label: str
    value: str
    comparison: str


@dataclass(frozen=True, eq=False, slots=True)
class WeeklyReport:
    """One weekly report: values and sentences, no calculation left to do.

    tables: by file name without ending, what is written as CSV; numbers in the units of the program
    (fractions, base currency). record: what run.json says, JSON types and NaN only.
    """

    run: RunFacts
    language: str
    masthead: Masthead
    headline: str
    key_points: tuple[KeyPoint, ...]
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    record: Mapping[str, object]


def assemble(inputs: WeeklyInputs) -> WeeklyReport:
    """Return the report of one week. Pure: the same inputs give the same report."""
    # sections and sentences read WeeklyInputs, so they are imported once this module exists
    from screener.report.headline import figures, headline, key_points, masthead
    from screener.report.record import record_of
    from screener.report.sections import section_functions
    from screener.report.tables import tables_of

    sections = tuple(section(inputs) for section in section_functions())
    return WeeklyReport(
        run=inputs.run,
        language=inputs.language,
        masthead=masthead(inputs),
        headline=headline(inputs),
        key_points=key_points(inputs),
        figures=figures(inputs),
        sections=sections,
        warnings=inputs.warnings,
        tables=tables_of(inputs),
        record=record_of(inputs),
    )
