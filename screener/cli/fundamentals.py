"""Ask the source what it states of companies, and say of whom it states nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from screener.cli.show import tell

if TYPE_CHECKING:
    from screener.api import Market, Stated


def ask_fundamentals(market: Market, symbols: Iterable[str]) -> Stated:
    """Return what is stated today; each failure is told on stderr and makes the run partial."""
    from screener.api import load_fundamentals

    stated = load_fundamentals(market, symbols)
    for symbol, reason in stated.failures.items():
        tell(f"  {symbol}: {reason}")
    return stated
