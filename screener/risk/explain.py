"""Where a portfolio's risk comes from, how spread it is, and what would move its weights. Numbers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from screener.errors import ScreenerError, UserError
from screener.risk.covariance import Covariance, CovarianceSettings
from screener.risk.dependence import EXPOSED
from screener.risk.diagnose import effective_bets
from screener.risk.observations import Floats
from screener.universe.model import Instrument, Segment

DOMINATED = 0.8  # a stage of which China holds more than this is dominated by it
LOOKBACKS = (52, 78, 104, 156)
RIVALS = ("ledoit_wolf", "ledoit_wolf_single_factor", "denoised", "factor_model", "ewma")


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """The risk of a portfolio, taken apart.

    names: N × (weight, marginal_risk, risk_contribution), by symbol; the contributions sum to 1.
    volatility: annualised fraction, cash included. diversification_ratio: Σwσ / portfolio volatility, ≥ 1.
    concentration: Herfindahl index of weights scaled to 1. effective_names: its reciprocal.
    effective_bets: Meucci (2009). effective_risks: reciprocal Herfindahl of risk contributions.
    """

    names: pd.DataFrame
    volatility: float
    diversification_ratio: float
    concentration: float
    effective_names: float
    effective_risks: float
    effective_bets: float


def explain(covariance: Covariance, weights: pd.Series) -> Explanation:
    """Take a portfolio's risk apart; weights: symbol → fraction of wealth, the rest is cash.

    Raises UserError for a symbol the covariance does not have, and ScreenerError when nothing has a weight.
    """
    matrix, held = _aligned(covariance, weights)
    marginal = matrix @ held
    variance = float(held @ marginal)
    if not variance > 0:
        raise ScreenerError("a portfolio without weights has no risk to explain")
    volatility = float(np.sqrt(variance))
    contribution = held * marginal / variance
    concentration = herfindahl(held)
    return Explanation(
        names=pd.DataFrame(
            {"weight": held, "marginal_risk": marginal / volatility, "risk_contribution": contribution},
            index=covariance.matrix.index,
        ).loc[list(weights.index)],
        volatility=volatility,
        diversification_ratio=float(np.abs(held) @ np.sqrt(np.diag(matrix))) / volatility,
        concentration=concentration,
        effective_names=1.0 / concentration,
        effective_risks=1.0 / herfindahl(contribution),
        effective_bets=effective_bets(matrix, held),
    )


def herfindahl(shares: Floats) -> float:
    """Return Σs² of shares scaled so that their sizes sum to 1: 1/N when equal, 1 when one has all."""
    sizes = np.abs(shares)
    total = float(sizes.sum())
    if not total > 0:
        raise ScreenerError("concentration needs a weight that is not zero")
    return float(((sizes / total) ** 2).sum())


def risk_by_group(contributions: pd.Series, groups: Mapping[str, str | tuple[str, ...]]) -> pd.Series:
    """Return the risk contributions (symbol → fraction) summed by a grouping, largest first.

    groups: symbol → segment, country, currency or anything else; a name with several, such as countries of
    operation, is split evenly over them. Raises UserError naming symbols without one.
    """
    if missing := [str(symbol) for symbol in contributions.index if not groups.get(str(symbol))]:
        raise UserError(f"no group is stated for {', '.join(missing)}")
    sums: dict[str, float] = {}
    for symbol, value in contributions.items():
        stated = groups[str(symbol)]
        keys = (stated,) if isinstance(stated, str) else stated
        for key in keys:
            sums[key] = sums.get(key, 0.0) + float(value) / len(keys)
    return pd.Series(sums, dtype=float).sort_index().sort_values(ascending=False, kind="stable")


def risk_at_dominated_stages(
    contributions: pd.Series,
    instruments: Mapping[str, Instrument],
    segments: Mapping[str, Segment],
    above: float = DOMINATED,
) -> float:
    """Return the share of risk in names whose stage China holds more than `above` of (fraction of world output)."""
    return _share(
        contributions, lambda symbol: (segments[instruments[symbol].segment].china_share or 0.0) > above
    )


def risk_in_dependent_names(contributions: pd.Series, instruments: Mapping[str, Instrument]) -> float:
    """Return the share of risk in names that depend on China highly or are domiciled there."""
    return _share(contributions, lambda symbol: instruments[symbol].china_dependence in EXPOSED)


def sensitivity(
    weigh: Callable[[CovarianceSettings], pd.Series],
    settings: CovarianceSettings | None = None,
    lookbacks: Sequence[int] = LOOKBACKS,
    estimators: Sequence[str] = RIVALS,
) -> pd.DataFrame:
    """Return how far weights move when the lookback or the estimator changes, one at a time, furthest first.

    weigh: settings → weights by symbol. Columns: what (lookback or estimator), to, moved (½Σ|Δw|, the one-way
    turnover that the change alone would cause), most (the symbol that moves most) and by (its change).
    """
    settings = settings or CovarianceSettings()
    base = weigh(settings)
    variants = [
        ("lookback", str(weeks), replace(settings, lookback_weeks=weeks))
        for weeks in lookbacks
        if weeks != settings.lookback_weeks
    ] + [
        ("estimator", name, replace(settings, estimator=name))
        for name in estimators
        if name != settings.estimator
    ]
    rows = []
    for what, to, changed in variants:
        change = weigh(changed).sub(base, fill_value=0.0)
        moved = float(change.abs().sum() / 2)
        most = str(change.abs().idxmax()) if len(change) else ""
        rows.append((what, to, moved, most, float(change[most]) if most else 0.0))
    table = pd.DataFrame(rows, columns=["what", "to", "moved", "most", "by"])
    return table.sort_values("moved", ascending=False, kind="stable", ignore_index=True)


def _share(contributions: pd.Series, counts: Callable[[str], bool]) -> float:
    return float(sum(value for symbol, value in contributions.items() if counts(str(symbol))))


def _aligned(covariance: Covariance, weights: pd.Series) -> tuple[Floats, Floats]:
    """Return the matrix and the weights in its order; labels decide, never positions."""
    index = covariance.matrix.index
    if strangers := [str(each) for each in weights.index if each not in index]:
        raise UserError(f"the covariance has no {', '.join(strangers)}")
    if not np.isfinite(weights.to_numpy(dtype=float)).all():
        bad = weights.index[~np.isfinite(weights.to_numpy(dtype=float))]
        raise UserError(f"the weight of {', '.join(map(str, bad))} is not a number")
    held = weights.reindex(index).fillna(0.0).to_numpy(dtype=float)
    return covariance.matrix.to_numpy(), held
