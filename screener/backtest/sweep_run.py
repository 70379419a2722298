"""A sweep from its points to all results: what is there is picked up, the rest is worked and kept task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from time import perf_counter

import pandas as pd

from screener.backtest.executors import Job, Workers, run
from screener.backtest.sweep import FULL, Ground, PointResult, batches, run_batch
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.sweep_store import SweepFolder, digest
from screener.errors import ScreenerError
from screener.market.load import Market

BATCHES_EACH = 4  # of a worker process, so that none waits long for the last
PATIENCE = 5.0  # seconds of a batch in this process
ON_CLUSTER = 32  # points of a batch there
Progress = Callable[[int, int], None]  # points done, of all


@dataclass(frozen=True, eq=False, slots=True)
class Sweep:
    """All results of a sweep, in the order of its points.

    sessions: of the panel; every record ends with the last. picked_up: how many were there from an earlier run.
    """

    results: tuple[PointResult, ...]
    sessions: pd.DatetimeIndex
    picked_up: int = 0


def run_sweep(
    ground: Ground,
    points: Sequence[GridPoint],
    workers: Workers,
    folder: SweepFolder | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Return what came of all points. folder: open; keeps each finished task, and gives back those it has.

    The results are the same to the last bit whoever works and wherever a run was broken off. Raises ScreenerError
    when no point at all could be decided, with the first reason.
    """
    tasks: dict[tuple[object, ...], list[GridPoint]] = {}
    for each in points:
        tasks.setdefault(each.task, []).append(each)
    found: dict[GridPoint, PointResult] = {}
    for own in tasks.values():
        for result in (folder.load(own) or ()) if folder is not None else ():
            found[result.point] = result
    picked_up = len(found)
    if progress is not None:
        progress(picked_up, len(points))
    left = [each for each in points if each not in found]
    here = not workers.address and workers.processes == 1 and folder is not None
    for results in _growing(ground, left) if here else _spread(ground, left, workers):
        finished: dict[tuple[object, ...], list[PointResult]] = {}
        for result in results:
            found[result.point] = result
            finished.setdefault(result.point.task, []).append(result)
        if folder is not None:
            for done in finished.values():
                folder.save(done)
        if progress is not None:
            progress(len(found), len(points))
    ordered = tuple(found[each] for each in points)
    if all(each.performance is None for each in ordered):
        raise ScreenerError(f"no variant could be backtested: {ordered[0].note}")
    return Sweep(ordered, ground.panel.sessions, picked_up)


def _growing(ground: Ground, points: Sequence[GridPoint]) -> Iterator[list[PointResult]]:
    """Work points in this process, in batches that grow as long as each takes no longer than PATIENCE.

    Larger batches are faster, and lose more when a run is broken off. The results do not depend on them.
    """
    rules, size = batches(points, 1), 1
    while rules:
        batch = tuple(each for rule in rules[:size] for each in rule)
        rules = rules[size:]
        before = perf_counter()
        yield from (found for _, found in run(Job(run_batch, ground, [batch]), Workers()))
        took = perf_counter() - before
        size = max(1, size // 2) if took > PATIENCE else size * 2 if len(batch) < FULL else size


def _spread(ground: Ground, points: Sequence[GridPoint], workers: Workers) -> Iterator[list[PointResult]]:
    full = FULL
    if workers.address:
        full = ON_CLUSTER
    elif workers.processes > 1:
        full = min(FULL, max(1, ceil(len(points) / (BATCHES_EACH * workers.processes))))
    yield from (found for _, found in run(Job(run_batch, ground, batches(points, full)), workers))


def inputs_of(ground: Ground, market: Market, versions: Mapping[str, str]) -> dict[str, str]:
    """Return everything that decides all points of a sweep, by name in words; what is long as a digest."""
    return {
        "universe": market.universe.content_hash(),
        "prices": market.prices_hash,
        "source": market.request.source,
        "base currency": market.panel.base_currency,
        "as-of date": str(ground.last),
        "first decision": str(ground.first),
        "theme": ground.theme.key,
        "theme's rule and limits": digest(repr(ground.theme)),
        "costs by kind": digest(repr(ground.costs)),
        "capital": repr(ground.terms.capital),
        "weighting": repr(ground.build),
        **{f"version of {name}": version for name, version in versions.items()},
    }
