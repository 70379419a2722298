"""Small builders of inline SVG: paths in a box of 1000 × 1000 that the page stretches to any width.

Only numbers enter a drawing; words are set by the template, so nothing from outside can become markup here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.report.blocks import Chart, Label

Floats = npt.NDArray[np.float64]
LOG_ABOVE = 3.0  # highest over lowest; beyond it a linear scale hides the early years
LABEL_GAP = 7.0  # % of the height


def weekly(series: pd.Series) -> pd.Series:
    """Return the last value on or before each seventh day back from the end, oldest first."""
    last, first = pd.Timestamp(series.index[-1]), pd.Timestamp(series.index[0])
    anchors = pd.date_range(end=last, periods=(last - first).days // 7 + 1, freq="7D")
    rows = pd.DatetimeIndex(series.index).searchsorted(anchors, side="right") - 1
    return pd.Series(series.to_numpy()[rows], index=anchors)


def path(values: Floats, low: float, high: float, box: tuple[int, int] = (1000, 1000)) -> str:
    """Return an SVG path through values spread evenly over the box; gaps where they are missing.

    Steps are relative and whole, which takes half the bytes of absolute ones.
    """
    span = (high - low) or 1.0
    width = max(len(values) - 1, 1)
    words: list[str] = []
    pen: tuple[int, int] | None = None
    for position, value in enumerate(values):
        if not math.isfinite(value):
            pen = None
            continue
        x, y = round(box[0] * position / width), round(box[1] * (high - value) / span)
        if pen is None:
            words.append(f"M{x} {y}l")
        else:
            dy = y - pen[1]
            words.append(f"{x - pen[0]}{'' if dy < 0 else ' '}{dy} ")
        pen = (x, y)
    return "".join(words).replace("l ", "l").replace(" M", "M").rstrip(" l")


def sparkline(values: Floats) -> str:
    """Return a tiny line drawing of the finite values, or "" when there are fewer than three."""
    finite = values[np.isfinite(values)]
    if len(finite) < 3:
        return ""
    shape = path(values, float(finite.min()), float(finite.max()), (92, 22))
    return f'<svg class="spark" viewBox="0 -1 92 24"><path d="{shape}"/></svg>'


def bars(weight: float, risk: float) -> str:
    """Return two bars, one below the other, of shares of 0 to 1."""
    widths = [round(100 * min(max(each, 0.0), 1.0), 1) for each in (weight, risk)]
    return (
        '<svg class="bars" viewBox="0 0 100 14" preserveAspectRatio="none">'
        f'<path d="M0 3H{widths[0]:g}"/><path d="M0 11H{widths[1]:g}"/></svg>'
    )


def growth_chart(
    title: str,
    wealth: pd.Series,
    benchmark: pd.Series | None,
    names: tuple[str, str],
    hindsight: tuple[date | None, str],
) -> Chart:
    """Return growth of 100 of a wealth series beside its benchmark, log scale when it spans much.

    hindsight: the date before which the record is hindsight, and the word to shade it with.
    """
    own = weekly(wealth)
    lines = {names[0]: 100 * own / own.iloc[0]}
    if benchmark is not None:
        other = weekly(benchmark)
        lines[names[1]] = 100 * other / other.iloc[0]
    values = np.column_stack([each.to_numpy() for each in lines.values()])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    logarithmic = high / low > LOG_ABOVE
    ticks = log_ticks(low, high) if logarithmic else nice_ticks(low, high)
    scale = np.log if logarithmic else np.asarray
    bottom, top = float(scale(min(low, ticks[0]))), float(scale(max(high, ticks[-1])))
    paths = tuple(
        (css, path(np.asarray(scale(values[:, position])), bottom, top))
        for position, css in reversed(list(enumerate(("own", "other")[: len(lines)])))
    )
    ends = [
        (name, float(series.iloc[-1]), css)
        for (name, series), css in zip(lines.items(), ("own", "other"), strict=False)
    ]
    known_from, word = hindsight
    return Chart(
        title=title + (" (log scale)" if logarithmic else ""),
        paths=paths,
        y_labels=tuple(Label(f"{tick:g}", _height(float(scale(tick)), bottom, top)) for tick in ticks),
        x_labels=year_labels(pd.DatetimeIndex(own.index)),
        end_labels=_apart(
            [
                Label(f"{name} {value:.0f}", _height(float(scale(value)), bottom, top), css)
                for name, value, css in ends
            ]
        ),
        shaded_to=_across(pd.DatetimeIndex(own.index), known_from),
        shade_label=word,
        points=_points(own.index[0], lines),
        css="growth",
    )


def drawdown_chart(title: str, drawdown: pd.Series) -> Chart:
    """Return an area chart of falls from the peak, fractions ≤ 0."""
    values = weekly(drawdown)
    low = min(float(values.min()), -0.01)
    ticks = [each for each in nice_ticks(low * 100, 0.0, 3) if each <= 0]
    bottom = min(low * 100, ticks[0])
    line = path(values.to_numpy() * 100, bottom, 0.0)
    return Chart(
        title=title,
        paths=(("fall", f"{line}V0H0Z"),),
        y_labels=tuple(Label(f"{tick:g}%".replace("-", "−"), _height(tick, bottom, 0.0)) for tick in ticks),
        x_labels=(),
        css="under",
    )


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round values spaced by 1, 2 or 5 times a power of ten that cover low to high."""
    raw = max(high - low, 1e-9) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return values of 1, 2 and 5 times powers of ten that cover low to high."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = [float(f"{base * 10.0**power:g}") for power in powers for base in (1, 2, 5)]
    below = [each for each in steps if each <= low]
    above = [each for each in steps if each >= high]
    return [each for each in steps if below[-1] <= each <= above[0]]


