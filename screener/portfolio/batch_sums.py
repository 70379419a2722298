"""Sums of products of returns over any windows, from sums over short blocks of rows that all windows share.

Used for windows without gaps of up to MOST_NAMES names. A window's sums are those up to its end less those up to its
start, and sums up to a row follow from the rows before it alone, whatever windows are asked for with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
BLOCK = 8  # rows; longer ones leave more rows over at both ends of a window, shorter ones make more sums
MOST_NAMES = 40


@dataclass(frozen=True, eq=False, slots=True)
class BlockSums:
    """left: T × M, right: T × K of which sums of left'right are asked. total: their sums up to each whole block."""

    left: Floats
    right: Floats
    total: Floats  # (T // BLOCK + 1) × M × K

    @staticmethod
    def of(left: Floats, right: Floats) -> BlockSums:
        """Add up T × M and T × K block by block."""
        blocks = len(left) // BLOCK
        shape = (blocks, BLOCK, -1)
        total = np.zeros((blocks + 1, left.shape[1], right.shape[1]))
        rows = left[: blocks * BLOCK].reshape(shape).transpose(0, 2, 1)
        np.matmul(rows, right[: blocks * BLOCK].reshape(shape), out=total[1:])
        np.cumsum(total[1:], axis=0, out=total[1:])
        return BlockSums(left, right, total)

    def before(self, rows: Indices) -> Floats:
        """Return the B × M × K sums over all rows before each of B rows."""
        blocks, rest = np.divmod(rows, BLOCK)
        over = np.minimum(blocks[:, None] * BLOCK + np.arange(BLOCK), len(self.left) - 1)
        inside = np.arange(BLOCK) < rest[:, None]
        left = np.where(inside[:, :, None], self.left[over], 0.0)
        return np.asarray(self.total[blocks] + left.transpose(0, 2, 1) @ self.right[over])

    def between(self, starts: Indices, ends: Indices) -> Floats:
        """Return the B × M × K sums over the rows from each start up to each end."""
        return self.before(ends) - self.before(starts)


def sample_sums(values: Floats) -> BlockSums:
    """Return what `sample_of` needs of T × n returns."""
    return BlockSums.of(values, np.column_stack([values, np.ones(len(values))]))


def shrinkage_sums(values: Floats) -> BlockSums:
    """Return what `ledoit_wolf_of` needs of T × n returns."""
    squares = values * values
    square = squares.sum(axis=1)
    left = np.column_stack([values, squares, values * squares, square])
    return BlockSums.of(left, np.column_stack([values, np.ones(len(values)), square]))


def sample_of(sums: Floats, rows: Floats) -> Floats:
    """Return B sample covariances (ddof 1) from B × n × (n + 1) sums over B numbers of rows."""
    n = sums.shape[1]
    first = sums[:, :, n]
    matrix = sums[:, :, :n] - first[:, :, None] * first[:, None, :] / rows[:, None, None]
    return np.asarray(matrix / (rows[:, None, None] - 1.0))


def shrinkage_terms(sums: Floats, rows: Floats, s: Floats) -> tuple[Floats, Floats, Floats]:
    """Return Σπ/T, Σπii/T and Σ(σj/σi)θij/T of Ledoit & Wolf (2004, "Honey", appendix B) for B windows.

    sums: B × (3n + 1) × (n + 2) of `shrinkage_sums`. s: B × n × n, their sample covariances. With y the returns and m
    a window's means, deviations are z = y − m and every moment of z unfolds into sums of products of y:
    Σt (Σi zi²)² for Σπ, Σt zi³ zj for θ.
    """
    n = s.shape[1]
    product, squared, cubed = sums[:, :n, :n], sums[:, n : 2 * n, :n], sums[:, 2 * n : 3 * n, :n]
    first, third = sums[:, :n, n], np.diagonal(squared, axis1=1, axis2=2)
    second, fourth = np.diagonal(product, axis1=1, axis2=2), np.diagonal(cubed, axis1=1, axis2=2)
    t = rows[:, None]
    m = first / t
    m2, m3 = m * m, m * m * m
    length, pulled = m2.sum(axis=1), _times(product, m)
    # Σt qt², Σt qt yt and Σt qt with qt = Σi yi²
    quartic, along, total = sums[:, 3 * n, n + 1], sums[:, 3 * n, :n], sums[:, 3 * n, n]
    fours = (
        quartic + 4 * _dot(m, pulled) - 3 * rows * length**2 - 4 * _dot(m, along) + 2 * length * total
    ) / rows
    own = (fourth - 4 * m * third + 6 * m2 * second - 4 * m3 * first + t * m2 * m2) / t

    variance = np.diagonal(s, axis1=1, axis2=2)
    deviation = np.sqrt(variance)
    inverse = 1.0 / deviation
    over, across = _times(cubed, deviation), _times(squared, deviation)
    plain = _times(product, deviation)
    level = _dot(first, deviation)
    theta = _dot(inverse, over) - 3 * _dot(inverse * m, across) + 3 * _dot(inverse * m2, plain)
    theta -= _dot(inverse, m3) * level
    theta -= _dot(m, deviation) * _dot(inverse, third - 3 * m * second + 3 * m2 * first - t * m3)
    theta = theta / rows - own.sum(axis=1)

    shrink = (rows - 1.0) / rows  # from s to mean products
    squares = np.einsum("bij,bij->b", s, s)
    weighted = _times(s, deviation)  # Σj σj sij
    own_products = variance * shrink[:, None]
    pi = fours - 2 * shrink * squares + squares
    pi_own = (own - 2 * own_products * variance + variance**2).sum(axis=1)
    theta -= _dot(own_products * inverse, weighted) - _dot(own_products, variance)
    theta -= shrink * (_dot(variance * inverse, weighted) - _dot(variance, variance))
    theta += _dot(variance * inverse, weighted) - _dot(variance, variance)
    return pi / rows, pi_own / rows, theta / rows


def _dot(left: Floats, right: Floats) -> Floats:
    return np.asarray((left * right).sum(axis=1))


def _times(matrix: Floats, vector: Floats) -> Floats:
    return np.asarray((matrix @ vector[:, :, None])[:, :, 0])
