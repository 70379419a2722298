"""What trading costs. Orders and the backtest use the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

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


# Taxes on a trade, basis points of its value: market → (on purchases, on sales). Written from memory in
# November 2026 and not compared with a source; France's and Italy's taxes on large companies are not in it.
TAXES_BPS = {"XLON": (50.0, 0.0), "XHKG": (10.0, 10.0), "XSHG": (0.0, 5.0), "XSHE": (0.0, 5.0)}
SESSIONS_PER_YEAR = 252


@dataclass(frozen=True, slots=True)
class TradeCosts:
    """What one order is expected to cost, by kind: all in basis points of its value, impact by the square root law.

    Impact in a fraction of the price is coefficient × daily volatility × √(value / ADV) (Almgren et al. 2005 find
    an exponent near 0.6; 0.5 is the usual rounding), paid on the whole order.
    """

    commission_bps: float = 5.0
    half_spread_bps: float = 10.0
    exchange_bps: float = 2.0  # of changing currency, where the line is not in the base currency
    impact_coefficient: float = 0.5

    def rates(self, mic: str, *, foreign: bool, buying: bool) -> dict[str, float]:
        """Return kind → fraction of value, without impact."""
        return {
            "commission": self.commission_bps / 1e4,
            "half-spread": self.half_spread_bps / 1e4,
            "currency": self.exchange_bps / 1e4 if foreign else 0.0,
            "tax": TAXES_BPS.get(mic, (0.0, 0.0))[0 if buying else 1] / 1e4,
        }

    def impact(self, value: float, adv: float, volatility: float) -> float:
        """Return the impact as a fraction of value; NaN where volume is unknown. volatility: annualised."""
        if value == 0:
            return 0.0
        if not adv > 0:
            return float("nan")
        return self.impact_coefficient * volatility / sqrt(SESSIONS_PER_YEAR) * sqrt(abs(value) / adv)
