from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.schedule import rebalance_dates
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


def test_an_unknown_frequency_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'monthly'"):
        rebalance_dates(SESSIONS, "montly")
