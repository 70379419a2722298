"""`screener backtest`: what a theme would have done, beside what else could have been held."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.backtest_tables import (
    GROUPS,
    TABLES,
    attribution_records,
    print_attribution,
    print_tables,
    table_records,
)
from screener.cli.options import JsonOption, parse_date, with_request
from screener.cli.portfolio import (
    BudgetOption,
    CapOption,
    LimitOption,
    MethodOption,
    Words,
    chosen_themes,
    load,
)
from screener.cli.show import Column, finish, number, percent, print_banner, print_json, print_table, say
from screener.cli.trials import LedgerOption

if TYPE_CHECKING:
    from screener.api import BacktestSettings, Market, Request
    from screener.backtest.honesty import Honesty
    from screener.backtest.theme import ThemeResult
    from screener.backtest.validity import Interval, Validity
    from screener.universe.model import Theme

RebalanceOption = Annotated[
    str,
    typer.Option(
        "--rebalance",
        metavar="WHEN",
        help="weekly, weekly:WED, monthly, quarterly, every:10, drift:5%, screen.",
    ),
]
CostOption = Annotated[
    float | None,
    typer.Option(
        "--cost-bps", min=0, help="One cost for every trade, basis points. [default: by kind and exchange]"
    ),
]
YearsOption = Annotated[int, typer.Option("--years", min=1, max=25, help="Years back from the as-of date.")]
# how the reasons of backtest/waits.py read after a number of orders; the others as they are
WAITED = {
    "holiday": "for a holiday",
    "price limit": "at a price limit",
    "cash": "for cash",
    "no open": "for an open",
}


@with_request
def backtest(
    request: Request,
    themes: Annotated[list[str], typer.Argument(help="One or more themes.")],
    method: MethodOption = "",
    max_weight: CapOption = None,
    limit: LimitOption = None,
    budget: BudgetOption = None,
    rebalance: RebalanceOption = "monthly",
    screen: Annotated[
        str, typer.Option("--screen", metavar="NAME", help="Members must pass this screen at each rebalance.")
    ] = "",
    tranches: Annotated[
        int, typer.Option("--tranches", min=1, max=63, help="Parts that rebalance on staggered dates.")
    ] = 1,
    execution: Annotated[
        str, typer.Option("--execution", help="close or open of each name's next session.")
    ] = "close",
    cost_bps: CostOption = None,
    costs: Annotated[
        Path | None, typer.Option("--costs", metavar="FILE", help="Costs by kind, like costs.toml.")
    ] = None,
    withholding: Annotated[
        bool, typer.Option("--withholding", help="Dividends lose the tax their country keeps back.")
    ] = False,
    capital: Annotated[
        float, typer.Option("--capital", min=1, help="Base currency; market impact depends on it.")
    ] = 1_000_000.0,
    years: YearsOption = 5,
    start: Annotated[
        Any, typer.Option("--from", parser=parse_date, metavar="DATE", help="First decision.")
    ] = None,
    attribution: Annotated[
        str, typer.Option("--attribution", metavar="BY", help="segment, country, currency or name.")
    ] = "",
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="NAME", help="years, months, drawdowns or rolling. Repeatable."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Prove that no later data changes an earlier decision, and stop.")
    ] = False,
    offsets: Annotated[
        int, typer.Option("--offsets", min=1, max=63, help="Days of rebalance tried; 21 are all of a month.")
    ] = 21,
    ledger: LedgerOption = None,
    trades: Annotated[
        Path | None,
        typer.Option("--trades", metavar="FILE", help="Write every trade: .csv, .parquet, .json."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk themes forward with costs. Example: screener backtest magnets recycling --source sample."""
    from screener.api import BacktestSettings, HonestySettings
    from screener.api import backtest as run
    from screener.backtest.theme import check_settings

    settings = BacktestSettings(
        rebalance, cost_bps, years, start, execution, capital, tranches, screen, withholding, costs
    )
    universe, chosen = chosen_themes(request, themes, Words(method, max_weight, limit, budget))
    check_settings(list(universe.screens), settings)
    _check_outputs(attribution, table or [], trades)
    market = load(request)
    if audit:
        _audit(market, chosen, settings, as_json)
        return
    look = HonestySettings(ledger or request.ledger, days=offsets)
    results = [run(market, each, settings, look=look) for each in chosen]
    if trades is not None:
        _write_trades(trades, results, market)
    if as_json:
        print_json("backtest", market, {each.theme.key: _record(each, market) for each in results})
    else:
        _print(market, results, settings, attribution, table or [])
        if trades is not None:
            say(str(trades))
    finish(market, quietly=as_json)


