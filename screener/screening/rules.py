"""Apply a ScreenSpec to a metrics table: who passes, why the others do not, and in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screener.errors import UserError, raise_all, unknown
from screener.screening.metrics import METRICS, metric_named
from screener.universe.model import ScreenRule, ScreenSpec

COMPARISONS = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}
FALLS_SHORT = {">=": "below", ">": "not above", "<=": "above", "<": "not below"}


@dataclass(frozen=True, eq=False, slots=True)
class ScreenResult:
    """The outcome of one screen.

    metrics: N × M, every symbol that was judged. passed: N × R bool, one column a rule, named like "adv >= 1e+06".
    score: N, weighted mean percentile in [0, 1] among those that pass, NaN for the others.
    rank: those that pass → 1, 2, … best first. reasons: each rejected symbol → its reasons with numbers.
    """

    screen: str
    metrics: pd.DataFrame
    passed: pd.DataFrame
    score: pd.Series
    rank: pd.Series
    reasons: Mapping[str, tuple[str, ...]]


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
    if rule.metric not in METRICS:
        raise UserError(f"--rule {text!r}: {unknown('metric', rule.metric, list(METRICS))}")
    return rule


def rule_name(rule: ScreenRule) -> str:
    """Return a rule as it heads its column: "adv >= 1e+06". Different rules have different names."""
    short = f"{rule.bound:g}"
    return f"{rule.metric} {rule.comparison} {short if float(short) == rule.bound else repr(rule.bound)}"


def describe(rule: ScreenRule) -> str:
    """Return a rule as a reader wants it: "volatility ≤ 60.0%"."""
    metric = metric_named(rule.metric)
    sign = {">=": "≥", "<=": "≤"}.get(rule.comparison, rule.comparison)
    return f"{metric.label} {sign} {_shown(rule.bound, metric.unit)}"


def evaluate(spec: ScreenSpec, metrics: pd.DataFrame) -> ScreenResult:
    """Judge every symbol of a metrics table. A missing metric fails its rule and is named.

    metrics: N × M as compute_metrics gives it. Raises UserError for a metric or comparison that is unknown,
    and for a ranking in which every weight is 0.
    """
    raise_all([f"screen {spec.key!r}: {each}" for each in spec_problems(spec)])
    passed = pd.DataFrame(
        {rule_name(rule): _holds(rule, metrics[rule.metric]) for rule in spec.rules},
        index=metrics.index,
        dtype=bool,
    )
    passing = passed.all(axis=1)
    score = _score(spec, metrics[passing]).reindex(metrics.index)
    ordered = score[passing].sort_index().sort_values(ascending=False, kind="stable").index
    failing = metrics.index[~passing]
    return ScreenResult(
        screen=spec.key,
        metrics=metrics,
        passed=passed,
        score=score,
        rank=pd.Series(np.arange(1, len(ordered) + 1), index=ordered, dtype="int64"),
        reasons={
            str(symbol): tuple(
                _reason(rule, float(metrics[rule.metric][str(symbol)]))
                for rule in spec.rules
                if not passed.at[symbol, rule_name(rule)]
            )
            for symbol in failing
        },
    )


def spec_problems(spec: ScreenSpec) -> list[str]:
    """Return what a screen asks for that does not exist, a sentence each."""
    asked = [*(rule.metric for rule in spec.rules), *(name for name, _ in spec.rank_by)]
    problems = [unknown("metric", metric, list(METRICS)) for metric in asked if metric not in METRICS]
    problems += [
        unknown("comparison", rule.comparison, list(COMPARISONS))
        for rule in spec.rules
        if rule.comparison not in COMPARISONS
    ]
    if spec.rank_by and not any(weight for _, weight in spec.rank_by):
        problems.append("every weight of rank_by is 0; give one metric a weight")
    return problems


def _holds(rule: ScreenRule, values: pd.Series) -> pd.Series:
    known = values.notna()
    return known & COMPARISONS[rule.comparison](values.fillna(0.0), rule.bound)


def _score(spec: ScreenSpec, metrics: pd.DataFrame) -> pd.Series:
    """Return the weighted mean percentile of each passing symbol; an unknown metric counts as the worst."""
    total = sum(abs(weight) for _, weight in spec.rank_by)
    score = pd.Series(0.0, index=metrics.index)
    for name, weight in spec.rank_by:
        directed = metrics[name] if weight > 0 else -metrics[name]
        percentile = directed.rank(method="average", na_option="keep")
        known = max(int(percentile.notna().sum()), 1)
        score += abs(weight) / total * (((percentile - 0.5) / known).fillna(0.0))
    return score


def _reason(rule: ScreenRule, value: float) -> str:
    label = METRICS[rule.metric].label
    if np.isnan(value):
        return f"{label} is unknown"
    unit, extra = METRICS[rule.metric].unit, 0
    # a near miss gets the decimals that tell the two numbers apart
    while value != rule.bound and _shown(value, unit, extra) == _shown(rule.bound, unit, extra) and extra < 9:
        extra += 1
    bound = _shown(rule.bound, unit, extra)
    return f"{label} {_shown(value, unit, extra)} is {FALLS_SHORT[rule.comparison]} {bound}"


def _shown(value: float, unit: str, extra: int = 0) -> str:
    """Return a value as a person reads it, with `extra` decimals more than usual."""
    sign = "−" if value < 0 else ""
    size = abs(value)
    if unit == "fraction":
        return f"{sign}{size:.{1 + extra}%}"
    if unit == "base currency":
        return f"{sign}{size / 1e6:,.{2 + extra}f} M"
    return f"{sign}{size:,.{extra}f} sessions" if unit == "sessions" else f"{sign}{size:.{2 + extra}f}"
