"""`screener build`: what a theme holds today."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from screener.cli.fundamentals import ask_fundamentals
from screener.cli.options import JsonOption, with_request
from screener.cli.show import (
    Column,
    finish,
    percent,
    print_banner,
    print_json,
    print_table,
    progress,
    say,
)

if TYPE_CHECKING:
    from screener.api import BuildSettings, Market, Request, RiskReport
    from screener.portfolio.build import Rebalance
    from screener.portfolio.orders import OrderList
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

    universe, (chosen,) = chosen_themes(request, [theme], Words(method, max_weight, limit, budget))
    check_options(chosen, views, fundamentals)
    settings = _index_settings(chosen, index_rule)
    to_file = orders is not None and str(orders) != "-"
    if orders is not None and to_file:
        check_table_path(orders, "--orders")
    shares, opinions = read_files(universe, holdings, views)
    market = load(request)
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


class Words(NamedTuple):
    """What is asked of a theme instead of, or beyond, its own words."""

    method: str
    max_weight: float | None
    limits: list[str] | None
    budgets: list[str] | None


def chosen_themes(request: Request, keys: list[str], words: Words) -> tuple[Universe, list[Theme]]:
    """Return each theme with the method and limits asked for. A typing error costs no download."""
    from screener.api import check_theme, theme_named
    from screener.universe.load import find_universe, load_universe

    if words.max_weight is not None and not 0 < words.max_weight <= 1:
        raise typer.BadParameter("must be above 0 and at most 1", param_hint="--max-weight")
    universe = load_universe(find_universe(request.universe))
    return universe, [check_theme(universe, _with_words(theme_named(universe, key), words)) for key in keys]


def load(request: Request) -> Market:
    """Return the market of a request, with a progress bar."""
    from screener.api import load_market

    with progress("prices") as show:
        return load_market(request, show)


def _with_words(theme: Theme, words: Words) -> Theme:
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
