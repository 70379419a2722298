from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import exchange_calendars as xcals
import pandas as pd
import pytest

from screener.errors import ScreenerError
from screener.market.sessions import (
    CALENDARS,
    CITIES,
    calendar,
    calendar_of,
    calendar_warnings,
    city_of,
    close_of,
    closing_clock,
    gaps,
    half_days,
    is_known,
    is_session,
    known_sessions,
    known_until,
    last_completed,
    read_overrides,
    sessions_between,
)


def test_new_york_was_shut_for_president_carters_funeral_and_tokyo_open() -> None:
    day = date(2025, 1, 9)
    assert len(sessions_between("XNYS", day, day)) == 0
    assert len(sessions_between("XTKS", day, day)) == 1


def test_shenzhen_keeps_shanghais_days() -> None:
    span = date(2024, 9, 20), date(2024, 10, 15)
    assert sessions_between("XSHE", *span).equals(sessions_between("XSHG", *span))
    assert not is_session("XSHE", pd.DatetimeIndex(["2024-10-03"]).as_unit("s"))[0]


def test_every_market_has_a_city_and_sessions() -> None:
    for mic in CALENDARS:
        assert city_of(mic)
        assert len(sessions_between(mic, date(2025, 3, 3), date(2025, 3, 7))) == 5


def test_an_unknown_market_is_named() -> None:
    with pytest.raises(ScreenerError, match="XXXX"):
        calendar_of("XXXX")


def test_past_the_recorded_calendar_weekdays_count_as_sessions() -> None:
    assert known_until("XSHG") == date(2026, 12, 31)
    dates = sessions_between("XSHG", date(2026, 12, 28), date(2027, 1, 8))
    assert [each.date() for each in dates[-6:]] == [date(2027, 1, day) for day in (1, 4, 5, 6, 7, 8)]


def test_currencies_trade_on_weekdays() -> None:
    assert len(sessions_between("", date(2026, 12, 24), date(2026, 12, 28))) == 3


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 7, 10, 20, 29, tzinfo=UTC), date(2026, 7, 9)),  # New York closed 29 minutes ago
        (datetime(2026, 7, 10, 20, 30, tzinfo=UTC), date(2026, 7, 10)),
        (datetime(2026, 7, 12, 12, 0, tzinfo=UTC), date(2026, 7, 10)),  # a Sunday
        (datetime(2025, 11, 28, 18, 30, tzinfo=UTC), date(2025, 11, 28)),  # half day after Thanksgiving
    ],
)
def test_a_session_is_complete_half_an_hour_after_its_close(moment: datetime, expected: date) -> None:
    assert last_completed("XNYS", moment) == expected


def test_tokyo_has_closed_long_before_new_york_opens() -> None:
    moment = datetime(2026, 7, 10, 13, 0, tzinfo=UTC)
    assert last_completed("XTKS", moment) == date(2026, 7, 10)
    assert last_completed("XNYS", moment) == date(2026, 7, 9)
    assert last_completed("", moment) == date(2026, 7, 9)


def test_after_the_recorded_calendar_the_last_weekday_counts_as_complete() -> None:
    assert last_completed("XSHG", datetime(2027, 3, 8, 12, 0, tzinfo=UTC)) == date(2027, 3, 5)


def test_closes_follow_summer_time_half_days_and_tokyos_longer_day() -> None:
    def close(mic: str, day: str) -> str:
        seconds = closing_clock(mic, pd.DatetimeIndex([day]).as_unit("s"))[0]
        return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"

    assert close("XNAS", "2025-01-15") == "21:00"
    assert close("XNAS", "2025-07-15") == "20:00"
    assert close("XNYS", "2024-11-29") == "18:00"  # the day after Thanksgiving ends early
    assert close("XTKS", "2024-11-01") == "06:00"
    assert close("XTKS", "2024-11-05") == "06:30"  # Tokyo trades half an hour longer from this day
    assert close("XASX", "2025-01-15") == "05:00"
    assert close("XNYS", "2025-01-09") == "21:00"  # shut: as on the session before
    assert close("XSHE", "2027-03-01") == "07:00"  # beyond what Shanghai has announced


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # exchange_calendars 4.13 on pandas 3.1
def test_every_close_is_the_calendars_own() -> None:
    days = sessions_between("XLON", date(2022, 1, 1), date(2025, 12, 31))
    closes = xcals.get_calendar("XLON", start="2022-01-01", end="2025-12-31").closes.dt.tz_localize(None)
    seconds = (closes.to_numpy() - closes.index.to_numpy()).astype("timedelta64[s]").astype(int)
    assert closing_clock("XLON", days).tolist() == seconds.tolist()


