"""From a method and limits to weights that keep every limit, or an error that says which limits cannot be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError, UserError
from screener.portfolio.conflicts import find_conflict, refuse
from screener.portfolio.constrained import least_risk
from screener.portfolio.limits import Limit, parse_limits
from screener.portfolio.region import TOLERANCE, Region, find
from screener.portfolio.risk_budget import missed_shares, shares_of
from screener.portfolio.weighting import METHODS, Case, Method, index_review
from screener.universe.model import Theme

Floats = npt.NDArray[np.float64]
MOST_ROUNDS = 5  # of leaving small trades undone
SHOWN = 6


def theme_limits(theme: Theme) -> tuple[Limit, ...]:
    """Return a theme's two caps and its further limits, parsed."""
    caps = [("issuer", theme.max_weight), ("segment", theme.max_segment_weight)]
    stated = tuple(Limit(subject, "", "<=", bound) for subject, bound in caps if bound < 1)
    return (*stated, *parse_limits(theme.limits))


def decide_weights(case: Case, method: Method) -> tuple[Floats, tuple[str, ...]]:
    """Return N weights by a method within the limits, and a sentence for each limit that binds or cannot apply.

    As much is invested as the limits allow. Raises UserError naming the limits that cannot hold together.
    """
    region = case.region
    total = _total(region)
    calm = replace(case, region=region.without("volatility", "trade"), total=total)
    if total < TOLERANCE:
        weights = np.zeros(len(region.names))
    else:
        _check_tracking(region, total)
        weights = method(calm)
    weights, skipped = _without_small_trades(calm, region, method, weights)
    scaled = _at_volatility(region, weights)
    broken = region.broken(scaled)
    if broken:
        _explain(region)
        listed = " and ".join(f'"{each.text}"' for each in broken)
        raise UserError(f"holding cash to keep the limit on volatility would break {listed}")
    weights = _without_dust(scaled)
    return weights, (*_sentences(region, weights, total), *skipped, *_of_the_method(case, method, weights))


def sentences(case: Case, method: Method, weights: Floats) -> tuple[str, ...]:
    """Say of weights that keep all limits with nothing left over what decide_weights would say of them."""
    return (*_sentences(case.region, weights, 1.0), *_of_the_method(case, method, weights))


def _total(region: Region) -> float:
    """Return how much of the wealth is to be placed."""
    most = min((1.0 - each.bound for _, each in region.of("cash") if each.comparison == ">="), default=1.0)
    n = len(region.names)
    calm = region.without("tracking error", "volatility", "trade")
    if not calm.broken(np.full(n, most / n)):
        return most
    total = calm.most_invested()
    if total is None:
        _explain(region)
        raise ScreenerError("no portfolio was found within the limits; loosen one of them")
    return min(total, most)


def _check_tracking(region: Region, total: float) -> None:
    """Raise if no portfolio of this total is near enough to the benchmark."""
    tracked = region.without("volatility")
    if not tracked.cones():
        return
    nearest = least_risk(tracked, total)
    _, bound, factor, offset = tracked.cones()[0]
    least = float(np.linalg.norm(factor @ nearest - offset))
    if least > bound:
        _explain(region)
        limit = region.of("tracking error")[0][1]
        raise UserError(f'"{limit.text}" cannot be kept: {least:.2%} is the least with {total:.1%} invested')


def _explain(region: Region) -> None:
    conflict = find_conflict(region.names, region.limits)
    if conflict is not None:
        raise refuse(region.names, conflict)


def _without_small_trades(
    case: Case, region: Region, method: Method, weights: Floats
) -> tuple[Floats, tuple[str, ...]]:
    """Leave names whose trade would be smaller than the no-trade band as they are held, and weigh the others again."""
    band = max((each.bound for _, each in region.of("trade")), default=0.0)
    held = region.names.held
    if held is None or band <= 0:
        return weights, ()
    calm = case.region
    kept = np.zeros(len(held), dtype=bool)
    for _ in range(MOST_ROUNDS):
        small = (np.abs(weights - held) < band) & (weights != held) & ~kept
        if not small.any():
            return weights, ()
        kept |= small
        if kept.all() and not calm.broken(held):
            return held, ()
        fixed = [
            Limit("name", region.names.symbols[row], sign, float(held[row]))
            for row in np.flatnonzero(kept)
            for sign in ("<=", ">=")
        ]
        narrowed = Region(calm.names, (*calm.limits, *fixed))
        if find(narrowed, total=case.total) is None:
            break
        try:
            weights = np.where(kept, held, method(replace(case, region=narrowed)))
        except ScreenerError:
            break
    left = int(((np.abs(weights - held) < band) & (np.abs(weights - held) > TOLERANCE)).sum())
    return weights, (f"{left} trades stay below the no-trade band of {band:.2%}: the other limits need them",)


