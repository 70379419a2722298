"""What the backtests of several themes of one market have in common, worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, eq=False, slots=True)
class Shared:
    """Results by what they follow from. One market and one set of settings each; nothing is ever dropped."""

    results: dict[Hashable, object] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returned when this key was first asked for."""
        if key not in self.results:
            self.results[key] = make()
        return cast(T, self.results[key])  # a key always has the type of its `make`
