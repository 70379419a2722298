"""One part per theme: what it holds and why, where the risk sits, and how it would have done."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from screener.backtest.performance import drawdowns
from screener.backtest.theme import BUY_AND_HOLD, EQUAL_WEIGHT
from screener.backtest.validity import CONFIDENCE, LEVEL
from screener.report.blocks import (
    Block,
    Cell,
    Column,
    Details,
    Group,
    Line,
    LineChart,
    Listing,
    Name,
    Paragraph,
    Rows,
    Section,
    Table,
)
from screener.report.charts import wants_log
from screener.report.honesty_words import honesty_sentences
from screener.report.measures import fridays, weekly, worst_of_week
from screener.report.sections.chain import stage_label
from screener.report.sections.changes import against_last_report
from screener.report.sections.theme_parts import changes, concentration
from screener.report.standing import label_of_theme, method_label, named, told
from screener.report.words import Wording, cell_text, number, percent, wording
from screener.universe.purity import theme_purity

if TYPE_CHECKING:
    from screener.backtest.engine import Backtest
    from screener.backtest.theme import ThemeResult
    from screener.backtest.validity import Interval, Validity
    from screener.report.model import WeeklyInputs

# How the statistics are written: as a share of wealth, as a signed change, or as a plain ratio.
STATISTICS = {
    "total_return": "change",
    "cagr": "change",
    "volatility": "share",
    "sharpe_ratio": "ratio",
    "sortino_ratio": "ratio",
    "maximum_drawdown": "share",
    "calmar_ratio": "ratio",
    "cvar_95": "share",
    "turnover_per_year": "share",
    "cost_drag": "share",
    "beta": "ratio",
    "tracking_error": "share",
    "information_ratio": "ratio",
}
OTHERS = {EQUAL_WEIGHT: "equal_weight", BUY_AND_HOLD: "buy_and_hold"}
RELATIVE = ("beta", "tracking_error", "information_ratio", "turnover_per_year", "cost_drag")


def section(inputs: WeeklyInputs) -> Section:
    """Return a part for every theme."""
    say = wording(inputs.language)
    if not inputs.themes:
        return Section("themes", say("themes.title"), say("themes.none"), ())
    held = {symbol for each in inputs.themes for symbol in each.rebalance.weights.index}
    bound = sum(bool(each.rebalance.limits_bound) for each in inputs.themes)
    lead = say("themes.lead", themes=len(inputs.themes), names=len(held), bound=bound)
    parts = tuple(_part(inputs, each, say) for each in inputs.themes)
    note = Paragraph(say("themes.statistics_note"), "note")
    return Section("themes", say("themes.title"), lead, (note, *parts))


def _part(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> Group:
    left: list[Block] = []
    if len(result.rebalance.weights):
        left.append(_holdings(inputs, result, say))
    left.append(_limits(inputs, result, say))
    left += [*changes(inputs, result, say), *against_last_report(inputs, result, say)]
    left += _rejected(inputs, result, say)
    right: list[Block] = []
    if result.backtest is not None:
        right.append(growth_chart(inputs, result, result.backtest, say))
        right.append(_statistics(result, say))
    if result.honesty is not None:
        label, method = label_of_theme(inputs, result), method_label(result.theme.method, say)
        honesty = replace(result.honesty, theme=label, method=method)
        words = honesty_sentences(honesty, say) + _survivorship(result, say)
        right.append(Paragraph(say.joined(words), "note"))
    elif result.validity is not None:
        right.append(Paragraph(_trust(result, result.validity, say), "note"))
    right += concentration(inputs, result, say)
    if result.note:
        right.append(Paragraph(told(inputs, result.note), "warning"))
    return Group(
        f"theme-{result.theme.key}",
        label_of_theme(inputs, result),
        _finding(inputs, result, say),
        tuple(left),
        tuple(right),
    )


def _finding(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> str:
    """Say what the theme holds, in numbers."""
    rebalance = result.rebalance
    if not len(rebalance.weights):
        return say("themes.nothing_held", members=len(result.members))
    heaviest, riskiest = str(rebalance.weights.idxmax()), str(rebalance.risk_contributions.idxmax())
    members = [inputs.universe.instruments[str(each)] for each in rebalance.weights.index]
    purity = theme_purity(members, {str(key): float(value) for key, value in rebalance.weights.items()})
    finding = say(
        "themes.finding",
        held=len(rebalance.weights),
        members=len(result.members),
        cash=percent(rebalance.cash),
        volatility=percent(rebalance.volatility),
        heaviest=heaviest,
        weight=percent(float(rebalance.weights[heaviest])),
        riskiest=riskiest,
        risk=percent(float(rebalance.risk_contributions[riskiest])),
    )
    if purity is None:
        return finding
    driven = {key: percent(getattr(purity, key), 0) for key in ("low", "middle", "high")}
    return say.joined([finding, say("themes.purity", **driven)])


def _holdings(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> Table:
    rebalance = result.rebalance
    weights = rebalance.weights.sort_values(ascending=False, kind="stable")
    widest = float(max(weights.max(), rebalance.risk_contributions.max()))
    rows: list[tuple[Cell, ...]] = []
    for symbol, weight in zip(weights.index.astype(str), weights.tolist(), strict=True):
        risk = float(rebalance.risk_contributions[symbol])
        stage = stage_label(inputs, inputs.universe.instruments[symbol].segment)
        bars = (weight / widest, max(risk, 0.0) / widest)
        rows.append((named(inputs, symbol), stage, bars, weight, risk))
    cash = Name(say("themes.cash"), "")
    total = Name(say("themes.total"), "")
    footing: tuple[tuple[Cell, ...], ...] = (
        (cash, "", (), rebalance.cash, 0.0),
        (total, "", (), float(weights.sum()) + rebalance.cash, float(rebalance.risk_contributions.sum())),
    )
    return Table(
        title=say(
            "themes.weights_title",
            method=method_label(rebalance.method, say),
            day=say.prose_day(rebalance.decided_on),
        ),
        columns=(
            Column(say("column.name"), "name"),
            Column(say("column.stage"), "text"),
            Column(say("column.weight_and_risk"), "bars"),
            Column(say("column.weight"), "share", note=say("column.weight_note")),
            Column(say("column.risk"), "share", note=say("column.risk_note")),
        ),
        groups=(Rows(tuple(rows)),),
        footing=footing,
        tall=True,
    )


def _limits(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> Block:
    if not result.rebalance.limits_bound:
        return Paragraph(say("themes.no_limits", cap=percent(result.theme.max_weight, 0)), "note")
    return Listing(say("themes.limits"), tuple(told(inputs, each) for each in result.rebalance.limits_bound))


def _rejected(inputs: WeeklyInputs, result: ThemeResult, say: Wording) -> tuple[Block, ...]:
    rejected = sorted(result.rebalance.rejected.items())
    if not rejected:
        return ()
    table = Table(
        title="",
        columns=(Column(say("column.name"), "name"), Column(say("column.why"), "text")),
        groups=(Rows(tuple((named(inputs, symbol), told(inputs, why)) for symbol, why in rejected)),),
    )
    return (Details(say.count("themes.rejected", len(rejected)), (table,)),)


def growth_chart(inputs: WeeklyInputs, result: ThemeResult, run: Backtest, say: Wording) -> LineChart:
    """Return the growth of 100 in a theme and its benchmark, and the theme's drawdown."""
    last = run.wealth.index[-1].date()
    weeks = fridays(run.wealth.index[0], last)
    lines = [Line(say("chart.theme"), _hundreds(run.wealth, last), main=True)]
    if result.benchmark_wealth is not None and len(result.benchmark_wealth):
        lines.append(Line(result.benchmark, _hundreds(result.benchmark_wealth, last)))
    log = wants_log(value for each in lines for value in each.values)
    known_from = result.theme.known_from
    if known_from is None:
        shaded, label = 1.0, say("chart.hindsight_all")
    else:
        days = (pd.Timestamp(last) - weeks[0]).days or 1
        shaded = min(max((pd.Timestamp(known_from) - weeks[0]).days / days, 0.0), 1.0)
        label = say("chart.hindsight", day=say.prose_day(known_from)) if shaded else ""
    title = say(
        "chart.growth",
        ends=say.listed([f"{each.label} {number(_last(each.values), 0)}" for each in lines]),
        currency=inputs.panel.base_currency,
        costs=number(run.cost_bps, 1),
    )
    falls = drawdowns(run.wealth)
    return LineChart(
        title=title,
        lines=tuple(lines),
        first=weeks[0].date(),
        last=last,
        log=log,
        shaded=shaded,
        shaded_label=label,
        drawdown_title=say("chart.drawdown", worst=percent(-float(falls.min()))),
        drawdown=tuple(worst_of_week(falls, last).fillna(0.0).tolist()),
    )


