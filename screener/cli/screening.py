"""`screener screen`: who passes, who does not and why, who came and went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption, with_request
from screener.cli.show import (
    PARTIAL,
    Column,
    finish,
    millions,
    number,
    percent,
    print_banner,
    print_json,
    print_table,
    progress,
    say,
    tell,
)

if TYPE_CHECKING:
    from screener.api import Market, Request, ScreenSettings
    from screener.market.fundamentals import Stated
    from screener.screening.history import ScreenHistory
    from screener.screening.rules import ScreenResult

NEAR_SHOWN = 5


@with_request
def screen(
    request: Request,
    name: Annotated[
        str, typer.Option("--screen", help="A screen of the universe. [default: its first]")
    ] = "",
    theme: Annotated[str, typer.Option("--theme", help="Judge only this theme's members.")] = "",
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="A further rule, such as 'adv>=2e6'.")
    ] = None,
    where: Annotated[
        str,
        typer.Option("--where", metavar="SQL", help="A further condition over metrics and facts."),
    ] = "",
    rank: Annotated[
        str,
        typer.Option("--rank", metavar="METRIC:WEIGHT,…", help="Rank by these instead; negative reverses."),
    ] = "",
    within: Annotated[
        str, typer.Option("--within", metavar="segment", help="Rank inside each stage of the chain.")
    ] = "",
    top: Annotated[int, typer.Option("--top", min=1, help="How many to show.")] = 20,
    explain: Annotated[
        str, typer.Option("--explain", metavar="SYMBOL", help="One name against every rule.")
    ] = "",
    history: Annotated[
        int,
        typer.Option("--history", metavar="WEEKS", min=0, help="Who came and went over the weeks before."),
    ] = 0,
    capital: Annotated[
        float, typer.Option("--capital", min=1, help="Position whose days to trade count, base currency.")
    ] = 1e6,
    participation: Annotated[
        float, typer.Option("--participation", min=0.001, max=1, help="Of each day's volume at most.")
    ] = 0.10,
    fundamentals: Annotated[
        bool, typer.Option("--fundamentals", help="Add the source's fundamentals; today's only.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write all names judged to .csv, .parquet or .json.")
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="List what rules, --where and --rank may name, and end.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Screen and rank the universe. Example: screener screen --where "contains(materials, 'Dy')"."""
    from screener.api import load_market, screen_history
    from screener.api import screen as run

    if metrics:
        _list_metrics()
        return
    settings = _settings(rule or [], where, rank, within, theme, (capital, participation))
    with progress("prices") as show:
        market = load_market(request, show)
    if fundamentals:
        settings = replace(settings, stated=_ask_fundamentals(market))
    result = run(market, name, settings)
    past = screen_history(market, name, history, settings) if history else None
    if as_json:
        print_json("screen", market, _as_records(result, past))
    elif explain:
        _explain(result, explain)
    else:
        _print(market, result, top)
        if past is not None:
            _print_history(past)
    if output is not None:
        _write(market, result, output, quietly=as_json)
    finish(market, quietly=as_json)
    if settings.stated is not None and settings.stated.failures:
        raise typer.Exit(PARTIAL)


def _settings(
    rules: list[str],
    where: str,
    rank: str,
    within: str,
    theme: str,
    position: tuple[float, float],
) -> ScreenSettings:
    from screener.api import Position, ScreenSettings
    from screener.screening.rules import parse_ranking, parse_rule

    if within not in ("", "segment"):
        raise typer.BadParameter(f"{within!r} is unknown; write segment", param_hint="--within")
    return ScreenSettings(
        rules=tuple(parse_rule(each) for each in rules),
        where=where,
        theme=theme,
        rank_by=parse_ranking(rank) if rank else (),
        within=within,
        position=Position(*position),
    )


def _ask_fundamentals(market: Market) -> Stated:
    from screener.api import load_fundamentals

    on = market.request.as_of
    stated = load_fundamentals(
        market, [s for s, each in market.universe.instruments.items() if each.is_listed(on)]
    )
    for symbol, reason in stated.failures.items():
        tell(f"  {symbol}: {reason}")
    return stated


def _list_metrics() -> None:
    from screener.screening.fundamentals import FUNDAMENTALS
    from screener.screening.metrics import METRICS
    from screener.screening.supply_chain import FACTS

    columns = [Column("Metric"), Column("Unit", 1), Column("What it is", flexible=True)]
    print_table(columns, [[name, each.unit, each.description] for name, each in METRICS.items()])
    say()
    rows = [[name, each.unit, each.description] for name, each in FUNDAMENTALS.items()]
    print_table([Column("Not point in time"), *columns[1:]], rows)
    say()
    print_table(
        [Column("For --where only"), Column("What it is", flexible=True)],
        [[name, what] for name, what in FACTS.items()],
    )


