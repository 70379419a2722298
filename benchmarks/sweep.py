"""Time a sweep: 200 variants of a backtest of 20 real names, 1990 to 2022, beside bt in the same run.

    python -m venv /tmp/bench && /tmp/bench/bin/pip install -e '.[bench]'
    /tmp/bench/bin/python benchmarks/sweep.py                    # 200 variants over all years
    /tmp/bench/bin/python benchmarks/sweep.py --from 2018-01-01  # fewer years while working

5 lookbacks × 5 schedules × 2 methods × 4 costs, in one process on one thread, decisions, trading and statistics
included, after a small run that imports everything. The names are those bundled with skfolio. bt, where it is
installed, runs one variant (weekly, inverse volatility, 104 weeks, 10 bps), which is multiplied by 200 for the ratio:
it shares nothing between variants.
"""

from __future__ import annotations

import argparse
import os

for each in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(each, "1")

import importlib.util  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from dataclasses import replace  # noqa: E402
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from screener.backtest import sweep as sweeping  # noqa: E402
from screener.backtest.executors import Workers, parse_workers  # noqa: E402
from screener.backtest.sweep import Ground  # noqa: E402
from screener.backtest.sweep_grid import GridPoint  # noqa: E402
from screener.backtest.sweep_run import run_sweep  # noqa: E402
from screener.backtest.tape import Terms  # noqa: E402
from screener.market.panel import PricePanel  # noqa: E402
from screener.portfolio.costs import load_costs  # noqa: E402
from screener.universe.load import find_universe, load_universe  # noqa: E402

LOOKBACKS = (52, 78, 104, 156, 208)
SCHEDULES = ("weekly", "monthly", "quarterly", "every:10", "drift:5%")
METHODS = ("inverse_volatility", "equal_risk_contribution")
COSTS = (0.0, 10.0, 25.0, 50.0)


def real_prices(first: str) -> pd.DataFrame:
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    prices.index = pd.DatetimeIndex(prices.index).as_unit("s")
    return prices.sort_index(axis=1).loc[first:]


def ground_of(prices: pd.DataFrame) -> Ground:
    """Return the names as members of a theme, each of its own issuer, on New York's clock."""
    universe = load_universe(find_universe("rare_earth_ai"))
    pattern = next(each for each in universe.instruments.values() if each.mic == "XNYS")
    plain = {"listed_from": None, "delisted_on": None, "predecessor": "", "predecessor_kind": ""}
    members = tuple(replace(pattern, symbol=each, issuer=each, **plain) for each in prices.columns)
    known, last = prices.notna(), prices.index[-1].date()
    value = pd.DataFrame(5e8, index=prices.index, columns=prices.columns).where(known)
    theme = next(iter(universe.themes.values()))
    return Ground(
        theme=replace(theme, max_weight=1.0, max_segment_weight=1.0, limits=(), benchmark=""),
        members=members,
        panel=PricePanel(prices, known, prices, value, "USD", last),
        terms=Terms(mics=dict.fromkeys(prices.columns, "XNYS")),
        costs=load_costs(),
        first=prices.index[0].date(),
        last=last,
    )


def points_of(lookbacks: int) -> list[GridPoint]:
    return [
        GridPoint(method, weeks, "ledoit_wolf", 1.0, (), words, "close", bps)
        for method in METHODS
        for weeks in LOOKBACKS[:lookbacks]
        for words in SCHEDULES
        for bps in COSTS
    ]


def bt_once(prices: pd.DataFrame) -> float:
    """Return the seconds bt takes for one variant."""
    import bt

    algos = [
        bt.algos.RunWeekly(),
        bt.algos.SelectAll(),
        bt.algos.WeighInvVol(lookback=pd.DateOffset(weeks=104)),
        bt.algos.Rebalance(),
    ]
    test = bt.Backtest(
        bt.Strategy("inverse volatility", algos),
        prices,
        commissions=lambda quantity, price: abs(quantity) * price * 0.001,
        integer_positions=False,
        progress_bar=False,
    )
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bt.run(test)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="first", default="1990-01-01")
    parser.add_argument("--lookbacks", type=int, default=len(LOOKBACKS))
    parser.add_argument("--workers", default="1")
    options = parser.parse_args()
    prices = real_prices(options.first)
    ground, points = ground_of(prices), points_of(options.lookbacks)
    workers = parse_workers(options.workers)
    run_sweep(
        replace(ground, first=date(2022, 1, 1)), points[::20], Workers()
    )  # imports what is imported lazily
    began, processor = time.perf_counter(), time.process_time()
    spent = [0.0]
    decide = sweeping.decide_dates

    def timed(*arguments: object) -> object:
        before = time.perf_counter()
        made = decide(*arguments)
        spent[0] += time.perf_counter() - before
        return made

    sweeping.decide_dates = timed  # in this process; in others it stays as it is
    found = run_sweep(ground, points, workers)
    took, processor = time.perf_counter() - began, time.process_time() - processor
    span = f"{prices.index[0].date()} to {prices.index[-1].date()}"
    print(f"{prices.shape[1]} names, {span}, {len(points)} variants, workers {options.workers}")
    print(f"ours   {took:8.2f} s  ({processor:.2f} s of processor; decisions {spent[0]:.2f} s)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"       {1000 * took / len(points):8.2f} ms a variant; peak {peak:,.0f} MB")
    best = max(each.performance.sharpe_ratio for each in found.results if each.performance)
    print(f"       best Sharpe ratio {best:.3f}")
    if importlib.util.find_spec("bt"):
        one = bt_once(prices)
        print(f"bt     {one:8.2f} s for one; × {len(points)}: {one * len(points) / took:,.0f} times ours")


if __name__ == "__main__":
    main()
