"""How far a record can be trusted: intervals by the bootstrap, and what its Sharpe ratio proves after a search.

The statistics themselves are performance.py's. Everything random takes a seed: the same record, the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize
from scipy.special import ndtr, ndtri

from screener.backtest.performance import simple_returns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEVEL = 0.90  # of the intervals
CONFIDENCE = 0.95  # that a minimum track record gives
FEWEST_RETURNS = 60
DRAWS = 1000
FEWEST_TRIAL_RETURNS = 26  # of a variant, to count as a trial
SEARCH_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle LEVEL of a statistic's bootstrap distribution."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Validity:
    """What a record proves. Fractions, annualised where a rate; NaN where not defined.

    block_length: mean length of the bootstrap's blocks, in sessions. excess_cagr: CAGR less the benchmark's, drawn
    on the same days; None without a benchmark. probabilistic_sharpe: probability that the true Sharpe ratio is
    above 0. minimum_track_record: years that a record like this one needs to put it above 0 with CONFIDENCE; inf
    if its Sharpe ratio is not positive.
    """

    sessions: int
    years: float
    block_length: float
    cagr: Interval
    sharpe_ratio: Interval
    maximum_drawdown: Interval
    excess_cagr: Interval | None
    probabilistic_sharpe: float
    minimum_track_record: float


def assess(wealth: pd.Series, benchmark: pd.Series | None = None, *, seed: int = 0) -> Validity | None:
    """Return how far a wealth series can be trusted, None with fewer than FEWEST_RETURNS returns or no variance.

    wealth: T, > 0, no NaN, indexed by sessions. benchmark: on the same sessions.
    """
    returns = simple_returns(wealth)
    if len(returns) < FEWEST_RETURNS or returns.std() <= 1e-12 or (returns <= -1).any():
        return None
    years = (wealth.index[-1] - wealth.index[0]).days / 365.25
    per_year = len(returns) / years
    block = optimal_block_length(returns)
    rows = stationary_bootstrap(len(returns), block, DRAWS, np.random.default_rng(seed))
    logs = np.log1p(returns)[rows]
    growth = np.expm1(logs.sum(axis=1) / years)
    excess = None
    if benchmark is not None:
        other = np.log1p(simple_returns(benchmark))
        if np.isfinite(other).all():
            excess = _interval(growth - np.expm1(other[rows].sum(axis=1) / years))
    return Validity(
        sessions=len(returns),
        years=years,
        block_length=block,
        cagr=_interval(growth),
        sharpe_ratio=_interval(_sharpe_ratios(returns[rows]) * np.sqrt(per_year)),
        maximum_drawdown=_interval(_largest_falls(logs)),
        excess_cagr=excess,
        probabilistic_sharpe=probabilistic_sharpe_ratio(returns),
        minimum_track_record=minimum_track_record_length(returns) / per_year,
    )


def probabilistic_sharpe_ratio(returns: Floats, reference: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds a reference, allowing for skew and fat tails.

    returns: T. reference: a Sharpe ratio per period. Source: Bailey & López de Prado (2012), eq. 11.
    """
    sharpe, error = _moments(returns)
    return float(ndtr((sharpe - reference) * np.sqrt(len(returns) - 1) / error))


def minimum_track_record_length(
    returns: Floats, reference: float = 0.0, confidence: float = CONFIDENCE
) -> float:
    """Return how many returns like these put the true Sharpe ratio above a reference with a confidence.

    Infinite when the Sharpe ratio is not above the reference. Source: Bailey & López de Prado (2012), eq. 12.
    """
    sharpe, error = _moments(returns)
    if sharpe <= reference:
        return float("inf")
    return float(1 + (error * ndtri(confidence) / (sharpe - reference)) ** 2)


