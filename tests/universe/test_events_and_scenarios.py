"""What events say of time and use, and the scenarios file: read as stated, every fault reported."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from screener.errors import UserError
from screener.universe.load import find_universe, load_universe
from tests.universe.test_universe_load import CRASH, EVENTS_HEADER, QUOTA, SOUND, write_universe

MORE = EVENTS_HEADER + ",use,zone,time,note"


def with_events(folder: Path, *rows: str) -> Path:
    return write_universe(folder, events_csv="\n".join((MORE, *rows)) + "\n")


def test_an_event_knows_the_instant_it_was_out_and_without_a_time_its_day_begins_in_its_zone(
    tmp_path: Path,
) -> None:
    rows = (f"{QUOTA},,Asia/Shanghai,09:00,", f"{CRASH},stress_window,America/New_York,,why")
    first, second = load_universe(with_events(tmp_path / "u", *rows)).events
    by_key = {each.key: each for each in (first, second)}
    quota, crash = by_key[QUOTA.split(",")[0]], by_key[CRASH.split(",")[0]]
    assert (quota.use, quota.time, crash.use, crash.note) == ("event_study", "09:00", "stress_window", "why")
    assert quota.instant() == datetime.combine(quota.day, datetime.min.time(), UTC).replace(hour=1)
    assert crash.instant().hour in (4, 5) and crash.instant("09:30").hour in (13, 14)


def test_faults_of_use_zone_and_time_are_reported_together(tmp_path: Path) -> None:
    folder = with_events(tmp_path / "u", f"{QUOTA},study,Asia/Beijing_,24:00,", f"{CRASH},,,,")
    with pytest.raises(UserError) as caught:
        load_universe(folder)
    text = "\n".join(caught.value.problems)
    assert "events.csv:2: use" in text
    assert 'zone "Asia/Beijing_" is not a time zone' in text
    assert 'time "24:00" is malformed' in text


def test_a_scenario_is_read_and_every_fault_of_the_file_is_reported(tmp_path: Path) -> None:
    folder = write_universe(tmp_path / "u")
    kind = load_universe(folder).events[0].kind
    good = f'[stop]\nlabel = "Stop"\nlabel_ja = "停止"\nkinds = ["{kind}"]\nsegments = ["mining"]\nlast = 0\n'
    (folder / "scenarios.toml").write_text(good, encoding="utf-8")
    (one,) = load_universe(folder).scenarios.values()
    assert (one.first, one.last, one.kinds, one.segments) == (0, 0, (kind,), ("mining",))
    bad = '[Stop]\nlabel = "Stop"\nkinds = ["peace"]\nfirst = 5\nlast = 2\nmove = -0.2\n'
    (folder / "scenarios.toml").write_text(bad, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_universe(folder)
    text = "\n".join(caught.value.problems)
    for fault in (
        '"Stop" is malformed',
        "label_ja is empty",
        '"peace"',
        "segments is missing",
        "last 2 is before",
    ):
        assert fault in text
    assert 'key "move" is not defined' in text


def test_the_shipped_events_say_when_and_what_for() -> None:
    universe = load_universe(find_universe("rare_earth_ai"))
    uses = {each.use for each in universe.events}
    assert {"event_study", "stress_window", "calendar"} <= uses
    assert all(each.zone != "UTC" for each in universe.events)
    assert universe.scenarios and "scenarios.toml" not in SOUND
