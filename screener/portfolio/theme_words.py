"""Whether a theme's limits and risk budgets are understood and name what is in the universe."""

from __future__ import annotations

from screener.errors import UserError, unknown
from screener.market.currency import major_unit
from screener.portfolio.limits import parse_limits, word_problems
from screener.portfolio.risk_budget import parse_budgets
from screener.universe.model import CHINA_DEPENDENCE, Theme, Universe


def theme_problems(universe: Universe, theme: Theme) -> list[str]:
    """Return a line for each limit or risk budget of a theme that is not understood or names what is not there."""
    try:
        limits, budgets = parse_limits(theme.limits), parse_budgets(theme.risk_budgets)
    except UserError as error:
        return list(error.problems)
    names = universe.instruments.values()
    words: dict[str, list[str]] = {
        "name": list(universe.instruments),
        "issuer": sorted({each.issuer for each in names}),
        "segment": list(universe.segments),
        "country": sorted({each.domicile for each in names}),
        "currency": sorted({major_unit(each.currency)[0] for each in names}),
        "dependence": list(CHINA_DEPENDENCE),
        "tracking error": list(universe.benchmarks),
    }
    problems = word_problems(limits, words)
    problems += [
        f'risk budget "{each.text}": {unknown(each.subject, each.key, words[each.subject])}'
        for each in budgets
        if each.key not in words[each.subject]
    ]
    return problems
