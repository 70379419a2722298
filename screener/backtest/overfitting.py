"""Whether the best of many variants is any good: probability of backtest overfitting, and superior predictive ability.

Both look at the returns of all variants together, T × V. What they need of the user is every variant that was
tried, not only the good ones; ledger.py keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from screener.backtest.validity import optimal_block_length, stationary_bootstrap

Floats = npt.NDArray[np.float64]
BLOCKS = 16
FEWEST_ROWS = 4  # of a block: fewer make no Sharpe ratio
DRAWS = 1000


@dataclass(frozen=True, eq=False, slots=True)
class Overfitting:
    """What choosing the best of V variants on one half of the time brought on the other half.

    probability: share of the splits on which the chosen variant fell at or below the median of the other half.
    logits: of its relative rank there, one a split. slope: of its Sharpe ratio in the other half on that in the
    chosen half, over the splits (below 0: the better it looked, the worse it did). probability_of_loss: share of
    the splits on which its Sharpe ratio in the other half was not above 0.
    """

    variants: int
    blocks: int
    rows: int
    probability: float
    slope: float
    probability_of_loss: float
    logits: Floats


@dataclass(frozen=True, slots=True)
class Superiority:
    """p-values of "no variant beats the benchmark", of Hansen's test and of White's.

    p_value: the consistent one. lower, upper: its bounds. reality_check: White's, of plain means, which a few bad
    variants can hide a good one from. best: the column with the largest studentised mean.
    """

    variants: int
    block_length: float
    p_value: float
    lower: float
    upper: float
    reality_check: float
    best: int


def backtest_overfitting(returns: Floats, blocks: int = BLOCKS) -> Overfitting | None:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    returns: T × V, no NaN. The T rows are cut into `blocks` (even) of equal length, the oldest T mod blocks rows
    left out; every half of the blocks is once the past and the rest its future. None with fewer than 2 variants or
    FEWEST_ROWS rows a block. Sums and sums of squares of the blocks are all that is needed, so a split costs a row
    of a matrix product. Source: Bailey, Borwein, López de Prado & Zhu (2017), sec. 3; ties get their middle rank.
    Raises ValueError for an odd number of blocks or returns that are not finite.
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"the number of blocks must be even and at least 2, not {blocks}")
    if not np.isfinite(returns).all():
        raise ValueError("every variant needs a return in every row")
    rows, variants = len(returns) // blocks, returns.shape[1]
    if variants < 2 or rows < FEWEST_ROWS:
        return None
    used = returns[len(returns) - rows * blocks :]
    middle = used.mean(axis=0)  # squares of what is left lose no digits
    centred = (used - middle).reshape(blocks, rows, variants)
    sums, squares = centred.sum(axis=1), np.einsum("btv,btv->bv", centred, centred)
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = np.zeros((len(chosen), blocks))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    count = rows * blocks // 2
    first, second = inside @ sums, inside @ squares
    past = _sharpe_ratios(first, second, middle, count)
    future = _sharpe_ratios(sums.sum(axis=0) - first, squares.sum(axis=0) - second, middle, count)
    best = past.argmax(axis=1)
    there = np.take_along_axis(future, best[:, None], axis=1)
    rank = (future < there).sum(axis=1) + ((future == there).sum(axis=1) + 1) / 2
    logits = np.log(rank / (variants + 1 - rank))
    before, after = past[np.arange(len(best)), best], there[:, 0]
    slope = float(np.polyfit(before, after, 1)[0]) if np.ptp(before) > 0 else float("nan")
    return Overfitting(
        variants=variants,
        blocks=blocks,
        rows=rows * blocks,
        probability=float((logits <= 0).mean()),
        slope=slope,
        probability_of_loss=float((after <= 0).mean()),
        logits=logits,
    )


def _sharpe_ratios(sums: Floats, squares: Floats, middle: Floats, count: int) -> Floats:
    """Return splits × V Sharpe ratios per period from sums around `middle`; without variance 0."""
    mean = sums / count
    variance = np.maximum(squares - count * mean**2, 0.0) / (count - 1)
    flat = variance <= 1e-24
    return np.asarray(np.where(flat, 0.0, (mean + middle) / np.sqrt(np.where(flat, 1.0, variance))))


def superior_predictive_ability(
    excess: Floats, *, block: float | None = None, draws: int = DRAWS, seed: int = 0
) -> Superiority:
    """Test that no variant beats the benchmark, allowing for the number of variants tried.

    excess: T × V, returns less the benchmark's on the same rows, no NaN, no constant column. block: mean length of
    the stationary bootstrap's blocks; by default that which suits the mean of the variants. Source: Hansen (2005),
    eqs. 4 to 9, studentised by the exact variance of the bootstrap's mean (Politis & Romano 1994, lemma 1); White
    (2000) for the reality check. Raises ValueError for excess returns that are not finite or do not vary.
    """
    if not np.isfinite(excess).all():
        raise ValueError("every variant needs an excess return in every row")
    rows, variants = excess.shape
    block = optimal_block_length(excess.mean(axis=1)) if block is None else block
    mean, root = excess.mean(axis=0), np.sqrt(rows)
    deviation = np.sqrt(bootstrap_variance(excess, block))
    if not (deviation > 1e-15).all():
        raise ValueError("a variant's excess return never changes")
    places = stationary_bootstrap(rows, block, draws, np.random.default_rng(seed))
    numbered = places + rows * np.arange(draws)[:, None]
    times = np.bincount(numbered.ravel(), minlength=draws * rows).reshape(draws, rows)
    drawn = times.astype(float) @ excess / rows
    score = root * mean / deviation
    found = max(float(score.max()), 0.0)
    # variants this bad cannot be the best one by luck; centring them on 0 would make the test conservative
    hopeless = score < -np.sqrt(2.0 * np.log(np.log(rows)))

    def p_value(centre: Floats) -> float:
        largest = (root * (drawn - centre) / deviation).max(axis=1)
        return float((np.maximum(largest, 0.0) >= found).mean())

    plain = (drawn - mean).max(axis=1)
    return Superiority(
        variants=variants,
        block_length=float(block),
        p_value=p_value(np.where(hopeless, 0.0, mean)),
        lower=p_value(np.maximum(mean, 0.0)),
        upper=p_value(mean),
        reality_check=float((plain >= mean.max()).mean()),
        best=int(score.argmax()),
    )


def bootstrap_variance(values: Floats, block: float) -> Floats:
    """Return V exact variances of √T times the stationary bootstrap's mean; values: T × V.

    γ(0) + 2 Σ (1 − i/T)(1 − 1/block)^i γ(i) with circular autocovariances γ (Politis & Romano 1994, lemma 1).
    """
    rows = len(values)
    spectrum = np.abs(np.fft.rfft(values - values.mean(axis=0), axis=0)) ** 2
    covariances = np.fft.irfft(spectrum, n=rows, axis=0) / rows
    lag = np.arange(1, rows)
    kernel = 2.0 * (1.0 - lag / rows) * (1.0 - 1.0 / block) ** lag
    return np.asarray(np.maximum(covariances[0] + kernel @ covariances[1:], 0.0))
