"""What trading costs. Orders and the backtest use the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from screener.errors import UserError


@dataclass(frozen=True, slots=True)
class Costs:
    """A proportional cost, in basis points of the value traded, on purchases and sales alike."""

    bps: float = 15.0

    def __post_init__(self) -> None:
        if not isfinite(self.bps) or not 0 <= self.bps <= 5_000:
            raise UserError(f"costs must be between 0 and 5,000 basis points, not {self.bps:g}")

    def of(self, value_traded: float) -> float:
        """Return the cost of trading a value, both in base currency."""
        return abs(value_traded) * self.bps / 10_000