def _last(values: tuple[float, ...]) -> float:
    return next((each for each in reversed(values) if math.isfinite(each)), math.nan)


def _hundreds(wealth: pd.Series, last: date) -> tuple[float, ...]:
    points = weekly(wealth, last)
    first = float(wealth.dropna().iloc[0]) if wealth.notna().any() else math.nan
    return tuple((100 * points / first).tolist())


def _statistics(result: ThemeResult, say: Wording) -> Table:
    """Theme beside benchmark, equal weight and buy and hold, one statistic a row; only the theme has relative ones."""
    own, other = result.performance, result.benchmark_performance
    others = {each.name: each.performance for each in result.comparisons if each.name in OTHERS}
    rows: list[tuple[Cell, ...]] = []
    for key, kind in STATISTICS.items():
        known = (own, other, *others.values())
        values = [math.nan if each is None else float(getattr(each, key)) for each in known]
        if key in RELATIVE:
            values[1:] = [math.nan] * (len(values) - 1)
        rows.append((say(f"statistic.{key}"), *(_written(each, kind, say) for each in values)))
    title = say("themes.statistics_empty")
    if own is not None:
        title = say("themes.statistics", first=say.prose_day(own.start), last=say.prose_day(own.end))
    columns = (
        Column(say("column.statistic"), "text"),
        Column(say("chart.theme"), "written"),
        Column(result.benchmark or say("column.no_benchmark"), "written"),
        *(Column(say(f"themes.{OTHERS[name]}"), "written") for name in others),
    )
    return Table(title, columns, (Rows(tuple(rows)),))


