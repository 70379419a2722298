"""The rules of a universe as plain texts, so that run.json can say what a report rested on and the next what changed.

Only what decides a figure is kept: labels, notes and sources are in the universe's hash alone.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from screener.screening.rules import rule_name

if TYPE_CHECKING:
    from screener.universe.model import Instrument, ScreenSpec, Theme, Universe

THEME_FIELDS = (
    "method", "max_weight", "max_segment_weight", "limits", "risk_budgets", "benchmark", "known_from",
)  # fmt: skip
INSTRUMENT_FIELDS = (
    "mic", "currency", "domicile", "segment", "other_segments", "materials", "purity", "china_dependence",
    "listed_from", "delisted_on", "terminal_value", "predecessor", "lot_size", "tags", "operations",
)  # fmt: skip

Texts = dict[str, str]


def rules_of(universe: Universe) -> dict[str, dict[str, Texts]]:
    """Return themes, screens and instruments by key, each a text a field; fields without a value are absent."""
    return {
        "themes": {key: _theme(each) for key, each in universe.themes.items()},
        "screens": {key: _screen(each) for key, each in universe.screens.items()},
        "instruments": {key: _instrument(each) for key, each in universe.everything().items()},
    }


def _theme(theme: Theme) -> Texts:
    rule = {f"rule.{each.name}": getattr(theme.rule, each.name) for each in fields(theme.rule)}
    return _texts({**rule, **{name: getattr(theme, name) for name in THEME_FIELDS}})


def _screen(spec: ScreenSpec) -> Texts:
    return _texts(
        {
            "rules": "; ".join(rule_name(each) for each in spec.rules),
            "rank_by": tuple(f"{metric} {weight:g}" for metric, weight in spec.rank_by),
            "where": spec.where,
            "within": spec.within,
        }
    )


def _instrument(instrument: Instrument) -> Texts:
    return _texts({name: getattr(instrument, name) for name in INSTRUMENT_FIELDS})


def _texts(values: dict[str, object]) -> Texts:
    written = {
        name: ", ".join(str(each) for each in value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
        if value is not None
    }
    return {name: text for name, text in written.items() if text}
