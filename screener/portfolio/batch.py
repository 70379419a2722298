"""Weights of many rebalances at once: the kernels behind sweeps over thousands of dates.

Every function returns B × N weights, rows summing to 1, equal to the method of the same name in weighting.py on
the same covariance. A name that does not take part in a window gets 0. Rows in which nobody does are all 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError, UserError
from screener.portfolio.batch_covariance import Windows, continued, covariances, rolling_moments
from screener.portfolio.hierarchical import bisect, leaf_orders, split

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# up to so many names the windows are solved together; above, one after another, each from the last
STACKED = 64
NEIGHBOURS = 12  # windows that take a solved neighbour's answer as their start
CHEAP_STEPS = 10
CLOSE = 1e-10  # to which risk contributions are equal


def rolling_inverse_volatility(windows: Windows) -> Floats:
    """Return weights proportional to 1/σ."""
    moments = rolling_moments(windows)
    with np.errstate(invalid="ignore"):
        return _normalised(np.where(moments.taking_part, 1.0 / np.sqrt(moments.variance), 0.0))


def rolling_equal_risk(windows: Windows, shrink: bool = False) -> Floats:
    """Return weights of equal risk contribution (Spinu 2013, eq. 6, damped Newton). shrink: Ledoit–Wolf covariance.

    Up to STACKED names all windows of a chunk are solved together; above, one after another, each from the last.
    """
    if windows.returns.shape[1] > STACKED and not shrink:
        return _equal_risk_in_turn(windows)
    result = np.zeros((len(windows.ends), windows.returns.shape[1]))
    for part, matrix, taking_part in covariances(windows, shrink):
        deviation = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
        correlation = matrix / (deviation[:, :, None] * deviation[:, None, :])
        x = _equal_risk(correlation, _start(correlation))
        result[part] = _normalised(np.where(taking_part, x / deviation, 0.0))
    return result


def _equal_risk_in_turn(windows: Windows) -> Floats:
    """Solve window after window; the covariance is never formed, only its factor is multiplied by."""
    n = windows.returns.shape[1]
    result = np.zeros((len(windows.ends), n))
    last: Floats | None = None
    for row, (first, end) in enumerate(zip(windows.first, windows.ends, strict=True)):
        factor = continued(windows.returns[first:end], windows.fewest)
        taking_part, deviation = factor.taking_part, factor.deviation
        product = _of_factor(factor.z, factor.alone)
        if last is None:
            last = 1.0 / np.sqrt(np.maximum(product(np.ones(n)), 0.1))
        last = _equal_risk_by_products(product, last)
        result[row] = np.where(taking_part, last / deviation, 0.0)
    return _normalised(result)


def _of_factor(z: Floats, alone: Floats) -> Callable[[Floats], Floats]:
    if not alone.any():
        return lambda v: np.asarray(z.T @ (z @ v))
    return lambda v: np.asarray(z.T @ (z @ v) + alone * v)


def _equal_risk_by_products(product: Callable[[Floats], Floats], start: Floats) -> Floats:
    """Return x with x·(Cx) = 1 from products with C alone: Newton's steps by conjugate gradients.

    Scaled by x the Hessian is 1 + x_i C_ij x_j: rows of the second part sum to about 1, so few products suffice.
    """
    x = start
    for _ in range(100):
        share = x * product(x)
        miss = 1.0 - share
        worst = float(np.abs(miss).max())
        if worst < CLOSE:
            return x
        step, residual = np.zeros_like(x), miss
        direction, length = residual, float(residual @ residual)
        enough = length * min(0.1, worst) ** 2
        for _ in range(200):
            moved = direction + x * product(x * direction)
            far = length / float(direction @ moved)
            step = step + far * direction
            residual = residual - far * moved
            shorter = float(residual @ residual)
            if shorter < enough:
                break
            direction, length = residual + shorter / length * direction, shorter
        decrement = max(float(miss @ step), 0.0) ** 0.5
        x = x * (1.0 + step / (1.0 + decrement) if decrement > 0.25 else 1.0 + step)
    raise ScreenerError(
        "equal risk contribution did not converge in 100 steps; is a covariance near singular?"
    )


def _start(correlation: Floats) -> Floats:
    """Return a start near x·(Cx) = 1: cheap steps from the answer for equal correlations, the row sums being alike.

    The steps are Newton's with C in the Hessian replaced by equal correlations, (1 − ρ)I + ρ11', whose inverse is
    that of a diagonal and a rank-one matrix (Sherman & Morrison 1950): a product with C each, no system to solve.
    """
    n = correlation.shape[1]
    sums = correlation.sum(axis=2)
    x = np.asarray(1.0 / np.sqrt(np.maximum(sums, 0.1)))
    if n < 2:
        return x
    # row sums of a correlation matrix are above 0 in total, so ρ > −1 / (n − 1), and is kept away from 1
    mean = np.minimum((sums.sum(axis=1, keepdims=True) - n) / (n * (n - 1)), 0.99)
    best, value = x, np.full(len(x), np.inf)
    for _ in range(CHEAP_STEPS + 1):
        product = (correlation @ x[:, :, None])[:, :, 0]
        now = 0.5 * (x * product).sum(axis=1) - np.log(x).sum(axis=1)
        # far from equal correlations the steps may lead away: the best point so far is kept
        better = now < value
        best, value = np.where(better[:, None], x, best), np.where(better, now, value)
        inverse = 1.0 / (1.0 - mean + 1.0 / (x * x))
        step = inverse * (product - 1.0 / x)
        pull = mean * step.sum(axis=1, keepdims=True) / (1.0 + mean * inverse.sum(axis=1, keepdims=True))
        x = np.maximum(x - (step - pull * inverse), 0.3 * x)
    return best


def _equal_risk(correlation: Floats, start: Floats) -> Floats:
    """Return x with x·(Cx) = 1 for b correlation matrices, stacked; those that are done drop out."""
    x = np.array(start)
    left = np.arange(len(x))
    n = x.shape[1]
    diagonal = np.arange(n)
    for _ in range(100):
        matrix, part = correlation[left], x[left]
        product = (matrix @ part[:, :, None])[:, :, 0]
        open_ = np.abs(part * product - 1.0).max(axis=1) >= CLOSE
        left, part, product = left[open_], part[open_], product[open_]
        if not len(left):
            return x
        gradient = product - 1.0 / part
        hessian = matrix[open_]
        hessian[:, diagonal, diagonal] += 1.0 / part**2
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        decrement = np.sqrt(np.maximum((gradient * step).sum(axis=1), 0.0))
        # damped while far away (Nesterov 2004, sec. 4.1.5), which also keeps x positive
        length = np.where(decrement > 0.25, 1.0 / (1.0 + decrement), 1.0)
        x[left] = part - length[:, None] * step
    raise ScreenerError(
        "equal risk contribution did not converge in 100 steps; is a covariance near singular?"
    )


def rolling_hierarchical_risk_parity(windows: Windows) -> Floats:
    """Return weights of hierarchical risk parity; the trees are SciPy's, the bisection is done on arrays."""
    result = np.zeros((len(windows.ends), windows.returns.shape[1]))
    for part, matrix, taking_part in covariances(windows):
        if taking_part.all():
            result[part] = _hierarchical(matrix)
            continue
        block = result[part]
        patterns, which = np.unique(taking_part, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            kept, rows = np.flatnonzero(pattern), np.flatnonzero(which.ravel() == number)
            if not len(kept):
                continue
            some = matrix[np.ix_(rows, kept, kept)] if len(kept) < matrix.shape[1] else matrix[rows]
            block[np.ix_(rows, kept)] = _hierarchical(some)
    return result


def _hierarchical(matrix: Floats) -> Floats:
    if matrix.shape[1] == 1:
        return np.ones(matrix.shape[:2])
    order = leaf_orders(matrix)
    if matrix.shape[1] > STACKED:
        return np.array([split(each, own) for each, own in zip(matrix, order, strict=True)])
    ordered = matrix[np.arange(len(matrix))[:, None, None], order[:, :, None], order[:, None, :]]
    weights = np.empty(order.shape)
    np.put_along_axis(weights, order, bisect(ordered), axis=1)
    return weights


def stacked_equal_risk(correlation: Floats) -> Floats:
    """Return x with x·(Cx) = 1 for b × n × n correlation matrices; x / σ, normalised, are the weights."""
    return _equal_risk(correlation, _start(correlation))


def stacked_hierarchical(matrix: Floats) -> Floats:
    """Return b × n weights of hierarchical risk parity for b × n × n covariances."""
    return _hierarchical(matrix)


def stacked_minimum_variance(matrix: Floats) -> Floats:
    """Return b × n long-only weights of least variance for b × n × n covariances, none like its neighbours."""
    scale = np.einsum("bii->b", matrix) / matrix.shape[1]
    everyone = np.ones(matrix.shape[:2], dtype=bool)
    return _normalised(_pivot(matrix / scale[:, None, None], everyone, everyone)[0])


@dataclass(frozen=True, eq=False, slots=True)
class Caps:
    """Caps of the stacked minimum variance: per name, and per group of names (n group numbers)."""

    name: float = 1.0
    groups: npt.NDArray[np.intp] | None = None
    group: float = 1.0

    def check(self, n: int) -> None:
        """Raise UserError when the caps cannot sum to one."""
        counts = np.array([n]) if self.groups is None else np.bincount(self.groups)
        room = float(np.minimum(counts * self.name, self.group if self.groups is not None else np.inf).sum())
        if room < 1.0:
            raise UserError(f"the caps hold {room:.1%} of the wealth at most; they cannot sum to one")


def rolling_minimum_variance(windows: Windows, caps: Caps | None = None) -> Floats:
    """Return long-only weights of least variance, Ledoit–Wolf covariance, within caps.

    Raises UserError for caps that cannot sum to one. Where so few names take part that their caps hold less, the
    row sums to what they hold.
    """
    n = windows.returns.shape[1]
    result = np.zeros((len(windows.ends), n))
    if caps is not None:
        caps.check(n)
    for part, matrix, taking_part in covariances(windows, shrink=True):
        scale = np.einsum("bii->b", matrix) / n
        if caps is None:
            result[part] = _long_only(matrix / scale[:, None, None], taking_part)
        else:
            result[part] = _capped(matrix / scale[:, None, None], taking_part, caps)
    return result


def _long_only(matrix: Floats, taking_part: Bools) -> Floats:
    """Return minimum-variance weights; every NEIGHBOURS-th window first, the others start from its active set."""
    held = taking_part.copy()
    lead = np.arange(0, len(matrix), NEIGHBOURS)
    answers = np.zeros(matrix.shape[:2])
    answers[lead], held[lead] = _pivot(matrix[lead], held[lead], taking_part[lead])
    rest = np.setdiff1d(np.arange(len(matrix)), lead)
    near = np.minimum((rest + NEIGHBOURS // 2) // NEIGHBOURS, len(lead) - 1)
    answers[rest], _ = _pivot(matrix[rest], held[lead][near] & taking_part[rest], taking_part[rest])
    return _normalised(answers)


def _pivot(matrix: Floats, held: Bools, taking_part: Bools) -> tuple[Floats, Bools]:
    """Minimise ½y'Σy − Σy over y ≥ 0 by block principal pivoting (Kim & Park 2011, alg. 2), b problems stacked."""
    held = np.array(held)
    answers = np.zeros(held.shape)
    n = held.shape[1]
    diagonal = np.arange(n)
    left = np.arange(len(held))
    fewest, patience = np.full(len(held), n + 1), np.full(len(held), 3)
    for _ in range(5 * n + 100):
        if not len(left):
            return answers, held
        inside = held[left]
        system = matrix[left]
        masked = system * (inside[:, :, None] & inside[:, None, :])
        masked[:, diagonal, diagonal] += ~inside
        y = np.linalg.solve(masked, inside.astype(float)[:, :, None])[:, :, 0]
        dual = (system @ y[:, :, None])[:, :, 0] - 1.0
        wrong = (inside & (y < 0)) | (~inside & taking_part[left] & (dual < -1e-12))
        count = wrong.sum(axis=1)
        done = count == 0
        answers[left[done]] = y[done]
        left, wrong, count = left[~done], wrong[~done], count[~done]
        better = count < fewest[left]
        fewest[left] = np.where(better, count, fewest[left])
        patience[left] = np.where(better, 3, patience[left] - 1)
        # when blocks stop helping, only the last wrong name changes sides, which ends (Murty 1974)
        single = patience[left] < 0
        last = n - 1 - wrong[:, ::-1].argmax(axis=1)
        only = np.zeros_like(wrong)
        only[np.arange(len(last)), last] = True
        held[left] ^= np.where(single[:, None], only, wrong)
    raise ScreenerError("minimum variance did not converge; is a covariance near singular?")


def _capped(matrix: Floats, taking_part: Bools, caps: Caps) -> Floats:
    """Return minimum-variance weights within caps, b problems stacked, by a primal-dual interior-point method."""
    n = taking_part.shape[1]
    groups = np.zeros(n, dtype=np.intp) if caps.groups is None else caps.groups
    member = np.eye(groups.max() + 1)[:, groups]  # G × n
    upper = np.where(taking_part, caps.name, 1e-3)
    group = np.full(len(member), caps.group if caps.groups is not None else 10.0)
    present = taking_part.astype(float)
    room = np.minimum(np.minimum(member @ present.T * caps.name, group[:, None]).sum(axis=0), 1.0)
    total = np.where(room < 1.0, room * (1 - 1e-9), 1.0)
    quadratic = np.where(taking_part[:, :, None] & taking_part[:, None, :], matrix, np.eye(n))
    x = _interior(quadratic, present, (upper, member, group), total)
    kept = np.where(taking_part & (x > 1e-10), x, 0.0)
    return np.asarray(_normalised(kept) * np.where(room < 1.0, room, 1.0)[:, None])


def _interior(q: Floats, present: Floats, bounds: tuple[Floats, Floats, Floats], total: Floats) -> Floats:
    """Minimise ½x'Qx, 0 ≤ x ≤ upper, member·x ≤ group, Σ present·x = total, stacked (Mehrotra 1992)."""
    upper, member, group = bounds
    count, n = present.shape
    rows = 2 * n + len(member)
    jacobian = np.vstack([-np.eye(n), np.eye(n), member])  # M × n, the same for all
    bound = np.concatenate(
        [np.zeros((count, n)), upper, np.broadcast_to(group, (count, len(member)))], axis=1
    )
    x = present * (total / np.maximum(present.sum(axis=1), 1))[:, None] + (1 - present) * 5e-4
    slack = np.maximum(bound - x @ jacobian.T, 1e-2)
    z = np.full((count, rows), 0.1) / np.maximum(slack, 0.1)
    nu = np.zeros(count)
    diagonal = np.arange(n)
    together = member.T @ member  # 1 where two names are in one group
    left, before = np.arange(count), np.full(count, np.inf)
    for _ in range(60):
        xs, ss, zs, part = x[left], slack[left], z[left], present[left]
        curve = q[left]
        dual = (curve @ xs[:, :, None])[:, :, 0] + zs @ jacobian + nu[left, None] * part
        primal = xs @ jacobian.T + ss - bound[left]
        gap = (part * xs).sum(axis=1) - total[left]
        mean = (ss * zs).sum(axis=1) / rows
        worst = np.maximum(np.abs(dual).max(axis=1), np.maximum(np.abs(primal).max(axis=1), np.abs(gap)))
        # limits are kept to rounding throughout; at some point rounding loses what a step gains
        score = np.maximum(worst * 1e-3, (ss * zs).max(axis=1))
        open_ = (score > 1e-13) & ((score < before[left]) | (score > 1e-10))
        before[left] = score
        if not open_.any():
            return np.asarray(x)
        left, xs, ss, zs, part = left[open_], xs[open_], ss[open_], zs[open_], part[open_]
        dual, primal, gap, mean, curve = dual[open_], primal[open_], gap[open_], mean[open_], curve[open_]
        ratio = zs / ss
        system = curve + together * (ratio[:, 2 * n :] @ member)[:, :, None]
        system[:, diagonal, diagonal] += ratio[:, :n] + ratio[:, n : 2 * n]

        newton = _Newton(system, jacobian, part, (dual, primal, gap), (ss, zs))
        _, dslack, dz, _ = _direction(newton, ss * zs)
        far = np.minimum(_longest(ss, dslack), _longest(zs, dz))
        ahead = ((ss + far[:, None] * dslack) * (zs + far[:, None] * dz)).sum(axis=1) / rows
        centre = np.clip((ahead / mean) ** 3, 0.02, 1.0) * mean  # never too near the boundary
        dx, dslack, dz, dnu = _direction(newton, ss * zs + dslack * dz * far[:, None] - centre[:, None])
        far = np.minimum(_longest(ss, dslack), _longest(zs, dz))
        x[left] = xs + far[:, None] * dx
        slack[left] = ss + far[:, None] * dslack
        z[left] = zs + far[:, None] * dz
        nu[left] += far * dnu
    raise ScreenerError("minimum variance within caps did not converge; is a covariance near singular?")


class _Newton(NamedTuple):
    """A Newton system of stacked problems, and the residuals it is to remove."""

    system: Floats  # b × n × n
    jacobian: Floats  # M × n
    part: Floats  # b × n, the row of the sum
    residuals: tuple[Floats, Floats, Floats]  # dual b × n, primal b × M, of the sum b
    state: tuple[Floats, Floats]  # slacks and multipliers, b × M


def _direction(newton: _Newton, complement: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the changes of x, slacks, multipliers and the multiplier of the sum."""
    (dual, primal, gap), (slack, z) = newton.residuals, newton.state
    right = -dual - ((z * primal - complement) / slack) @ newton.jacobian
    both = np.linalg.solve(newton.system, np.stack([right, newton.part], axis=2))
    free, toward = both[:, :, 0], both[:, :, 1]
    dnu = ((newton.part * free).sum(axis=1) + gap) / (newton.part * toward).sum(axis=1)
    dx = free - dnu[:, None] * toward
    dslack = -primal - dx @ newton.jacobian.T
    return dx, dslack, (-complement - z * dslack) / slack, dnu


def _longest(value: Floats, change: Floats) -> Floats:
    """Return for each problem the longest step, at most 1, that keeps its values positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(change < 0, -value / change, np.inf).min(axis=1)
    return np.asarray(np.minimum(1.0, 0.995 * reach))


def _normalised(raw: Floats) -> Floats:
    total = raw.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(raw, total, out=np.zeros_like(raw), where=total > 0))
