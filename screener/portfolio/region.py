"""The portfolios that limits allow, as linear rows, cones and integers over N weights; found by HiGHS.

Weights are fractions of wealth, long only, and sum to at most one; what is left is cash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError
from screener.portfolio.filling import filled, shared_out
from screener.portfolio.limits import GROUPS, Limit

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-9  # to which limits are kept
MOST_CUTS = 80  # of a cone, before we give up


@dataclass(frozen=True, eq=False, slots=True)
class Names:
    """The N names weights are for, and what limits need to know of them.

    groups: subject → N words. held: N fractions of wealth held now, None: nothing is known to be held.
    sold: fraction of wealth in names that can no longer be held. adv: N, base currency a session.
    covariance: (N + 1) × (N + 1), annualised, the benchmark last; N × N when there is none.
    """

    symbols: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: Floats | None = None
    sold: float = 0.0
    adv: Floats | None = None
    capital: float = 0.0
    covariance: Floats | None = None

    def __len__(self) -> int:
        return len(self.symbols)

    def words(self, subject: str) -> tuple[str, ...]:
        """Return the N words by which a subject groups the names."""
        return self.symbols if subject == "name" else self.groups[subject]

    def at(self, kept: Sequence[int]) -> Names:
        """Return some of the names, in the order asked for; what is held of the others counts as sold."""
        rows = np.asarray(kept, dtype=np.intp)
        held, sold = self.held, self.sold
        if held is not None:
            sold += float(held.sum() - held[rows].sum())
            held = held[rows]
        covariance = self.covariance
        if covariance is not None:
            extra = np.arange(len(self), len(covariance))
            covariance = covariance[np.ix_(np.append(rows, extra), np.append(rows, extra))]
        return Names(
            tuple(self.symbols[row] for row in rows),
            {subject: tuple(words[row] for row in rows) for subject, words in self.groups.items()},
            held,
            sold,
            None if self.adv is None else self.adv[rows],
            self.capital,
            covariance,
        )


class Row(NamedTuple):
    """coefficients · w ≤ bound, of the limit with that number; loosening the limit by r adds slope · r."""

    coefficients: Floats
    bound: float
    owner: int
    slope: float
    of: str  # the group it is about


class Found(NamedTuple):
    """A portfolio, and by how much each limit was loosened for it."""

    weights: Floats
    loosened: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Limits applied to names. Methods optimise over it; `find` says whether it holds any portfolio."""

    names: Names
    limits: tuple[Limit, ...]
    rows: tuple[Row, ...] = field(init=False)
    matrix: Floats = field(init=False)  # M × N, the coefficients of the rows
    bound: Floats = field(init=False)  # M
    told: dict[object, Any] = field(init=False)  # what was found out of the rows alone, see `remember`

    def __post_init__(self) -> None:
        rows = [row for number, each in enumerate(self.limits) for row in _rows(self.names, each, number)]
        object.__setattr__(self, "rows", tuple(rows))
        matrix = np.array([row.coefficients for row in rows]).reshape(len(rows), len(self.names))
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "bound", np.array([row.bound for row in rows]))
        object.__setattr__(self, "told", {})

    def at(self, held: Floats | None, sold: float, covariance: Floats | None) -> Region:
        """Return the same limits on the same names at another time; what was found out of the rows stays known."""
        other = copy(self)
        names = replace(self.names, held=held, sold=sold, covariance=covariance)
        object.__setattr__(other, "names", names)
        return other

    def remember(self, what: object, find_out: Callable[[], Any]) -> Any:
        """Return what is found out once and holds whenever these rows do: neither held nor covariance enter it."""
        if what not in self.told:
            self.told[what] = find_out()
        return self.told[what]

    def index(self, kept: npt.NDArray[np.bool_]) -> pd.Index:
        """Return the symbols of some names as a pandas Index. kept: N."""

        def make() -> pd.Index:
            chosen = [s for s, keep in zip(self.names.symbols, kept, strict=True) if keep]
            return pd.Index(chosen, dtype="str")

        found: pd.Index = self.remember(("index", kept.tobytes()), make)
        return found

    def of(self, subject: str) -> tuple[tuple[int, Limit], ...]:
        """Return the limits on a subject, with their numbers."""
        return tuple((number, each) for number, each in enumerate(self.limits) if each.subject == subject)

    @property
    def least_position(self) -> float:
        """Return the least weight of a name that is held at all."""
        return max((each.bound for _, each in self.of("position") if not each.days), default=0.0)

    @property
    def most_names(self) -> int:
        """Return how many names may be held."""
        return int(min((each.bound for _, each in self.of("names")), default=len(self.names)))

    @property
    def turnover(self) -> tuple[float, Floats] | None:
        """Return the most of Σ|w − held| and what is held, None when nothing binds."""
        bounds = [each.bound for _, each in self.of("turnover")]
        if not bounds or self.names.held is None:
            return None
        return 2 * min(bounds) - self.names.sold, self.names.held

    def cones(self) -> tuple[tuple[int, float, Floats, Floats], ...]:
        """Return (limit, bound, F, f) for each limit of the form |F w − f| ≤ bound."""
        if self.names.covariance is None or not (self.of("tracking error") or self.of("volatility")):
            return ()
        n = len(self.names)
        found: list[tuple[int, float, Floats, Floats]] = []
        for subject in ("tracking error", "volatility"):
            for number, each in self.of(subject):
                if subject == "tracking error" and len(self.names.covariance) == n:
                    continue
                size = n + 1 if subject == "tracking error" else n
                factor: Floats = np.linalg.cholesky(self.names.covariance[:size, :size]).T.astype(np.float64)
                offset = factor[:, n] if size > n else np.zeros(size)
                found.append((number, each.bound, factor[:, :n], np.asarray(offset, dtype=np.float64)))
        return tuple(found)

    def broken(self, weights: Floats, tolerance: float = TOLERANCE) -> tuple[Limit, ...]:
        """Return the limits that weights break by more than a tolerance."""
        over = np.flatnonzero(self.matrix @ weights > self.bound + tolerance)
        wrong = {self.rows[row].owner for row in over}
        wrong |= {
            number
            for number, bound, f, g in self.cones()
            if np.linalg.norm(f @ weights - g) > bound + tolerance
        }
        turnover = self.turnover
        if turnover is not None and np.abs(weights - turnover[1]).sum() > turnover[0] + 2 * tolerance:
            wrong |= {
                number
                for number, each in self.of("turnover")
                if 2 * each.bound - self.names.sold <= turnover[0]
            }
        held = weights > 0
        wrong |= {number for number, each in self.of("names") if held.sum() > each.bound}
        wrong |= {
            number
            for number, each in self.of("position")
            if not each.days and (weights[held] < each.bound - tolerance).any()
        }
        return tuple(self.limits[number] for number in sorted(wrong))

    def without(self, *subjects: str) -> Region:
        """Return the region without the limits on some subjects."""
        if not any(each.subject in subjects for each in self.limits):
            return self
        return Region(self.names, tuple(each for each in self.limits if each.subject not in subjects))

    def most_invested(self) -> float | None:
        """Return how much of the wealth can be placed, None when the limits allow no portfolio."""
        linear = not (self.cones() or self.turnover or self.of("names") or self.least_position)
        if not linear:
            return self._most_by_program()
        found: float | None = self.remember("most", self._most)
        return found

    def _most(self) -> float | None:
        if not len(self.rows) or (self.matrix.min() >= 0 and self.bound.min() >= 0):
            weights, full = filled(self.matrix, self.bound, 1.0)
            total = float(weights.sum())
            if total > 1.0 - 1e-12 or shared_out(self.matrix[full]):
                return min(total, 1.0)
        return self._most_by_program()

    def _most_by_program(self) -> float | None:
        found = find(self, goal=lambda n: -np.ones(n))
        return None if found is None else float(min(1.0, found.weights.sum()))


