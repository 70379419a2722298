"""What survives of a record: the numbers of the paragraph in plain words, and which of them luck cannot explain.

The words are report/honesty_words.py's, so that they can be had in more than one language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from screener.backtest.validity import (
    CONFIDENCE,
    Floats,
    Search,
    Validity,
    probabilistic_sharpe_ratio,
)

if TYPE_CHECKING:
    from screener.backtest.luck import Dependence, Spread, SubPeriod
    from screener.backtest.overfitting import Overfitting, Superiority
    from screener.backtest.placebo import Placebo

WEEKS_PER_YEAR = 365.25 / 7
# what a record can show beyond luck
LEAD, RANK, SKILL = "lead", "rank", "skill"


@dataclass(frozen=True, eq=False, slots=True)
class Honesty:
    """All that is known about how far a record can be trusted; None where something was not looked at.

    cagr, benchmark_cagr: of the record and of its benchmark. deflated_sharpe: the probability that the true Sharpe
    ratio is above 0 after the variants tried.
    """

    theme: str
    method: str
    benchmark: str
    cagr: float
    benchmark_cagr: float | None
    validity: Validity
    search: Search
    deflated_sharpe: float
    placebo: Placebo | None = None
    overfitting: Overfitting | None = None
    superiority: Superiority | None = None
    dependence: Dependence | None = None
    start_dates: Spread | None = None
    rebalance_days: Spread | None = None
    halves: tuple[SubPeriod, SubPeriod] | None = None
    hindsight: bool = False

    @property
    def beyond_luck(self) -> tuple[str, ...]:
        """Return what luck alone would bring in fewer than 5 % of cases: of LEAD, RANK and SKILL.

        The lead over the benchmark: all of its bootstrap interval is above 0 (5 % lie below the interval). The rank
        among random baskets: p-value of at most 5 %. The Sharpe ratio: deflated, at least CONFIDENCE.
        """
        excess = self.validity.excess_cagr
        found = []
        if excess is not None and excess.low > 0:
            found.append(LEAD)
        if self.placebo is not None and self.placebo.p_value <= 1.0 - CONFIDENCE + 1e-12:
            found.append(RANK)
        if self.deflated_sharpe >= CONFIDENCE:
            found.append(SKILL)
        return tuple(found)


def deflated_by_search(returns: Floats, per_year: float, search: Search) -> float:
    """Return the probability that the true Sharpe ratio of a record is above 0 after a search over weekly returns.

    returns: T of the record, per_year of them a year. The ledger's Sharpe ratios are per week; an expected maximum
    per week is one per period by the square root of time. After a single trial it is the probabilistic Sharpe ratio.
    """
    reference = search.expected_maximum * float(np.sqrt(WEEKS_PER_YEAR / per_year))
    return probabilistic_sharpe_ratio(returns, reference)
