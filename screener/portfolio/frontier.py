"""Portfolios that are best by one measure within limits: least variance or CVaR, most diversification or Sharpe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError, UserError
from screener.portfolio.constrained import DUST, Goal, Indices, nearest, optimise
from screener.portfolio.region import Region

Floats = npt.NDArray[np.float64]
TAIL = 0.05  # CVaR is the mean of this worst share of returns
FEWEST_SCENARIOS = 26
# of the market that the prior returns are implied by (Black & Litterman 1992 use about this)
RISK_AVERSION = 2.5


@dataclass(frozen=True, slots=True)
class View:
    """An opinion: `symbol` returns `value` a year, or so much more than `against`; fractions, confidence 0 to 1."""

    symbol: str
    against: str
    value: float
    confidence: float


def least_variance(covariance: Floats, region: Region, total: float) -> Floats:
    """Return the weights of least variance within the region (Markowitz 1952)."""
    return _quadratic(covariance, np.zeros(len(covariance)), region, total)


def best_ratio(reward: Floats, covariance: Floats, region: Region, total: float) -> Floats:
    """Return the weights of the highest reward · w / √(w'Σw) within the region.

    They minimise ½ w'Σw − t reward·w for the t at which t reward·w = w'Σw; between two sets of limits that bind
    that gap is linear in t, so the secant method needs few quadratic programs (Markowitz 1956, critical lines).
    Where no name has a positive reward no ratio is highest, and the least variance is held.
    """
    if reward.max() <= 0:
        return least_variance(covariance, region, total)

    def gap(t: float) -> tuple[float, Floats]:
        weights = _quadratic(covariance, t * reward, region, total)
        return float(t * (reward @ weights) - weights @ covariance @ weights), weights

    scale = float(np.diag(covariance).mean()) / float(np.abs(reward).mean())
    low, high = 0.0, scale
    below, weights = gap(low)
    above, weights = gap(high)
    while above < 0 and high < 1e6 * scale:
        low, below, high = high, above, high * 4
        above, weights = gap(high)
    if above < 0:
        return weights  # even the highest reward is not positive enough: the least bad
    for step in range(60):
        t = high - above * (high - low) / (above - below) if step % 4 != 3 else (low + high) / 2
        value, weights = gap(t)
        if abs(value) < 1e-11 * float(np.diag(covariance).mean()) or high - low < 1e-13 * high:
            break
        if value < 0:
            low, below = t, value
        else:
            high, above = t, value
    return weights


def _quadratic(covariance: Floats, reward: Floats, region: Region, total: float) -> Floats:
    """Return the weights that minimise ½ w'Σw − reward · w within the region."""
    inverse = 1.0 / np.diag(covariance)
    # gradients at an optimum are near its variance, which is near that of inverse-variance weights
    scale = float(inverse @ covariance @ inverse) / float(inverse.sum()) ** 2
    sigma, gain = covariance / scale, reward / scale

    def goal_of(rows: Indices) -> Goal:
        part = sigma[np.ix_(rows, rows)]

        def objective(w: Floats, _: float) -> tuple[Floats, Floats]:
            return part @ w - gain[rows], part

        return Goal(objective, np.ones(len(rows)))

    return optimise(goal_of, region, total)[0]


def least_cvar(returns: Floats, region: Region, total: float) -> Floats:
    """Return the weights of least CVaR 95 % over T × N returns (Rockafellar & Uryasev 2000, eq. 17).

    A linear program over the rows in which every name has a return; a missing return is never taken for zero.
    Limits that are not linear are kept by going to the nearest portfolio that keeps them. Raises UserError for
    fewer than FEWEST_SCENARIOS common rows.
    """
    from scipy.optimize import linprog

    known = returns[np.isfinite(returns).all(axis=1)]
    t, n = len(known), len(region.names)
    if t < FEWEST_SCENARIOS:
        counts = np.isfinite(returns).sum(axis=0)
        fewest = region.names.symbols[int(counts.argmin())]
        raise UserError(
            f"minimum_cvar needs {FEWEST_SCENARIOS} weeks in which all names have returns, and there are {t}; "
            f"{fewest} has {int(counts.min())}"
        )
    costs = np.concatenate([np.zeros(n), [1.0], np.full(t, 1.0 / (TAIL * t))])
    losses = np.hstack([-known, -np.ones((t, 1)), -np.eye(t)])
    rows = np.hstack([region.matrix, np.zeros((len(region.rows), 1 + t))])
    answer = linprog(
        costs,
        A_ub=np.vstack([losses, rows]),
        b_ub=np.concatenate([np.zeros(t), region.bound]),
        A_eq=np.concatenate([np.ones(n), np.zeros(1 + t)])[None, :],
        b_eq=[total],
        bounds=[(0.0, None)] * n + [(None, None)] + [(0.0, None)] * t,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if answer.x is None:
        raise ScreenerError(f"minimum_cvar found no portfolio: {answer.message}")
    weights = np.where(answer.x[:n] < DUST, 0.0, answer.x[:n])
    return nearest(weights / total, region, total) if region.broken(weights) else weights


def shrunk_means(returns: Floats, covariance: Floats, periods_per_year: int = 52) -> Floats:
    """Return N expected returns a year, shrunk to that of the minimum-variance portfolio (Jorion 1986, eq. 17).

    returns: T × N, NaN where there is none; each mean is of a name's own returns, T of the formula is the least
    of their counts. covariance: annualised.
    """
    known = np.isfinite(returns)
    counts = known.sum(axis=0)
    means = np.where(known, returns, 0.0).sum(axis=0) / counts * periods_per_year
    n = len(means)
    solved = np.linalg.solve(covariance, np.column_stack([np.ones(n), means]))
    target = float(solved[:, 1].sum() / solved[:, 0].sum())
    apart = means - target
    years = float(counts.min()) / periods_per_year
    distance = float(apart @ np.linalg.solve(covariance, apart))
    share = (n + 2) / (n + 2 + years * distance)
    return np.asarray((1 - share) * means + share * target)


def posterior_means(
    covariance: Floats, symbols: Sequence[str], views: Sequence[View], market: Floats | None
) -> Floats:
    """Return N expected returns a year: what the market implies, moved by views (Black & Litterman 1992).

    market: N weights whose holding is taken as optimal, None: equal. Confidences enter by Idzorek's method;
    PyPortfolioOpt does the blending. Views on symbols that are not there are left out by the caller.
    """
    n = len(symbols)
    weights = np.full(n, 1.0 / n) if market is None else market
    prior = RISK_AVERSION * covariance @ weights
    if not views:
        return np.asarray(prior)
    from pypfopt import BlackLittermanModel

    place = {symbol: number for number, symbol in enumerate(symbols)}
    picks = np.zeros((len(views), n))
    for row, view in zip(picks, views, strict=True):
        row[place[view.symbol]] = 1.0
        if view.against:
            row[place[view.against]] = -1.0
    blended = BlackLittermanModel(
        covariance,
        pi=prior[:, None],
        P=picks,
        Q=np.array([[view.value] for view in views]),
        omega="idzorek",
        view_confidences=[view.confidence for view in views],
    )
    return np.asarray(blended.bl_returns(), dtype=float)
