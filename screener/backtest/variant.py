"""What makes a backtest a variant of its own: the same settings are the same trial, whatever command tried them."""

from __future__ import annotations

from screener.backtest.ledger import Variant, plain_settings
from screener.backtest.theme import BacktestSettings
from screener.market.load import Market
from screener.portfolio.build import BuildSettings
from screener.universe.model import Theme


def variant_of(
    market: Market, theme: Theme, settings: BacktestSettings, build: BuildSettings, cost_scale: float = 1.0
) -> Variant:
    """Return the variant that a backtest of a theme is. cost_scale: times every kind of cost."""
    more = {} if cost_scale == 1.0 else {"cost_scale": cost_scale}
    return Variant(
        market.universe.key,
        theme.key,
        market.source_identity,
        plain_settings(
            universe=market.universe.content_hash(),
            method=theme.method,
            limits=theme.limits,
            caps=(theme.max_weight, theme.max_segment_weight),
            budgets=theme.risk_budgets,
            backtest=settings,
            build=build,
            base=market.request.base,
            **more,
        ),
        market.panel.synthetic,
    )
