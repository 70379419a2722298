"""200 random sets of limits that cannot hold together, judged by an oracle that shares no code with ours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from screener.errors import UserError
from screener.portfolio.conflicts import find_conflict, refuse
from screener.portfolio.limits import Limit, parse_limit, parse_limits
from screener.portfolio.region import Names, Region


def names_of(n: int, seed: int) -> Names:
    rng = np.random.default_rng(seed)
    symbols = tuple(f"S{number}" for number in range(n))
    groups = {
        "issuer": tuple(f"i{max(number - 1, 0)}" for number in range(n)),
        "segment": tuple(f"g{each}" for each in rng.integers(0, 3, n)),
        "country": tuple(("US", "CN", "AU")[each] for each in rng.integers(0, 3, n)),
        "currency": tuple(("USD", "AUD")[each] for each in rng.integers(0, 2, n)),
        "dependence": tuple(("low", "high")[each] for each in rng.integers(0, 2, n)),
    }
    held = rng.dirichlet(np.ones(n)) * rng.uniform(0.5, 1.0)
    return Names(symbols, groups, held, 0.0, rng.uniform(1e5, 3e6, n), 1e7)


def random_limits(names: Names, seed: int) -> tuple[Limit, ...]:
    rng = np.random.default_rng(seed)

    def share(low: int, high: int) -> str:
        return f"{rng.integers(low, high)}%"

    texts = [
        f"name <= {share(5, 40)}",
        f"issuer <= {share(5, 40)}",
        f"segment <= {share(20, 60)}",
        f"segment {rng.choice(names.words('segment'))} >= {share(10, 60)}",
        f"segment {rng.choice(names.words('segment'))} <= {share(5, 40)}",
        f"country {rng.choice(names.words('country'))} <= {share(5, 40)}",
        f"currency USD <= {share(10, 60)}",
        f"dependence high <= {share(5, 40)}",
        f"names <= {rng.integers(1, 5)}",
        f"position >= {share(5, 40)}",
        f"position <= {share(5, 60)} of ADV over {rng.integers(1, 9)} days",
        f"turnover <= {share(5, 50)}",
        f"cash <= {share(0, 20)}",
    ]
    chosen = rng.choice(len(texts), rng.integers(4, 9), replace=False)
    return parse_limits([*(texts[each] for each in sorted(chosen) if each < 12), texts[12]])


def feasible(names: Names, limits: Sequence[Limit], margin: float = 0.0) -> bool:
    """Try every set of names held, each a small linear program over weights and their changes."""
    n = len(names)
    most = int(min((each.bound for each in limits if each.subject == "names"), default=n))
    floors = [each.bound for each in limits if each.subject == "position" and not each.days]
    if not floors and most >= n:
        return _holds(names, limits, range(n), 0.0, margin)
    sets = (chosen for size in range(most + 1) for chosen in combinations(range(n), size))
    return any(_holds(names, limits, chosen, max(floors, default=0.0), margin) for chosen in sets)


def _holds(names: Names, limits: Sequence[Limit], chosen: Sequence[int], least: float, margin: float) -> bool:
    n = len(names)
    assert names.held is not None
    a, b = [np.append(np.ones(n), np.zeros(n))], [1.0]
    for i in range(n):
        for sign in (1.0, -1.0):
            row = np.zeros(2 * n)
            row[i], row[n + i] = sign, -1.0
            a.append(row)
            b.append(sign * names.held[i])
    bounds = [(least, _room(names, limits, i) + margin) if i in chosen else (0.0, 0.0) for i in range(n)]
    if any(low > high for low, high in bounds):
        return False
    for each in limits:
        for row, bound in _rows(names, each):
            a.append(row)
            b.append(bound + margin)
    bounds += [(0.0, 9.0)] * n
    return bool(linprog(np.zeros(2 * n), A_ub=np.array(a), b_ub=np.array(b), bounds=bounds).status == 0)


def _room(names: Names, limits: Sequence[Limit], i: int) -> float:
    assert names.adv is not None
    asked = [each for each in limits if each.days]
    return min([1.0, *(each.bound * each.days * names.adv[i] / names.capital for each in asked)])


def _rows(names: Names, each: Limit) -> list[tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]]:
    n = len(names)
    sign = 1.0 if each.comparison == "<=" else -1.0
    if each.subject == "turnover":
        return [(np.append(np.zeros(n), np.ones(n)), 2 * each.bound)]
    if each.subject == "cash":
        return [(np.append(-sign * np.ones(n), np.zeros(n)), -sign * (1 - each.bound))]
    if each.subject in ("names", "position"):
        return []
    words = names.symbols if each.subject == "name" else names.groups[each.subject]
    keys = {each.key} if each.key else set(words)
    return [
        (np.append([sign * (word == key) for word in words], np.zeros(n)), sign * each.bound) for key in keys
    ]


def test_200_random_conflicts_are_named_smallest_and_resolved() -> None:
    tried = seen = 0
    while seen < 200:
        tried += 1
        names = names_of(5, tried)
        limits = random_limits(names, tried)
        conflict = find_conflict(names, limits)
        assert (conflict is None) == feasible(names, limits, 1e-7), (tried, [each.text for each in limits])
        if conflict is None:
            continue
        seen += 1
        assert not feasible(names, conflict.limits)
        for fewer in combinations(conflict.limits, len(conflict.limits) - 1):
            assert feasible(names, fewer, 1e-7)
        swaps = {id(old): new for old, new in conflict.relaxed}
        offered = [parse_limit(swaps[id(x)].text) if id(x) in swaps else x for x in limits]
        assert feasible(names, offered, 1e-9)
        assert swaps


def test_the_error_is_in_the_users_own_words() -> None:
    names = Names(
        ("A", "B", "C", "M1", "M2"),
        {"segment": ("mining", "mining", "mining", "magnets", "magnets")},
    )
    limits = parse_limits(["segment  magnets ≤ 20 %", "name <= 30%", "segment mining <= 77%", "cash <= 0%"])
    conflict = find_conflict(names, limits)
    assert conflict is not None
    assert [each.text for each in conflict.limits] == [
        "segment magnets ≤ 20 %",
        "segment mining <= 77%",
        "cash <= 0%",
    ]
    error = refuse(names, conflict)
    assert isinstance(error, UserError)
    assert str(error) == (
        'of 5 eligible names no portfolio keeps all limits: "segment magnets ≤ 20 %", "segment mining <= 77%" and '
        '"cash <= 0%" cannot hold together: they leave 3 % unplaced. The smallest change that does: '
        '"segment mining <= 80%" instead of "segment mining <= 77%"'
    )


def test_a_limit_that_nothing_can_keep_stands_alone() -> None:
    names = Names(("A", "B"), {"segment": ("mining", "mining")})
    conflict = find_conflict(names, parse_limits(["segment magnets >= 10%", "name <= 60%"]))
    assert conflict is not None and [each.text for each in conflict.limits] == ["segment magnets >= 10%"]
    assert 'limits: "segment magnets >= 10%" cannot be kept. ' in str(refuse(names, conflict))
    assert conflict.relaxed[0][1].text == "segment magnets >= 0%"


@pytest.mark.parametrize("bound", [0.01, 0.05])
def test_a_limit_on_tracking_error_has_its_part(bound: float) -> None:
    """Two names independent of the benchmark: the least tracking error is known in closed form."""
    sigma = np.diag([0.04, 0.04, 0.01])
    names = Names(("A", "B"), covariance=sigma)
    least = np.sqrt(0.25 * 0.04 * 2 + 0.01)
    conflict = find_conflict(
        names, parse_limits([f"tracking error <= {bound:.0%}", "cash <= 0%", "name <= 70%"])
    )
    assert conflict is not None
    assert {each.subject for each in conflict.limits} == {"tracking error"} or bound < 0.1
    offered = [new for _, new in conflict.relaxed]
    assert all(each.subject == "tracking error" for each in offered)
    assert offered[0].bound <= least + 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_limits_on_risk_are_judged_as_a_cone_solver_does(seed: int) -> None:
    import cvxpy as cp

    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 20))
    loadings = rng.normal(0.2, 0.15, (n + 1, 3))
    sigma = loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.1, n + 1))
    symbols = tuple(f"S{number}" for number in range(n))
    names = Names(symbols, {"segment": tuple(f"g{number % 3}" for number in range(n))}, covariance=sigma)
    limits = parse_limits(
        [
            f"tracking error <= {rng.integers(8, 35)}%",
            f"name <= {rng.integers(5, 40)}%",
            f"segment g0 <= {rng.integers(5, 40)}%",
            "cash <= 0%",
        ]
    )

    def holds(chosen: Sequence[Limit]) -> bool:
        w = cp.Variable(n, nonneg=True)
        region = Region(names, tuple(chosen))
        rows = [row.coefficients @ w <= row.bound for row in region.rows]
        cones = [cp.norm(f @ w - g) <= bound for _, bound, f, g in region.cones()]
        problem = cp.Problem(cp.Minimize(0), [cp.sum(w) <= 1, *rows, *cones])
        problem.solve(solver=cp.CLARABEL)
        return problem.status == "optimal"

    conflict = find_conflict(names, limits)
    assert (conflict is None) == holds(limits)
    if conflict is not None:
        assert not holds(conflict.limits)
        for fewer in combinations(conflict.limits, len(conflict.limits) - 1):
            assert holds(fewer)
        swaps = {id(old): new for old, new in conflict.relaxed}
        offered = [swaps.get(id(each), each) for each in limits]
        assert holds(offered)
        prices = [1.0 / max(each.bound, 0.01) for each in limits]
        w, r = cp.Variable(n, nonneg=True), cp.Variable(len(limits), nonneg=True)
        region = Region(names, limits)
        rows = [row.coefficients @ w <= row.bound + row.slope * r[row.owner] for row in region.rows]
        cones = [cp.norm(f @ w - g) <= bound + r[number] for number, bound, f, g in region.cones()]
        least = cp.Problem(cp.Minimize(np.array(prices) @ r), [cp.sum(w) <= 1, *rows, *cones])
        least.solve(solver=cp.CLARABEL)
        cost = sum(
            price * abs(new.bound - old.bound)
            for price, old, new in zip(prices, limits, offered, strict=True)
        )
        # bounds are offered to four digits, rounded outward
        assert least.value - 1e-6 <= cost <= least.value + 2e-3 * len(limits)