@dataclass(frozen=True, slots=True)
class Search:
    """What trying several variants makes of luck. Sharpe ratios are per period of the trials' returns.

    trials: variants tried. effective: the number of independent ones that would give the same expected maximum.
    spread: standard deviation of the trials' Sharpe ratios. expected_maximum: of the best of them without any skill.
    """

    trials: int
    effective: float
    spread: float
    expected_maximum: float


def expected_maximum_sharpe_ratio(trials: float, variance: float) -> float:
    """Return the Sharpe ratio to expect of the best of so many independent trials without skill, ≥ 0.

    variance: of the trials' Sharpe ratios. Source: Bailey & López de Prado (2014), eq. 1 (their approximation of
    the maximum of normals). Below two trials it would turn negative; a single trial is no search.
    """
    if trials <= 1.0 or variance <= 0.0:
        return 0.0
    return float(np.sqrt(variance) * max(_expected_maximum(trials), 0.0))


def deflated_sharpe_ratio(returns: Floats, trials: float, variance: float) -> float:
    """Return the probability that the true Sharpe ratio of the best of many trials is above 0.

    returns: T of the one chosen. variance: of the trials' Sharpe ratios, per period of the returns. Source: Bailey &
    López de Prado (2014), eq. 2: the probabilistic Sharpe ratio against the expected maximum.
    """
    return probabilistic_sharpe_ratio(returns, expected_maximum_sharpe_ratio(trials, variance))


def search_of(returns: Floats, *, seed: int = 0) -> Search:
    """Return what V trials amount to, from their returns: T × V, NaN where a trial has none.

    Variants of one idea are correlated. That lowers the spread of their Sharpe ratios, and only what is not shared
    can make a best one: for normals of correlation ρ throughout, the expected maximum is that of as many independent
    ones of the lower spread √(1 − ρ). So the effective number is the N for which eq. 1, with the spread as measured,
    gives the expected maximum of normals correlated as the trials' Sharpe ratios are. Copies count as one; V trials
    equally correlated as about V; clusters lie between their number and V. (The participation ratio of the eigenvalues
    would put 50 trials of correlation 0.9 at 1.2, and the spread already holds that correlation: it would be taken
    off twice.)
    A trial without variance or with fewer than FEWEST_TRIAL_RETURNS returns is left out.
    """
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    mean = np.where(known, returns, 0.0).sum(axis=0) / np.maximum(count, 1)
    centred = np.where(known, returns - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / np.maximum(count - 1, 1))
    kept = (count >= FEWEST_TRIAL_RETURNS) & (deviation > 1e-12)
    trials = int(kept.sum())
    if trials < 2:
        return Search(trials, float(trials), 0.0, 0.0)
    spread = float((mean[kept] / deviation[kept]).std(ddof=1))
    # unit columns; where two trials share few periods, their Sharpe ratios are as little correlated as this says
    z = centred[:, kept] / (deviation[kept] * np.sqrt(count[kept] - 1))
    shared = float((z.sum(axis=1) ** 2).sum() - trials) / (trials * (trials - 1))
    if 1.0 - shared < 1e-9:
        return Search(trials, 1.0, spread, 0.0)
    root = np.linalg.qr(z, mode="r")  # root'root = z'z, the correlations of the Sharpe ratios
    draws = np.random.default_rng(seed).standard_normal((SEARCH_DRAWS, len(root))) @ root
    best = float(draws.max(axis=1).mean()) / np.sqrt(1.0 - shared)
    effective = _effective(best, trials)
    return Search(trials, effective, spread, expected_maximum_sharpe_ratio(effective, spread**2))


def _expected_maximum(trials: float) -> float:
    """Return the expected maximum of so many standard normals, about."""
    one, other = (float(ndtri(1.0 - 1.0 / (trials * each))) for each in (1.0, np.e))
    return float((1.0 - np.euler_gamma) * one + np.euler_gamma * other)


def _effective(best: float, trials: int) -> float:
    """Return the number of independent trials of that expected maximum, at most all of them."""
    if _expected_maximum(trials) <= best:
        return float(trials)
    least = 1.0 + 1e-6
    if best <= max(_expected_maximum(least), 0.0):
        return 1.0
    return float(optimize.brentq(lambda n: _expected_maximum(n) - best, least, trials))


