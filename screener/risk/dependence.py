"""Where a portfolio stands on the supply chain, and what is left of it when a node of the chain falls away.

A name is spread evenly over the countries it operates in and over the elements it needs, so that every axis
sums to one; how much of the portfolio touches a key at all is stated beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from screener.errors import UserError, unknown
from screener.universe.model import Instrument, Universe

AXES = ("stage", "element", "china_dependence", "operations", "domicile")
NO_ELEMENT = "none stated"
EXPOSED = ("high", "china-domiciled")


@dataclass(frozen=True, slots=True)
class Node:
    """A country at a stage of the chain."""

    country: str
    stage: str

    def __str__(self) -> str:
        return f"{self.country}:{self.stage}"


@dataclass(frozen=True, eq=False, slots=True)
class DependenceMap:
    """Shares of a portfolio on each axis of AXES, fractions.

    shares: axis → K, summing to 1. touching: axis → K, the share that touches a key, counted whole each time
    (other stages of a name count here only): at least `shares`, summing to 1 or more.
    nodes: country × stage, summing to 1. unverified: the share of names whose facts are not verified "yes".
    lost: the share of the portfolio that stood at the dropped nodes, before the rest was scaled to 1.
    exposed: the share of what is left that stands downstream of a dropped stage and depends on China highly.
    """

    shares: Mapping[str, pd.Series]
    touching: Mapping[str, pd.Series]
    nodes: pd.DataFrame
    unverified: float
    lost: float
    exposed: float


def dependence_map(
    universe: Universe, weights: Mapping[str, float], dropped: Sequence[Node] = ()
) -> DependenceMap:
    """Return where weights stand on the chain, without the dropped nodes.

    weights: symbol → fraction ≥ 0, scaled to sum to 1. A name that operates in several countries loses at a
    dropped node only its part there. Raises UserError when a symbol is unknown, nothing has a weight, or
    nothing is left.
    """
    parts = _parts(universe, weights)
    gone = {(node.country, node.stage) for node in dropped}
    kept = parts[[pair not in gone for pair in zip(parts["operations"], parts["stage"], strict=True)]]
    left = float(kept["share"].sum())
    if left <= 0:
        raise UserError(f"nothing is left of the portfolio without {', '.join(map(str, dropped))}")
    kept = kept.assign(share=kept["share"] / left)
    instruments = universe.instruments
    by_name = kept.groupby("symbol")["share"].sum()
    return DependenceMap(
        shares={axis: _shares(kept, axis, universe) for axis in AXES},
        touching={axis: _touching(by_name, kept, axis, universe) for axis in AXES},
        nodes=kept.pivot_table(
            index="operations", columns="stage", values="share", aggfunc="sum", fill_value=0.0
        ).reindex(columns=[key for key in universe.segments if key in set(kept["stage"])]),
        unverified=float(sum(share for s, share in by_name.items() if instruments[str(s)].verified != "yes")),
        lost=max(1.0 - left, 0.0),
        exposed=_exposed(by_name, universe, dropped),
    )


def parse_node(text: str, universe: Universe) -> Node:
    """Read a node such as "CN:refining". Raises UserError naming what is wrong with it."""
    country, _, stage = text.partition(":")
    countries = sorted({each for one in universe.instruments.values() for each in one.countries})
    if not stage:
        raise UserError(f"--drop {text!r} is not a node; write country and stage, such as CN:refining")
    if stage not in universe.segments:
        raise UserError(f"--drop {text!r}: {unknown('stage', stage, list(universe.segments))}")
    if country.upper() not in countries:
        raise UserError(f"--drop {text!r}: {unknown('country', country.upper(), countries)}")
    return Node(country.upper(), stage)


def _parts(universe: Universe, weights: Mapping[str, float]) -> pd.DataFrame:
    """Return a row a name and country: symbol, operations, stage, share; the shares sum to 1."""
    strangers = sorted(symbol for symbol in weights if symbol not in universe.instruments)
    if strangers:
        raise UserError(*(unknown("symbol", each, list(universe.instruments)) for each in strangers))
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise UserError("a dependence map needs weights that are not negative and not all zero")
    rows = []
    for symbol in sorted(weights):
        each = universe.instruments[symbol]
        for country in each.countries if weights[symbol] > 0 else ():
            share = weights[symbol] / total / len(each.countries)
            rows.append((symbol, country, each.segment, share))
    return pd.DataFrame(rows, columns=["symbol", "operations", "stage", "share"])


def _keys(instrument: Instrument, axis: str, universe: Universe) -> tuple[str, ...]:
    """Return the keys of an axis between which a name is split evenly."""
    if axis == "element":
        return universe.elements_of(instrument) or (NO_ELEMENT,)
    return (instrument.china_dependence if axis == "china_dependence" else instrument.domicile_class,)


def _shares(parts: pd.DataFrame, axis: str, universe: Universe) -> pd.Series:
    if axis in parts.columns:
        totals = parts.groupby(axis)["share"].sum()
    else:
        rows = [
            (key, share / len(keys))
            for symbol, share in parts.groupby("symbol")["share"].sum().items()
            for keys in [_keys(universe.instruments[str(symbol)], axis, universe)]
            for key in keys
        ]
        totals = pd.DataFrame(rows, columns=["key", "share"]).groupby("key")["share"].sum()
    return _sorted(totals, axis, universe)


def _touching(by_name: pd.Series, parts: pd.DataFrame, axis: str, universe: Universe) -> pd.Series:
    touched: dict[str, float] = {}
    left = parts.groupby("symbol")["operations"].agg(tuple)
    for symbol, share in by_name.items():
        each = universe.instruments[str(symbol)]
        if axis == "stage":
            keys = each.segments()
        else:
            keys = left[str(symbol)] if axis == "operations" else _keys(each, axis, universe)
        for key in keys:
            touched[key] = touched.get(key, 0.0) + float(share)
    return _sorted(pd.Series(touched, dtype=float), axis, universe)


def _sorted(totals: pd.Series, axis: str, universe: Universe) -> pd.Series:
    """Return stages in the order of the chain, everything else by size."""
    if axis == "stage":
        return totals.reindex([key for key in universe.segments if key in totals.index])
    return totals.sort_index().sort_values(ascending=False, kind="stable")


def _exposed(by_name: pd.Series, universe: Universe, dropped: Sequence[Node]) -> float:
    if not dropped:
        return 0.0
    first = min(universe.segments[node.stage].order for node in dropped)
    return float(
        sum(
            share
            for symbol, share in by_name.items()
            for each in [universe.instruments[str(symbol)]]
            if each.china_dependence in EXPOSED and universe.segments[each.segment].order > first
        )
    )
