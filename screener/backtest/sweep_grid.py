"""A grid file becomes the points of a sweep: every combination of methods, lookbacks, schedules, limits and costs.

method = ["equal_risk_contribution", "inverse_volatility"]
lookback_weeks = [52, 104]
estimator = ["ledoit_wolf"]
max_weight = [0.10, 0.20]
limits = [[], ["segment magnets <= 30%"]]    # each list is one choice, beyond the theme's own limits
rebalance = ["weekly:WED", "monthly", "drift:5%"]
execution = ["close", "open"]
cost_bps = [10, 25]                          # one cost for every trade
cost_scale = [1, 2]                          # times the costs by kind; beside cost_bps, not combined with it

A key that is left out has the theme's value, or that of `screener backtest`; a single value needs no list.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isfinite, prod
from pathlib import Path
from typing import Any

from screener.backtest.schedule import parse_schedule
from screener.backtest.tape import EXECUTIONS
from screener.errors import UserError, unknown
from screener.portfolio.build import BuildSettings
from screener.portfolio.costs import MOST_BPS
from screener.portfolio.theme_words import theme_problems
from screener.portfolio.weighting import METHODS, TODAY_ONLY
from screener.risk.estimators import ESTIMATORS
from screener.universe.model import Theme, Universe

MOST_POINTS = 5_000
MOST_WEEKS = 1_040
MOST_SCALE = 100.0
DIMENSIONS = (
    "method",
    "lookback_weeks",
    "estimator",
    "max_weight",
    "limits",
    "rebalance",
    "execution",
    "costs",
)


@dataclass(frozen=True, slots=True)
class GridPoint:
    """One combination of settings. limits: beyond the theme's own. cost_bps None: costs by kind, times cost_scale."""

    method: str
    lookback_weeks: int
    estimator: str
    max_weight: float
    limits: tuple[str, ...]
    rebalance: str
    execution: str = "close"
    cost_bps: float | None = None
    cost_scale: float = 1.0

    @property
    def rule(self) -> tuple[str, int, str, float, tuple[str, ...]]:
        """Return what decides the weights of a date."""
        return self.method, self.lookback_weeks, self.estimator, self.max_weight, self.limits

    @property
    def task(self) -> tuple[object, ...]:
        """Return what decides a schedule of weights: all but how it is traded."""
        return (*self.rule, self.rebalance)

    @property
    def costs(self) -> str:
        """Return the costs in words."""
        if self.cost_bps is not None:
            return f"{self.cost_bps:g} bps"
        return "by kind" if self.cost_scale == 1.0 else f"{self.cost_scale:g} × by kind"

    def value(self, dimension: str) -> str:
        """Return the value in one of DIMENSIONS, in words."""
        if dimension == "limits":
            return "; ".join(self.limits) or "none further"
        if dimension == "max_weight":
            return f"{100 * self.max_weight:g}%"
        return str(getattr(self, dimension))

    def theme(self, theme: Theme) -> Theme:
        """Return the theme weighed by this point's method under its limits."""
        limits = (*theme.limits, *self.limits)
        return replace(theme, method=self.method, max_weight=self.max_weight, limits=limits)

    def settings(self, build: BuildSettings) -> BuildSettings:
        """Return the settings weighed with at this point."""
        return replace(build, estimator=self.estimator, lookback_weeks=self.lookback_weeks)


