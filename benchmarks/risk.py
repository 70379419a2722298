"""How true each covariance is where exchanges close at different hours, and how long it takes; peers in the same run.

python -m benchmarks.risk [--seeds 20] [--weeks 104] [--spread] [--repeat 15] [--real ../shared/prices/2026]

Panels are simulated (tests/risk/simulated_markets.py): one global factor, news spread evenly over 24 hours, six
exchanges' real closes and holidays, 24 names, so the true covariance is known. Realised volatility is the true one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from screener.market.panel import PricePanel
from screener.market.returns import weekly_returns
from screener.risk.covariance import (
    ESTIMATORS,
    SYNCHRONISERS,
    CovarianceSettings,
    estimate_panel_covariance,
)
from screener.risk.estimators import ONE_GRID
from tests.risk.simulated_markets import SimulatedMarket, minimum_variance, simulated_market

NEW_YORK = ("XNYS", "XNAS", "XASE")
NINETY = {"XNYS": 45, "XTKS": 15, "XASX": 12, "XSHG": 8, "XLON": 4, "XTSE": 4, "XHKG": 2}
Way = Callable[[SimulatedMarket], np.ndarray]


def ours(estimator: str, synchroniser: str) -> Way:
    """Return a way to estimate that is screener's."""
    asked = CovarianceSettings(estimator, synchroniser)
    return lambda one: estimate_panel_covariance(one.panel, one.markets, asked).matrix.to_numpy()


def pyportfolioopt(prices: Callable[[PricePanel], pd.DataFrame], frequency: int) -> Way:
    """Return PyPortfolioOpt's Ledoit–Wolf of prices carried over holidays."""
    from pypfopt.risk_models import CovarianceShrinkage

    return lambda one: (
        CovarianceShrinkage(prices(one.panel), frequency=frequency)
        .ledoit_wolf("constant_correlation")
        .to_numpy()
    )


def ways() -> dict[str, Way]:
    """Return every way that is compared, by its name."""
    found = {
        f"{synchroniser}, {estimator}": ours(estimator, synchroniser)
        for synchroniser in SYNCHRONISERS
        for estimator in ("ledoit_wolf", "sample")
    }
    found |= {
        f"lead_lag, {each}": ours(each, "lead_lag")
        for each in ESTIMATORS
        if each not in ONE_GRID and each != "detoned"
    }
    found["PyPortfolioOpt LW, daily"] = pyportfolioopt(lambda panel: panel.prices, 252)
    found["PyPortfolioOpt LW, inner join"] = pyportfolioopt(
        lambda panel: panel.prices[panel.traded.all(axis=1)], 252
    )
    found["PyPortfolioOpt LW, weekly"] = pyportfolioopt(
        lambda panel: panel.prices.resample("W-FRI").last(), 52
    )
    return found


def judged(one: SimulatedMarket, matrix: np.ndarray) -> tuple[float, float, float, float]:
    """Return realised/predicted − 1, Tokyo–New York correlation, mean volatility error, excess over the best."""
    truth = one.truth.to_numpy()
    weights, best = minimum_variance(matrix), minimum_variance(truth)
    realised = np.sqrt(weights @ truth @ weights)
    deviation = np.sqrt(np.diag(matrix))
    where = np.array([one.markets[str(symbol)] for symbol in one.truth])
    correlation = matrix / np.outer(deviation, deviation)
    return (
        realised / np.sqrt(weights @ matrix @ weights) - 1,
        correlation[np.ix_(where == "XTKS", where == "XNYS")].mean(),
        (deviation / np.sqrt(np.diag(truth))).mean() - 1,
        realised / np.sqrt(best @ truth @ best) - 1,
    )


def compare(seeds: int, weeks: int, correlation: float | tuple[float, float]) -> None:
    """Print how each way fares on the same simulated panels."""
    markets = [simulated_market(seed, weeks=weeks, correlation=correlation) for seed in range(seeds)]
    print(
        f"\n{seeds} panels of {weeks} weeks, 24 names on 6 exchanges, true pairwise correlation {correlation}"
    )
    print(f"{'':38}realised/predicted−1   Tokyo–NY corr.    vol. bias   above best")
    for name, way in ways().items():
        rows = np.array([judged(one, way(one)) for one in markets])
        mean, deviation = rows.mean(axis=0), rows.std(axis=0, ddof=1)
        print(
            f"{name:38}{mean[0]:+9.1%} (sd {deviation[0]:5.1%})   {mean[1]:6.3f} (sd {deviation[1]:.3f})"
            f"{mean[2]:+9.1%}   {mean[3]:8.1%}"
        )
    one = simulated_market(0, {"XNYS": 24}, weeks=weeks)
    plain, moved = ours("ledoit_wolf", "daily")(one), ours("ledoit_wolf", "lead_lag")(one)
    volatility = np.abs(np.sqrt(np.diag(moved) / np.diag(plain)) - 1).max()
    weight = np.abs(minimum_variance(moved) - minimum_variance(plain)).max()
    print(
        f"one exchange: lead_lag changes volatilities by at most {volatility:.2%}"
        f" and minimum-variance weights by at most {weight:.5f}"
    )


