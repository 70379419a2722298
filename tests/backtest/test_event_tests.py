"""Tests of averages over names that share their date: closed forms, and their size and power on simulated panels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.events import STAGES, rejections
from screener.backtest.abnormal import Abnormal
from screener.backtest.event_tests import (
    GroupTests,
    bmp_statistic,
    correlations,
    generalised_rank_t,
    group_tests,
    pool,
    two_sided,
)

DAYS, NAMES = 240, 4


def simple(seed: int = 0, later: bool = False) -> Abnormal:
    """One date and four names on a full grid; deviations 1, windows of one and of four sessions, no model error."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(DAYS, 1))
    z = 0.6 * common + 0.8 * rng.normal(size=(DAYS, NAMES))
    if later:
        z[1:, 2:] = 0.6 * common[:-1] + 0.8 * rng.normal(size=(DAYS - 1, 2))
    z /= np.sqrt((z**2).mean(axis=0))
    cars = np.stack((rng.normal(size=NAMES), rng.normal(size=NAMES)), axis=1)
    return Abnormal(
        known=np.ones((1, NAMES), dtype=bool),
        observations=np.full((1, NAMES), DAYS),
        deviation=np.array([[0.01, 0.02, 0.03, 0.04]]),
        path=np.zeros((1, NAMES, 1)),
        cars=cars[None],
        spread=np.tile([1.0, 4.0], (1, NAMES, 1)),
        residuals=z[None],
        alive=np.ones((1, DAYS, NAMES), dtype=bool),
    )


def outcome(abnormal: Abnormal, exchanges: list[str]) -> GroupTests:
    everyone = np.ones(NAMES, dtype=bool)
    return group_tests(abnormal, correlations(abnormal, exchanges), everyone, ((0, 0), (0, 3)))


def test_on_one_exchange_the_error_is_the_deviation_of_the_average_before_the_event() -> None:
    abnormal = simple()
    found = outcome(abnormal, ["XNYS"] * NAMES)
    average = (abnormal.residuals[0] * abnormal.deviation[0]).mean(axis=1)
    assert found.error[0] == pytest.approx(np.sqrt((average**2).mean()) * np.array([1.0, 2.0]), rel=1e-12)
    assert found.caar[0] == pytest.approx(abnormal.cars[0].mean(axis=0))
    assert found.t[0] == pytest.approx(found.caar[0] / found.error[0])


def test_news_that_reaches_half_the_names_a_day_later_widens_long_windows_only() -> None:
    abnormal = simple(later=True)
    apart = outcome(abnormal, ["XNYS", "XNYS", "XTKS", "XTKS"])
    blind = outcome(abnormal, ["XNYS"] * NAMES)
    assert apart.error[0, 0] == blind.error[0, 0]
    assert apart.error[0, 1] > 1.1 * blind.error[0, 1]


def test_the_adjusted_statistic_is_the_papers_and_without_correlation_plain_bmp() -> None:
    mean, deviation, n = np.array(0.5), np.array(0.8), np.array(5)
    plain = 0.5 * np.sqrt(5) / 0.8
    assert bmp_statistic(mean, deviation, np.array(0.0), n) == pytest.approx(plain)
    assert bmp_statistic(mean, deviation, np.array(0.2), n) == pytest.approx(plain * np.sqrt(0.8 / 1.8))


def test_the_rank_statistic_without_gaps_is_the_papers() -> None:
    abnormal = simple()
    z, scars = abnormal.residuals[0], np.array([1.0, -0.2, 0.7, 2.5])
    u = stats.rankdata(np.vstack((z, scars)), axis=0) / (DAYS + 2) - 0.5
    average = u.mean(axis=1)
    statistic = average[-1] / np.sqrt((average**2).mean())
    expected = statistic * np.sqrt((DAYS + 1 - 2) / (DAYS + 1 - 1 - statistic**2))
    assert generalised_rank_t(z, scars) == pytest.approx(expected, rel=1e-12)


def test_events_that_share_every_session_count_as_one_and_separate_ones_as_many() -> None:
    found = outcome(simple(), ["XNYS"] * NAMES)
    twice = np.array([0, 0])
    same = pool(found, twice, 0, np.ones((2, 2)))
    apart = pool(found, twice, 0, np.eye(2))
    assert same.t == pytest.approx(found.t[0, 0])
    assert same.rank == pytest.approx(found.rank[0, 0])
    assert apart.t == pytest.approx(found.t[0, 0] * np.sqrt(2))
    assert (apart.events, apart.names) == (2, 2 * NAMES)


def test_two_sided_p_values_are_students() -> None:
    assert two_sided(np.array([2.5, np.nan]), np.array([10, 10]))[0] == pytest.approx(2 * stats.t.sf(2.5, 10))
    assert np.isnan(two_sided(np.array([2.5, np.nan]), np.array([0, 10]))).all()


def test_without_an_effect_the_five_percent_test_rejects_about_as_often() -> None:
    # clustered, cross-correlated, fat-tailed, volatility clusters, four exchanges; benchmarks/events.py does 1,000 runs
    runs = 40
    shares = rejections(runs).xs("one event", level="events").xs("0:0", level="window")
    most = stats.binom.isf(1e-3, runs * len(STAGES), 0.05)
    for test in ("portfolio", "BMP", "rank"):
        count = shares.xs(test, level="test").sum() * runs
        assert 0 < count <= most, (test, count)


def test_a_shock_of_three_percent_is_seen_where_names_of_six_move_together() -> None:
    shares = rejections(12, shock=0.03, first=500)
    assert shares["one exchange", "6 events", "0:0", "portfolio"] > 0.9
    assert shares["one exchange", "one event", "0:0", "portfolio"] > 0.4