def find(
    region: Region,
    *,
    goal: Callable[[int], Floats] | None = None,
    near: Floats | None = None,
    total: float | None = None,
    loosen: Floats | None = None,
) -> Found | None:
    """Return a portfolio within the limits, None when there is none.

    goal: N → costs of N weights to be least. near: N, the portfolio with the least Σ|w − near| is found.
    total: what the weights sum to. loosen: L, the price of loosening each limit, which is then allowed, least.
    A limit |F w − f| ≤ bound enters by its tangents where it was broken (Kelley 1960).
    """
    n, cones = len(region.names), region.cones()
    cuts: list[Row] = []
    for _ in range(MOST_CUTS):
        answer = _solve(region, cuts, goal, near, total, loosen)
        if answer is None:
            return None
        wrong = False
        for number, bound, factor, offset in cones:
            gap = factor @ answer.weights - offset
            length = float(np.linalg.norm(gap))
            if length > bound + answer.loosened[number] + 1e-8:
                slope = factor.T @ gap / length
                cuts.append(Row(slope, bound + float(slope @ answer.weights) - length, number, 1.0, ""))
                wrong = True
        if not wrong:
            return answer
    raise ScreenerError(
        f"no portfolio of {n} names was found in {MOST_CUTS} steps; is a limit on risk too tight?"
    )


