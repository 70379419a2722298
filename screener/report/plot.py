"""Charts as drawings of their own, for slides: the page's geometry with its colours written in."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import escape

from screener.errors import UserError
from screener.report.browser import find_browser, png_of
from screener.report.charts import BOX, FALL_HEIGHT, HEIGHT, Tick
from screener.report.chartview import chart_view
from screener.report.sections.chain import stages_of
from screener.report.sections.themes import growth_chart
from screener.report.standing import label_of_theme, told
from screener.report.words import Wording, change, is_known, percent, wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs

CHARTS = ("growth", "chain", "risk")
SIZE = (1280, 720)
INK, MUTED, GRID, PAPER = "#15202b", "#5a646e", "#e6e3da", "#fbfaf6"
ACCENT, UP, DOWN, BAR = "#9a4312", "#1d5fa8", "#b04a10", "#87919b"
LEFT, RIGHT, TOP, BOTTOM = 90, 1080, 130, 500  # of a plot, in pixels
SERIF = "Georgia, 'Noto Serif CJK JP', serif"
SANS = "Helvetica, Arial, 'Hiragino Sans', 'Noto Sans CJK JP', sans-serif"


def drawn(chart: str, inputs: WeeklyInputs) -> str:
    """Return one of CHARTS as SVG text; growth and risk are of the first theme of the inputs.

    Raises UserError where there is nothing to draw.
    """
    say = wording(inputs.language)
    return {"growth": _growth, "chain": _chain, "risk": _risk}[chart](inputs, say)


def save(drawing: str, target: Path) -> None:
    """Write a drawing as SVG, or as PNG through a browser, whole or not at all. Raises UserError if it cannot be."""
    if target.suffix == ".png":
        find_browser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".plot-") as folder:
            vector, bitmap = Path(folder) / "plot.svg", Path(folder) / "plot.png"
            vector.write_text(drawing, encoding="utf-8", newline="\n")
            if target.suffix == ".png":
                png_of(vector, bitmap, SIZE)
            (bitmap if target.suffix == ".png" else vector).replace(target)
    except OSError as error:
        raise UserError(f"--output {target} cannot be written: {error.strerror or error}") from None


def _growth(inputs: WeeklyInputs, say: Wording) -> str:
    result = inputs.themes[0]
    if result.backtest is None:
        raise _nothing(inputs, say)
    chart = growth_chart(inputs, result, result.backtest, say)
    view = chart_view(chart, say)
    width, height = RIGHT - LEFT, BOTTOM - TOP
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{chart.shaded * width:.0f}" height="{height}" fill="#87919b26"/>',
        *_grid(view.y_ticks, TOP, height),
        *(
            f'<text x="{LEFT + each.share * width:.0f}" y="{BOTTOM + 24}" text-anchor="middle" fill="{MUTED}">'
            f"{escape(each.label)}</text>"
            for each in view.x_ticks
        ),
        f'<text x="{LEFT + 8}" y="{TOP + 20}" fill="{MUTED}" font-style="italic">{escape(chart.shaded_label)}</text>',
    ]
    for line in view.lines:
        colour = ACCENT if line.main else UP
        parts.append(
            _path(line.path, (TOP, height), HEIGHT, f'fill="none" stroke="{colour}" stroke-width="2.5"')
        )
        y = TOP + line.end_share * height + 5
        parts.append(
            f'<text x="{RIGHT + 10}" y="{y:.0f}" fill="{colour}" font-weight="700">'
            f"{escape(line.label)} {escape(line.end)}</text>"
        )
    parts.append(f'<text x="{LEFT}" y="556" fill="{MUTED}">{escape(chart.drawdown_title)}</text>')
    parts += _grid(view.fall_ticks, 566, 84)
    parts.append(_path(view.fall, (566, 84), FALL_HEIGHT, f'fill="{DOWN}40" stroke="{DOWN}"'))
    return _sheet(inputs, (label_of_theme(inputs, result), chart.title), parts, say)


def _chain(inputs: WeeklyInputs, say: Wording) -> str:
    stages = [each for each in stages_of(inputs) if is_known(each.week)]
    if not stages:
        raise UserError(say("headline.nothing"))
    widest = max(abs(each.week) for each in stages) or 1.0
    step, zero, half = min(34.0, 520 / len(stages)), 800, 330
    parts = [f'<line x1="{zero}" x2="{zero}" y1="{TOP}" y2="{TOP + step * len(stages):.0f}" stroke="{INK}"/>']
    for place, each in enumerate(stages):
        y, size = TOP + place * step, abs(each.week) / widest * half
        x, colour = (zero, UP) if each.week >= 0 else (zero - size, DOWN)
        at, anchor = (zero + size + 8, "start") if each.week >= 0 else (zero - size - 8, "end")
        parts.append(_text(440, y + step * 0.65, each.label, "end"))
        parts.append(
            f'<rect x="{x:.1f}" y="{y + 4:.1f}" width="{size:.1f}" height="{step - 8:.1f}" fill="{colour}"/>'
        )
        parts.append(_text(at, y + step * 0.65, change(each.week), anchor))
    title = say(
        "plot.chain",
        up=sum(each.week > 0 for each in stages),
        n=len(stages),
        day=say.prose_day(inputs.panel.as_of),
    )
    return _sheet(inputs, (title, say("plot.chain_axis", currency=inputs.panel.base_currency)), parts, say)


def _risk(inputs: WeeklyInputs, say: Wording) -> str:
    result = inputs.themes[0]
    weights, risk = result.rebalance.weights, result.rebalance.risk_contributions
    if not len(weights):
        raise _nothing(inputs, say)
    order = [str(each) for each in weights.sort_values(ascending=False, kind="stable").index][:20]
    widest = float(max(weights.max(), risk.max()))
    step = min(34.0, 520 / len(order))
    parts = []
    for place, symbol in enumerate(order):
        y = TOP + place * step
        parts.append(_text(300, y + step * 0.65, symbol, "end"))
        pairs = ((float(weights[symbol]), BAR), (max(float(risk[symbol]), 0.0), ACCENT))
        for row, (share, colour) in enumerate(pairs):
            top = y + 3 + row * (step - 6) / 2
            parts.append(
                f'<rect x="312" y="{top:.1f}" width="{share / widest * 720:.1f}" '
                f'height="{(step - 7) / 2:.1f}" fill="{colour}"/>'
            )
        shown = f"{percent(pairs[0][0])} / {percent(pairs[1][0])}"
        parts.append(_text(1050, y + step * 0.65, shown, "start"))
    riskiest = str(risk.idxmax())
    title = say(
        "plot.risk",
        theme=label_of_theme(inputs, result),
        symbol=riskiest,
        risk=percent(float(risk[riskiest])),
        weight=percent(float(weights[riskiest])),
    )
    axis = say("plot.risk_axis", day=say.prose_day(result.rebalance.decided_on))
    return _sheet(inputs, (title, axis), parts, say)


def _nothing(inputs: WeeklyInputs, say: Wording) -> UserError:
    result = inputs.themes[0]
    note = told(inputs, result.note) or say("themes.nothing_held", members=len(result.members))
    return UserError(say("plot.nothing", theme=label_of_theme(inputs, result), note=note))


def _grid(ticks: Sequence[Tick], top: int, height: int) -> list[str]:
    lines = []
    for each in ticks:
        y = top + each.share * height
        lines.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        lines.append(_text(LEFT - 10, y + 5, each.label, "end", MUTED))
    return lines


def _text(x: float, y: float, words: str, anchor: str, colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _path(path: str, place: tuple[int, int], box: int, style: str) -> str:
    """Stretch a path of the page's box over the plot; its stroke keeps its width."""
    top, height = place
    return (
        f'<svg x="{LEFT}" y="{top}" width="{RIGHT - LEFT}" height="{height}" viewBox="0 0 {BOX} {box}" '
        f'preserveAspectRatio="none" overflow="visible">'
        f'<path d="{path}" vector-effect="non-scaling-stroke" {style}/></svg>'
    )


def _sheet(inputs: WeeklyInputs, titles: tuple[str, str], parts: Sequence[str], say: Wording) -> str:
    """Put a drawing under its titles, and under it where the figures come from."""
    run, (width, height) = inputs.run, SIZE
    source = say("plot.source", version=run.version, universe=inputs.universe.key, source=run.source)
    if run.synthetic:
        source = f"{say('banner.synthetic')} · {source}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="{SANS}" font-size="15" role="img">',
            f"<title>{escape(titles[0])}</title>",
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
            f'<text x="40" y="58" font-family="{SERIF}" font-size="28" font-weight="700" fill="{INK}">'
            f"{escape(titles[0])}</text>",
            f'<text x="40" y="92" fill="{MUTED}">{escape(titles[1])}</text>',
            *parts,
            f'<text x="40" y="{height - 20}" fill="{MUTED}" font-size="13">{escape(source)}</text>',
            "</svg>\n",
        ]
    )
