"""The tables written beside the page as CSV: program units, one row a fact, safe to open in a spreadsheet."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from screener.backtest.performance import Drawdown, Performance
from screener.backtest.record_tables import MONTHS, drawdowns_table, months_table, years_table
from screener.errors import UserError
from screener.report.change_tables import changes_table, moves_table
from screener.report.proposal import proposal_of
from screener.report.sections.market import market_table
from screener.report.standing import mark_of
from screener.screening.words import PERCENTILES

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs

TABLE_ENDINGS = (".csv", ".parquet", ".json")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what follows


def tables_of(inputs: WeeklyInputs) -> dict[str, pd.DataFrame]:
    """Return every table by its file name without ending; fractions and base currency, NaN for unknown."""
    return {name: made(inputs) for name, made in TABLES.items()}


def for_spreadsheets(table: pd.DataFrame, synthetic: bool) -> pd.DataFrame:
    """Return the table with the column `prices` in front and every text cell harmless as a formula.

    Cells that hold several texts are joined by "; ".
    """
    safe = table.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column].dtype):
            safe[column] = pd.Series(
                [_harmless(each) for each in safe[column]], index=safe.index, dtype=object
            )
    safe.insert(0, "prices", "SYNTHETIC" if synthetic else "market")
    return safe


def check_table_path(path: Path, option: str = "--output") -> None:
    """Raise UserError unless a table can be written under this name."""
    if path.suffix.lower() not in TABLE_ENDINGS:
        raise UserError(f"{option} {path}: write a name that ends in {', '.join(TABLE_ENDINGS)}")


def write_table(table: pd.DataFrame, path: Path, synthetic: bool, option: str = "--output") -> None:
    """Write a table as one of TABLE_ENDINGS, whole or not at all; texts are harmless in a spreadsheet.

    option: where the path comes from, for errors. Raises UserError for another ending, or when the file cannot be
    written.
    """
    check_table_path(path, option)
    safe = for_spreadsheets(table, synthetic)
    writers: dict[str, Callable[[Path], object]] = {
        ".csv": lambda to: safe.to_csv(to, index=False),
        ".parquet": lambda to: safe.to_parquet(to, index=False),
        ".json": lambda to: safe.to_json(to, orient="records", indent=1, force_ascii=False),
    }
    half_written = path.with_name(f".{path.name}.half-written")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[path.suffix.lower()](half_written)
        half_written.replace(path)
    except OSError as error:
        with suppress(OSError):
            half_written.unlink(missing_ok=True)
        raise UserError(f"{option} {path} cannot be written: {error.strerror or error}") from None


def _harmless(cell: object) -> object:
    if isinstance(cell, tuple):
        cell = "; ".join(str(each) for each in cell)
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell


def _market(inputs: WeeklyInputs) -> pd.DataFrame:
    everything = inputs.universe.everything()
    state = {key: inputs.states[key].state if key in inputs.states else "missing" for key in everything}
    described = pd.DataFrame(
        {
            "symbol": list(everything),
            "name": [each.name for each in everything.values()],
            "segment": [each.segment for each in everything.values()],
            "mic": [each.mic for each in everything.values()],
            "state": [state[key] for key in everything],
            "mark": [mark_of(inputs, key) for key in everything],
        },
        dtype=object,
    )
    figures = market_table(inputs).rename(
        columns=lambda each: f"return_{each}" if each in _HORIZON_NAMES else each
    )
    return pd.concat([described, figures.reset_index(drop=True)], axis=1)


_HORIZON_NAMES = ("week", "month", "quarter", "ytd", "year")


def _screen(inputs: WeeklyInputs) -> pd.DataFrame:
    parts = []
    for result in inputs.screens:
        symbols = [str(each) for each in result.metrics.index]
        head = pd.DataFrame(
            {
                "screen": result.screen,
                "symbol": symbols,
                "mark": [mark_of(inputs, each) for each in symbols],
                "rank": result.rank.reindex(result.metrics.index).to_numpy(dtype=float),
                "score": result.score.reindex(result.metrics.index).to_numpy(dtype=float),
                "reasons": ["; ".join(result.reasons.get(each, ())) for each in symbols],
            }
        )
        figures = result.metrics[[each for each in result.metrics.columns if each not in PERCENTILES]]
        parts.append(pd.concat([head, figures.reset_index(drop=True)], axis=1))
    return _stacked(parts, ["screen", "symbol", "mark", "rank", "score", "reasons"])


def _weights(inputs: WeeklyInputs) -> pd.DataFrame:
    """A row a holding and one for cash, so that the weights of a theme sum to one; held: before the rebalance."""
    parts = []
    for each in inputs.themes:
        rebalance, proposal = each.rebalance, proposal_of(inputs, each)
        held = pd.Series(dtype=float) if proposal is None else proposal.table["held"]
        gone = [str(key) for key, share in held.items() if share > 0 and key not in rebalance.weights.index]
        symbols = [*(str(symbol) for symbol in rebalance.weights.index), *gone]
        own = rebalance.weights.reindex(symbols).fillna(0.0)
        parts.append(
            pd.DataFrame(
                {
                    "theme": each.theme.key,
                    "decided_on": str(rebalance.decided_on),
                    "method": rebalance.method,
                    "symbol": [*symbols, "CASH"],
                    "mark": [*(mark_of(inputs, symbol) for symbol in symbols), ""],
                    "weight": [*own.tolist(), rebalance.cash],
                    "risk_contribution": [
                        *rebalance.risk_contributions.reindex(symbols).fillna(0.0).tolist(),
                        0.0,
                    ],
                    "held": [
                        *held.reindex(symbols).tolist(),
                        math.nan if proposal is None else 1 - held.sum(),
                    ],
                }
            )
        )
    columns = ["theme", "decided_on", "method", "symbol", "mark", "weight", "risk_contribution", "held"]
    return _stacked(parts, columns)


def _performance(inputs: WeeklyInputs) -> pd.DataFrame:
    names = [each.name for each in fields(Performance)]
    rows = []
    for each in inputs.themes:
        for portfolio, performance in (
            (each.theme.key, each.performance),
            (each.benchmark, each.benchmark_performance),
        ):
            if performance is not None:
                values = {name: getattr(performance, name) for name in names}
                rows.append({"theme": each.theme.key, "portfolio": portfolio, **values})
    return pd.DataFrame(rows, columns=["theme", "portfolio", *names])


def _years(inputs: WeeklyInputs) -> pd.DataFrame:
    """A row a portfolio and calendar year: the theme's own, then what else could have been held."""
    rows = [
        (each.theme.key, portfolio, year, value)
        for each in inputs.themes
        for portfolio, values in years_table(each.portfolios).items()
        for year, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["theme", "portfolio", "year", "return"])