def _solve(
    region: Region,
    cuts: Sequence[Row],
    goal: Callable[[int], Floats] | None,
    near: Floats | None,
    total: float | None,
    loosen: Floats | None,
) -> Found | None:
    """Solve the linear or mixed-integer program: variables are w, |w − held|, |w − near|, held or not, loosening."""
    from scipy.optimize import linprog

    n, count = len(region.names), len(region.limits)
    program = _Program(n, count)
    for row in (*region.rows, *cuts):
        program.at_most({"w": row.coefficients, "r": _unit(count, row.owner, -row.slope)}, row.bound)
    program.at_most({"w": np.ones(n)}, 1.0)
    if total is not None:
        program.at_most({"w": -np.ones(n)}, -total)
        program.at_most({"w": np.ones(n)}, total)
    _turnover_rows(program, region)
    integers = _position_rows(program, region)
    if near is not None:
        program.distances("v", near)
    costs = program.columns({"w": goal(n) if goal else np.zeros(n), "v": np.ones(n) * (near is not None)})
    upper = np.concatenate([np.ones(n), np.full(2 * n, 4.0), np.ones(n), np.full(count, np.inf)])
    if loosen is None:
        upper[-count or len(upper) :] = 0.0
    else:
        costs[-count or len(costs) :] = loosen
    integrality = np.zeros(len(upper), dtype=np.intp)
    if integers:
        integrality[3 * n : 4 * n] = 1
        for number, _ in region.of("names"):
            integrality[4 * n + number] = 1
    tight: Any = {
        "primal_feasibility_tolerance": 1e-10,
        "dual_feasibility_tolerance": 1e-10,
        "mip_rel_gap": 1e-9,
    }
    answer = linprog(
        costs,
        A_ub=np.array(program.matrix),
        b_ub=np.array(program.bounds),
        bounds=[(0.0, float(most)) for most in upper],
        integrality=integrality if integers else None,
        method="highs",
        options=tight,
    )
    if answer.x is None:
        return None
    return Found(np.clip(answer.x[:n], 0.0, None), answer.x[4 * n :])


class _Program:
    """Rows of a linear program over named blocks of variables."""

    def __init__(self, n: int, count: int) -> None:
        self.n = n
        self.blocks = {"w": (0, n), "u": (n, n), "v": (2 * n, n), "y": (3 * n, n), "r": (4 * n, count)}
        self.width = 4 * n + count
        self.matrix: list[Floats] = []
        self.bounds: list[float] = []

    def columns(self, parts: Mapping[str, Floats]) -> Floats:
        row = np.zeros(self.width)
        for name, values in parts.items():
            start, size = self.blocks[name]
            row[start : start + size] = values
        return row

    def at_most(self, parts: Mapping[str, Floats], bound: float) -> None:
        self.matrix.append(self.columns(parts))
        self.bounds.append(bound)

    def distances(self, block: str, center: Floats) -> None:
        """Make a block of variables at least |w − center|."""
        for number in range(self.n):
            one = _unit(self.n, number, 1.0)
            self.at_most({"w": one, block: -one}, center[number])
            self.at_most({"w": -one, block: -one}, -center[number])


def _turnover_rows(program: _Program, region: Region) -> None:
    limits = region.of("turnover")
    if region.names.held is None or not limits:
        return
    program.distances("u", region.names.held)
    for number, each in limits:
        loosened = _unit(len(region.limits), number, -2.0)
        program.at_most({"u": np.ones(program.n), "r": loosened}, 2 * each.bound - region.names.sold)


def _position_rows(program: _Program, region: Region) -> bool:
    """Add the rows of names held or not, and say whether there are any."""
    n, count = program.n, len(region.limits)
    least = [(number, each) for number, each in region.of("position") if not each.days]
    most = region.of("names")
    if not least and not most:
        return False
    for row in range(n):
        one = _unit(n, row, 1.0)
        program.at_most({"w": one, "y": -one}, 0.0)
        for number, each in least:
            program.at_most({"w": -one, "y": each.bound * one, "r": _unit(count, number, -1.0)}, 0.0)
    for number, each in most:
        program.at_most({"y": np.ones(n), "r": _unit(count, number, -1.0)}, each.bound)
    return True


def _rows(names: Names, limit: Limit, number: int) -> list[Row]:
    """Return the linear rows of one limit."""
    n = len(names)
    sign = 1.0 if limit.comparison == "<=" else -1.0
    if limit.subject == "cash":
        return [Row(-sign * np.ones(n), -sign * (1.0 - limit.bound), number, 1.0, "cash")]
    if limit.subject == "position" and limit.days:
        if names.adv is None or names.capital <= 0:
            return []
        room = np.nan_to_num(names.adv * limit.days / names.capital, nan=0.0)
        return [
            Row(_unit(n, row, 1.0), limit.bound * room[row], number, room[row], names.symbols[row])
            for row in range(n)
        ]
    if limit.subject not in GROUPS:
        return []
    words = names.words(limit.subject)
    keys = [limit.key] if limit.key else list(dict.fromkeys(words))
    members = np.array(words)
    return [Row(sign * (members == key), sign * limit.bound, number, 1.0, key) for key in keys]


def _unit(size: int, position: int, value: float) -> Floats:
    row = np.zeros(size)
    row[position] = value
    return row
