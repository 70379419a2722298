"""Apply a ScreenSpec to a metrics table: who passes, why the others do not, and in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screener.errors import UserError, raise_all, unknown
from screener.screening.metrics import percentiles
from screener.screening.where import judge
from screener.screening.words import RULED, why_not
from screener.universe.model import ScreenRule, ScreenSpec

COMPARISONS = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}
NEAR = 0.10  # of a bound: how little a name may miss one rule by to be a near miss


@dataclass(frozen=True, eq=False, slots=True)
class ScreenResult:
    """The outcome of one screen.

    metrics: N × M, every symbol that was judged. passed: N × R bool, one column a rule, named like "adv >= 1e+06".
    margins: N × R, by how much a rule is met (negative: missed), in the metric's unit, NaN where unknown.
    score: N, weighted mean percentile in [0, 1] among those that pass, NaN for the others.
    rank: those that pass → 1, 2, … best first. reasons: each rejected symbol → its reasons with numbers.
    near: those that miss one rule alone, by little, nearest first. facts: N × F, what the universe states.
    """

    spec: ScreenSpec
    metrics: pd.DataFrame
    passed: pd.DataFrame
    score: pd.Series
    rank: pd.Series
    reasons: Mapping[str, tuple[str, ...]]
    margins: pd.DataFrame
    near: tuple[str, ...]
    facts: pd.DataFrame

    @property
    def screen(self) -> str:
        """Return the key of the screen."""
        return self.spec.key


@dataclass(frozen=True, eq=False, slots=True)
class Facts:
    """What a screen needs beside the metrics: N × F texts and numbers by symbol, and the money's currency."""

    table: pd.DataFrame
    currency: str = ""


def parse_rule(text: str) -> ScreenRule:
    """Read a rule such as "adv>=2e6". Raises UserError naming what is wrong with it."""
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|>|<)\s*([-+.\w]+)\s*", text)
    try:
        metric, comparison, bound = match.groups() if match else ("", "", "")
        rule = ScreenRule(metric, comparison, float(bound))
    except ValueError:
        rule = None
    if rule is None or not np.isfinite(rule.bound):
        raise UserError(
            f"--rule {text!r} is not a rule; write metric, comparison and number, such as 'adv>=2e6'"
        )
    if rule.metric not in RULED:
        raise UserError(f"--rule {text!r}: {unknown('metric', rule.metric, list(RULED))}")
    return rule


def rule_name(rule: ScreenRule) -> str:
    """Return a rule as it heads its column: "adv >= 1e+06". Different rules have different names."""
    short = f"{rule.bound:g}"
    return f"{rule.metric} {rule.comparison} {short if float(short) == rule.bound else repr(rule.bound)}"


def parse_ranking(text: str) -> tuple[tuple[str, float], ...]:
    """Read a ranking such as "momentum_12_1:0.6,volatility:-0.4". Raises UserError with every fault of it."""
    ranking: list[tuple[str, float]] = []
    problems = []
    for part in text.split(","):
        name, _, weight = (each.strip() for each in part.partition(":"))
        if name not in RULED:
            problems.append(f"--rank {text!r}: {unknown('metric', name, list(RULED))}")
        elif not re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+", weight) or not float(weight):
            problems.append(
                f"--rank {text!r}: write {name}:WEIGHT, such as volatility:-0.4, for {part.strip()!r}"
            )
        elif name in dict(ranking):
            problems.append(f"--rank {text!r} names {name} twice")
        else:
            ranking.append((name, float(weight)))
    raise_all(problems)
    return tuple(ranking)


def evaluate(spec: ScreenSpec, metrics: pd.DataFrame, facts: Facts | None = None) -> ScreenResult:
    """Judge every symbol of a metrics table. A missing metric fails its rule and is named.

    metrics: N × M as compute_metrics gives it. facts: needed where the screen has an SQL condition over them or
    ranks within segments. Raises UserError for a metric or comparison that is unknown, for a ranking in which
    every weight is 0, and for a condition that is none.
    """
    raise_all([f"screen {spec.key!r}: {each}" for each in spec_problems(spec)])
    facts = facts or Facts(pd.DataFrame(index=metrics.index))
    asked = {*(rule.metric for rule in spec.rules), *dict(spec.rank_by)}
    raise_all(
        [
            f"screen {spec.key!r}: {each} is not point in time and has to be asked for with --fundamentals"
            for each in sorted(asked - set(metrics.columns))
        ]
    )
    columns = {rule_name(rule): _holds(rule, metrics[rule.metric]) for rule in spec.rules}
    conditioned = {}
    if spec.where:
        judged = judge(spec.where, facts.table.join(metrics), option=f"screen {spec.key!r}, where")
        columns[spec.where] = judged.holds
        conditioned = {str(symbol): lacked for symbol, lacked in judged.lacks.items()}
    passed = pd.DataFrame(columns, index=metrics.index, dtype=bool)
    passing = passed.all(axis=1)
    groups = (
        {str(symbol): str(segment) for symbol, segment in facts.table["segment"].items()}
        if spec.within == "segment"
        else None
    )
    score = _score(spec, metrics[passing], groups).reindex(metrics.index)
    ordered = score[passing].sort_index().sort_values(ascending=False, kind="stable").index
    margins = pd.DataFrame(
        {rule_name(rule): _margin(rule, metrics[rule.metric]) for rule in spec.rules}, index=metrics.index
    )
    return ScreenResult(
        spec=spec,
        metrics=metrics,
        passed=passed,
        score=score,
        rank=pd.Series(np.arange(1, len(ordered) + 1), index=ordered, dtype="int64"),
        reasons=_reasons(spec, metrics[~passing], passed[~passing], conditioned, facts.currency),
        margins=margins,
        near=_near_misses(spec, metrics, passed, margins),
        facts=facts.table,
    )


