"""`screener screen`: who passes, who does not and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption, with_request
from screener.cli.show import (
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
)

if TYPE_CHECKING:
    from screener.api import Market, Request
    from screener.screening.rules import ScreenResult


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
    top: Annotated[int, typer.Option("--top", min=1, help="How many to show.")] = 20,
    explain: Annotated[
        str, typer.Option("--explain", metavar="SYMBOL", help="One name against every rule.")
    ] = "",
    metrics: Annotated[
        bool, typer.Option("--metrics", help="List the metrics that rules may use, and end.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Screen and rank the universe. Example: screener screen --source sample --top 10."""
    from screener.api import load_market
    from screener.api import screen as run
    from screener.screening.rules import parse_rule

    if metrics:
        _list_metrics()
        return
    rules = [parse_rule(each) for each in rule or []]
    with progress("prices") as show:
        market = load_market(request, show)
    result = run(market, name, rules, theme)
    if as_json:
        print_json("screen", market, _as_records(result))
    elif explain:
        _explain(result, explain)
    else:
        _print(market, result, top)
    finish(market, quietly=as_json)


def _list_metrics() -> None:
    from screener.screening.metrics import METRICS

    columns = [Column("Metric"), Column("Unit"), Column("What it is", flexible=True)]
    print_table(columns, [[name, each.unit, each.description] for name, each in METRICS.items()])


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
    columns += [Column("ADV m", 4, True), Column("Score", 6, True)]
    print_table(
        columns, [_row(market, result, str(symbol)) for symbol in result.rank.sort_values().index[:top]]
    )
    passing, judged = len(result.rank), len(result.metrics)
    say(f"{result.screen}: {passing} of {judged} names pass, {min(top, passing)} shown")
    say(f"as of {market.request.as_of}, money in {market.request.base}")
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
    rank, score = str(int(result.rank[symbol])), number(float(result.score[symbol]))
    return [rank, symbol, each.name, stage, *returns, *risk, millions(m["adv"]), score]


def _explain(result: ScreenResult, symbol: str) -> None:
    from screener.api import unknown
    from screener.errors import UserError

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


def _as_records(result: ScreenResult) -> dict[str, Any]:
    table = result.metrics.assign(score=result.score, rank=result.rank)
    return {
        "screen": result.screen,
        "names": table.reset_index(names="symbol").to_dict("records"),
        "rejected": dict(result.reasons),
    }
