"""Optimise an objective over the portfolios that limits allow. Methods come through here; convex.py does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError
from screener.portfolio.convex import Cone, Objective, Optimum, Problem, minimise
from screener.portfolio.filling import filled, scaled_to_caps
from screener.portfolio.region import Region, find

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
ROOM = 1e-6  # to a bound, that an interior point needs
DUST = 1e-9  # what an interior point leaves where the answer is zero


@dataclass(frozen=True, eq=False, slots=True)
class Goal:
    """What is minimised over N weights.

    objective: see convex.Problem. start: N, > 0. budget: N, for risk budgets. logarithmic: weights stay above
    zero by themselves, so no row w ≥ 0 is needed.
    """

    objective: Objective
    start: Floats
    budget: Floats | None = None
    logarithmic: bool = False


def optimise(goal_of: Callable[[Indices], Goal], region: Region, total: float) -> tuple[Floats, Optimum]:
    """Return N weights summing to `total` within the region, and the optimum that proves them.

    goal_of: the goal for some of the N names, by their positions. The region holds a portfolio of that total (see
    Region.most_invested). Where positions have a least size or a greatest number, the names are chosen first:
    those of the portfolio nearest to the unrestricted one (mixed-integer program, HiGHS), which is then optimised
    on them; the optimum is that of the names chosen. Raises ScreenerError if the result would break a limit by
    1e-9.
    """
    chosen = np.arange(len(region.names))
    weights, optimum = _over(goal_of, region, total, chosen)
    if (region.of("names") or region.least_position > 0) and region.broken(weights):
        near = find(region, near=weights, total=total)
        if near is None:
            raise ScreenerError("no portfolio has the least position or the number of names asked for")
        chosen = np.flatnonzero(near.weights > DUST)
        weights, optimum = _over(goal_of, region, total, chosen, region.least_position)
    if broken := region.broken(weights):
        raise ScreenerError(f"the optimum would break {', '.join(each.text for each in broken)}")
    return weights, optimum


def nearest(raw: Floats, region: Region, total: float) -> Floats:
    """Return the weights within the region that are nearest to raw ones by relative entropy (Csiszár 1975).

    raw: N, ≥ 0, summing to 1. Names that no limit touches keep their proportions. A name of raw weight 0 gets
    none, unless the limits need it.
    """
    scaled = raw * total
    if not region.broken(scaled):
        return scaled
    raw = np.maximum(raw, 1e-12)
    capped = scaled_to_caps(raw, region.matrix, region.bound, total)
    if capped is not None and not region.broken(capped):
        return capped

    def goal_of(rows: Indices) -> Goal:
        wanted = raw[rows]

        def entropy(w: Floats, _: float) -> tuple[Floats, Floats]:
            return np.log(w / wanted), np.diag(1.0 / w)

        return Goal(entropy, wanted, logarithmic=True)

    return optimise(goal_of, region, total)[0]


def _over(
    goal_of: Callable[[Indices], Goal], region: Region, total: float, chosen: Indices, least: float = 0.0
) -> tuple[Floats, Optimum]:
    """Optimise over some of the names, each at least `least`; the others get nothing."""
    goal, k = goal_of(chosen), len(chosen)
    everybody = k == len(region.names)
    part = region if everybody else Region(region.names.at([int(row) for row in chosen]), region.limits)
    matrix, bound = part.matrix, part.bound
    if least > 0 or not goal.logarithmic:
        matrix, bound = np.vstack([matrix, -np.eye(k)]), np.append(bound, np.full(k, -least))
    start = goal.start * (total / goal.start.sum())
    turnover = part.turnover
    if turnover is not None:
        matrix, bound = _with_turnover(matrix, bound, turnover[0], turnover[1])
        start = np.append(start, np.abs(start - turnover[1]) + 1e-2)
    size = len(start)
    everything = np.append(np.ones(k), np.zeros(size - k))
    if turnover is None:
        what = ("implied", total, least, goal.logarithmic)
        rows = part.remember(what, lambda: _with_implied(matrix, bound, everything, total, start))
    else:
        rows = _with_implied(matrix, bound, everything, total, start)
    if goal.logarithmic and rows.zero[:k].any():  # limits leave these names nothing, and ln 0 is not a number
        inner = chosen[~rows.zero[:k]]
        return _over(goal_of, region, total, inner, least)
    budgeted = goal.budget is not None
    problem = Problem(
        objective=_padded(goal.objective, k, size),
        matrix=rows.matrix,
        bound=rows.bound,
        equal=rows.equal[:-1] if budgeted and rows.free else rows.equal,
        equal_to=rows.equal_to[:-1] if budgeted and rows.free else rows.equal_to,
        cones=[Cone(np.hstack([f, np.zeros((len(f), size - k))]), g, b) for _, b, f, g in part.cones()],
        budget=None if goal.budget is None else np.append(goal.budget, np.zeros(size - k)),
        total=total if budgeted and rows.free else None,
        weights=k,
        positive=(everything > 0) if goal.logarithmic else None,
    )
    optimum = _minimise(problem, start)
    weights = np.zeros(len(region.names))
    weights[chosen] = np.where(optimum.x[:k] < DUST, 0.0, optimum.x[:k])
    return weights * (total / weights.sum()), optimum  # the dust is far below what a limit is kept to


def least_risk(region: Region, total: float) -> Floats:
    """Return the N weights of the given sum that keep all but the cones of a region and are nearest to its first."""
    (_, bound, factor, offset), *_ = region.cones()

    def goal_of(rows: Indices) -> Goal:
        part = factor[:, rows]
        curvature = part.T @ part / bound**2

        def objective(w: Floats, _: float) -> tuple[Floats, Floats]:
            return curvature @ w - part.T @ offset / bound**2, curvature

        return Goal(objective, np.ones(len(rows)))

    return optimise(goal_of, region.without("tracking error", "volatility"), total)[0]


def keeps_cones(region: Region) -> bool:
    """Say whether a portfolio of any sum keeps the region's cones beside its linear limits, which some portfolio keeps.

    Integer limits (a least position, a number of names) are left aside.
    """
    found: list[Cone] = []
    for _, bound, factor, offset in region.cones():
        weights = _nearest_to_cone(region, factor, offset, found)
        if np.linalg.norm(factor @ weights - offset) > bound * (1 + 1e-7):
            return False
        found.append(Cone(factor, offset, bound))
    return True


def least_loosening(region: Region, prices: Floats) -> Floats:
    """Return the L amounts, with the least Σ prices · amounts, by which a region's limits let some portfolio exist.

    A second-order cone program over weights, cash, |w − held| and the amounts, so the least there is to 1e-6 of it;
    integer limits (a least position, a number of names) are left aside.
    """
    n, count = len(region.names), len(region.limits)
    turnover = region.of("turnover") if region.names.held is not None else ()
    extra = n if turnover else 0
    size = n + 1 + extra + count
    lines, bounds = [], []

    def at_most(weights: Floats, distances: Floats | float, owner: int, slope: float, bound: float) -> None:
        line = np.zeros(size)
        line[:n] = weights
        line[n + 1 : n + 1 + extra] = distances
        line[n + 1 + extra + owner] -= slope
        lines.append(line)
        bounds.append(bound)

    for row in region.rows:
        at_most(row.coefficients, 0.0, row.owner, row.slope, row.bound)
    for name in range(extra):
        one, held = np.eye(n)[name], float(region.names.held[name])  # type: ignore[index]
        at_most(one, -one, 0, 0.0, held)
        at_most(-one, -one, 0, 0.0, -held)
    for number, each in turnover:
        at_most(np.zeros(n), 1.0, number, 2.0, 2 * each.bound - region.names.sold)
    matrix = np.vstack([np.array(lines).reshape(-1, size), -np.eye(size)])
    bound = np.append(bounds, np.zeros(size))
    start = np.concatenate([np.full(n + 1, 1.0 / (n + 1)), np.full(extra, 2.0), np.full(count, 2.0 * n)])
    if extra:
        start[n + 1 : n + 1 + extra] = np.abs(start[:n] - region.names.held) + 1e-2
    rows = _with_implied(matrix, bound, np.append(np.ones(n + 1), np.zeros(size - n - 1)), 1.0, start)
    cost = np.append(np.zeros(size - count), prices) / prices.max()
    cones = []
    for number, most, factor, offset in region.cones():
        wide = np.hstack([factor, np.zeros((len(factor), size - n))])
        cones.append(Cone(wide, offset, most, np.eye(size)[n + 1 + extra + number]))
    flat = np.zeros((size, size))
    problem = Problem(
        lambda x, _: (cost, flat), rows.matrix, rows.bound, rows.equal, rows.equal_to, cones, weights=n
    )
    return np.asarray(minimise(problem, start, enough=1e-7).x[size - count :])


def _nearest_to_cone(region: Region, factor: Floats, offset: Floats, others: list[Cone]) -> Floats:
    """Return the weights with the least |F w − f| within the linear limits and other cones; cash is one more name."""
    n = len(region.names)
    matrix = np.hstack([region.matrix, np.zeros((len(region.rows), 1))])
    matrix, bound = np.vstack([matrix, -np.eye(n + 1)]), np.append(region.bound, np.zeros(n + 1))
    start, size = np.full(n + 1, 1.0 / (n + 1)), n + 1
    if region.turnover is not None:
        most, held = region.turnover
        wide = np.hstack([np.eye(n), np.zeros((n, 1)), -np.eye(n)])
        other = np.hstack([-np.eye(n), np.zeros((n, 1)), -np.eye(n)])
        total = np.append(np.zeros(n + 1), np.ones(n))[None, :]
        matrix = np.vstack([np.hstack([matrix, np.zeros((len(matrix), n))]), wide, other, total])
        bound = np.concatenate([bound, held, -held, [most]])
        start, size = np.append(start, np.abs(start[:n] - held) + 1e-2), 2 * n + 1
    rows = _with_implied(matrix, bound, np.append(np.ones(n + 1), np.zeros(size - n - 1)), 1.0, start)
    padded = np.hstack([factor, np.zeros((len(factor), size - n))])
    scale = float(offset @ offset) + float(np.einsum("ij,ij->", factor, factor)) / n
    curve = padded.T @ padded / scale

    def objective(x: Floats, _: float) -> tuple[Floats, Floats]:
        return curve @ x - padded.T @ offset / scale, curve

    cones = [
        Cone(np.hstack([each.factor, np.zeros((len(each.factor), size - n))]), each.offset, each.bound)
        for each in others
    ]
    problem = Problem(objective, rows.matrix, rows.bound, rows.equal, rows.equal_to, cones, weights=n)
    return minimise(problem, start, enough=1e-6).x[:n]


def _minimise(problem: Problem, start: Floats) -> Optimum:
    """Solve a problem; where λ is sought and Newton's method loses its way, search λ over convex problems."""
    try:
        return minimise(problem, start)
    except ScreenerError:
        if problem.budget is None or problem.total is None:
            raise ScreenerError("the optimum within these limits could not be found") from None
    total = problem.total

    def at(log_level: float) -> Optimum:
        level = float(np.exp(log_level))
        fixed = replace(problem, objective=lambda x, _: problem.objective(x, level), budget=None, total=None)
        return minimise(fixed, start)._replace(level=level)

    def gap(optimum: Optimum) -> float:
        return float(optimum.x[: problem.weights].sum() - total)

    low, high = -8.0, 8.0
    for _ in range(90):
        middle = (low + high) / 2
        optimum = at(middle)
        if abs(gap(optimum)) < 1e-11:
            break
        low, high = (middle, high) if gap(optimum) < 0 else (low, middle)
    if abs(gap(optimum)) > 1e-9:
        raise ScreenerError(
            "no strength of the risk budgets makes the weights sum to the total within these limits"
        )
    return optimum


