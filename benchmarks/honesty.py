"""How long the honesty statistics take: bootstraps, placebo themes and overfitting; arch in the same run.

python -m benchmarks.honesty [--repeat 3] [--names 90] [--size 12] [--years 5] [--noise]

Prices are simulated: one common factor, names of different risk, a third listed later. The best of the repeats counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from screener.backtest.overfitting import backtest_overfitting, superior_predictive_ability
from screener.backtest.placebo import KERNELS, PlaceboSettings, placebo_themes
from screener.backtest.validity import (
    assess,
    deflated_sharpe_ratio,
    probabilistic_sharpe_ratio,
    search_of,
)

WARM_UP = 520  # sessions before the first decision


def market(names: int, years: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = WARM_UP + 261 * years + 1
    index = pd.bdate_range("2019-01-01", periods=rows).as_unit("s")
    common = rng.normal(0.0002, 0.01, (rows, 1))
    returns = common * rng.uniform(0.5, 1.5, names) + rng.normal(0, 0.015, (rows, names))
    prices = pd.DataFrame(np.cumprod(1 + returns, axis=0), index, [f"S{n:03d}" for n in range(names)])
    for number, first in enumerate(rng.integers(0, rows - 200, names // 3)):
        prices.iloc[:first, number] = np.nan
    return prices


def best(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Return the least wall time and the least processor time."""
    walls, processors = [], []
    for _ in range(repeat):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors)


def noise(repeats: int = 200) -> None:
    """Show how often the best of 50 strategies without skill looks skilled, by their correlation."""
    rng = np.random.default_rng(0)
    print(
        "correlation  best  expected  deflated >= 0.95  undeflated >= 0.95   (Sharpe ratios a week, 260 weeks)"
    )
    for correlation in (0.0, 0.5, 0.9):
        found = []
        for _ in range(repeats):
            own, common = rng.normal(size=(260, 50)), rng.normal(size=(260, 1))
            returns = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
            ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
            best_one, search = returns[:, ratios.argmax()], search_of(returns)
            deflated = deflated_sharpe_ratio(best_one, search.effective, search.spread**2)
            plain = probabilistic_sharpe_ratio(best_one)
            found.append((ratios.max(), search.expected_maximum, deflated >= 0.95, plain >= 0.95))
        means = np.mean(found, axis=0)
        print(f"{correlation:>11}{means[0]:>6.3f}{means[1]:>10.3f}{means[2]:>18.1%}{means[3]:>20.1%}")


def show(what: str, times: tuple[float, float]) -> None:
    print(f"{what:<72}{times[0]:>8.2f} s{times[1]:>9.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--names", type=int, default=90)
    parser.add_argument("--size", type=int, default=12)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--noise", action="store_true", help="strategies without skill instead of times")
    asked = parser.parse_args()
    if asked.noise:
        noise()
        return
    prices = market(asked.names, asked.years)
    after = pd.DatetimeIndex(prices.index[WARM_UP:])
    ends = np.flatnonzero(after[1:].to_period("M") != after[:-1].to_period("M"))
    monthly = [each.date() for each in after[ends]]
    weekly = [each.date() for each in after[4:-1:5]]
    members = tuple(prices.columns[asked.names // 4 : asked.names // 4 + asked.size])
    record = (prices.iloc[WARM_UP:, -1] / prices.iloc[WARM_UP, -1]).rename("wealth")
    variants = np.random.default_rng(1).normal(0.0003, 0.01, (len(after) - 1, 200))

    print(f"{'':<72}{'wall':>10}{'processor':>11}")
    parts = [
        best(lambda: assess(record, record**0.5), asked.repeat),
        best(lambda: placebo_themes(prices, members, monthly, PlaceboSettings()), asked.repeat),
        best(lambda: backtest_overfitting(variants), asked.repeat),
    ]
    names = f"{asked.size} of {asked.names} names"
    show(f"1,000 bootstraps of {len(record):,} sessions", parts[0])
    show(f"1,000 placebo themes, {names}, {len(monthly)} months, equal risk", parts[1])
    show("overfitting, 12,870 splits of 200 variants", parts[2])
    show("together (issue 6: under 5 s)", (sum(each[0] for each in parts), sum(each[1] for each in parts)))
    print()
    for method in KERNELS:
        settings = PlaceboSettings(method=method)

        def run(settings: PlaceboSettings = settings) -> object:
            return placebo_themes(prices, members, weekly, settings)

        show(f"1,000 placebo themes, {names}, {len(weekly)} weeks, {method}", best(run, asked.repeat))
    show(
        "expected best of 200 variants over 260 weeks",
        best(lambda: search_of(variants[::5][:260]), asked.repeat),
    )
    ours = best(lambda: superior_predictive_ability(variants, block=5.0), asked.repeat)
    show("superior predictive ability, 1,000 draws of 200 variants", ours)
    try:
        from arch.bootstrap import SPA
    except ImportError:
        print("arch: not installed (pip install arch)")
        return

    def peer() -> object:
        test = SPA(
            np.zeros(len(variants)), -variants, reps=1000, block_size=5, bootstrap="stationary", seed=1
        )
        test.compute()
        return test

    theirs = best(peer, asked.repeat)
    show(f"arch's SPA on the same ({theirs[0] / ours[0]:.0f} times ours)", theirs)


if __name__ == "__main__":
    main()
