"""What `screener build` reads of a person's holdings and views, and how it shows and writes orders."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from screener.cli.show import Column, number, percent, print_table, say

if TYPE_CHECKING:
    from screener.api import Known, Market, Stated
    from screener.portfolio.build import Rebalance
    from screener.portfolio.frontier import View
    from screener.portfolio.orders import OrderList
    from screener.universe.model import Theme, Universe

SIZED = ("market_value", "index_rule", "black_litterman")


def check_options(theme: Theme, views: Path | None, fundamentals: bool) -> None:
    """Refuse options that the theme's method would not look at."""
    if views is not None and theme.method != "black_litterman":
        raise typer.BadParameter(f"{theme.method} takes no views; black_litterman does", param_hint="--views")
    if fundamentals and theme.method not in SIZED:
        raise typer.BadParameter(
            f"{theme.method} does not look at market values; {', '.join(SIZED)} do",
            param_hint="--fundamentals",
        )


def read_files(
    universe: Universe, holdings: Path | None, views: Path | None
) -> tuple[dict[str, float] | None, tuple[View, ...]]:
    """Return the shares held, None if not stated, and the views. Raises UserError with a line for every fault."""
    from screener.portfolio.input_files import read_holdings, read_views

    symbols = list(universe.instruments)
    shares = None if holdings is None else read_holdings(holdings, symbols)
    return shares, () if views is None else read_views(views, symbols)


def known_today(
    market: Market,
    shares: dict[str, float] | None,
    capital: float | None,
    views: tuple[View, ...],
    stated: Stated | None,
) -> tuple[Known, float]:
    """Return what is known beside prices, and the wealth (0: not stated)."""
    from screener.api import Known, shares_to_weights

    held, wealth = (None, capital or 0.0) if shares is None else shares_to_weights(market, shares, capital)
    values = None
    if stated is not None:
        values = {symbol: each.get("market_cap", math.nan) for symbol, each in stated.values.items()}
    return Known(held, values, views), wealth


def print_orders(listed: OrderList, base: str) -> None:
    """Show the orders, their costs by kind, the currency they need and the cash they leave."""
    say()
    columns = [Column("Order"), Column("Shares", 0, True), Column("Price", 0, True), Column("Cur", 1)]
    columns += [Column(f"Value {base}", 0, True), Column("Cost", 1, True), Column("Weight", 2, True)]
    columns += [Column("Target", 3, True)]
    rows = [
        [
            f"{'buy' if each.shares > 0 else 'sell'} {each.symbol}",
            f"{abs(each.shares):,}",
            number(each.quote),
            each.quoted_in,
            number(abs(each.value), 0),
            number(_known(each.costs.values()), 2),
            percent(each.weight, signed=False),
            percent(each.target, signed=False),
        ]
        for each in listed.orders
    ]
    print_table(columns, rows)
    kinds = ", ".join(f"{kind} {value:,.2f}" for kind, value in listed.costs.items() if value)
    say(
        f"wealth {listed.wealth:,.0f} {base}; expected costs {sum(listed.costs.values()):,.2f}: {kinds or 'none'}"
    )
    say(f"cash left {listed.cash:,.2f} {base} ({listed.cash / listed.wealth:.2%})")
    for currency, amount in listed.exchange.items():
        say(f"{'buy' if amount > 0 else 'sell'} {abs(amount):,.0f} {currency}")
    for note in listed.notes:
        say(f"  {note}")


def write_orders(file: Path, listed: OrderList, rebalance: Rebalance, synthetic: bool) -> None:
    """Write the orders as a table, whole or not at all: sizes without sign, costs by kind, empty where unknown."""
    import pandas as pd

    from screener.report.tables import write_table

    rows = [
        {
            "symbol": each.symbol,
            "side": "buy" if each.shares > 0 else "sell",
            "shares": abs(each.shares),
            "price": float(f"{each.quote:.6g}"),
            "quoted_in": each.quoted_in,
            "currency": each.currency,
            "local_value": round(abs(each.local), 2),
            "value": round(abs(each.value), 2),
            "cost": round(_known(each.costs.values()), 2),
            "weight": round(each.weight, 6),
            "target": round(each.target, 6),
            **{f"cost_{kind.replace('-', '_')}": round(cost, 2) for kind, cost in each.costs.items()},
            "decided_on": str(rebalance.decided_on),
        }
        for each in listed.orders
    ]
    write_table(pd.DataFrame(rows), file, synthetic, option="--orders")


def _known(costs: Iterable[float]) -> float:
    """Return the sum of the costs that are known; impact is not where volume is not."""
    return math.fsum(each for each in costs if not math.isnan(each))
