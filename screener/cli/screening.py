"""`screener screen`: who passes, who does not and why, who came and went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.fundamentals import ask_fundamentals
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
    import pandas as pd

    from screener.api import Market, Request, ScreenSettings
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
    from screener.api import check_screen, load_market, screen_histories
    from screener.api import screen as run
    from screener.report.tables import check_table_path
    from screener.universe.load import find_universe, load_universe

    if metrics:
        _list_metrics()
        return
    if output is not None:
        check_table_path(output)
    settings = _settings(rule or [], where, rank, within, theme, (capital, participation))
    check_screen(load_universe(find_universe(request.universe)), name, settings)
    with progress("prices") as show:
        market = load_market(request, show)
    if fundamentals:
        settings = replace(settings, stated=ask_fundamentals(market, market.universe.listed(request.as_of)))
    past = None
    if history:
        (past,) = screen_histories(market, [name], history, settings).values()
    result = run(market, name, settings) if past is None else past.latest
    if as_json:
        print_json("screen", market, _as_records(result, past))
    elif explain:
        _explain(result, explain, market.panel.base_currency)
    else:
        _print(market, result, top)
        if past is not None:
            _print_history(past)
    if output is not None:
        _write(market, result, output, quietly=as_json)
    finish(market, quietly=as_json, stated=settings.stated)


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

    return ScreenSettings(
        rules=tuple(parse_rule(each) for each in rules),
        where=where,
        theme=theme,
        rank_by=parse_ranking(rank) if rank else (),
        within=within,
        position=Position(*position),
    )


def _list_metrics() -> None:
    from screener.screening.fundamentals import FUNDAMENTALS
    from screener.screening.metrics import IN_SEGMENT, METRICS, PERCENTILE
    from screener.screening.supply_chain import FACTS

    what = Column("What it is", flexible=True, folds=True)
    rows = [[name, each.unit, each.description] for name, each in METRICS.items()]
    print_table([Column("Metric"), Column("Unit", 1), what], rows)
    say()
    rows = [[name, each.unit, each.description] for name, each in FUNDAMENTALS.items()]
    print_table([Column("Not point in time"), Column("Unit", 1), what], rows)
    say("with --fundamentals only, and never of a past date")
    say()
    print_table([Column("For --where only"), what], [[name, text] for name, text in FACTS.items()])
    say()
    say(f"percentiles, 0 to 1: any metric with {PERCENTILE} (of all names) or {IN_SEGMENT} behind it")


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
    passing, judged, shown = len(result.rank), len(result.metrics), 0
    for stage, symbols in _groups(market, result):
        if stage:
            say(f"{stage}: {len(symbols)} pass")
        chosen = symbols[:top]
        rows = [
            _row(market, result, symbol, place if stage else int(result.rank[symbol]))
            for place, symbol in enumerate(chosen, start=1)
        ]
        print_table(columns, rows)
        shown += len(chosen)
    say(f"{result.screen}: {passing} of {judged} names pass, {shown} shown")
    say(f"as of {market.request.as_of}, money in {market.request.base}")
    for symbol in result.near[:NEAR_SHOWN]:
        say(f"near: {symbol}, {'; '.join(result.reasons[symbol])}")
    failing = (~result.passed).sum().sort_values(ascending=False)
    if len(failing) and failing.iloc[0]:
        say(f"most names fail {failing.index[0]} ({failing.iloc[0]}); --explain SYMBOL gives reasons")


def _groups(market: Market, result: ScreenResult) -> list[tuple[str, list[str]]]:
    """Return those that pass, best first: all under "", or under their stage when ranked inside stages."""
    ordered = [str(symbol) for symbol in result.rank.sort_values().index]
    if result.spec.within != "segment":
        return [("", ordered)]
    stages = {
        each.label: [s for s in ordered if market.universe.instruments[s].segment == each.key]
        for each in market.universe.segments.values()
    }
    return [(label, symbols) for label, symbols in stages.items() if symbols] or [("", [])]


def _row(market: Market, result: ScreenResult, symbol: str, place: int) -> list[str]:
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
    score = number(float(result.score[symbol]))
    return [str(place), symbol, each.name, stage, *returns, *risk, *trading, score]


def _print_history(past: ScreenHistory) -> None:
    say()
    counts = past.passed.to_numpy().sum(axis=1)
    for day, count in zip(past.dates, counts, strict=True):
        moved = [f"+{each}" for each in past.entered.get(day, ())]
        moved += [f"−{each}" for each in past.left.get(day, ())]
        say(f"{day}  {count:>3} pass  {' '.join(moved)}".rstrip())


def _explain(result: ScreenResult, symbol: str, currency: str) -> None:
    from screener.api import unknown
    from screener.errors import UserError

    symbol = symbol if symbol in result.metrics.index else symbol.upper()
    if symbol not in result.metrics.index:
        raise UserError(unknown("symbol", symbol, [str(each) for each in result.metrics.index]))
    passes = symbol in result.rank.index
    rank = f"rank {result.rank[symbol]} of {len(result.rank)}" if passes else "does not pass"
    say(f"{symbol}: {rank} in {result.screen}")
    _explain_rules(result, symbol, currency)
    for reason in result.reasons.get(symbol, ()):
        say(f"because {reason}")
    say()
    _explain_metrics(result, symbol, currency)


def _explain_rules(result: ScreenResult, symbol: str, currency: str) -> None:
    """Print a row a rule: the value, by how much it is met or missed, and the value's percentile."""
    from screener.screening.metrics import PERCENTILE
    from screener.screening.rules import rule_name
    from screener.screening.words import RULED, describe, shown

    rules = {rule_name(rule): rule for rule in result.spec.rules}
    figures: Any = result.metrics.loc[symbol]
    margins: Any = result.margins.loc[symbol]
    rows = []
    for name in (str(each) for each in result.passed.columns):
        verdict = "passes" if result.passed.loc[symbol, name] else "fails"
        if name not in rules:  # an SQL condition has no margin
            rows.append([verdict, name, "", "", ""])
            continue
        metric = rules[name].metric
        value, margin = float(figures[metric]), float(margins[name])
        unit = RULED[metric].unit
        place = float(figures.get(metric + PERCENTILE, float("nan")))
        rows.append(
            [
                verdict,
                describe(rules[name]),
                shown(value, unit, currency=currency),
                ("+" if margin > 0 else "") + shown(margin, unit, currency=currency),
                _place(place),
            ]
        )
    columns = [Column(each, 0, True) for each in ("Value", "Margin", "Percentile")]
    print_table([Column(""), Column("Rule", flexible=True, folds=True), *columns], rows)


