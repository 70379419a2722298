from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import screener.api as sc
from screener.errors import UserError
from screener.portfolio.index_rule import (
    SHIPPED,
    Candidate,
    after_deletion,
    capped,
    index_rule_named,
    load_index_rule,
    review,
)

RULE = load_index_rule()


def candidate(
    symbol: str, size: float, purity: float = 0.75, traded: float = 50e6, shell: int | None = None
) -> Candidate:
    return Candidate(symbol, purity, (size,) * 3, (traded,) * 3, shell)


def test_the_shipped_rule_is_the_one_described() -> None:
    assert (RULE.purity_to_enter, RULE.purity_to_stay, RULE.max_weight) == (0.50, 0.25, 0.08)
    assert RULE.traded_value_per_weight == 250e6 and RULE.reviews == 3


def test_half_to_enter_and_a_quarter_to_stay() -> None:
    names = [candidate("NEW", 1e9, 0.35), candidate("OLD", 1e9, 0.35), candidate("PURE", 1e9)]
    made = review(RULE, names, sitting={"OLD"})
    assert set(made.weights) == {"OLD", "PURE"}
    assert made.out == {"NEW": "purity 35% is below 50% to enter"}
    assert review(RULE, [replace(names[1], purity=0.2), names[2]], {"OLD"}).out == {
        "OLD": "purity 20% is below 25% to stay"
    }


def test_size_and_traded_value_count_at_three_reviews() -> None:
    names = [
        Candidate("A", 0.75, (200e6, 200e6, 140e6), (2e6,) * 3),
        Candidate("B", 0.75, (200e6,) * 3, (2e6, 0.9e6, 2e6)),
        Candidate("C", 0.75, (200e6,) * 3, (2e6, 2e6)),
        Candidate("D", 0.75, (200e6,) * 3, (2e6,) * 3),
    ]
    made = review(RULE, names)
    assert list(made.weights) == ["D"]
    assert made.out["A"] == "size was 140.00 M at one of 3 reviews, below 150.00 M"
    assert made.out["B"] == "traded value was 0.90 M at one of 3 reviews, below 1.00 M"
    assert made.out["C"] == "traded value is not known at 3 reviews"


def test_a_shell_is_out_until_it_is_seasoned() -> None:
    made = review(RULE, [candidate("SPAC", 9e9, shell=60), candidate("OLD", 1e9, shell=400)])
    assert list(made.weights) == ["OLD"]
    assert made.out["SPAC"] == "took over a shell 60 days ago, fewer than 180"


def test_a_worked_index() -> None:
    """14 names. BIG would be 40 %, THIN 10 %: 8 % and 10 M / 250 M = 4 %; the other 88 % go to twelve equal ones."""
    names = [candidate("BIG", 40e9), candidate("THIN", 10e9, traded=10e6)]
    names += [candidate(f"N{number:02d}", 50e9 / 12) for number in range(12)]
    made = review(RULE, names)
    assert made.weights["BIG"] == pytest.approx(0.08, abs=1e-15)
    assert made.weights["THIN"] == pytest.approx(0.04, abs=1e-15)
    assert made.weights["N00"] == pytest.approx(0.88 / 12, abs=1e-15)
    assert abs(sum(made.weights.values()) - 1) < 1e-12
    assert made.notes == ()


def test_caps_that_hold_too_little_give_way_and_say_so() -> None:
    made = review(RULE, [candidate(f"N{number}", 1e9) for number in range(4)])
    assert list(made.weights.values()) == pytest.approx([0.25] * 4)
    assert made.notes[0] == "4 names at 8.0% hold less than the index: the cap became 25.0%"


def test_a_deletion_is_replaced_only_below_twenty_names() -> None:
    names = [candidate(f"N{number:02d}", (30 - number) * 1e9) for number in range(22)]
    index = review(RULE, names[:21])
    shared = after_deletion(RULE, index, "N03", names)
    assert len(shared) == 20 and "N21" not in shared
    assert sum(shared.values()) == pytest.approx(1.0, abs=1e-12)
    assert shared["N00"] / shared["N10"] == pytest.approx(index.weights["N00"] / index.weights["N10"])
    smaller = review(RULE, names[:20])
    replaced = after_deletion(RULE, smaller, "N03", names)
    assert len(replaced) == 20 and replaced["N20"] == smaller.weights["N03"]


@settings(max_examples=200, deadline=None)
@given(names=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_the_cap_solver_sums_to_one_and_keeps_caps_and_proportions(names: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.lognormal(20, 2, names)
    caps = rng.dirichlet(np.ones(names)) * rng.uniform(1.0, 4.0)
    weights = capped(sizes, caps)
    assert abs(weights.sum() - 1) < 1e-12
    assert (weights <= caps + 1e-15).all()
    free = weights < caps * (1 - 1e-9)
    if free.any():
        ratio = weights[free] / sizes[free]
        assert ratio.max() / ratio.min() == pytest.approx(1, abs=1e-9)
        assert (weights[~free] / sizes[~free]).max(initial=0.0) <= ratio.max() * (1 + 1e-9)


def test_impossible_caps_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot sum to one"):
        capped(np.ones(3), np.full(3, 0.2))
    with pytest.raises(UserError, match="nobody passes"):
        review(RULE, [candidate("A", 1.0)])
    with pytest.raises(UserError, match="did you mean 'remx_like'"):
        load_index_rule("remx_lik")
    file = tmp_path / "rules.toml"
    file.write_text("[mine]\nlabel = 3\npurity_to_entr = 0.5\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_index_rule("mine", file)
    said = str(caught.value)
    assert (
        "did you mean 'purity_to_enter'" in said
        and "label 3 must be text" in said
        and "size is missing" in said
    )


def test_a_rule_is_named_or_lies_in_a_file_of_ones_own(tmp_path: Path) -> None:
    assert index_rule_named("critical_materials_like").fewest_names == 0
    file = tmp_path / "mine.toml"
    file.write_text(SHIPPED.read_text(encoding="utf-8").replace("[remx_like]", "[mine]"), encoding="utf-8")
    assert index_rule_named(f"{file}:mine") == index_rule_named("remx_like")
    with pytest.raises(UserError, match="did you mean 'mine'"):
        index_rule_named(f"{file}:mines")


def test_a_build_follows_the_rule_that_it_is_given(sample_market: sc.Market) -> None:
    theme = replace(sc.theme_named(sample_market.universe, "magnets"), method="index_rule", max_weight=1.0)
    values = {symbol: 1e9 * (1 + n % 7) for n, symbol in enumerate(sample_market.universe.instruments)}
    known = sc.Known(market_values=values)
    built = {
        name: sc.build(sample_market, theme, sc.BuildSettings(index_rule=name), known=known).weights
        for name in ("remx_like", "critical_materials_like")
    }
    assert not built["remx_like"].equals(built["critical_materials_like"])
