"""A rebalance taken apart: where its risk comes from along the chain, and what would move its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd

from screener.errors import UserError
from screener.market.panel import PricePanel
from screener.portfolio.build import BuildSettings, Rebalance, covariance_settings
from screener.risk.covariance import Covariance, CovarianceSettings, estimate_panel_covariance
from screener.risk.explain import (
    Explanation,
    explain,
    risk_at_dominated_stages,
    risk_by_group,
    risk_in_dependent_names,
    sensitivity,
)
from screener.universe.model import Universe
from screener.universe.purity import Purity, theme_purity


@dataclass(frozen=True, eq=False, slots=True)
class RiskReport:
    """The risk of a rebalance, fractions throughout.

    explanation: marginal risks, diversification ratio and concentration. covariance: what it rests on.
    groups: segment, country and currency → K × (weight, risk), each summing to the invested weight and to 1.
    dominated: share of risk at stages of which China holds more than 80 %. dependent: in names that depend on
    China highly. purity: of the holdings. moved_by: what would move the weights, furthest first.
    """

    explanation: Explanation
    covariance: Covariance
    groups: dict[str, pd.DataFrame]
    dominated: float
    dependent: float
    purity: Purity | None
    moved_by: pd.DataFrame


def explain_rebalance(
    universe: Universe,
    panel: PricePanel,
    rebalance: Rebalance,
    settings: BuildSettings,
    rebuild: Callable[[BuildSettings], Rebalance],
) -> RiskReport:
    """Take a rebalance apart on the panel it was decided on.

    panel: cut at the day of the decision. rebuild: the same decision under other settings.
    Raises UserError when nothing has a weight.
    """
    region, risk = rebalance.region, rebalance.risk_contributions
    if region is None or not len(rebalance.weights):
        raise UserError(f"{rebalance.theme} holds nothing but cash; there is no risk to explain")
    names = region.names  # all that were eligible: their covariance is the one the weights were made with
    eligible = [universe.instruments[symbol] for symbol in names.symbols]
    covariance = estimate_panel_covariance(
        panel, {each.symbol: each.mic for each in eligible}, covariance_settings(settings, eligible)
    )

    def by(grouping: str) -> pd.DataFrame:
        of = dict(zip(names.symbols, names.words(grouping), strict=True))
        table = {"weight": risk_by_group(rebalance.weights, of), "risk": risk_by_group(risk, of)}
        return pd.DataFrame(table).sort_values("risk", ascending=False, kind="stable")

    def weigh(changed: CovarianceSettings) -> pd.Series:
        return rebuild(
            replace(settings, estimator=changed.estimator, lookback_weeks=changed.lookback_weeks)
        ).weights

    return RiskReport(
        explanation=explain(covariance, rebalance.weights),
        covariance=covariance,
        groups={grouping: by(grouping) for grouping in ("segment", "country", "currency")},
        dominated=risk_at_dominated_stages(risk, universe.instruments, universe.segments),
        dependent=risk_in_dependent_names(risk, universe.instruments),
        purity=theme_purity(eligible, {str(symbol): float(w) for symbol, w in rebalance.weights.items()}),
        moved_by=sensitivity(
            weigh, CovarianceSettings(settings.estimator, lookback_weeks=settings.lookback_weeks)
        ),
    )
