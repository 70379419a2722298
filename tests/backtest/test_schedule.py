from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.schedule import parse_schedule, rebalance_dates, staggered_dates
from screener.errors import UserError

SESSIONS = pd.bdate_range("2025-01-02", "2026-07-08").as_unit("s")


def test_the_last_session_of_each_period() -> None:
    assert rebalance_dates(SESSIONS, "monthly")[:2] == [date(2025, 1, 31), date(2025, 2, 28)]
    assert rebalance_dates(SESSIONS, "quarterly")[-1] == date(2026, 6, 30)
    assert rebalance_dates(SESSIONS, "weekly")[-1] == date(2026, 7, 3)


def test_a_period_that_is_not_over_does_not_count_and_one_that_is_does() -> None:
    assert rebalance_dates(SESSIONS[SESSIONS <= "2026-06-29"], "monthly")[-1] == date(2026, 5, 29)
    assert rebalance_dates(SESSIONS[SESSIONS <= "2026-06-30"], "monthly")[-1] == date(2026, 6, 30)
    assert rebalance_dates(SESSIONS[SESSIONS <= "2025-01-31"], "monthly") == [date(2025, 1, 31)]


def test_start_and_end_are_included() -> None:
    dates = rebalance_dates(SESSIONS, "monthly", start=date(2025, 2, 28), end=date(2025, 4, 30))
    assert dates == [date(2025, 2, 28), date(2025, 3, 31), date(2025, 4, 30)]
    assert rebalance_dates(SESSIONS, "monthly", start=date(2027, 1, 1)) == []
    assert rebalance_dates(SESSIONS[:0], "weekly") == []


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, len(SESSIONS)), frequency=st.sampled_from(["weekly", "monthly", "quarterly"]))
def test_later_sessions_never_move_an_earlier_date(cut: int, frequency: str) -> None:
    then, now = rebalance_dates(SESSIONS[:cut], frequency), rebalance_dates(SESSIONS, frequency)
    assert now[: len(then)] == then


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), frequency=st.sampled_from(["weekly", "monthly", "quarterly"]))
def test_holidays_and_weekend_rows_move_nothing_either(seed: int, frequency: str) -> None:
    rng = np.random.default_rng(seed)
    sessions = pd.date_range("2025-01-01", "2026-03-31").as_unit("s")
    sessions = sessions[rng.random(len(sessions)) < np.where(sessions.day_of_week < 5, 0.9, 0.1)]
    cut = int(rng.integers(1, len(sessions)))
    then, now = rebalance_dates(sessions[:cut], frequency), rebalance_dates(sessions, frequency)
    assert now[: len(then)] == then
    assert all(day.weekday() < 5 for day in now)


def test_a_week_that_ends_with_a_holiday_is_decided_before_it() -> None:
    easter = SESSIONS.drop(pd.DatetimeIndex(["2025-04-18", "2025-04-21"]))  # Good Friday, Easter Monday
    assert date(2025, 4, 17) in rebalance_dates(easter, "weekly")
    # on the Thursday it is not known from the rows alone that Friday brings none
    assert rebalance_dates(easter[easter <= "2025-04-17"], "weekly")[-1] == date(2025, 4, 11)


@pytest.mark.parametrize(
    "text",
    [
        "montly",
        "weekly:SAT",
        "every:0",
        "every:x",
        "drift:5",
        "drift:0%",
        "drift:100%",
        "screen:x",
        "monthly:1",
    ],
)
def test_a_schedule_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"'{text}' is not a schedule; it may be weekly"):
        rebalance_dates(SESSIONS, text)


def test_a_week_may_end_on_any_weekday() -> None:
    dates = rebalance_dates(SESSIONS, "weekly:WED", start=date(2026, 6, 1))
    assert {day.weekday() for day in dates} == {2}
    holiday = SESSIONS.drop(pd.DatetimeIndex(["2026-06-10"]))
    assert date(2026, 6, 9) in rebalance_dates(holiday, "weekly:WED")


def test_every_nth_session_is_counted_from_the_start() -> None:
    dates = rebalance_dates(SESSIONS, "every:3", start=date(2026, 6, 1), end=date(2026, 6, 12))
    assert [day.day for day in dates] == [1, 4, 9, 12]


def test_an_offset_is_in_sessions_and_never_passes_the_end() -> None:
    later = rebalance_dates(SESSIONS, "monthly", start=date(2026, 5, 29), end=date(2026, 7, 1), offset=2)
    assert later == [date(2026, 6, 2)]


def test_a_drift_schedule_looks_weekly_and_trades_beyond_its_band() -> None:
    rule = parse_schedule("drift:2.5%")
    assert rule.band == pytest.approx(0.025)
    assert rebalance_dates(SESSIONS, rule) == rebalance_dates(SESSIONS, "weekly")


def test_tranches_spread_over_the_period_and_share_no_date() -> None:
    dates, tranches = staggered_dates(
        SESSIONS, parse_schedule("monthly"), 3, start=date(2026, 1, 1), end=date(2026, 6, 30)
    )
    assert dates == sorted(set(dates))
    assert set(tranches) == {0, 1, 2}
    month_ends = [day for day, number in zip(dates, tranches, strict=True) if number == 0]
    assert month_ends == rebalance_dates(SESSIONS, "monthly", start=date(2026, 1, 1), end=date(2026, 6, 30))
    assert tranches[:6] == (1, 2, 0, 1, 2, 0)


def test_more_tranches_than_sessions_in_a_period_are_refused() -> None:
    with pytest.raises(UserError, match="room for 1 to 5"):
        staggered_dates(SESSIONS, parse_schedule("weekly"), 6, start=date(2026, 1, 1), end=date(2026, 6, 30))
