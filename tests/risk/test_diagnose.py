"""What a covariance says of itself, against closed forms."""

import numpy as np
import pandas as pd
import pytest

from screener.errors import ScreenerError
from screener.risk.covariance import Covariance, estimate_covariance
from screener.risk.diagnose import average_correlation, condition_number, effective_bets


def equal_correlation(n: int, rho: float, volatility: np.ndarray | float = 0.3) -> np.ndarray:
    matrix = np.full((n, n), rho) + (1 - rho) * np.eye(n)
    deviation = np.broadcast_to(volatility, n)
    return matrix * np.outer(deviation, deviation)


def test_equal_correlations_have_their_closed_forms() -> None:
    sigma = equal_correlation(8, 0.4, np.linspace(0.1, 0.5, 8))
    assert average_correlation(sigma) == pytest.approx(0.4)
    assert condition_number(sigma) == pytest.approx((1 + 7 * 0.4) / (1 - 0.4))


def test_bets_count_principal_portfolios() -> None:
    variances = np.array([0.01, 0.04, 0.09, 0.25])
    sigma = np.diag(variances)
    assert effective_bets(sigma, 1 / np.sqrt(variances)) == pytest.approx(4.0)  # equal risk in each
    assert effective_bets(sigma, np.array([0.0, 1.0, 0.0, 0.0])) == pytest.approx(1.0)
    # two names of equal variance: equal weights are the first principal portfolio, nothing else
    assert effective_bets(equal_correlation(2, 0.5), np.array([0.5, 0.5])) == pytest.approx(1.0)
    # a name alone is half the sum and half the difference; its variance splits by 1 ± ρ
    shares = np.array([0.75, 0.25])
    assert effective_bets(equal_correlation(2, 0.5), np.array([1.0, 0.0])) == pytest.approx(
        np.exp(-(shares * np.log(shares)).sum())
    )
    with pytest.raises(ScreenerError, match="without risk"):
        effective_bets(sigma, np.zeros(4))


def test_the_error_of_a_volatility_is_what_repeated_samples_show() -> None:
    rng = np.random.default_rng(0)
    fat = pd.DataFrame(rng.standard_t(6, (120, 400)) * 0.02, columns=[f"S{k:03d}" for k in range(400)])
    covariance = estimate_covariance(fat, "ledoit_wolf", 52)
    seen = covariance.volatility.std() / covariance.volatility.mean()
    assert covariance.volatility_error.mean() == pytest.approx(seen, rel=0.25)
    assert 1 / np.sqrt(240) < covariance.volatility_error.mean()  # fat tails know less than the normal


def test_every_estimate_carries_its_diagnostics() -> None:
    rng = np.random.default_rng(1)
    returns = pd.DataFrame(
        rng.normal(0, 0.02, (300, 1)) + rng.normal(0, 0.02, (300, 6)), columns=list("ABCDEF")
    )
    covariance = estimate_covariance(returns, "sample", 252)
    correlation = returns.corr().to_numpy()
    assert covariance.average_correlation == pytest.approx(correlation[np.triu_indices(6, 1)].mean())
    assert covariance.condition_number == pytest.approx(np.linalg.cond(correlation))
    assert 1 <= covariance.effective_bets <= 6


def test_a_covariance_that_is_none_is_refused_by_what_is_wrong_with_it() -> None:
    def made(matrix: list[list[float]]) -> Covariance:
        names = pd.Index(["A", "B"])
        return Covariance(
            pd.DataFrame(matrix, index=names, columns=names), "x", 252, pd.Series([9, 9], index=names)
        )

    with pytest.raises(ValueError, match="no positive variance for B"):
        made([[0.1, 0.0], [0.0, -0.1]])
    with pytest.raises(ValueError, match="no positive variance for A"):
        made([[0.0, 0.0], [0.0, 0.1]])
    with pytest.raises(ValueError, match="positive definite; a mix of A, B has no risk"):
        made([[0.1, 0.2], [0.2, 0.1]])
    with pytest.raises(ValueError, match="symmetric"):
        made([[0.1, 0.02], [0.01, 0.1]])
    with pytest.raises(ValueError, match="finite"):
        made([[0.1, float("nan")], [float("nan"), 0.1]])
