"""The chain this week: one arrow a stage, coloured by its return."""

from __future__ import annotations

from screener.report.blocks import Ribbon, Section, Stage
from screener.report.figures import Figures
from screener.report.model import WeeklyInputs
from screener.report.words import change, change_percent, heat, known


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return the ribbon of stages, upstream to downstream."""
    say = figures.words
    stages = []
    for key, row in figures.stages.iterrows():
        segment = inputs.universe.segments[str(key)]
        names = int(row["names"])
        detail = [
            f"{say('chain.quarter')} {change(row['3m'], 0)}",
            say("chain.names", count=names, known=int(row["known"])),
        ]
        if segment.china_share is not None:
            detail.append(
                say("chain.china", share=f"{segment.china_share:.0%}", year=segment.china_share_year)
            )
        week = change_percent(row["1w"]) if known(row["1w"]) else "—"
        stages.append(Stage(segment.label, week, tuple(detail), heat(row["1w"], 0.06)))
    lead = say("chain.lead", currency=inputs.run.base_currency)
    return Section("chain", say("chain.title"), lead, (Ribbon(tuple(stages)),))
