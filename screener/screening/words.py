"""What rules may name, and how a rule and a metric's value read."""

from __future__ import annotations

import numpy as np

from screener.screening.fundamentals import FUNDAMENTALS
from screener.screening.metrics import IN_SEGMENT, METRICS, PERCENTILE, Metric
from screener.universe.model import ScreenRule

PERCENTILES = {
    name + ending: Metric(
        f"percentile of {metric.label}{among}", "fraction", f"of {name}{among}, from 0 to 1"
    )
    for ending, among in ((PERCENTILE, ""), (IN_SEGMENT, " in its segment"))
    for name, metric in {**METRICS, **FUNDAMENTALS}.items()
}
RULED = {**METRICS, **FUNDAMENTALS, **PERCENTILES}  # what a rule or a ranking may name
FALLS_SHORT = {">=": "below", ">": "not above", "<=": "above", "<": "not below"}


def describe(rule: ScreenRule) -> str:
    """Return a rule as a reader wants it: "volatility ≤ 60.0%"."""
    metric: Metric = RULED[rule.metric]
    sign = {">=": "≥", "<=": "≤"}.get(rule.comparison, rule.comparison)
    return f"{metric.label} {sign} {shown(rule.bound, metric.unit)}"


def why_not(rule: ScreenRule, value: float, currency: str = "") -> str:
    """Return why a value fails a rule, with both numbers; a near miss gets the decimals that tell them apart."""
    label, unit, extra = RULED[rule.metric].label, RULED[rule.metric].unit, 0
    if np.isnan(value):
        return f"{label} is unknown"
    while value != rule.bound and shown(value, unit, extra) == shown(rule.bound, unit, extra) and extra < 9:
        extra += 1
    bound = shown(rule.bound, unit, extra, currency)
    return f"{label} {shown(value, unit, extra, currency)} is {FALLS_SHORT[rule.comparison]} {bound}"


def shown(value: float, unit: str, extra: int = 0, currency: str = "") -> str:
    """Return a value of a unit of METRICS as a person reads it, with `extra` decimals more than usual."""
    if np.isnan(value):
        return "—"
    sign = "−" if value < 0 else ""
    size = abs(value)
    if unit == "fraction":
        return f"{sign}{size:.{1 + extra}%}"
    if unit == "base currency":
        return f"{sign}{size / 1e6:,.{2 + extra}f} M {currency}".rstrip()
    if unit in ("sessions", "days", "months"):
        return f"{sign}{size:,.{extra + (unit != 'sessions')}f} {unit}"
    return f"{sign}{size:,.{2 + extra}f}"
