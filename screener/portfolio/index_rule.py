"""The index a fund would follow: who enters and stays by a written rule, weighted by size under caps."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from screener.errors import UserError, unknown

Floats = npt.NDArray[np.float64]
SHIPPED = Path(__file__).with_name("index_rules.toml")


@dataclass(frozen=True, slots=True)
class IndexRule:
    """A rule, see index_rules.toml for each field. traded_value_per_weight 0: no such cap."""

    label: str
    purity_to_enter: float
    purity_to_stay: float
    size: float
    traded_value: float
    reviews: int
    max_weight: float
    traded_value_per_weight: float
    fewest_names: int
    shell_seasoning_days: int
    review: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One name at a review. sizes and traded: base currency, this review first, then the previous ones.

    days_since_shell: days since it took over a listed shell, None: it did not.
    """

    symbol: str
    purity: float
    sizes: tuple[float, ...]
    traded: tuple[float, ...]
    days_since_shell: int | None = None


@dataclass(frozen=True, slots=True)
class IndexReview:
    """Weights by symbol, summing to 1 within 1e-12, who is out and why, and which caps had to give way."""

    weights: dict[str, float]
    out: dict[str, str]
    notes: tuple[str, ...]


def index_rule_named(text: str) -> IndexRule:
    """Return a shipped rule by its name, or one of a file of one's own, written FILE:NAME."""
    file, _, name = text.rpartition(":")
    return load_index_rule(name, Path(file) if file else SHIPPED)