def spec_problems(spec: ScreenSpec) -> list[str]:
    """Return what a screen asks for that does not exist, a sentence each."""
    asked = [*(rule.metric for rule in spec.rules), *(name for name, _ in spec.rank_by)]
    problems = [unknown("metric", metric, list(RULED)) for metric in asked if metric not in RULED]
    problems += [
        unknown("comparison", rule.comparison, list(COMPARISONS))
        for rule in spec.rules
        if rule.comparison not in COMPARISONS
    ]
    if spec.rank_by and not any(weight for _, weight in spec.rank_by):
        problems.append("every weight of rank_by is 0; give one metric a weight")
    if spec.within not in ("", "segment"):
        problems.append(f"within {spec.within!r} is unknown; write segment")
    return problems


def _holds(rule: ScreenRule, values: pd.Series) -> pd.Series:
    known = values.notna()
    return known & COMPARISONS[rule.comparison](values.fillna(0.0), rule.bound)


def _margin(rule: ScreenRule, values: pd.Series) -> pd.Series:
    return values - rule.bound if rule.comparison.startswith(">") else rule.bound - values


def _reasons(
    spec: ScreenSpec,
    metrics: pd.DataFrame,
    passed: pd.DataFrame,
    lacked: Mapping[str, str],
    currency: str,
) -> dict[str, tuple[str, ...]]:
    """Return each rejected symbol's reasons; `lacked` names the columns its condition could not know."""
    reasons: dict[str, list[str]] = {str(symbol): [] for symbol in metrics.index}
    for rule, held in zip(spec.rules, passed.to_numpy().T, strict=False):
        for symbol, value, holds in zip(reasons, metrics[rule.metric].to_numpy(), held, strict=True):
            if not holds:
                reasons[symbol].append(why_not(rule, float(value), currency))
    if spec.where:
        for symbol, holds in zip(reasons, passed[spec.where].to_numpy(), strict=True):
            missing = lacked[symbol]
            if not holds:
                words = f"{missing} is unknown, which {spec.where} needs" if missing else f"not {spec.where}"
                reasons[symbol].append(words)
    return {symbol: tuple(why) for symbol, why in reasons.items()}


def _near_misses(
    spec: ScreenSpec, metrics: pd.DataFrame, passed: pd.DataFrame, margins: pd.DataFrame
) -> tuple[str, ...]:
    """Return who misses one rule alone by at most NEAR of its bound (of the metric's spread for a bound of 0)."""
    short: dict[str, float] = {}
    once = (~passed).sum(axis=1).to_numpy() == 1
    for rule in spec.rules:
        spread = float(metrics[rule.metric].std())
        scale = abs(rule.bound) or (spread if spread > 0 else 1.0)
        rows = once & ~passed[rule_name(rule)].to_numpy()
        missed = -margins[rule_name(rule)].to_numpy()[rows] / scale
        symbols = [str(each) for each in metrics.index[rows]]
        short.update(
            (symbol, by) for symbol, by in zip(symbols, missed, strict=True) if by <= NEAR * (1 + 1e-9)
        )
    return tuple(sorted(short, key=lambda symbol: (short[symbol], symbol)))


def _score(spec: ScreenSpec, metrics: pd.DataFrame, groups: Mapping[str, str] | None) -> pd.Series:
    """Return the weighted mean percentile of each passing symbol; an unknown metric counts as the worst."""
    total = sum(abs(weight) for _, weight in spec.rank_by)
    directed = pd.DataFrame({name: metrics[name] * np.sign(weight) for name, weight in spec.rank_by})
    ranked = percentiles(directed, groups).fillna(0.0)
    score = pd.Series(0.0, index=metrics.index)
    for name, weight in spec.rank_by:
        score += abs(weight) / total * ranked[name]
    return score
