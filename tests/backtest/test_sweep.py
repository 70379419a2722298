"""A sweep is many backtests at once, each as it would be alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.backtest.account import Variant, run_account
from screener.backtest.engine import Plan, simulate
from screener.backtest.executors import Workers
from screener.backtest.performance import simple_returns, summarise
from screener.backtest.schedule import parse_schedule, rebalance_dates
from screener.backtest.sweep import Decisions, Ground, PointResult, batches, decide_dates, run_batch
from screener.backtest.sweep_grid import GridPoint
from screener.backtest.sweep_run import run_sweep
from screener.backtest.sweep_store import SweepFolder
from screener.backtest.tape import Rates, Tape
from screener.errors import ScreenerError
from screener.portfolio.build import Known, Rebalance
from screener.portfolio.costs import Costs
from tests.backtest.small_sweep import ground_of, small_points

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ground() -> Ground:
    return ground_of()


@pytest.fixture(scope="module")
def results(ground: Ground) -> list[PointResult]:
    return run_batch(ground, small_points())


def same(one: Sequence[PointResult], other: Sequence[PointResult]) -> bool:
    """Say whether results are equal to the last bit."""
    return [_bits(each) for each in one] == [_bits(each) for each in other]


def _bits(result: PointResult) -> tuple[object, ...]:
    return result.point, result.start, result.returns.tobytes(), repr(result.performance), result.note


def rebalances(decisions: Decisions) -> list[Rebalance]:
    found = []
    for day, row in zip(decisions.dates, decisions.weights, strict=True):
        weights = pd.Series(row, index=pd.Index(decisions.symbols, dtype="str"))
        weights = weights[weights > 0]
        cash = max(0.0, 1.0 - float(weights.sum()))
        found.append(Rebalance("magnets", day, "", weights, cash, weights, float("nan"), (), {}))
    return found


def alone(ground: Ground, point: GridPoint) -> tuple[bytes, str]:
    """Decide one schedule and trade it with `simulate`, as a single backtest would."""
    dates = rebalance_dates(ground.panel.sessions, point.rebalance, start=ground.first, end=ground.last)
    theme, settings = point.theme(ground.theme), point.settings(ground.build)
    decisions = decide_dates(theme, ground.listed(), ground.panel, dates, settings, Known())
    costs = ground.costs if point.cost_bps is None else Costs.flat(point.cost_bps)
    plan = Plan(parse_schedule(point.rebalance).band, (), point.cost_scale)
    terms = replace(ground.terms, execution=point.execution)
    run = simulate(rebalances(decisions), ground.panel, costs, terms, plan)
    figures = summarise(run.wealth, gross=run.gross, turnover=run.turnover)
    return simple_returns(run.wealth).tobytes(), repr(figures)


def test_each_variant_is_to_the_last_bit_what_simulate_gives_for_it_alone(
    ground: Ground, results: list[PointResult]
) -> None:
    first = small_points()[0]
    more = [
        replace(first, cost_bps=None, cost_scale=scale, rebalance=words)
        for scale in (1.0, 2.5)
        for words in ("quarterly", "every:90")
    ]
    together = [*results[:3], *run_batch(ground, [*more, *small_points()[:2]])[:4]]
    for each in together:
        assert each.performance is not None
        assert (each.returns.tobytes(), repr(each.performance)) == alone(ground, each.point)


def test_the_batch_a_variant_runs_in_changes_no_bit_of_it(ground: Ground, results: list[PointResult]) -> None:
    points = small_points()
    assert same(run_batch(ground, points[::-1])[::-1], results)
    assert same([run_batch(ground, [points[5]])[0]], [results[5]])


def test_a_drift_schedule_trades_only_beyond_its_band(ground: Ground) -> None:
    base = replace(small_points()[0], method="equal", rebalance="drift:15%")
    wide, narrow = run_batch(ground, [base, replace(base, rebalance="drift:1%")])
    assert wide.performance is not None and narrow.performance is not None
    assert wide.performance.turnover_per_year < narrow.performance.turnover_per_year
    assert wide.returns.tobytes() == alone(ground, base)[0]


def test_higher_costs_never_bring_more(results: list[PointResult]) -> None:
    for free, dear in zip(results[::2], results[1::2], strict=True):
        assert free.performance is not None and dear.performance is not None
        assert free.performance.cost_drag == 0.0
        assert dear.performance.cost_drag > 0
        assert dear.performance.total_return < free.performance.total_return


def test_a_limit_on_turnover_is_followed_along_each_schedule(ground: Ground) -> None:
    point = replace(small_points()[0], limits=("turnover <= 5%",))
    both = run_batch(ground, [point, replace(point, rebalance="every:90")])
    assert both[0].returns.tobytes() == alone(ground, point)[0]
    assert both[1].returns.tobytes() == alone(ground, both[1].point)[0]


def test_what_cannot_be_decided_says_why_and_stops_no_other(ground: Ground) -> None:
    good = small_points()[0]
    bad = replace(good, limits=("name <= 5%", "cash <= 0%"))
    early = replace(good, lookback_weeks=26)
    short = replace(ground, build=replace(ground.build, min_history_weeks=40))
    first, second = run_batch(ground, [bad, good])
    assert first.performance is None and "cash <= 0%" in first.note
    assert second.performance is not None
    assert run_batch(short, [early])[0].note == "no member has enough history for a backtest"
    with pytest.raises(ScreenerError, match=r"no variant could be backtested: .*cash"):
        run_sweep(ground, [bad], Workers())


def test_rules_stay_whole_in_batches() -> None:
    points = small_points()
    for full in (1, 5, 8, 100):
        found = batches(points, full)
        assert sorted(map(repr, points)) == sorted(repr(each) for batch in found for each in batch)
        homes = {rule: {at for at, batch in enumerate(found) for e in batch if e.rule == rule} for rule in
                 {each.rule for each in points}}  # fmt: skip
        assert all(len(each) == 1 for each in homes.values())
    assert len(batches(points, 1)) == 3 and len(batches(points, 100)) == 1


def test_a_variant_of_an_account_does_not_depend_on_those_beside_it() -> None:
    rng = np.random.default_rng(5)
    rows, names = 60, 4
    price = np.exp(np.cumsum(0.05 * rng.standard_normal((rows, names)), axis=0))
    flags = np.ones((rows, names), dtype=bool)
    following = np.repeat(np.arange(rows)[:, None], names, axis=1)
    never, whole = np.full(names, rows), np.ones(names)
    place = np.array([0, 0, 1, 1])
    tape = Tape(price, price, flags, flags, place, {}, {}, never, whole, following)
    cost = np.full((1, names), 1.0)
    rates = Rates(cost, cost, np.full((1, names), 0.01), dict.fromkeys(range(rows), 0))
    variants = []
    for _ in range(25):
        decided = np.sort(rng.choice(rows - 1, 12, replace=False))
        targets = rng.dirichlet(np.ones(names), 12) * rng.uniform(0.7, 1.0, (12, 1))
        variants.append(Variant(decided, targets, *rng.uniform(0, 0.05, 2), band=rng.choice([0.0, 0.05])))
    together = run_account(tape, rates, variants, detail=False)
    for number, each in enumerate(variants):
        single = run_account(tape, rates, [each], detail=False)
        assert single.wealth[:, 0].tobytes() == together.wealth[:, number].tobytes()


def test_a_sweep_of_a_market_is_its_backtests(sample_market: sc.Market) -> None:
    theme = replace(sample_market.universe.themes["magnets"], method="inverse_volatility")
    settings = sc.BacktestSettings("quarterly", years=1)
    point = GridPoint("inverse_volatility", 104, "ledoit_wolf", theme.max_weight, (), "quarterly")
    ground = Ground.of(sample_market, theme, settings, sc.BuildSettings())
    (found,) = run_batch(ground, [point])
    expected = sc.backtest(sample_market, theme, settings)
    assert expected.backtest is not None
    assert found.returns.tobytes() == simple_returns(expected.backtest.wealth).tobytes()
    assert repr(found.performance) == repr(expected.performance)


def test_a_run_that_was_killed_goes_on_where_it_was(
    ground: Ground, results: list[PointResult], tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests" / "backtest" / "sweep_victim.py"), str(tmp_path / "sweep")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        done = [process.stdout.readline().split() for _ in range(2)]
        os.kill(process.pid, signal.SIGKILL)
    assert done == [["0", "12"], ["4", "12"]]
    folder = SweepFolder(tmp_path / "sweep", {"prices": "synthetic"})
    assert folder.open() == ()
    seen: list[int] = []
    again = run_sweep(ground, small_points(), Workers(), folder, lambda count, _: seen.append(count))
    assert again.picked_up >= 4 and seen[0] == again.picked_up and seen[-1] == 12
    assert same(again.results, results)
    complete = run_sweep(ground, small_points(), Workers(), folder)
    assert complete.picked_up == 12
    assert same(complete.results, results)


def test_records_end_with_the_panel(ground: Ground, results: list[PointResult]) -> None:
    for each in results:
        assert each.performance is not None and each.performance.end == date(2024, 6, 28)
        assert each.start == ground.panel.sessions[-len(each.returns) - 1].date()
