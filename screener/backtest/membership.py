"""Who was in a backtest: members that came and went, and the dead it does or does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from screener.market.load import Market
from screener.portfolio.build import Rebalance
from screener.universe.model import Theme


@dataclass(frozen=True, slots=True)
class Survivorship:
    """The members of a theme that were delisted during a record: those with prices, and those without."""

    traded: tuple[str, ...]
    unpriced: tuple[str, ...]

    def __str__(self) -> str:
        if self.unpriced:
            names = ", ".join(self.unpriced)
            return f"survivorship: not controlled; no prices of {names}, delisted, once in this theme"
        if self.traded:
            names = ", ".join(self.traded)
            return f"survivorship: {names}, delisted since, traded until then at what holders received"
        return (
            "survivorship: not controlled; the universe names no member of this theme that has been delisted"
        )


def membership_changes(schedule: Sequence[Rebalance]) -> pd.DataFrame:
    """Return who came into the portfolio and who left it, with the reason: decided_on, symbol, change, reason."""
    rows: list[tuple[date, str, str, str]] = []
    before: set[str] = set()
    for each in schedule:
        now = {str(symbol) for symbol in each.weights.index}
        rows += [(each.decided_on, symbol, "in", "eligible") for symbol in sorted(now - before)]
        rows += [
            (each.decided_on, symbol, "out", each.rejected.get(symbol, "no longer a member"))
            for symbol in sorted(before - now)
        ]
        before = now
    return pd.DataFrame(rows, columns=["decided_on", "symbol", "change", "reason"])


def survivorship(market: Market, theme: Theme, start: date) -> Survivorship:
    """Return whether a record since `start` knows the names that died."""
    as_of = market.request.as_of
    dead = sorted(
        each.symbol
        for each in market.universe.belonging(theme)
        if each.delisted_on is not None and start < each.delisted_on <= as_of
    )
    priced = set(market.panel.symbols)
    return Survivorship(
        tuple(each for each in dead if each in priced), tuple(each for each in dead if each not in priced)
    )
