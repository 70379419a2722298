"""Covariances of any basket of names on any date, from moments of all pairs that are computed once a date.

Ledoit & Wolf's shrinkage (2004, "Honey", appendix B) needs sums over pairs of names only, so a basket's is had from
sub-matrices. The result is that of risk/covariance.py's `ledoit_wolf` on the basket's returns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.portfolio.batch_covariance import FEWEST_SHARED, repaired, shrunk

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


def weekly_windows(prices: pd.DataFrame, rows: Indices, weeks: int) -> Floats:
    """Return B × weeks × N simple returns over spans of seven days ending with each of B rows, NaN where there is none.

    prices: T × N. As `market.returns.weekly_returns` on the prices up to each row, with NaN before the first.
    """
    index = pd.DatetimeIndex(prices.index)
    back = pd.to_timedelta(7 * np.arange(weeks, -1, -1), unit="D")
    anchors = index[rows].to_numpy()[:, None] - back.to_numpy()[None, :]
    places = index.to_numpy().searchsorted(anchors, side="right") - 1
    levels = prices.to_numpy(dtype=float)
    some = np.where((places >= 0)[:, :, None], levels[np.maximum(places, 0)], np.nan)
    return np.asarray(some[:, 1:] / some[:, :-1] - 1.0)


@dataclass(frozen=True, eq=False, slots=True)
class PairMoments:
    """Of all pairs of N names on B dates, each B × N × N: sample covariances, and terms of the shrinkage's intensity.

    pi: estimated variances of √T times the covariances, over T. theta: their covariances with the variances, weighted
    as the intensity needs them, diagonal 0, over T. A pair's T is the weeks that it shares.
    """

    covariance: Floats
    pi: Floats
    theta: Floats

    def deviations(self, when: Indices, names: Indices) -> Floats:
        """Return b × k weekly standard deviations; when: b dates, names: b × k columns."""
        return np.asarray(np.sqrt(self.covariance[when[:, None], names, names]))

    def covariances(self, when: Indices, names: Indices) -> Floats:
        """Return b × k × k weekly covariances of b baskets, shrunk to their constant correlation."""
        n, k = self.covariance.shape[1], names.shape[1]
        # flat positions: `take` is several times faster here than indexing with three arrays
        places = ((when[:, None] * n + names) * n)[:, :, None] + names[:, None, :]
        s = self.covariance.ravel().take(places)
        if k == 1:
            return np.asarray(s)
        pi, theta = self.pi.ravel().take(places), self.theta.ravel().take(places)
        totals = (pi.reshape(-1, k * k).sum(axis=1), theta.reshape(-1, k * k).sum(axis=1))
        terms = (totals[0], np.einsum("bii->b", pi), totals[1])
        # gaps can leave a basket's matrix indefinite; mending that of all names at once would bend every basket
        return repaired(shrunk(s, np.sqrt(np.einsum("bii->bi", s)), terms))


def pair_moments(returns: Floats, eligible: Bools) -> PairMoments:
    """Return the moments of all pairs of eligible names.

    returns: B × weeks × N, NaN where there is none. eligible: B × N.

    Pairs that share fewer than FEWEST_SHARED weeks get the date's average correlation, as estimators do. A name that
    is not eligible has variance 1 and no correlation.
    """
    n = returns.shape[2]
    known = np.isfinite(returns) & eligible[:, None, :]
    mask = known.astype(float)
    mean = np.where(known, returns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    z = np.where(known, returns - mean[:, None, :], 0.0)
    turned, squares = z.transpose(0, 2, 1), z**2
    own = np.eye(n, dtype=bool)
    both = eligible[:, :, None] & eligible[:, None, :]
    shared = mask.transpose(0, 2, 1) @ mask
    raw = turned @ z
    rows = np.maximum(shared, 1.0)
    s = np.where(both, raw / np.maximum(shared - 1.0, 1.0), own)
    variance = np.einsum("bii->bi", s)
    deviation = np.sqrt(variance)
    scale = deviation[:, :, None] * deviation[:, None, :]
    thick = both & ~own & (shared >= FEWEST_SHARED)
    average = np.where(thick, s / scale, 0.0).sum(axis=(1, 2)) / np.maximum(thick.sum(axis=(1, 2)), 1)
    s = np.where(both & ~own & ~thick, average[:, None, None] * scale, s)
    products = raw / rows
    pi = (squares.transpose(0, 2, 1) @ squares / rows - 2.0 * products * s + s**2) / rows
    theta = (squares * z).transpose(0, 2, 1) @ z / rows
    theta += (variance - np.einsum("bii->bi", products))[:, :, None] * s - products * variance[:, :, None]
    theta *= deviation[:, None, :] / deviation[:, :, None] / rows
    pi, theta = np.where(thick | (own & both), pi, 0.0), np.where(thick, theta, 0.0)
    return PairMoments(s, pi, theta)
