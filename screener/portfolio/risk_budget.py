"""Portfolios whose names, stages or countries carry stated shares of the risk, within limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError, UserError, unknown
from screener.portfolio.constrained import Goal, Indices, nearest, optimise
from screener.portfolio.limits import GROUPS
from screener.portfolio.region import Names, Region

Floats = npt.NDArray[np.float64]
CLOSE = 1e-3  # a share of the risk within 0.1 point of its budget counts as met
SENTENCE = re.compile(r"([a-z]+) (\S+?)\s*=\s*([0-9.]+)\s*(%?)")
MOST_FACTORISED = 64  # names up to which a system of equations is solved by its factors
MOST_ROUNDS = 80


@dataclass(frozen=True, slots=True)
class Budget:
    """The share of the portfolio's risk that a group carries, a fraction. text: as typed."""

    subject: str
    key: str
    share: float
    text: str


def parse_budgets(texts: Iterable[str]) -> tuple[Budget, ...]:
    """Read sentences such as `segment mining = 30%`; the shares of each subject must sum to 100 %."""
    budgets, problems = [], []
    for text in texts:
        words = " ".join(text.split())
        matched = SENTENCE.fullmatch(words)
        if matched is None:
            problems.append(
                f'risk budget "{words:.80}" is not understood; it looks like "segment mining = 30%"'
            )
            continue
        subject, key, number, percent = matched.groups()
        if subject not in GROUPS:
            problems.append(f'risk budget "{words}": {unknown("subject", subject, GROUPS)}')
            continue
        try:
            share = float(number) / (100 if percent else 1)
        except ValueError:
            problems.append(f'risk budget "{words}": {number} is not a number')
            continue
        if not 0 < share <= 1:
            problems.append(f'risk budget "{words}": a share is above 0 and at most 100%')
        budgets.append(Budget(subject, key, share, words))
    for subject in dict.fromkeys(each.subject for each in budgets):
        shares = [each for each in budgets if each.subject == subject]
        if len({each.key for each in shares}) < len(shares):
            problems.append(f"risk budgets by {subject} name one of them twice")
        total = sum(each.share for each in shares)
        if abs(total - 1) > 1e-6:
            listed = ", ".join(each.text for each in shares)
            problems.append(f"risk budgets by {subject} sum to {100 * total:.6g} %, not to 100 %: {listed}")
    if problems:
        raise UserError(*problems)
    return tuple(budgets)


def shares_of(budgets: Sequence[Budget], names: Names) -> dict[str, Floats]:
    """Return for each subject the N shares of the group each name is in, scaled to the groups that are there.

    Without budgets every segment carries the same share. Raises UserError when a name's group has no budget.
    """
    if not budgets:
        subject = "segment" if "segment" in names.groups else "name"
        return {subject: np.full(len(names), 1.0 / len(set(names.words(subject))))}
    found, problems = {}, []
    for subject in dict.fromkeys(each.subject for each in budgets):
        stated = {each.key: each.share for each in budgets if each.subject == subject}
        words = names.words(subject)
        missing = [word for word in dict.fromkeys(words) if word not in stated]
        if missing:
            problems.append(f"no risk budget is stated for {subject} {', '.join(missing)}")
            continue
        present = sum(stated[word] for word in dict.fromkeys(words))
        found[subject] = np.array([stated[word] / present for word in words])
    if problems:
        raise UserError(*problems)
    return found


def name_budgets(shares: Mapping[str, Floats], names: Names) -> Floats:
    """Return N budgets of names, summing to 1, that give every group its share.

    Within a group equal, where several subjects share out the risk as near to that as they allow (iterative
    proportional fitting, Deming & Stephan 1940). Raises UserError when the subjects contradict each other.
    """
    budget = np.full(len(names), 1.0 / len(names))
    groups = {subject: _numbers(names.words(subject)) for subject in shares}
    gap = 0.0
    for _ in range(500):
        gap = 0.0
        for subject, share in shares.items():
            had = np.bincount(groups[subject], weights=budget)[groups[subject]]
            gap = max(gap, float(np.abs(had - share).max()))
            budget = budget * share / np.maximum(had, 1e-300)
        if gap < 1e-12:
            break
    if gap > 1e-6:
        raise UserError(
            f"the risk budgets by {' and by '.join(shares)} contradict each other for these names"
        )
    return np.asarray(budget / budget.sum())


