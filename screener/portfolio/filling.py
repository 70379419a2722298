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
