"""The price store: one DuckDB file that remembers every bar as each source served it, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """What a refresh did for one symbol."""

    symbol: str
    outcome: str  # fetched, up to date, or one of SourceError.OUTCOMES
    rows: int  # rows written
    detail: str  # "" or a sentence: what failed, what was restated

    @property
    def failed(self) -> bool:
        """Say whether the source could not serve this symbol."""
        return self.outcome not in ("fetched", "up to date")
