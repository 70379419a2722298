"""From target weights to a list a broker would take: whole lots, local money, expected cost by kind, leftover cash.

Rounding is a mixed-integer program (HiGHS through SciPy): the lots nearest to the targets whose purchases and costs
the cash pays for and whose weights keep the limits. It never spends more than the capital.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from screener.errors import ScreenerError, UserError
from screener.market.currency import major_unit
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import KINDS, Costs
from screener.universe.model import Instrument

Floats = npt.NDArray[np.float64]
LOTS = {"XTKS": 100, "XSHG": 100, "XSHE": 100}  # shares a board lot holds on the whole exchange
# local money that a first purchase is worth at least: Sydney's minimum parcel
FIRST_PURCHASE = {"XASX": 500.0}
ROUNDS = 6  # of setting cash aside for costs that rounding made larger


@dataclass(frozen=True, slots=True)
class Line:
    """One name's market facts. price and adv: base currency; rate: base currency per unit of its major currency.

    usd: base currency per US dollar, in which classes of liquidity are told.
    """

    instrument: Instrument
    price: float
    rate: float
    adv: float = float("nan")
    volatility: float = 0.3  # annualised, of the impact
    usd: float = 1.0

    @property
    def lot(self) -> int:
        """Return the shares of a lot."""
        return max(self.instrument.lot_size, LOTS.get(self.instrument.mic, 1))

    @property
    def currency(self) -> str:
        """Return the major currency it is quoted in."""
        return major_unit(self.instrument.currency)[0]

    @property
    def quote(self) -> float:
        """Return its price as quoted, pence where it is quoted in pence."""
        return self.price / self.rate / major_unit(self.instrument.currency)[1]


@dataclass(frozen=True, slots=True)
class Order:
    """One trade. shares > 0 buys; local: major currency; value and costs: base currency, costs by KINDS."""

    symbol: str
    shares: int
    quote: float
    quoted_in: str  # as the exchange writes it: GBp where the quote is in pence
    currency: str
    local: float
    value: float
    costs: Mapping[str, float]
    weight: float  # of the wealth, after the trade
    target: float


@dataclass(frozen=True, slots=True)
class OrderList:
    """Orders, sales first. cash: base currency left after costs. exchange: currency → local money to be bought (> 0).

    notes: what could not be followed, a sentence each.
    """

    orders: tuple[Order, ...]
    wealth: float
    cash: float
    exchange: Mapping[str, float]
    costs: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())


def make_orders(
    rebalance: Rebalance,
    lines: Mapping[str, Line],
    holdings: Mapping[str, float],
    capital: float | None,
    costs: Costs,
    base: str,
) -> OrderList:
    """Return the orders that bring holdings to a rebalance's weights.

    holdings: symbol → shares. capital: the wealth to be had, base currency, what is held included; None: what is
    held is all. Raises UserError for capital that is not positive or less than what is held, and for a target
    without a price.
    """
    symbols = sorted({*rebalance.weights.index.astype(str), *(s for s, n in holdings.items() if n)})
    unpriced = [symbol for symbol in symbols if symbol not in lines or not lines[symbol].price > 0]
    if wanted := [symbol for symbol in unpriced if symbol in rebalance.weights.index]:
        raise UserError(f"no price to order {', '.join(wanted)} at")
    notes = [f"{symbol} is held and has no price here: left as it is, not counted" for symbol in unpriced]
    traded = [symbol for symbol in symbols if symbol not in unpriced]
    held = np.array([float(holdings.get(symbol, 0.0)) for symbol in traded])
    price = np.array([lines[symbol].price for symbol in traded])
    worth = float(held @ price)
    wealth = worth if capital is None else capital
    if not wealth > 0 or not np.isfinite(wealth):
        raise UserError("there is no capital to invest: give --capital, or --holdings of names with prices")
    if wealth < worth - 1e-6:
        raise UserError(
            f"the capital of {wealth:,.0f} {base} is less than the {worth:,.0f} held; it includes what is held"
        )
    target = np.array([float(rebalance.weights.get(symbol, 0.0)) for symbol in traded])
    book = _Book(
        [lines[symbol] for symbol in traded], held, price, target, wealth, costs, base, rebalance.decided_on
    )
    shares, more = book.rounded(_rows(rebalance, traded))
    return book.listed(shares, (*notes, *more), rebalance)


def _rows(rebalance: Rebalance, traded: list[str]) -> tuple[Floats, Floats]:
    """Return the linear limits as rows over the names traded; a limit the targets do not keep is left out."""
    if rebalance.region is None:
        return np.zeros((0, len(traded))), np.zeros(0)
    names, region = rebalance.region.names, rebalance.region
    place = {symbol: number for number, symbol in enumerate(traded)}
    rows, bounds = [], []
    for row in region.rows:
        if (row.coefficients < 0).any():
            continue  # a floor: whole lots may fall short of it, which is told
        wide = np.zeros(len(traded))
        for symbol, coefficient in zip(names.symbols, row.coefficients, strict=True):
            if symbol in place:
                wide[place[symbol]] = coefficient
        if wide.any():
            rows.append(wide)
            bounds.append(row.bound)
    return np.array(rows).reshape(-1, len(traded)), np.array(bounds)


@dataclass(frozen=True, eq=False, slots=True)
class _Book:
    """N names that are held or wanted, with what trading them costs."""

    lines: list[Line]
    held: Floats  # shares
    price: Floats  # base currency
    target: Floats  # weights
    wealth: float
    costs: Costs
    base: str
    day: date

    def rounded(self, rows: tuple[Floats, Floats]) -> tuple[Floats, tuple[str, ...]]:
        """Return the shares to hold, and what stands in the way of the targets."""
        aside = 0.0
        for _ in range(ROUNDS):
            shares = self._solve(rows, aside)
            kept = rows
            if shares is None:  # what is held and cannot be cut finely enough breaks a cap
                kept = (np.zeros((0, len(self.lines))), np.zeros(0))
                shares = self._solve(kept, aside)
            if shares is None:
                raise ScreenerError("no list of whole lots was found that the capital pays for")
            short = -self.cash_after(shares)
            if short <= 0:
                return shares, self._notes(shares, kept is not rows)
            aside += short * 1.01 + 1e-9 * self.wealth
        raise ScreenerError("no list of whole lots was found whose costs the capital pays for")

    def cost_of(self, number: int, shares: float) -> dict[str, float]:
        """Return kind → expected cost of one trade, base currency; without a known volume the impact is NaN."""
        line = self.lines[number]
        value = abs(shares) * line.price
        rates = self.costs.rates(
            line.instrument.mic,
            self.day,
            foreign=line.currency != self.base,
            buying=shares > 0,
            adv_usd=line.adv / line.usd,
        )
        impact = self.costs.impact(value, line.adv, line.volatility)
        return {**{kind: rate * value for kind, rate in rates.items()}, "impact": impact * value}

    def cash_after(self, shares: Floats) -> float:
        """Return the cash left after trades and expected costs."""
        cash = self.wealth - float(shares @ self.price)
        for number, change in enumerate(shares - self.held):
            cash -= float(np.nansum(list(self.cost_of(number, change).values()))) if change else 0.0
        return cash

    def _solve(self, rows: tuple[Floats, Floats], aside: float) -> Floats | None:
        """Solve the mixed-integer program; variables are lots, |value − target|, |trade|, whether a line is new."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        n = len(self.lines)
        lot = np.array([float(line.lot) for line in self.lines])
        odd = np.where(self.target > 0, np.mod(self.held, lot), 0.0)  # an odd lot is kept, or sold with all
        size = lot * self.price / self.wealth
        fixed = odd * self.price / self.wealth
        before = self.held * self.price / self.wealth
        most = np.where(self.target > 0, np.ceil((np.maximum(self.target, before) - fixed) / size) + 1, 0.0)
        rate = np.array([self._rate(number) for number in range(n)])
        one, zero = np.eye(n), np.zeros((n, n))
        unit = np.diag(size)
        matrix = [
            np.hstack([unit, -one, zero, zero]),
            np.hstack([-unit, -one, zero, zero]),
            np.hstack([unit, zero, -one, zero]),
            np.hstack([-unit, zero, -one, zero]),
            np.hstack([size, np.zeros(n), rate, np.zeros(n)])[None, :],
        ]
        bound = [self.target - fixed, fixed - self.target, before - fixed, fixed - before]
        bound.append(np.array([1.0 - fixed.sum() - aside / self.wealth]))
        if len(rows[0]):
            matrix.append(np.hstack([rows[0] * size, np.zeros((len(rows[0]), 3 * n))]))
            bound.append(rows[1] - rows[0] @ fixed + 1e-12)
        least = self._first_lots()
        matrix.append(np.hstack([np.diag(1.0 / np.maximum(most, 1.0)), zero, zero, -one]))
        bound.append(np.zeros(n))
        matrix.append(np.hstack([-one, zero, zero, np.diag(least)]))
        bound.append(np.zeros(n))
        answer = milp(
            np.concatenate([np.zeros(n), np.ones(n), rate, np.zeros(n)]),
            constraints=LinearConstraint(np.vstack(matrix), -np.inf, np.concatenate(bound)),
            bounds=Bounds(np.zeros(4 * n), np.concatenate([most, np.full(2 * n, np.inf), np.ones(n)])),
            integrality=np.concatenate([np.ones(n), np.zeros(2 * n), np.ones(n)]),
            options={"mip_rel_gap": 1e-4, "node_limit": 20_000},
        )
        return None if answer.x is None else odd + lot * np.round(answer.x[:n])

    def _rate(self, number: int) -> float:
        """Return what a trade of the size wanted costs, as a fraction of its value."""
        wanted = self.target[number] * self.wealth / self.price[number] - self.held[number]
        value = abs(wanted) * self.price[number]
        return float(np.nansum(list(self.cost_of(number, wanted).values()))) / value if value else 0.0

    def _first_lots(self) -> Floats:
        """Return how many lots a line that is not held yet must have at least, if it is bought."""
        least = np.zeros(len(self.lines))
        for number, line in enumerate(self.lines):
            parcel = FIRST_PURCHASE.get(line.instrument.mic, 0.0)
            if parcel and self.held[number] == 0:
                least[number] = np.ceil(parcel * line.rate / (line.lot * line.price))
        return least

    def _notes(self, shares: Floats, limits_broken: bool) -> tuple[str, ...]:
        notes = []
        if limits_broken:
            notes.append("whole lots cannot keep every limit at this capital; see the weights")
        for line, number, wanted in zip(self.lines, shares, self.target, strict=True):
            lot_share = line.lot * line.price / self.wealth
            if wanted > 0 and number == 0:
                notes.append(
                    f"{line.instrument.symbol} is not bought: its smallest order is {lot_share:.1%} of the capital, "
                    f"its target {wanted:.1%}"
                )
        return tuple(notes)

    def listed(self, shares: Floats, notes: tuple[str, ...], rebalance: Rebalance) -> OrderList:
        """Return the list of orders for the shares to hold."""
        orders = []
        exchange: dict[str, float] = {}
        for number, line in enumerate(self.lines):
            change = float(shares[number] - self.held[number])
            if not change:
                continue
            local = change * line.price / line.rate
            if line.currency != self.base:
                exchange[line.currency] = exchange.get(line.currency, 0.0) + local
            orders.append(
                Order(
                    symbol=line.instrument.symbol,
                    shares=round(change),
                    quote=line.quote,
                    quoted_in=line.instrument.currency,
                    currency=line.currency,
                    local=local,
                    value=change * line.price,
                    costs=self.cost_of(number, change),
                    weight=float(shares[number] * line.price / self.wealth),
                    target=float(self.target[number]),
                )
            )
        if unknown := [each.symbol for each in orders if np.isnan(each.costs["impact"])]:
            notes = (*notes, f"volume unknown, so no impact is counted: {', '.join(unknown)}")
        totals = {kind: float(np.nansum([each.costs[kind] for each in orders])) for kind in KINDS}
        return OrderList(
            orders=tuple(sorted(orders, key=lambda each: (each.shares > 0, each.symbol))),
            wealth=self.wealth,
            cash=self.cash_after(shares),
            exchange=dict(sorted(exchange.items())),
            costs=totals,
            notes=(*notes, *self._broken(shares, rebalance)),
        )

    def _broken(self, shares: Floats, rebalance: Rebalance) -> tuple[str, ...]:
        """Say which limits the weights in whole lots break."""
        if rebalance.region is None:
            return ()
        weight = {
            line.instrument.symbol: float(number * line.price / self.wealth)
            for line, number in zip(self.lines, shares, strict=True)
        }
        held = np.array([weight.get(symbol, 0.0) for symbol in rebalance.region.names.symbols])
        broken = rebalance.region.without("trade").broken(held)
        return tuple(f'in whole lots "{each.text}" is not kept' for each in broken)
