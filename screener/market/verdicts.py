"""What the user said of a bar, and how it stands against what the checks found: the user wins.

A verdict is on the bar as it was seen. When the source has restated the bar since, the verdict has lapsed,
which is said, and the checks decide again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

import pandas as pd

from screener.market.bars import SAME, Bars
from screener.market.quality import Finding

ACCEPT, REJECT = "accept", "reject"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision on one bar. `close` is the bar's close when it was given."""

    symbol: str
    session: date
    decision: str  # accept: the bar is right whatever the checks say; reject: leave it out of panels
    reason: str
    close: float
    given_at: datetime  # UTC

    def __post_init__(self) -> None:
        if self.decision not in (ACCEPT, REJECT):
            raise ValueError(f"a verdict is accept or reject, not {self.decision!r}")
        if not self.reason.strip():
            raise ValueError("a verdict needs a reason")


def apply_verdicts(
    findings: Iterable[Finding], verdicts: Iterable[Verdict], bars: Mapping[str, Bars]
) -> tuple[Finding, ...]:
    """Return the findings as the user's verdicts leave them, in order of symbol and session.

    Accepted bars keep their findings, none of which quarantines any more; rejected bars gain one that does.
    A verdict on a bar that was restated or withdrawn since changes nothing but a finding that says so.
    """
    newest = {(each.symbol, each.session): each for each in sorted(verdicts, key=lambda each: each.given_at)}
    accepted: dict[tuple[str, date], Verdict] = {}
    kept = []
    for key, verdict in newest.items():
        if not _within(verdict, bars):
            continue
        close = _close_of(bars[verdict.symbol], verdict.session)
        if close is None or abs(close - verdict.close) > SAME * abs(verdict.close):
            now = "is no longer served" if close is None else f"is {close:g} now"
            detail = f"{verdict.decision}ed at {verdict.close:g}, but the close {now}: decide again"
            kept.append(_finding(verdict, "verdict_lapsed", "warning", detail))
        elif verdict.decision == REJECT:
            kept.append(_finding(verdict, "rejected_by_user", "error", verdict.reason))
        else:
            accepted[key] = verdict
    for finding in findings:
        ruling = accepted.get((finding.symbol, finding.session))
        if ruling is not None and finding.quarantined:
            detail = f"{finding.detail}; accepted: {ruling.reason}"
            finding = replace(finding, quarantined=False, detail=detail)
        kept.append(finding)
    return tuple(sorted(kept, key=lambda each: (each.symbol, each.session, each.check)))


def _within(verdict: Verdict, bars: Mapping[str, Bars]) -> bool:
    """Say whether the verdict's session lies in the span that was loaded."""
    if verdict.symbol not in bars or not len(bars[verdict.symbol].table):
        return False
    index = bars[verdict.symbol].table.index
    return bool(index[0] <= pd.Timestamp(verdict.session) <= index[-1])


def _finding(verdict: Verdict, check: str, severity: str, detail: str) -> Finding:
    return Finding(verdict.symbol, verdict.session, check, severity, detail, severity == "error")


def _close_of(bars: Bars, session: date) -> float | None:
    closes = bars.table["close"]
    return float(closes[pd.Timestamp(session)]) if pd.Timestamp(session) in closes.index else None
