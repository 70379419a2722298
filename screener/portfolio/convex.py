"""A primal-dual interior-point method for the few convex problems that weighting poses (NumPy only).

    minimise f(x) subject to  G x ≤ h,  E x = e,  |F x − g| ≤ b + d·x

It ends with the limits kept strictly and the optimality conditions met to ACCURACY, or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError

Floats = npt.NDArray[np.float64]
Objective = Callable[[Floats, float], tuple[Floats, Floats]]
ACCURACY = 1e-11  # of residuals, for a problem scaled so that gradients are near 1
COMPLEMENT = 1e-14  # of slack × multiplier: where a limit all but binds, each of the two is then below 1e-7
GOOD_ENOUGH = 1e-9  # accepted when rounding stops further progress
MOST_STEPS = 120
BOUNDARY = 0.995  # of the way to the nearest bound that a step may go


class Cone(NamedTuple):
    """|F x − g| ≤ bound + wider · x."""

    factor: Floats
    offset: Floats
    bound: float
    wider: Floats | None = None  # n, None: nothing widens it

    def at(self, x: Floats) -> tuple[float, Floats, Floats]:
        """Return (|F x − g|² / v − v) / 2 bound with v the right side: ≤ 0 inside, convex; its gradient and Hessian."""
        gap = self.factor @ x - self.offset
        if self.wider is None:
            slope = self.factor.T @ gap / self.bound**2
            return (
                (float(gap @ gap) / self.bound**2 - 1.0) / 2.0,
                slope,
                self.factor.T @ self.factor / self.bound**2,
            )
        right = self.bound + float(self.wider @ x)
        square = float(gap @ gap) / right**2
        bent = self.factor - np.outer(gap, self.wider) / right
        slope = (bent.T @ gap / right + self.wider * ((square - 1.0) / 2.0)) / self.bound
        return (square - 1.0) * right / (2.0 * self.bound), slope, bent.T @ bent / (right * self.bound)


class Optimum(NamedTuple):
    """A solution and the multipliers that prove it: ∇f + G'z + E'ν + cones' = 0, z ≥ 0, z·slack = 0."""

    x: Floats
    multipliers: Floats  # of G x ≤ h, then of the cones
    level: float  # λ of a problem with a level, else 1
    residual: float  # largest violation of the optimality conditions


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """What is minimised and over what. G: m × n, E: k × n.

    objective: (x, λ) → gradient n and Hessian n × n at λ. budget: n, makes λ an unknown: the objective then
    holds −λ Σ budget · ln x, and λ is found so that `total` is what x sums to, or (total None) so that λ is
    x · (gradient of the rest), the variance of a portfolio.
    """

    objective: Objective
    matrix: Floats
    bound: Floats
    equal: Floats
    equal_to: Floats
    cones: Sequence[Cone] = field(default=())
    budget: Floats | None = None
    total: float | None = None
    weights: int = 0  # how many of x are weights: what sums to the total, and what λ is the variance of
    positive: npt.NDArray[np.bool_] | None = None  # n, which x the objective takes the logarithm of


class _State(NamedTuple):
    x: Floats
    slack: Floats
    z: Floats
    nu: Floats
    level: float


def minimise(problem: Problem, start: Floats, level: float = 1.0, enough: float = GOOD_ENOUGH) -> Optimum:
    """Solve the problem from a start with x > 0 (Mehrotra 1992; Boyd & Vandenberghe 2004, sec. 11.7).

    enough: residual that is accepted where no step improves. Raises ScreenerError when MOST_STEPS do not suffice.
    """
    rows = len(problem.bound) + len(problem.cones)
    value, _ = _constraints(problem, start)
    slack = np.maximum(-value, 1e-2)
    state = _State(
        start, slack, np.full(rows, 1e-1) / np.maximum(slack, 1e-1), np.zeros(len(problem.equal)), level
    )
    best, best_residual = state, np.inf
    stalled = 0
    for _ in range(MOST_STEPS):
        here = _look(problem, state)
        residual = _largest(problem, state, here)
        if residual < 0.9 * best_residual:
            stalled = 0
        else:
            stalled += 1
        if residual < best_residual:
            best, best_residual = state, residual
        if residual < ACCURACY or (best_residual < enough and stalled >= 4):
            break
        try:
            with np.errstate(all="ignore"):
                state = _step(problem, state, here)
        except np.linalg.LinAlgError:
            break
    if not best_residual < enough:
        raise ScreenerError(f"no optimum in {MOST_STEPS} steps (residual {best_residual:.1e})")
    return Optimum(best.x, best.z, best.level, best_residual)


class _Here(NamedTuple):
    """The problem seen from one point."""

    gradient: Floats
    hessian: Floats
    slopes: Floats  # M × n, of all inequality constraints
    pull: Floats  # M × n, slopes times multipliers
    dual: Floats  # residuals: n of stationarity, M of inequalities with their slack, k of equalities, of λ
    primal: Floats
    equal: Floats
    level: float


def _look(problem: Problem, state: _State) -> _Here:
    gradient, hessian = problem.objective(state.x, state.level)
    value, slopes = _constraints(problem, state.x)
    pull = slopes * state.z[:, None]
    return _Here(
        gradient,
        hessian,
        slopes,
        pull,
        gradient + slopes.T @ state.z + problem.equal.T @ state.nu,
        value + state.slack,
        problem.equal @ state.x - problem.equal_to,
        _level_gap(problem, state, gradient),
    )


