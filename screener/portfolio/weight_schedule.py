"""The decisions of a backtest as arrays, each Rebalance made when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import overload

import numpy as np
import numpy.typing as npt

from screener.portfolio.rebalance import Rebalance
from screener.universe.model import Instrument

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class WeightSchedule(Sequence[Rebalance]):
    """B rebalances of a theme, in the order of their dates.

    symbols: N, sorted, all that any of them may hold. weights: B × N, fractions of wealth, 0 where a name is not held.
    cash: B. made: the Rebalances asked for so far, by number. make: returns the others.
    """

    theme: str
    decided_on: tuple[date, ...]
    symbols: tuple[str, ...]
    weights: Floats
    make: Callable[[int], Rebalance]
    made: dict[int, Rebalance] = field(default_factory=dict)

    @property
    def cash(self) -> Floats:
        """Return the B fractions of wealth that are not invested."""
        return np.asarray(np.maximum(0.0, 1.0 - self.weights.sum(axis=1)))

    def __len__(self) -> int:
        return len(self.decided_on)

    @overload
    def __getitem__(self, number: int) -> Rebalance: ...
    @overload
    def __getitem__(self, number: slice) -> WeightSchedule: ...
    def __getitem__(self, number: int | slice) -> Rebalance | WeightSchedule:
        if isinstance(number, slice):
            kept = range(len(self))[number]
            return WeightSchedule(
                self.theme,
                self.decided_on[number],
                self.symbols,
                self.weights[number],
                lambda each: self[kept[each]],
            )
        at = range(len(self))[number]
        if at not in self.made:
            self.made[at] = self.make(at)
        return self.made[at]

    def __iter__(self) -> Iterator[Rebalance]:
        return (self[number] for number in range(len(self)))


class Members:
    """Who of some instruments was listed on a date: a function of the date that works out each span once."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = sorted(instruments, key=lambda each: each.symbol)
        changes = {day for each in instruments for day in (each.listed_from, each.delisted_on)}
        self._changes = sorted(day for day in changes if day is not None)
        self._known: dict[int, tuple[Instrument, ...]] = {}

    def __call__(self, day: date) -> tuple[Instrument, ...]:
        """Return who was listed, in symbol order; the same tuple for dates between which nothing changed."""
        span = bisect_right(self._changes, day)
        if span not in self._known:
            self._known[span] = tuple(each for each in self._instruments if each.is_listed(day))
        return self._known[span]
