"""The sections of the page, in order. A new one is a module with `section`, and one line here."""

from __future__ import annotations

from collections.abc import Callable

from screener.report.blocks import Section
from screener.report.figures import Figures
from screener.report.model import WeeklyInputs
from screener.report.sections import chain, correlations, market, method, portfolios, quality, screens, themes

SECTIONS: dict[str, Callable[[WeeklyInputs, Figures], Section]] = {
    "chain": chain.section,
    "themes": themes.section,
    "portfolios": portfolios.section,
    "screens": screens.section,
    "market": market.section,
    "correlations": correlations.section,
    "quality": quality.section,
    "method": method.section,
}