def _audit(market: Market, themes: list[Theme], settings: BacktestSettings, as_json: bool) -> None:
    """Scramble everything after random dates and compare what came before; exit 1 when something changed."""
    from dataclasses import asdict

    from screener.api import BuildSettings, audit_theme

    found = {each.key: audit_theme(market, each, settings, BuildSettings()) for each in themes}
    if as_json:
        print_json(
            "audit", market, {key: {**asdict(each), "passed": each.passed} for key, each in found.items()}
        )
    for key, each in found.items() if not as_json else ():
        what = f"{each.decisions:,} decisions and {each.sessions:,} sessions of wealth"
        if each.passed:
            say(f"{key}: all data after {len(each.cuts)} dates scrambled; {what} before them")
            say("  are the same to the last bit")
        elif each.difference is None:
            say(f"{key}: scrambling changed nothing after any date, so that nothing is proved")
        else:
            d = each.difference
            say(f"{key}: LOOK-AHEAD: what came after {d.cut} changed the {d.what} of {d.on} {d.symbol}")
            say(f"  from {d.before!r} to {d.after!r}")
    if not all(each.passed for each in found.values()):
        raise typer.Exit(1)
    finish(market, quietly=as_json)


def _check_outputs(attribution: str, tables: list[str], trades: Path | None) -> None:
    """Refuse what cannot be shown or written before anything is fetched."""
    from screener.errors import raise_all, unknown
    from screener.report.tables import check_table_path

    groups = [attribution] if attribution and attribution not in GROUPS else []
    raise_all(
        [unknown("--attribution", each, list(GROUPS)) for each in groups]
        + [unknown("--table", each, list(TABLES)) for each in tables if each not in TABLES]
    )
    if trades is not None:
        check_table_path(trades, "--trades")


def _write_trades(path: Path, results: list[ThemeResult], market: Market) -> None:
    """Write every trade in money: shares and values of the capital asked for."""
    import pandas as pd

    from screener.portfolio.costs import KINDS
    from screener.report.tables import write_table

    parts = []
    for each in results:
        if each.backtest is not None:
            table = each.backtest.trades.copy()
            table[["shares", "value", "cost", *KINDS]] *= each.backtest.capital
            table.insert(0, "theme", each.theme.key)
            parts.append(table)
    if parts:
        write_table(pd.concat(parts, ignore_index=True), path, market.panel.synthetic, "--trades")


def _print(
    market: Market,
    results: list[ThemeResult],
    settings: BacktestSettings,
    attribution: str,
    tables: list[str],
) -> None:
    print_banner(market)
    columns = [Column("Portfolio", flexible=True), Column("CAGR", 0, True), Column("Vol", 0, True)]
    columns += [Column("Sharpe", 0, True), Column("Sortino", 5, True), Column("Max fall", 0, True)]
    columns += [Column("Calmar", 6, True), Column("CVaR", 4, True), Column("Turnover", 3, True)]
    columns += [Column("Cost", 2, True), Column("TE", 7, True), Column("IR", 1, True)]
    rows = []
    for each in results:
        rows.append([each.theme.key, *_figures(each.performance)])
        if each.since_known is not None:
            rows.append([f"  from {each.theme.known_from:%Y-%m}", *_figures(each.since_known)])
        for other in each.comparisons:
            # relative figures of a comparison are the theme's against it
            figures = _figures(other.performance)
            figures[-2:] = [percent(other.tracking_error, signed=False), number(other.information_ratio)]
            rows.append([f"  {other.name}", *figures])
    print_table(columns, rows)
    for each in results:
        _print_words(each)
        print_tables(each, tables)
        if attribution and each.backtest is not None:
            print_attribution(market, each, attribution)
    say(f"Hypothetical, in {market.request.base}; costs {settings.cost_words()};")
    say("equal weight: the whole universe; buy and hold: the first portfolio;")
    say(f"{settings.frequency} rebalance, decided at the end of a date,")
    say(f"traded at each name's next {settings.execution}.")


