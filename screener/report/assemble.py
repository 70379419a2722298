"""Inputs become a WeeklyReport: headline, key figures, sections, tables and record, all of them plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from screener.report.blocks import Section
from screener.report.figures import HORIZONS, Figures, compute_figures, lead_theme, series_returns
from screener.report.model import RunFacts, ThemeResult, WeeklyInputs
from screener.report.sections import SECTIONS
from screener.report.sections.quality import data_banner
from screener.report.words import change_percent, day, known, percent


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One of the figures under the headline, with what to compare it with."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True, eq=False, slots=True)
class WeeklyReport:
    """One weekly page, complete: rendering it needs no further calculation."""

    run: RunFacts
    title: str
    kicker: str
    headline: str
    points: tuple[tuple[str, str], ...]  # label, sentence
    figures: tuple[KeyFigure, ...]
    banners: tuple[str, ...]
    sections: tuple[Section, ...]
    footer: str
    theme_button: str
    filter_label: str
    tables: Mapping[str, pd.DataFrame]  # file name without ending → table
    record: Mapping[str, Any]  # run.json


def assemble(inputs: WeeklyInputs) -> WeeklyReport:
    """Turn what was computed into what the page says."""
    figures = compute_figures(inputs)
    say = figures.words
    year, week, _ = inputs.run.as_of.isocalendar()
    banners = [say("page.synthetic")] if inputs.run.synthetic else []
    banners += [each for each in [data_banner(inputs, figures)] if each]
    return WeeklyReport(
        run=inputs.run,
        title=inputs.universe.label,
        kicker=say("page.kicker", week=f"{year}-W{week:02d}", date=day(inputs.run.as_of)),
        headline=_headline(inputs, figures),
        points=(_moved(inputs, figures), _holds(inputs, figures), _watch(inputs, figures)),
        figures=_key_figures(inputs, figures),
        banners=tuple(banners),
        sections=tuple(section(inputs, figures) for section in SECTIONS.values()),
        footer=say("page.footer", version=inputs.run.version, universe=inputs.universe.key),
        theme_button=say("page.theme_button"),
        filter_label=say("page.filter"),
        tables=_tables(inputs, figures),
        record=_record(inputs, figures),
    )


def _headline(inputs: WeeklyInputs, figures: Figures) -> str:
    say = figures.words
    week = figures.stages["1w"].dropna()
    if not len(week):
        return say("page.headline_flat")
    label = {key: segment.label for key, segment in inputs.universe.segments.items()}
    best, worst = str(week.idxmax()), str(week.idxmin())
    sentence = say(
        "page.headline",
        best=label[best],
        best_return=change_percent(float(week.max())),
        worst=label[worst],
        worst_return=change_percent(float(week.min())),
    )
    lead = lead_theme(inputs)
    if lead is None or lead.backtest is None or lead.benchmark_wealth is None:
        return sentence
    own, other = series_returns(lead.backtest.wealth)["1w"], series_returns(lead.benchmark_wealth)["1w"]
    return f"{sentence} " + say(
        "page.theme_week",
        theme=lead.theme.label,
        theme_return=change_percent(own),
        benchmark=lead.benchmark,
        benchmark_return=change_percent(other),
    )


def _moved(inputs: WeeklyInputs, figures: Figures) -> tuple[str, str]:
    say = figures.words
    names = [symbol for symbol in inputs.universe.instruments if symbol in figures.returns.index]
    week = figures.returns.loc[names, "1w"].dropna()
    if not len(week):
        return say("page.moved"), say("page.moved_none")
    symbol = str(week.abs().idxmax())
    text = say(
        "page.moved_text",
        symbol=symbol,
        name=inputs.universe.instruments[symbol].name,
        change=change_percent(float(week[symbol])),
        count=len(names),
        up=int((week > 0).sum()),
        known=len(week),
    )
    return say("page.moved"), text


def _holds(inputs: WeeklyInputs, figures: Figures) -> tuple[str, str]:
    say = figures.words
    lead = lead_theme(inputs)
    if lead is None or not len(lead.rebalance.weights):
        return say("page.holds"), say("page.holds_none")
    risk = lead.rebalance.risk_contributions
    symbol = str(risk.idxmax())
    text = say(
        "page.holds_text",
        theme=lead.theme.label,
        symbol=symbol,
        risk=percent(float(risk[symbol])),
        weight=percent(float(lead.rebalance.weights[symbol])),
        bound=len(lead.rebalance.limits_bound) or "no",
    )
    return say("page.holds"), text


def _watch(inputs: WeeklyInputs, figures: Figures) -> tuple[str, str]:
    say = figures.words
    total = _expected(inputs)
    quarantined = sum(each.quarantined for each in inputs.findings)
    key = "page.watch_data" if figures.marks else "page.watch_fine"
    return say("page.watch"), say(key, count=len(figures.marks), total=total, quarantined=quarantined)


def _expected(inputs: WeeklyInputs) -> int:
    return sum(each.state not in ("delisted", "not listed") for each in inputs.states.values())


def _key_figures(inputs: WeeklyInputs, figures: Figures) -> tuple[KeyFigure, ...]:
    say = figures.words
    fresh = sum(each.state == "fresh" for each in inputs.states.values())
    freshness = KeyFigure(
        say("page.figure_fresh"), str(fresh), say("page.figure_of_total", count=_expected(inputs))
    )
    lead = lead_theme(inputs)
    if lead is None:
        return (freshness,)
    own = series_returns(None if lead.backtest is None else lead.backtest.wealth)
    other = series_returns(lead.benchmark_wealth)
    against = {
        name: f"{lead.benchmark} {change_percent(other[name])}" if known(other[name]) else ""
        for name in HORIZONS
    }
    wealth = None if lead.backtest is None else lead.backtest.wealth
    below = None if wealth is None else float(wealth.iloc[-1] / wealth.max() - 1)
    worst = (
        ""
        if lead.performance is None
        else say("page.figure_worst", value=percent(lead.performance.maximum_drawdown))
    )
    held = say("page.figure_of_members", count=len(lead.members))
    volatility = percent(lead.rebalance.volatility)
    return (
        KeyFigure(
            f"{lead.theme.label}: {say('page.figure_week').lower()}", change_percent(own["1w"]), against["1w"]
        ),
        KeyFigure(say("page.figure_ytd"), change_percent(own["YTD"]), against["YTD"]),
        KeyFigure(say("page.figure_volatility"), volatility, say("page.figure_predicted")),
        KeyFigure(say("page.figure_below"), percent(None if below is None else -below), worst),
        KeyFigure(say("page.figure_names"), str(len(lead.rebalance.weights)), held),
        freshness,
    )


def _tables(inputs: WeeklyInputs, figures: Figures) -> dict[str, pd.DataFrame]:
    """Return the tables written beside the page; the first column says what the prices are."""
    instruments = inputs.universe.instruments
    market = pd.DataFrame.from_dict(
        {
            symbol: {"name": each.name, "segment": each.segment, "state": inputs.states[symbol].state}
            for symbol, each in instruments.items()
        },
        orient="index",
    ).join(figures.returns.rename(columns=lambda name: f"return_{name}"))
    screens = [
        result.metrics.assign(
            screen=result.screen, rank=result.rank, score=result.score, reasons=_reasons(result.reasons)
        )
        for result in inputs.screens
    ]
    weights = [_weights_table(each) for each in inputs.themes]
    performance = {
        each.theme.key: asdict(each.performance) for each in inputs.themes if each.performance is not None
    }
    wealth = {each.theme.key: each.backtest.wealth for each in inputs.themes if each.backtest is not None}
    quality = [asdict(each) for each in inputs.findings]
    tables = {
        "market": market.rename_axis("symbol").reset_index(),
        "screen": pd.concat(screens).rename_axis("symbol").reset_index() if screens else pd.DataFrame(),
        "weights": pd.concat(weights) if weights else pd.DataFrame(),
        "performance": pd.DataFrame.from_dict(performance, orient="index").rename_axis("theme").reset_index(),
        "wealth": pd.DataFrame(wealth).rename_axis("session").reset_index(),
        "states": pd.DataFrame([asdict(each) for each in inputs.states.values()]),
        "findings": pd.DataFrame(
            quality, columns=["symbol", "session", "check", "severity", "detail", "quarantined"]
        ),
    }
    prices = "SYNTHETIC" if inputs.run.synthetic else inputs.run.source
    return {name: _marked(table, prices) for name, table in tables.items()}


def _marked(table: pd.DataFrame, prices: str) -> pd.DataFrame:
    marked = table.copy()
    marked.insert(0, "prices", prices)
    return marked


def _reasons(reasons: Mapping[str, tuple[str, ...]]) -> pd.Series:
    return pd.Series({symbol: "; ".join(each) for symbol, each in reasons.items()}, dtype="str")


def _weights_table(each: ThemeResult) -> pd.DataFrame:
    table = pd.DataFrame(
        {"weight": each.rebalance.weights, "risk_contribution": each.rebalance.risk_contributions}
    ).rename_axis("symbol")
    table.insert(0, "theme", each.theme.key)
    return table.reset_index()


def _record(inputs: WeeklyInputs, figures: Figures) -> dict[str, Any]:
    """Return what run.json holds: how the page came about, and the numbers next week compares with."""
    return {
        "run": asdict(inputs.run),
        "synthetic": inputs.run.synthetic,
        "universe": inputs.universe.key,
        "states": {symbol: each.state for symbol, each in inputs.states.items()},
        "marked": dict(figures.marks),
        "failures": dict(inputs.failures),
        "findings": {
            "quarantined": sum(each.quarantined for each in inputs.findings),
            "all": len(inputs.findings),
        },
        "warnings": list(inputs.warnings),
        "screens": {each.screen: {str(s): int(r) for s, r in each.rank.items()} for each in inputs.screens},
        "themes": {
            each.theme.key: {
                "decided_on": each.rebalance.decided_on,
                "method": each.rebalance.method,
                "weights": {str(symbol): float(weight) for symbol, weight in each.rebalance.weights.items()},
                "cash": each.rebalance.cash,
                "volatility": each.rebalance.volatility,
                "limits_bound": list(each.rebalance.limits_bound),
                "performance": None if each.performance is None else asdict(each.performance),
                "note": each.note,
            }
            for each in inputs.themes
        },
    }
