"""How long the metrics of many names take, with pandas done name by name beside it, in the same run.

python benchmarks/metrics.py [--names 2000] [--years 20] [--repeat 3]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from screener.market.panel import PricePanel
from screener.screening.metrics import compute_metrics, with_percentiles


def made_panel(names: int, years: int) -> PricePanel:
    """Return a synthetic panel: random walks, a tenth of them listed late, one row in fifty not traded."""
    rng = np.random.default_rng(0)
    index = pd.bdate_range(end="2026-07-10", periods=261 * years, name="session").as_unit("s")
    symbols = pd.Index([f"S{n:04d}" for n in range(names)], dtype="str")
    prices = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (len(index), names)), axis=0))
    late = rng.choice(names, names // 10, replace=False)
    for column in late:
        prices[: rng.integers(1, len(index) - 300), column] = np.nan
    traded = np.isfinite(prices) & (rng.random(prices.shape) > 0.02)
    value = np.where(traded, prices * 1e4, np.nan)

    def table(values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values, index=index, columns=symbols)

    return PricePanel(
        table(prices), table(traded), table(prices), table(value), "USD", index[-1].date(), synthetic=True
    )


def naive(panel: PricePanel, benchmark: str) -> pd.DataFrame:
    """Return some twenty of the metrics as a notebook would: a loop over names, pandas within."""
    rows = {}
    today = panel.sessions[-1]
    market = panel.prices[benchmark].resample("W-FRI").last().pct_change().iloc[-104:]
    for symbol in panel.symbols:
        price, value = panel.prices[symbol], panel.value_traded[symbol]
        now = price.iloc[-1]
        row = {
            f"return_{months}m": now / price.asof(today - pd.DateOffset(months=months)) - 1
            for months in (1, 3, 6, 12, 36)
        }
        row["return_1w"] = now / price.asof(today - pd.Timedelta(days=7)) - 1
        row["momentum_12_1"] = (
            price.asof(today - pd.DateOffset(months=1)) / price.asof(today - pd.DateOffset(months=12)) - 1
        )
        weekly = price.resample("W-FRI").last().pct_change()
        year = price[today - pd.DateOffset(months=12) :]
        row["volatility"] = weekly.iloc[-52:].std() * np.sqrt(52)
        row["volatility_daily"] = year.pct_change().std() * np.sqrt(261)
        row["downside_deviation"] = np.sqrt((weekly.iloc[-52:].clip(upper=0) ** 2).mean() * 52)
        row["max_drawdown"] = (1 - year / year.cummax()).max()
        row["distance_from_high"] = now / year.max() - 1
        row["distance_from_low"] = now / year.min() - 1
        both = pd.concat([weekly.iloc[-104:], market], axis=1).dropna()
        row["correlation"] = both.iloc[:, 0].corr(both.iloc[:, 1])
        row["beta"] = both.iloc[:, 0].cov(both.iloc[:, 1]) / both.iloc[:, 1].var()
        row["adv"] = value.iloc[-63:].mean()
        row["amihud"] = (price.pct_change().abs() / value).iloc[-63:].mean() * 1e6
        row["zero_volume_days"] = float((value.iloc[-63:] == 0).sum())
        row["history_days"] = float(panel.traded[symbol].sum())
        rows[symbol] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def best_of(times: int, call: Callable[[], object]) -> float:
    """Return the shortest of some runs, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=2000)
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    panel = made_panel(asked.names, asked.years)
    segments = {symbol: f"segment {n % 16}" for n, symbol in enumerate(panel.symbols)}
    benchmark = panel.symbols[0]

    def ours() -> pd.DataFrame:
        return with_percentiles(compute_metrics(panel, benchmark, segments), segments)

    table = ours()
    fast = best_of(asked.repeat, ours)
    slow = best_of(1, lambda: naive(panel, benchmark))
    rows, columns = panel.prices.shape
    print(
        f"{columns} names x {rows} rows, {asked.years} years; {table.shape[1]} columns, percentiles included"
    )
    print(f"screener          {fast:8.3f} s  (best of {asked.repeat})")
    print(f"pandas by name    {slow:8.3f} s  (19 of the metrics), {slow / fast:.0f} times as long")
    print(
        f"peak memory       {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GB, panel included"
    )
    other = naive(panel.select(panel.symbols[:50]), benchmark)
    for metric in ("return_12m", "max_drawdown", "adv", "distance_from_high"):
        apart = (table[metric] - other[metric]).abs().max()
        print(f"{metric:<20} largest difference on 50 names {apart:.1e}")


if __name__ == "__main__":
    main()