def _padded(objective: Objective, k: int, size: int) -> Objective:
    """Return an objective of k weights as one of more variables."""
    if k == size:
        return objective

    def padded(x: Floats, level: float) -> tuple[Floats, Floats]:
        gradient, hessian = objective(x[:k], level)
        wide = np.zeros((size, size))
        wide[:k, :k] = hessian
        return np.append(gradient, np.zeros(size - k)), wide

    return padded


def _with_turnover(matrix: Floats, bound: Floats, most: float, held: Floats) -> tuple[Floats, Floats]:
    """Add variables u ≥ |w − held| with Σu ≤ most."""
    k = len(held)
    one = np.eye(k)
    rows = [
        np.hstack([matrix, np.zeros((len(matrix), k))]),
        np.hstack([one, -one]),
        np.hstack([-one, -one]),
        np.append(np.zeros(k), np.ones(k))[None, :],
    ]
    return np.vstack(rows), np.concatenate([bound, held, -held, [most]])


class _Rows(NamedTuple):
    matrix: Floats
    bound: Floats
    equal: Floats  # the sum comes last, if it does not follow from the others
    equal_to: Floats
    free: bool  # the sum does not follow
    zero: npt.NDArray[np.bool_]  # variables that no portfolio gives anything


def _with_implied(matrix: Floats, bound: Floats, everything: Floats, total: float, start: Floats) -> _Rows:
    """Sort rows into those with room and those that hold with equality in every portfolio.

    An interior point needs room (Freund, Roundy & Todd 1985).
    """
    m, n = len(bound), len(start)
    inside = not m or _inside(matrix, bound, start) or _has_room(matrix, bound, everything, total)
    implied, zero = np.zeros(m, dtype=bool), np.zeros(n, dtype=bool)
    if not inside:
        tight = _implied(np.vstack([matrix, -np.eye(n)]), np.append(bound, np.zeros(n)), everything, total)
        implied, zero = tight[:m], tight[m:]
    rows, values = [], []
    basis = np.zeros((0, n))
    candidates = [(matrix[number], bound[number]) for number in np.flatnonzero(implied)]
    for row, value in (*candidates, (everything, total)):
        rest = row - basis.T @ (basis @ row)
        length = float(np.linalg.norm(rest))
        if length > 1e-8 * max(1.0, float(np.linalg.norm(row))):
            basis = np.vstack([basis, rest / length])
            rows.append(row)
            values.append(value)
    free = bool(rows) and rows[-1] is everything
    return _Rows(matrix[~implied], bound[~implied], np.array(rows), np.array(values), free, zero)


