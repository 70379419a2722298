"""What every weighting method keeps; being in METHODS is being tested here."""

from dataclasses import replace

import numpy as np
import pytest

from screener.portfolio.frontier import View
from screener.portfolio.index_rule import Candidate
from screener.portfolio.limits import parse_limits
from screener.portfolio.region import Names, Region
from screener.portfolio.weighting import METHODS, Case

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
DEPENDS_ON_ORDER = {
    "hierarchical_risk_parity"
}  # bisection halves the leaves as they stand; build() sorts them
OF_MEANS = {"minimum_cvar", "maximum_sharpe"}  # they look at returns, which differ for interchangeable names


def covariance_of(names: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0.2, 0.15, (names, 2))
    return np.asarray(loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.2, names)))


def case_of(
    sigma: Floats, limits: tuple[str, ...] = ("issuer <= 60%", "segment <= 90%"), seed: int = 0
) -> Case:
    n = len(sigma)
    symbols = tuple(f"S{number:03d}" for number in range(n))
    rng = np.random.default_rng(seed)
    returns = rng.multivariate_normal(np.full(n, 0.004), sigma / 52, 150)
    names = Names(symbols, {"issuer": symbols, "segment": tuple(f"g{number % 2}" for number in range(n))})
    bounds = parse_limits(limits) if n > 1 else ()
    views = (View("S000", "", 0.3, 0.5),) if n > 1 else ()
    return Case(
        sigma, Region(names, bounds), 1.0, returns, (), np.full(n, 1e9), views, candidates_of(symbols)
    )


def candidates_of(symbols: tuple[str, ...]) -> tuple[Candidate, ...]:
    return tuple(Candidate(symbol, 0.75, (1e9,) * 3, (1e8,) * 3) for symbol in symbols)


def moved(case: Case, order: Floats) -> Case:
    rows = [int(each) for each in order]
    assert case.returns is not None and case.market_values is not None
    return replace(
        case,
        covariance=case.covariance[np.ix_(rows, rows)],
        region=Region(case.region.names.at(rows), case.region.limits),
        returns=case.returns[:, rows],
        market_values=case.market_values[rows],
        candidates=tuple(case.candidates[row] for row in rows),
    )


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("names", [1, 2, 7, 40])
def test_weights_are_finite_not_negative_sum_to_one_and_keep_limits(name: str, names: int) -> None:
    case = case_of(covariance_of(names, names))
    weights = METHODS[name](case)
    assert weights.shape == (names,)
    assert np.isfinite(weights).all() and (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert case.region.broken(weights) == ()


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"maximum_sharpe", "black_litterman"}))
def test_annualising_changes_nothing(name: str) -> None:
    case = case_of(covariance_of(12, 1))
    yearly = replace(case, covariance=case.covariance * 252)
    np.testing.assert_allclose(METHODS[name](yearly), METHODS[name](case), atol=1e-7)


@pytest.mark.parametrize("name", sorted(set(METHODS) - DEPENDS_ON_ORDER))
def test_re_ordering_symbols_changes_nothing(name: str) -> None:
    case = case_of(covariance_of(10, 2))
    order = np.random.default_rng(0).permutation(10)
    np.testing.assert_allclose(METHODS[name](moved(case, order)), METHODS[name](case)[order], atol=1e-7)


@pytest.mark.parametrize("name", sorted(set(METHODS) - DEPENDS_ON_ORDER - OF_MEANS))
def test_interchangeable_names_get_equal_weights(name: str) -> None:
    sigma = np.full((6, 6), 0.02) + np.eye(6) * 0.05
    np.testing.assert_allclose(METHODS[name](replace(case_of(sigma), views=())), 1 / 6, atol=1e-7)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_kind_of_limit_is_kept(name: str) -> None:
    sigma = covariance_of(13, 4)
    rng = np.random.default_rng(3)
    symbols = tuple(f"S{number:03d}" for number in range(12))
    groups = {
        "issuer": tuple(f"i{number // 2}" for number in range(12)),
        "segment": tuple(f"g{number % 3}" for number in range(12)),
        "country": tuple(f"c{number % 2}" for number in range(12)),
        "currency": tuple(f"u{number % 4}" for number in range(12)),
        "dependence": tuple(("low", "high")[number % 2] for number in range(12)),
    }
    names = Names(symbols, groups, np.full(12, 1 / 12), 0.0, rng.uniform(1e6, 5e6, 12), 1e7, sigma)
    limits = parse_limits(
        [
            "name <= 20%",
            "issuer <= 30%",
            "segment <= 45%",
            "segment g1 >= 20%",
            "country c0 <= 55%",
            "currency u1 <= 30%",
            "dependence high <= 60%",
            "position <= 20% of ADV over 5 days",
            "position >= 2%",
            "names <= 10",
            "turnover <= 30%",
            "tracking error <= 55%",
        ]
    )
    returns = rng.multivariate_normal(np.full(12, 0.004), sigma[:12, :12] / 52, 150)
    case = Case(
        sigma[:12, :12],
        Region(names, limits),
        1.0,
        returns,
        (),
        rng.uniform(1e8, 1e10, 12),
        (),
        candidates_of(symbols),
    )
    weights = METHODS[name](case)
    assert case.region.broken(weights, 1e-9) == ()
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert (weights > 0).sum() <= 10
