"""Size and power of the event study's tests on simulated panels: python -m benchmarks.events [RUNS]

Names on four exchanges with real sessions, holidays and closing hours; news of a day reaches Asia, Europe and
America in three parts. The world, the stage and each name have news of their own, drawn from Student's t with 5
degrees of freedom times a volatility that clusters (GARCH(1,1), 0.08 and 0.90; one for the world, one for each
name and stage). All names of a stage share the event's date and, through the stage's news, the surprise. With
`shock` every name moves by that much in the first session that could react. "plain" is what most people do, a t-test
over the names as if they were independent; it is here for comparison only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from screener.backtest.abnormal import Floats, Series, StudySettings, measure, reactions, series_of
from screener.backtest.event_tests import correlations, group_tests, pool, two_sided
from screener.market.panel import PricePanel
from screener.market.sessions import as_days, calendar_of, is_session, sessions_between

HEARD = {"XTKS": 0, "XASX": 0, "XLON": 1, "XNYS": 2}  # the last part of a day's news before the close
PARTS = np.sqrt(np.array([0.30, 0.25, 0.45]))
STAGES = {
    "wide": ("XNYS", "XNYS", "XNYS", "XNYS", "XTKS", "XTKS", "XTKS", "XASX", "XASX", "XLON"),
    "one exchange": ("XNYS",) * 6,
    "small": ("XNYS", "XTKS", "XASX"),
}
WORLD, STAGE, OWN = 0.010, 0.008, 0.020  # daily deviations
FIRST, LAST = date(2020, 1, 2), date(2023, 3, 31)
WINDOWS = ((0, 0), (-1, 1), (0, 4), (0, 19))
EVENTS = 6  # in a run, drawn where the estimation window has room
LEVEL = 0.05


@lru_cache(maxsize=1)
def days_of() -> tuple[pd.DatetimeIndex, dict[str, np.ndarray]]:
    """Return the united sessions and where each exchange is open."""
    united = sorted(set().union(*(sessions_between(mic, FIRST, LAST) for mic in HEARD)))
    index = pd.DatetimeIndex(united, name="session").as_unit("s")
    return index, {mic: is_session(mic, index) for mic in HEARD}


def clustered(rng: np.random.Generator, days: int, columns: int) -> Floats:
    """Return days × columns shocks of unit variance: Student-t with 5 degrees times GARCH(1,1) volatility."""
    raw = rng.standard_t(5, (days, columns)) / np.sqrt(5 / 3)
    shocks, variance = np.empty_like(raw), np.ones(columns)
    for day in range(days):
        shocks[day] = np.sqrt(variance) * raw[day]
        variance = 0.02 + 0.08 * np.minimum(shocks[day] ** 2, 25.0) + 0.90 * variance
    return shocks


@dataclass(frozen=True, eq=False, slots=True)
class Simulated:
    """A panel, the market of each name, and the stage of each name."""

    panel: PricePanel
    mics: dict[str, str]
    stages: dict[str, str]


def simulated(seed: int, instants: np.ndarray, shock: float = 0.0) -> Simulated:
    """Return a panel of every stage and SPY; at each instant (UTC) every name is shocked."""
    rng = np.random.default_rng(seed)
    index, is_open = days_of()
    days = len(index)
    mics, stages = {"SPY": "XNYS"}, {"SPY": ""}
    for number, (stage, exchanges) in enumerate(STAGES.items()):
        for position, mic in enumerate(exchanges):
            mics[f"N{number}{position}"], stages[f"N{number}{position}"] = mic, stage
    common = clustered(rng, days, 1 + len(STAGES))
    levels = {
        name: np.cumsum((common[:, [at]] * rng.choice([-1, 1], (days, 3)) * PARTS).ravel())
        for at, name in enumerate(["", *STAGES])
    }
    own = np.cumsum(clustered(rng, days, len(mics)), axis=0)
    prices, traded = {}, {}
    for column, (symbol, mic) in enumerate(mics.items()):
        at = np.arange(days) * 3 + HEARD[mic]
        beta = 1.0 if symbol == "SPY" else rng.uniform(0.6, 1.6)
        level = beta * WORLD * levels[""][at]
        if stages[symbol]:
            level = level + rng.uniform(0.5, 1.5) * STAGE * levels[stages[symbol]][at] + OWN * own[:, column]
        price = pd.Series(np.exp(level), index=index).where(is_open[mic])
        if shock and stages[symbol]:
            rows = reactions([_bare(symbol, mic, index[is_open[mic]])], instants)[:, 0]
            for row in rows[rows >= 0]:
                price.loc[index[is_open[mic]][row] :] *= 1.0 + shock
        prices[symbol], traded[symbol] = price.ffill(), pd.Series(is_open[mic], index=index)
    table = pd.DataFrame(dict(sorted(prices.items())))
    here = pd.DataFrame(dict(sorted(traded.items()))) & table.notna()
    panel = PricePanel(table, here, table, table * np.nan, "USD", LAST, synthetic=True)
    return Simulated(panel, mics, stages)


def _bare(symbol: str, mic: str, index: pd.DatetimeIndex) -> Series:
    nothing = np.zeros(len(index))
    return Series(symbol, mic, as_days(index), nothing.astype(np.int64), nothing, nothing[:, None])


def instants_of(rng: np.random.Generator, events: int = EVENTS) -> np.ndarray:
    """Return random instants with a year of sessions before and a month after them."""
    index, _ = days_of()
    chosen = np.sort(rng.choice(np.arange(300, len(index) - 30), events, replace=False))
    hours = rng.integers(0, 24, events).astype("timedelta64[h]")
    return index.to_numpy()[chosen].astype("datetime64[s]") + hours


def run(seed: int, shock: float = 0.0) -> dict[tuple[str, str, str, str], list[float]]:
    """Return p-values by stage, one event or all together, window and test."""
    instants = instants_of(np.random.default_rng([seed, 1]))
    world = simulated(seed, instants, shock)
    names = {symbol: mic for symbol, mic in world.mics.items() if symbol != "SPY"}
    series = series_of(world.panel, names, "SPY", "XNYS")
    settings = StudySettings(windows=WINDOWS)
    abnormal = measure(series, reactions(series, instants), settings)
    together = correlations(abnormal, [calendar_of(each.mic) for each in series])
    weekday = np.busday_count(np.datetime64("1970-01-01"), instants.astype("datetime64[D]"))
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for stage in STAGES:
        inside = np.array([world.stages[each.symbol] == stage for each in series])
        tests = group_tests(abnormal, together, inside, WINDOWS)
        for at, (first, last) in enumerate(WINDOWS):
            name = f"{first}:{last}"
            singles = {
                "portfolio": two_sided(tests.t[:, at], tests.degrees[:, at]),
                "BMP": two_sided(tests.bmp[:, at], tests.names[:, at] - 1),
                "rank": two_sided(tests.rank[:, at], tests.degrees[:, at]),
            }
            cars = abnormal.cars[0, inside, at]
            cars = cars[np.isfinite(cars)]
            plain = cars.mean() / (cars.std(ddof=1) / np.sqrt(len(cars)))
            singles["plain"] = two_sided(np.array([plain]), np.array([len(cars) - 1]))
            for test, p in singles.items():
                # of the events of a run only the first, so that runs are independent
                found[stage, "one event", name, test] = [float(p[0])]
            length = last - first + 1
            shared = np.maximum(0.0, 1.0 - np.abs(weekday[:, None] - weekday) / length)
            pooled = pool(tests, np.arange(len(instants)), at, shared)
            for test, value, degrees in (
                ("portfolio", pooled.t, pooled.degrees),
                ("BMP", pooled.bmp, pooled.names - 1),
                ("rank", pooled.rank, pooled.degrees),
            ):
                found[stage, f"{EVENTS} events", name, test] = [
                    float(two_sided(np.array([value]), np.array([degrees]))[0])
                ]
    return found


def rejections(runs: int, shock: float = 0.0, first: int = 0) -> pd.Series:
    """Return the share of runs in which each test rejects at 5 %."""
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for seed in range(first, first + runs):
        for key, p in run(seed, shock).items():
            found.setdefault(key, []).extend(p)
    shares = {key: float(np.mean(np.array(p) < LEVEL)) for key, p in found.items()}
    return pd.Series(shares).rename_axis(["stage", "events", "window", "test"])


def main() -> None:
    """Print size without an effect, and power against a shock of 3 %."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for shock, what in ((0.0, "size: no effect"), (0.03, "power: every name moves by 3 %")):
        print(f"\n{what}, share of {runs} runs in which the 5 % test rejects")
        table = rejections(runs, shock).unstack("test").mul(100).round(1)
        print(
            table[["portfolio", "BMP", "rank", "plain"]].to_string(float_format="{:.1f} %".format, na_rep="—")
        )


if __name__ == "__main__":
    main()
