"""What `screener build` reads of a person's holdings and views, and how it shows and writes orders."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from screener.cli.show import Column, number, percent, print_table, say, tell

if TYPE_CHECKING:
    from screener.api import Known, Market
    from screener.portfolio.build import Rebalance
    from screener.portfolio.orders import OrderList
    from screener.universe.model import Theme

SIZED = ("market_value", "index_rule", "black_litterman")
COLUMNS = (
    "symbol",
    "side",
    "shares",
    "price",
    "quoted_in",
    "currency",
    "local_value",
    "value",
    "cost",
    "weight",
    "target",
)


def read_known(
    market: Market,
    theme: Theme,
    money: tuple[Path | None, float | None],
    views: Path | None,
    fundamentals: bool,
) -> tuple[Known, dict[str, float], float]:
    """Return what is known beside prices, the shares held and the wealth (0: not stated)."""
    from screener.api import Known, load_fundamentals, shares_to_weights
    from screener.portfolio.input_files import read_holdings, read_views

    if views is not None and theme.method != "black_litterman":
        raise typer.BadParameter(f"{theme.method} takes no views; black_litterman does", param_hint="--views")
    if fundamentals and theme.method not in SIZED:
        raise typer.BadParameter(
            f"{theme.method} does not look at market values; {', '.join(SIZED)} do",
            param_hint="--fundamentals",
        )
    file, capital = money
    symbols = list(market.universe.instruments)
    shares = {} if file is None else read_holdings(file, symbols)
    held, wealth = None, capital or 0.0
    if file is not None:
        held, wealth = shares_to_weights(market, shares, capital)
    values = None
    if fundamentals:
        members = [each.symbol for each in market.universe.members(theme, market.request.as_of)]
        stated = load_fundamentals(market, members)
        for symbol, reason in stated.failures.items():
            tell(f"{symbol}: {reason}")
        values = {symbol: each.get("market_cap", float("nan")) for symbol, each in stated.values.items()}
    return Known(held, values, () if views is None else read_views(views, symbols)), shares, wealth


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
    """Write the orders as CSV, whole or not at all. Costs are by kind; made from synthetic prices they say so."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    kinds = list(listed.costs)
    writer.writerow([*COLUMNS, *(f"cost_{kind.replace('-', '_')}" for kind in kinds), "decided_on", "prices"])
    for each in listed.orders:
        writer.writerow(
            [
                each.symbol,
                "buy" if each.shares > 0 else "sell",
                abs(each.shares),
                f"{each.quote:.6g}",
                each.quoted_in,
                each.currency,
                f"{abs(each.local):.2f}",
                f"{abs(each.value):.2f}",
                f"{_known(each.costs.values()):.2f}",
                f"{each.weight:.6f}",
                f"{each.target:.6f}",
                *(
                    "" if each.costs[kind] != each.costs[kind] else f"{each.costs[kind]:.2f}"
                    for kind in kinds
                ),
                rebalance.decided_on,
                "SYNTHETIC" if synthetic else "market",
            ]
        )
    from screener.errors import UserError

    part = file.with_name(file.name + ".part")
    try:
        part.write_text(text.getvalue(), encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from None


def _known(values: object) -> float:
    return sum(each for each in values if each == each)  # type: ignore[attr-defined]