def _inside(matrix: Floats, bound: Floats, x: Floats) -> bool:
    return bool((matrix @ x < bound - ROOM).all())


def _has_room(matrix: Floats, bound: Floats, everything: Floats, total: float) -> bool:
    """Say that some portfolio of this total keeps all rows strictly, where a simple one shows it."""
    if not everything.all():
        return False
    upper = matrix.min(axis=1) >= 0
    tighter = bound[upper] - 10 * ROOM
    if tighter.min(initial=1.0) < 0:
        return False
    weights, _ = filled(matrix[upper], tighter, total)
    return abs(weights.sum() - total) < 1e-12 and weights.min() > 0 and _inside(matrix, bound, weights)


def _implied(matrix: Floats, bound: Floats, everything: Floats, total: float) -> npt.NDArray[np.bool_]:
    """Mark the rows that no portfolio of this total keeps strictly."""
    from scipy.optimize import linprog

    m, n = matrix.shape
    answer = linprog(
        np.concatenate([np.zeros(n), -np.ones(m), [0.0]]),
        A_ub=np.hstack([matrix, np.eye(m), -bound[:, None]]),
        b_ub=np.zeros(m),
        A_eq=np.concatenate([everything, np.zeros(m), [-total]])[None, :],
        b_eq=[0.0],
        bounds=[(0.0, None)] * n + [(0.0, 1.0)] * m + [(1.0, 1e7)],
        method="highs",
    )
    if answer.x is None:
        raise ScreenerError("the limits hold no portfolio of this total")
    return np.asarray(answer.x[n : n + m] < 1e-3)
