"""Returns as a covariance is estimated from: each name's own, and what every name did meanwhile.

Where all names close together, "meanwhile" is the same row. Where they do not (see synchronise.py), a return is
paired with every return whose span overlaps its own. Estimators see both cases through the same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import ScreenerError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
FEWEST_SHARED = 10  # a pair with fewer common returns takes the average correlation


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Names whose returns end together: n of the N, over K of the T rows.

    columns: n, which names. ages: K, years from the end of each return to the newest close of all.
    returns: K × n, deviations from each name's mean, annualised (× √periods a year), 0 where there is none.
    alive: K × n, 1 where a return counts, else 0.
    partners: K × N, the sum of every name's deviations whose spans overlap the row's, annualised alike.
    coverage: returns K × N, how many periods of the row's span each name's history covers (1 or 0 on a common
    grid); a function, because few estimators ask.
    """

    columns: Indices
    ages: Floats
    returns: Floats
    alive: Floats
    partners: Floats
    coverage: Callable[[], Floats]

    def newest(self, oldest: float) -> Block:
        """Return the rows whose age is at most `oldest` years."""
        kept = self.ages <= oldest
        return Block(
            self.columns,
            self.ages[kept],
            self.returns[kept],
            self.alive[kept],
            self.partners[kept],
            lambda: self.coverage()[kept],
        )


@dataclass(frozen=True, eq=False, slots=True)
class Observations:
    """Everything an estimator needs to know about N names.

    symbols: N, in any order. counts: N, returns of each name. root: N, √periods a year of each name's exchange.
    joint: T × N simple returns on one grid, NaN where there is none, or None where no grid lines all up.
    common: N × N, how many periods each pair has in common.
    segments: N, the number of each name's segment, −1 for none.
    worth: effective independent rows per row (below 1 where rows overlap).
    """

    symbols: tuple[str, ...]
    blocks: tuple[Block, ...]
    counts: Floats
    root: Floats
    joint: Floats | None
    common: Floats
    segments: Indices
    worth: float = 1.0

    @property
    def periods_per_year(self) -> float:
        """Return the mean over names."""
        return float(np.mean(self.root**2)) if len(self.root) else 0.0

    def total(self, term: Callable[[Block], tuple[Floats, Floats]]) -> Floats:
        """Return N × N sums of left'right, with each block's left K × n and right K × N."""
        n = len(self.symbols)
        result = np.empty((n, n))
        for block in self.blocks:
            left, right = term(block)
            result[block.columns] = left.T @ right
        return result

    def shared(self, weigh: Callable[[Floats], Floats]) -> Floats:
        """Return N × N, the periods that each pair has in common, weighted by age."""
        total = self.total(lambda block: (block.alive * weigh(block.ages)[:, None], block.coverage()))
        return symmetric(total * (self.root[:, None] / self.root[None, :]))

    def centred(self, shift: Floats) -> Observations:
        """Return the observations with N annualised means per period taken off every deviation."""
        blocks = tuple(
            replace(
                each,
                returns=each.returns - each.alive * shift[each.columns],
                partners=each.partners - each.coverage() * shift,
            )
            for each in self.blocks
        )
        return replace(self, blocks=blocks)

    def recent(self, oldest: float) -> Observations:
        """Return the observations whose age is at most `oldest` years, around their own means."""
        blocks = tuple(each.newest(oldest) for each in self.blocks)
        sums, counts = np.zeros(len(self.symbols)), np.zeros(len(self.symbols))
        for block in blocks:
            sums[block.columns] = block.returns.sum(axis=0)
            counts[block.columns] = block.alive.sum(axis=0)
        cut = replace(self, blocks=blocks, counts=counts)
        cut = replace(cut, common=cut.shared(np.ones_like))
        return cut.centred(sums / np.maximum(counts, 1.0))

    def oldest(self) -> Floats:
        """Return N, years from the end of each name's first return to the newest close of all."""
        ages = np.zeros(len(self.symbols))
        for block in self.blocks:
            ages[block.columns] = (block.ages[:, None] * block.alive).max(axis=0)
        return ages

    def noise_ratio(self) -> float:
        """Return the mean sampling variance of a correlation relative to that of one from complete, common rows.

        1 where all close together; up to 2 where each return overlaps two of another exchange's.
        """
        sums = self.total(lambda block: (block.alive, block.partners**2))
        spans = self.total(lambda block: (block.alive, block.coverage()))
        ratio = (sums / np.maximum(spans, 1e-300)) / np.maximum(np.diag(sums) / np.diag(spans), 1e-300)
        off = ~np.eye(len(ratio), dtype=bool)
        return max(1.0, float(ratio[off].mean())) if off.any() else 1.0


