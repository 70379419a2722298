"""Estimate a covariance of returns, and say how far to trust it. Weighting and limits come later (see portfolio)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from screener.errors import ScreenerError, UserError, unknown
from screener.market.panel import PricePanel
from screener.risk.diagnose import average_correlation, condition_number, effective_bets, volatility_errors
from screener.risk.estimators import ESTIMATORS, ONE_GRID
from screener.risk.nearest import is_positive_definite, positive_definite
from screener.risk.observations import Floats, Observations, observe, with_segments
from screener.risk.quotes import Quotes
from screener.risk.synchronise import SYNCHRONISERS

__all__ = [
    "ESTIMATORS",
    "SYNCHRONISERS",
    "Covariance",
    "CovarianceSettings",
    "covariance_matrix",
    "estimate_covariance",
    "estimate_panel_covariance",
]


@dataclass(frozen=True, slots=True)
class CovarianceSettings:
    """How a covariance is estimated from a panel of prices."""

    estimator: str = "ledoit_wolf"  # one of ESTIMATORS
    synchroniser: str = ""  # one of SYNCHRONISERS; "": lead_lag, or weekly for what needs returns on one grid
    lookback_weeks: int = 104
    segments: Mapping[str, str] = field(default_factory=dict)  # symbol → segment, for factor_model
    fewest_returns: int = 20  # a name with fewer is refused, never guessed


@dataclass(frozen=True, eq=False, slots=True)
class Covariance:
    """An annualised covariance of simple returns in base currency.

    matrix: N × N, symbols sorted, symmetric, positive definite.
    periods_per_year: mean over names.
    observations: N, how many returns each symbol contributed.
    volatility_error: N, standard error of each volatility, a fraction of it; large for a short history.
    synchroniser: how closes at different hours were lined up, "" if the returns came on one grid.
    """

    matrix: pd.DataFrame
    estimator: str
    periods_per_year: float
    observations: pd.Series
    volatility_error: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    synchroniser: str = ""

    def __post_init__(self) -> None:
        values = self.matrix.to_numpy()
        if not self.matrix.index.equals(self.matrix.columns) or not self.matrix.index.is_monotonic_increasing:
            raise ValueError("rows and columns must carry the same symbols, sorted")
        if not np.isfinite(values).all() or np.abs(values - values.T).max(initial=0.0) > 1e-12:
            raise ValueError("a covariance must be finite and symmetric")
        if len(values) and (np.diag(values) <= 0).any():
            worst = ", ".join(map(str, self.matrix.index[np.diag(values) <= 0]))
            raise ValueError(f"a covariance must be positive definite; no positive variance for {worst}")
        if len(values) and not is_positive_definite(values):
            found = np.linalg.eigh(values)[1][:, 0]
            worst = ", ".join(
                str(self.matrix.index[each]) for each in np.sort(np.argsort(-np.abs(found))[:3])
            )
            raise ValueError(f"a covariance must be positive definite; a mix of {worst} has no risk")

    @property
    def volatility(self) -> pd.Series:
        """Return the N annualised volatilities, fractions."""
        return pd.Series(np.sqrt(np.diag(self.matrix)), index=self.matrix.index)

    @property
    def condition_number(self) -> float:
        """Return the largest over the smallest eigenvalue of the correlations."""
        return condition_number(self.matrix.to_numpy())

    @property
    def average_correlation(self) -> float:
        """Return the mean over pairs; NaN for one name."""
        return average_correlation(self.matrix.to_numpy())

    @property
    def effective_bets(self) -> float:
        """Return the effective number of bets of the equally weighted portfolio (Meucci 2009)."""
        n = len(self.matrix)
        return effective_bets(self.matrix.to_numpy(), np.full(n, 1.0 / n)) if n else 0.0


def estimate_covariance(
    returns: pd.DataFrame,
    estimator: str = "ledoit_wolf",
    periods_per_year: float = 52,
    segments: Mapping[str, str] | None = None,
) -> Covariance:
    """Estimate the annualised covariance of returns on one grid, each name over its own observations.

    returns: T × N with symbols sorted, NaN where a name had none; a missing return is never taken for zero.
    Variances use each name's own returns, covariances each pair's common ones; the result is made positive
    definite with variances kept. segments: symbol → segment, for factor_model. Raises UserError for an unknown
    estimator and ScreenerError that names what no covariance can be estimated of.
    """
    _check_word("estimator", estimator, list(ESTIMATORS))
    observations = with_segments(observe(returns, periods_per_year), segments or {})
    return _covariance(observations, estimator, "")


def estimate_panel_covariance(
    panel: PricePanel, markets: Mapping[str, str], settings: CovarianceSettings | None = None
) -> Covariance:
    """Estimate the annualised covariance of a panel's names as known at its end, whatever hours they close at.

    panel: T sessions, of which the last `lookback_weeks` are used. markets: symbol → MIC of the N names wanted.
    Raises UserError for an unknown word, and ScreenerError that names what no covariance can be estimated of,
    such as a name with fewer than `fewest_returns` returns.
    """
    settings = settings or CovarianceSettings()
    observations, chosen = _observed(Quotes.of(panel, markets, settings.lookback_weeks), settings)
    return _covariance(observations, settings.estimator, chosen)


def covariance_matrix(quotes: Quotes, settings: CovarianceSettings) -> Floats:
    """Return the n × n matrix of `estimate_panel_covariance`, symbols sorted, without what is said about it.

    quotes: cut from a PriceHistory, which estimates of many dates share. Raises as estimate_panel_covariance does.
    """
    observations, _ = _observed(quotes, settings)
    matrix = positive_definite(ESTIMATORS[settings.estimator](observations))
    order = np.argsort(np.array(observations.symbols))
    return matrix[np.ix_(order, order)]


def _observed(quotes: Quotes, settings: CovarianceSettings) -> tuple[Observations, str]:
    """Return the observations of a window and the way they were lined up."""
    _check_word("estimator", settings.estimator, list(ESTIMATORS))
    chosen = settings.synchroniser or ("weekly" if settings.estimator in ONE_GRID else "lead_lag")
    _check_word("synchroniser", chosen, list(SYNCHRONISERS))
    if chosen == "lead_lag" and settings.estimator in ONE_GRID:
        raise UserError(
            f"{settings.estimator} counts joint moves, which lead_lag does not have; choose weekly"
        )
    observations = SYNCHRONISERS[chosen](quotes)
    fewest = min(settings.fewest_returns, max(len(each.ages) for each in observations.blocks))
    few = [
        f"{symbol} has {count:.0f} returns, fewer than {fewest}"
        for symbol, count in zip(observations.symbols, observations.counts, strict=True)
        if count < fewest
    ]
    if few:
        raise ScreenerError(*few)
    return with_segments(observations, settings.segments), chosen


def _covariance(observations: Observations, estimator: str, synchroniser: str) -> Covariance:
    matrix = positive_definite(ESTIMATORS[estimator](observations))
    order = np.argsort(np.array(observations.symbols))
    symbols = pd.Index([observations.symbols[each] for each in order], dtype="str")
    return Covariance(
        matrix=pd.DataFrame(matrix[np.ix_(order, order)], index=symbols, columns=symbols),
        estimator=estimator,
        periods_per_year=observations.periods_per_year,
        observations=pd.Series(observations.counts[order].astype(int), index=symbols),
        volatility_error=pd.Series(volatility_errors(observations)[order], index=symbols),
        synchroniser=synchroniser,
    )


def _check_word(what: str, word: str, known: list[str]) -> None:
    if word not in known:
        raise UserError(unknown(what, word, known))