def _months(inputs: WeeklyInputs) -> pd.DataFrame:
    """A row a theme and calendar year, with the return of each month and of the year."""
    parts = []
    for each in inputs.themes:
        if each.backtest is not None:
            parts.append(months_table(each.backtest.wealth).reset_index())
            parts[-1].insert(0, "theme", each.theme.key)
    return _stacked(parts, ["theme", "year", *MONTHS, "return"])


def _drawdowns(inputs: WeeklyInputs) -> pd.DataFrame:
    parts = []
    for each in inputs.themes:
        if each.backtest is not None:
            parts.append(drawdowns_table(each.backtest.wealth))
            parts[-1].insert(0, "theme", each.theme.key)
    return _stacked(parts, ["theme", *(each.name for each in fields(Drawdown))])


def _wealth(inputs: WeeklyInputs) -> pd.DataFrame:
    parts = []
    for each in inputs.themes:
        if each.backtest is None:
            continue
        index = each.backtest.wealth.index
        against = each.benchmark_wealth
        parts.append(
            pd.DataFrame(
                {
                    "theme": each.theme.key,
                    "session": [f"{session:%Y-%m-%d}" for session in index],
                    "wealth": each.backtest.wealth.to_numpy(),
                    "wealth_before_costs": each.backtest.gross.to_numpy(),
                    "benchmark": each.benchmark,
                    "benchmark_wealth": float("nan")
                    if against is None
                    else against.reindex(index).to_numpy(),
                }
            )
        )
    return _stacked(
        parts, ["theme", "session", "wealth", "wealth_before_costs", "benchmark", "benchmark_wealth"]
    )


def _data_quality(inputs: WeeklyInputs) -> pd.DataFrame:
    """A row a symbol without current prices and a row a finding."""
    columns = ["symbol", "kind", "session", "check", "severity", "quarantined", "detail"]
    rows: list[tuple[object, ...]] = []
    for symbol, state in sorted(inputs.states.items()):
        if state.state != "fresh":
            rows.append((symbol, "state", state.last, state.state, "", False, state.reason))
    rows += [
        (symbol, "download", None, "failed", "", False, why)
        for symbol, why in sorted(inputs.failures.items())
    ]
    rows += [
        (each.symbol, "finding", each.session, each.check, each.severity, each.quarantined, each.detail)
        for each in sorted(inputs.findings, key=lambda each: (each.symbol, each.session, each.check))
    ]
    return pd.DataFrame(rows, columns=columns)


def _stacked(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


TABLES: dict[str, Callable[[WeeklyInputs], pd.DataFrame]] = {
    "market": _market,
    "screen": _screen,
    "weights": _weights,
    "performance": _performance,
    "years": _years,
    "months": _months,
    "drawdowns": _drawdowns,
    "wealth": _wealth,
    "data_quality": _data_quality,
    "changes": changes_table,
    "moves": moves_table,
}
