import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.portfolio.limits import parse_limits
from screener.portfolio.region import Names, Region
from screener.portfolio.risk_budget import (
    budgeted,
    constrained_risk,
    equal_risk,
    missed_shares,
    parse_budgets,
    shares_of,
)

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def covariance_of(names: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 0.15, (names, 3)) + np.array([0.2, 0, 0])
    return np.asarray(loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.2, names)))


def names_of(n: int, segments: int = 3) -> Names:
    symbols = tuple(f"S{number:03d}" for number in range(n))
    groups = {
        "issuer": symbols,
        "segment": tuple(f"g{number % segments}" for number in range(n)),
        "country": tuple(f"c{(number // segments) % 2}" for number in range(n)),
    }
    return Names(symbols, groups)


def risk_of(sigma: Floats, weights: Floats) -> Floats:
    contributions = weights * (sigma @ weights)
    return np.asarray(contributions / contributions.sum())


def by(words: tuple[str, ...], risk: Floats) -> dict[str, float]:
    return {key: float(sum(r for w, r in zip(words, risk, strict=True) if w == key)) for key in set(words)}


@settings(max_examples=30, deadline=None)
@given(names=st.integers(6, 30), seed=st.integers(0, 10**6))
def test_groups_carry_their_shares_exactly_where_no_limit_binds(names: int, seed: int) -> None:
    sigma, who = covariance_of(names, seed), names_of(names)
    texts = [
        "segment g0 = 50%",
        "segment g1 = 30%",
        "segment g2 = 20%",
        "country c0 = 60%",
        "country c1 = 40%",
    ]
    shares = shares_of(parse_budgets(texts), who)
    risk = risk_of(sigma, budgeted(sigma, shares, Region(who, ()), 1.0))
    assert by(who.words("segment"), risk) == pytest.approx({"g0": 0.5, "g1": 0.3, "g2": 0.2}, abs=1e-6)
    assert by(who.words("country"), risk) == pytest.approx({"c0": 0.6, "c1": 0.4}, abs=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_groups_carry_their_shares_under_limits_whenever_some_portfolio_does(seed: int) -> None:
    """The budgets are those of a random portfolio within the limits, so they can be met."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 30))
    sigma, who = covariance_of(n, seed), names_of(n)
    some = constrained_risk(
        sigma, rng.dirichlet(np.full(n, 3.0)), Region(who, parse_limits(["name <= 20%"])), 1.0
    )
    budget = by(who.words("segment"), risk_of(sigma, some))
    region = Region(who, parse_limits([f"name <= {100 * min(1.0, 1.2 * some.max()):.6f}%"]))
    texts = [f"segment {key} = {share:.12f}" for key, share in budget.items()]
    shares = shares_of(parse_budgets(texts), who)
    weights = budgeted(sigma, shares, region, 1.0)
    assert region.broken(weights) == ()
    assert by(who.words("segment"), risk_of(sigma, weights)) == pytest.approx(budget, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(names=st.integers(6, 40), seed=st.integers(0, 10**6))
def test_names_that_no_limit_touches_keep_equal_contributions(names: int, seed: int) -> None:
    sigma, who = covariance_of(names, seed), names_of(names)
    region = Region(who, parse_limits([f"name <= {130 / names:.4f}%"]))
    weights = constrained_risk(sigma, np.full(names, 1 / names), region, 1.0)
    contributions = weights * (sigma @ weights)
    free = weights < 1.3 / names - 1e-6
    assert region.broken(weights) == ()
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    if free.any():
        assert contributions[free].max() / contributions[free].min() - 1 < 1e-6
        assert contributions[~free].max(initial=0.0) <= contributions[free].max() * (1 + 1e-6)


def test_it_is_not_the_clipped_portfolio() -> None:
    """Where names hedge a capped one, what is right for them changes; clipping afterwards would not see it."""
    sigma = np.array([[0.01, 0.0, -0.008], [0.0, 0.04, 0.0], [-0.008, 0.0, 0.09]])
    who = names_of(3)
    region = Region(who, parse_limits(["name <= 40%"]))
    free = constrained_risk(sigma, np.full(3, 1 / 3), Region(who, ()), 1.0)
    capped = constrained_risk(sigma, np.full(3, 1 / 3), region, 1.0)
    assert free[0] > 0.4 and capped[0] == pytest.approx(0.4, abs=1e-9)
    contributions = capped * (sigma @ capped)
    assert contributions[1] == pytest.approx(contributions[2], rel=1e-7)
    assert capped[1] / capped[2] != pytest.approx(free[1] / free[2], rel=1e-2)


def test_a_share_that_limits_forbid_is_told() -> None:
    sigma, who = np.eye(6) * 0.04, names_of(6)
    shares = shares_of(parse_budgets(["segment g0 = 80%", "segment g1 = 10%", "segment g2 = 10%"]), who)
    weights = budgeted(sigma, shares, Region(who, parse_limits(["segment <= 40%"])), 1.0)
    said = missed_shares(risk_of(sigma, weights), shares, who)
    assert said[0].startswith("segment g0 carries ") and said[0].endswith("not 80.0%: the limits bind")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["segment a = 50%", "segment b = 40%"], "sum to 90 %, not to 100 %"),
        (["segment a: 50%"], "is not understood"),
        (["sector a = 100%"], "subject 'sector' is unknown"),
        (["segment a = 100%", "segment a = 100%"], "twice"),
        (["segment a = 0%", "segment b = 100%"], "above 0"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_budgets(texts)
    assert said in str(caught.value)


def test_a_name_without_a_budget_is_named() -> None:
    with pytest.raises(UserError, match="no risk budget is stated for segment g2"):
        shares_of(parse_budgets(["segment g0 = 60%", "segment g1 = 40%"]), names_of(3))


def test_budgets_of_absent_groups_go_to_the_others_in_proportion() -> None:
    shares = shares_of(
        parse_budgets(["segment g0 = 30%", "segment g1 = 30%", "segment g9 = 40%"]), names_of(4, 2)
    )
    assert shares["segment"].tolist() == [0.5, 0.5, 0.5, 0.5]


@settings(max_examples=15, deadline=None)
@given(names=st.integers(40, 160), seed=st.integers(0, 10**6), uneven=st.booleans())
def test_many_names_carry_their_budgets_too(names: int, seed: int, uneven: bool) -> None:
    """Also above the number of names up to which the equations are solved by their factors."""
    sigma = covariance_of(names, seed)
    budget = np.random.default_rng(seed).uniform(0.2, 3.0, names) if uneven else np.ones(names)
    budget = budget / budget.sum()
    weights = equal_risk(sigma, budget)
    assert (weights > 0).all() and weights.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(risk_of(sigma, weights), budget, rtol=1e-9)