def _at_volatility(region: Region, weights: Floats) -> Floats:
    """Scale weights down so that predicted volatility keeps its limit; the rest is cash."""
    bound = min((each.bound for _, each in region.of("volatility")), default=np.inf)
    covariance = region.names.covariance
    if covariance is None or not np.isfinite(bound):
        return weights
    n = len(weights)
    volatility = float(np.sqrt(weights @ covariance[:n, :n] @ weights))
    return weights * min(1.0, bound / volatility) if volatility > 0 else weights


def _without_dust(weights: Floats) -> Floats:
    """Make a sum within rounding of one exactly one."""
    total = float(weights.sum())
    return weights / total if abs(total - 1.0) < 1e-9 else weights


def _sentences(region: Region, weights: Floats, total: float) -> tuple[str, ...]:
    """Say which limits bind and which do not apply."""
    said = []
    at_bound = (np.abs(region.matrix @ weights - region.bound) < 1e-8) & (region.bound != 0)
    binding = [region.rows[row] for row in np.flatnonzero(at_bound)]
    for number, limit in enumerate(region.limits):
        tight = [row.of for row in binding if row.owner == number]
        if tight and not limit.key and limit.subject != "cash":
            said.append(f"{limit.text} binds for {_listed(_as_symbols(region, limit, tight))}")
        elif tight:
            said.append(f"{limit.text} binds")
        said += _other(region, limit, number, weights)
    if total < 1.0 - 1e-9 and not region.of("cash"):
        said.append(f"limits leave {1 - total:.1%} in cash")
    return tuple(said)


def _other(region: Region, limit: Limit, number: int, weights: Floats) -> list[str]:
    """Say of a limit that is not linear in weights that it binds, or that it does not apply."""
    names, held = region.names, weights > 0
    if limit.subject in ("turnover", "trade") and names.held is None:
        return [f"{limit.text} does not apply: nothing is known to be held (--holdings)"]
    if limit.subject == "position" and limit.days and names.capital <= 0:
        return [f"{limit.text} does not apply: no capital is stated (--capital)"]
    if limit.subject == "turnover" and names.held is not None:
        turnover = (float(np.abs(weights - names.held).sum()) + names.sold) / 2
        return [f"{limit.text} binds"] if turnover > limit.bound - 1e-7 else []
    if limit.subject == "names":
        return [f"{limit.text} binds"] if held.sum() >= limit.bound else []
    if limit.subject == "position" and not limit.days:
        at = [s for s, w in zip(names.symbols, weights, strict=True) if 0 < w < limit.bound + 1e-8]
        return [f"{limit.text} binds for {_listed(at)}"] if at else []
    for owner, bound, factor, offset in region.cones():
        if owner == number and np.linalg.norm(factor @ weights - offset) > bound * (1 - 1e-7):
            return [f"{limit.text} binds"]
    return []


def _as_symbols(region: Region, limit: Limit, words: Sequence[str]) -> list[str]:
    """Return the lines of each issuer instead of its key."""
    if limit.subject != "issuer":
        return list(words)
    pairs = list(zip(region.names.symbols, region.names.words("issuer"), strict=True))
    return [" and ".join(symbol for symbol, issuer in pairs if issuer == word) for word in words]


def _of_the_method(case: Case, method: Method, weights: Floats) -> tuple[str, ...]:
    """Say what a method could not follow: shares of the risk that limits forbid, an index's caps that gave way."""
    if not weights.any():
        return ()
    if method is METHODS["index_rule"]:
        return index_review(case).notes
    if method is METHODS["risk_budgets"]:
        marginal = case.covariance @ weights
        risk = weights * marginal / float(weights @ marginal)
        return missed_shares(risk, shares_of(case.budgets, case.region.names), case.region.names)
    return ()


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
