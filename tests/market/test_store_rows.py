"""Which version of each bar is read, in what order, whatever the order they were stored in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.market.store_rows import SharedSessions, _places, _runs

VERSIONS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 10**6), st.booleans()),
    max_size=40,
    unique_by=lambda row: row[:2],
)


def newest_of(rows: list[tuple[int, int, bool]]) -> dict[int, int]:
    """Bar → position of the version that counts, one by one: the newest, unless that is a withdrawal."""
    newest: dict[int, int] = {}
    for at, (key, moment, _) in enumerate(rows):
        if key not in newest or moment > rows[newest[key]][1]:
            newest[key] = at
    return {key: newest[key] for key in sorted(newest) if rows[newest[key]][2]}


def placed(rows: list[tuple[int, int, bool]]) -> tuple[list[int], list[int]]:
    """The bars that are read and, for each, which stored row it comes from."""
    keys, moments, held = (np.array([row[part] for row in rows]) for part in range(3))
    found, places = _places(keys.astype(np.int64), moments.astype(np.int64), held.astype(bool))
    came_from = np.full(len(found), -1)
    if places is None:
        came_from = np.arange(len(rows))
    else:
        kept = places >= 0
        came_from[places[kept]] = np.flatnonzero(kept)
    return found.tolist(), came_from.tolist()


@given(VERSIONS)
def test_the_newest_version_of_each_bar_is_read_in_order_unless_it_was_withdrawn(
    rows: list[tuple[int, int, bool]],
) -> None:
    expected = newest_of(rows)
    assert placed(rows) == (list(expected), list(expected.values()))


@given(VERSIONS)
def test_rows_stored_in_order_and_whole_are_read_as_they_lie(rows: list[tuple[int, int, bool]]) -> None:
    in_order = [(key, moment, True) for key, moment, _ in sorted({row[0]: row for row in rows}.values())]
    keys = np.array([key for key, _, _ in in_order], dtype=np.int64)
    found, places = _places(keys, np.zeros(len(keys), np.int64), np.ones(len(keys), bool))
    assert places is None and found.tolist() == keys.tolist()


@pytest.mark.parametrize("holes", [(), (0,), (30, 31), (639,)])
def test_runs_move_the_same_rows_as_places(holes: tuple[int, ...]) -> None:
    places = np.arange(640) + 5
    places[list(holes)] = -1
    runs = _runs(places)
    assert runs is not None
    moved = {first + step: place + step for first, last, place in runs for step in range(last - first)}
    assert moved == {at: int(place) for at, place in enumerate(places) if place >= 0}


def test_scattered_rows_are_not_moved_run_by_run() -> None:
    assert _runs(np.arange(64)[::-1].copy()) is None


def test_symbols_with_the_same_sessions_share_one_index() -> None:
    sessions, days = SharedSessions(), np.array([19_000, 19_001, 19_003])
    other = np.array([19_000, 19_002, 19_003])  # as long, with the same ends
    assert sessions.of(days) is sessions.of(days.copy())
    assert [str(day.date()) for day in sessions.of(other)] == ["2022-01-08", "2022-01-10", "2022-01-11"]
