"""Walk a schedule of rebalances through a panel: decided at one close, traded at the next of each name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import fsum

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.market.panel import PricePanel
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Backtest:
    """What a schedule of rebalances would have done, in base currency, starting from wealth 1.

    wealth: T, from the first decision on, after costs. gross: T, the same targets traded without costs.
    weights_held: T × N, fractions of wealth at each close. cash: T, fraction of wealth, never negative.
    trades: one row a fill: session, symbol, shares, price, value, cost, decided_on.
    turnover: one row a rebalance, indexed by decided_on: Σ |value traded| / wealth / 2 (one-way).
    """

    theme: str
    schedule: tuple[Rebalance, ...]
    wealth: pd.Series
    gross: pd.Series
    weights_held: pd.DataFrame
    cash: pd.Series
    trades: pd.DataFrame
    turnover: pd.Series
    cost_bps: float


def decide_schedule(dates: Sequence[date], decide: Callable[[date], Rebalance]) -> tuple[Rebalance, ...]:
    """Return what `decide` chooses on each date; it sees nothing but the date and what it closes over."""
    return tuple(decide(day) for day in dates)


def simulate(
    schedule: Sequence[Rebalance],
    panel: PricePanel,
    costs: Costs,
    recoveries: Mapping[str, tuple[date, float | None]],
) -> Backtest:
    """Trade a schedule and return what came of it.

    Decided at the end of date t, when every exchange's close of t is in, each name fills at the close of its
    own first later session: target weight × wealth after costs at that close / price. Purchases are paid from
    cash at hand: while a sale waits for a shut exchange they are cut in proportion, and nothing is borrowed. An
    order that has not filled when the next decision falls is superseded by it. Valuation keeps a name's last
    price while it does not trade.
    recoveries: delisted symbol → date, and the fraction of its last price that holders received (None: all
    of it); on the first session on or after that date it becomes cash, without cost.
    Raises ValueError when the schedule is empty, not in the order of its dates or later than the panel, or
    when it names a symbol the panel does not have.
    """
    _check(schedule, panel)
    symbols = sorted({str(symbol) for each in schedule for symbol in each.weights.index})
    start = int(panel.sessions.searchsorted(pd.Timestamp(schedule[0].decided_on)))
    book = _Book.of(panel, symbols, start, recoveries)
    decided = np.array(
        [book.dates.searchsorted(pd.Timestamp(each.decided_on)) for each in schedule], dtype=np.intp
    )
    targets = np.array([each.weights.reindex(symbols).fillna(0.0).to_numpy() for each in schedule])
    events = _events(decided, book)
    shares, cash, fills = _run(targets, events, book, costs)
    gross_shares, gross_cash, _ = (
        _run(targets, events, book, Costs(0.0)) if costs.bps else (shares, cash, fills)
    )
    wealth, gross = cash + _value(shares, book.prices), gross_cash + _value(gross_shares, book.prices)
    # a portfolio that lost everything holds nothing
    per_wealth = np.divide(1.0, wealth, out=np.zeros_like(wealth), where=wealth > 0)
    return Backtest(
        theme=schedule[0].theme,
        schedule=tuple(schedule),
        wealth=pd.Series(wealth, index=book.dates, name="wealth"),
        gross=pd.Series(gross, index=book.dates, name="gross"),
        weights_held=pd.DataFrame(
            shares * book.prices * per_wealth[:, None], index=book.dates, columns=symbols
        ),
        cash=pd.Series(cash * per_wealth, index=book.dates, name="cash"),
        trades=_trade_table(fills, book.dates, symbols, schedule),
        turnover=_turnover(schedule, decided, fills, wealth),
        cost_bps=costs.bps,
    )


def _check(schedule: Sequence[Rebalance], panel: PricePanel) -> None:
    if not schedule:
        raise ValueError("a backtest needs at least one rebalance")
    dates = [each.decided_on for each in schedule]
    if any(later <= earlier for earlier, later in pairwise(dates)):
        raise ValueError("the dates of a schedule must strictly increase")
    if not len(panel.sessions) or dates[-1] > panel.sessions[-1].date():
        raise ValueError(f"the panel ends before the decision of {dates[-1]}")
    missing = {str(symbol) for each in schedule for symbol in each.weights.index} - set(panel.symbols)
    if missing:
        raise ValueError(f"the panel has no {', '.join(sorted(missing))}")


def _trade_table(
    fills: list[_Fill], dates: pd.DatetimeIndex, symbols: list[str], schedule: Sequence[Rebalance]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session": dates[[each.row for each in fills]],
            "symbol": pd.Series([symbols[each.number] for each in fills], dtype="str"),
            "shares": [each.shares for each in fills],
            "price": [each.price for each in fills],
            "value": [each.value for each in fills],
            "cost": [each.cost for each in fills],
            "decided_on": [schedule[each.rebalance].decided_on for each in fills],
        }
    )


def benchmark_wealth(panel: PricePanel, symbol: str, sessions: pd.DatetimeIndex) -> pd.Series | None:
    """Return the wealth of holding one symbol over the sessions, starting at 1; None if it had no price at the first.

    Its last price is kept while its exchange is shut.
    """
    if symbol not in panel.prices.columns:
        return None
    prices = panel.prices[symbol].ffill().reindex(sessions)
    first = float(prices.iloc[0])
    return None if np.isnan(first) else (prices / first).rename(symbol)


@dataclass(frozen=True, eq=False, slots=True)
class _Event:
    """Something that happens to some names at one close: the fills of a rebalance, or (−1) a delisting."""

    row: int
    numbers: Indices
    rebalance: int


@dataclass(frozen=True, slots=True)
class _Fill:
    row: int
    number: int  # of the symbol
    shares: float
    price: float
    value: float
    cost: float
    rebalance: int


@dataclass(frozen=True, eq=False, slots=True)
class _Book:
    """Prices from the first decision on, T × N without gaps once listed, and when each name trades next."""

    prices: Floats  # last known price, 0 before the first: no share is held then
    next_traded: Indices  # T × N: first row ≥ t in which the name trades; T where none
    exit_row: Indices  # N: row at which a delisted name becomes cash; T where never
    recovery: Floats  # N: fraction of the last price
    dates: pd.DatetimeIndex

    @staticmethod
    def of(
        panel: PricePanel, symbols: list[str], start: int, recoveries: Mapping[str, tuple[date, float | None]]
    ) -> _Book:
        known = panel.prices[symbols].to_numpy(dtype=float)
        rows, n = known.shape
        # forward only: the row of the last finite price, for each name
        last = np.maximum.accumulate(np.where(np.isfinite(known), np.arange(rows)[:, None], -1), axis=0)
        filled = np.where(last >= 0, np.take_along_axis(known, np.maximum(last, 0), axis=0), 0.0)[start:]
        traded = panel.traded[symbols].to_numpy(dtype=bool)[start:]
        dates = panel.sessions[start:]
        exit_row = np.full(n, len(dates), dtype=np.intp)
        recovery = np.ones(n)
        for position, symbol in enumerate(symbols):
            if symbol in recoveries:
                day, fraction = recoveries[symbol]
                exit_row[position] = dates.searchsorted(pd.Timestamp(day))
                recovery[position] = 1.0 if fraction is None else fraction
        traded = traded & (np.arange(len(dates))[:, None] < exit_row)
        candidates = np.where(traded, np.arange(len(dates))[:, None], len(dates))
        next_traded = np.minimum.accumulate(candidates[::-1], axis=0)[::-1].astype(np.intp)
        return _Book(filled, next_traded, exit_row, recovery, dates)


def _value(shares: Floats, prices: Floats) -> Floats:
    """Return Σ shares × price at each of T closes, T × N and T × N → T.

    Names are added one after another, and `_run` sums exactly, so that neither a name that is not held nor a
    row that comes later changes a bit: what is in the schedule after a date never reaches wealth before it.
    """
    total = np.zeros(len(prices))
    for held, price in zip(shares.T, prices.T, strict=True):
        total += held * price
    return total


def _run(
    targets: Floats, events: list[_Event], book: _Book, costs: Costs
) -> tuple[Floats, Floats, list[_Fill]]:
    """Return shares T × N and cash T at each close, and every fill. Steps from event to event, not by day."""
    rows, n = book.prices.shape
    shares, cash = np.zeros((rows, n)), np.zeros(rows)
    held, money = np.zeros(n), 1.0
    fills: list[_Fill] = []
    written = 0  # rows before this one are final
    for event in events:
        shares[written : event.row], cash[written : event.row] = held, money
        written = event.row
        prices, numbers = book.prices[event.row], event.numbers
        held = held.copy()
        if event.rebalance < 0:
            money += fsum(held[numbers] * prices[numbers] * book.recovery[numbers])
            held[numbers] = 0.0
            continue
        wealth = money + fsum(held * prices)
        current = held[numbers] * prices[numbers]
        weights = targets[event.rebalance, numbers]
        wanted = weights * _wealth_after_costs(wealth, weights, current, costs) / prices[numbers]
        wanted = _affordable(wanted, held[numbers], prices[numbers], money, costs)
        change = wanted - held[numbers]
        value = change * prices[numbers]
        cost = np.abs(value) * costs.of(1.0)
        held[numbers] = wanted
        money = max(money - fsum(value) - fsum(cost), 0.0)  # below 0 only by rounding
        fills += [
            _Fill(event.row, int(k), float(d), float(prices[k]), float(v), float(c), event.rebalance)
            for k, d, v, c in zip(numbers, change, value, cost, strict=True)
            if d != 0.0
        ]
    shares[written:], cash[written:] = held, money
    return shares, cash, fills


def _wealth_after_costs(wealth: float, weights: Floats, current: Floats, costs: Costs) -> float:
    """Return W with W + rate · Σ|w·W − current| = wealth, so that trading pays for itself and borrows nothing.

    The left side is increasing, convex and piecewise linear in W: Newton from above ends on it exactly.
    """
    rate, after = costs.of(1.0), wealth
    for _ in range(len(weights) + 2):
        change = weights * after - current
        excess = after + rate * fsum(np.abs(change)) - wealth
        if excess <= 1e-15 * wealth:
            break
        after -= excess / (1.0 + rate * fsum(weights * np.sign(change)))
    return after


def _affordable(wanted: Floats, held: Floats, prices: Floats, money: float, costs: Costs) -> Floats:
    """Return the shares wanted, with purchases cut in proportion to what cash and this session's sales pay for.

    Exchanges fill on different days. Sized on wealth alone, what fills last would be bought on credit whenever
    what filled first has risen or a sale is still waiting, and the loan would run to the next rebalance.
    """
    rate, change = costs.of(1.0), (wanted - held) * prices
    bought = change > 0
    needed = fsum(change[bought]) * (1.0 + rate)
    available = money - fsum(change[~bought]) * (1.0 - rate)
    if needed <= available:
        return wanted
    return np.where(bought, held + (wanted - held) * (available / needed), wanted)


def _events(decided: Indices, book: _Book) -> list[_Event]:
    """Return what happens, in order: each decision's fills grouped by session, and delistings before fills."""
    rows = len(book.dates)
    events = []
    for number, row in enumerate(decided):
        if row + 1 >= rows:
            continue
        superseded = decided[number + 1] if number + 1 < len(decided) else rows - 1
        fill_row = book.next_traded[row + 1]
        for session in np.unique(fill_row[fill_row <= superseded]):
            events.append(_Event(int(session), np.flatnonzero(fill_row == session), number))
    for session in np.unique(book.exit_row[book.exit_row < rows]):
        events.append(_Event(int(session), np.flatnonzero(book.exit_row == session), -1))
    return sorted(events, key=lambda each: (each.row, each.rebalance))


def _turnover(
    schedule: Sequence[Rebalance], decided: Indices, fills: list[_Fill], wealth: Floats
) -> pd.Series:
    traded = np.zeros(len(schedule))
    for fill in fills:
        traded[fill.rebalance] += abs(fill.value)
    index = pd.DatetimeIndex([each.decided_on for each in schedule], name="decided_on").as_unit("s")
    before = wealth[decided]
    per_wealth = np.divide(0.5, before, out=np.zeros_like(before), where=before > 0)
    return pd.Series(traded * per_wealth, index=index, name="turnover")
