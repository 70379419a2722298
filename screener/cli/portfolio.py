"""`screener build` and `screener backtest`: what a theme holds, and what it would have done."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from screener.cli.fundamentals import ask_fundamentals
from screener.cli.options import JsonOption, parse_date, with_request
from screener.cli.show import (
    Column,
    finish,
    number,
    percent,
    print_banner,
    print_json,
    print_table,
    progress,
    say,
)

if TYPE_CHECKING:
    from screener.api import BuildSettings, Market, Request, RiskReport
    from screener.backtest.validity import Interval, Validity
    from screener.portfolio.build import Rebalance
    from screener.portfolio.orders import OrderList
    from screener.report.model import ThemeResult
    from screener.universe.model import Theme, Universe

MethodOption = Annotated[str, typer.Option("--method", help="Weighting method. [default: the theme's own]")]
CapOption = Annotated[
    float | None, typer.Option("--max-weight", help="Cap per issuer, fraction. [default: the theme's]")
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", metavar="TEXT", help='A further limit, such as "segment magnets <= 20%". Repeatable.'
    ),
]
BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget", metavar="TEXT", help='A share of the risk: "segment mining = 30%". Implies risk_budgets.'
    ),
]
RebalanceOption = Annotated[str, typer.Option("--rebalance", help="weekly, monthly or quarterly.")]
CostOption = Annotated[
    float, typer.Option("--cost-bps", min=0, help="Cost of trading, basis points of value.")
]
YearsOption = Annotated[int, typer.Option("--years", min=1, max=25, help="Years back from the as-of date.")]


@with_request
def build(
    request: Request,
    theme: Annotated[
        str, typer.Argument(help="A theme; `screener universe check` counts them, `show` details one.")
    ],
    method: MethodOption = "",
    max_weight: CapOption = None,
    limit: LimitOption = None,
    budget: BudgetOption = None,
    holdings: Annotated[
        Path | None, typer.Option("--holdings", help="CSV of symbol,shares: what is held now.")
    ] = None,
    capital: Annotated[
        float | None,
        typer.Option(
            "--capital", min=1, help="Wealth in base currency, holdings included. [default: theirs]"
        ),
    ] = None,
    orders: Annotated[
        Path | None, typer.Option("--orders", help="Write the orders to this CSV file; - only shows them.")
    ] = None,
    views: Annotated[
        Path | None,
        typer.Option("--views", help="CSV of symbol,against,view,confidence for black_litterman."),
    ] = None,
    fundamentals: Annotated[
        bool, typer.Option("--fundamentals", help="Ask the source for today's market values.")
    ] = False,
    index_rule: Annotated[
        str,
        typer.Option(
            "--index-rule", metavar="NAME", help="For --method index_rule: a shipped rule, or FILE:NAME."
        ),
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Where the risk comes from and what would move the weights.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Weigh one theme as of today. Example: screener build magnets --source sample --capital 50000 --orders -."""
    from screener.api import build as run
    from screener.api import explain as take_apart
    from screener.api import orders as list_orders
    from screener.cli.explain import print_risk
    from screener.cli.orders import check_options, known_today, print_orders, read_files, write_orders
    from screener.report.tables import check_table_path

    universe, (chosen,) = _themes(request, [theme], _Words(method, max_weight, limit, budget))
    check_options(chosen, views, fundamentals)
    settings = _index_settings(chosen, index_rule)
    to_file = orders is not None and str(orders) != "-"
    if orders is not None and to_file:
        check_table_path(orders, "--orders")
    shares, opinions = read_files(universe, holdings, views)
    market = _load(request)
    stated = None
    if fundamentals:
        members = universe.members(chosen, request.as_of)
        stated = ask_fundamentals(market, [each.symbol for each in members])
    known, wealth = known_today(market, shares, capital, opinions, stated)
    settings = replace(settings, capital=wealth)
    rebalance = run(market, chosen, settings, known=known)
    risk = take_apart(market, chosen, rebalance, settings, known) if explain else None
    listed = None
    if not (orders is None and holdings is None and capital is None):
        listed = list_orders(market, rebalance, shares, capital)
    if as_json:
        print_json("build", market, _rebalance_record(rebalance, listed, risk))
    else:
        _print_rebalance(market, rebalance)
        if risk is not None:
            print_risk(market, risk)
        if listed is not None:
            print_orders(listed, market.request.base)
    if listed is not None and orders is not None and to_file:
        write_orders(orders, listed, rebalance, market.panel.synthetic)
        if not as_json:
            say(str(orders))
    finish(market, quietly=as_json, stated=stated)


