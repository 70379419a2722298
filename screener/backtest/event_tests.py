"""Tests of abnormal returns of names that share their event date. Arrays in, arrays out.

Names that react to one event are not independent, so an average over them is held against what such an average did
before the event. Three tests that go about it differently are shown side by side; see docs/method.md for their
measured size and power.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from screener.backtest.abnormal import Abnormal, Bools, Floats, Ints, Window

FEWEST_SHARED = 20  # pairs with fewer common sessions count as uncorrelated
FEWEST_NAMES = 3  # of a cross-section from which a deviation is taken


@dataclass(frozen=True, eq=False, slots=True)
class Correlations:
    """Correlations of N names' residuals before each of B dates: on the same weekday, and a weekday later.

    same: B × N × N, 1 on the diagonal. later: B × N × N, [i, j] of i's with j's of the next weekday, only between
    exchanges that close at different hours (elsewhere 0): news of one day reaches some names on the next.
    """

    same: Floats
    later: Floats

    def over(self, length: int) -> Floats:
        """Return B × N × N, the correlations of sums over `length` sessions."""
        lag = (length - 1) / length
        return self.same + lag * (self.later + np.swapaxes(self.later, 1, 2))


@dataclass(frozen=True, eq=False, slots=True)
class GroupTests:
    """What a group of names did around B dates, over W windows.

    names: B × W, how many were averaged. caar: their mean cumulative abnormal return. error: its standard error.
    t, degrees: the portfolio test. scar, scar_deviation: mean and sample deviation of standardised CARs over names.
    correlation: their mean correlation. bmp, rank: statistics of those tests, NaN with fewer than FEWEST_NAMES names.
    """

    names: Ints
    caar: Floats
    error: Floats
    t: Floats
    degrees: Floats
    scar: Floats
    scar_deviation: Floats
    correlation: Floats
    bmp: Floats
    rank: Floats


def correlations(abnormal: Abnormal, exchanges: Sequence[str]) -> Correlations:
    """Return how the residuals of names move together. exchanges: N, names with one word close together."""
    z, alive = abnormal.residuals, abnormal.alive.astype(float)
    apart = np.array([[a != b for b in exchanges] for a in exchanges])
    same = _correlation(z, z, alive, alive)
    diagonal = np.arange(len(exchanges))
    same[:, diagonal, diagonal] = 1.0
    later = _correlation(z[:, :-1], z[:, 1:], alive[:, :-1], alive[:, 1:]) if apart.any() else 0.0 * same
    return Correlations(same, np.where(apart, later, 0.0))


def _correlation(a: Floats, b: Floats, in_a: Floats, in_b: Floats) -> Floats:
    shared = np.swapaxes(in_a, 1, 2) @ in_b
    scale = np.sqrt((np.swapaxes(a**2, 1, 2) @ in_b) * (np.swapaxes(in_a, 1, 2) @ b**2))
    enough = (shared >= FEWEST_SHARED) & (scale > 0)
    return np.divide(np.swapaxes(a, 1, 2) @ b, scale, out=np.zeros_like(scale), where=enough)


def group_tests(
    abnormal: Abnormal,
    together: Correlations,
    inside: Bools,
    windows: Sequence[Window],
    *,
    ranks: bool = True,
) -> GroupTests:
    """Test the average of a group. inside: N, who belongs to it. ranks: the rank test, the slowest of the three.

    Portfolio: the mean CAR over its standard error, the square root of
    1/n² · ΣΣ σᵢσⱼ √(Cᵢ Cⱼ) ρᵢⱼ with σ, ρ of the estimation window and C the length of the window with the error of
    the model (Campbell, Lo & MacKinlay 1997, sec. 4.4–4.5: the portfolio's abnormal return against its own variance,
    here pair by pair so that a young name keeps its own history); Student's t with the median name's degrees.

    BMP: Boehmer, Musumeci & Poulsen (1991), the mean standardised CAR over its deviation across names, times
    √((1 − r)/(1 + (n − 1) r)) for their mean correlation r (Kolari & Pynnönen 2010, eq. 11); n − 1 degrees.

    Rank: the generalised rank t-test of Kolari & Pynnönen (2011), with standardised CARs that are not scaled again by
    their deviation across names: with one date it cannot tell the event's variance from a common shock.
    """
    columns = np.flatnonzero(inside)
    cars, spread = abnormal.cars[:, columns], abnormal.spread[:, columns]
    same = together.same[:, columns[:, None], columns]
    deviation, observations = abnormal.deviation[:, columns], abnormal.observations[:, columns]
    b, w = cars.shape[0], len(windows)
    found = GroupTests(np.zeros((b, w), dtype=np.int64), *(np.full((b, w), np.nan) for _ in range(9)))
    for at, (first, last) in enumerate(windows):
        length = last - first + 1
        have = np.isfinite(cars[:, :, at])
        n = have.sum(axis=1)
        some = n > 0
        scale = np.where(have, deviation * np.sqrt(spread[:, :, at]), 0.0)
        rho = together.over(length)[:, columns[:, None], columns]
        count = np.maximum(n, 1)
        variance = np.einsum("bi,bij,bj->b", scale, rho, scale) / count**2
        found.names[:, at] = n
        found.caar[some, at] = np.where(have, cars[:, :, at], 0.0).sum(axis=1)[some] / n[some]
        sound = some & (variance > 0)
        found.error[sound, at] = np.sqrt(variance[sound])
        found.t[:, at] = found.caar[:, at] / found.error[:, at]
        typical = np.nanmedian(np.where(have, observations, np.nan)[some], axis=1) if some.any() else 0.0
        found.degrees[some, at] = typical - 3.0
        _scaled(found, at, (cars[:, :, at], scale, have), rho)
        if ranks:
            for row in np.flatnonzero(n >= FEWEST_NAMES):
                chosen = have[row]
                scar = cars[row, chosen, at] / scale[row, chosen]
                z = abnormal.residuals[row][:, columns[chosen]]
                alive = abnormal.alive[row][:, columns[chosen]]
                widening = rho[row][np.ix_(chosen, chosen)].sum() / same[row][np.ix_(chosen, chosen)].sum()
                found.rank[row, at] = generalised_rank_t(np.where(alive, z, np.nan), scar, widening)
    return found


def _scaled(found: GroupTests, at: int, case: tuple[Floats, Floats, Bools], rho: Floats) -> None:
    """Fill in the standardised CARs of a window, and the BMP statistic with its adjustment."""
    cars, scale, have = case
    n = have.sum(axis=1)
    count = np.maximum(n, 1)
    scar = np.divide(cars, scale, out=np.zeros_like(scale), where=have)
    mean = scar.sum(axis=1) / count
    squares = np.where(have, scar - mean[:, None], 0.0) ** 2
    pairs = np.einsum("bi,bij,bj->b", have.astype(float), rho, have.astype(float)) - n
    several = n >= 2
    found.scar[n > 0, at] = mean[n > 0]
    found.scar_deviation[several, at] = np.sqrt(squares.sum(axis=1)[several] / (n - 1)[several])
    found.correlation[several, at] = pairs[several] / (n * (n - 1))[several]
    enough = n >= FEWEST_NAMES
    found.bmp[enough, at] = bmp_statistic(
        mean[enough], found.scar_deviation[enough, at], found.correlation[enough, at], n[enough]
    )


def bmp_statistic(mean: Floats, deviation: Floats, correlation: Floats, n: Floats | Ints) -> Floats:
    """Return the BMP statistic adjusted for cross-correlation (Kolari & Pynnönen 2010, eq. 11)."""
    r = np.clip(correlation, 0.0, 0.99)  # less than none would only make the test bolder
    return np.asarray(mean * np.sqrt(n) / deviation * np.sqrt((1.0 - r) / (1.0 + (n - 1.0) * r)))


def generalised_rank_t(residuals: Floats, scars: Floats, widening: float = 1.0) -> float:
    """Return the generalised rank t-statistic (Kolari & Pynnönen 2011, eq. 11–15).

    residuals: T × n standardised, NaN where there is none; scars: n. T − 1 degrees of freedom, for T of residuals.
    widening: variance of the names' mean over the window, over what its sessions would give one by one. The
    variance of a day's mean rank is summed pair by pair: days on which an exchange was shut would bias the paper's
    sum over days, because fewer names average to more.
    """
    values = np.vstack((residuals, scars))
    there = np.isfinite(values)
    order = np.argsort(np.argsort(np.where(there, values, np.inf), axis=0), axis=0) + 1.0
    u = np.where(there, order / (there.sum(axis=0) + 1.0) - 0.5, 0.0)
    shared = there.T.astype(float) @ there
    variance = float((u.T @ u / np.maximum(shared, 1.0)).mean()) * widening
    if not variance > 0:
        return float("nan")
    days = int(there.any(axis=1).sum())
    z = float(u[-1].mean()) / float(np.sqrt(variance))
    left = days - 1 - z**2
    return z * float(np.sqrt((days - 2) / left)) if left > 0 else float("nan")


def two_sided(t: Floats, degrees: Floats | Ints) -> Floats:
    """Return two-sided p-values of Student's t; NaN where a statistic is missing."""
    sound = np.isfinite(t) & (np.asarray(degrees) > 0)
    safe = np.where(sound, degrees, 1.0)
    return np.where(sound, 2.0 * stdtr(safe, -np.abs(np.where(sound, t, 0.0))), np.nan)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Several events of one group together: mean CAAR with its standard error, and the three statistics."""

    events: int
    names: int  # name-events
    caar: float
    error: float
    t: float
    degrees: float
    bmp: float
    rank: float


def pool(tests: GroupTests, rows: Ints, at: int, shared: Floats) -> Pooled:
    """Return the events of some rows together, for one window.

    shared: E × E, which share of the window's sessions two events have in common, 1 on the diagonal; sums over
    common sessions move together, so they count that far as one (the calendar-time view of Jaffe 1974 and
    Mandelker 1974).
    """
    caar, error, n = tests.caar[rows, at], tests.error[rows, at], tests.names[rows, at].astype(float)
    e = len(rows)
    mean_error = float(np.sqrt(error @ shared @ error)) / e
    total = float(n.sum())
    scar, spread = tests.scar[rows, at], np.nan_to_num(tests.scar_deviation[rows, at])
    r = np.nan_to_num(tests.correlation[rows, at])
    bmp = float("nan")
    if total >= FEWEST_NAMES:
        mean = float(n @ scar) / total
        squares = float(((n - 1) * spread**2).sum() + (n * (scar - mean) ** 2).sum())
        typical = np.sqrt(np.outer(np.clip(r, 0, 1), np.clip(r, 0, 1)))
        # a pair of names in two events: as far as the sessions are shared, correlated like names of one event
        across = shared * (typical * np.outer(n, n) + np.minimum.outer(n, n) * (1 - typical))
        np.fill_diagonal(across, n * (n - 1) * r)
        correlation = float(across.sum()) / (total * (total - 1))
        bmp = float(
            bmp_statistic(
                np.array(mean),
                np.sqrt(np.array(squares / (total - 1))),
                np.array(correlation),
                np.array(total),
            )
        )
    ranks = tests.rank[rows, at]
    ranked = np.isfinite(ranks)
    rank = float("nan")
    if ranked.any():
        rank = float(ranks[ranked].sum() / np.sqrt(shared[np.ix_(ranked, ranked)].sum()))
    return Pooled(
        events=e,
        names=int(total),
        caar=float(caar.mean()),
        error=mean_error,
        t=float(caar.mean()) / mean_error,
        degrees=float(np.median(tests.degrees[rows, at])),
        bmp=bmp,
        rank=rank,
    )
