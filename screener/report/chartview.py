"""A LineChart's values become paths, ticks and labels that a template only has to place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from screener.report.blocks import Line, LineChart
from screener.report.charts import (
    Axis,
    Tick,
    area,
    axis_over,
    path,
    round_values,
    spread,
    wants_log,
    year_ticks,
)
from screener.report.words import UNKNOWN, Wording, number, percent

LABEL_GAP = 0.08  # share of the chart's height that two end labels need


@dataclass(frozen=True, slots=True)
class LineView:
    """One line, drawn: its path, where it ends and what its last value is."""

    label: str
    main: bool
    path: str
    end_share: float
    end: str


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart, drawn. Shares are of width or height; low and high are the scale the paths are drawn on."""

    lines: tuple[LineView, ...]
    low: str
    high: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    fall: str
    fall_low: str
    fall_ticks: tuple[Tick, ...]
    spoken: str


def chart_view(chart: LineChart, say: Wording) -> ChartView:
    """Return a chart's geometry."""
    values = [each for line in chart.lines for each in line.values]
    axis = axis_over(values, log=chart.log and wants_log(values))
    ends = [_last_known(line) for line in chart.lines]
    places = spread([axis.share(each) if math.isfinite(each) else 1.0 for each in ends], LABEL_GAP)
    lines = tuple(
        LineView(
            line.label,
            line.main,
            path(line.values, axis),
            place,
            number(end, 0) if math.isfinite(end) else UNKNOWN,
        )
        for line, end, place in zip(chart.lines, ends, places, strict=True)
    )
    fall_axis = Axis(min([*chart.drawdown, -0.01]) * 1.04, 0.0)
    spoken = say.listed([say("page.chart_end", line=each.label, value=each.end) for each in lines])
    return ChartView(
        lines=lines,
        low=f"{axis.low:.6g}",
        high=f"{axis.high:.6g}",
        y_ticks=tuple(Tick(axis.share(each), f"{each:,.10g}") for each in round_values(axis)),
        x_ticks=tuple(year_ticks(chart.first, chart.last, len(chart.lines[0].values), say.month)),
        fall=area(chart.drawdown, fall_axis),
        fall_low=f"{fall_axis.low:.6g}",
        fall_ticks=tuple(
            Tick(fall_axis.share(each), percent(each, 0)) for each in round_values(fall_axis, wanted=3)
        ),
        spoken=say("page.chart_label", ends=spoken),
    )


def _last_known(line: Line) -> float:
    return next((each for each in reversed(line.values) if math.isfinite(each)), math.nan)