def _constraints(problem: Problem, x: Floats) -> tuple[Floats, Floats]:
    """Return the values (≤ 0 inside) of all inequality constraints, and their M × n gradients."""
    if not problem.cones:
        return problem.matrix @ x - problem.bound, problem.matrix
    values = [problem.matrix @ x - problem.bound]
    slopes = [problem.matrix]
    for cone in problem.cones:
        value, slope, _ = cone.at(x)
        values.append(np.array([value]))
        slopes.append(slope[None, :])
    return np.concatenate(values), np.vstack(slopes)


def _level_gap(problem: Problem, state: _State, gradient: Floats) -> float:
    """Return by how much the equation that determines λ is missed."""
    if problem.budget is None:
        return 0.0
    if problem.total is not None:
        return float(state.x[: problem.weights].sum() - problem.total)
    # gradient = rest − λ budget / x, so that x · rest = x · gradient + λ Σ budget
    return float((state.level - state.x @ gradient - state.level * problem.budget.sum()) / state.level)


def _largest(problem: Problem, state: _State, here: _Here) -> float:
    return max(
        _size(here.dual) / max(1.0, _size(here.pull)),
        _size(here.primal),
        _size(here.equal),
        float((state.slack * state.z).max(initial=0.0)) * (ACCURACY / COMPLEMENT),
        abs(here.level),
    )


def _size(values: Floats) -> float:
    return float(np.abs(values).max(initial=0.0))


def _step(problem: Problem, state: _State, here: _Here) -> _State:
    """Return the state after a predictor and a corrector step."""
    hessian, slopes = here.hessian, here.slopes
    for number, cone in enumerate(problem.cones):
        hessian = hessian + state.z[len(problem.bound) + number] * cone.at(state.x)[2]
    ratio = state.z / state.slack
    system = _system(problem, state, hessian + slopes.T @ (ratio[:, None] * slopes), here.gradient)
    n, k = len(state.x), len(here.equal)
    right = np.zeros(len(system))
    right[n : n + k] = -here.equal
    right[n + k :] = -here.level

    def solve(complement: Floats) -> tuple[Floats, Floats, Floats, Floats, float]:
        right[:n] = -here.dual - slopes.T @ ((state.z * here.primal - complement) / state.slack)
        answer: Floats = np.linalg.solve(system, right).astype(np.float64, copy=False)
        dx, dnu = answer[:n], answer[n : n + k]
        dslack = -here.primal - slopes @ dx
        dz = (-complement - state.z * dslack) / state.slack
        return dx, dslack, dz, dnu, 0.0 if problem.budget is None else float(answer[-1])

    rows = len(state.slack)
    if rows:
        dx, dslack, dz, _, dlevel = solve(state.slack * state.z)
        reach = _reach(problem, state, dx, dslack, dz, dlevel)
        mean = float(state.slack @ state.z) / rows
        ahead = float((state.slack + reach * dslack) @ (state.z + reach * dz)) / rows
        centre = min(1.0, max(ahead / mean, 0.0)) ** 3 * mean
        complement = state.slack * state.z + dslack * dz * reach - max(centre, 1e-3 * COMPLEMENT)
    else:
        complement = np.zeros(0)
    dx, dslack, dz, dnu, dlevel = solve(complement)
    length = _reach(problem, state, dx, dslack, dz, dlevel)
    return _State(
        state.x + length * dx,
        state.slack + length * dslack,
        state.z + length * dz,
        state.nu + length * dnu,
        state.level + length * dlevel,
    )


def _system(problem: Problem, state: _State, condensed: Floats, gradient: Floats) -> Floats:
    """Return the Newton matrix over x, ν and, with a budget, λ."""
    n, k = len(state.x), len(problem.equal)
    extra = 0 if problem.budget is None else 1
    system = np.zeros((n + k + extra, n + k + extra))
    system[:n, :n] = condensed
    system[:n, n : n + k] = problem.equal.T
    system[n : n + k, :n] = problem.equal
    if problem.budget is not None:
        system[:n, -1] = -problem.budget / state.x
        if problem.total is not None:
            system[-1, : problem.weights] = 1.0
        else:
            # d(x · rest) for the quadratic rest Σx: 2 Σx
            rest = gradient + state.level * problem.budget / state.x
            system[-1, :n] = -2.0 * rest / state.level
            system[-1, -1] = 1.0 / state.level
    return system


def _reach(problem: Problem, state: _State, dx: Floats, dslack: Floats, dz: Floats, dlevel: float) -> float:
    """Return the longest step, at most 1, that keeps slacks, multipliers, logarithms and λ positive."""
    values = [state.slack, state.z]
    changes = [dslack, dz]
    if problem.positive is not None:
        values.append(state.x[problem.positive])
        changes.append(dx[problem.positive])
    if problem.budget is not None:
        values.append(np.array([state.level]))
        changes.append(np.array([dlevel]))
    # a value falls to zero after value / −change; those that rise never do
    steepest = float((np.concatenate(changes) / np.concatenate(values)).min(initial=0.0))
    return min(1.0, BOUNDARY / -steepest) if steepest < 0 else 1.0
