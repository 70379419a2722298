"""What every estimator and every way to line up exchanges keeps; being registered is being tested here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import ScreenerError, UserError
from screener.risk.covariance import (
    ESTIMATORS,
    SYNCHRONISERS,
    Covariance,
    CovarianceSettings,
    estimate_covariance,
    estimate_panel_covariance,
)
from screener.risk.estimators import ONE_GRID
from tests.risk.simulated_markets import SimulatedMarket, panel_of, simulated_market

HALVED = {"semicovariance"}  # its volatilities are downside deviations
SEGMENTS = {f"S{number:02d}": f"g{number % 2}" for number in range(20)}
MIXED = {"XNYS": 4, "XTKS": 3, "XASX": 2, "XLON": 2}
MARKET = simulated_market(5, MIXED, weeks=60)
WAYS = [
    (estimator, synchroniser)
    for estimator in ESTIMATORS
    for synchroniser in SYNCHRONISERS
    if not (estimator in ONE_GRID and synchroniser == "lead_lag")
]


def returns_of(rows: int, names: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.02, (rows, 1)) * rng.uniform(0.5, 1.5, (1, names))
    own = rng.normal(0, 0.02, (rows, names)) * rng.uniform(0.5, 2.0, (1, names))
    return pd.DataFrame(common + own, columns=[f"S{number:02d}" for number in range(names)])


def estimate(estimator: str, returns: pd.DataFrame) -> np.ndarray:
    return estimate_covariance(returns, estimator, 52, SEGMENTS).matrix.to_numpy()


def of(one: SimulatedMarket, estimator: str, synchroniser: str) -> Covariance:
    segments = {symbol: symbol[-1] for symbol in one.markets}
    return estimate_panel_covariance(
        one.panel, one.markets, CovarianceSettings(estimator, synchroniser, segments=segments)
    )


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), names=st.integers(1, 12), thinned=st.floats(0, 0.5))
def test_ragged_returns_give_a_positive_definite_matrix(
    estimator: str, seed: int, names: int, thinned: float
) -> None:
    rng = np.random.default_rng(seed)
    returns = returns_of(60, names, seed)
    returns = returns.where(rng.random(returns.shape) >= thinned)
    returns.iloc[:12] = returns_of(12, names, seed + 1)
    matrix = estimate(estimator, returns)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    assert np.abs(matrix - matrix.T).max() < 1e-12


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_re_ordering_symbols_re_orders_the_estimate(estimator: str, seed: int) -> None:
    returns = returns_of(80, 7, seed)
    order = np.random.default_rng(seed).permutation(7)
    renamed = returns.iloc[:, order].set_axis(returns.columns, axis=1)
    segments = {
        str(new): SEGMENTS[str(returns.columns[old])] for new, old in zip(returns, order, strict=True)
    }
    moved = estimate_covariance(renamed, estimator, 52, segments).matrix.to_numpy()
    np.testing.assert_allclose(
        moved, estimate(estimator, returns)[np.ix_(order, order)], rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_twice_the_returns_are_four_times_the_covariance(estimator: str) -> None:
    returns = returns_of(90, 8, 1)
    np.testing.assert_allclose(estimate(estimator, 2 * returns), 4 * estimate(estimator, returns), rtol=1e-9)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_rows_in_which_nobody_has_a_return_change_nothing_and_are_no_zeros(estimator: str) -> None:
    returns = returns_of(90, 6, 2)
    empty = pd.DataFrame(np.nan, index=range(40), columns=returns.columns)
    padded = pd.concat([empty, returns], ignore_index=True)
    np.testing.assert_allclose(estimate(estimator, padded), estimate(estimator, returns), rtol=1e-9)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_two_independent_names_come_out_as_they_are(estimator: str) -> None:
    rng = np.random.default_rng(3)
    returns = pd.DataFrame(rng.normal(0, [0.01, 0.03], (20_000, 2)), columns=["A", "B"])
    matrix = estimate_covariance(returns, estimator, 252).matrix.to_numpy()
    share = 0.5 if estimator in HALVED else 1.0
    rough = 0.2 if estimator == "ewma" else 0.05
    np.testing.assert_allclose(np.diag(matrix), share * 252 * np.array([1e-4, 9e-4]), rtol=rough)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_one_name_has_its_variance(estimator: str) -> None:
    returns = returns_of(400, 1, 4)
    share = 0.5 if estimator in HALVED else 1.0
    rough = 0.3 if estimator in HALVED | {"ewma"} else 1e-9
    assert estimate(estimator, returns)[0, 0] == pytest.approx(share * returns["S00"].var() * 52, rel=rough)


@pytest.mark.parametrize(("estimator", "synchroniser"), WAYS)
def test_a_panel_of_four_exchanges_has_a_covariance_near_the_truth(estimator: str, synchroniser: str) -> None:
    covariance = of(MARKET, estimator, synchroniser)
    assert list(covariance.matrix.columns) == sorted(MARKET.markets)
    scale = np.sqrt(2) if estimator in HALVED else 1.0
    ratio = scale * covariance.volatility.to_numpy() / np.sqrt(np.diag(MARKET.truth))
    assert 0.8 < ratio.mean() < 1.25
    assert (covariance.volatility_error > 0).all()


@pytest.mark.parametrize(("estimator", "synchroniser"), WAYS)
def test_the_order_in_which_names_are_given_changes_nothing(estimator: str, synchroniser: str) -> None:
    backward = SimulatedMarket(MARKET.panel, MARKET.truth, dict(sorted(MARKET.markets.items(), reverse=True)))
    one, other = of(MARKET, estimator, synchroniser), of(backward, estimator, synchroniser)
    pd.testing.assert_frame_equal(one.matrix, other.matrix, rtol=0, atol=0)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_a_name_listed_for_60_days_gets_a_sensible_row(estimator: str) -> None:
    traded = MARKET.panel.traded.copy()
    traded.iloc[:-42, 0] = False
    panel = panel_of(MARKET.panel.prices.where(traded.cumsum() > 0), traded)
    late = str(traded.columns[0])
    young = SimulatedMarket(panel, MARKET.truth, MARKET.markets)
    if estimator in ONE_GRID:  # on weekly returns it is too young to say anything
        with pytest.raises(ScreenerError, match=f"{late} has 8 returns, fewer than 20"):
            of(young, estimator, "")
        return
    covariance = of(young, estimator, "")
    own = covariance.volatility[late] / np.sqrt(MARKET.truth.loc[late, late])
    assert 0.6 < own < 1.6
    correlation = covariance.matrix / np.outer(covariance.volatility, covariance.volatility)
    if estimator != "detoned":
        assert 0 < correlation.loc[late].drop(late).mean() < 0.95


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_what_has_no_covariance_is_named(estimator: str) -> None:
    returns = returns_of(50, 4, 6)

    def says(words: str, changed: pd.DataFrame) -> None:
        with pytest.raises(ScreenerError, match=words):
            estimate_covariance(changed, estimator)

    says("S01: a price that never moves", returns.assign(S01=0.001))
    says("S02: no return at all", returns.assign(S02=np.nan))
    says("S03: a single return", returns.assign(S03=returns["S03"].where(returns.index == 7)))
    says("S00: an infinite return", returns.assign(S00=np.inf))
    says("S01 and S03 have the same returns", returns.assign(S03=returns["S01"]))
    says("S00, S01, S02, S03: no return at all", returns * np.nan)
    says("at least one name", returns[[]])
    says("S00 is given more than once", returns[["S00", "S00", "S01"]])


def test_every_fault_is_named_at_once() -> None:
    returns = returns_of(50, 4, 6).assign(S00=0.0, S02=np.nan)
    with pytest.raises(ScreenerError) as caught:
        estimate_covariance(returns)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("synchroniser", list(SYNCHRONISERS))
def test_panels_without_names_prices_or_history_are_refused(synchroniser: str) -> None:
    asked = CovarianceSettings(synchroniser=synchroniser)
    panel = MARKET.panel
    with pytest.raises(ScreenerError, match="at least one name"):
        estimate_panel_covariance(panel, {}, asked)
    with pytest.raises(ScreenerError, match="no prices of NYS9"):
        estimate_panel_covariance(panel, {"NYS9": "XNYS"}, asked)
    with pytest.raises(ScreenerError, match="sessions"):
        estimate_panel_covariance(
            panel.until(panel.sessions[0].date().replace(year=2000)), MARKET.markets, asked
        )
    nothing = panel_of(panel.prices * np.nan, panel.traded & False)
    with pytest.raises(ScreenerError, match="no return at all"):
        estimate_panel_covariance(nothing, MARKET.markets, asked)


def test_a_name_with_too_few_returns_is_refused_with_their_number() -> None:
    traded = MARKET.panel.traded.copy()
    traded.iloc[:-12, 0] = False
    panel = panel_of(MARKET.panel.prices.where(traded.cumsum() > 0), traded)
    with pytest.raises(ScreenerError, match=rf"{traded.columns[0]} has \d+ returns, fewer than 20"):
        estimate_panel_covariance(panel, MARKET.markets)


def test_unknown_words_and_ways_that_do_not_fit_are_the_users_mistakes() -> None:
    with pytest.raises(UserError, match="did you mean 'denoised'"):
        of(MARKET, "denoise", "")
    with pytest.raises(UserError, match="did you mean 'weekly'"):
        of(MARKET, "sample", "week")
    with pytest.raises(UserError, match="gerber counts joint moves"):
        of(MARKET, "gerber", "lead_lag")
