"""Time our weighting kernels beside their peers, in one run, and compare the weights.

    python -m venv /tmp/bench && /tmp/bench/bin/pip install -e '.[bench]'
    /tmp/bench/bin/python benchmarks/weights.py            # 20 real names, then 500 and 2,000 simulated ones
    /tmp/bench/bin/python benchmarks/weights.py --names 20

Weekly rebalances, window 252. The 20 real names are those bundled with skfolio (1990 to 2022). Ours is timed over
all rebalances, first call included; a peer over a sample of them, the median call. Both start from returns and
include the covariance; all run on one thread. Ratios are what to read: the machine is shared and noisy.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os

# one thread for everybody: on a shared machine pools of threads wait for each other, and small matrices gain nothing
for each in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(each, "1")

import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from screener.portfolio.batch import (  # noqa: E402
    Caps,
    rolling_equal_risk,
    rolling_hierarchical_risk_parity,
    rolling_inverse_volatility,
    rolling_minimum_variance,
)
from screener.portfolio.batch_covariance import Windows  # noqa: E402

WINDOW, STEP, FEWEST = 252, 5, 60
NAME_CAP, GROUP_CAP, GROUPS = 0.15, 0.35, 4
Peer = Callable[[pd.DataFrame], np.ndarray]


class Job(NamedTuple):
    """A method: ours over windows, and peers by name, each on the returns of one window."""

    title: str
    ours: Callable[[Windows], np.ndarray]
    peers: dict[str, Peer]


def groups_of(names: int) -> np.ndarray:
    return np.arange(names) % GROUPS


def bt_algo(name: str, **options: Any) -> Peer:
    """Call one weighting algo of bt as its engine would."""
    import bt

    class Target:
        def __init__(self, prices: pd.DataFrame) -> None:
            self.universe, self.now, self.temp = prices, prices.index[-1], {"selected": list(prices.columns)}

    def weigh(returns: pd.DataFrame) -> np.ndarray:
        prices = (1 + returns).cumprod()
        first = pd.DataFrame(1.0, index=[returns.index[0] - pd.Timedelta(days=1)], columns=returns.columns)
        target = Target(pd.concat([first, prices]))
        algo = getattr(bt.algos, name)(lookback=pd.Timedelta(days=10_000), lag=pd.Timedelta(0), **options)
        algo(target)
        return pd.Series(target.temp["weights"]).reindex(returns.columns).fillna(0.0).to_numpy()

    return weigh


def ffn_erc(returns: pd.DataFrame) -> np.ndarray:
    import ffn

    weights = ffn.calc_erc_weights(returns, covar_method="standard", maximum_iterations=1000, tolerance=1e-9)
    return weights.to_numpy()


def ffn_inverse_volatility(returns: pd.DataFrame) -> np.ndarray:
    import ffn

    return ffn.calc_inv_vol_weights(returns).to_numpy()


def skfolio_model(make: Callable[[], Any]) -> Peer:
    return lambda returns: make().fit(returns).weights_


def skfolio_minimum_variance() -> Any:
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import MeanRisk
    from skfolio.prior import EmpiricalPrior

    return MeanRisk(prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()))


def pypfopt_hrp(returns: pd.DataFrame) -> np.ndarray:
    from pypfopt import HRPOpt

    return pd.Series(HRPOpt(cov_matrix=returns.cov()).optimize()).reindex(returns.columns).to_numpy()


def pypfopt_minimum_variance(capped: bool) -> Peer:
    def weigh(returns: pd.DataFrame) -> np.ndarray:
        from pypfopt import CovarianceShrinkage, EfficientFrontier

        matrix = CovarianceShrinkage(returns, returns_data=True).ledoit_wolf("constant_correlation")
        frontier = EfficientFrontier(None, matrix, weight_bounds=(0, NAME_CAP if capped else 1))
        if capped:
            mapper = {
                name: str(g) for name, g in zip(returns.columns, groups_of(returns.shape[1]), strict=True)
            }
            caps = {str(each): GROUP_CAP for each in range(GROUPS)}
            frontier.add_sector_constraints(mapper, dict.fromkeys(caps, 0.0), caps)
        frontier.min_volatility()
        return np.asarray(frontier.weights)

    return weigh


def riskfolio_erc(returns: pd.DataFrame) -> np.ndarray:
    import riskfolio

    portfolio = riskfolio.Portfolio(returns=returns)
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    return portfolio.rp_optimization(model="Classic", rm="MV", hist=True)["weights"].to_numpy()


def riskfolio_hrp(returns: pd.DataFrame) -> np.ndarray:
    import riskfolio

    portfolio = riskfolio.HCPortfolio(returns=returns)
    found = portfolio.optimization(
        model="HRP", codependence="pearson", rm="MV", linkage="single", leaf_order=False
    )
    return found["weights"].to_numpy()


def jobs(names: int) -> list[Job]:
    from skfolio.optimization import HierarchicalRiskParity, InverseVolatility, RiskBudgeting

    small = names <= 500
    equal_risk = {"bt": bt_algo("WeighERC", covar_method="standard"), "ffn": ffn_erc}
    hierarchical = {"PyPortfolioOpt": pypfopt_hrp, "skfolio": skfolio_model(HierarchicalRiskParity)}
    variance = {"PyPortfolioOpt": pypfopt_minimum_variance(capped=False)}
    if small:
        equal_risk["skfolio"] = skfolio_model(RiskBudgeting)
    if names <= 100:
        equal_risk["riskfolio-lib"] = riskfolio_erc
        hierarchical["riskfolio-lib"] = riskfolio_hrp
        variance["skfolio"] = skfolio_model(skfolio_minimum_variance)
    listed = [
        Job(
            "inverse volatility",
            rolling_inverse_volatility,
            {
                "bt": bt_algo("WeighInvVol"),
                "ffn": ffn_inverse_volatility,
                "skfolio": skfolio_model(InverseVolatility),
            },
        ),
        Job("equal risk contribution", rolling_equal_risk, equal_risk),
        Job("hierarchical risk parity", rolling_hierarchical_risk_parity, hierarchical),
    ]
    if names <= 100:
        capped = Caps(NAME_CAP, groups_of(names), GROUP_CAP)
        listed += [
            Job("minimum variance, Ledoit–Wolf", rolling_minimum_variance, variance),
            Job(
                f"  capped {NAME_CAP:.0%} a name, {GROUP_CAP:.0%} a group",
                lambda windows: rolling_minimum_variance(windows, capped),
                {"PyPortfolioOpt": pypfopt_minimum_variance(capped=True)},
            ),
        ]
    return listed


def real_returns() -> pd.DataFrame:
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    return prices[sorted(prices.columns)].pct_change().iloc[1:]


def simulated_returns(names: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(names)
    factors = rng.normal(0, 0.008, (rows, 5)) @ rng.normal(0.5, 0.5, (5, names))
    values = factors + rng.normal(0, 0.015, (rows, names)) * rng.uniform(0.5, 2.0, names)
    columns = [f"S{number:04d}" for number in range(names)]
    return pd.DataFrame(values, index=pd.bdate_range("1990-01-02", periods=rows), columns=columns)


def with_gaps(returns: pd.DataFrame) -> pd.DataFrame:
    """Return the panel with late listings and 1 % of missing days."""
    values = returns.to_numpy().copy()
    rng = np.random.default_rng(1)
    values[rng.random(values.shape) < 0.01] = np.nan
    for column, first in enumerate(np.linspace(0, 0.8 * len(values), values.shape[1]).astype(int)):
        values[: first if column % 3 == 0 else 0, column] = np.nan
    return pd.DataFrame(values, index=returns.index, columns=returns.columns)


def time_peer(peer: Peer, returns: pd.DataFrame, ends: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the median milliseconds of a call after a first one, and the weights."""
    seconds, weights = [], []
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        peer(returns.iloc[ends[0] - WINDOW : ends[0]])
        for end in ends:
            window = returns.iloc[end - WINDOW : end]
            begun = time.perf_counter()
            weights.append(np.asarray(peer(window), dtype=float))
            seconds.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(seconds)), np.array(weights)


