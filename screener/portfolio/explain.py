"""A rebalance taken apart: where its risk comes from along the chain, and what would move its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd

from screener.errors import UserError
from screener.market.currency import major_unit
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
    held = [universe.instruments[str(symbol)] for symbol in rebalance.weights.index]
    if not held:
        raise UserError(f"{rebalance.theme} holds nothing but cash; there is no risk to explain")
    covariance = estimate_panel_covariance(
        panel, {each.symbol: each.mic for each in held}, covariance_settings(settings, held)
    )
    explanation = explain(covariance, rebalance.weights)
    contributions = explanation.names["risk_contribution"]
    groupings = {
        "segment": {each.symbol: each.segment for each in held},
        "country": {each.symbol: each.domicile_class for each in held},
        "currency": {each.symbol: major_unit(each.currency)[0] for each in held},
    }

    def weigh(changed: CovarianceSettings) -> pd.Series:
        return rebuild(
            replace(settings, estimator=changed.estimator, lookback_weeks=changed.lookback_weeks)
        ).weights

    return RiskReport(
        explanation=explanation,
        covariance=covariance,
        groups={
            name: pd.DataFrame(
                {"weight": risk_by_group(rebalance.weights, of), "risk": risk_by_group(contributions, of)}
            ).sort_values("risk", ascending=False, kind="stable")
            for name, of in groupings.items()
        },
        dominated=risk_at_dominated_stages(contributions, universe.instruments, universe.segments),
        dependent=risk_in_dependent_names(contributions, universe.instruments),
        purity=theme_purity(held, {str(symbol): float(w) for symbol, w in rebalance.weights.items()}),
        moved_by=sensitivity(
            weigh, CovarianceSettings(settings.estimator, lookback_weeks=settings.lookback_weeks)
        ),
    )
