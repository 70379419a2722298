"""Placebo themes: the same method on random baskets of the same size, and where the theme stands among them.

A simplified pipeline, so that a thousand baskets take a second or two: sample covariances of weekly returns shrunk as
`ledoit_wolf` does, no limits, every name trades at the close of the row after the decision, one proportional cost. The
theme goes through it too, so like is compared with like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.placebo_covariance import PairMoments, pair_moments, weekly_windows
from screener.backtest.shared import Shared
from screener.errors import UserError
from screener.portfolio.batch import stacked_equal_risk, stacked_hierarchical, stacked_minimum_variance

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
BASKETS = 1000
CHUNK = 100_000  # numbers of the stacked covariances at a time: what a core's cache holds
MOST_MOMENTS = 1_000_000  # numbers of the moments of all pairs at a time
CLOSE, STEPS = 1e-7, 25  # of equal risk: to which contributions are equal, and the most steps
STAND_IN = "equal_risk_contribution"


@dataclass(frozen=True, slots=True)
class PlaceboSettings:
    """How baskets are weighed, drawn and traded."""

    method: str = STAND_IN
    lookback_weeks: int = 104
    min_history_weeks: int = 26
    cost_bps: float = 15.0
    baskets: int = BASKETS
    seed: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Placebo:
    """Where a theme stands among random baskets, all through the same simplified pipeline.

    method: what weighed the baskets; stands_in: it is not the method asked for, which has no stacked kernel. size:
    names of a basket. at_start: those eligible at the first decision. names: to draw from. sharpe_ratio, cagr: the
    theme's. better_*: baskets with more. *_ratios, cagrs: of the baskets.
    """

    method: str
    stands_in: bool
    size: int
    at_start: int
    names: int
    sharpe_ratio: float
    cagr: float
    better_sharpe: int
    better_cagr: int
    sharpe_ratios: Floats
    cagrs: Floats

    @property
    def baskets(self) -> int:
        """Return how many baskets there are."""
        return len(self.cagrs)

    @property
    def p_value(self) -> float:
        """Return the probability that a random basket does as well in Sharpe ratio, (1 + better) / (1 + baskets)."""
        return (1 + self.better_sharpe) / (1 + self.baskets)


def placebo_themes(
    prices: pd.DataFrame,
    members: tuple[str, ...],
    decisions: list[date],
    settings: PlaceboSettings,
    listed: pd.DataFrame | None = None,
    shared: Shared | None = None,
) -> Placebo | None:
    """Return where a theme stands among random baskets of the universe.

    prices: T × N total-return prices in base currency of every name of the universe, NaN where there is none, with
    the rows before the first decision that the lookback needs (`with_recoveries` for delisted names). members: the
    theme's. decisions: dates at whose end is decided, in order. listed: decisions × N, names that may be held then
    (None: every name with a price). A name is eligible with a price, enough weekly returns and a price that moves.

    A basket is drawn once and kept. It has as many names that are eligible at the first decision as the theme has,
    and as many that become eligible later; before that they are left out, as in a theme. None when the theme has no
    eligible member at the first decision or nothing follows the last; a theme of every name leaves nothing to draw,
    and then every basket is the theme.
    """
    rows = pd.DatetimeIndex(prices.index).searchsorted(pd.DatetimeIndex(decisions), side="right") - 1
    levels = prices.to_numpy(dtype=float)
    rows = rows[rows + 1 < len(levels)]
    if not len(rows):
        return None
    returns = weekly_windows(prices, rows, settings.lookback_weeks)
    eligible = _eligible(returns, settings.min_history_weeks) & (levels[rows] > 0)
    if listed is not None:
        eligible &= listed.reindex(columns=prices.columns, fill_value=False).to_numpy(dtype=bool)[: len(rows)]
    own = np.isin(prices.columns, list(members))
    ever = eligible.any(axis=0)
    theme = np.flatnonzero(own & ever)
    at_start = int((own & eligible[0]).sum())
    if not at_start:
        return None
    drawn = draw_baskets(
        eligible, at_start, len(theme), settings.baskets, np.random.default_rng(settings.seed)
    )
    baskets = np.vstack([theme, drawn])
    method = settings.method if settings.method in KERNELS else STAND_IN
    weights = basket_weights(returns, eligible, baskets, method, shared)
    wealth = stacked_wealth(levels, rows, baskets, weights, settings.cost_bps / 1e4)
    years = (prices.index[-1] - prices.index[rows[0]]).days / 365.25
    sharpe, growth = _statistics(wealth, years)
    return Placebo(
        method=method,
        stands_in=method != settings.method,
        size=len(theme),
        at_start=at_start,
        names=int(ever.sum()),
        sharpe_ratio=float(sharpe[0]),
        cagr=float(growth[0]),
        # written so that a figure that is not known would never look like a good one
        better_sharpe=int((~(sharpe[1:] <= sharpe[0])).sum()),
        better_cagr=int((~(growth[1:] <= growth[0])).sum()),
        sharpe_ratios=sharpe[1:],
        cagrs=growth[1:],
    )


def with_recoveries(
    prices: pd.DataFrame, recoveries: Mapping[str, tuple[date, float | None]]
) -> pd.DataFrame:
    """Return prices in which a delisted name is worth its recovery from its exit on, and is never priced again.

    recoveries: symbol → date, and the fraction of the last price that holders received (None: all of it). Only the
    first row on or after the date has the price, so the name can be sold then and is not eligible later.
    """
    columns = {}
    for symbol, (day, fraction) in recoveries.items():
        row = int(pd.DatetimeIndex(prices.index).searchsorted(pd.Timestamp(day)))
        if symbol in prices.columns and row < len(prices):
            values = prices[symbol].to_numpy(dtype=float).copy()
            known = values[: row + 1][np.isfinite(values[: row + 1])]
            values[row:] = np.nan
            if len(known):
                values[row] = known[-1] * (1.0 if fraction is None else fraction)
            columns[symbol] = values
    return prices.assign(**columns)


def draw_baskets(eligible: Bools, at_start: int, size: int, count: int, rng: np.random.Generator) -> Indices:
    """Return count × size columns without repetition: `at_start` eligible at the first decision, the rest later.

    eligible: decisions × N. Where too few become eligible later, more come from those at the start.
    """
    first = np.flatnonzero(eligible[0])
    later = np.flatnonzero(eligible.any(axis=0) & ~eligible[0])
    joining = min(size - at_start, len(later))
    at_start = size - joining
    if at_start > len(first):
        raise UserError(
            f"a basket of {size} names cannot be drawn from {len(first) + len(later)} eligible ones"
        )
    parts = [
        pool[np.argsort(rng.random((count, len(pool))), axis=1)[:, :number]]
        for pool, number in ((first, at_start), (later, joining))
        if number
    ]
    return np.hstack(parts)


def _eligible(returns: Floats, fewest: int) -> Bools:
    """Return decisions × N: enough weekly returns, and not all of them alike."""
    known = np.isfinite(returns)
    highest = np.where(known, returns, -np.inf).max(axis=1)
    lowest = np.where(known, returns, np.inf).min(axis=1)
    return np.asarray((known.sum(axis=1) >= fewest) & (highest > lowest))


def basket_weights(
    returns: Floats, eligible: Bools, baskets: Indices, method: str, shared: Shared | None = None
) -> Floats:
    """Return decisions × baskets × size weights of each basket's eligible names; they sum to 1, or 0 if there are none.

    returns: decisions × weeks × N. The covariance of all names is estimated once a decision, and problems with the
    same number of eligible names are solved together.
    """
    taking_part = eligible[:, baskets]  # decisions × baskets × size
    result = np.zeros(taking_part.shape)
    kernel = KERNELS[method]
    step = max(1, MOST_MOMENTS // eligible.shape[1] ** 2)
    for start in range(0, len(returns), step):
        some = slice(start, start + step)
        moments = _moments(returns[some], eligible[some], shared)
        for when, which, places in _groups(taking_part[some]):
            names = baskets[which[:, None], places]
            result[some][when[:, None], which[:, None], places] = kernel(moments, when, names)
    return result


def _moments(returns: Floats, eligible: Bools, shared: Shared | None) -> PairMoments:
    """Return the moments of all pairs; of the same returns again, those of the theme before."""
    if shared is None:
        return pair_moments(returns, eligible)
    key = tuple(hashlib.blake2b(np.ascontiguousarray(each).data).digest() for each in (returns, eligible))
    return shared.once(key, lambda: pair_moments(returns, eligible))


def _groups(taking_part: Bools) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Yield decisions, baskets and the places of those who take part (b × k), k alike, in chunks."""
    count = taking_part.sum(axis=2)
    for k in np.unique(count[count > 0]):
        when, which = np.nonzero(count == k)
        step = max(1, CHUNK // int(k * k))
        for start in range(0, len(when), step):
            some = slice(start, start + step)
            marks = taking_part[when[some], which[some]]
            places = np.nonzero(marks)[1].reshape(-1, k)
            yield when[some], which[some], places


def stacked_wealth(levels: Floats, rows: Indices, baskets: Indices, weights: Floats, rate: float) -> Floats:
    """Return T' × baskets wealth from the first decision's row to the last, starting at 1.

    levels: T × N prices. Decided at row t, traded at the close of row t + 1 at the weights × wealth less
    rate × Σ|traded|; between trades the names drift. A name without a price keeps its last one. The cost is taken off
    wealth before it is shared out, which is less than the exact cost by its square.
    """
    # forward only: the last price of each name; before the first nothing is held, and 1 stands for it
    held = pd.DataFrame(levels).ffill().fillna(1.0).to_numpy()
    count, n = len(baskets), levels.shape[1]
    first = int(rows[0])
    wealth = np.ones((len(levels) - first, count))
    fills = rows + 1
    ends = np.append(fills[1:], len(levels) - 1)
    money = np.ones(count)
    current = np.zeros((count, n))
    places = np.arange(count)[:, None]
    for number, (fill, end) in enumerate(zip(fills, ends, strict=True)):
        wanted = np.zeros((count, n))
        wanted[places, baskets] = weights[number]
        money = money * (1.0 - rate * np.abs(wanted - current).sum(axis=1))
        wealth[fill - first] = money
        if end == fill:
            current = wanted
            continue
        base = np.where(held[fill] > 0, held[fill], 1.0)  # a name that became worthless is not held
        growth = held[fill + 1 : end + 1] / base
        cash = 1.0 - wanted.sum(axis=1)
        path = growth @ wanted.T + cash
        wealth[fill + 1 - first : end + 1 - first] = path * money
        # a basket that lost everything holds nothing
        per_wealth = np.divide(1.0, path[-1], out=np.zeros(count), where=path[-1] > 0)
        current = wanted * growth[-1] * per_wealth[:, None]
        money = money * path[-1]
    return wealth


def _statistics(wealth: Floats, years: float) -> tuple[Floats, Floats]:
    """Return annualised Sharpe ratios and CAGRs of columns, as performance.py defines them."""
    growth = np.divide(wealth[1:], wealth[:-1], out=np.ones_like(wealth[1:]), where=wealth[:-1] > 0)
    returns = growth - 1.0
    deviation = returns.std(axis=0, ddof=1)
    moving = deviation > 1e-15
    ratio = np.where(moving, returns.mean(axis=0) / np.where(moving, deviation, 1.0), 0.0)
    return ratio * np.sqrt(len(returns) / years), np.asarray(wealth[-1] ** (1.0 / years) - 1.0)


def _equal(moments: PairMoments, when: Indices, names: Indices) -> Floats:
    return np.full(names.shape, 1.0 / names.shape[1])


def _inverse_volatility(moments: PairMoments, when: Indices, names: Indices) -> Floats:
    return _normalised(1.0 / moments.deviations(when, names))


def _equal_risk(moments: PairMoments, when: Indices, names: Indices) -> Floats:
    matrix = moments.covariances(when, names)
    deviation = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
    correlation = matrix / (deviation[:, :, None] * deviation[:, None, :])
    return _normalised(balanced(correlation) / deviation)


def balanced(correlation: Floats) -> Floats:
    """Return x with x·(Cx) = 1 to CLOSE for b × k × k correlation matrices.

    Newton's steps with the matrix of the average correlation in place of C, whose inverse is known (Sherman &
    Morrison 1950): a step costs one product, and a few more of them are needed. What has not converged then is
    solved by the exact kernel.
    """
    k = correlation.shape[1]
    sums = correlation.sum(axis=2)
    average = np.maximum((sums.sum(axis=1, keepdims=True) - k) / max(k * (k - 1), 1), 0.0)
    x = 1.0 / np.sqrt(np.maximum(sums, 0.1))
    for _ in range(STEPS):
        miss = x * (correlation @ x[:, :, None])[:, :, 0] - 1.0
        if np.abs(miss).max() < CLOSE:
            break
        inverse = 1.0 / (1.0 - average + x**-2)
        step = inverse * miss / x
        shared = average * step.sum(axis=1, keepdims=True)
        step -= inverse * shared / (1.0 + average * inverse.sum(axis=1, keepdims=True))
        x = np.maximum(x - step, 0.3 * x)
    open_ = np.abs(miss).max(axis=1) >= CLOSE
    if open_.any():
        x[open_] = stacked_equal_risk(correlation[open_])
    return np.asarray(x)


def _minimum_variance(moments: PairMoments, when: Indices, names: Indices) -> Floats:
    return stacked_minimum_variance(moments.covariances(when, names))


def _hierarchical(moments: PairMoments, when: Indices, names: Indices) -> Floats:
    return stacked_hierarchical(moments.covariances(when, names))


def _normalised(raw: Floats) -> Floats:
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


KERNELS: dict[str, Callable[[PairMoments, Indices, Indices], Floats]] = {
    "equal": _equal,
    "inverse_volatility": _inverse_volatility,
    STAND_IN: _equal_risk,
    "minimum_variance": _minimum_variance,
    "hierarchical_risk_parity": _hierarchical,
}
