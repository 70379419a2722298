"""Apply a ScreenSpec to a metrics table: who passes, why the others do not, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False, slots=True)
class ScreenResult:
    """The outcome of one screen.

    metrics: N × M, every symbol that was judged. passed: N × R bool, one column a rule, named like "adv >= 1e+06".
    score: N, weighted mean percentile in [0, 1] among those that pass, NaN for the others.
    rank: those that pass → 1, 2, … best first. reasons: each rejected symbol → its reasons with numbers.
    """

    screen: str
    metrics: pd.DataFrame
    passed: pd.DataFrame
    score: pd.Series
    rank: pd.Series
    reasons: Mapping[str, tuple[str, ...]]
