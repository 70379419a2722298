"""The chain this week: every stage from mine to data centre, its return, breadth and China's share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screener.report.blocks import Ribbon, Section, Stage
from screener.report.measures import horizon_returns, names_by_stage, stage_means, value_at
from screener.report.words import change, is_known, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs


def stages_of(inputs: WeeklyInputs) -> tuple[Stage, ...]:
    """Return the stages that have names, upstream to downstream."""
    stages = names_by_stage(inputs.universe, {key: each.state for key, each in inputs.states.items()})
    returns = horizon_returns(inputs.panel.prices, inputs.panel.as_of)
    means = stage_means(returns, stages)
    week = returns["week"]
    return tuple(
        Stage(
            key=key,
            label=stage_label(inputs, key),
            week=value_at(means, key, "week"),
            quarter=value_at(means, key, "quarter"),
            china_share=inputs.universe.segments[key].china_share,
            china_year=inputs.universe.segments[key].china_share_year,
            priced=int(week.reindex(names).notna().sum()),
            names=len(names),
        )
        for key, names in stages.items()
    )


def stage_label(inputs: WeeklyInputs, key: str) -> str:
    """Return a segment's label in the language of the report."""
    segment = inputs.universe.segments[key]
    return segment.label_ja if inputs.language == "ja" else segment.label


def section(inputs: WeeklyInputs) -> Section:
    """Return the ribbon of stages."""
    say = wording(inputs.language)
    stages = stages_of(inputs)
    known = [each for each in stages if is_known(each.week)]
    if not known:
        lead = say("chain.lead_empty")
    else:
        best, worst = max(known, key=lambda each: each.week), min(known, key=lambda each: each.week)
        lead = say(
            "chain.lead",
            up=sum(each.week > 0 for each in known),
            n=len(known),
            best=best.label,
            best_change=change(best.week),
            worst=worst.label,
            worst_change=change(worst.week),
        )
    note = say("chain.note", currency=inputs.panel.base_currency)
    blocks = (Ribbon(stages, note),) if stages else ()
    return Section("chain", say("chain.title"), lead, blocks)