def _trust(result: ThemeResult, validity: Validity, say: Wording) -> str:
    """Say in a paragraph what the record proves and what it cannot."""

    def between(interval: Interval, *, signed: bool = True) -> dict[str, str]:
        return {
            "low": percent(interval.low, signed=signed),
            "high": percent(interval.high, signed=signed),
        }

    own, other = result.performance, result.benchmark_performance
    sentences = [
        say("trust.cagr", level=percent(LEVEL, 0), **between(validity.cagr)),
        say(
            "trust.sharpe",
            low=number(validity.sharpe_ratio.low),
            high=number(validity.sharpe_ratio.high),
        ),
        say("trust.fall", **between(validity.maximum_drawdown, signed=False)),
    ]
    if validity.excess_cagr is not None and own is not None and other is not None:
        ahead = percent(own.cagr - other.cagr, signed=True)
        sentences.append(
            say("trust.excess", ahead=ahead, benchmark=result.benchmark, **between(validity.excess_cagr))
        )
    needed = validity.minimum_track_record
    sentences.append(
        say("trust.luck", chance=percent(validity.probabilistic_sharpe, 0), years=number(validity.years, 1))
    )
    if math.isfinite(needed):
        sentences.append(say("trust.needed", confidence=percent(CONFIDENCE, 0), years=number(needed, 1)))
    known = result.theme.known_from
    if own is not None and (known is None or own.start < known):
        sentences.append(say("trust.hindsight"))
    return say.joined(sentences)


def _survivorship(result: ThemeResult, say: Wording) -> list[str]:
    found = result.survivorship
    if found is None:
        return []
    if found.unpriced:
        return [say("themes.survivorship.unpriced", names=say.listed(found.unpriced))]
    if found.traded:
        return [say("themes.survivorship.traded", names=say.listed(found.traded))]
    return [say("themes.survivorship.none")]


def _written(value: float, kind: str, say: Wording) -> str:
    """Write a statistic; a column that mixes kinds holds text."""
    return cell_text(value, kind, say)
