"""Time a whole backtest beside its peers in one run, and compare the wealth: weights, simulation and statistics.

    python -m venv /tmp/bench && /tmp/bench/bin/pip install -e '.[bench]'
    /tmp/bench/bin/python benchmarks/backtest.py            # 20 real names weekly, growth, 2,000 simulated names
    /tmp/bench/bin/python benchmarks/backtest.py --only real

The 20 real names are those bundled with skfolio (1990 to 2022), rebalanced weekly on a year of daily returns at 10
basis points. Ours runs with its market rules on: each name's next session, cash that is never negative, costs, shares;
statistics included. Peers are timed as their users call them. Processor time, one thread; ratios are what to read.
"""

from __future__ import annotations

import argparse
import os

for each in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(each, "1")

import resource  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from screener.backtest.engine import Backtest, simulate  # noqa: E402
from screener.backtest.performance import summarise  # noqa: E402
from screener.backtest.schedule import rebalance_dates  # noqa: E402
from screener.backtest.tape import Terms  # noqa: E402
from screener.market.panel import PricePanel  # noqa: E402
from screener.portfolio.build import BuildSettings, Members, build_schedule  # noqa: E402
from screener.portfolio.costs import Costs, load_costs  # noqa: E402
from screener.universe.model import Instrument, Rule, Theme  # noqa: E402

METHODS = ("inverse_volatility", "equal_risk_contribution")
SETTINGS = BuildSettings(estimator="sample", lookback_weeks=52)
BPS = 10.0
GROWTH = "<!-- growth, written by backtest.py --only growth -->"


def panel_of(prices: pd.DataFrame) -> PricePanel:
    prices = prices.set_axis(pd.DatetimeIndex(prices.index, name="session").as_unit("s"))
    return PricePanel(prices, prices.notna(), prices, prices * np.nan, "USD", prices.index[-1].date())


def run_ours(panel: PricePanel, method: str, costs: Costs | None = None) -> Backtest:
    """Decide, trade and summarise a weekly backtest of all names of a panel."""
    members = Members(
        [
            Instrument(symbol, symbol, symbol, symbol, "equity", "XNYS", "USD", "US", "mining")
            for symbol in panel.symbols
        ]
    )
    theme = Theme("bench", "bench", "bench", Rule(), method, 1.0, 1.0, "")
    first = panel.sessions[260].date()
    dates = rebalance_dates(panel.sessions, "weekly", start=first)
    schedule = build_schedule(theme, members, panel, dates, SETTINGS)
    terms = Terms(mics=dict.fromkeys(panel.symbols, "XNYS"))
    run = simulate(schedule, panel, costs or Costs.flat(BPS), terms)
    summarise(run.wealth, gross=run.gross, turnover=run.turnover)
    return run


def run_bt(prices: pd.DataFrame, method: str) -> pd.Series:
    import bt

    weigh = (
        bt.algos.WeighInvVol(lookback=pd.DateOffset(weeks=52))
        if method == "inverse_volatility"
        else bt.algos.WeighERC(lookback=pd.DateOffset(weeks=52), covar_method="standard")
    )
    algos = [
        bt.algos.RunWeekly(),
        bt.algos.RunAfterDays(260),
        bt.algos.SelectAll(),
        weigh,
        bt.algos.Rebalance(),
    ]
    test = bt.Backtest(
        bt.Strategy("s", algos),
        prices,
        integer_positions=False,
        commissions=lambda quantity, price: abs(quantity) * price * BPS / 1e4,
        progress_bar=False,
    )
    result = bt.run(test)
    return result.prices["s"]


def run_skfolio(prices: pd.DataFrame, method: str) -> object:
    from skfolio.model_selection import WalkForward, cross_val_predict
    from skfolio.optimization import InverseVolatility, RiskBudgeting

    model = (
        InverseVolatility() if method == "inverse_volatility" else RiskBudgeting(transaction_costs=BPS / 1e4)
    )
    returns = prices.pct_change().dropna()
    predicted = cross_val_predict(model, returns, cv=WalkForward(test_size=5, train_size=252))
    return predicted.annualized_sharpe_ratio


