"""How this process deals with memory that its calculations free and soon ask for again."""

from __future__ import annotations

import numpy as np


def keep_freed_memory() -> None:
    """Let what an estimate frees stay with the process, for the next estimate.

    glibc hands larger arrays back to the system, which zeroes them page by page when they are asked for again (750
    page faults an estimate of 50 names, a quarter of its time). Freeing one array of nearly 32 MB, never touched,
    raises the size from which it does so (mallopt(3), M_MMAP_THRESHOLD).
    """
    np.empty(4_190_000)
