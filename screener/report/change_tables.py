"""What changed since the last report as tables: each theme's return by segment, and who came in or went out and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from screener.report.changes import PARTS

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs

SPLIT = ("theme", "since", "until", "segment", *PARTS, "total")
MOVES = ("kind", "where", "symbol", "change", "then", "now", "reason", "reason_of")


def changes_table(inputs: WeeklyInputs) -> pd.DataFrame:
    """Return a row a theme and segment: what it gave to the theme's return, fractions of its wealth that add up."""
    rows: list[dict[str, object]] = []
    for key, split in {} if inputs.changes is None else inputs.changes.splits.items():
        span = {"theme": key, "since": str(split.since), "until": str(split.until)}
        for segment, row in split.segments.iterrows():
            parts = {name: float(row[name]) for name in PARTS}
            rows.append({**span, "segment": str(segment), **parts, "total": float(row.sum())})
    return pd.DataFrame(rows, columns=list(SPLIT))


def moves_table(inputs: WeeklyInputs) -> pd.DataFrame:
    """Return a row an entry or exit; then, now: weights, NaN in a screen; reason_of: whether it held then or now."""
    if inputs.changes is None:
        return pd.DataFrame(columns=list(MOVES))
    found = inputs.changes.differences
    rows = [
        (
            kind,
            each.where,
            each.symbol,
            "in" if each.entered else "out",
            each.then,
            each.now,
            each.reason,
            "then" if each.earlier else "now",
        )
        for kind, moves in (("theme", found.moves), ("screen", found.screens))
        for each in moves
    ]
    table = pd.DataFrame(rows, columns=list(MOVES))
    return table.astype({"then": float, "now": float})
