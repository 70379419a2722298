"""A schedule of rebalances becomes a Backtest: decided at the end of a date, traded in each name's next session.

The account itself is account.py's, what it trades on tape.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import Account, Rates, Variant, run_account
from screener.backtest.tape import Tape, Terms, make_rates, make_tape
from screener.market.panel import PricePanel
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import KINDS, Costs

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Backtest:
    """What a schedule of rebalances would have done, in base currency, starting from wealth 1.

    wealth: T, from the first decision on, after costs. gross: T, the same targets traded without costs. Both hold
    dividends as cash from their ex-dates until the next rebalance.
    shares: T × N at each close, as shares were on the day. prices: T × N, the quoted close of such a share.
    cash: T, never negative; wealth = cash + Σ shares × prices.
    trades: one row a fill: session, symbol, shares, price, value, cost and the costs by kind, decided_on. Shares and
    values are those of a wealth of 1 at the start; times `capital` they are money.
    turnover: one row a rebalance, indexed by decided_on: Σ |value traded| / wealth / 2 (one-way).
    waits: one row an order that could not trade though its exchange did, or was cut: session, symbol, decided_on, reason.
    dividends: one row a payment: session, symbol, value.
    """

    theme: str
    schedule: tuple[Rebalance, ...]
    wealth: pd.Series
    gross: pd.Series
    shares: pd.DataFrame
    prices: pd.DataFrame
    cash: pd.Series
    trades: pd.DataFrame
    turnover: pd.Series
    waits: pd.DataFrame
    dividends: pd.DataFrame
    costs: Costs
    capital: float

    @property
    def weights_held(self) -> pd.DataFrame:
        """Return T × N fractions of wealth at each close; a portfolio that lost everything holds nothing."""
        wealth = self.wealth.to_numpy()
        per_wealth = np.divide(1.0, wealth, out=np.zeros_like(wealth), where=wealth > 0)
        return self.shares * self.prices * per_wealth[:, None]

    @property
    def cost_bps(self) -> float:
        """Return what trading cost on average, basis points of the value traded; 0 without trades."""
        value = float(self.trades["value"].abs().sum())
        return float(self.trades["cost"].sum()) / value * 1e4 if value else 0.0


def decide_schedule(dates: Sequence[date], decide: Callable[[date], Rebalance]) -> tuple[Rebalance, ...]:
    """Return what `decide` chooses on each date; it sees nothing but the date and what it closes over."""
    return tuple(decide(day) for day in dates)


def simulate(
    schedule: Sequence[Rebalance],
    panel: PricePanel,
    costs: Costs,
    terms: Terms | None = None,
    band: float = 0.0,
) -> Backtest:
    """Trade a schedule and return what came of it.

    Decided at the end of date t, when every exchange's close of t is in, each name fills in its own first later
    session, at its close (or open): target weight × wealth after costs / price. band: a decision is traded only if
    some weight is off its target by more.
    Raises ValueError when the schedule is empty, not in the order of its dates or later than the panel, or
    when it names a symbol the panel does not have.
    """
    _check(schedule, panel)
    terms = terms or Terms()
    symbols = sorted({str(symbol) for each in schedule for symbol in each.weights.index})
    start = int(panel.sessions.searchsorted(pd.Timestamp(schedule[0].decided_on)))
    dates = panel.sessions[start:]
    decided = dates.searchsorted(pd.DatetimeIndex([each.decided_on for each in schedule]))
    tape = make_tape(panel, symbols, start, terms, costs)
    rates = make_rates(panel, symbols, tape, terms, costs)
    targets = _targets(schedule, symbols)
    variants = [Variant(decided, targets, band=band)]
    if costs != Costs():
        variants.append(Variant(decided, targets, cost_scale=0.0, impact_scale=0.0, band=band))
    account = run_account(tape, rates, variants)
    lines = _Lines(schedule, panel, symbols, dates, terms)
    trades, turnover = _trades(account, lines, costs, rates), _turnover(account, decided, lines)
    return Backtest(
        theme=schedule[0].theme,
        schedule=tuple(schedule),
        wealth=pd.Series(account.wealth[:, 0], index=dates, name="wealth"),
        gross=pd.Series(account.wealth[:, -1], index=dates, name="gross"),
        shares=pd.DataFrame(account.shares[account.event_of, 0], index=dates, columns=symbols),
        prices=pd.DataFrame(tape.price, index=dates, columns=symbols),
        cash=pd.Series(account.cash[account.event_of, 0], index=dates, name="cash"),
        trades=trades,
        turnover=turnover,
        waits=_waits(account, lines),
        dividends=_dividends(account, tape, lines),
        costs=costs,
        capital=terms.capital,
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


def _targets(schedule: Sequence[Rebalance], symbols: list[str]) -> Floats:
    """Return D × N target weights."""
    place = {symbol: at for at, symbol in enumerate(symbols)}
    targets = np.zeros((len(schedule), len(symbols)))
    for row, each in enumerate(schedule):
        targets[row, [place[str(symbol)] for symbol in each.weights.index]] = each.weights.to_numpy()
    return targets


@dataclass(frozen=True, eq=False, slots=True)
class _Lines:
    """What gives the numbers of an account their names."""

    schedule: Sequence[Rebalance]
    panel: PricePanel
    symbols: list[str]
    dates: pd.DatetimeIndex
    terms: Terms


def _trades(account: Account, lines: _Lines, costs: Costs, rates: Rates) -> pd.DataFrame:
    """Return a row a fill of the first variant."""
    empty = np.empty(0)
    fills = account.fills
    number = np.concatenate([empty.astype(int), *(each.numbers for each in fills)])
    width = [len(each.numbers) for each in fills]
    row = np.repeat([each.row for each in fills], width).astype(int)
    decision = np.repeat([each.decision[0] for each in fills], width).astype(int)
    shares, value, cost = (
        np.concatenate([empty, *(getattr(each, name)[0] for each in fills)])
        for name in ("shares", "value", "cost")
    )
    made = shares != 0.0
    number, row, decision, shares, value, cost = (
        each[made] for each in (number, row, decision, shares, value, cost)
    )
    decided_on = np.array([each.decided_on for each in lines.schedule], dtype=object)
    table = pd.DataFrame(
        {
            "session": lines.dates[row],
            "symbol": pd.Series(np.array(lines.symbols, dtype=object)[number], dtype="str"),
            "shares": shares,
            "price": np.divide(value, shares, out=np.zeros_like(value), where=shares != 0),
            "value": value,
            "cost": cost,
        }
    )
    for kind, part in _by_kind(table, (row, number), lines, (costs, rates)).items():
        table[kind] = part
    table["decided_on"] = decided_on[decision]
    return table


def _by_kind(
    table: pd.DataFrame, places: tuple[Indices, Indices], lines: _Lines, priced: tuple[Costs, Rates]
) -> dict[str, Floats]:
    """Return the costs of each trade by kind; the spread is what the others leave.

    places: row of the tape and number of the symbol of each trade.
    """
    (rows, numbers), (costs, rates) = places, priced
    cost, size = table["cost"].to_numpy(), table["value"].abs().to_numpy()
    if costs.is_flat or not len(table):
        return {kind: cost if kind == "commission" else np.zeros_like(cost) for kind in KINDS}
    quotes = lines.panel.quotes
    rate_of = {} if quotes is None else quotes.rate_of
    base = lines.panel.base_currency
    foreign = np.array([rate_of.get(each, base).split()[0] != base for each in table["symbol"]])
    impact = np.zeros_like(cost)
    if rates.impact is not None:
        at = np.array([rates.row_of[int(row)] for row in rows])
        impact = rates.impact[at, numbers] * size**1.5
    parts = {
        "commission": size * costs.commission_bps / 1e4,
        "currency": size * np.where(foreign, costs.currency_bps, 0.0) / 1e4,
        "tax": size * _tax_bps(table, lines, costs) / 1e4,
        "impact": impact,
    }
    spread = np.maximum(cost - sum(parts.values()), 0.0)
    return {kind: spread if kind == "half-spread" else parts[kind] for kind in KINDS}


def _tax_bps(table: pd.DataFrame, lines: _Lines, costs: Costs) -> Floats:
    found = np.zeros(len(table))
    rows = zip(table["symbol"], table["session"], table["value"], strict=True)
    for at, (symbol, session, value) in enumerate(rows):
        mic = lines.terms.mics.get(symbol, "")
        if mic in costs.taxes:
            due = costs.tax(mic, session.date())
            found[at] = due.buy_bps if value > 0 else due.sell_bps
    return found


def _turnover(account: Account, decided: Indices, lines: _Lines) -> pd.Series:
    index = pd.DatetimeIndex([each.decided_on for each in lines.schedule], name="decided_on").as_unit("s")
    before = account.wealth[decided, 0]
    per_wealth = np.divide(0.5, before, out=np.zeros_like(before), where=before > 0)
    return pd.Series(account.traded[:, 0] * per_wealth, index=index, name="turnover")


def _waits(account: Account, lines: _Lines) -> pd.DataFrame:
    """Return the orders of the first variant that had to wait."""
    ours = [each for each in account.missed if each.variant == 0]
    return pd.DataFrame(
        {
            "session": lines.dates[[each.row for each in ours]],
            "symbol": pd.Series([lines.symbols[each.number] for each in ours], dtype="str"),
            "decided_on": [lines.schedule[each.decision].decided_on for each in ours],
            "reason": pd.Series([each.reason for each in ours], dtype="str"),
        }
    )


def _dividends(account: Account, tape: Tape, lines: _Lines) -> pd.DataFrame:
    """Return what dividends paid, in units of the starting wealth."""
    rows, symbols, values = [], [], []
    for row, (numbers, paid) in sorted(tape.dividends.items()):
        held = account.shares[account.event_of[row - 1], 0, numbers].copy()
        if row in tape.splits:
            split = dict(zip(*(each.tolist() for each in tape.splits[row]), strict=True))
            held *= [split.get(int(number), 1.0) for number in numbers]
        for number, value in zip(numbers, held * paid, strict=True):
            if value:
                rows.append(row)
                symbols.append(lines.symbols[number])
                values.append(float(value))
    return pd.DataFrame(
        {
            "session": lines.dates[rows],
            "symbol": pd.Series(symbols, dtype="str"),
            "value": np.array(values, dtype=float),
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