def observe(returns: pd.DataFrame, periods_per_year: float, worth: float = 1.0) -> Observations:
    """Return the observations of returns on one grid.

    returns: T × N simple returns, symbols sorted, NaN where a name had none. Raises ScreenerError that names
    what no covariance can be estimated of: see `problems_of`.
    """
    values = returns.to_numpy(dtype=float)
    problems = problems_of(values, [str(each) for each in returns.columns])
    if problems:
        raise ScreenerError(*problems)
    known = np.isfinite(values)
    counts = known.sum(axis=0).astype(float)
    filled = np.where(known, values, 0.0)
    root = np.full(values.shape[1], np.sqrt(periods_per_year))
    deviations = np.where(known, filled - filled.sum(axis=0) / counts, 0.0) * root
    mask = known.astype(float)
    ages = np.arange(len(values))[::-1] / periods_per_year
    block = Block(np.arange(values.shape[1]), ages, deviations, mask, deviations, lambda: mask)
    symbols = tuple(str(each) for each in returns.columns)
    nowhere = np.full(len(symbols), -1, dtype=np.intp)
    return Observations(symbols, (block,), counts, root, values, mask.T @ mask, nowhere, worth)


def with_segments(observations: Observations, segments: Mapping[str, str]) -> Observations:
    """Return the observations with each symbol's segment known; a symbol without one stands alone."""
    names = sorted(set(segments.values()))
    numbers = [names.index(segments[each]) if each in segments else -1 for each in observations.symbols]
    return replace(observations, segments=np.array(numbers, dtype=np.intp))


def problems_of(values: Floats, symbols: list[str]) -> list[str]:
    """Say what makes a covariance of T × N returns impossible, a line for each fault, naming the symbols.

    Looks for: no name at all, a symbol twice, an infinite return, fewer than two returns, a price that never
    moves, and two names whose returns are the same throughout.
    """
    if not symbols:
        return ["a covariance needs at least one name; none was given"]
    if _sound(values, symbols):
        return []
    problems = []
    twice = sorted({each for each in symbols if symbols.count(each) > 1})
    if twice:
        problems.append(f"{', '.join(twice)} {'is' if len(twice) == 1 else 'are'} given more than once")
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    spread = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf) - np.where(
        known, values, np.inf
    ).min(axis=0, initial=np.inf)
    faults: tuple[tuple[str, Bools], ...] = (
        ("an infinite return", np.isinf(values).sum(axis=0) > 0),
        ("no return at all", counts == 0),
        ("a single return", counts == 1),
        ("a price that never moves, so its variance is zero", (counts > 1) & (spread <= 0)),
    )
    for fault, found in faults:
        names = [each for each, bad in zip(symbols, found, strict=True) if bad]
        if names:
            problems.append(f"no variance can be estimated for {', '.join(names)}: {fault}")
    return problems + [f"{pair} have the same returns: drop one" for pair in _twins(values, known, symbols)]


def _sound(values: Floats, symbols: list[str]) -> bool:
    """Say of most returns, in little time, that they have no problem."""
    if len(values) < 2 or len(set(symbols)) < len(symbols):
        return False
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    if counts.min() < 2 or np.isinf(values).any():
        return False
    filled = np.where(known, values, 0.0)
    newest = values[len(values) - 1 - known[::-1].argmax(axis=0), np.arange(len(symbols))]
    moves = ((filled != newest) & known).any(axis=0)
    return bool(moves.all() and (np.diff(np.sort(filled.sum(axis=0))) > 0).all())


def _twins(values: Floats, known: Bools, symbols: list[str]) -> list[str]:
    """Return the pairs of different names whose returns are equal throughout."""
    sums = np.where(known, values, 0.0).sum(axis=0)
    order = np.argsort(sums, kind="stable")
    return [
        f"{symbols[a]} and {symbols[b]}"
        for a, b in pairwise(order)
        if sums[a] == sums[b]
        and known[:, a].sum() > 2
        and symbols[a] != symbols[b]
        and np.array_equal(values[:, a], values[:, b], equal_nan=True)
    ]


def symmetric(matrix: Floats) -> Floats:
    """Return the mean of a matrix and its transpose."""
    return np.asarray((matrix + matrix.T) / 2)