@with_request
def backtest(
    request: Request,
    themes: Annotated[list[str], typer.Argument(help="One or more themes.")],
    method: MethodOption = "",
    max_weight: CapOption = None,
    limit: LimitOption = None,
    budget: BudgetOption = None,
    rebalance: RebalanceOption = "monthly",
    cost_bps: CostOption = 15.0,
    years: YearsOption = 5,
    start: Annotated[
        Any, typer.Option("--from", parser=parse_date, metavar="DATE", help="First decision.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk themes forward with costs. Example: screener backtest magnets recycling --source sample."""
    from screener.api import BacktestSettings
    from screener.api import backtest as run

    settings = BacktestSettings(rebalance, cost_bps, years, start)
    _, chosen = _themes(request, themes, _Words(method, max_weight, limit, budget))
    market = _load(request)
    results = [run(market, each, settings) for each in chosen]
    if as_json:
        print_json("backtest", market, {each.theme.key: _performance_record(each) for each in results})
    else:
        _print_performance(market, results, settings.frequency, cost_bps)
    finish(market, quietly=as_json)


def _index_settings(theme: Theme, rule: str) -> BuildSettings:
    """Return the settings of a build with the index rule asked for, which must be there."""
    from screener.api import BuildSettings
    from screener.portfolio.index_rule import index_rule_named

    if not rule:
        return BuildSettings()
    if theme.method != "index_rule":
        raise typer.BadParameter(
            f"{theme.method} follows no index rule; index_rule does", param_hint="--index-rule"
        )
    index_rule_named(rule)
    return BuildSettings(index_rule=rule)


class _Words(NamedTuple):
    """What is asked of a theme instead of, or beyond, its own words."""

    method: str
    max_weight: float | None
    limits: list[str] | None
    budgets: list[str] | None


def _themes(request: Request, keys: list[str], words: _Words) -> tuple[Universe, list[Theme]]:
    """Return each theme with the method and limits asked for. A typing error costs no download."""
    from screener.api import check_theme, theme_named
    from screener.universe.load import find_universe, load_universe

    if words.max_weight is not None and not 0 < words.max_weight <= 1:
        raise typer.BadParameter("must be above 0 and at most 1", param_hint="--max-weight")
    universe = load_universe(find_universe(request.universe))
    return universe, [check_theme(universe, _with_words(theme_named(universe, key), words)) for key in keys]


def _load(request: Request) -> Market:
    from screener.api import load_market

    with progress("prices") as show:
        return load_market(request, show)


def _with_words(theme: Theme, words: _Words) -> Theme:
    method = words.method or ("risk_budgets" if words.budgets else theme.method)
    if words.budgets and method != "risk_budgets":
        raise typer.BadParameter(f"{method} takes no risk budgets; leave out --method", param_hint="--budget")
    return replace(
        theme,
        method=method,
        max_weight=words.max_weight or theme.max_weight,
        limits=(*theme.limits, *(words.limits or ())),
        risk_budgets=tuple(words.budgets or theme.risk_budgets),
    )


def _print_rebalance(market: Market, rebalance: Rebalance) -> None:
    print_banner(market)
    columns = [Column("Symbol"), Column("Name", 2, flexible=True), Column("Stage", 1, flexible=True)]
    columns += [Column("Weight", 0, True), Column("Risk", 0, True)]
    rows = []
    for symbol, weight in rebalance.weights.sort_values(ascending=False).items():
        each = market.universe.instruments[str(symbol)]
        share = float(rebalance.risk_contributions[str(symbol)])
        stage = market.universe.segments[each.segment].label
        rows.append(
            [
                str(symbol),
                each.name,
                stage,
                percent(float(weight), signed=False),
                percent(share, signed=False),
            ]
        )
    rows.append(["cash", "", "", percent(rebalance.cash, signed=False), percent(0.0, signed=False)])
    print_table(columns, rows)
    volatility = percent(rebalance.volatility, signed=False)
    say(f"{rebalance.theme}, {rebalance.method}, decided on {rebalance.decided_on}")
    say(f"  predicted volatility {volatility}")
    for line in rebalance.limits_bound:
        say(f"  {line}")
    for symbol, reason in sorted(rebalance.rejected.items()):
        say(f"  left out {symbol}: {reason}")


def _rebalance_record(
    rebalance: Rebalance, orders: OrderList | None, risk: RiskReport | None
) -> dict[str, Any]:
    from dataclasses import asdict

    from screener.cli.explain import risk_record

    return {
        **({} if orders is None else {"orders": asdict(orders)}),
        **({} if risk is None else {"risk": risk_record(risk)}),
        "theme": rebalance.theme,
        "method": rebalance.method,
        "decided_on": str(rebalance.decided_on),
        "weights": rebalance.weights.to_dict(),
        "cash": rebalance.cash,
        "risk_contributions": rebalance.risk_contributions.to_dict(),
        "volatility": rebalance.volatility,
        "limits_bound": list(rebalance.limits_bound),
        "rejected": dict(rebalance.rejected),
    }


def _print_performance(market: Market, results: list[ThemeResult], frequency: str, cost_bps: float) -> None:
    print_banner(market)
    columns = [
        Column("Portfolio"),
        Column("CAGR", 0, True),
        Column("Vol", 0, True),
        Column("Sharpe", 0, True),
    ]
    columns += [Column("Sortino", 5, True), Column("Max fall", 0, True), Column("Calmar", 6, True)]
    columns += [Column("CVaR", 4, True), Column("Turnover", 3, True), Column("Cost", 2, True)]
    columns += [Column("TE", 7, True), Column("IR", 1, True)]
    rows = []
    for each in results:
        rows.append([each.theme.key, *_figures(each.performance)])
        if each.benchmark_performance is not None:
            rows.append([f"  {each.benchmark}", *_figures(each.benchmark_performance)])
    print_table(columns, rows)
    for each in results:
        if each.note:
            say(f"{each.theme.key}: {each.note}")
        if each.performance is not None:
            known = each.theme.known_from
            hindsight = (
                f"; before {known} it is hindsight" if known and each.performance.start < known else ""
            )
            say(f"{each.theme.key}: {each.performance.start} to {each.performance.end}{hindsight}")
        if each.validity is not None:
            _print_validity(each, each.validity)
    say(f"Hypothetical, in {market.request.base}, {cost_bps:g} bps a trade; {frequency} rebalance,")
    say("decided at one close and traded at the next.")


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


def _performance_record(result: ThemeResult) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "performance": None if result.performance is None else asdict(result.performance),
        "benchmark": result.benchmark,
        "benchmark_performance": None
        if result.benchmark_performance is None
        else asdict(result.benchmark_performance),
        "validity": None if result.validity is None else asdict(result.validity),
        "known_from": result.theme.known_from,
        "note": result.note,
    }
