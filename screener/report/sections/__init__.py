"""The registry of report sections, in the order of the page.

A new one is a module with `section(inputs) -> Section`, one line here, and its wording in wording/en.toml and ja.toml.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screener.report.blocks import Section
    from screener.report.model import WeeklyInputs

SECTIONS = {
    "changes": "screener.report.sections.changes:section",
    "chain": "screener.report.sections.chain:section",
    "record": "screener.report.sections.versus:section",
    "market": "screener.report.sections.market:section",
    "screen": "screener.report.sections.screen:section",
    "themes": "screener.report.sections.themes:section",
    "correlations": "screener.report.sections.correlations:section",
    "stress": "screener.report.sections.stress:section",
    "calendar": "screener.report.sections.calendar:section",
    "quality": "screener.report.sections.quality:section",
    "method": "screener.report.sections.method:section",
}


def section_functions() -> tuple[Callable[[WeeklyInputs], Section], ...]:
    """Return every registered section's function, in order."""
    found = []
    for target in SECTIONS.values():
        module, name = target.split(":")
        found.append(getattr(import_module(module), name))
    return tuple(found)
