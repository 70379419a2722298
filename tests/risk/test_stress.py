"""Replays against figures worked by hand, and conditional moves against regression betas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.errors import ScreenerError
from screener.risk.stress import Window, conditional_moves, replay, stage_betas

NAN = float("nan")
DAYS = pd.to_datetime(["2022-01-03", "2022-01-04", "2022-01-05", "2022-01-06"])
SEGMENTS = {"A": "mining", "B": "mining", "C": "magnets", "D": "magnets", "E": "recycling", "F": "mining"}
#             before  fall   deeper  end       B has no price at the end; D and F came later; E's stage had nobody
PRICES = pd.DataFrame(
    {
        "A": [100.0, 80.0, 50.0, 60.0],
        "B": [10.0, 9.0, 8.0, NAN],
        "C": [20.0, 22.0, 21.0, 22.0],
        "D": [NAN, NAN, 5.0, 6.0],
        "E": [NAN, NAN, NAN, NAN],
        "F": [NAN, 3.0, 3.0, 3.0],
    },
    index=DAYS,
)
WEIGHTS = pd.Series({"A": 0.3, "C": 0.2, "D": 0.2, "E": 0.1, "F": 0.1})
BETAS = pd.Series({"A": 1.0, "C": 1.0, "D": 0.5, "E": 1.0, "F": 2.0})


def test_a_replay_of_names_that_were_listed_is_the_sum_worked_by_hand() -> None:
    found = replay(Window.of(PRICES, SEGMENTS), WEIGHTS, BETAS)
    # 0.5 of 0.9 is covered, scaled to 0.9: A 0.54, C 0.36, and 0.1 cash
    assert found.covered == pytest.approx(5 / 9)
    assert found.wealth["covered"].tolist() == pytest.approx(
        [1.0, 0.1 + 0.54 * 0.8 + 0.36 * 1.1, 0.1 + 0.54 * 0.5 + 0.36 * 1.05, 0.1 + 0.54 * 0.6 + 0.36 * 1.1]
    )
    assert found.move == pytest.approx(0.1 + 0.54 * 0.6 + 0.36 * 1.1 - 1)
    assert found.drawdown == pytest.approx(0.1 + 0.54 * 0.5 + 0.36 * 1.05 - 1)


def test_names_that_came_later_are_estimated_from_their_stage_or_stay_unknown() -> None:
    found = replay(Window.of(PRICES, SEGMENTS), WEIGHTS, BETAS)
    assert found.names["basis"].to_dict() == {
        "A": "prices",
        "C": "prices",
        "D": "estimated",
        "E": "none",
        "F": "estimated",
    }
    # magnets' average is C: +10 %, D has half of it; mining's is A and B, (0.6 + 0.8) / 2, F has twice the fall
    assert found.names.loc["D", "move"] == pytest.approx(0.05)
    assert found.names.loc["F", "move"] == pytest.approx(2 * (0.7 - 1))
    assert np.isnan(found.names.loc["E", "move"])
    assert found.estimated == pytest.approx(3 / 9)
    scale = 0.9 / 0.8
    assert found.estimated_move == pytest.approx(
        scale * (0.3 * -0.4 + 0.2 * 0.1 + 0.2 * 0.05 + 0.1 * -0.6), abs=1e-12
    )
    assert found.segments["contribution"].sum() == pytest.approx(found.estimated_move)
    assert found.segments.loc["magnets", "covered"] == pytest.approx(0.5)


def test_without_a_listed_name_nothing_is_made_up() -> None:
    found = replay(Window.of(PRICES[["D", "E"]], SEGMENTS), pd.Series({"D": 0.5, "E": 0.5}), BETAS)
    assert (found.covered, found.estimated) == (0.0, 0.0)
    assert np.isnan([found.move, found.drawdown, found.estimated_move]).all()


def test_an_estimate_does_not_lose_more_than_everything() -> None:
    found = replay(Window.of(PRICES, SEGMENTS), pd.Series({"F": 1.0}), pd.Series({"F": 9.0}))
    assert found.names.loc["F", "move"] == -1.0


def test_a_beta_to_the_others_of_a_stage_is_that_of_the_regression_and_alone_there_is_none() -> None:
    rng = np.random.default_rng(3)
    index = pd.bdate_range("2022-01-03", periods=300)
    x, y = rng.normal(0, 0.01, 300), rng.normal(0, 0.01, 300)
    prices = pd.DataFrame({"A": x, "B": 0.5 * x + y, "E": y}, index=index).add(1).cumprod()
    found = stage_betas(prices, SEGMENTS, weeks=50)
    anchors = prices.iloc[[-1 - 5 * week for week in range(50, -1, -1)]].pct_change().dropna()
    assert found["B"] == pytest.approx(np.polyfit(anchors["A"], anchors["B"], 1)[0], rel=1e-9)
    assert np.isnan(found["E"])


def matrix_of(loadings: np.ndarray, own: np.ndarray) -> pd.DataFrame:
    names = [f"N{each}" for each in range(len(own))]
    values = np.outer(loadings, loadings) * 0.04 + np.diag(own**2)
    return pd.DataFrame(values, index=names, columns=names)


@given(
    st.lists(st.floats(0.2, 2.0), min_size=3, max_size=6),
    st.floats(-0.9, 1.0).filter(lambda each: abs(each) > 1e-3),
)
def test_with_one_shocked_name_the_expected_move_is_beta_times_the_shock(
    loadings: list[float], size: float
) -> None:
    sigma = matrix_of(np.array(loadings), np.full(len(loadings), 0.2))
    shocked = pd.DataFrame({"N0": (sigma.index == "N0").astype(float)}, index=sigma.index)
    weights = pd.Series(1 / len(sigma), index=sigma.index)
    found = conditional_moves(sigma, shocked, pd.Series({"N0": size}), weights, years=0.1)
    betas = sigma["N0"] / sigma.loc["N0", "N0"]
    assert found.names["expected"].to_numpy() == pytest.approx((betas * size).to_numpy(), abs=1e-12)
    assert found.expected == pytest.approx(float((betas * size).mean()), abs=1e-12)
    assert found.names.loc["N0", ["low", "high"]].tolist() == pytest.approx([size, size], abs=1e-6)


def test_the_shocked_average_moves_by_what_was_asked_and_the_interval_is_the_conditional_variance() -> None:
    sigma = matrix_of(np.array([1.0, 1.5, 0.5, 0.8]), np.array([0.2, 0.3, 0.1, 0.4]))
    shocked = pd.DataFrame({"magnets": [0.5, 0.5, 0.0, 0.0]}, index=sigma.index)
    weights = pd.Series({"N2": 0.6, "N3": 0.4})
    found = conditional_moves(sigma, shocked, pd.Series({"magnets": -0.2}), weights, years=1 / 13)
    assert float(found.names["expected"][:2].mean()) == pytest.approx(-0.2)
    a, w = shocked.to_numpy()[:, 0], np.array([0, 0, 0.6, 0.4])
    s = sigma.to_numpy()
    variance = w @ s @ w - (w @ s @ a) ** 2 / (a @ s @ a)
    half = 1.959963984540054 * np.sqrt(variance / 13)
    assert (found.low, found.high) == pytest.approx((found.expected - half, found.expected + half))


def test_two_shocks_of_the_same_names_are_refused() -> None:
    sigma = matrix_of(np.array([1.0, 1.5]), np.array([0.2, 0.3]))
    shocked = pd.DataFrame({"a": [1.0, 0.0], "b": [1.0, 0.0]}, index=sigma.index)
    with pytest.raises(ScreenerError, match="same names"):
        conditional_moves(sigma, shocked, pd.Series({"a": -0.1, "b": -0.2}), pd.Series({"N1": 1.0}), 0.1)
