"""The folder of a sweep gives back what it was given, to the last bit, and nothing of other inputs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from screener.backtest.performance import Performance
from screener.backtest.sweep import PointResult
from screener.backtest.sweep_store import SweepFolder
from screener.errors import UserError
from tests.backtest.small_sweep import small_points

INPUTS = {"prices": "aaaa", "universe": "bbbb"}


def a_task() -> list[PointResult]:
    """Return the results of the two points of a task, with awkward numbers; the second has no record."""
    rng = np.random.default_rng(1)
    figures = [*rng.standard_normal(12).tolist(), float("nan")]
    performance = Performance(date(2020, 1, 2), date(2021, 1, 4), *figures)
    one, other = small_points()[:2]
    returns = np.concatenate([rng.standard_normal(50) / 3, [0.0, -0.0, 1e-308]])
    return [
        PointResult(one, date(2020, 1, 2), returns, performance),
        PointResult(other, None, np.empty(0), None, "limits contradict each other"),
    ]


def opened(path: Path, **changes: str) -> SweepFolder:
    folder = SweepFolder(path, {**INPUTS, **changes})
    folder.open()
    return folder


def test_a_task_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    task = a_task()
    opened(tmp_path / "s").save(task)
    found = opened(tmp_path / "s").load([each.point for each in task])
    assert found is not None
    for one, other in zip(found, task, strict=True):
        assert (one.point, one.start, one.note) == (other.point, other.start, other.note)
        assert one.returns.tobytes() == other.returns.tobytes()
        assert repr(one.performance) == repr(other.performance)


def test_other_points_or_costs_are_another_task(tmp_path: Path) -> None:
    folder, task = opened(tmp_path / "s"), a_task()
    folder.save(task)
    assert folder.load([task[0].point]) is None
    assert folder.load([replace(each.point, cost_bps=3.0) for each in task]) is None


def test_a_changed_input_is_named_and_its_parts_are_gone(tmp_path: Path) -> None:
    opened(tmp_path / "s").save(a_task())
    assert SweepFolder(tmp_path / "s", INPUTS).open() == ()
    changed = SweepFolder(tmp_path / "s", {**INPUTS, "prices": "cccc"})
    assert changed.open() == ("prices",)
    assert not list((tmp_path / "s" / "parts").iterdir())
    assert changed.open() == ()


def test_a_damaged_part_is_as_none_and_what_was_half_written_is_taken_away(tmp_path: Path) -> None:
    folder, task = opened(tmp_path / "s"), a_task()
    folder.save(task)
    (part,) = (tmp_path / "s" / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:-40])
    (part.parent / ".x.parquet.123").write_bytes(b"half")
    again = opened(tmp_path / "s")
    assert again.load([each.point for each in task]) is None
    assert [each.name for each in part.parent.iterdir()] == [part.name]
    again.save(task)
    assert again.load([each.point for each in task]) is not None


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UserError, match="there is something else in this folder"):
        SweepFolder(tmp_path, INPUTS).open()
    assert [each.name for each in tmp_path.iterdir()] == ["letter.txt"]
