"""Choosing the best of many variants, and what that is worth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.overfitting import (
    backtest_overfitting,
    bootstrap_variance,
    superior_predictive_ability,
)


def noise(seed: int, rows: int = 640, variants: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (rows, variants))


def by_definition(returns: np.ndarray, blocks: int) -> np.ndarray:
    """The logits as Bailey et al. (2017) define them, one split after another."""
    rows = len(returns) // blocks
    parts = returns[len(returns) - rows * blocks :].reshape(blocks, rows, -1)
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        past = np.concatenate([parts[each] for each in chosen])
        future = np.concatenate([parts[each] for each in range(blocks) if each not in chosen])
        best = (past.mean(axis=0) / past.std(axis=0, ddof=1)).argmax()
        ratios = future.mean(axis=0) / future.std(axis=0, ddof=1)
        rank = 1 + (ratios < ratios[best]).sum()
        logits.append(np.log(rank / (len(ratios) + 1 - rank)))
    return np.array(logits)


# Probability of backtest overfitting


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(48, 90), blocks=st.sampled_from([2, 4, 6]))
def test_sums_of_blocks_give_what_the_definition_gives(seed: int, rows: int, blocks: int) -> None:
    returns = noise(seed, rows, 7) + 0.01
    found = backtest_overfitting(returns, blocks)
    assert found is not None
    assert found.logits == pytest.approx(by_definition(returns, blocks), abs=1e-12)
    assert found.probability == (by_definition(returns, blocks) <= 0).mean()


def test_sixteen_blocks_have_12870_splits() -> None:
    found = backtest_overfitting(noise(0))
    assert found is not None and len(found.logits) == 12_870 and found.rows == 640


def test_among_noise_the_best_is_below_the_median_about_half_of_the_time() -> None:
    found = [backtest_overfitting(noise(seed, 320, 10), 8) for seed in range(60)]
    assert np.mean([each.probability for each in found if each]) == pytest.approx(0.5, abs=0.08)


def test_a_variant_with_real_skill_is_chosen_and_stays_best() -> None:
    returns = noise(1)
    returns[:, 3] += 0.003
    found = backtest_overfitting(returns)
    assert found is not None
    assert found.probability < 0.01 and found.probability_of_loss < 0.01


def test_variants_fitted_to_their_past_do_worse_after_it() -> None:
    """What one half gains the other loses: whatever was best is worst."""
    rng = np.random.default_rng(2)
    returns = rng.normal(0, 0.01, (320, 12))
    returns -= returns.mean(axis=0)
    found = backtest_overfitting(returns, 8)
    assert found is not None
    assert found.probability > 0.9 and found.slope < 0 and found.probability_of_loss > 0.95


def test_an_order_of_variants_or_a_leverage_changes_nothing() -> None:
    returns = noise(3, 320, 9)
    one, other = backtest_overfitting(returns, 8), backtest_overfitting(3.0 * returns[:, ::-1], 8)
    assert one is not None and other is not None
    assert one.logits == pytest.approx(other.logits)


def test_interchangeable_variants_stand_in_the_middle() -> None:
    found = backtest_overfitting(np.repeat(noise(4, 64, 1), 5, axis=1), 4)
    assert found is not None and found.logits == pytest.approx(np.zeros(6))


def test_a_variant_that_holds_cash_throughout_has_a_sharpe_ratio_of_zero() -> None:
    returns = noise(5, 64, 3)
    returns[:, 1] = 0.0
    found = backtest_overfitting(returns, 4)
    assert found is not None and np.isfinite(found.logits).all()


def test_too_little_gives_no_answer_and_what_is_wrong_an_error() -> None:
    assert backtest_overfitting(noise(0, 640, 1)) is None
    assert backtest_overfitting(noise(0, 60, 5)) is None
    with pytest.raises(ValueError, match="even"):
        backtest_overfitting(noise(0), 5)
    with pytest.raises(ValueError, match="every row"):
        backtest_overfitting(np.full((640, 3), np.nan))


# Superior predictive ability


def test_the_variance_of_the_mean_is_that_of_arch() -> None:
    """`arch` 8.0's kernel variances of the same series, block length 5."""
    rng = np.random.default_rng(1)
    excess = rng.normal(0.0004, 0.01, (500, 10)) - rng.normal(0, 0.01, 500)[:, None]
    expected = [0.0001532724977461471, 0.00018469157513210463, 0.00017070502859485728, 0.00019236911175909627]
    expected += [
        0.00021008691371967586,
        0.00016712729401401592,
        0.0001519323108177082,
        0.00018531183071302714,
    ]
    expected += [0.00015638463167530012, 0.00016445090587316]
    assert bootstrap_variance(excess, 5.0) == pytest.approx(np.array(expected), rel=1e-9)


def test_the_reality_check_is_that_of_arch() -> None:
    """`arch` 8.0's SPA compares plain means: its upper p-value with 20,000 draws is 0.08865 ± 0.004."""
    rng = np.random.default_rng(1)
    excess = rng.normal(0.0004, 0.01, (500, 10)) - rng.normal(0, 0.01, 500)[:, None]
    found = superior_predictive_ability(excess, block=5.0, draws=20_000)
    assert found.reality_check == pytest.approx(0.08865, abs=0.008)


def test_arch_itself_agrees_where_it_is_installed() -> None:
    bootstrap = pytest.importorskip("arch.bootstrap", reason="arch is a peer, not a dependency")
    rng = np.random.default_rng(8)
    excess = rng.normal(0.0002, 0.01, (400, 12))
    peer = bootstrap.SPA(np.zeros(400), -excess, reps=4000, block_size=4, bootstrap="stationary", seed=1)
    peer.compute()
    found = superior_predictive_ability(excess, block=4.0, draws=4000)
    assert found.reality_check == pytest.approx(float(peer.pvalues["upper"]), abs=0.03)


@pytest.mark.parametrize("block", [1.0, 4.0])
def test_without_skill_one_in_twenty_is_called_skilled(block: float) -> None:
    found = [superior_predictive_ability(noise(seed, 250, 8), block=block, draws=200) for seed in range(300)]
    rejected = np.mean([each.p_value <= 0.05 for each in found])
    assert 0.01 <= rejected <= 0.10


def test_real_skill_among_noise_is_found_and_named() -> None:
    excess = noise(6, 500, 30)
    excess[:, 17] += 0.003
    found = superior_predictive_ability(excess)
    assert found.best == 17 and found.p_value < 0.01


def test_hopeless_variants_hide_skill_from_the_reality_check_and_not_from_hansen() -> None:
    """A hundred wild losers raise the bar of plain means; studentised ones are told apart (Hansen 2005, sec. 1)."""
    rng = np.random.default_rng(7)
    skilled = rng.normal(0.0025, 0.01, (500, 1))
    wild = rng.normal(-0.02, 0.10, (500, 100))
    found = superior_predictive_ability(np.hstack([skilled, wild]))
    assert found.p_value < 0.05 < found.reality_check


def test_the_three_p_values_are_in_order_and_a_loser_never_wins() -> None:
    found = superior_predictive_ability(noise(9, 300, 15) - 0.0002)
    assert found.lower <= found.p_value <= found.upper
    assert superior_predictive_ability(noise(9, 300, 15) - 0.01).p_value == 1.0


def test_excess_returns_that_never_change_are_refused() -> None:
    with pytest.raises(ValueError, match="never changes"):
        superior_predictive_ability(np.zeros((100, 2)), block=1.0)
    with pytest.raises(ValueError, match="every row"):
        superior_predictive_ability(np.full((100, 2), np.nan), block=1.0)