def clock(repeat: int) -> None:
    """Print milliseconds an estimate for 90 names over 104 weeks; the median, processor time."""
    one = simulated_market(0, NINETY)

    def milliseconds(way: Way) -> float:
        way(one)
        times = []
        for _ in range(repeat):
            start = time.process_time()
            way(one)
            times.append(time.process_time() - start)
        return float(np.median(times)) * 1e3

    print(
        f"\n90 names on 7 exchanges, {len(one.panel.sessions)} sessions: ms of processor time, median of {repeat}"
    )
    base = milliseconds(ours("ledoit_wolf", "lead_lag"))
    rows = {f"lead_lag, {each}": ours(each, "lead_lag") for each in ESTIMATORS if each not in ONE_GRID}
    rows |= {f"{each}, ledoit_wolf": ours("ledoit_wolf", each) for each in SYNCHRONISERS}
    rows |= {f"weekly, {each}": ours(each, "weekly") for each in sorted(ONE_GRID)}
    rows["PyPortfolioOpt LW, daily"] = pyportfolioopt(lambda panel: panel.prices, 252)
    for name, way in rows.items():
        spent = milliseconds(way)
        print(f"{name:38}{spent:8.1f}   {spent / base:5.2f} × the default")


def real(folder: Path) -> None:
    """Print correlations between exchanges in real prices, and how predictions fared in the half year after them."""
    import screener.api as sc

    with tempfile.TemporaryDirectory() as place:
        request = sc.Request(
            as_of=date(2025, 12, 26),
            now=datetime(2025, 12, 27, 6, tzinfo=UTC),
            source="files",
            prices=folder,
            store=Path(place) / "prices.duckdb",
        )
        sc.refresh(request)
        market = sc.load_market(request)
    members = {symbol: each.mic for symbol, each in market.universe.instruments.items()}
    across(market.panel, members)
    walk(market.panel, {s: mic for s, mic in members.items() if mic in (*NEW_YORK, "XTKS", "XASX")})


def long_listed(panel: PricePanel, markets: dict[str, str], bars: int) -> dict[str, str]:
    """Return the names with more than some bars in the last 420 sessions of the united calendar."""
    recent = panel.traded.iloc[-420:].sum()
    return {s: markets[s] for s in panel.symbols if s in markets and recent[s] > bars}


def across(panel: PricePanel, members: dict[str, str]) -> None:
    """Print mean correlations between exchanges at the panel's end."""
    markets = long_listed(panel, members, 300)
    here = [s for s in markets if markets[s] in NEW_YORK]
    there = {
        city: [s for s in markets if markets[s] == mic]
        for city, mic in (("Tokyo", "XTKS"), ("Sydney", "XASX"))
    }
    print(
        f"\nreal prices, {len(markets)} names as of 2025-12-26, 104 weeks, sample estimator: mean correlations"
    )
    for name in SYNCHRONISERS:
        made = estimate_panel_covariance(panel, markets, CovarianceSettings("sample", name))
        correlation = made.matrix / np.outer(made.volatility, made.volatility)
        means = "   ".join(
            f"New York–{city} {correlation.loc[here, names].to_numpy().mean():.3f}"
            for city, names in there.items()
        )
        print(f"{name:22}{means}")


def walk(panel: PricePanel, members: dict[str, str]) -> None:
    """Print realised over predicted volatility in the 26 weeks after each month's end, 2023-08 to 2025-06."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for end in pd.date_range("2023-08-31", "2025-06-30", freq="ME"):
        past = panel.until(end.date())
        markets = long_listed(past, members, 330)
        ahead = panel.prices.loc[end : end + pd.Timedelta(weeks=27), list(markets)].ffill()
        weeks = weekly_returns(ahead, 26).dropna(axis=1)
        markets = {str(symbol): markets[str(symbol)] for symbol in weeks}
        for way in SYNCHRONISERS:
            made = estimate_panel_covariance(past, markets, CovarianceSettings(synchroniser=way))
            matrix = made.matrix.to_numpy()
            calm, even = minimum_variance(matrix, 0.1), np.full(len(matrix), 1 / len(matrix))
            realised = [float((weeks @ w).std() * np.sqrt(365.25 / 7)) for w in (calm, even)]
            ratio = [r / np.sqrt(w @ matrix @ w) for r, w in zip(realised, (calm, even), strict=True)]
            found.setdefault(way, []).append((np.log(ratio[0]), np.log(ratio[1]), realised[0]))
    print(
        "\nreal prices, 26 weeks ahead of each of 23 month ends, Ledoit–Wolf: realised/predicted − 1 (geometric mean)"
    )
    for way, rows in found.items():
        calm, even, volatility = np.array(rows).mean(axis=0)
        print(
            f"{way:22}minimum variance {np.expm1(calm):+.1%} (realised {volatility:.1%})"
            f"   equal weights {np.expm1(even):+.1%}"
        )


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--spread", action="store_true", help="correlations from 0.2 to 0.8 instead of 0.5")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--real", type=Path, help="a folder of real prices")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    compare(given.seeds, given.weeks, (0.2, 0.8) if given.spread else 0.5)
    clock(given.repeat)
    if given.real:
        real(given.real)


if __name__ == "__main__":
    main()
