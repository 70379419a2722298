from datetime import date

import pandas as pd
import pytest

from screener.screening.history import screen_history
from screener.screening.rules import ScreenResult, evaluate
from screener.universe.model import ScreenRule, ScreenSpec

SPEC = ScreenSpec("calm", "Calm", "静穏", (ScreenRule("volatility", "<=", 0.5),), (("volatility", -1.0),))
VOLATILITY = {
    date(2026, 6, 26): {"A": 0.2, "B": 0.6, "GONE": 0.3},
    date(2026, 7, 3): {"A": 0.2, "B": 0.4, "GONE": 0.3},
    date(2026, 7, 10): {"A": 0.7, "B": 0.4, "NEW": 0.52},
}


def judge(day: date) -> ScreenResult:
    return evaluate(SPEC, pd.DataFrame({"volatility": VOLATILITY[day]}))


def test_who_came_in_and_who_went_out_is_told_for_each_date() -> None:
    history = screen_history(list(VOLATILITY), judge)
    assert history.entered == {date(2026, 7, 3): ("B",), date(2026, 7, 10): ()}
    assert history.left == {date(2026, 7, 3): (), date(2026, 7, 10): ("A", "GONE")}


def test_it_holds_who_passed_on_each_date_and_who_is_near_now() -> None:
    history = screen_history(list(VOLATILITY), judge)
    assert list(history.passed.columns) == ["A", "B", "GONE", "NEW"]
    assert history.passed.to_numpy().tolist() == [
        [True, False, True, False],
        [True, True, True, False],
        [False, True, False, False],
    ]
    assert history.latest.near == ("NEW",) and history.latest.screen == "calm"


def test_one_date_has_no_changes() -> None:
    history = screen_history([date(2026, 7, 10)], judge)
    assert history.entered == {} and history.left == {}


@pytest.mark.parametrize("dates", [[], [date(2026, 7, 10), date(2026, 7, 3)], [date(2026, 7, 3)] * 2])
def test_dates_must_be_there_and_increase(dates: list[date]) -> None:
    with pytest.raises(ValueError, match="strictly increase"):
        screen_history(dates, judge)
