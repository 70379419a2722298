"""A heatmap as an SVG of its own: rows × columns of numbers, each cell with its value."""

from __future__ import annotations

import math
from html import escape

import pandas as pd

CELL, HEIGHT, GAP = 84, 40, 2
LETTER = 7.2  # width of a letter of 13 px, about
WIDE_LETTER = 10.5  # of the title
MARGIN, TITLE = 16, 64
LOW, MIDDLE, HIGH = (
    (178, 74, 46),
    (245, 243, 238),
    (28, 112, 120),
)  # red-brown, paper, sea: told apart by all eyes
NOTHING = "#fff"


def heatmap_svg(table: pd.DataFrame, title: str, note: str = "", *, rows: str = "", columns: str = "") -> str:
    """Return an SVG of a table of numbers, rows down and columns across in its order; NaN cells stay empty.

    Values above zero are the darker the higher, those below it, in another colour, the darker the lower. title, note,
    rows and columns: words; the last two name what the labels are of.
    """
    numbers = table.to_numpy(dtype=float)
    values = [each for each in numbers.ravel().tolist() if math.isfinite(each)]
    down, across = [str(each) for each in table.index], [str(each) for each in table.columns]
    left = MARGIN + max([0.0, *(LETTER * len(each) for each in (*down, rows))]) + 12
    wide = max(CELL, max([0.0, *(LETTER * len(each) + 12 for each in across)]))
    top = TITLE + 44
    width = (
        max(left + wide * len(across), WIDE_LETTER * len(title) + MARGIN, LETTER * len(note) + MARGIN)
        + MARGIN
    )
    height = top + HEIGHT * len(down) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="13" fill="#222">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{MARGIN}" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="{MARGIN}" y="47" fill="#555">{escape(note)}</text>',
        f'<text x="{left - 12:.0f}" y="{top - 10}" text-anchor="end" fill="#555">{escape(rows)}</text>',
        f'<text x="{left:.0f}" y="{TITLE + 12}" fill="#555">{escape(columns)}</text>',
    ]
    for at, label in enumerate(across):
        x = left + wide * (at + 0.5)
        parts.append(f'<text x="{x:.0f}" y="{top - 10}" text-anchor="middle">{escape(label)}</text>')
    for row, label in enumerate(down):
        y = top + HEIGHT * row
        middle = y + HEIGHT / 2 + 4.5
        parts.append(f'<text x="{left - 12:.0f}" y="{middle:.1f}" text-anchor="end">{escape(label)}</text>')
        for at in range(len(across)):
            parts.append(_cell(float(numbers[row, at]), values, (left + wide * at, y, wide)))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _cell(value: float, values: list[float], place: tuple[float, float, float]) -> str:
    x, y, wide = place
    box = f'x="{x + GAP / 2:.1f}" y="{y + GAP / 2:.1f}" width="{wide - GAP:.1f}" height="{HEIGHT - GAP}"'
    if not math.isfinite(value):
        return f'<rect {box} fill="{NOTHING}" stroke="#ddd"/>'
    red, green, blue = _colour(value, min(values), max(values))
    ink = "#fff" if 0.3 * red + 0.59 * green + 0.11 * blue < 140 else "#222"
    words = f"{value:.2f}".replace("-", "−")
    return (
        f'<rect {box} fill="rgb({red},{green},{blue})"/>'
        f'<text x="{x + wide / 2:.1f}" y="{y + HEIGHT / 2 + 4.5:.1f}" text-anchor="middle" fill="{ink}">{words}</text>'
    )


def _colour(value: float, low: float, high: float) -> tuple[int, int, int]:
    """Return red, green and blue: red-brown below zero, sea above it; pale is zero, or what is nearest to it."""
    middle = min(max(0.0, low), high)
    reach = max(high - middle, middle - low)
    share = 0.0 if reach <= 0 else (value - middle) / reach
    end = HIGH if share > 0 else LOW
    r, g, b = (round(m + abs(share) * (e - m)) for m, e in zip(MIDDLE, end, strict=True))
    return r, g, b
