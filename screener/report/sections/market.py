"""The market by segment: every name with its price, returns, risk, liquidity and freshness."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from screener.report.blocks import Cell, Column, Name, Rows, Section, Table
from screener.report.charts import SPARK_POINTS
from screener.report.measures import (
    HORIZONS,
    horizon_returns,
    last_close,
    names_by_stage,
    stage_means,
    value_at,
    weekly_table,
)
from screener.report.sections.chain import stage_label
from screener.report.standing import named
from screener.report.words import Wording, wording
from screener.screening.metrics import compute_metrics

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs


def section(inputs: WeeklyInputs) -> Section:
    """Return one table with every name under its stage, benchmarks last."""
    say = wording(inputs.language)
    title = say("market.title")
    table = market_table(inputs)
    stages = names_by_stage(inputs.universe, {})  # also the delisted and the not yet listed, which are marked
    returns = table[list(HORIZONS)]
    means = stage_means(returns, stages)
    sparks = weekly_table(inputs.panel.prices, inputs.panel.as_of, SPARK_POINTS - 1)
    groups = [
        Rows(
            tuple(_row(inputs, symbol, table, sparks) for symbol in names),
            heading=_heading(say("market.stage", stage=stage_label(inputs, key), n=len(names)), means, key),
            key=f"stage-{key}",
        )
        for key, names in stages.items()
    ]
    if inputs.universe.benchmarks:
        rows = tuple(_row(inputs, each, table, sparks) for each in sorted(inputs.universe.benchmarks))
        groups.append(Rows(rows, heading=_heading(say("market.benchmarks"))))
    if not groups:
        return Section("market", title, say("market.none"), ())
    week = returns["week"].reindex(list(inputs.universe.instruments)).dropna()
    up, down = int((week > 0).sum()), int((week < 0).sum())
    lead = say("market.lead", up=up, down=down, n=len(week), of=len(inputs.universe.instruments))
    block = Table(
        title=say("market.table", currency=inputs.panel.base_currency),
        columns=_columns(inputs, say),
        groups=tuple(groups),
        note=say("market.note"),
        sortable=True,
        filterable=True,
    )
    return Section("market", title, lead, (block,))


@lru_cache(maxsize=1)
def market_table(inputs: WeeklyInputs) -> pd.DataFrame:
    """Return N × columns: price, five horizons, volatility, fall, adv; rows: everything, in symbol order."""
    panel = inputs.panel
    table = horizon_returns(panel.prices, panel.as_of)
    table.insert(0, "price", last_close(panel))
    metrics = compute_metrics(panel, None)
    table["volatility"] = metrics["volatility"]
    table["fall"] = metrics["distance_from_high"]
    table["adv"] = metrics["adv"]
    return table.reindex(list(inputs.universe.everything()))


def _columns(inputs: WeeklyInputs, say: Wording) -> tuple[Column, ...]:
    return (
        Column(say("column.name"), "name"),
        Column(say("column.six_months"), "spark"),
        Column(say("column.price", currency=inputs.panel.base_currency), "price"),
        *(Column(say(f"horizon.{key}"), "change", scale) for key, scale in HORIZONS.items()),
        Column(say("column.volatility"), "share", note=say("column.volatility_note")),
        Column(say("column.fall"), "share", note=say("column.fall_note")),
        Column(say("column.adv"), "money", note=say("column.adv_note")),
        Column(say("column.screens"), "written", note=say("column.screens_note", n=len(inputs.screens))),
    )


def _row(inputs: WeeklyInputs, symbol: str, table: pd.DataFrame, sparks: pd.DataFrame) -> tuple[Cell, ...]:
    judged = [each for each in inputs.screens if symbol in each.metrics.index]
    passed = f"{sum(symbol in each.rank.index for each in judged)}/{len(judged)}" if judged else ""
    line = tuple(sparks[symbol].tolist()) if symbol in sparks.columns else ()
    return (named(inputs, symbol), line, *(value_at(table, symbol, each) for each in table.columns), passed)


def _heading(label: str, means: pd.DataFrame | None = None, stage: str = "") -> tuple[Cell, ...]:
    """Return a stage's own row: its name and the mean of its names' returns."""
    returns = [""] * len(HORIZONS) if means is None else [value_at(means, stage, key) for key in HORIZONS]
    return (Name(label, ""), (), "", *returns, "", "", "", "")