def spent(call: Callable[[], object], times: int = 1) -> float:
    """Return the seconds of processor time of the fastest of some calls; one call counts what it compiles."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return min(taken)


def real() -> None:
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    prices = prices[sorted(prices.columns)]
    panel = panel_of(prices)
    run_ours(panel_of(prices.iloc[:600]), METHODS[0])  # what is loaded once
    print(f"20 real names, weekly, {len(prices)} sessions, {BPS:g} bps: seconds of a whole backtest")
    print(f"{'method':<26}{'ours':>8}{'bt':>9}{'x':>6}{'skfolio':>9}{'x':>6}")
    for method in METHODS:
        ours = spent(lambda method=method: run_ours(panel, method), 3)
        full = spent(lambda method=method: run_ours(panel, method, load_costs()), 3)
        bt = spent(lambda method=method: run_bt(prices, method))
        skfolio = spent(lambda method=method: run_skfolio(prices, method))
        print(f"{method:<26}{ours:>8.3f}{bt:>9.2f}{bt / ours:>6.0f}{skfolio:>9.2f}{skfolio / ours:>6.0f}")
        print(
            f"{'  with costs by kind':<26}{full:>8.3f}{'':>9}{bt / full:>6.0f}{'':>9}{skfolio / full:>6.0f}"
        )


def agreement() -> None:
    """The same weights traded on the same days without costs, here and in bt."""
    import bt
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    prices = prices[sorted(prices.columns)].iloc[:1500]
    panel = panel_of(prices)
    run = run_ours(panel, "equal_risk_contribution", Costs())
    traded = run.prices.index[run.prices.index.searchsorted(pd.DatetimeIndex(run.turnover.index)) + 1]
    targets = pd.DataFrame([each.weights for each in run.schedule], index=traded).reindex(
        columns=panel.symbols
    )
    algos = [
        bt.algos.RunOnDate(*traded),
        bt.algos.SelectAll(),
        bt.algos.WeighTarget(targets),
        bt.algos.Rebalance(),
    ]
    test = bt.Backtest(bt.Strategy("s", algos), prices, integer_positions=False, progress_bar=False)
    theirs = bt.run(test).prices["s"].reindex(run.wealth.index)
    apart = float((run.wealth / run.wealth.iloc[-1] - theirs / theirs.iloc[-1]).abs().max())
    print(f"the same weights on the same days without costs: wealth differs from bt's by at most {apart:.1e}")


def simulated(names: int, years: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    index = pd.bdate_range(end="2025-12-31", periods=252 * years)
    market = rng.normal(0.0003, 0.01, (len(index), 1))
    moves = market + rng.normal(0, 0.02, (len(index), names))
    return pd.DataFrame(
        50 * np.exp(np.cumsum(moves, axis=0)), index=index, columns=[f"S{n:04d}" for n in range(names)]
    )


def large() -> None:
    panel = panel_of(simulated(2_000, 20))
    taken = spent(lambda: run_ours(panel, "inverse_volatility"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"2,000 simulated names x 20 years, weekly inverse volatility: {taken:.2f} s, peak {peak:.2f} GB")


def growth() -> None:
    """Time growing numbers of names and years, and put the table into README.md beside this file."""
    years = (5, 10, 20)
    lines = ["| names | " + " | ".join(f"{each} years" for each in years) + " |", "| --: " * 4 + "|"]
    for names in (10, 50, 200, 500):
        row = [
            spent(lambda n=names, y=each: run_ours(panel_of(simulated(n, y)), METHODS[1])) for each in years
        ]
        lines.append(f"| {names} | " + " | ".join(f"{each:.2f} s" for each in row) + " |")
    print("growth, equal risk contribution, weekly, of a whole backtest", *lines, sep="\n")
    readme = Path(__file__).with_name("README.md")
    text = readme.read_text(encoding="utf-8")
    start, end = text.index(GROWTH) + len(GROWTH), text.index("<!-- end of growth -->")
    readme.write_text(text[:start] + "\n" + "\n".join(lines) + "\n" + text[end:], encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("real", "agreement", "growth", "large"))
    parts = {"real": real, "agreement": agreement, "growth": growth, "large": large}
    chosen = parser.parse_args().only
    for name, part in parts.items():
        if chosen in (None, name):
            part()
