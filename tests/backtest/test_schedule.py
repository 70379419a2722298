from datetime import date

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


def test_an_unknown_frequency_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'monthly'"):
        rebalance_dates(SESSIONS, "montly")