def equal_risk(covariance: Floats, budget: Floats) -> Floats:
    """Return the long-only weights whose risk contributions w·(Σw) are in proportion to a budget.

    Minimises ½ x'Cx − Σ b ln x over the correlation matrix C (Spinu 2013, "An algorithm for computing risk
    parity weights", eq. 6) by damped Newton steps, then w ∝ x/σ. Contributions agree to 1e-10 relative.
    Raises ScreenerError if 500 steps do not suffice.
    """
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    b = budget * len(budget)
    x = np.sqrt(b) / np.sqrt(max(correlation.sum(), 1e-12) / len(correlation))
    for _ in range(500):
        product = correlation @ x
        miss = float(np.abs(x * product / b - 1.0).max())
        if miss < 1e-10:
            weights = x / deviation
            return np.asarray(weights / weights.sum())
        gradient = product - b / x
        step = _newton_step(correlation, b / x**2, gradient, min(0.1, miss))
        decrement = float(np.sqrt(max(gradient @ step, 0.0) / min(1.0, b.min())))
        # damped while far away (Nesterov 2004, sec. 4.1.5), which also keeps x positive
        x = x - step / (1.0 + decrement) if decrement > 0.25 else x - step
    raise ScreenerError("risk budgets did not converge in 500 steps; is the covariance near singular?")


def _newton_step(correlation: Floats, barrier: Floats, gradient: Floats, enough: float) -> Floats:
    """Return the solution of (C + diag(barrier)) s = gradient; of many names to `enough` of the gradient only.

    Far from the goal an inexact step does (Dembo, Eisenstat & Steihaug 1982), and conjugate gradients need a few
    products with C where a factorisation costs as much as N / 3 of them.
    """
    if len(gradient) <= MOST_FACTORISED:
        return np.asarray(np.linalg.solve(correlation + np.diag(barrier), gradient))
    from scipy.sparse.linalg import LinearOperator, cg

    shape = correlation.shape
    hessian = LinearOperator(shape, matvec=lambda v: correlation @ v + barrier * v, dtype=float)
    scaled = LinearOperator(shape, matvec=lambda v: v / (1.0 + barrier), dtype=float)
    return np.asarray(cg(hessian, gradient, rtol=enough, M=scaled)[0])


def constrained_risk(covariance: Floats, budget: Floats, region: Region, total: float) -> Floats:
    """Return the weights nearest to risk contributions in proportion to a budget that limits allow.

    Minimises ½ w'Σw − λ Σ b ln w within the limits, with the λ at which the weights sum to the total
    (Richard & Roncalli 2019, "Constrained risk budgeting portfolios", eq. 15): names that no limit touches have
    contributions w·(Σw) = λ b exactly. Where limits alone fix the sum, λ is the portfolio's variance.
    """
    free = equal_risk(covariance, budget) * total
    if not region.broken(free):
        return free
    scale = float(free @ covariance @ free)
    sigma = covariance / scale

    def goal_of(rows: Indices) -> Goal:
        part, b = sigma[np.ix_(rows, rows)], budget[rows] / budget[rows].sum()

        def objective(w: Floats, level: float) -> tuple[Floats, Floats]:
            pull = level * b / w
            return part @ w - pull, part + np.diag(pull / w)

        return Goal(objective, np.maximum(free[rows], 1e-4), b, logarithmic=True)

    return optimise(goal_of, region, total)[0]


