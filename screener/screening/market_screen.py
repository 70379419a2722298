"""Apply a screen of a universe to its market, as known on a date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pandas as pd

from screener.errors import UserError, raise_all, unknown
from screener.market.fundamentals import Stated
from screener.market.load import Market
from screener.screening.check import screen_problems
from screener.screening.fundamentals import fundamental_metrics
from screener.screening.history import ScreenHistory, screen_history
from screener.screening.metrics import Position, compute_metrics, with_percentiles
from screener.screening.rules import Facts, ScreenResult, evaluate
from screener.screening.supply_chain import supply_chain_columns
from screener.universe.model import ScreenRule, ScreenSpec, Universe, theme_named


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """What is asked of a screen beyond what the universe states; what is left empty changes nothing."""

    rules: tuple[ScreenRule, ...] = ()  # further rules
    where: str = ""  # a further SQL condition over metrics and facts
    theme: str = ""  # only this theme's members
    rank_by: tuple[tuple[str, float], ...] = ()  # instead of the screen's own ranking
    within: str = ""  # "segment": rank inside each stage
    position: Position = field(default_factory=Position)  # whose trading is judged
    stated: Stated | None = None  # fundamentals, from load_fundamentals


def check_screen(universe: Universe, key: str, settings: ScreenSettings) -> None:
    """Raise UserError with a line for each word of a screen that is not understood; asks for no prices."""
    spec = _screen_spec(universe, key, settings)
    if settings.theme:
        theme_named(universe, settings.theme)
    raise_all([f"screen {spec.key!r}: {each}" for each in screen_problems(universe, spec)])


def screen(
    market: Market, key: str = "", settings: ScreenSettings | None = None, on: date | None = None
) -> ScreenResult:
    """Apply a screen of the universe (default: its first) to all names or one theme's, as known on a date.

    on: default the as-of date. Raises UserError for an unknown screen or theme and for what a rule asks wrongly.
    """
    settings = settings or ScreenSettings()
    spec = _screen_spec(market.universe, key, settings)
    metrics, facts = _judged(market, settings, on or market.request.as_of)
    return evaluate(spec, metrics, facts)


def screen_histories(
    market: Market, keys: Iterable[str], weeks: int = 26, settings: ScreenSettings | None = None
) -> dict[str, ScreenHistory]:
    """Apply screens on the as-of date and each of the `weeks` before it, each with what was known then."""
    settings = settings or ScreenSettings()
    first = market.panel.sessions[0].date()
    ends = [market.request.as_of - timedelta(weeks=back) for back in range(weeks, -1, -1)]
    judged = {day: _judged(market, settings, day) for day in ends if day >= first}

    def history(spec: ScreenSpec) -> ScreenHistory:
        return screen_history(list(judged), lambda day: evaluate(spec, *judged[day]))

    specs = [_screen_spec(market.universe, key, settings) for key in keys]
    return {spec.key: history(spec) for spec in specs}


def _judged(market: Market, settings: ScreenSettings, day: date) -> tuple[pd.DataFrame, Facts]:
    """Return the metrics and facts of the names that a screen judges, as known on a date.

    Percentiles are among all names listed then, also where only a theme's members are judged.
    """
    universe = market.universe
    panel = market.panel if day >= market.request.as_of else market.panel.until(day)
    segments = {symbol: each.segment for symbol, each in universe.instruments.items()}
    listed = universe.listed(day)
    chosen, peers = listed, segments
    if settings.theme:
        chosen = [each.symbol for each in universe.members(theme_named(universe, settings.theme), day)]
        peers = segments | dict.fromkeys(chosen, settings.theme)
    metrics = compute_metrics(panel, market.benchmark, peers, settings.position).reindex(listed)
    if settings.stated is not None:
        if day < market.request.as_of:
            raise UserError(f"fundamentals are today's and were not known like this on {day}")
        metrics = metrics.join(fundamental_metrics(settings.stated.values, metrics.index))
    facts = supply_chain_columns(universe, metrics.index, metrics["adv"])
    table = with_percentiles(metrics, segments)
    return table.loc[chosen], Facts(facts.loc[chosen], panel.base_currency)


def _screen_spec(universe: Universe, key: str, settings: ScreenSettings) -> ScreenSpec:
    """Return a screen of the universe with what is asked beyond it."""
    key = key or next(iter(universe.screens))
    if key not in universe.screens:
        raise UserError(unknown("screen", key, list(universe.screens)))
    spec = universe.screens[key]
    conditions = [each for each in (spec.where, settings.where) if each]
    return replace(
        spec,
        rules=(*spec.rules, *settings.rules),
        where=conditions[0] if len(conditions) == 1 else " and ".join(f"({each})" for each in conditions),
        rank_by=settings.rank_by or spec.rank_by,
        within=settings.within or spec.within,
    )
