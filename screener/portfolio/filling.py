"""A portfolio within caps found without a linear program, and the proof that none is larger where there is one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def filled(matrix: Floats, bound: Floats, total: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Raise all weights from zero together, each until a row is full, and say which rows are. M × N ≥ 0, M ≥ 0.

    Ends when the weights sum to the total or none can rise: a portfolio within the rows, not always the fullest.
    """
    weights, rising = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1], dtype=bool)
    full = np.zeros(len(bound), dtype=bool)
    while rising.any():
        rates = matrix @ rising
        room = bound - matrix @ weights
        used = rates > 0
        step = float((room[used] / rates[used]).min(initial=np.inf))
        left = (total - float(weights.sum())) / float(rising.sum())
        if step >= left:
            return weights + left * rising, full
        weights = weights + max(step, 0.0) * rising
        now = used & (room - step * rates <= 1e-14)
        full |= now
        rising = rising & ~(matrix[now] > 0).any(axis=0)
    return weights, full


def shared_out(rows: Floats) -> bool:
    """Say whether some of K full rows of ones share out all names: then no portfolio places more than they hold.

    That is linear programming's duality with multipliers of one; larger groups are tried first.
    """
    covered = np.zeros(rows.shape[1])
    for row in sorted(rows, key=lambda each: -each.sum()):
        if not (covered * row).any() and set(row) <= {0.0, 1.0}:
            covered = covered + row
    return bool((covered == 1.0).all())


def scaled_to_caps(raw: Floats, matrix: Floats, bound: Floats, total: float) -> Floats | None:
    """Return the weights of a total within caps that are nearest to raw ones by relative entropy, where that is simple.

    raw: N, > 0. Where the caps that bind are on groups with no name in common, each of those groups is scaled to its
    cap and all other names by one factor, which is at least that of every capped group: then the multipliers of
    the caps, the logarithms of the ratios, are not negative, and the point is the optimum. Else None.
    """
    if not np.isin(matrix, (0.0, 1.0)).all():
        return None
    capped = np.zeros(len(bound), dtype=bool)
    for _ in range(len(bound) + 1):
        inside = matrix[capped].sum(axis=0)
        if (inside > 1).any():
            return None
        groups = matrix[capped]
        factors = bound[capped] / (groups @ raw)
        free = inside == 0
        left, mass = total - float(bound[capped].sum()), float(raw[free].sum())
        if mass <= 0 or left <= 0:
            return None
        common = left / mass
        if (factors > common * (1 + 1e-12)).any():
            return None
        weights = np.where(free, raw * common, raw * (factors @ groups))
        over = ~capped & (matrix @ weights > bound + 1e-12)
        if not over.any():
            return weights
        capped |= over
    return None
