"""Covariances of many rolling windows at once: what a sweep over thousands of rebalances needs.

Each window's estimate is that of risk/covariance.py on the same rows, to rounding, with two exceptions where returns
are missing. Pairwise covariances that are not positive definite get their eigenvalues raised, not the nearest
correlations. And of more than MOST_PAIRWISE names samples are not pairwise: there every such matrix is far from
positive definite and its repair costs more than all else, so short histories are continued (see `continued`).
NumPy alone: alternating SciPy's and NumPy's BLAS in a hot loop makes two thread pools fight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screener.errors import UserError
from screener.portfolio.batch_sums import MOST_NAMES, sample_of, sample_sums, shrinkage_sums, shrinkage_terms
from screener.risk.memory import keep_freed_memory

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
# numbers of one chunk's largest array; the covariances of all windows at once would not fit
CHUNK = 2_000_000
FIRST_ROWS = 20  # whose mean returns are centred by
MOST_PAIRWISE = 64  # names
SUMS = 200_000  # numbers of the sums of windows looked at together
FEWEST_SHARED = 10  # as in risk/covariance.py


@dataclass(frozen=True, eq=False, slots=True)
class Windows:
    """Rolling windows over returns.

    returns: T × N, NaN where there is none, no column all NaN. ends: B, one past each window's last row. starts: B,
    its first row; None: `length` rows before the end, which no window exceeds.
    A name takes part in a window with at least `fewest` returns that differ.
    """

    returns: Floats
    ends: Indices
    length: int
    fewest: int
    starts: Indices | None = None

    @property
    def first(self) -> Indices:
        """Return the B first rows."""
        return self.ends - self.length if self.starts is None else self.starts

    @property
    def middle(self) -> Floats:
        """Return N levels near the mean of each name's returns: of a few first rows, so later ones do not matter."""
        some = self.returns[:FIRST_ROWS]
        known = np.isfinite(some)
        total = np.where(known, some, 0.0).sum(axis=0)
        return np.asarray(total / np.maximum(known.sum(axis=0), 1))

    def __post_init__(self) -> None:
        if self.returns.ndim != 2 or not self.returns.shape[1]:
            raise UserError("there are no names to weigh")
        if not np.isfinite(self.returns).any(axis=0).all():
            empty = np.flatnonzero(~np.isfinite(self.returns).any(axis=0))
            raise UserError(f"columns without any return: {', '.join(map(str, empty))}")
        if np.isinf(self.returns).any():
            raise UserError(
                f"column {int(np.isinf(self.returns).any(axis=0).argmax())} has an infinite return"
            )
        first = self.first
        fits = (first >= 0) & (first < self.ends) & (self.ends <= len(self.returns))
        if not (fits & (self.ends - first <= self.length)).all():
            raise UserError(f"a window of {self.length} rows does not fit before each end")
        if not 2 <= self.fewest <= self.length:
            raise UserError(
                f"at least 2 and at most {self.length} returns can be asked of a name, not {self.fewest}"
            )


class Moments(NamedTuple):
    """Of B windows: sample variances and who takes part."""

    variance: Floats  # B × N, NaN where a name does not take part
    taking_part: Bools


def rolling_moments(windows: Windows) -> Moments:
    """Return sample variances (ddof 1) of every window from running sums, around each name's overall mean."""
    known = np.isfinite(windows.returns)
    complete = bool(known.all())
    centred = windows.returns - windows.middle
    if not complete:
        centred[~known] = 0.0
    squares = centred * centred
    first, second = _window_sums(centred, windows), _window_sums(squares, windows)
    rows = (windows.ends - windows.first).astype(float)
    count = np.broadcast_to(rows[:, None], first.shape)
    if not complete:
        count = _window_sums(known.astype(float), windows)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (second - first**2 / count) / (count - 1.0)
    taking_part = (count >= windows.fewest) & (variance > _rounding(squares, windows))
    return Moments(np.where(taking_part, variance, np.nan), taking_part)


def _window_sums(values: Floats, windows: Windows) -> Floats:
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return np.asarray(total[windows.ends] - total[windows.first])


def _rounding(squares: Floats, windows: Windows) -> Floats:
    """Return B × N, what running sums leave of a constant price: rounding of the squares before it."""
    return np.asarray(1e-12 * np.maximum.accumulate(squares, axis=0)[windows.ends - 1])