def read_grid(file: Path, universe: Universe, theme: Theme) -> tuple[GridPoint, ...]:
    """Return the points of a grid file in order: the last dimension changes first, none comes twice.

    Raises UserError with a line for every fault of the file.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{file}: {said}") from None
    return grid_points(table, universe, theme, file.name)


def grid_points(
    table: Mapping[str, Any], universe: Universe, theme: Theme, name: str = "grid"
) -> tuple[GridPoint, ...]:
    """Return the points of a parsed grid; see `read_grid`. name: of the file, for errors."""
    reader = _Reader(name, table)
    usual = BuildSettings()
    choices: list[Sequence[Any]] = [
        reader.choices("method", _method, [theme.method]),
        reader.choices("lookback_weeks", _weeks, [usual.lookback_weeks]),
        reader.choices(
            "estimator", lambda each: _one_of("estimator", each, list(ESTIMATORS)), [usual.estimator]
        ),
        reader.choices("max_weight", _fraction, [theme.max_weight]),
        reader.limits(universe, theme),
        reader.choices("rebalance", _schedule, ["monthly"]),
        reader.choices("execution", lambda each: _one_of("execution", each, list(EXECUTIONS)), ["close"]),
        reader.costs(),
    ]
    for each in reader.choices_of("method"):
        if each == "risk_budgets" and not theme.risk_budgets:
            reader.problems.append(f"{name}, method: {theme.key} states no risk budgets to weigh by")
    count = prod(len(each) for each in choices)
    if count > MOST_POINTS:
        sizes = " × ".join(f"{len(c)} {d}" for c, d in zip(choices, DIMENSIONS, strict=True) if len(c) > 1)
        reader.problems.append(f"{name}: {sizes} are {count:,} variants; the most is {MOST_POINTS:,}")
    if reader.problems:
        raise UserError(*reader.problems)
    return tuple(GridPoint(*each[:-1], *each[-1]) for each in product(*choices))


class _Reader:
    """Reads the keys of a grid and gathers what is wrong with them."""

    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self.name, self.table = name, table
        known = [*DIMENSIONS[:-1], "cost_bps", "cost_scale"]
        self.problems = [f"{name}: {unknown('key', each, known)}" for each in table if each not in known]

    def choices_of(self, key: str) -> list[Any]:
        """Return the raw values of a key; a single one stands for a list of it."""
        value = self.table.get(key, [])
        return value if isinstance(value, list) else [value]

    def choices(
        self, key: str, read: Callable[[Any], Any], usual: list[Any], given: list[Any] | None = None
    ) -> list[Any]:
        """Return the values of a key as `read` understands them, none twice; `usual` where it is left out."""
        if key not in self.table:
            return usual
        found: dict[Any, None] = {}
        given = self.choices_of(key) if given is None else given
        if not given:
            self.problems.append(f"{self.name}, {key}: the list is empty")
        for number, each in enumerate(given, 1):
            try:
                found[read(each)] = None
            except UserError as error:
                self.problems += [f"{self.name}, {key}, value {number}: {said}" for said in error.problems]
        return list(found)

    def limits(self, universe: Universe, theme: Theme) -> list[tuple[str, ...]]:
        """Return the lists of further limits. A plain list of sentences is one choice."""
        given = self.choices_of("limits")
        if given and all(isinstance(each, str) for each in given):
            given = [given]

        def read(each: Any) -> tuple[str, ...]:
            if not isinstance(each, list) or not all(isinstance(text, str) for text in each):
                raise UserError('it is a list of limits, such as ["segment magnets <= 30%"]')
            problems = theme_problems(universe, replace(theme, limits=tuple(each)))
            if problems:
                raise UserError(*problems)
            return tuple(each)

        return self.choices("limits", read, [()], given or [[]])

    def costs(self) -> list[tuple[float | None, float]]:
        """Return the choices of costs: flat ones first, then multiples of the costs by kind."""
        flat = self.choices("cost_bps", lambda each: _number(each, 0.0, MOST_BPS), [])
        scales = self.choices("cost_scale", lambda each: _number(each, 0.0, MOST_SCALE), [])
        if "cost_bps" not in self.table and "cost_scale" not in self.table:
            scales = [1.0]
        return [*((each, 1.0) for each in flat), *((None, each) for each in scales)]


def _one_of(what: str, value: Any, known: list[str]) -> str:
    if value not in known:
        raise UserError(unknown(what, str(value), known))
    return str(value)


def _method(value: Any) -> str:
    name = _one_of("weighting method", value, list(METHODS))
    if name in TODAY_ONLY:
        raise UserError(f"{name} is known of today only and cannot be backtested")
    return name


def _weeks(value: Any) -> int:
    least = BuildSettings().min_history_weeks
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_WEEKS:
        raise UserError(f"{value!r} is not a whole number of weeks from {least} to {MOST_WEEKS:,}")
    return value


def _number(value: Any, low: float, high: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or not low <= value <= high:
        raise UserError(f"{value!r} is not a number from {low:g} to {high:,.0f}")
    return float(value)


def _fraction(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:
        raise UserError(f"{value!r} is not a fraction above 0 and up to 1, such as 0.1")
    return float(value)


def _schedule(value: Any) -> str:
    try:
        rule = parse_schedule(str(value))
    except UserError as error:
        raise UserError(*(said.removeprefix("--rebalance ") for said in error.problems)) from None
    if rule.on_screen:
        raise UserError("a sweep follows no screen; use weekly, monthly, quarterly, every:10 or drift:5%")
    return str(value).strip()
