"""A week after another: what the report says when there is an earlier one to compare with."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

from screener.backtest.engine import simulate
from screener.market.restated import Restated
from screener.portfolio.costs import Costs
from screener.report.changes import changes_between
from screener.report.memory import REASONS, PassedOver, Previous
from screener.report.model import WeeklyInputs
from screener.report.record import record_of, to_json
from tests.report.make_inputs import fresh_inputs


def remembered_inputs() -> WeeklyInputs:
    """A small week with a report of the week before: names came and went, prices, rules and a limit changed."""
    inputs = fresh_inputs()
    before = date(2026, 7, 3)
    themes = []
    for each in inputs.themes:
        assert each.backtest is not None
        earlier = replace(each.rebalance, decided_on=date(2026, 3, 31))
        run = simulate([earlier], inputs.panel, Costs.flat(15))
        themes.append(replace(each, backtest=run))
    inputs = replace(inputs, themes=tuple(themes))
    record = json.loads(to_json(record_of(inputs)))
    record["run"] |= {"as_of": str(before), "version": "0.0.9", "generated_at": "2026-07-04T06:00:00+00:00"}
    record["run"]["settings"]["costs"] = "20 bps of value traded"
    theme = record["themes"]["theme_0"]
    first, second = list(theme["weights"])[:2]
    theme["rejected"] = {first: "no prices"}
    theme["weights"]["N004"] = theme["weights"].pop(first) + theme["weights"][second] / 2
    theme["weights"][second] /= 2
    theme["returns"]["week"] = 0.25
    theme["limits_bound"] = ["segment stage_01 <= 40% binds"]
    record["themes"]["theme_9"] = record["themes"].pop("theme_1")
    screen = record["screens"]["tradable"]
    out = screen["passed"].pop()
    screen["rejected"][out] = ["12−1 momentum −0.9% is not above 0.0%"]
    screen["passed"].append(next(iter(inputs.screens[0].reasons), "N019"))
    record["rules"]["themes"]["theme_0"] |= {"rule.include": "N001", "max_weight": "0.2"}
    record["rules"]["screens"]["tradable"]["rules"] = "adv >= 2e+06"
    record["rules"]["instruments"]["N007"]["purity"] = "major"
    del record["rules"]["instruments"]["N008"]
    previous = Previous(
        "2026-W27",
        "2026-W27/rare_earth_ai/run.json",
        "rare_earth_ai",
        before,
        datetime(2026, 7, 4, 6, tzinfo=UTC),
        False,
        record,
    )
    restated = (
        Restated("N002", 3, 1, 1, date(2026, 6, 1), date(2026, 6, 30), -0.5, ("close", "volume")),
        Restated("N006", 2, 0, 0, date(2026, 6, 1), date(2026, 6, 2), float("nan"), ("volume",)),
    )
    passed_over = tuple(
        PassedOver(f"2026-W{n}/rare_earth_ai/run.json", why) for n, why in enumerate(REASONS, 21)
    )
    changes = changes_between(previous, inputs, restated)
    return replace(inputs, changes=changes, passed_over=passed_over)
