"""The tables of `screener backtest`: years, months, drawdowns, a rolled year, and where the return came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from screener.cli.show import Column, console, number, percent, print_table, say, width_of

if TYPE_CHECKING:
    import pandas as pd

    from screener.api import Market
    from screener.backtest.engine import Backtest
    from screener.backtest.theme import ThemeResult
    from screener.universe.model import Universe

GROUPS = ("segment", "country", "currency", "name")
MOST_ROWS = 12  # of names in an attribution


class Shown(NamedTuple):
    """A table of a theme's backtest: how it is printed, and what --json holds."""

    show: Callable[[ThemeResult, Backtest], None]
    record: Callable[[ThemeResult, Backtest], Any]


def print_tables(result: ThemeResult, chosen: list[str]) -> None:
    """Print the tables asked for, by their names in TABLES."""
    for each in dict.fromkeys(chosen):
        if result.backtest is not None:
            TABLES[each].show(result, result.backtest)


def table_records(result: ThemeResult) -> dict[str, Any]:
    """Return every table as JSON holds it; empty without a backtest."""
    run = result.backtest
    return {} if run is None else {name: each.record(result, run) for name, each in TABLES.items()}


def _show_years(result: ThemeResult, run: Backtest) -> None:
    from screener.backtest.record_tables import years_table

    table = years_table(result.portfolios)
    say(f"{result.theme.key}: return by year, {_parts(run)}")
    columns = [Column("Year"), *(Column(str(name), number=True) for name in table.columns)]
    rows = [[str(year), *(percent(float(each)) for each in row)] for year, row in table.iterrows()]
    print_table(columns, rows)


def _year_records(result: ThemeResult, _: Backtest) -> Any:
    from screener.backtest.record_tables import years_table

    return _records(years_table(result.portfolios))


def _show_months(result: ThemeResult, run: Backtest) -> None:
    from screener.backtest.record_tables import MONTHS, months_table

    table = months_table(run.wealth) * 100
    names = [*(each.capitalize() for each in MONTHS), "Year"]
    columns = [Column(""), *(Column(name, number=True) for name in names)]

    def rows(digits: int) -> list[list[str]]:
        years = zip(table.index, table.to_numpy().tolist(), strict=True)
        return [[str(year), *("" if v != v else number(v, digits) for v in row)] for year, row in years]

    # a year is one line; where it would not fit, it goes without decimals
    digits = 1 if width_of(columns, rows(1), gap=1) <= console().width else 0
    say(f"{result.theme.key}: return by month, %, {_parts(run)}")
    print_table(columns, rows(digits), gap=1)


def _month_records(_: ThemeResult, run: Backtest) -> Any:
    from screener.backtest.record_tables import months_table

    return _records(months_table(run.wealth))


def _show_drawdowns(result: ThemeResult, run: Backtest) -> None:
    from screener.backtest.performance import drawdown_table
    from screener.backtest.record_tables import MOST_DRAWDOWNS

    say(f"{result.theme.key}: drawdowns, deepest first; lengths in calendar days")
    columns = [Column(name) for name in ("Peak", "Trough", "Recovery")]
    columns += [Column(name, number=True) for name in ("Depth", "To trough", "Length")]
    rows = []
    for each in drawdown_table(run.wealth, MOST_DRAWDOWNS):
        recovery = "lasts" if each.recovery is None else str(each.recovery)
        lengths = (f"{each.days_down:,}", f"{each.days:,}")
        rows.append([str(each.peak), str(each.trough), recovery, percent(-each.depth), *lengths])
    print_table(columns, rows)


def _drawdown_records(_: ThemeResult, run: Backtest) -> Any:
    from screener.backtest.record_tables import drawdowns_table

    return drawdowns_table(run.wealth).to_dict("records")