def _print(market: Market, result: ScreenResult, top: int) -> None:
    print_banner(market)
    columns = [Column("#", number=True), Column("Symbol"), Column("Name", 1, flexible=True)]
    columns += [Column("Stage", 9, flexible=True), Column("1w", 2, True), Column("3m", 3, True)]
    columns += [
        Column("12−1m", 0, True),
        Column("Vol", 0, True),
        Column("Fall", 5, True),
        Column("Beta", 7, True),
    ]
    columns += [Column("ADV m", 4, True), Column("Days", 8, True), Column("Score", 6, True)]
    print_table(
        columns, [_row(market, result, str(symbol)) for symbol in result.rank.sort_values().index[:top]]
    )
    passing, judged = len(result.rank), len(result.metrics)
    say(f"{result.screen}: {passing} of {judged} names pass, {min(top, passing)} shown")
    say(f"as of {market.request.as_of}, money in {market.request.base}")
    for symbol in result.near[:NEAR_SHOWN]:
        say(f"near: {symbol}, {'; '.join(result.reasons[symbol])}")
    failing = (~result.passed).sum().sort_values(ascending=False)
    if len(failing) and failing.iloc[0]:
        say(f"most names fail {failing.index[0]} ({failing.iloc[0]}); --explain SYMBOL gives reasons")


def _row(market: Market, result: ScreenResult, symbol: str) -> list[str]:
    m: Any = result.metrics.loc[symbol]
    each = market.universe.instruments[symbol]
    stage = market.universe.segments[each.segment].label
    returns = [percent(m["return_1w"]), percent(m["return_3m"]), percent(m["momentum_12_1"])]
    risk = [
        percent(m["volatility"], signed=False, digits=0),
        percent(-m["max_drawdown"], digits=0),
        number(m["beta"]),
    ]
    trading = [millions(m["adv"]), number(m["days_to_trade"], 1)]
    rank, score = str(int(result.rank[symbol])), number(float(result.score[symbol]))
    return [rank, symbol, each.name, stage, *returns, *risk, *trading, score]


def _print_history(past: ScreenHistory) -> None:
    import pandas as pd

    say()
    counts = past.passed.to_numpy().sum(axis=1)
    for day, count in zip(pd.DatetimeIndex(past.passed.index).date, counts, strict=True):
        moved = [f"+{each}" for each in past.entered.get(day, ())]
        moved += [f"−{each}" for each in past.left.get(day, ())]
        say(f"{day}  {count:>3} pass  {' '.join(moved)}".rstrip())


def _explain(result: ScreenResult, symbol: str) -> None:
    from screener.api import unknown
    from screener.errors import UserError
    from screener.screening.metrics import percentiles

    symbol = symbol if symbol in result.metrics.index else symbol.upper()
    if symbol not in result.metrics.index:
        raise UserError(unknown("symbol", symbol, [str(each) for each in result.metrics.index]))
    rank = (
        f"rank {int(result.rank[symbol])} of {len(result.rank)}"
        if symbol in result.rank.index
        else "does not pass"
    )
    say(f"{symbol}: {rank} in {result.screen}")
    for name, passed in result.passed.loc[symbol].items():
        say(f"  {'passes' if passed else 'fails '}  {name}")
    for reason in result.reasons.get(symbol, ()):
        say(f"  because {reason}")
    segments = {str(each): str(segment) for each, segment in result.facts["segment"].items()}
    overall, inside = (
        percentiles(result.metrics).loc[symbol],
        percentiles(result.metrics, segments).loc[symbol],
    )
    rows = [
        [metric, number(value, 4), _place(float(overall[metric])), _place(float(inside[metric]))]
        for metric, value in result.metrics.loc[symbol].items()
    ]
    columns = [Column("Metric"), Column("Value", 0, True), Column("Percentile", 0, True)]
    print_table([*columns, Column(f"In {segments[symbol]}", 0, True)], rows)


def _place(percentile: float) -> str:
    return "—" if percentile != percentile else f"{percentile * 100:.0f}"


def _as_records(result: ScreenResult, past: ScreenHistory | None) -> dict[str, Any]:
    table = result.facts.join(result.metrics).assign(score=result.score, rank=result.rank)
    records: dict[str, Any] = {
        "screen": result.screen,
        "names": table.rename_axis("symbol").reset_index().to_dict("records"),
        "rejected": dict(result.reasons),
        "near": list(result.near),
    }
    if past is not None:
        names = list(past.passed.columns)
        records["history"] = {
            str(day)[:10]: [name for name, passed in zip(names, row, strict=True) if passed]
            for day, row in zip(past.passed.index, past.passed.to_numpy(), strict=True)
        }
    return records


def _write(market: Market, result: ScreenResult, output: Path, *, quietly: bool) -> None:
    from screener.report.tables import write_table

    table = result.facts.join(result.metrics).assign(
        rank=result.rank,
        score=result.score,
        reasons=["; ".join(result.reasons.get(str(symbol), ())) for symbol in result.metrics.index],
    )
    write_table(table.rename_axis("symbol").reset_index(), output, synthetic=market.panel.synthetic)
    if not quietly:
        say(str(output))
