"""Limits that are kept around a method: what is invested, cash, trading, volatility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from screener.errors import UserError
from screener.portfolio.decide import decide_weights, theme_limits
from screener.portfolio.limits import parse_limits
from screener.portfolio.region import Names, Region
from screener.portfolio.weighting import METHODS, Case
from screener.universe.model import Rule, Theme

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
SIGMA = np.diag([0.04, 0.09, 0.16, 0.25]) + 0.01


def case_of(*limits: str, held: list[float] | None = None, **facts: object) -> Case:
    names = Names(
        tuple("ABCD"),
        {"issuer": tuple("ABCD"), "segment": ("up", "up", "down", "down")},
        None if held is None else np.array(held),
        covariance=SIGMA,
    )
    return Case(SIGMA, Region(replace(names, **facts), parse_limits(limits)))  # type: ignore[arg-type]


def decide(case: Case, method: str = "equal") -> tuple[Floats, tuple[str, ...]]:
    return decide_weights(case, METHODS[method])


def test_what_the_caps_cannot_hold_is_cash_and_said() -> None:
    weights, said = decide(case_of("name <= 20%"))
    np.testing.assert_allclose(weights, 0.2, atol=1e-9)
    assert said == ("name <= 20% binds for A, B, C, D", "limits leave 20.0% in cash")


def test_cash_can_be_asked_for_and_forbidden() -> None:
    weights, _ = decide(case_of("cash >= 10%"))
    assert weights.sum() == pytest.approx(0.9, abs=1e-9)
    with pytest.raises(UserError) as caught:
        decide(case_of("name <= 20%", "cash <= 5%"))
    assert str(caught.value) == (
        'of 4 eligible names no portfolio keeps all limits: "name <= 20%" (4 names) and "cash <= 5%" '
        'cannot hold together: they leave 15 % unplaced. The smallest change that does: "name <= 23.75%" instead of '
        '"name <= 20%"'
    )


def test_volatility_is_brought_down_with_cash() -> None:
    free, _ = decide(case_of(), "equal_risk_contribution")
    calm, said = decide(case_of("volatility <= 10%"), "equal_risk_contribution")
    assert np.sqrt(calm @ SIGMA @ calm) == pytest.approx(0.10, abs=1e-9)
    np.testing.assert_allclose(calm / calm.sum(), free, atol=1e-9)
    assert "volatility <= 10% binds" in said
    with pytest.raises(UserError, match='"segment down >= 45%"'):
        decide(case_of("volatility <= 10%", "segment down >= 45%"))


def test_turnover_is_kept_and_needs_holdings() -> None:
    held = [0.7, 0.1, 0.1, 0.1]
    weights, said = decide(case_of("turnover <= 20%", held=held))
    assert np.abs(weights - held).sum() / 2 == pytest.approx(0.2, abs=1e-9)
    assert "turnover <= 20% binds" in said
    _, said = decide(case_of("turnover <= 20%"))
    assert said == ("turnover <= 20% does not apply: nothing is known to be held (--holdings)",)


def test_what_must_be_sold_counts_as_turnover() -> None:
    held = [0.2, 0.2, 0.2, 0.2]
    weights, _ = decide(case_of("turnover <= 12%", held=held, sold=0.2))
    assert (np.abs(weights - held).sum() + 0.2) / 2 <= 0.12 + 1e-9
    assert weights.sum() == pytest.approx(0.84, abs=1e-9)


def test_inside_the_no_trade_band_nothing_is_traded() -> None:
    weights, _ = decide(case_of("trade >= 3%", held=[0.26, 0.24, 0.30, 0.20]))
    assert weights[0] == 0.26 and weights[1] == 0.24
    np.testing.assert_allclose(weights[2:], 0.25, atol=1e-9)
    untouched, _ = decide(case_of("trade >= 3%", held=[0.26, 0.24, 0.26, 0.23]))
    assert untouched.tolist() == [0.26, 0.24, 0.26, 0.23]


def test_a_position_is_held_to_its_share_of_adv_over_days() -> None:
    adv = np.array([1e6, 1e6, 1e6, np.nan])
    weights, said = decide(case_of("position <= 10% of ADV over 5 days", adv=adv, capital=1e6))
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-9)
    weights, _ = decide(case_of("position <= 10% of ADV over 5 days", adv=adv, capital=5e6))
    np.testing.assert_allclose(weights, [0.1, 0.1, 0.1, 0], atol=1e-9)
    _, said = decide(case_of("position <= 10% of ADV over 5 days", adv=adv))
    assert said == ("position <= 10% of ADV over 5 days does not apply: no capital is stated (--capital)",)


def test_a_least_position_is_kept_or_the_name_is_left_out() -> None:
    weights, _ = decide(case_of("position >= 20%"), "minimum_variance")
    assert all(each == 0 or each >= 0.2 - 1e-9 for each in weights)
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)


def test_tracking_error_is_kept_and_refused_below_the_least() -> None:
    """A benchmark that is the equal portfolio and a little noise."""
    mix = np.full(4, 0.25)
    joint = np.block(
        [[SIGMA, (SIGMA @ mix)[:, None]], [(SIGMA @ mix)[None, :], np.array([[mix @ SIGMA @ mix + 1e-4]])]]
    )
    case = case_of("tracking error <= 4%", covariance=joint)
    weights, said = decide(case, "minimum_variance")
    apart = np.append(weights, -1.0)
    assert np.sqrt(apart @ joint @ apart) == pytest.approx(0.04, abs=1e-7)
    assert "tracking error <= 4% binds" in said
    with pytest.raises(UserError, match=r'"tracking error <= 0\.5%" cannot be kept'):
        decide(case_of("tracking error <= 0.5%", covariance=joint))


def test_a_themes_caps_and_sentences_are_its_limits() -> None:
    theme = Theme("t", "T", "T", Rule(), max_weight=0.1, max_segment_weight=1.0, limits=("names <= 9",))
    assert [each.text for each in theme_limits(theme)] == ["issuer <= 10%", "names <= 9"]
