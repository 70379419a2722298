"""A plot of cumulative abnormal returns around an event, as one SVG file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from pathlib import Path

import numpy as np

from screener.backtest.abnormal import Floats
from screener.backtest.event_study import EVERY_NAME, EventStudy
from screener.errors import UserError
from screener.market.load import Market
from screener.report.charts import Axis, axis_over, path, round_values, spread

WIDTH, HEIGHT = 930, 520
LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 64, 72, 610, 380
LABEL_GAP = 18 / PLOT_HEIGHT
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d00", "#3a86c8", "#6a3d9a", "#444444")
MOST_LINES = len(COLOURS)


def draw_events(market: Market, study: EventStudy, file: Path) -> None:
    """Write the plot of a study, whole or not at all: the stages asked for, else those its events name, averaged.

    Raises UserError when no event could be studied, or the file cannot be written.
    """
    studied = [each for each in study.events if each.key not in study.left_out]
    if not studied:
        raise UserError(f"--plot {file}: none of these events could be studied; there is nothing to draw")
    named = {(each.key, segment) for each in studied for segment in each.segments}
    pairs = [pair in named for pair in zip(study.paths["event"], study.paths["segment"], strict=True)]
    every_stage = EVERY_NAME in set(study.paths["segment"])  # none was asked for
    paths = study.paths[pairs] if every_stage and any(pairs) else study.paths
    paths = paths[paths["abnormal"].notna()]
    means = (
        paths.groupby(["segment", "session"], sort=False)["abnormal"]
        .mean()
        .unstack("session")
        .sort_index(axis=1)
    )
    labels = {key: each.label for key, each in market.universe.segments.items()}
    order = [key for key in dict.fromkeys(study.paths["segment"]) if key in means.index]
    lines = {labels.get(key, "Every name"): np.cumsum(means.loc[key].to_numpy(dtype=float)) for key in order}
    count = f"mean of {len(studied)} events" if len(studied) > 1 else f"{studied[0].day}"
    title = f"{len(studied)} events" if len(studied) > 1 else studied[0].title
    synthetic = "SYNTHETIC PRICES; " if market.panel.synthetic else ""
    note = f"{synthetic}cumulative abnormal return by stage, {count}; market model against {study.benchmark}"
    drawn = event_svg(lines, int(means.columns[0]), title, note)
    half_written = file.with_name(f".{file.name}.half-written")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        half_written.write_text(drawn, encoding="utf-8")
        half_written.replace(file)
    except OSError as error:
        with suppress(OSError):
            half_written.unlink(missing_ok=True)
        raise UserError(f"--plot {file} cannot be written: {error.strerror or error}") from None


def event_svg(lines: Mapping[str, Floats], first: int, title: str, note: str) -> str:
    """Return an SVG of lines by label, one value a session from `first` on, fractions; NaN lifts the pen.

    More than MOST_LINES lines are too many to tell apart: those that moved least are left out, and the note says so.
    """
    shown = sorted(lines, key=lambda key: -_size(lines[key]))[:MOST_LINES]
    if len(shown) < len(lines):
        note = f"{note}; {len(shown)} of {len(lines)} lines, those that moved most"
    kept = {key: np.asarray(lines[key], dtype=float) for key in lines if key in shown}
    axis = axis_over([0.0, *(float(each) for values in kept.values() for each in values)])
    length = max((len(each) for each in kept.values()), default=2)
    zero = LEFT + PLOT_WIDTH * -first / max(length - 1, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#333">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="28" font-size="17" font-weight="600">{escape(_cut(title, 82))}</text>',
        f'<text x="{LEFT}" y="50" fill="#666">{escape(_cut(note, 120))}</text>',
        *_scale(axis),
        f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="{TOP}" y2="{TOP + PLOT_HEIGHT}" stroke="#888" '
        'stroke-dasharray="3 3"/>',
        *_sessions(first, length),
        *_lines(kept, axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scale(axis: Axis) -> list[str]:
    parts = []
    for value in round_values(axis, wanted=7):
        y = TOP + PLOT_HEIGHT * axis.share(value)
        nought = abs(value) < 1e-12
        stroke = "#555" if nought else "#e3e3e3"
        sign = "" if nought else "+" if value > 0 else "\N{MINUS SIGN}"
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{stroke}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{sign}{abs(value) * 100:.3g}%</text>'
        )
    return parts


def _sessions(first: int, length: int) -> list[str]:
    parts = []
    for session in range(first, first + length):
        if session % 5 == 0:
            x = LEFT + PLOT_WIDTH * (session - first) / max(length - 1, 1)
            shown = f"{session}".replace("-", "\N{MINUS SIGN}")
            parts.append(
                f'<text x="{x:.1f}" y="{TOP + PLOT_HEIGHT + 20}" text-anchor="middle">{shown}</text>'
            )
    centre = LEFT + PLOT_WIDTH / 2
    words = "own sessions from the first that could react (0)"
    return [
        *parts,
        f'<text x="{centre}" y="{TOP + PLOT_HEIGHT + 44}" text-anchor="middle" fill="#666">{words}</text>',
    ]


def _lines(kept: Mapping[str, Floats], axis: Axis) -> list[str]:
    ends = [_last(each) for each in kept.values()]
    places = spread([axis.share(each) if math.isfinite(each) else 1.0 for each in ends], LABEL_GAP)
    parts = []
    for number, (key, values) in enumerate(kept.items()):
        colour = COLOURS[number]
        line = path(list(values), axis, PLOT_WIDTH, PLOT_HEIGHT)
        parts.append(
            f'<path transform="translate({LEFT} {TOP})" d="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        end = "no data" if not math.isfinite(ends[number]) else f"{ends[number] * 100:+.1f}%"
        words = f"{escape(_cut(key, 22))} {end}".replace("-", "\N{MINUS SIGN}", 1 if end[0] == "-" else 0)
        y = TOP + PLOT_HEIGHT * places[number] + 4
        parts.append(f'<text x="{LEFT + PLOT_WIDTH + 10}" y="{y:.1f}" fill="{colour}">{words}</text>')
    return parts


def _last(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else math.nan


def _size(values: Floats) -> float:
    known = [abs(each) for each in values if math.isfinite(each)]
    return max(known, default=-1.0)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
