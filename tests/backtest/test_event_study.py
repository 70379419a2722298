"""The event study of the sample market, whose prices are synthetic: nothing happened there at any event."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.event_study import placebo_p
from screener.backtest.event_world import World, instants_of
from screener.errors import UserError

FEW = sc.StudySettings(windows=((0, 0), (0, 4)), placebos=60)
SOME = sc.Selection(("E1009", "E1203", "E2303", "E2507A", "E2510A", "E2605"), segments=("mining", "magnets"))


@pytest.fixture(scope="module")
def study(sample_market: sc.Market) -> sc.EventStudy:
    return sc.event_study(sample_market, SOME, FEW)


def test_events_that_cannot_be_studied_are_listed_with_the_reason(study: sc.EventStudy) -> None:
    assert study.left_out == {
        "E1009": "its use is stress_window, not event_study",
        "E1203": "before the price history, which begins 2015-01-02",
        "E2605": "its use is calendar, not event_study",
    }
    assert set(study.segments["event"]) == {"E2303", "E2507A", "E2510A"}


def test_the_average_of_a_stage_is_that_of_its_names(study: sc.EventStudy) -> None:
    means = study.names.groupby(["event", "segment", "window"])["car"].mean()
    table = study.segments.set_index(["event", "segment", "window"])
    assert table["caar"].to_numpy() == pytest.approx(means.loc[table.index].to_numpy(), abs=1e-14)
    assert table["t"].to_numpy() == pytest.approx((table["caar"] / table["error"]).to_numpy())
    paths = study.paths[study.paths["session"].between(0, 4)]
    sums = paths.groupby(["event", "segment"])["abnormal"].sum()
    whole = table.xs("0:4", level="window")["caar"]
    assert sums.loc[whole.index].to_numpy() == pytest.approx(whole.to_numpy(), abs=1e-12)


def test_names_without_a_history_are_counted(study: sc.EventStudy, sample_market: sc.Market) -> None:
    universe = sample_market.universe
    for _, row in study.segments.iterrows():
        day = next(each.day for each in study.events if each.key == row["event"])
        listed = [s for s in universe.listed(day) if universe.instruments[s].segment == row["segment"]]
        assert row["names"] + row["left_out"] == len(listed)


def test_each_exchange_reacts_in_its_own_first_session(study: sc.EventStudy) -> None:
    of = study.sessions.set_index(["event", "exchange"])["session"]
    assert (
        of["E2303", "New York"] == of["E2303", "Tokyo"] == date(2023, 3, 2)
    )  # after New York's close of 1 March
    assert of["E2507A", "New York"] == date(2025, 7, 10)  # before it opened, when Asia had closed
    assert of["E2507A", "Tokyo"] == of["E2507A", "Sydney"] == date(2025, 7, 11)
    assert of["E2510A", "Tokyo"] == of["E2510A", "Shanghai and Shenzhen"] == date(2025, 10, 9)


def test_a_time_of_day_may_be_assumed_where_only_the_day_is_known(sample_market: sc.Market) -> None:
    def new_york(assumed: str) -> date:
        settings = replace(FEW, placebos=0, assumed_time=assumed)
        found = sc.event_study(sample_market, sc.Selection(("E2504B",)), settings).sessions
        return found.set_index("exchange")["session"]["New York"]

    assert new_york("00:00") == date(2025, 4, 3)
    assert new_york("09:00") == date(2025, 4, 4)


def test_the_same_study_twice_is_the_same(study: sc.EventStudy, sample_market: sc.Market) -> None:
    again = sc.event_study(sample_market, SOME, FEW)
    pd.testing.assert_frame_equal(study.segments, again.segments, check_exact=True)
    pd.testing.assert_frame_equal(study.kinds, again.kinds, check_exact=True)


def test_placebo_windows_touch_no_event_and_have_the_hours_of_the_events_they_stand_in_for(
    sample_market: sc.Market,
) -> None:
    world = World(sample_market, FEW, ())
    like = [each for each in sample_market.universe.events if each.key in ("E2303", "E2507A")]
    found = world.placebo_instants(like)
    events = instants_of(sample_market.universe.events, FEW)
    assert len(found) == len(set(found)) == FEW.placebos
    gap = np.abs(np.subtract.outer(found, events)).min(axis=1) / np.timedelta64(1, "D")
    assert gap.min() > 5
    midnight = [np.datetime64(each.day, "s") for each in like]
    hours = {instant - start for instant, start in zip(instants_of(like, FEW), midnight, strict=True)}
    days = found.astype("datetime64[D]").astype("datetime64[s]")
    assert set(found - days) <= hours


def test_a_placebo_p_value_counts_draws_as_large_and_needs_enough_of_them() -> None:
    drawn = np.arange(-50, 50) / 10
    assert placebo_p(4.9, drawn) == pytest.approx((1 + 3) / 101)  # −5, −4.9 and 4.9
    assert np.isnan(placebo_p(4.9, drawn[:49]))
    assert np.isnan(placebo_p(float("nan"), drawn))


def test_events_of_a_kind_are_averaged_over_the_stages_they_name(sample_market: sc.Market) -> None:
    settings = replace(FEW, placebos=0)
    found = sc.event_study(sample_market, sc.Selection(kinds=("truce",), segments=("mining",)), settings)
    single = found.segments[found.segments["affected"] & found.segments["window"].eq("0:4")]
    together = found.kinds.set_index("window").loc["0:4"]
    assert together["events"] == len(single) == 4
    assert together["caar"] == pytest.approx(single["caar"].mean())
    assert together["low"] < together["caar"] < together["high"]


def test_a_planted_shock_is_found_in_the_session_it_was_planted(sample_market: sc.Market) -> None:
    prices = sample_market.panel.prices.copy()
    universe = sample_market.universe
    for symbol in universe.listed(date(2025, 7, 10)):
        each = universe.instruments[symbol]
        if each.segment == "magnets" and symbol in prices:
            first = "2025-07-10" if each.mic in ("XNYS", "XNAS") else "2025-07-11"
            prices.loc[first:, symbol] *= 1.10
    shocked = replace(sample_market, panel=replace(sample_market.panel, prices=prices))
    selection = sc.Selection(("E2507A",), segments=("magnets",))
    before = sc.event_study(sample_market, selection, FEW).segments.set_index("window")
    after = sc.event_study(shocked, selection, FEW).segments.set_index("window")
    assert after["caar"]["0:0"] - before["caar"]["0:0"] == pytest.approx(0.10, abs=0.005)
    assert after["p"]["0:0"] < 0.001
    assert after["placebo_p"]["0:0"] == pytest.approx(1 / 61)


def test_unknown_words_are_named_all_at_once(sample_market: sc.Market) -> None:
    with pytest.raises(UserError) as caught:
        sc.event_study(sample_market, sc.Selection(("E250",), ("war",), ("magnet",)))
    assert len(caught.value.problems) == 3
    assert "did you mean 'magnets'" in caught.value.problems[2]


def test_a_report_can_show_the_first_reactions_to_recent_events(sample_market: sc.Market) -> None:
    found = sc.event_table(sample_market, date(2026, 5, 1))
    assert list(dict.fromkeys(found["event"])) == ["E2605", "E2606"]
    reacted = found[found["event"] == "E2606"]
    assert set(reacted["segment"]) == {"nuclear_grid", "dc_power_cooling"}
    assert (reacted["sessions"] == 5).all() and reacted["caar_so_far"].notna().all()
    assert found.iloc[0]["note"] == "its use is calendar, not event_study"
    assert len(sc.event_table(sample_market, date(2026, 7, 1))) == 0