def _print_words(each: ThemeResult) -> None:
    """Say what a record covers and what it proves."""
    if each.note:
        say(f"{each.theme.key}: {each.note}")
    if each.performance is None or each.backtest is None:
        return
    known = each.theme.known_from
    hindsight = f"; before {known} it is hindsight" if known and each.performance.start < known else ""
    say(f"{each.theme.key}: {each.performance.start} to {each.performance.end}{hindsight}")
    say(f"  trading cost {each.backtest.cost_bps:.1f} bps of the value traded on average")
    if len(each.backtest.waits):
        counts = each.backtest.waits["reason"].value_counts()
        said = ", ".join(f"{count:,} {WAITED.get(str(why), why)}" for why, count in counts.items())
        _say_wrapped(f"orders that had to wait: {said}")
    if each.capacity is not None:
        most = (
            f"{float(f'{each.capacity:.2g}'):,.0f}"
            if math.isfinite(each.capacity)
            else "over 100,000,000,000"
        )
        _say_wrapped(f"capacity {most}: there market impact has eaten half of the lead over {each.benchmark}")
    _say_wrapped(str(each.survivorship))
    if each.validity is not None:
        _print_validity(each, each.validity)
    if each.honesty is not None:
        from screener.report.honesty_words import honesty_sentences
        from screener.report.words import wording

        _say_wrapped(" ".join(honesty_sentences(each.honesty, wording("en"))))


def _say_wrapped(words: str) -> None:
    for line in wrap(words, 78, initial_indent="  ", subsequent_indent="  "):
        say(line)


def _print_validity(result: ThemeResult, validity: Validity) -> None:
    """Say what the record proves, in the same words for every theme."""

    def between(interval: Interval, signed: bool = True) -> str:
        return f"{percent(interval.low, signed=signed)} to {percent(interval.high, signed=signed)}"

    sharpe = f"{number(validity.sharpe_ratio.low)} to {number(validity.sharpe_ratio.high)}"
    say(f"  90% bootstrap intervals: CAGR {between(validity.cagr)}, Sharpe {sharpe},")
    say(f"  maximum drawdown {between(validity.maximum_drawdown, signed=False)}")
    if validity.excess_cagr is not None:
        say(f"  CAGR less that of {result.benchmark}: {between(validity.excess_cagr)}")
    chance = percent(validity.probabilistic_sharpe, signed=False, digits=0)
    needed = validity.minimum_track_record
    enough = f"; for 95%: {needed:.1f} years" if math.isfinite(needed) else ""
    say(f"  the true Sharpe is above 0 with {chance} after {validity.years:.1f} years{enough}")


def _figures(p: Any) -> list[str]:
    if p is None:
        return ["—"] * 11
    ratios = [
        number(p.sharpe_ratio),
        number(p.sortino_ratio),
        percent(-p.maximum_drawdown),
        number(p.calmar_ratio),
    ]
    risk = [percent(p.cvar_95, signed=False), percent(p.turnover_per_year, signed=False, digits=0)]
    relative = [percent(p.cost_drag, signed=False, digits=2), percent(p.tracking_error, signed=False)]
    return [
        percent(p.cagr),
        percent(p.volatility, signed=False),
        *ratios,
        *risk,
        *relative,
        number(p.information_ratio),
    ]


def _record(result: ThemeResult, market: Market) -> dict[str, Any]:
    from dataclasses import asdict

    from screener.portfolio.costs import KINDS

    run = result.backtest
    more: dict[str, Any] = {}
    if run is not None and result.membership is not None:
        more = {
            "costs": {kind: float(run.trades[kind].sum()) for kind in KINDS},
            "cost_bps": run.cost_bps,
            "waits": run.waits.to_dict("records"),
            "membership": result.membership.to_dict("records"),
            "tables": table_records(result),
            **attribution_records(market, result),
        }
    return {
        "performance": None if result.performance is None else asdict(result.performance),
        "since_known": None if result.since_known is None else asdict(result.since_known),
        "benchmark": result.benchmark,
        "benchmark_performance": None
        if result.benchmark_performance is None
        else asdict(result.benchmark_performance),
        "comparisons": {
            each.name: {
                "performance": asdict(each.performance),
                "beta": each.beta,
                "tracking_error": each.tracking_error,
                "information_ratio": each.information_ratio,
            }
            for each in result.comparisons
        },
        "validity": None if result.validity is None else asdict(result.validity),
        "honesty": None if result.honesty is None else _honesty_record(result.honesty),
        "capacity": result.capacity,
        "survivorship": None if result.survivorship is None else asdict(result.survivorship),
        "known_from": result.theme.known_from,
        "note": result.note,
        **more,
    }


def _honesty_record(honesty: Honesty) -> dict[str, Any]:
    """Return what survives of a record, without the figures of every single basket and split."""
    from dataclasses import asdict

    from screener.report.honesty_words import honesty_sentences
    from screener.report.words import wording

    found = asdict(honesty)
    for part, long in (("placebo", ("sharpe_ratios", "cagrs")), ("overfitting", ("logits",))):
        for name in long if found[part] else ():
            found[part].pop(name)
    return {**found, "words": honesty_sentences(honesty, wording("en"))}
