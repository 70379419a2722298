"""Who works a sweep changes nothing of it, and a worker that dies costs only time."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from screener.backtest.executors import Job, Workers, parse_workers, run
from screener.backtest.sweep import Ground, batches, run_batch
from screener.errors import ScreenerError, UserError
from tests.backtest.dying_work import die_always, fail, square
from tests.backtest.small_sweep import ground_of, small_points
from tests.backtest.sweep_work import sweep_with_a_death

SQUARES = {number: number * number for number in range(6)}
needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason="Dask is not installed: pip install 'screener[dask]'",
)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return ground_of()


def bits(found: dict[int, list]) -> dict[int, list]:  # type: ignore[type-arg]
    return {
        number: [(each.point, each.returns.tobytes(), repr(each.performance), each.note) for each in results]
        for number, results in sorted(found.items())
    }


@pytest.mark.parametrize(("text", "workers"), [("1", Workers(1)), (" 8 ", Workers(8)),
    ("tcp://127.0.0.1:8786", Workers(1, "tcp://127.0.0.1:8786"))])  # fmt: skip
def test_words_say_who_works(text: str, workers: Workers) -> None:
    assert parse_workers(text) == workers


@pytest.mark.parametrize(
    "text", ["0", "-1", "many", "1.5", "", "tcp://", "tcp://host", "http://127.0.0.1:1", "9999"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="number of processes from 1 to 512, or the address"):
        parse_workers(text)


def test_processes_give_what_one_gives_though_one_of_them_dies(tmp_path: Path) -> None:
    job = Job(square, (tmp_path / "died", 3), list(range(6)))
    assert dict(run(job, Workers(2))) == SQUARES
    assert (tmp_path / "died").exists()


def test_workers_that_keep_dying_are_given_up_with_a_reason() -> None:
    with pytest.raises(
        ScreenerError, match="died 3 times in a row with 2 batches left, perhaps for want of memory"
    ):
        list(run(Job(die_always, None, [1, 2]), Workers(2)))


@pytest.mark.parametrize("workers", [Workers(1), Workers(2)])
def test_an_error_of_the_work_itself_is_raised(workers: Workers) -> None:
    with pytest.raises(KeyError):
        list(run(Job(fail, None, [1, 2]), workers))


def test_a_sweep_is_the_same_to_the_last_bit_on_processes_one_of_which_dies(
    ground: Ground, tmp_path: Path
) -> None:
    parts = batches(small_points(), 4)
    expected = bits(dict(run(Job(run_batch, ground, parts), Workers())))
    shared = (ground, tmp_path / "died")
    assert bits(dict(run(Job(sweep_with_a_death, shared, parts), Workers(2)))) == expected
    assert (tmp_path / "died").exists()


@needs_dask
@pytest.mark.filterwarnings("ignore")
def test_a_sweep_is_the_same_to_the_last_bit_on_a_cluster_one_of_whose_workers_dies(
    ground: Ground, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    parts = batches(small_points(), 4)
    expected = bits(dict(run(Job(run_batch, ground, parts), Workers())))
    shared = (ground, tmp_path / "died")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as cluster:
        found = dict(run(Job(sweep_with_a_death, shared, parts), parse_workers(cluster.scheduler_address)))
    assert bits(found) == expected
    assert (tmp_path / "died").exists()


@needs_dask
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.backtest.executors.CONNECT", 0.5)
    with pytest.raises(ScreenerError, match=r"scheduler at tcp://127\.0\.0\.1:9 cannot be reached"):
        list(run(Job(square, None, [1, 2]), Workers(address="tcp://127.0.0.1:9")))
