"""Orders for a rebalance of today, with the prices, volumes and rates of a market."""

from __future__ import annotations

from collections.abc import Mapping

from screener.errors import UserError
from screener.market.currency import major_unit
from screener.market.load import Market
from screener.market.returns import weekly_returns
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs, load_costs
from screener.portfolio.eligible import average_values
from screener.portfolio.orders import Line, OrderList, make_orders
from screener.screening.measures import volatility


def shares_to_weights(
    market: Market, holdings: Mapping[str, float], capital: float | None
) -> tuple[dict[str, float], float]:
    """Return what holdings are as fractions of the wealth, and the wealth (base currency): capital, or their worth.

    A holding without a current price counts for nothing here; orders name it.
    """
    prices = market.panel.close.iloc[-1]
    worth = {s: n * float(prices.get(s, float("nan"))) for s, n in holdings.items()}
    worth = {symbol: value for symbol, value in worth.items() if value > 0}
    wealth = sum(worth.values()) if capital is None else capital
    if not wealth > 0:
        raise UserError("there is no capital to invest: give --capital, or --holdings of names with prices")
    return {symbol: value / wealth for symbol, value in worth.items()}, wealth


def orders(
    market: Market,
    rebalance: Rebalance,
    holdings: Mapping[str, float] | None = None,
    capital: float | None = None,
    costs: Costs | None = None,
) -> OrderList:
    """Return the orders in whole lots that bring holdings (symbol → shares) to a rebalance of today.

    capital: the wealth to be had, base currency, what is held included; None: what is held is all.
    """
    holdings = holdings or {}
    symbols = sorted({*rebalance.weights.index.astype(str), *holdings} & set(market.panel.symbols))
    prices, values = market.panel.close.iloc[-1], average_values(market.panel, symbols)
    lately = volatility(weekly_returns(market.panel.prices[symbols], 52).to_numpy(), 52, fewest=2)
    lines = {
        symbol: Line(
            instrument=market.universe.instruments[symbol],
            price=float(prices[symbol]),
            rate=market.rates.get(major_unit(market.universe.instruments[symbol].currency)[0], float("nan")),
            adv=float(value),
            volatility=float(lately[place]),
            usd=market.rates.get("USD", 1.0),
        )
        for place, (symbol, value) in enumerate(zip(symbols, values, strict=True))
    }
    return make_orders(rebalance, lines, holdings, capital, costs or load_costs(), market.panel.base_currency)
