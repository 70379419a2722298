"""How much of a group of companies is about rare earths, from their purity classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from screener.universe.model import Instrument

# share of a company's value that rare earths drive: what the classes of universes/*/README.md say
BOUNDS = {
    "pure-play": (0.50, 1.00),
    "major": (0.20, 0.50),
    "minor": (0.02, 0.20),
    "indirect": (0.00, 0.02),
    "none": (0.00, 0.00),
}
LEAST_PURITY = 0.30  # a theme below this has no clean pure-plays, and says so


@dataclass(frozen=True, slots=True)
class Purity:
    """A share of value with the bounds that the classes leave open, fractions."""

    low: float
    middle: float
    high: float


def theme_purity(members: Sequence[Instrument], weights: Mapping[str, float] | None = None) -> Purity | None:
    """Return the share of the members' value that rare earths drive, None for no members.

    weights: symbol → fraction of the portfolio, scaled to sum to 1; without them every issuer counts the same.
    A class stands for the middle of its bounds; classes are judgements, so the bounds come with the figure.
    """
    if weights is None:
        lines = [each.issuer for each in members]
        weights = {each.symbol: 1.0 / lines.count(each.issuer) for each in members}
    total = sum(weights.get(each.symbol, 0.0) for each in members)
    if total <= 0:
        return None
    low, high = (
        sum(weights.get(each.symbol, 0.0) * BOUNDS[each.purity][side] for each in members) / total
        for side in (0, 1)
    )
    return Purity(low, (low + high) / 2, high)
