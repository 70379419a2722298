"""What run.json says: enough to make the page again, and to compare next week's report with this one."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, cast

from screener.report.measures import HORIZONS, wealth_returns
from screener.report.rules import rules_of
from screener.report.sections.chain import stages_of
from screener.report.standing import standing_of

if TYPE_CHECKING:
    from screener.backtest.theme import ThemeResult
    from screener.report.changes import Changes
    from screener.report.model import WeeklyInputs

SCHEMA = "screener.run/2"


def record_of(inputs: WeeklyInputs) -> dict[str, object]:
    """Return the run as a tree of JSON's types; NaN is still NaN here."""
    run, standing = inputs.run, standing_of(inputs)
    return {
        "schema": SCHEMA,
        "prices": "SYNTHETIC" if run.synthetic else "market",
        "universe": inputs.universe.key,
        "language": inputs.language,
        "run": {each.name: getattr(run, each.name) for each in fields(run)},
        "outcomes": {
            "states": dict(Counter(each.state for each in inputs.states.values())),
            "not_fresh": {
                key: f"{each.state}: {each.reason}"
                for key, each in inputs.states.items()
                if each.state != "fresh"
            },
            "failures": dict(inputs.failures),
            "expected": len(standing.expected),
            "quarantined_bars": sum(each.quarantined for each in inputs.findings),
            "findings": len(inputs.findings),
        },
        "warnings": list(inputs.warnings),
        "stages": {
            each.key: {"week": each.week, "quarter": each.quarter, "year": each.returns["year"]}
            for each in stages_of(inputs)
        },
        "screens": {
            each.screen: {
                "passed": [str(symbol) for symbol in each.rank.sort_values().index],
                "near": list(each.near),
                "rejected": {symbol: list(why) for symbol, why in each.reasons.items()},
            }
            for each in inputs.screens
        },
        "themes": {each.theme.key: _theme(inputs, each) for each in inputs.themes},
        **_memory(inputs),
        "provenance": inputs.provenance,
    }


def _memory(inputs: WeeklyInputs) -> dict[str, object]:
    """Return what the next report compares itself with: the rules, and when the prices were as they are."""
    return {
        "rules": rules_of(inputs.universe),
        "prices_as_stored_at": inputs.prices_as_stored_at or inputs.run.generated_at,
        "changes": None if inputs.changes is None else _changes(inputs.changes),
    }


def _changes(changes: Changes) -> dict[str, object]:
    """Return against which report the week was compared, and what made each theme's return since."""
    return {
        "against": {name: getattr(changes.previous, name) for name in ("as_of", "path", "sha256")},
        "themes": {
            key: {
                "since": each.since,
                "until": each.until,
                "total": each.total,
                "segments": {str(name): row.to_dict() for name, row in each.segments.iterrows()},
            }
            for key, each in changes.splits.items()
        },
        "rules": [asdict(each) for each in changes.differences.rules],
        "restated": None if changes.restated is None else [asdict(each) for each in changes.restated],
    }


def plain_record(inputs: WeeklyInputs) -> dict[str, Any]:
    """Return the run as run.json will say it once it is read again: JSON's types alone, NaN as None."""
    return cast(dict[str, Any], _plain(record_of(inputs)))


def _theme(inputs: WeeklyInputs, result: ThemeResult) -> dict[str, object]:
    rebalance = result.rebalance
    returns: dict[str, float] = dict.fromkeys(HORIZONS, math.nan)
    if result.backtest is not None:
        returns = wealth_returns(result.backtest.wealth, inputs.panel.as_of)
    return {
        "method": rebalance.method,
        "decided_on": rebalance.decided_on,
        "weights": {str(key): float(value) for key, value in rebalance.weights.items()},
        "risk_contributions": {str(key): float(value) for key, value in rebalance.risk_contributions.items()},
        "cash": rebalance.cash,
        "volatility": rebalance.volatility,
        "limits_bound": list(rebalance.limits_bound),
        "rejected": dict(rebalance.rejected),
        "returns": returns,
        "performance": None if result.performance is None else asdict(result.performance),
        "benchmark": result.benchmark,
        "benchmark_performance": None
        if result.benchmark_performance is None
        else asdict(result.benchmark_performance),
        "validity": None if result.validity is None else asdict(result.validity),
        "note": result.note,
    }


def to_json(record: Mapping[str, object]) -> str:
    """Return the record as JSON: keys sorted, NaN as null, dates as ISO text, one newline at the end."""
    return json.dumps(_plain(record), ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):  # NumPy's float64 is one too
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
