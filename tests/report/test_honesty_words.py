"""The paragraph says what the numbers say, and nothing of what was not looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from screener.backtest.honesty import LEAD, RANK, SKILL, Honesty
from screener.backtest.luck import Dependence, Spread, SubPeriod
from screener.backtest.overfitting import Overfitting, Superiority
from screener.backtest.placebo import Placebo
from screener.backtest.validity import Interval, Search, Validity
from screener.report.honesty_words import honesty_sentences
from screener.report.words import wording

VALIDITY = Validity(
    sessions=1300,
    years=5.0,
    block_length=4.0,
    cagr=Interval(-0.01, 0.15),
    sharpe_ratio=Interval(-0.1, 0.9),
    maximum_drawdown=Interval(0.2, 0.5),
    excess_cagr=Interval(-0.02, 0.098),
    probabilistic_sharpe=0.9,
    minimum_track_record=8.0,
)
HONESTY = Honesty(
    theme="magnets",
    method="equal_risk_contribution",
    benchmark="REMX",
    cagr=0.091,
    benchmark_cagr=0.05,
    validity=VALIDITY,
    search=Search(36, 20.0, 0.02, 0.04),
    deflated_sharpe=0.71,
)
PLACEBO = Placebo(
    method="equal_risk_contribution",
    stands_in=False,
    size=8,
    at_start=6,
    names=90,
    sharpe_ratio=0.6,
    cagr=0.1,
    better_sharpe=212,
    better_cagr=198,
    sharpe_ratios=np.zeros(1000),
    cagrs=np.zeros(1000),
)
SPREAD = Spread(12, 0.031, 0.05, 0.124, 0.2, 0.4, 0.6, "2021-03", "2022-05")
HALF = SubPeriod("first half", date(2021, 1, 1), date(2023, 1, 1), 0.1, 0.05, 0.4, 0.2)


def paragraph(honesty: Honesty) -> str:
    return " ".join(honesty_sentences(honesty, wording("en")))


def test_the_paragraph_of_the_issue() -> None:
    said = paragraph(replace(HONESTY, placebo=PLACEBO))
    assert "magnets beat REMX by 4.1% a year (90% interval −2.0% to +9.8%)" in said
    assert "Of 1,000 random baskets of 8 names, 212 had a higher Sharpe ratio and 198 a higher return" in said
    assert (
        "After the 36 variants tried, the probability that the true Sharpe ratio is above zero is 71%" in said
    )
    assert said.endswith("None of this is beyond luck at 95%.")


def test_whoever_fell_behind_is_told_so() -> None:
    said = paragraph(replace(HONESTY, cagr=0.02))
    assert "magnets fell 3.0% a year behind REMX" in said and "beat" not in said


def test_without_a_benchmark_the_record_stands_alone() -> None:
    said = paragraph(
        replace(HONESTY, benchmark="", benchmark_cagr=None, validity=replace(VALIDITY, excess_cagr=None))
    )
    assert "magnets returned +9.1% a year (90% interval −1.0% to +15.0%)" in said and "REMX" not in said


def test_the_first_variant_is_not_called_a_search() -> None:
    said = paragraph(replace(HONESTY, search=Search(1, 1.0, 0.0, 0.0)))
    assert "This is the first variant tried" in said and "variants" not in said


@pytest.mark.parametrize(
    ("chance", "written"), [(0.99999, "99.9%"), (0.992, "99.2%"), (0.99, "99%"), (0.0, "0.1%")]
)
def test_certainty_is_never_claimed(chance: float, written: str) -> None:
    assert f"is above zero is {written}." in paragraph(replace(HONESTY, deflated_sharpe=chance))


def test_what_stands_in_is_named_and_the_simplification_has_its_number() -> None:
    said = paragraph(replace(HONESTY, method="minimum_cvar", placebo=replace(PLACEBO, stands_in=True)))
    assert "equal risk contribution, which stands in for minimum cvar" in said
    assert "returns +10.0% a year, +0.9% against the full backtest's +9.1%" in said


def test_everything_that_was_looked_at_has_its_sentence() -> None:
    said = paragraph(
        replace(
            HONESTY,
            overfitting=Overfitting(200, 16, 1296, 0.62, -0.4, 0.5, np.zeros(3)),
            superiority=Superiority(200, 3.0, 0.34, 0.3, 0.4, 0.5, 7),
            dependence=Dependence(0.091, "MP", 0.043, "2025-07", 0.06, -0.01, 10),
            start_dates=SPREAD,
            rebalance_days=SPREAD,
            halves=(HALF, replace(HALF, cagr=-0.02)),
            hindsight=True,
        )
    )
    assert "in the lower half on the other in 62% of all splits" in said
    assert "with a probability of 34%" in said
    assert "Without MP, its share left in cash, the return would be +4.3% a year" in said
    assert "(2025-07) it would be +6.0% a year, without the 10 best days −1.0%" in said
    assert "The first half returned +5.0% a year, the second −2.0%" in said
    assert said.count("+3.1% to +12.4% a year") == 2
    assert said.endswith("nothing here corrects for that.")


def test_only_what_luck_would_rarely_bring_survives() -> None:
    sure = replace(VALIDITY, excess_cagr=Interval(0.001, 0.1))
    rank = replace(PLACEBO, better_sharpe=40)
    assert HONESTY.beyond_luck == ()
    assert replace(HONESTY, validity=sure).beyond_luck == (LEAD,)
    assert replace(HONESTY, placebo=rank).beyond_luck == (RANK,)
    assert replace(HONESTY, placebo=replace(rank, better_sharpe=51)).beyond_luck == ()
    assert replace(HONESTY, deflated_sharpe=0.951).beyond_luck == (SKILL,)
    said = paragraph(replace(HONESTY, validity=sure, placebo=rank, deflated_sharpe=0.97))
    assert (
        "Beyond luck at 95%: the lead over REMX, the rank among random baskets and the Sharpe ratio." in said
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_known_is_never_printed_as_one(value: float) -> None:
    said = paragraph(replace(HONESTY, dependence=Dependence(0.1, "MP", value, "2025-07", 0.06, 0.01, 10)))
    assert "nan" not in said and "inf" not in said.replace("information", "")
