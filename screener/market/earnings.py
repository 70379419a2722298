"""When companies say what they earned next, as a vendor states it today. Past answers are not kept by anybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from screener.market.statements import Ask, ask_each


@dataclass(frozen=True, slots=True)
class EarningsDates:
    """Symbol → dates on or after the as-of date, in order (two are a range), and why others could not be asked."""

    dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


def load_earnings(ask: Ask, symbols: Iterable[str], as_of: date) -> EarningsDates:
    """Ask for the earnings dates of symbols, a request each. ask: of `asker`."""
    answers, failures = ask_each(ask, symbols)
    ahead = {symbol: tuple(sorted({day for day in days if day >= as_of})) for symbol, days in answers.items()}
    return EarningsDates({symbol: days for symbol, days in ahead.items() if days}, failures)
