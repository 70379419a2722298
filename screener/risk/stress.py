"""What a portfolio would lose: past windows replayed on today's weights, and moves expected given a shock.

Prices and weights in, figures out; which windows, shocks and scenarios there are is backtest/stress_test.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

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


def replay(prices: pd.DataFrame, weights: pd.Series, segments: Mapping[str, str], betas: pd.Series) -> Replay:
    """Replay a window on a portfolio.

    prices: T × M over the window, its first row the last before it; columns hold at least some of the N names and
    may hold others, which make up the averages of their stages. A name counts as listed when its first price is
    known; after its last one it keeps it. weights: N, the rest to 1 is cash, which stays. betas: to the average of
    the stage, NaN where unknown. Of a name not listed then the estimate is 1 + β · (the stage's average − 1) at each
    row, not below 0; without a beta or a stage that traded it stays unknown, and is never made up.
    """
    growth = (prices / prices.iloc[0]).ffill()
    listed = [str(each) for each in growth.columns if np.isfinite(prices[each].iloc[0])]
    averages = {
        key: growth[[each for each in listed if segments[each] == key]].mean(axis=1)
        for key in {segments[each] for each in listed}
    }
    paths: dict[str, pd.Series] = {}
    rows: dict[str, tuple[float, str, str, float, float]] = {}
    for symbol, weight in zip(map(str, weights.index), weights.to_numpy(dtype=float), strict=True):
        key, beta = segments[symbol], float(betas.get(symbol, np.nan))
        if symbol in listed:
            paths[symbol], basis, beta = growth[symbol], PRICED, float("nan")
        elif key in averages and np.isfinite(beta):
            paths[symbol], basis = (1.0 + beta * (averages[key] - 1.0)).clip(lower=0.0), ESTIMATED
        else:
            basis, beta = UNKNOWN, float("nan")
        move = float(paths[symbol].iloc[-1]) - 1.0 if symbol in paths else float("nan")
        rows[symbol] = (float(weight), key, basis, beta, move)
    names = pd.DataFrame.from_dict(
        rows, orient="index", columns=["weight", "segment", "basis", "beta", "move"]
    )
    held = pd.DataFrame(paths, index=growth.index)
    wealth = pd.DataFrame(
        {
            "covered": _wealth(held, names, (PRICED,)),
            "with_estimates": _wealth(held, names, (PRICED, ESTIMATED)),
        }
    )
    invested = float(weights.sum())
    share = names["weight"].groupby(names["basis"]).sum() / invested
    ends, falls = wealth.iloc[-1] - 1.0, (wealth / wealth.cummax() - 1.0).min()
    return Replay(
        names=names,
        covered=float(share.get(PRICED, 0.0)),
        estimated=float(share.get(ESTIMATED, 0.0)),
        move=float(ends["covered"]),
        drawdown=float(falls["covered"]),
        estimated_move=float(ends["with_estimates"]),
        estimated_drawdown=float(falls["with_estimates"]),
        segments=_by_segment(names),
        wealth=wealth,
    )


def _wealth(paths: pd.DataFrame, names: pd.DataFrame, bases: tuple[str, ...]) -> pd.Series:
    """Return the wealth of the names of some bases, scaled to all that is invested, and of the cash beside it."""
    chosen = names[names["basis"].isin(bases)]
    invested, known = float(names["weight"].sum()), float(chosen["weight"].sum())
    if not known > 0:
        return pd.Series(np.nan, index=paths.index)
    return 1.0 - invested + paths[list(chosen.index)] @ (chosen["weight"] * (invested / known))


def _by_segment(names: pd.DataFrame) -> pd.DataFrame:
    known = names[names["basis"] != UNKNOWN]
    scale = float(names["weight"].sum()) / float(known["weight"].sum()) if len(known) else float("nan")
    table = pd.DataFrame({"weight": names.groupby("segment", sort=False)["weight"].sum()})
    priced = names["weight"].where(names["basis"] == PRICED, 0.0).groupby(names["segment"]).sum()
    table["covered"] = priced.reindex(table.index) / table["weight"]
    moved = (known["weight"] * known["move"]).groupby(known["segment"]).sum()
    weight = known.groupby("segment")["weight"].sum()
    table["move"] = (moved / weight).reindex(table.index)
    table["contribution"] = (moved * scale).reindex(table.index)
    return table


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
    z = float(stats.norm.isf((1.0 - level) / 2.0))
    half = z * np.sqrt(np.maximum(np.diag(left), 0.0))
    middle, spread = float(held @ expected), z * float(np.sqrt(max(held @ left @ held, 0.0)))
    table = {"expected": expected, "low": np.maximum(expected - half, -1.0), "high": expected + half}
    names = pd.DataFrame(table, index=covariance.index)
    return Conditional(names, middle, max(middle - spread, -1.0), middle + spread, level)
