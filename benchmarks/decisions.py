"""Time the decisions of backtests: all dates by `build_schedule`, and each alone by `build`.

    python benchmarks/decisions.py                  # the ten themes on sample (synthetic) prices, 60 month ends
    /tmp/bench/bin/python benchmarks/decisions.py --real   # 20 real names of skfolio, weekly 1990 to 2022

Processor time of the fastest of a few runs on one thread: the machine is shared, and what other processes take is no
part of it. --real needs the `bench` extra. Both start from a panel of prices and end with weights; a Rebalance with
its reasons is made of every date in the first case, of none in the second, where it is made when it is asked for.
"""

from __future__ import annotations

import argparse
import os

for each in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(each, "1")

import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from datetime import UTC, date, datetime  # noqa: E402
from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import screener.api as sc  # noqa: E402
from screener.backtest.schedule import rebalance_dates  # noqa: E402
from screener.market.panel import PricePanel  # noqa: E402
from screener.portfolio.build import BuildSettings, Known, Members, build, build_schedule  # noqa: E402
from screener.universe.model import Instrument, Rule, Theme  # noqa: E402


def fastest(call: Callable[[], object], times: int = 5) -> float:
    """Return the milliseconds of processor time of the fastest call after a first one."""
    call()
    spent = []
    for _ in range(times):
        begun = time.process_time()
        call()
        spent.append(time.process_time() - begun)
    return 1e3 * min(spent)


def themes() -> None:
    with tempfile.TemporaryDirectory() as folder:
        market = sc.load_market(
            sc.Request(
                as_of=date(2026, 7, 10),
                now=datetime(2026, 7, 11, tzinfo=UTC),
                source="sample",
                store=Path(folder) / "prices.duckdb",
            )
        )
    dates = rebalance_dates(market.panel.sessions, "monthly", start=date(2021, 7, 10))
    known = Known(benchmark_mics={symbol: each.mic for symbol, each in market.universe.benchmarks.items()})
    print(f"sample prices, {len(dates)} month ends; ms a decision")
    print(f"{'theme':<24}{'method':<28}{'names':>6}{'together':>10}{'alone':>8}")
    total = 0.0
    for key, theme in market.universe.themes.items():
        members = Members(market.universe.belonging(theme))
        cut = market.panel.until(dates[-1])

        def together(theme: Theme = theme, members: Members = members) -> object:
            return build_schedule(theme, members, market.panel, dates, BuildSettings(), known)

        def alone(theme: Theme = theme, members: Members = members, cut: PricePanel = cut) -> object:
            return build(theme, members(dates[-1]), cut, BuildSettings(), known)

        spent = fastest(together)
        total += spent
        names = len(members(dates[-1]))
        print(f"{key:<24}{theme.method:<28}{names:>6}{spent / len(dates):>10.2f}{fastest(alone):>8.1f}")
    print(f"all decisions: {total / 1e3:.2f} s")


def real() -> None:
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    prices = prices[sorted(prices.columns)]
    prices.index = pd.DatetimeIndex(prices.index, name="session").as_unit("s")
    prices.columns = pd.Index(prices.columns, dtype="str")
    panel = PricePanel(prices, prices.notna(), prices, prices * 1e6, "USD", prices.index[-1].date())
    names = [Instrument(s, s, s, s.lower(), "equity", "XNYS", "USD", "US", "x") for s in prices.columns]
    dates = rebalance_dates(panel.sessions, "weekly", start=prices.index[252].date())
    print(f"{len(names)} real names, {len(dates)} weekly rebalances, returns of 52 weeks; ms for all of them")
    for method in ("inverse_volatility", "equal_risk_contribution"):
        for estimator in ("sample", "ledoit_wolf"):
            theme = Theme("real", "Real", "Real", Rule(tags=("x",)), method=method, max_weight=1.0)
            asked = BuildSettings(estimator=estimator, lookback_weeks=52)

            def together(theme: Theme = theme, asked: BuildSettings = asked) -> object:
                return build_schedule(theme, Members(names), panel, dates, asked)

            print(f"{method:<28}{estimator:<14}{fastest(together):>8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", action="store_true")
    real() if parser.parse_args().real else themes()


if __name__ == "__main__":
    main()
