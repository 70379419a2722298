"""The geometry of charts: values become path strings and tick positions. No HTML, no colours.

Paths live in a box of BOX × HEIGHT units that the page stretches over any width; strokes do not scale and
labels are text at percentages, so nothing is ever blurred or clipped. Coordinates are whole numbers and
relative, which makes a five-year line about a kilobyte.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise

BOX = 1000  # width
HEIGHT, FALL_HEIGHT = 500, 160  # twice the pixels that style.css gives a chart and the drawdown under it
SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 84, 24, 26  # the size in pixels that style.css gives them
STRIP_WEEK = 5  # pixels, as style.css draws it
LEVELS = 8  # steps of colour on each side of zero
LOG_FROM = 4.0  # a line that spans this ratio is read better on a log scale


@dataclass(frozen=True, slots=True)
class Axis:
    """A vertical scale from low (bottom) to high (top)."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Return how far below the top a value lies, as a share of the height."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return (high - at) / (high - low)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position, both as a share of the width or height."""

    share: float
    label: str


def wants_log(values: Iterable[float]) -> bool:
    """Say whether positive values span so much that equal ratios should look equal."""
    known = [each for each in values if math.isfinite(each)]
    return bool(known) and min(known) > 0 and max(known) / min(known) >= LOG_FROM


def axis_over(values: Iterable[float], *, log: bool = False) -> Axis:
    """Return a scale that holds every known value, with a little air, and never has no height."""
    known = [each for each in values if math.isfinite(each)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if log:
        air = (high / low) ** 0.04 if high > low else 1.02
        return Axis(low / air, high * air, log=True)
    air = 0.04 * (high - low) if high > low else max(abs(high), 1.0) * 0.02
    return Axis(low - air, high + air)


def round_values(axis: Axis, wanted: int = 5) -> list[float]:
    """Return round numbers inside a scale: multiples of 1, 2 or 5 × 10ⁿ."""
    if axis.log:
        decades = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
        found = [m * 10.0**n for n in decades for m in (1, 2, 5) if axis.low <= m * 10.0**n <= axis.high]
        if len(found) >= 3:
            return found
    step = _round_step((axis.high - axis.low) / wanted)
    first, last = math.ceil(axis.low / step), math.floor(axis.high / step)
    return [each * step for each in range(first, last + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if rough <= m * power * (1 + 1e-12))


def year_ticks(
    first: date, last: date, points: int, month: Callable[[date], str] = "{:%Y-%m}".format
) -> list[Tick]:
    """Return where years begin among weekly points; months, written by `month`, when the span is short."""
    weeks = [min(first + timedelta(weeks=each), last) for each in range(points)]
    by_month = points <= 70
    ticks: list[Tick] = []
    for position in range(1, points):
        before, here = weeks[position - 1], weeks[position]
        turned = here.month != before.month and here.month % 3 == 1 if by_month else here.year != before.year
        if turned:
            label = month(here) if by_month else str(here.year)
            ticks.append(Tick(position / (points - 1), label))
    return [each for each in ticks if each.share <= 0.97]


def path(values: Sequence[float], axis: Axis, width: int = BOX, height: int = HEIGHT) -> str:
    """Return the path of a line through evenly spaced values; a NaN lifts the pen."""
    commands: list[str] = []
    here: tuple[int, int] | None = None
    for position, value in enumerate(values):
        if not math.isfinite(value):
            here = None
            continue
        x = round(width * position / max(len(values) - 1, 1))
        y = min(max(round(height * axis.share(value)), 0), height)
        if here is None:
            commands.append(f"M{x} {y}")
        else:
            pair = f"{x - here[0]} {y - here[1]}".replace(" -", "-")
            starts = commands[-1].startswith("M")
            commands.append(f"l{pair}" if starts else pair if pair.startswith("-") else f" {pair}")
        here = (x, y)
    return "".join(commands)


def area(values: Sequence[float], axis: Axis) -> str:
    """Return the closed path between values and the top of the scale, for drawdowns; NaN counts as none."""
    filled = [each if math.isfinite(each) else axis.high for each in values]
    line = path(filled, axis, height=FALL_HEIGHT)
    return f"{line}L{BOX} 0L0 0z" if len(filled) > 1 else ""


def sparkline(values: Sequence[float]) -> str:
    """Return a small line over at most SPARK_POINTS values, or "" where fewer than two are known."""
    shown = list(values)[-SPARK_POINTS:]
    if sum(math.isfinite(each) for each in shown) < 2:
        return ""
    return path(shown, axis_over(shown), SPARK_WIDTH, SPARK_HEIGHT)


def strip(marks: Sequence[float]) -> str:
    """Return the path of a band STRIP_WEEK units a week: a stroke over each run of weeks that are marked."""
    commands, position = [], 0
    for marked, run in groupby(marks, bool):
        length = len(list(run))
        if marked:
            commands.append(f"M{STRIP_WEEK * position} 5h{STRIP_WEEK * length}")
        position += length
    return "".join(commands)


def level(value: float | None, scale: float) -> int:
    """Return a colour step from −LEVELS to LEVELS: 0 for unknown or nothing, full from `scale` on."""
    if value is None or not math.isfinite(value) or abs(value) < scale * 1e-3:
        return 0
    steps = min(math.ceil(abs(value) / scale * LEVELS), LEVELS)
    return steps if value > 0 else -steps


def spread(shares: Sequence[float], gap: float) -> list[float]:
    """Move labels apart, in the order they lie, until neighbours are at least `gap` from each other."""
    order = sorted(range(len(shares)), key=lambda each: shares[each])
    placed = list(shares)
    for before, here in pairwise(order):
        placed[here] = max(placed[here], placed[before] + gap)
    if order and placed[order[-1]] > 1:
        placed[order[-1]] = 1.0
        for after, here in pairwise(reversed(order)):
            placed[here] = min(placed[here], placed[after] - gap)
    return placed
