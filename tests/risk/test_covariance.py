import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import ScreenerError, UserError
from screener.risk.covariance import ESTIMATORS, estimate_covariance

# weighted, shrunk, halved, or borrowed from the factors by a name with fewer returns
NOT_OWN_VARIANCES = {"ewma", "oas", "ledoit_wolf_identity", "semicovariance", "factor_model"}


def returns_of(rows: int, names: int, seed: int = 0, scale: float = 0.02) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(0, scale, (rows, 1)) * rng.uniform(0.5, 1.5, (1, names))
    own = rng.normal(0, scale, (rows, names)) * rng.uniform(0.5, 2.0, (1, names))
    return pd.DataFrame(common + own, columns=[f"S{number:02d}" for number in range(names)])


def test_sample_covariance_is_pandas_annualised() -> None:
    returns = returns_of(104, 12)
    matrix = estimate_covariance(returns, "sample").matrix
    pd.testing.assert_frame_equal(matrix, returns.cov() * 52, rtol=1e-12)


@pytest.mark.parametrize(("rows", "names"), [(104, 12), (60, 30), (300, 5)])
def test_ledoit_wolf_is_pyportfolioopts_on_complete_returns(rows: int, names: int) -> None:
    from pypfopt.risk_models import CovarianceShrinkage

    returns = returns_of(rows, names, seed=rows)
    theirs = CovarianceShrinkage(returns, returns_data=True, frequency=52).ledoit_wolf("constant_correlation")
    ours = estimate_covariance(returns, "ledoit_wolf").matrix
    np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=0, atol=1e-14)


def test_ewma_of_equal_weights_long_ago_follows_the_recent_past() -> None:
    calm, wild = returns_of(150, 3, 1, 0.005), returns_of(150, 3, 2, 0.05)
    returns = pd.concat([calm, wild], ignore_index=True)
    ewma = np.sqrt(np.diag(estimate_covariance(returns, "ewma").matrix))
    sample = np.sqrt(np.diag(estimate_covariance(returns, "sample").matrix))
    assert (ewma > 1.2 * sample).all()


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_a_late_listing_keeps_its_own_volatility(estimator: str) -> None:
    """PyPortfolioOpt takes its missing days for zeros: 0.200 for a true 0.317 on this kind of panel."""
    rng = np.random.default_rng(5)
    returns = pd.DataFrame(rng.normal(0, 0.02, (750, 4)), columns=list("ABCD"))
    returns.loc[:449, "D"] = np.nan
    volatility = np.sqrt(np.diag(estimate_covariance(returns, estimator, 252).matrix))
    true = 0.02 * np.sqrt(252) * (np.sqrt(0.5) if estimator == "semicovariance" else 1.0)
    assert volatility[3] == pytest.approx(true, rel=0.35 if estimator == "ewma" else 0.12)


def test_covariances_use_the_rows_a_pair_shares() -> None:
    returns = returns_of(200, 3, 7)
    returns.loc[:99, "S02"] = np.nan
    ours = estimate_covariance(returns, "sample", 1).matrix
    shared = returns.loc[100:]
    deviations = (returns["S00"] - returns["S00"].mean())[100:] * (shared["S02"] - shared["S02"].mean())
    assert ours.loc["S00", "S02"] == pytest.approx(deviations.sum() / 99)
    assert ours.loc["S00", "S00"] == pytest.approx(returns["S00"].var())


def test_a_pair_that_never_met_takes_the_average_correlation() -> None:
    returns = returns_of(200, 4, 3)
    returns.loc[100:, "S00"] = np.nan
    returns.loc[:99, "S01"] = np.nan
    covariance = estimate_covariance(returns, "sample").matrix
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    others = [correlation.iloc[a, b] for a, b in ((0, 2), (0, 3), (1, 2), (1, 3), (2, 3))]
    assert correlation.iloc[0, 1] == pytest.approx(np.mean(others))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), names=st.integers(1, 15), estimator=st.sampled_from(list(ESTIMATORS)))
def test_every_estimate_is_positive_definite_with_its_variances_kept(
    seed: int, names: int, estimator: str
) -> None:
    rng = np.random.default_rng(seed)
    returns = returns_of(40, names, seed)
    returns = returns.where(rng.random(returns.shape) > 0.4)
    returns.iloc[:3] = rng.normal(0, 0.02, (3, names))  # each name has some
    covariance = estimate_covariance(returns, estimator)
    assert np.linalg.eigvalsh(covariance.matrix.to_numpy())[0] > 0
    if estimator not in NOT_OWN_VARIANCES:
        np.testing.assert_allclose(np.diag(covariance.matrix), returns.var() * 52, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), estimator=st.sampled_from(list(ESTIMATORS)))
def test_re_ordering_symbols_re_orders_the_estimate(seed: int, estimator: str) -> None:
    returns = returns_of(60, 6, seed)
    order = np.random.default_rng(seed).permutation(6)
    plain = estimate_covariance(returns, estimator).matrix.to_numpy()
    renamed = returns.iloc[:, order].set_axis(returns.columns, axis=1)
    moved = estimate_covariance(renamed, estimator).matrix.to_numpy()
    np.testing.assert_allclose(moved, plain[np.ix_(order, order)], rtol=1e-9, atol=1e-15)


def test_a_name_without_variance_is_named() -> None:
    returns = returns_of(50, 3)
    returns["S01"] = 0.001
    with pytest.raises(ScreenerError, match="S01"):
        estimate_covariance(returns)
    returns["S01"] = np.nan
    with pytest.raises(ScreenerError, match="S01"):
        estimate_covariance(returns)


def test_an_unknown_estimator_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'ledoit_wolf'"):
        estimate_covariance(returns_of(50, 2), "ledoit_wulf")