def run(returns: pd.DataFrame, title: str, sample: int, only: str) -> None:
    ends = np.arange(WINDOW, len(returns) + 1, STEP)
    names = returns.shape[1]
    chosen = np.unique(np.linspace(0, len(ends) - 1, sample).astype(int))
    gappy = Windows(with_gaps(returns).to_numpy(), ends, WINDOW, FEWEST)
    windows = Windows(returns.to_numpy(), ends, WINDOW, FEWEST)
    print(f"\n{title}: {names} names, {len(ends)} rebalances, peers on {len(chosen)}; ms a rebalance")
    print(f"{'method':<34}{'who':<16}{'ms':>10}{'ratio':>9}  largest difference of a weight")
    for job in (each for each in jobs(names) if only in each.title):
        begun = time.perf_counter()
        ours = job.ours(windows)
        spent = 1e3 * (time.perf_counter() - begun) / len(ends)
        begun = time.perf_counter()
        job.ours(gappy)
        with_missing = 1e3 * (time.perf_counter() - begun) / len(ends)
        print(
            f"{job.title:<34}{'ours':<16}{spent:>10.4f}{'':>9}  with gaps and late listings {with_missing:.4f}"
        )
        for name, peer in job.peers.items():
            try:
                cost, theirs = time_peer(peer, returns, ends[chosen])
            except Exception as error:  # a peer that fails is shown as that
                print(f"{'':<34}{name:<16}{'failed':>10}{'':>9}  {type(error).__name__}: {error!s:.60}")
                continue
            apart = float(np.abs(ours[chosen] - theirs).max())
            print(f"{'':<34}{name:<16}{cost:>10.3f}{cost / spent:>8.0f}×  {apart:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, nargs="*", default=[20, 500, 2000], help="20 is the real names")
    parser.add_argument("--sample", type=int, default=30, help="rebalances that peers are timed on")
    parser.add_argument("--only", default="", help="methods whose name has this in it")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, NumPy {np.__version__}")
    for names in asked.names:
        if names == 20:
            run(real_returns(), "skfolio's 20 real names", asked.sample, asked.only)
        else:
            rows = WINDOW + STEP * (40 if names <= 500 else 103)  # two years of weekly rebalances
            run(
                simulated_returns(names, rows),
                "simulated",
                min(asked.sample, 3 if names <= 500 else 2),
                asked.only,
            )


if __name__ == "__main__":
    main()
