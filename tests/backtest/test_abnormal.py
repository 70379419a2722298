"""Abnormal returns in each exchange's own sessions, against least squares done by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from screener.backtest.abnormal import StudySettings, first_sessions, measure, reactions, series_of
from screener.errors import ScreenerError, UserError
from screener.market.panel import PricePanel
from screener.market.sessions import is_session, sessions_between

FIRST, LAST = date(2022, 1, 3), date(2023, 6, 30)
SETTINGS = StudySettings(windows=((0, 0), (-1, 1), (0, 4)))


def instants(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[s]")


def panel_of(prices: dict[str, pd.Series]) -> PricePanel:
    """A panel of prices given on own sessions only."""
    table = pd.DataFrame(dict(sorted(prices.items()))).sort_index()
    traded = table.notna()
    held = table.ffill()
    return PricePanel(held, traded, held, held * np.nan, "USD", LAST, synthetic=True)


def own_index(mic: str) -> pd.DatetimeIndex:
    return sessions_between(mic, FIRST, LAST)


def walk(mic: str, seed: int) -> pd.Series:
    index = own_index(mic)
    steps = np.random.default_rng(seed).normal(0, 0.01, len(index))
    return pd.Series(100 * np.cumprod(1 + steps), index=index)


def test_car_and_its_spread_are_those_of_least_squares_by_hand() -> None:
    market, name = walk("XNYS", 1), walk("XNYS", 2)
    panel = panel_of({"SPY": market, "AAA": name})
    (series,) = series_of(panel, {"AAA": "XNYS"}, "SPY", "XNYS")
    places = reactions([series], instants("2023-05-10T12:00"))
    found = measure([series], places, SETTINGS)
    y, x = name.pct_change().to_numpy(), market.pct_change().to_numpy()
    zero = int(name.index.get_loc("2023-05-10"))
    rows = np.arange(zero - 260, zero - 10)
    design = np.column_stack((np.ones(250), x[rows]))
    slopes, squares, *_ = np.linalg.lstsq(design, y[rows], rcond=None)
    after = np.arange(zero, zero + 5)
    ahead = np.column_stack((np.ones(5), x[after])).sum(axis=0)
    assert found.observations[0, 0] == 250
    assert found.deviation[0, 0] == pytest.approx(np.sqrt(squares[0] / 248), rel=1e-10)
    assert found.cars[0, 0, 2] == pytest.approx(
        (y[after] - slopes[0] - slopes[1] * x[after]).sum(), abs=1e-12
    )
    assert found.spread[0, 0, 2] == pytest.approx(
        5 + ahead @ np.linalg.inv(design.T @ design) @ ahead, rel=1e-9
    )


def test_tokyo_takes_the_benchmark_of_the_night_before_and_of_the_day_under_way() -> None:
    market = walk("XNYS", 1)
    tokyo = own_index("XTKS")
    closes = market.reindex(tokyo.union(market.index)).ffill()
    before = closes.shift(1).reindex(tokyo)  # New York's last close before Tokyo's of the same date
    following = market.reindex(tokyo.union(market.index)).bfill().reindex(tokyo)
    returns = 0.7 * before.pct_change() + 0.4 * (following / before - 1)
    name = pd.Series(100 * np.cumprod(1 + returns.fillna(0)), index=tokyo)
    both = {"SPY": market, "TYO": name, "NYC": walk("XNYS", 5)}
    series = series_of(panel_of(both), {"TYO": "XTKS", "NYC": "XNYS"}, "SPY", "XNYS")
    shapes = {each.symbol: each.market.shape[1] for each in series}
    assert shapes == {"NYC": 1, "TYO": 2}
    (one,) = (each for each in series if each.symbol == "TYO")
    known = np.isfinite(one.market).all(axis=1) & np.isfinite(one.returns)
    slopes = np.linalg.lstsq(one.market[known][5:], one.returns[known][5:], rcond=None)[0]
    assert slopes == pytest.approx([0.7, 0.4], abs=1e-6)


@pytest.mark.parametrize(
    ("mic", "instant", "session"),
    [
        ("XNYS", "2023-03-01T20:59:59", "2023-03-01"),  # a second before the close
        ("XNYS", "2023-03-01T21:00", "2023-03-02"),  # at the close: the next session
        ("XTKS", "2023-03-01T21:00", "2023-03-02"),
        ("XNYS", "2025-04-03T16:00", "2025-04-03"),  # 4 April in Shanghai begins while New York is open
        ("XSHG", "2025-04-03T16:00", "2025-04-07"),  # closed for Qingming
        ("XTKS", "2025-10-10T14:57", "2025-10-14"),  # a Friday afternoon in New York; Monday is a holiday
        ("XNYS", "2025-11-28T18:30", "2025-12-01"),  # after the early close of a half day
    ],
)
def test_the_first_session_that_can_react_is_the_first_to_close_after_the_news(
    mic: str, instant: str, session: str
) -> None:
    assert str(first_sessions(mic, instants(instant))[0]) == session


def test_past_its_calendar_an_exchange_has_no_session() -> None:
    assert np.isnat(first_sessions("XNYS", instants("2199-01-01T00:00"))[0])


def test_a_name_that_is_halted_reacts_at_its_next_session_and_is_left_out_when_that_is_long_after() -> None:
    name = walk("XNYS", 2)
    short = name.drop(name.index[(name.index >= "2023-05-10") & (name.index <= "2023-05-12")])
    long = name.drop(name.index[(name.index >= "2023-05-10") & (name.index <= "2023-05-26")])
    panel = panel_of({"SPY": walk("XNYS", 1), "LONG": long, "SHORT": short})
    series = series_of(panel, {"LONG": "XNYS", "SHORT": "XNYS"}, "SPY", "XNYS")
    places = reactions(series, instants("2023-05-10T12:00"))[0]
    assert places[0] == -1
    assert str(series[1].days[places[1]]) == "2023-05-15"


def test_a_name_with_fewer_than_sixty_sessions_before_the_window_is_not_measured() -> None:
    index = own_index("XNYS")
    zero = int(index.get_loc("2023-05-10"))
    young = walk("XNYS", 2)
    names = {"SPY": walk("XNYS", 1), "HAS60": young.iloc[zero - 71 :], "HAS59": young.iloc[zero - 70 :]}
    series = series_of(panel_of(names), {"HAS60": "XNYS", "HAS59": "XNYS"}, "SPY", "XNYS")
    found = measure(series, reactions(series, instants("2023-05-10T12:00")), SETTINGS)
    assert dict(zip([each.symbol for each in series], found.known[0], strict=True)) == {
        "HAS59": False,  # the first bar gives no return
        "HAS60": True,
    }
    assert found.observations[0].tolist() == [0, 60]


def test_what_comes_after_the_window_changes_no_bit_of_it_and_an_unfinished_window_is_not_summed() -> None:
    names = {"SPY": walk("XNYS", 1), "AAA": walk("XTKS", 2)}
    whole = panel_of(names)
    cut = whole.until(date(2023, 5, 16))  # New York of the 16th is under way at Tokyo's close
    found = []
    for panel in (whole, cut):
        series = series_of(panel, {"AAA": "XTKS"}, "SPY", "XNYS")
        found.append(measure(series, reactions(series, instants("2023-05-09T20:00")), SETTINGS))
    assert found[0].cars[0, 0, 2] == found[1].cars[0, 0, 2]
    assert found[0].deviation[0, 0] == found[1].deviation[0, 0]
    series = series_of(whole.until(date(2023, 5, 12)), {"AAA": "XTKS"}, "SPY", "XNYS")
    early = measure(series, reactions(series, instants("2023-05-09T20:00")), SETTINGS)
    assert early.cars[0, 0, 0] == found[0].cars[0, 0, 0]
    assert np.isnan(early.cars[0, 0, 2])


def test_windows_that_cannot_be_are_refused_and_so_is_a_benchmark_without_prices() -> None:
    with pytest.raises(UserError, match="--window 3:1"):
        StudySettings(windows=((3, 1),))
    with pytest.raises(UserError, match="--window -11:0"):
        StudySettings(windows=((-11, 0),))
    panel = panel_of({"AAA": walk("XNYS", 2)})
    with pytest.raises(ScreenerError, match="SPY has no prices"):
        series_of(panel, {"AAA": "XNYS"}, "SPY", "XNYS")


def test_own_sessions_are_those_the_exchange_had() -> None:
    panel = panel_of({"SPY": walk("XNYS", 1), "TYO": walk("XTKS", 2)})
    (one,) = series_of(panel, {"TYO": "XTKS"}, "SPY", "XNYS")
    assert is_session("XTKS", pd.DatetimeIndex(one.days.astype("datetime64[s]"))).all()
    assert len(one.days) == len(own_index("XTKS"))
