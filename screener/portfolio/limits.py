"""Caps on a portfolio, and the weights nearest to the raw ones that keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Limits:
    """Caps per issuer and per segment for N symbols. Lines of one issuer share its cap and first line's segment."""

    symbols: tuple[str, ...]
    issuers: tuple[str, ...]  # N
    segments: tuple[str, ...]  # N
    max_weight: float = 1.0  # per issuer, fraction of wealth
    max_segment_weight: float = 1.0

    def __post_init__(self) -> None:
        if not len(self.symbols) == len(self.issuers) == len(self.segments):
            raise ValueError("symbols, issuers and segments must have one length")
        for name in ("max_weight", "max_segment_weight"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")

    def issuer_numbers(self) -> tuple[list[str], Indices]:
        """Return the K issuers in order of appearance, and for each symbol which one it is."""
        return _numbered(self.issuers)

    def segment_of_issuer(self) -> tuple[list[str], Indices]:
        """Return the segments, and for each of the K issuers which one it counts to."""
        names, _ = self.issuer_numbers()
        first = {
            issuer: segment
            for issuer, segment in zip(reversed(self.issuers), reversed(self.segments), strict=True)
        }
        return _numbered([first[name] for name in names])

    def capacity(self, held: npt.NDArray[np.bool_] | None = None) -> float:
        """Return how much of the wealth the caps can hold in the symbols marked as held (default: all)."""
        _, issuer = self.issuer_numbers()
        _, segment = self.segment_of_issuer()
        present = np.bincount(issuer[held if held is not None else slice(None)], minlength=len(segment)) > 0
        per_segment = np.bincount(segment, weights=self.max_weight * present)
        return float(np.minimum(per_segment, self.max_segment_weight).sum())


def project(raw: Floats, limits: Limits) -> tuple[Floats, float, tuple[str, ...]]:
    """Return N weights within the limits, the cash they leave, and a sentence for each limit that binds.

    raw: N, ≥ 0, summing to 1. The result minimises the relative entropy to raw (Csiszár 1975, I-projection):
    w = min(cap, λ·raw) with one λ for every segment below its cap and a smaller one within each segment at
    it, so names that no cap touches keep their proportions. Caps hold to 1e-12; what they cannot hold is cash.
    """
    if not len(raw):
        return raw, 1.0, ()
    issuers, issuer = limits.issuer_numbers()
    segments, segment = limits.segment_of_issuer()
    wanted = np.bincount(issuer, weights=raw).astype(np.float64)
    total = min(1.0, limits.capacity(raw > 0))
    filled = _fill_segments(wanted, segment, limits, total)
    share = np.divide(raw, wanted[issuer], out=np.zeros_like(raw), where=wanted[issuer] > 0)
    weights = filled[issuer] * share
    cash = max(0.0, 1.0 - float(weights.sum()))
    if cash < 1e-12:
        weights, cash = weights / weights.sum(), 0.0
    return weights, cash, _sentences(limits, (issuers, filled), (segments, segment), cash)


def _fill_segments(wanted: Floats, segment: Indices, limits: Limits, total: float) -> Floats:
    """Fill issuers in proportion to what is wanted, capping segments; capping one only raises the others."""
    cap = limits.max_segment_weight
    at_cap = np.zeros(segment.max() + 1, dtype=bool)
    filled = np.zeros_like(wanted)
    while True:
        free = ~at_cap[segment]
        filled[free] = _fill(wanted[free], limits.max_weight, total - cap * at_cap.sum())
        over = (np.bincount(segment, weights=filled) > cap + 1e-13) & ~at_cap
        if not over.any():
            return filled
        at_cap |= over
        for number in np.flatnonzero(over):
            inside = segment == number
            filled[inside] = _fill(wanted[inside], limits.max_weight, cap)


def _fill(wanted: Floats, cap: float, total: float) -> Floats:
    """Return min(cap, λ·wanted) summing to total, or all at the cap when they cannot hold it."""
    at_cap = np.zeros(len(wanted), dtype=bool)
    while True:
        free = ~at_cap & (wanted > 0)
        left = total - cap * at_cap.sum()
        if left <= 0 or not free.any():
            return np.where(at_cap, cap, 0.0)
        scaled = np.where(free, wanted * (left / wanted[free].sum()), 0.0)
        over = free & (scaled > cap)
        if not over.any():
            return np.where(at_cap, cap, scaled)
        at_cap |= over


def _sentences(
    limits: Limits, issuers: tuple[list[str], Floats], segments: tuple[list[str], Indices], cash: float
) -> tuple[str, ...]:
    names, filled = issuers
    labels, segment = segments
    lines_of = {
        name: [s for s, i in zip(limits.symbols, limits.issuers, strict=True) if i == name] for name in names
    }
    said = [
        f"{' and '.join(lines_of[name])} at the cap of {limits.max_weight:.1%} per issuer"
        for name, weight in zip(names, filled, strict=True)
        if limits.max_weight < 1 and weight > limits.max_weight - 1e-9
    ]
    totals = np.bincount(segment, weights=filled, minlength=len(labels))
    said += [
        f"segment {label} at its cap of {limits.max_segment_weight:.1%}"
        for label, weight in zip(labels, totals, strict=True)
        if limits.max_segment_weight < 1 and weight > limits.max_segment_weight - 1e-9
    ]
    if cash > 1e-9:
        said.append(
            f"caps leave {cash:.1%} in cash: {int((filled > 0).sum())} issuers at {limits.max_weight:.1%} each, "
            f"{len(set(segment[filled > 0]))} segments at {limits.max_segment_weight:.1%} each"
        )
    return tuple(said)


def _numbered(names: Sequence[str]) -> tuple[list[str], Indices]:
    order: dict[str, int] = {}
    numbers = [order.setdefault(name, len(order)) for name in names]
    return list(order), np.array(numbers, dtype=np.intp)