def covariances(windows: Windows, shrink: bool = False) -> Iterator[tuple[slice, Floats, Bools]]:
    """Yield chunks: which windows, their b × n × n covariances, and b × n who takes part.

    A few names without gaps come as one chunk.
    shrink: Ledoit & Wolf (2004, "Honey", appendix B), else the sample. A name that does not take part has
    variance 1 and covariances 0, so that it disturbs nobody.
    """
    keep_freed_memory()
    length, n = windows.length, windows.returns.shape[1]
    size = max(1, CHUNK // (length * n + n * n))
    known = np.isfinite(windows.returns)
    if n <= MOST_NAMES and known.all():
        yield from _from_sums(windows, shrink)
        return
    if n > MOST_PAIRWISE and not shrink and not known.all():
        for number, (end, first) in enumerate(zip(windows.ends, windows.first, strict=True)):
            yield slice(number, number + 1), *_continued_matrix(windows.returns[first:end], windows.fewest)
        return
    back = np.arange(-length, 0)
    for start in range(0, len(windows.ends), size):
        part = slice(start, min(start + size, len(windows.ends)))
        ends, firsts = windows.ends[part], windows.first[part]
        rows = np.maximum(ends[:, None] + back, 0)
        values = windows.returns[rows]
        if known[firsts.min() : ends.max()].all() and (ends - firsts == length).all():
            matrix, taking_part = _complete(values, shrink)
        else:
            outside = rows < firsts[:, None]
            if outside.any():
                values[outside] = np.nan
            matrix, taking_part = _masked(values, windows.fewest, shrink)
        if not taking_part.all():
            both = taking_part[:, :, None] & taking_part[:, None, :]
            matrix = np.where(both, matrix, np.eye(n))
        yield part, matrix, taking_part


def _from_sums(windows: Windows, shrink: bool) -> Iterator[tuple[slice, Floats, Bools]]:
    """Yield the covariances of a few names without gaps from sums over blocks of rows."""
    n = windows.returns.shape[1]
    centred = windows.returns - windows.middle
    rounding = _rounding(centred * centred, windows)
    sums = shrinkage_sums(centred) if shrink and n > 1 else sample_sums(centred)
    size = max(1, SUMS // (sums.total.shape[1] * sums.total.shape[2]))
    for start in range(0, len(windows.ends), size):
        part = slice(start, min(start + size, len(windows.ends)))
        ends, firsts = windows.ends[part], windows.first[part]
        rows = (ends - firsts).astype(float)
        found = sums.between(firsts, ends)
        matrix = sample_of(found[:, :n, : n + 1], rows)
        moving = np.diagonal(matrix, axis1=1, axis2=2) > rounding[part]
        if not moving.all():
            matrix = np.where(moving[:, :, None] & moving[:, None, :], matrix, np.eye(n))
        if shrink and n > 1:
            deviation = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
            matrix = shrunk(matrix, deviation, shrinkage_terms(found, rows, matrix))
            for still in np.flatnonzero(~moving.all(axis=1)):  # who does not move has no part in the target
                window = windows.returns[None, firsts[still] : ends[still]]
                matrix[still] = np.where(np.eye(n), 1.0, 0.0)
                kept = np.ix_(moving[still], moving[still])
                if moving[still].any():
                    matrix[still][kept] = _complete(window[:, :, moving[still]], shrink)[0][0]
        yield part, matrix, moving


def _complete(values: Floats, shrink: bool) -> tuple[Floats, Bools]:
    """Return the covariances of b × w × n returns without gaps; only one product is a matrix product."""
    rows = values.shape[1]
    z = values - values.mean(axis=1, keepdims=True)
    products = z.transpose(0, 2, 1) @ z
    spread = values.max(axis=1) > values.min(axis=1)
    if not shrink or products.shape[1] == 1:
        products /= rows - 1.0
        return products, spread
    products /= rows
    s = products * (rows / (rows - 1.0))
    variance = np.diagonal(s, axis1=1, axis2=2)
    variance = np.where(spread, variance, 1.0)
    deviation = np.sqrt(variance)
    squares = z**2
    # Σij of E[zi² zj²] and of (σj/σi) E[zi³ zj] are sums over time of products of sums over names
    row_squares = squares.sum(axis=2)
    fourth = np.einsum("bt,bt->b", row_squares, row_squares) / rows
    pi_total = fourth - 2 * np.einsum("bij,bij->b", products, s) + np.einsum("bij,bij->b", s, s)
    own_fourth = np.einsum("bti,bti->bi", squares, squares) / rows
    own_products = np.diagonal(products, axis1=1, axis2=2)
    pi_own = own_fourth - 2 * own_products * variance + variance**2
    cubes = ((squares * z) @ (1.0 / deviation)[:, :, None])[:, :, 0]
    plain = (z @ deviation[:, :, None])[:, :, 0]
    theta = np.einsum("bt,bt->b", cubes, plain) / rows - own_fourth.sum(axis=1)
    weighted = (s @ deviation[:, :, None])[:, :, 0]  # Σj σj sij
    weighted_products = (products @ deviation[:, :, None])[:, :, 0]
    theta -= (own_products / deviation * weighted).sum(axis=1) - (own_products * variance).sum(axis=1)
    theta -= (variance / deviation * weighted_products).sum(axis=1) - (variance * own_products).sum(axis=1)
    theta += (variance / deviation * weighted).sum(axis=1) - (variance**2).sum(axis=1)
    return shrunk(s, deviation, (pi_total / rows, pi_own.sum(axis=1) / rows, theta / rows)), spread


class Factor(NamedTuple):
    """Correlations C = z'z + diag(alone) with a unit diagonal, and N standard deviations. z: T × N."""

    z: Floats
    alone: Floats
    deviation: Floats  # 1 where a name does not take part
    taking_part: Bools


def continued(values: Floats, fewest: int) -> Factor:
    """Return the correlations of T × N returns with gaps, positive semidefinite as they stand.

    A missing return is continued by β times what the market did that day (the mean of all standardised returns there
    are), with β from the days that the name has; what the market does not explain of the missing days is
    independent of everybody. That is the factor model's answer to histories that differ in length (Stambaugh
    1997) with one factor, as one step of expectation and maximisation. Variances are those of the name's own returns;
    without gaps the correlations are the sample's.
    """
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    z = np.where(known, filled - mean, 0.0)
    variance = (z * z).sum(axis=0) / np.maximum(count - 1, 1)
    taking_part = (count >= fewest) & (variance > 1e-12 * np.square(filled).max(axis=0))
    deviation = np.where(taking_part, np.sqrt(variance), 1.0)
    z *= taking_part / deviation
    if not known.all():
        market = z.sum(axis=1) / np.maximum((known & taking_part).sum(axis=1), 1)
        beta = (market @ z) / np.maximum((market * market) @ known, 1e-300)
        z += ~known * (market[:, None] * (beta * taking_part))
    z /= np.sqrt(len(values) - 1)
    length = (z * z).sum(axis=0)
    z /= np.sqrt(np.maximum(length, 1.0))
    return Factor(z, np.maximum(1.0 - length, 0.0), deviation, taking_part)


def _continued_matrix(values: Floats, fewest: int) -> tuple[Floats, Bools]:
    factor = continued(values, fewest)
    matrix = factor.z.T @ factor.z
    matrix += np.diag(factor.alone)
    matrix *= factor.deviation[:, None]
    matrix *= factor.deviation
    return matrix[None], factor.taking_part[None]


def _masked(values: Floats, fewest: int, shrink: bool) -> tuple[Floats, Bools]:
    """Return the covariances of b × w × n returns with gaps: each pair over its shared rows."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    high = np.where(known, values, -np.inf).max(axis=1)
    low = np.where(known, values, np.inf).min(axis=1)
    taking_part = (count >= fewest) & (high > low)
    known &= taking_part[:, None, :]
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    z = np.where(known, values - mean[:, None, :], 0.0)
    mask = known.astype(float)
    shared = mask.transpose(0, 2, 1) @ mask
    raw = z.transpose(0, 2, 1) @ z
    n = values.shape[2]
    s = raw / np.maximum(shared - 1.0, 1.0)
    s = np.where(taking_part[:, :, None] & taking_part[:, None, :], s, np.eye(n))
    deviation = np.sqrt(np.diagonal(s, axis1=1, axis2=2))
    thin = (shared < FEWEST_SHARED) & ~np.eye(n, dtype=bool)
    pairs = taking_part[:, :, None] & taking_part[:, None, :] & ~np.eye(n, dtype=bool)
    thick = pairs & ~thin
    scale = deviation[:, :, None] * deviation[:, None, :]
    average = np.where(thick, s / scale, 0.0).sum(axis=(1, 2)) / np.maximum(thick.sum(axis=(1, 2)), 1)
    s = np.where(thin & pairs, average[:, None, None] * scale, s)
    if shrink and n > 1:
        s = _masked_shrunk(z, s, (raw, shared), (thin, pairs), deviation)
    return repaired(s), taking_part


def _masked_shrunk(
    z: Floats, s: Floats, sums: tuple[Floats, Floats], marks: tuple[Bools, Bools], deviation: Floats
) -> Floats:
    raw, shared = sums
    thin, pairs = marks
    rows = np.maximum(shared, 1.0)
    products = raw / rows
    variance = deviation**2
    squares = z**2
    own = np.eye(s.shape[1], dtype=bool)
    inside = (pairs & ~thin) | (own & (shared > 0))
    pi = np.where(inside, squares.transpose(0, 2, 1) @ squares / rows - 2 * products * s + s**2, 0.0)
    own_products = np.diagonal(products, axis1=1, axis2=2)
    theta = (z * squares).transpose(0, 2, 1) @ z / rows
    theta += (variance - own_products)[:, :, None] * s - products * variance[:, :, None]
    theta = np.where(inside & ~own, theta * (deviation[:, None, :] / deviation[:, :, None]), 0.0)
    pi, theta = pi / rows, theta / rows  # a pair's error falls with the rows that it shares
    terms = (pi.sum(axis=(1, 2)), np.trace(pi, axis1=1, axis2=2), theta.sum(axis=(1, 2)))
    return shrunk(s, deviation, terms, pairs)


def shrunk(
    s: Floats,
    deviation: Floats,
    terms: tuple[Floats, Floats, Floats],
    pairs: Bools | None = None,
) -> Floats:
    """Return b covariances shrunk to constant correlation, from Σπ/T, Σπii/T and Σ(σj/σi)θij/T."""
    pi, pi_own, theta = terms
    n = s.shape[1]
    scale = deviation[:, :, None] * deviation[:, None, :]
    if pairs is None:
        average = ((s / scale).sum(axis=(1, 2)) - n) / (n * (n - 1))
        target = average[:, None, None] * scale
    else:
        average = np.where(pairs, s / scale, 0.0).sum(axis=(1, 2)) / np.maximum(pairs.sum(axis=(1, 2)), 1)
        target = np.where(pairs, average[:, None, None] * scale, s)
    place = np.arange(n)
    target[:, place, place] = s[:, place, place]
    apart = s - target
    distance = np.einsum("bij,bij->b", apart, apart)
    rho = pi_own + average * theta
    nothing = distance <= 1e-14 * np.einsum("bij,bij->b", s, s)
    share = np.where(nothing, 0.0, np.clip((pi - rho) / np.where(nothing, 1.0, distance), 0.0, 1.0))
    return np.asarray(s - share[:, None, None] * apart)


def repaired(s: Floats) -> Floats:
    """Raise the correlation eigenvalues of the covariances that gaps left indefinite, variances kept."""
    deviation = np.sqrt(np.diagonal(s, axis1=1, axis2=2))
    scale = deviation[:, :, None] * deviation[:, None, :]
    correlation = s / scale
    try:
        np.linalg.cholesky(correlation - 1e-10 * np.eye(s.shape[1]))
        return s
    except np.linalg.LinAlgError:
        wrong = np.linalg.eigvalsh(correlation)[:, 0] <= 1e-10
    if wrong.any():
        values, vectors = np.linalg.eigh(correlation[wrong])
        raised = (vectors * np.maximum(values, 1e-4)[:, None, :]) @ vectors.transpose(0, 2, 1)
        unit = np.sqrt(np.diagonal(raised, axis1=1, axis2=2))
        s[wrong] = raised / (unit[:, :, None] * unit[:, None, :]) * scale[wrong]
    return s
