"""Each estimator against its closed form, a slow twin or a peer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from screener.risk.covariance import estimate_covariance
from screener.risk.observations import observe, with_segments
from screener.risk.spectral import noise_edge


def returns_of(rows: int, names: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.02, (rows, 1)) * rng.uniform(0.5, 1.5, (1, names))
    own = rng.normal(0, 0.02, (rows, names)) * rng.uniform(0.5, 2.0, (1, names))
    return pd.DataFrame(common + own, columns=[f"S{number:02d}" for number in range(names)])


def estimate(returns: pd.DataFrame, estimator: str, segments: dict[str, str] | None = None) -> np.ndarray:
    return estimate_covariance(returns, estimator, 52, segments).matrix.to_numpy()


SHAPES = pytest.mark.parametrize(("rows", "names"), [(104, 12), (60, 30), (300, 5), (520, 90)])


@SHAPES
def test_ledoit_wolf_to_identity_is_scikit_learns(rows: int, names: int) -> None:
    from sklearn.covariance import ledoit_wolf

    returns = returns_of(rows, names, rows)
    theirs = ledoit_wolf(returns.to_numpy())[0] * rows / (rows - 1) * 52  # theirs divides by T, ours by T − 1
    np.testing.assert_allclose(estimate(returns, "ledoit_wolf_identity"), theirs, rtol=0, atol=1e-13)


@SHAPES
def test_oracle_approximating_shrinkage_is_scikit_learns(rows: int, names: int) -> None:
    from sklearn.covariance import oas

    returns = returns_of(rows, names, rows)
    theirs = oas(returns.to_numpy())[0] * rows / (rows - 1) * 52
    np.testing.assert_allclose(estimate(returns, "oas"), theirs, rtol=0, atol=1e-13)


@SHAPES
def test_ledoit_wolf_to_a_single_factor_is_pyportfolioopts(rows: int, names: int) -> None:
    from pypfopt.risk_models import CovarianceShrinkage

    returns = returns_of(rows, names, rows)
    shrinkage = CovarianceShrinkage(returns, returns_data=True, frequency=52)
    theirs = shrinkage.ledoit_wolf("single_factor").to_numpy() * rows / (rows - 1)
    np.testing.assert_allclose(estimate(returns, "ledoit_wolf_single_factor"), theirs, rtol=0, atol=1e-13)


def test_semicovariance_is_pyportfolioopts() -> None:
    from pypfopt.risk_models import semicovariance

    returns = returns_of(200, 8, 1)
    theirs = semicovariance(returns, returns_data=True, benchmark=0.0, frequency=52)
    np.testing.assert_allclose(estimate(returns, "semicovariance"), theirs, rtol=1e-10)


def test_ewma_is_pandas() -> None:
    returns = returns_of(150, 5, 2)
    theirs = returns.ewm(halflife=26).cov(bias=True).loc[149].to_numpy() * 52
    np.testing.assert_allclose(estimate(returns, "ewma"), theirs, rtol=1e-10)


def test_gerber_counts_moves_one_by_one() -> None:
    returns = returns_of(90, 5, 3)
    returns.iloc[:30, 2] = np.nan
    deviation = returns.std()
    expected = np.eye(5)
    for a in range(5):
        for b in range(5):
            together = apart = rows = 0
            for x, y in returns.iloc[:, [a, b]].to_numpy():
                if np.isnan(x) or np.isnan(y):
                    continue
                moved = [
                    np.sign(v) * (abs(v) >= 0.5 * s)
                    for v, s in ((x, deviation.iloc[a]), (y, deviation.iloc[b]))
                ]
                rows += moved != [0, 0]
                together += moved[0] * moved[1] > 0
                apart += moved[0] * moved[1] < 0
            expected[a, b] = (together - apart) / rows
    got = estimate(returns, "gerber")
    unit = np.sqrt(np.diag(got))
    np.testing.assert_allclose(unit, deviation * np.sqrt(52), rtol=1e-12)
    np.testing.assert_allclose(got / np.outer(unit, unit), expected, atol=1e-12)


def test_pure_noise_is_denoised_to_no_correlation_at_all() -> None:
    rng = np.random.default_rng(4)
    noise = pd.DataFrame(rng.normal(0, 0.02, (500, 60)), columns=[f"S{k:02d}" for k in range(60)])
    got = estimate(noise, "denoised")
    np.testing.assert_allclose(got, np.diag(np.diag(got)), atol=1e-12)


def test_one_factor_survives_denoising_and_the_rest_is_flat() -> None:
    rng = np.random.default_rng(5)
    market = rng.normal(0, 0.02, (600, 1))
    returns = pd.DataFrame(market + rng.normal(0, 0.02, (600, 50)), columns=[f"S{k:02d}" for k in range(50)])
    got = estimate(returns, "denoised")
    unit = np.sqrt(np.diag(got))
    eigenvalues = np.linalg.eigvalsh(got / np.outer(unit, unit))
    assert eigenvalues[-1] == pytest.approx(1 + 49 * 0.5, rel=0.08)
    assert eigenvalues[-2] / eigenvalues[0] < 1.25  # of the sample it is about 4
    without = estimate(returns, "detoned")
    unit = np.sqrt(np.diag(without))
    correlation = without / np.outer(unit, unit)
    assert abs(correlation[np.triu_indices(50, 1)].mean()) < 0.05


def test_the_edge_of_noise_is_marchenko_and_pasturs() -> None:
    rng = np.random.default_rng(6)
    n, t = 200, 1000
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rng.normal(size=(t, n)), rowvar=False))
    edge = noise_edge(eigenvalues, t)
    assert edge == pytest.approx((1 + np.sqrt(n / t)) ** 2, rel=0.03)
    assert eigenvalues[-1] == pytest.approx(edge, rel=0.03)


def two_segments(rows: int, seed: int) -> tuple[pd.DataFrame, dict[str, str], np.ndarray]:
    """Returns of a market and two segments with betas of one, and the true annual covariance."""
    rng = np.random.default_rng(seed)
    names = [f"S{k:02d}" for k in range(24)]
    segments = {name: "mine" if k < 12 else "magnet" for k, name in enumerate(names)}
    market = rng.normal(0, 0.02, (rows, 1))
    parts = {key: rng.normal(0, 0.015, (rows, 1)) for key in ("mine", "magnet")}
    own = rng.normal(0, 0.02, (rows, 24))
    returns = market + np.hstack([parts[segments[name]] for name in names]) + own
    same = np.array([[segments[a] == segments[b] for a in names] for b in names])
    truth = 52 * (0.02**2 + same * 0.015**2 + np.eye(24) * 0.02**2)
    return pd.DataFrame(returns, columns=names), segments, truth


def test_a_factor_model_finds_market_and_segments() -> None:
    returns, segments, truth = two_segments(1500, 7)
    got = estimate(returns, "factor_model", segments)
    np.testing.assert_allclose(np.diag(got), returns.var() * 52, rtol=1e-9)
    assert np.abs(got - truth).mean() / truth.mean() < 0.12  # sampling error of 1,500 weeks
    # knowing the structure, its portfolio of least variance is truly calmer where history is short
    calmest = {}
    for estimator in ("sample", "factor_model"):
        weights = np.linalg.solve(estimate(returns.iloc[:60], estimator, segments), np.ones(24))
        weights /= weights.sum()
        calmest[estimator] = weights @ truth @ weights
    assert calmest["factor_model"] < 0.9 * calmest["sample"]


def test_a_short_history_borrows_what_the_factors_did_before_it() -> None:
    """Stambaugh (1997): the others were twice as wild before the listing, so the late name was too."""
    rows = {"sample": [], "factor_model": []}
    for seed in range(8, 16):
        returns, segments, _ = two_segments(600, seed)
        returns.iloc[:500] *= 2.0
        late = returns.copy()
        late.iloc[:500, 0] = np.nan
        whole = estimate_covariance(returns, "sample", 52)
        for estimator, ratios in rows.items():
            got = estimate_covariance(late, estimator, 52, segments)
            ratios.append((got.matrix.loc["S00"] / whole.matrix.loc["S00"]).drop("S00").mean())
    assert np.mean(rows["sample"]) < 0.45  # what its own calm window shows
    assert np.mean(rows["factor_model"]) == pytest.approx(1.0, abs=0.15)


def test_with_equal_windows_a_short_name_equals_stambaughs_regression() -> None:
    """Two names and a late third on one factor: variance = β²σ² of the long window + residual of the short one."""
    returns, _, _ = two_segments(400, 9)
    returns = returns.iloc[:, :8].copy()
    returns.iloc[:300, 0] = np.nan
    market = returns.iloc[:, 1:].mean(axis=1)
    window = returns.iloc[300:]
    beta = window["S00"].cov(market[300:]) / market[300:].var()
    residual = window["S00"].var() - beta**2 * market[300:].var()
    expected = 52 * (beta**2 * market.var() + residual)
    assert estimate(returns, "factor_model")[0, 0] == pytest.approx(expected, rel=1e-9)


def test_segments_are_numbered_by_name_and_a_symbol_without_one_stands_alone() -> None:
    seen = with_segments(observe(returns_of(30, 3, 0), 52), {"S00": "b", "S02": "a"})
    assert seen.segments.tolist() == [1, -1, 0]
