"""Which limits cannot hold together, and the smallest loosening that would let them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from screener.errors import ScreenerError, UserError
from screener.portfolio.constrained import Floats, keeps_cones, least_loosening
from screener.portfolio.limits import Limit
from screener.portfolio.region import Names, Region, find

CONES = ("tracking error", "volatility")
MOST_TRIED = 600  # sets tried to find a smaller one than the first irreducible set


@dataclass(frozen=True, slots=True)
class Conflict:
    """Limits that cannot hold together while any one fewer can, and the loosened limits that would all hold.

    unplaced: fraction of wealth that finds no place when only the cap on cash is given up, 0 if it has no part.
    """

    limits: tuple[Limit, ...]
    relaxed: tuple[tuple[Limit, Limit], ...]  # (as stated, as it would have to be)
    unplaced: float


def find_conflict(names: Names, limits: Sequence[Limit]) -> Conflict | None:
    """Return a smallest set of limits that no portfolio keeps, None when some portfolio keeps all.

    The set is irreducible (deletion filter, Chinneck & Dravnieks 1991), and no smaller set exists among the
    first MOST_TRIED. The loosening has the least sum of relative changes and makes all limits feasible.
    """
    if _feasible(names, limits):
        return None
    core = list(limits)
    for each in limits:
        fewer = [other for other in core if other is not each]
        if not _feasible(names, fewer):
            core = fewer
    for size in range(1, len(core)):
        if comb(len(limits), size) > MOST_TRIED:
            break
        smaller = next((s for s in combinations(limits, size) if not _feasible(names, s)), None)
        if smaller is not None:
            core = list(smaller)
            break
    return Conflict(tuple(core), _loosened(names, limits), _unplaced(names, core))


def refuse(names: Names, conflict: Conflict) -> UserError:
    """Return the error that says what cannot hold together and what would do."""
    region = Region(names, conflict.limits)
    said = [_with_count(region, number) for number in range(len(conflict.limits))]
    together = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    cannot = "cannot be kept" if len(said) == 1 else "cannot hold together"
    reason = f": they leave {_percent(conflict.unplaced)} unplaced" if conflict.unplaced > 1e-6 else ""
    instead = " and ".join(f'"{new.text}" instead of "{old.text}"' for old, new in conflict.relaxed)
    return UserError(
        f"of {len(names)} eligible names no portfolio keeps all limits: {together} {cannot}{reason}. "
        f"The smallest change that does: {instead}"
    )


def _with_count(region: Region, number: int) -> str:
    limit = region.limits[number]
    if limit.key or limit.subject not in ("name", "issuer", "segment", "country", "currency", "dependence"):
        return f'"{limit.text}"'
    groups = len({row.of for row in region.rows if row.owner == number})
    plural = {"country": "countries", "currency": "currencies", "dependence": "classes"}
    what = plural.get(limit.subject, f"{limit.subject}s") if groups != 1 else limit.subject
    return f'"{limit.text}" ({groups} {what})'


def _feasible(names: Names, limits: Sequence[Limit]) -> bool:
    region = Region(names, tuple(limits))
    if not region.cones():
        return find(region) is not None
    if find(region.without(*CONES)) is None or not keeps_cones(region):
        return False
    return not (region.of("names") or region.least_position) or find(region) is not None


def _unplaced(names: Names, core: Sequence[Limit]) -> float:
    floors = [1.0 - each.bound for each in core if each.subject == "cash" and each.comparison == "<="]
    if not floors:
        return 0.0
    others = tuple(each for each in core if not (each.subject == "cash" and each.comparison == "<="))
    most = Region(names, others).most_invested()
    return 0.0 if most is None else max(0.0, max(floors) - most)


def _loosened(names: Names, limits: Sequence[Limit]) -> tuple[tuple[Limit, Limit], ...]:
    """Return the limits that must change, each with its loosened self, verified to be enough."""
    by = _least_loosening(Region(names, tuple(limits)))
    for slack in (0.0, 1e-7, 1e-6, 1e-5, 1e-4):
        changed = [
            each.relaxed(r * (1 + slack) + slack * 1e-2) if r > 1e-9 else each
            for each, r in zip(limits, by, strict=True)
        ]
        if _feasible(names, changed):
            pairs = zip(limits, changed, strict=True)
            return tuple((old, new) for old, new in pairs if old is not new)
    raise ScreenerError("the smallest loosening found does not do; please report this")


def _least_loosening(region: Region) -> Floats:
    """Return by how much each limit is to be loosened, the sum of relative changes being the least there is.

    With a limit on risk beside a least position or a number of names, integers and cones together, tangents are tried;
    where that takes too long, integer limits stay as they are and the rest is loosened as if they were not there.
    """
    prices = np.array([1.0 / max(each.bound, 0.01) for each in region.limits])
    whole = bool(region.of("names") or region.least_position)
    if region.cones() and not whole:
        return least_loosening(region, prices)
    try:
        found = find(region, loosen=prices)
    except ScreenerError:
        return least_loosening(region, prices)
    if found is None:
        raise ScreenerError("no loosening of the limits lets a portfolio exist; please report this")
    return found.loosened


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + " %"
