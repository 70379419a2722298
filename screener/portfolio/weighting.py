"""The weighting methods: a covariance and limits become target weights. A method is a function and a line here.

Every method returns weights within the limits; the contract tests run on whatever METHODS holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from screener.errors import UserError, unknown
from screener.portfolio.constrained import nearest
from screener.portfolio.frontier import (
    View,
    best_ratio,
    least_cvar,
    least_variance,
    posterior_means,
    shrunk_means,
)
from screener.portfolio.hierarchical import hierarchical_weights
from screener.portfolio.index_rule import Candidate, IndexReview, index_rule_named, review
from screener.portfolio.region import Region
from screener.portfolio.risk_budget import Budget, budgeted, constrained_risk, shares_of
from screener.risk.nearest import is_positive_definite

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """What a method weighs: N names, symbols sorted.

    covariance: N × N, annualised, positive definite. region: the limits, which hold a portfolio of the sum
    `total`. returns: T × N simple weekly returns, NaN where there is none. market_values: N, base currency.
    """

    covariance: Floats
    region: Region
    total: float = 1.0
    returns: Floats | None = None
    budgets: tuple[Budget, ...] = ()
    market_values: Floats | None = None
    views: tuple[View, ...] = field(default=())
    candidates: tuple[Candidate, ...] = field(default=())  # for the index rule
    index_rule: str = "remx_like"  # a name in index_rules.toml, or FILE:NAME

    def __post_init__(self) -> None:
        n, symbols = len(self.region.names), self.region.names.symbols
        if n == 0:
            raise UserError("there are no names to weigh")
        if self.covariance.shape != (n, n):
            raise ValueError(f"a covariance of {self.covariance.shape} does not fit {n} names")
        if len(set(symbols)) < n:
            twice = sorted({each for each in symbols if symbols.count(each) > 1})
            raise UserError(f"{', '.join(twice)} stands twice among the names to weigh")
        diagonal = np.diag(self.covariance)
        bad = [each for each, value in zip(symbols, diagonal, strict=True) if not value > 0]
        if bad:
            raise UserError(f"no positive variance for {', '.join(bad)}: constant, missing or wrong prices")
        if not np.isfinite(self.covariance).all():
            where = np.flatnonzero(~np.isfinite(self.covariance).all(axis=0))
            raise UserError(f"the covariance has no number for {', '.join(symbols[each] for each in where)}")
        scale = np.sqrt(np.outer(diagonal, diagonal))
        if not is_positive_definite(self.covariance / scale):
            raise UserError(
                "the covariance is not positive definite: some mix of the names would have no risk"
            )


Method = Callable[[Case], Floats]


def equal(case: Case) -> Floats:
    """Return 1/N for each of N symbols."""
    n = len(case.covariance)
    return nearest(np.full(n, 1.0 / n), case.region, case.total)


def market_value(case: Case) -> Floats:
    """Return weights proportional to market value; today only, for a vendor states no past ones."""
    return nearest(_market_weights(case), case.region, case.total)


def inverse_volatility(case: Case) -> Floats:
    """Return weights proportional to 1/σ."""
    inverse = 1.0 / np.sqrt(np.diag(case.covariance))
    return nearest(inverse / inverse.sum(), case.region, case.total)


def equal_risk_contribution(case: Case) -> Floats:
    """Return the weights whose risk contributions are equal (Maillard, Roncalli & Teïletche 2010)."""
    n = len(case.covariance)
    return constrained_risk(case.covariance, np.full(n, 1.0 / n), case.region, case.total)


def risk_budgets(case: Case) -> Floats:
    """Return the weights whose names, stages or countries carry stated shares of the risk (Roncalli 2013, ch. 2).

    Without stated budgets every segment carries the same share.
    """
    return budgeted(case.covariance, shares_of(case.budgets, case.region.names), case.region, case.total)


def hierarchical_risk_parity(case: Case) -> Floats:
    """Return the weights of López de Prado (2016), brought within the limits."""
    return nearest(hierarchical_weights(case.covariance), case.region, case.total)


def minimum_variance(case: Case) -> Floats:
    """Return the weights of least variance within the limits."""
    return least_variance(case.covariance, case.region, case.total)


def maximum_diversification(case: Case) -> Floats:
    """Return the weights of the highest Σ w·σ / √(w'Σw) (Choueifaty & Coignard 2008)."""
    return best_ratio(np.sqrt(np.diag(case.covariance)), case.covariance, case.region, case.total)


def minimum_cvar(case: Case) -> Floats:
    """Return the weights of least CVaR 95 % over the weekly returns."""
    return least_cvar(_returns(case, "minimum_cvar"), case.region, case.total)


def maximum_sharpe(case: Case) -> Floats:
    """Return the weights of the highest Sharpe ratio, with means shrunk after Jorion (1986)."""
    means = shrunk_means(_returns(case, "maximum_sharpe"), case.covariance)
    return best_ratio(means, case.covariance, case.region, case.total)


def black_litterman(case: Case) -> Floats:
    """Return the weights of the highest Sharpe ratio, with what the market implies moved by the user's views."""
    market = None if case.market_values is None else _market_weights(case)
    symbols = case.region.names.symbols
    views = [each for each in case.views if {each.symbol, each.against or each.symbol} <= set(symbols)]
    means = posterior_means(case.covariance, symbols, views, market)
    return best_ratio(means, case.covariance, case.region, case.total)


def index_rule(case: Case) -> Floats:
    """Return the weights of an index that follows a written rule, see index_rule.py; today only, for it is by size.

    Caps that hold too little give way by the rule; the theme's own limits are kept in any case.
    """
    weights = index_review(case).weights
    raw = np.array([weights.get(symbol, 0.0) for symbol in case.region.names.symbols])
    return nearest(raw, case.region, case.total)


def index_review(case: Case) -> IndexReview:
    """Return the index's review of the names; what is held now is what sits in it."""
    if not case.candidates or case.market_values is None:
        raise UserError("index_rule weighs by market value, known of today only: use --fundamentals")
    held = case.region.names.held
    symbols = case.region.names.symbols
    sitting = () if held is None else [s for s, w in zip(symbols, held, strict=True) if w > 0]
    return review(index_rule_named(case.index_rule), case.candidates, sitting)


def _returns(case: Case, method: str) -> Floats:
    if case.returns is None:
        raise UserError(f"{method} needs returns")
    return case.returns


def _market_weights(case: Case) -> Floats:
    if case.market_values is None:
        raise UserError(
            "market values are known of today only: use them in `screener build` with --fundamentals"
        )
    values = case.market_values
    missing = [s for s, v in zip(case.region.names.symbols, values, strict=True) if not v > 0]
    if missing:
        raise UserError(f"no market value is stated for {', '.join(missing)}")
    return np.asarray(values / values.sum())


METHODS: dict[str, Method] = {
    "equal": equal,
    "market_value": market_value,
    "inverse_volatility": inverse_volatility,
    "equal_risk_contribution": equal_risk_contribution,
    "risk_budgets": risk_budgets,
    "hierarchical_risk_parity": hierarchical_risk_parity,
    "minimum_variance": minimum_variance,
    "maximum_diversification": maximum_diversification,
    "minimum_cvar": minimum_cvar,
    "maximum_sharpe": maximum_sharpe,
    "black_litterman": black_litterman,
    "index_rule": index_rule,
}
TODAY_ONLY = ("market_value", "index_rule")


def method_named(name: str) -> Method:
    """Return a method by its name, or raise UserError with the nearest one."""
    if name not in METHODS:
        raise UserError(unknown("weighting method", name, list(METHODS)))
    return METHODS[name]