def load_index_rule(name: str = "remx_like", file: Path = SHIPPED) -> IndexRule:
    """Return a rule of a file. Raises UserError for an unknown name and for each key that is wrong."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file}: {error}") from None
    if name not in tables or not isinstance(tables[name], dict):
        raise UserError(f"{file.name}: {unknown('index rule', name, list(tables))}")
    table, known = tables[name], {each.name: each.type for each in fields(IndexRule)}
    problems = [
        f"{file.name}: [{name}]: {unknown('key', each, list(known))}" for each in table if each not in known
    ]
    for key, kind in known.items():
        value = table.get(key)
        right = isinstance(value, str) if kind == "str" else _is_number(value)
        if value is None:
            problems.append(f"{file.name}: [{name}]: {key} is missing")
        elif not right:
            problems.append(
                f"{file.name}: [{name}]: {key} {value!r} must be {'text' if kind == 'str' else 'a number'}"
            )
        elif kind != "str" and value < 0:
            problems.append(f"{file.name}: [{name}]: {key} {value!r} is below 0")
    if problems:
        raise UserError(*problems)
    if not 0 < table["max_weight"] <= 1 or table["reviews"] < 1:
        raise UserError(f"{file.name}: [{name}]: max_weight is above 0 and at most 1, reviews at least 1")
    return IndexRule(**table)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def review(rule: IndexRule, candidates: Sequence[Candidate], sitting: Collection[str] = ()) -> IndexReview:
    """Return the index after a review: weights of those that pass, by size under the caps.

    sitting: the symbols in it before, which stay at the lower purity. Raises UserError when nobody passes.
    """
    out = {
        each.symbol: reason for each in candidates if (reason := _reason(rule, each, each.symbol in sitting))
    }
    inside = [each for each in sorted(candidates, key=lambda each: each.symbol) if each.symbol not in out]
    if not inside:
        raise UserError(f"nobody passes the index rule {rule.label!r}")
    caps, notes = _caps(rule, inside)
    weights = capped(np.array([each.sizes[0] for each in inside]), caps)
    return IndexReview(
        {each.symbol: float(weight) for each, weight in zip(inside, weights, strict=True)}, out, notes
    )


def after_deletion(
    rule: IndexRule, index: IndexReview, deleted: str, candidates: Sequence[Candidate]
) -> dict[str, float]:
    """Return weights after a member goes between reviews: its weight is shared out in proportion.

    Only when fewer than `fewest_names` remain the largest candidate that passes and is not in it comes in, at the
    deleted one's weight.
    """
    rest = {symbol: weight for symbol, weight in index.weights.items() if symbol != deleted}
    if len(rest) < rule.fewest_names:
        waiting = [
            each
            for each in candidates
            if each.symbol not in index.weights and not _reason(rule, each, sitting=False)
        ]
        if waiting:
            new = max(waiting, key=lambda each: (each.sizes[0], each.symbol))
            return dict(sorted({**rest, new.symbol: index.weights[deleted]}.items()))
    total = sum(rest.values())
    if not total:
        raise UserError(f"{deleted} was the last member of the index")
    return {symbol: weight / total for symbol, weight in rest.items()}


def capped(sizes: Floats, caps: Floats) -> Floats:
    """Return w = min(cap, λ·size) summing to 1 within 1e-12.

    λ is found exactly: sorted by cap / size, names reach their caps one after another. Raises UserError when the
    caps hold less than everything.
    """
    if caps.sum() < 1.0 - 1e-12:
        raise UserError(f"caps hold {caps.sum():.1%} of the index at most; they cannot sum to one")
    order = np.argsort(caps / sizes, kind="stable")
    ordered, room = sizes[order], caps[order]
    filled = np.concatenate([[0.0], np.cumsum(room)])[:-1]
    left = np.cumsum(ordered[::-1])[::-1]
    level = (1.0 - filled) / left  # λ if the first k names are at their caps
    first = int(np.argmax(level * ordered <= room * (1 + 1e-15)))
    if not level[first] * ordered[first] <= room[first] * (1 + 1e-15):
        return np.asarray(caps / caps.sum())  # every cap is reached: they hold exactly everything
    return np.asarray(np.minimum(caps, level[first] * sizes))


def _caps(rule: IndexRule, inside: Sequence[Candidate]) -> tuple[Floats, tuple[str, ...]]:
    """Return a cap for each name; where they hold too little the thin names' caps give way first, and that is told."""
    n = len(inside)
    top = np.full(n, rule.max_weight)
    notes = []
    if n * rule.max_weight < 1:
        top = np.full(n, 1.0 / n)
        notes.append(
            f"{n} names at {rule.max_weight:.1%} hold less than the index: the cap became {1 / n:.1%}"
        )
    if not rule.traded_value_per_weight:
        return top, tuple(notes)
    thin = np.array([each.traded[0] for each in inside]) / rule.traded_value_per_weight
    caps = np.minimum(top, thin)
    if caps.sum() < 1:
        low, high = 1.0, float((top / thin).max())
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.minimum(top, middle * thin).sum() < 1 else (low, middle)
        caps = np.minimum(top, high * thin)
        notes.append(f"caps by traded value hold too little and were multiplied by {high:.3g}")
    return caps, tuple(notes)


def _reason(rule: IndexRule, each: Candidate, sitting: bool) -> str:
    """Say why a name is not in the index, "" when it is."""
    needed = rule.purity_to_stay if sitting else rule.purity_to_enter
    if each.days_since_shell is not None and each.days_since_shell < rule.shell_seasoning_days:
        return f"took over a shell {each.days_since_shell} days ago, fewer than {rule.shell_seasoning_days}"
    if each.purity < needed:
        return f"purity {each.purity:.0%} is below {needed:.0%} to {'stay' if sitting else 'enter'}"
    for what, values, least in (
        ("size", each.sizes, rule.size),
        ("traded value", each.traded, rule.traded_value),
    ):
        seen = values[: rule.reviews]
        if len(seen) < rule.reviews or not all(value == value for value in seen):
            return f"{what} is not known at {rule.reviews} reviews"
        if min(seen) < least:
            return f"{what} was {min(seen) / 1e6:,.2f} M at one of {rule.reviews} reviews, below {least / 1e6:,.2f} M"
    return ""
