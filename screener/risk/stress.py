"""What a portfolio would lose: past windows replayed on today's weights, and moves expected given a shock.

Prices and weights in, figures out; which windows, shocks and scenarios there are is backtest/stress_test.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from screener.errors import ScreenerError
from screener.market.returns import weekly_returns
from screener.risk.observations import Floats

FEWEST_WEEKS = 26  # of returns in common, for a beta to a stage's average
PRICED, ESTIMATED, UNKNOWN = "prices", "estimated", "none"


@dataclass(frozen=True, eq=False, slots=True)
class Replay:
    """A window of the past on weights of today, bought before it and held. Fractions of wealth.

    names: by symbol: weight, segment, basis (prices, estimated or none), beta (to its stage's average, where
    estimated) and move (its return over the window, NaN where the basis is none).
    covered, estimated: shares of the invested weight. move, drawdown: of the covered names alone, their weights
    scaled up to what is invested. estimated_move, estimated_drawdown: with estimates in the place of the names that
    were not listed. segments: by segment: weight, covered (share of it), move and contribution to estimated_move.
    wealth: T × (covered, with_estimates), 1 at the start.
    """

    names: pd.DataFrame
    covered: float
    estimated: float
    move: float
    drawdown: float
    estimated_move: float
    estimated_drawdown: float
    segments: pd.DataFrame
    wealth: pd.DataFrame


@dataclass(frozen=True, eq=False, slots=True)
class Window:
    """A window of the past, whatever is held. growth: T × M, prices over those of the first row, each name's last one
    kept. listed: names with a price in the first row. averages: T, by stage, of the listed growths.
    """

    growth: pd.DataFrame
    listed: frozenset[str]
    averages: Mapping[str, Floats]
    segments: Mapping[str, str]

    @classmethod
    def of(cls, prices: pd.DataFrame, segments: Mapping[str, str]) -> Window:
        """Return the window of T × M prices, its first row the last before it. segments: of all M."""
        growth = (prices / prices.iloc[0]).ffill()
        first, levels = np.isfinite(prices.iloc[0].to_numpy(dtype=float)), growth.to_numpy(dtype=float)
        stages = np.array([segments[str(each)] for each in growth.columns], dtype=object)
        averages = {key: levels[:, first & (stages == key)].mean(axis=1) for key in {*stages[first]}}
        return cls(growth, frozenset(map(str, growth.columns[first])), averages, segments)


def replay(window: Window, weights: pd.Series, betas: pd.Series) -> Replay:
    """Replay a window on a portfolio.

    A name counts as listed when its first price is known; after its last one it keeps it. weights: N, the rest to 1
    is cash, which stays. betas: to the average of the stage, NaN where unknown. Of a name not listed then the estimate
    is 1 + β · (the stage's average − 1) at each row, not below 0; without a beta or a stage that traded it stays
    unknown, and is never made up.
    """
    growth, segments = window.growth, window.segments
    paths = np.full((len(growth), len(weights)), np.nan)
    rows: dict[str, tuple[float, str, str, float, float]] = {}
    for place, (symbol, weight) in enumerate(zip(map(str, weights.index), weights.tolist(), strict=True)):
        key, beta = segments[symbol], float(betas.get(symbol, np.nan))
        if symbol in window.listed:
            paths[:, place], basis, beta = growth[symbol].to_numpy(), PRICED, float("nan")
        elif key in window.averages and np.isfinite(beta):
            paths[:, place], basis = np.maximum(1.0 + beta * (window.averages[key] - 1.0), 0.0), ESTIMATED
        else:
            basis, beta = UNKNOWN, float("nan")
        rows[symbol] = (float(weight), key, basis, beta, float(paths[-1, place]) - 1.0)
    names = pd.DataFrame.from_dict(
        rows, orient="index", columns=["weight", "segment", "basis", "beta", "move"]
    )
    held, basis_of = weights.to_numpy(dtype=float), np.array([each[2] for each in rows.values()])
    invested = float(held.sum())
    covered, known = basis_of == PRICED, basis_of != UNKNOWN
    wealth = pd.DataFrame(
        {"covered": _wealth(paths, held, covered), "with_estimates": _wealth(paths, held, known)},
        index=growth.index,
    )
    ends, falls = wealth.iloc[-1] - 1.0, (wealth / wealth.cummax() - 1.0).min()
    return Replay(
        names=names,
        covered=float(held[covered].sum()) / invested,
        estimated=float(held[known & ~covered].sum()) / invested,
        move=float(ends["covered"]),
        drawdown=float(falls["covered"]),
        estimated_move=float(ends["with_estimates"]),
        estimated_drawdown=float(falls["with_estimates"]),
        segments=_by_segment(rows),
        wealth=wealth,
    )


def _wealth(paths: Floats, weights: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
    """Return the wealth of some names, scaled to all that is invested, and of the cash beside it."""
    invested, known = float(weights.sum()), float(weights[chosen].sum())
    if not known > 0:
        return np.full(len(paths), np.nan)
    return np.asarray(1.0 - invested + paths[:, chosen] @ (weights[chosen] * (invested / known)))


def _by_segment(rows: Mapping[str, tuple[float, str, str, float, float]]) -> pd.DataFrame:
    """Return weight, covered share, move and contribution of each stage held."""
    invested = sum(weight for weight, *_ in rows.values())
    known = sum(weight for weight, _, basis, _, _ in rows.values() if basis != UNKNOWN)
    scale = invested / known if known > 0 else float("nan")
    table = {}
    for key in dict.fromkeys(stage for _, stage, *_ in rows.values()):
        own = [each for each in rows.values() if each[1] == key]
        weight = sum(each[0] for each in own)
        told = [each for each in own if each[2] != UNKNOWN]
        moved = sum(each[0] * each[4] for each in told) if told else float("nan")
        covered = sum(each[0] for each in own if each[2] == PRICED) / weight
        table[key] = (
            weight,
            covered,
            moved / sum(each[0] for each in told) if told else moved,
            moved * scale,
        )
    return pd.DataFrame.from_dict(
        table, orient="index", columns=["weight", "covered", "move", "contribution"]
    )


def stage_betas(prices: pd.DataFrame, segments: Mapping[str, str], weeks: int = 104) -> pd.Series:
    """Return each name's beta to the average of the other names of its stage, over weekly returns.

    prices: T × M up to today. NaN with fewer than FEWEST_WEEKS weeks in common, or alone at its stage.
    """
    returns = weekly_returns(prices, weeks)
    betas = pd.Series(np.nan, index=returns.columns)
    for symbol in returns.columns:
        others = [s for s in returns.columns if segments[str(s)] == segments[str(symbol)] and s != symbol]
        pair = pd.concat([returns[symbol], returns[others].mean(axis=1)], axis=1).dropna()
        if len(pair) >= FEWEST_WEEKS:
            (_, joint), (_, variance) = np.cov(pair.to_numpy(), rowvar=False)
            betas[symbol] = joint / variance if variance > 0 else np.nan
    return betas


@dataclass(frozen=True, eq=False, slots=True)
class Conditional:
    """Moves expected given that some averages move by so much, simple returns over a horizon.

    names: by symbol: expected, low, high. portfolio: expected, low and high of the weighted sum, the middle `level` of
    a normal distribution, cut at −100 %; the interval is what the shock leaves open, not the covariance's error.
    """

    names: pd.DataFrame
    expected: float
    low: float
    high: float
    level: float


def conditional_moves(
    covariance: pd.DataFrame,
    shocked: pd.DataFrame,
    sizes: pd.Series,
    weights: pd.Series,
    years: float,
    level: float = 0.95,
) -> Conditional:
    """Return E[r | A'r = x] = ΣA (A'ΣA)⁻¹ x and its interval from Σ − ΣA (A'ΣA)⁻¹ A'Σ.

    Source: the conditional normal distribution, e.g. Anderson (2003), An Introduction to Multivariate Statistical
    Analysis, th. 2.5.1; for one shocked name it is its regression beta times the shock.
    covariance: M × M, annual. shocked: M × K, A, a column for each average that is shocked, summing to 1. sizes: K, x.
    weights: of the portfolio, symbols among the M. years: the horizon, which scales the interval only.
    Raises ScreenerError when the shocks contradict or repeat each other.
    """
    sigma, a = covariance.to_numpy(), shocked.loc[covariance.index].to_numpy(dtype=float)
    toward = sigma @ a
    inner = a.T @ toward
    scale = np.sqrt(np.outer(np.diag(inner), np.diag(inner)))
    if np.linalg.cond(inner / scale) > 1e8:
        raise ScreenerError("these shocks are of the same names; one of them says nothing new")
    gain: Floats = np.linalg.solve(inner, toward.T).T
    expected = gain @ sizes.loc[shocked.columns].to_numpy(dtype=float)
    left = (sigma - gain @ toward.T) * years
    held = weights.reindex(covariance.index).fillna(0.0).to_numpy(dtype=float)
    z = -float(ndtri((1.0 - level) / 2.0))
    half = z * np.sqrt(np.maximum(np.diag(left), 0.0))
    middle, spread = float(held @ expected), z * float(np.sqrt(max(held @ left @ held, 0.0)))
    table = {"expected": expected, "low": np.maximum(expected - half, -1.0), "high": expected + half}
    names = pd.DataFrame(table, index=covariance.index)
    return Conditional(names, middle, max(middle - spread, -1.0), middle + spread, level)
