"""The chain this week: every stage from mine to data centre, its return, breadth and China's share."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from screener.report.blocks import Cell, Column, Ribbon, Rows, Section, Stage, Table
from screener.report.measures import HORIZONS, horizon_returns, names_by_stage, stage_means, value_at
from screener.report.words import UNKNOWN, Wording, change, is_known, percent, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs


@lru_cache(maxsize=1)
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
            returns={each: value_at(means, key, each) for each in HORIZONS},
            china_share=inputs.universe.segments[key].china_share,
            china_year=inputs.universe.segments[key].china_share_year,
            up=int((week.reindex(names) > 0).sum()),
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
    blocks = (Ribbon(stages, note), _heat_map(stages, say)) if stages else ()
    return Section("chain", say("chain.title"), lead, blocks)


def _heat_map(stages: tuple[Stage, ...], say: Wording) -> Table:
    """Every stage over every horizon, how many of its names rose, and China's share of its output."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            each.label,
            *each.returns.values(),
            say("figure.of", n=each.up, of=each.priced),
            UNKNOWN if each.china_share is None else percent(each.china_share, 0),
        )
        for each in stages
    )
    columns = (
        Column(say("column.stage"), "text"),
        *(Column(say(f"horizon.{key}"), "change", scale) for key, scale in HORIZONS.items()),
        Column(say("column.rose"), "written", note=say("column.rose_note")),
        Column(say("column.china"), "written", note=say("column.china_note")),
    )
    return Table(say("chain.table"), columns, (Rows(rows),))
