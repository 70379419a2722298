import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.portfolio.limits import Limits, project


def limits_of(names: int, cap: float, segment_cap: float, segments: int) -> Limits:
    symbols = tuple(f"S{number:03d}" for number in range(names))
    return Limits(
        symbols, symbols, tuple(f"g{number % segments}" for number in range(names)), cap, segment_cap
    )


cases = st.tuples(
    st.integers(1, 30), st.floats(0.01, 1.0), st.floats(0.05, 1.0), st.integers(1, 6), st.integers(0, 10**6)
)


def draw(
    case: tuple[int, float, float, int, int],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], Limits]:
    names, cap, segment_cap, segments, seed = case
    raw = np.random.default_rng(seed).dirichlet(np.full(names, 0.5)) + 1e-9
    return raw / raw.sum(), limits_of(names, cap, segment_cap, segments)


def totals(weights: np.ndarray[tuple[int], np.dtype[np.float64]], limits: Limits) -> dict[str, float]:
    return {
        name: float(sum(w for w, segment in zip(weights, limits.segments, strict=True) if segment == name))
        for name in set(limits.segments)
    }


@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_no_cap_is_ever_broken_and_weights_and_cash_make_one(
    case: tuple[int, float, float, int, int],
) -> None:
    raw, limits = draw(case)
    weights, cash, _ = project(raw, limits)
    assert (weights >= 0).all() and cash >= 0
    assert weights.sum() + cash == pytest.approx(1.0, abs=1e-12)
    assert weights.max() <= limits.max_weight + 1e-9
    assert max(totals(weights, limits).values()) <= limits.max_segment_weight + 1e-9


@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_cash_is_left_only_where_the_caps_can_hold_no_more(case: tuple[int, float, float, int, int]) -> None:
    raw, limits = draw(case)
    _, cash, said = project(raw, limits)
    assert cash == pytest.approx(max(0.0, 1.0 - limits.capacity()), abs=1e-9)
    assert any("in cash" in line for line in said) == (cash > 1e-9)


@settings(max_examples=100, deadline=None)
@given(case=cases)
def test_names_that_no_cap_touches_keep_their_proportions(case: tuple[int, float, float, int, int]) -> None:
    raw, limits = draw(case)
    weights, _, _ = project(raw, limits)
    full = {
        name for name, total in totals(weights, limits).items() if total > limits.max_segment_weight - 1e-9
    }
    for group in [{each} for each in set(limits.segments)] + [set(limits.segments) - full]:
        inside = np.array([segment in group for segment in limits.segments]) & (
            weights < limits.max_weight - 1e-9
        )
        ratio = weights[inside] / raw[inside]
        assert len(ratio) < 2 or ratio.max() / ratio.min() == pytest.approx(1.0, abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(case=cases)
def test_projecting_twice_is_projecting_once(case: tuple[int, float, float, int, int]) -> None:
    raw, limits = draw(case)
    once, cash, _ = project(raw, limits)
    if cash == 0:
        again, _, _ = project(once, limits)
        np.testing.assert_allclose(again, once, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(case=cases)
def test_the_result_is_nearest_in_relative_entropy(case: tuple[int, float, float, int, int]) -> None:
    """Any other feasible portfolio, here a mix of the result with a random one, is further from raw."""
    raw, limits = draw(case)
    weights, cash, _ = project(raw, limits)
    other, _, _ = project(np.random.default_rng(case[4] + 1).dirichlet(np.ones(len(raw))), limits)

    def entropy(w: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        held = w > 0
        return float((w[held] * np.log(w[held] / raw[held])).sum())

    if cash == 0:
        mixed = 0.9 * weights + 0.1 * other
        assert entropy(weights) <= entropy(mixed) + 1e-9


def test_two_lines_of_one_issuer_share_its_cap() -> None:
    limits = Limits(("A", "H", "X", "Y"), ("jl", "jl", "x", "y"), ("m", "m", "m", "m"), 0.30, 1.0)
    weights, cash, said = project(np.array([0.4, 0.2, 0.2, 0.2]), limits)
    np.testing.assert_allclose(weights, [0.2, 0.1, 0.3, 0.3], atol=1e-12)
    assert cash == pytest.approx(0.1)
    assert "A and H at the cap of 30.0% per issuer" in said


def test_a_worked_case() -> None:
    # A wants 60 % and is cut to 40 %; the 20 % go to B and C in proportion 3 to 1
    limits = limits_of(3, 0.4, 1.0, 1)
    weights, cash, said = project(np.array([0.6, 0.3, 0.1]), limits)
    np.testing.assert_allclose(weights, [0.4, 0.4, 0.2], atol=1e-12)
    assert cash == 0
    assert said == ("S000 at the cap of 40.0% per issuer", "S001 at the cap of 40.0% per issuer")


def test_caps_that_hold_too_little_say_what_is_left() -> None:
    weights, cash, said = project(np.full(3, 1 / 3), limits_of(3, 0.1, 1.0, 3))
    assert weights.tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert cash == pytest.approx(0.7)
    assert said[-1].startswith("caps leave 70.0% in cash: 3 issuers at 10.0% each")


@pytest.mark.parametrize("cap", [0.0, -0.1, 1.5])
def test_a_cap_outside_zero_to_one_is_refused(cap: float) -> None:
    with pytest.raises(ValueError, match="max_weight"):
        limits_of(2, cap, 1.0, 1)