def test_half_days_close_early() -> None:
    assert close_of("XNYS", date(2025, 11, 28)) == datetime(2025, 11, 28, 18, 0, tzinfo=UTC)
    assert close_of("XLON", date(2025, 12, 24)) == datetime(2025, 12, 24, 12, 30, tzinfo=UTC)
    days = half_days("XNYS", date(2025, 1, 1), date(2025, 12, 31))
    assert [each.date() for each in days] == [date(2025, 7, 3), date(2025, 11, 28), date(2025, 12, 24)]


def test_tokyo_closes_half_an_hour_later_since_november_2024() -> None:
    assert close_of("XTKS", date(2024, 11, 1)) == datetime(2024, 11, 1, 6, 0, tzinfo=UTC)
    assert close_of("XTKS", date(2024, 11, 5)) == datetime(2024, 11, 5, 6, 30, tzinfo=UTC)


def test_a_date_without_a_session_has_no_close() -> None:
    with pytest.raises(ValueError, match="New York has no known session on 2025-01-09"):
        close_of("XNYS", date(2025, 1, 9))


def test_long_holidays_are_no_gaps() -> None:
    golden_week = sessions_between("XTKS", date(2026, 4, 27), date(2026, 5, 8))
    new_year = sessions_between("XSHG", date(2026, 2, 9), date(2026, 2, 27))
    assert len(gaps("XTKS", golden_week)) == 0 and len(golden_week) == 6
    assert len(gaps("XSHG", new_year)) == 0 and len(new_year) == 9
    assert gaps("XTKS", golden_week.delete(2)).tolist() == [golden_week[2].date()]


def test_past_its_end_a_calendar_calls_no_date_a_session_or_a_gap_and_says_so() -> None:
    dates = pd.DatetimeIndex(["2026-12-31", "2027-01-04"]).as_unit("s")
    assert is_session("XSHG", dates).tolist() == [True, False]
    assert is_known("XSHG", dates).tolist() == [True, False]
    assert len(known_sessions("XSHE", date(2027, 1, 1), date(2027, 2, 1))) == 0
    assert len(gaps("XSHG", pd.DatetimeIndex(["2026-12-31", "2027-01-29"]))) == 0
    told = calendar_warnings(["XNYS", "XSHG", "XSHE"], date(2027, 1, 4))
    assert len(told) == 1 and told[0].startswith("calendar unknown: Shanghai and Shenzhen's holidays")
    assert calendar_warnings(["XNYS", "XSHG", ""], date(2026, 12, 31)) == ()


@pytest.fixture
def overridden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Next year's notice, shortened."""
    file = tmp_path / "calendars.toml"
    file.write_text(
        "[XSHG]\nknown_until = 2027-03-31\nclosed = [2027-01-01, 2027-02-08, 2027-02-09]\n"
        'open = [2027-02-20]\nsource = "made up for this test"\n'
    )
    overrides = read_overrides(file)
    monkeypatch.setattr("screener.market.sessions._overrides", lambda: overrides)
    for cached in (calendar, sessions_between):
        cached.cache_clear()
    yield
    for cached in (calendar, sessions_between):
        cached.cache_clear()


@pytest.mark.usefixtures("overridden")
def test_the_override_file_moves_the_end_of_a_calendar() -> None:
    assert known_until("XSHE") == date(2027, 3, 31)
    assert len(sessions_between("XSHG", date(2027, 1, 1), date(2027, 1, 1))) == 0
    assert [each.date() for each in sessions_between("XSHE", date(2027, 2, 5), date(2027, 2, 10))] == [
        date(2027, 2, 5),
        date(2027, 2, 10),
    ]
    assert close_of("XSHG", date(2027, 2, 20)) == datetime(2027, 2, 20, 7, 0, tzinfo=UTC)
    assert last_completed("XSHG", datetime(2027, 2, 9, 12, 0, tzinfo=UTC)) == date(2027, 2, 5)
    assert calendar_warnings(["XSHG"], date(2027, 3, 1)) == ()


def test_every_fault_of_an_override_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "calendars.toml"
    file.write_text('[XSHX]\nclosed = ["2027-01-01"]\nshut = []\n')
    with pytest.raises(ScreenerError) as error:
        read_overrides(file)
    problems = error.value.problems
    assert len(problems) == 4
    assert "XSHX" in problems[0] and "must hold dates" in problems[1] and "shut is unknown" in problems[2]
    assert "needs a source" in problems[3]


def test_our_own_override_file_is_sound() -> None:
    assert set(read_overrides()) <= set(CITIES)