def budgeted(covariance: Floats, shares: Mapping[str, Floats], region: Region, total: float) -> Floats:
    """Return weights whose groups carry their shares of the risk, or come as near as the limits let them.

    Without limits that bind the shares are exact. Where limits cut some names, the budgets of groups move until
    their shares are met or stop moving; what is then still missed is made least, in squares, from there.
    """
    names = region.names
    groups = {subject: _numbers(names.words(subject)) for subject in shares}
    budget = name_budgets(shares, names)
    best, best_gap, best_budget = np.zeros(0), np.inf, budget
    power = 1.0
    for _ in range(MOST_ROUNDS):
        weights = constrained_risk(covariance, budget, region, total)
        gap = _gap(covariance, weights, shares, groups)
        if gap < best_gap:
            best, best_gap, best_budget, power = weights, gap, budget, min(1.0, 1.3 * power)
        else:
            power /= 2
        if best_gap < 1e-7 or power < 1e-3:
            break
        risk = _risk(covariance, best)
        budget = best_budget
        for subject, share in shares.items():
            had = np.bincount(groups[subject], weights=risk)[groups[subject]]
            budget = budget * (share / np.clip(had, share / 4, 4 * share)) ** power
        budget = np.maximum(budget / budget.sum(), 1e-3 / len(budget))
        budget = budget / budget.sum()
    return best if best_gap < CLOSE / 10 else _nearest_shares(covariance, best, shares, region)


def _nearest_shares(
    covariance: Floats, start: Floats, shares: Mapping[str, Floats], region: Region
) -> Floats:
    """Return the weights from a start on that miss the shares least, Σ (share − budget)², by SciPy's SLSQP.

    Only where all limits are linear; the start comes back where nothing better is found.
    """
    from scipy.optimize import minimize

    linear = not (region.turnover or region.cones() or region.of("names") or region.least_position)
    if not linear:
        return start
    sums, budgets = [], []
    for subject, share in shares.items():
        words = np.array(region.names.words(subject))
        for word in dict.fromkeys(words.tolist()):
            sums.append((words == word).astype(float))
            budgets.append(float(share[words == word][0]))
    groups, budget = np.array(sums), np.array(budgets)
    total, matrix, bound = float(start.sum()), region.matrix, region.bound

    def missed(w: Floats) -> tuple[float, Floats]:
        marginal = covariance @ w
        variance = float(w @ marginal)
        carried = groups @ (w * marginal) / variance
        gap = carried - budget
        pull = groups.T @ gap
        slope = pull * marginal + covariance @ (pull * w) - 2 * float(gap @ carried) * marginal
        return 1e4 * float(gap @ gap), 2e4 * slope / variance

    limits: list[Any] = [{"type": "eq", "fun": lambda w: w.sum() - total, "jac": np.ones_like}]
    if len(bound):
        limits.append({"type": "ineq", "fun": lambda w: bound - matrix @ w, "jac": lambda w: -matrix})
    found = minimize(
        missed,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, total)] * len(start),
        constraints=limits,
        options={"maxiter": 100, "ftol": 1e-12},
    )
    weights = np.clip(found.x, 0.0, None)
    weights = nearest(weights / weights.sum(), region, total)  # SLSQP keeps limits to about 1e-8 only
    return weights if missed(weights)[0] < missed(start)[0] else start


def missed_shares(risk: Floats, shares: Mapping[str, Floats], names: Names) -> tuple[str, ...]:
    """Say which groups' shares of the risk are further than CLOSE from their budgets. risk: N, summing to 1."""
    said = []
    for subject, share in shares.items():
        words = names.words(subject)
        for word in dict.fromkeys(words):
            inside = np.array([each == word for each in words])
            has, wanted = float(risk[inside].sum()), float(share[inside][0])
            if abs(has - wanted) > CLOSE:
                said.append(
                    f"{subject} {word} carries {has:.1%} of the risk, not {wanted:.1%}: the limits bind"
                )
    return tuple(said)


def _risk(covariance: Floats, weights: Floats) -> Floats:
    marginal = covariance @ weights
    return np.asarray(weights * marginal / (weights @ marginal))


def _gap(
    covariance: Floats, weights: Floats, shares: Mapping[str, Floats], groups: Mapping[str, Indices]
) -> float:
    risk = _risk(covariance, weights)
    return max(
        float(np.abs(np.bincount(groups[subject], weights=risk)[groups[subject]] - share).max())
        for subject, share in shares.items()
    )


def _numbers(words: Sequence[str]) -> Indices:
    order: dict[str, int] = {}
    return np.array([order.setdefault(word, len(order)) for word in words], dtype=np.intp)
