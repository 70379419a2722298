"""Find bad bars. Findings are reported and may quarantine a bar; nothing is deleted or repaired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious bar or span of one symbol."""

    symbol: str
    session: date
    check: str  # the check's name, such as price_not_positive
    severity: str  # error: quarantined; warning: kept and listed
    detail: str  # a sentence with the numbers
    quarantined: bool