def _show_rolling(result: ThemeResult, run: Backtest) -> None:
    from screener.backtest.record_tables import rolling_year

    found = rolling_year(run.wealth)
    if found is None:
        say(f"{result.theme.key}: shorter than a year, so that no year can be rolled through it")
        return
    say(f"{result.theme.key}: the year to each date; below, each column by itself over")
    say(f"  all {found.windows:,} windows of {found.window} sessions")
    columns = [Column("Year to"), *(Column(name, 0, True) for name in ("CAGR", "Vol", "Sharpe", "Max fall"))]

    def row(label: str, values: pd.Series) -> list[str]:
        growth, volatility, sharpe, fall = (float(each) for each in values)
        return [label, percent(growth), percent(volatility, signed=False), number(sharpe), percent(-fall)]

    rows = [row(f"{session:%Y-%m-%d}", values) for session, values in found.steps.iterrows()]
    # falls are printed as losses, so that their lowest is the deepest
    spread = found.spread.assign(maximum_drawdown=found.spread["maximum_drawdown"].to_numpy()[::-1])
    rows += [row(str(name), values) for name, values in spread.iterrows()]
    print_table(columns, rows)


def _rolling_record(_: ThemeResult, run: Backtest) -> Any:
    from screener.backtest.record_tables import rolling_year

    found = rolling_year(run.wealth)
    if found is None:
        return None
    steps = found.steps.set_axis([f"{each:%Y-%m-%d}" for each in found.steps.index])
    return {
        "window": found.window,
        "windows": found.windows,
        "steps": _records(steps.rename_axis("year_to")),
        **found.spread.T.to_dict(),
    }


TABLES = {
    "years": Shown(_show_years, _year_records),
    "months": Shown(_show_months, _month_records),
    "drawdowns": Shown(_show_drawdowns, _drawdown_records),
    "rolling": Shown(_show_rolling, _rolling_record),
}


def _parts(run: Backtest) -> str:
    return f"{run.wealth.index[0]:%Y-%m-%d} to {run.wealth.index[-1]:%Y-%m-%d}"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.reset_index().to_dict("records")]


def print_attribution(market: Market, result: ThemeResult, by: str) -> None:
    """Show what each group gave, adding up to the total return, and to that over the equal-weight universe."""
    from screener.backtest.attribution import attribute, brinson_fachler

    assert result.backtest is not None and result.equal_weight is not None
    labels = group_labels(market.universe, by)
    found = attribute(result.backtest, market.panel)
    _print_parts(by, found.by(labels), "total return")
    active = brinson_fachler(result.backtest, result.equal_weight, labels)
    say(f"{result.theme.key}: what is more, or less, than the equal-weight universe's return")
    _print_parts(by, active.effects, "active return")


def _print_parts(by: str, table: pd.DataFrame, total: str) -> None:
    """Print parts that add up, a row a group: the largest of either sign, the others as one."""
    from screener.backtest.attribution import CASH_AND_COSTS

    sums = table.sum(axis=1)
    table = table.loc[sums.sort_values(ascending=False).index]
    largest = sums.abs().sort_values(ascending=False).index[:MOST_ROWS]
    shown = table.index.isin([*largest, CASH_AND_COSTS])
    columns = [Column(by.capitalize(), flexible=True)]
    columns += [Column(str(kind).capitalize(), 0, True) for kind in [*table.columns, "total"]]
    lines = [(str(key), row) for key, row in table[shown].iterrows()]
    if not shown.all():
        lines.append((f"{(~shown).sum()} others", table[~shown].sum()))
    lines.append((total, table.sum()))
    print_table(
        columns,
        [[key, *(percent(float(value)) for value in [*row, row.sum()])] for key, row in lines],
    )


def attribution_records(market: Market, result: ThemeResult) -> dict[str, Any]:
    """Return contributions and effects against the equal-weight universe by each grouping; empty without a backtest."""
    from screener.backtest.attribution import attribute, brinson_fachler

    if result.backtest is None or result.equal_weight is None:
        return {}
    found = attribute(result.backtest, market.panel)
    by = {each: group_labels(market.universe, each) for each in GROUPS}
    active = {
        each: brinson_fachler(result.backtest, result.equal_weight, labels) for each, labels in by.items()
    }
    return {
        "attribution": {each: _records(found.by(labels).rename_axis("group")) for each, labels in by.items()},
        "active": {
            each: {"active": held.active, "effects": _records(held.effects.rename_axis("group"))}
            for each, held in active.items()
        },
    }


def group_labels(universe: Universe, by: str) -> dict[str, str]:
    """Return each symbol's label in a grouping of GROUPS."""
    from screener.market.currency import major_unit

    return {
        symbol: {
            "segment": universe.segments[each.segment].label,
            "country": each.domicile,
            "currency": major_unit(each.currency)[0],
            "name": symbol,
        }[by]
        for symbol, each in universe.instruments.items()
    }