def _explain_metrics(result: ScreenResult, symbol: str, currency: str) -> None:
    """Print a row a metric: the value and its percentile among all names and in its stage."""
    from screener.screening.metrics import IN_SEGMENT, PERCENTILE
    from screener.screening.words import PERCENTILES, RULED, shown

    row: Any = result.metrics.loc[symbol]
    rows = [
        [
            metric,
            shown(float(row[metric]), RULED[metric].unit, currency=currency),
            _place(float(row[metric + PERCENTILE])),
            _place(float(row[metric + IN_SEGMENT])),
        ]
        for metric in (str(each) for each in result.metrics.columns if each not in PERCENTILES)
    ]
    figures = [Column(each, 0, True) for each in ("Value", "Percentile")]
    stage = str(result.facts["segment"][symbol])
    print_table([Column("Metric"), *figures, Column(f"In {stage}", 0, True)], rows)


def _place(percentile: float) -> str:
    return "—" if percentile != percentile else f"{percentile * 100:.0f}"


def _table(result: ScreenResult) -> pd.DataFrame:
    """Return a row a name judged: symbol, facts, metrics, rank, score and why it fails."""
    import pandas as pd

    return (
        result.facts.join(result.metrics)
        .assign(
            rank=result.rank,
            score=result.score,
            reasons=pd.Series(
                {s: result.reasons.get(str(s), ()) for s in result.metrics.index}, dtype=object
            ),
        )
        .rename_axis("symbol")
        .reset_index()
    )


def _as_records(result: ScreenResult, past: ScreenHistory | None) -> dict[str, Any]:
    records: dict[str, Any] = {
        "screen": result.screen,
        "names": _table(result).to_dict("records"),
        "near": list(result.near),
    }
    if past is not None:
        names = list(past.passed.columns)
        records["history"] = {
            str(day): [name for name, passed in zip(names, row, strict=True) if passed]
            for day, row in zip(past.dates, past.passed.to_numpy(), strict=True)
        }
    return records


def _write(market: Market, result: ScreenResult, output: Path, *, quietly: bool) -> None:
    from screener.report.tables import write_table

    write_table(_table(result), output, synthetic=market.panel.synthetic)
    if not quietly:
        say(str(output))