def optimal_block_length(returns: Floats) -> float:
    """Return the mean block length of a stationary bootstrap of the mean that suits the returns' memory, ≥ 1.

    Source: Politis & White (2004), with the correction of Patton, Politis & White (2009), flat-top lag window; the
    memory ends at the first lag of a streak of insignificant ones, as in the authors' code and in arch.
    """
    n = len(returns)
    deviations = returns - returns.mean()
    most = int(np.ceil(np.sqrt(n)))
    streak = max(5, int(np.log10(n)))
    lags = most + streak
    covariances = np.array([deviations[: n - lag] @ deviations[lag:] / n for lag in range(lags + 1)])
    quiet = np.abs(_autocorrelations(deviations, lags)) < 2.0 * np.sqrt(np.log10(n) / n)
    silent = next((lag for lag in range(1, most + 1) if quiet[lag : lag + streak].all()), lags)
    width = min(2 * silent, lags)
    lag = np.arange(1, width + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lag / width))
    memory = 2.0 * float((window * lag * covariances[1 : width + 1]).sum())
    spectrum = float(covariances[0] + 2.0 * (window * covariances[1 : width + 1]).sum())
    if spectrum <= 0:
        return 1.0
    length = (memory**2 / spectrum**2 * n) ** (1.0 / 3.0)
    return float(min(max(length, 1.0), np.ceil(min(3.0 * np.sqrt(n), n / 3.0))))


def _autocorrelations(deviations: Floats, lags: int) -> Floats:
    """Return lags + 1 correlations of the deviations with themselves, from lag 0."""
    n = len(deviations)
    pairs = [(deviations[: n - lag], deviations[lag:]) for lag in range(lags + 1)]
    return np.array([(a @ b) / np.sqrt((a @ a) * (b @ b)) for a, b in pairs])


def stationary_bootstrap(length: int, block: float, draws: int, rng: np.random.Generator) -> Ints:
    """Return draws × length row numbers: blocks of geometric length, mean `block`, wrapped around the end.

    Source: Politis & Romano (1994), sec. 2.
    """
    begins = rng.random((draws, length)) < 1.0 / block
    begins[:, 0] = True
    places = np.arange(length)
    begun = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    starts = rng.integers(length, size=(draws, length))
    return np.asarray((np.take_along_axis(starts, begun, axis=1) + places - begun) % length)


def sharpe_ratio_error(sharpe: float, skew: float, kurtosis: float) -> float:
    """Return √(T − 1) times the standard error of a Sharpe ratio, all per period; kurtosis 3 is normal.

    Source: Mertens (2002); Bailey & López de Prado (2012), eq. 8.
    """
    return float(np.sqrt(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2))


def _moments(returns: Floats) -> tuple[float, float]:
    """Return the Sharpe ratio per period and √(T − 1) times its standard error."""
    sharpe = float(returns.mean() / returns.std(ddof=1))
    # SciPy's own are in scipy.stats, which takes half a second to import
    z = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float((z**3).mean()), float((z**4).mean())
    return sharpe, sharpe_ratio_error(sharpe, skew, kurtosis)


def _sharpe_ratios(returns: Floats) -> Floats:
    deviation = returns.std(axis=1, ddof=1)
    return np.asarray(returns.mean(axis=1) / np.where(deviation > 0, deviation, np.nan))


def _largest_falls(logs: Floats) -> Floats:
    """Return the maximum drawdown of each row of log returns, a fraction in [0, 1]."""
    levels = np.cumsum(logs, axis=1)
    peaks = np.maximum(np.maximum.accumulate(levels, axis=1), 0.0)
    return np.asarray(-np.expm1((levels - peaks).min(axis=1)))


def _interval(draws: Floats) -> Interval:
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