def year_labels(index: pd.DatetimeIndex) -> tuple[Label, ...]:
    """Return each year at its first week, or each quarter when there is less than two years."""
    if (index[-1] - index[0]).days < 730:
        marks = pd.date_range(index[0], index[-1], freq="QS")
        return tuple(Label(f"{mark:%b %Y}", _across(index, mark.date())) for mark in marks)
    years = range(index[0].year + 1, index[-1].year + 1)
    return tuple(Label(str(year), _across(index, date(year, 1, 1))) for year in years)


def _across(index: pd.DatetimeIndex, day: date | None) -> float:
    """Return how far from the left a date lies, in %, within the chart."""
    if day is None:
        return 0.0
    share = (pd.Timestamp(day) - index[0]) / max(index[-1] - index[0], pd.Timedelta(days=1))
    return round(100 * min(max(float(share), 0.0), 1.0), 2)


def _height(value: float, bottom: float, top: float) -> float:
    return round(100 * (top - value) / ((top - bottom) or 1.0), 2)


def _apart(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Push two labels apart that would lie on each other."""
    if len(labels) != 2 or abs(labels[0].at - labels[1].at) >= LABEL_GAP:
        return tuple(labels)
    middle = (labels[0].at + labels[1].at) / 2
    sign = 1 if labels[0].at >= labels[1].at else -1
    middle = min(max(middle, LABEL_GAP / 2), 100 - LABEL_GAP / 2)
    return (
        Label(labels[0].text, round(middle + sign * LABEL_GAP / 2, 2), labels[0].css),
        Label(labels[1].text, round(middle - sign * LABEL_GAP / 2, 2), labels[1].css),
    )


def _points(start: pd.Timestamp, lines: dict[str, pd.Series]) -> str:
    values = [[None if not math.isfinite(v) else round(float(v), 1) for v in each] for each in lines.values()]
    return json.dumps(
        {"from": f"{start:%Y-%m-%d}", "names": list(lines), "values": values}, separators=(",", ":")
    )
