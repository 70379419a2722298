"""The user's word on a bar wins over the checks, until the source changes the bar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from screener.market.bars import Bars, bars_table
from screener.market.quality import Finding, without_quarantined
from screener.market.store import Store
from screener.market.verdicts import Verdict, apply_verdicts

GIVEN = datetime(2026, 7, 11, tzinfo=UTC)
DAY, NEXT = date(2026, 7, 8), date(2026, 7, 9)
INDEX = pd.DatetimeIndex(["2026-07-07", DAY, NEXT, "2026-07-10"])
BARS = {
    "MP": Bars(
        "MP", bars_table(pd.DataFrame({"close": [50.0, 5000.0, 51.0, 52.0]}, index=INDEX)), "USD", "x", GIVEN
    )
}
GLITCH = Finding("MP", DAY, "hundredfold_glitch", "error", "100 times", True)
HOLIDAY = Finding("MP", DAY, "bar_on_holiday", "warning", "no session", False)


def verdict(session: date, decision: str, close: float, minutes: int = 0, symbol: str = "MP") -> Verdict:
    return Verdict(symbol, session, decision, "because", close, GIVEN + timedelta(minutes=minutes))


def kept(findings: tuple[Finding, ...]) -> list[float]:
    return without_quarantined(BARS["MP"], findings).table["close"].to_list()


def test_without_a_verdict_findings_stay_as_they_are() -> None:
    assert apply_verdicts([GLITCH, HOLIDAY], [], BARS) == (HOLIDAY, GLITCH)


def test_an_accepted_bar_is_in_panels_again_and_its_findings_say_why() -> None:
    found = apply_verdicts([GLITCH, HOLIDAY], [verdict(DAY, "accept", 5000.0)], BARS)
    assert kept(found) == [50.0, 5000.0, 51.0, 52.0]
    assert found[1].detail == "100 times; accepted: because" and found[0] == HOLIDAY


def test_a_rejected_bar_is_in_no_panel() -> None:
    found = apply_verdicts([], [verdict(NEXT, "reject", 51.0)], BARS)
    assert kept(found) == [50.0, 5000.0, 52.0]
    assert (found[0].check, found[0].detail) == ("rejected_by_user", "because")


@pytest.mark.parametrize(("decisions", "left"), [(("accept", "reject"), 3), (("reject", "accept"), 4)])
def test_the_newest_verdict_counts_in_whatever_order_they_come(decisions: tuple[str, str], left: int) -> None:
    given = [verdict(DAY, decision, 5000.0, minutes) for minutes, decision in enumerate(decisions)]
    for order in (given, given[::-1]):
        assert len(kept(apply_verdicts([GLITCH], order, BARS))) == left


@pytest.mark.parametrize("decision", ["accept", "reject"])
def test_a_verdict_on_a_bar_that_was_restated_has_lapsed_and_says_so(decision: str) -> None:
    found = apply_verdicts([GLITCH], [verdict(DAY, decision, 49.9)], BARS)
    assert kept(found) == [50.0, 51.0, 52.0]  # the check decides again
    (lapsed,) = (each for each in found if each.check == "verdict_lapsed")
    assert lapsed.detail == f"{decision}ed at 49.9, but the close is 5000 now: decide again"


def test_a_verdict_outside_the_span_that_was_loaded_says_nothing() -> None:
    outside = [verdict(date(2026, 7, 13), "reject", 1.0), verdict(DAY, "reject", 1.0, symbol="LYC.AX")]
    assert apply_verdicts([], outside, BARS) == ()


@pytest.mark.parametrize(("decision", "reason"), [("maybe", "because"), ("accept", "  ")])
def test_a_verdict_is_one_of_two_and_has_a_reason(decision: str, reason: str) -> None:
    with pytest.raises(ValueError):
        Verdict("MP", DAY, decision, reason, 1.0, GIVEN)


def test_the_store_keeps_every_verdict_and_gives_the_newest_that_was_known(tmp_path: Path) -> None:
    given = [verdict(DAY, "accept", 5000.0), verdict(DAY, "reject", 5000.0, 5), verdict(NEXT, "accept", 51.0)]
    with Store.open(tmp_path / "p.duckdb") as store:
        for each in given:
            store.judge("x", each)
        assert store.verdicts("x") == (given[1], given[2])
        assert store.verdicts("x", GIVEN) == (given[0], given[2])
        assert store.verdicts("y") == ()
