"""The account of a backtest: cash and shares of V variants, trade by trade. What decides is not its business.

All variants step through time together, V × N at once, from event to event: a split, a dividend, a delisting, a fill,
a decision. Sums over names run one after another (`_total`), so a name that is not held, and a row that comes
later, never change a bit of what came before.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screener.backtest.tape import Rates, Tape

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Group = Indices | slice
ROUNDING = 1e-13  # of wealth; cash that is missing by less is not missing
MOST_IMPACT = 0.5  # of an order's value: the square root law is not meant for orders of many days' volume


@dataclass(frozen=True, eq=False, slots=True)
class Variant:
    """One way to trade: the rows of its decisions, what it wants at each, and the terms it trades on.

    targets: D × N fractions of wealth. cost_scale: on linear costs; impact_scale: on impact (√capital). band: a
    decision is traded only if some weight is off its target by more.
    """

    decided: Indices
    targets: Floats
    cost_scale: float = 1.0
    impact_scale: float = 1.0
    band: float = 0.0


class Fill(NamedTuple):
    """Trades of one exchange on one date: V × K values, of the names `numbers`."""

    row: int
    numbers: Indices
    shares: Floats
    value: Floats
    cost: Floats
    decision: Indices  # V


class Missed(NamedTuple):
    """An order of a variant that could not trade in a session although its exchange did."""

    row: int
    variant: int
    number: int
    decision: int
    reason: str  # "price limit" or "cash"


@dataclass(frozen=True, eq=False, slots=True)
class Account:
    """What trading came to. State after each of E events: shares E × V × N, cash E × V; event_of: T, the last event.

    wealth: T × V at each close. traded: D × V, Σ |value| of each decision. acted: D × V, whether it was traded.
    """

    shares: Floats
    cash: Floats
    event_of: Indices
    wealth: Floats
    fills: list[Fill]
    missed: list[Missed]
    traded: Floats
    acted: Bools


def run_account(tape: Tape, rates: Rates, variants: Sequence[Variant], *, detail: bool = True) -> Account:
    """Trade V variants through a tape, each starting with cash of 1.

    Decided at the end of row t, a name trades in its own first later session. On a date exchanges trade in the
    order of their clocks: each order is sized on prices known by then, target weight × (wealth less what trading
    costs). Purchases are paid from cash at hand. One that is cut for want of it waits while a sale of the same
    rebalance is still to come; an order that has not traded when the next decision acts is superseded. detail: keep
    every fill.
    """
    return _Run(tape, rates, variants, detail).all()


class _Run:
    def __init__(self, tape: Tape, rates: Rates, variants: Sequence[Variant], detail: bool) -> None:
        self.tape, self.rates, self.detail = tape, rates, detail
        count, n = len(variants), tape.price.shape[1]
        self.shares, self.cash = np.zeros((count, n)), np.ones(count)
        self.target = np.zeros((count, n))
        self.pending = np.zeros((count, n), dtype=bool)
        self.decision = np.full(count, -1, dtype=np.intp)
        self.cost_scale = np.array([each.cost_scale for each in variants])[:, None]
        self.impact_scale = np.array([each.impact_scale for each in variants])[:, None]
        self.band = np.array([each.band for each in variants])
        self.variants, self.names = np.arange(count), np.arange(n)
        self.decided = _by_row(variants)
        most = max((len(each.decided) for each in variants), default=0)
        self.traded, self.acted = np.zeros((most, count)), np.zeros((most, count), dtype=bool)
        places = np.unique(tape.place)
        self.groups: list[Group] = [np.flatnonzero(tape.place == place) for place in places]
        if len(places) == 1:
            self.groups = [slice(None)]
        self.fillable: Bools = np.asarray(np.isfinite(tape.fill))
        self.limited: Bools = np.asarray(~(tape.may_buy & tape.may_sell).all(axis=1))
        self.fills: list[Fill] = []
        self.missed: list[Missed] = []
        self.states = [(0, self.shares.copy(), self.cash.copy())]
        self.changed, self.has_orders = False, False  # since the last event; whether any is pending
        self.banded = bool((self.band > 0).any())

    def all(self) -> Account:
        tape = self.tape
        exits = {int(row) for row in tape.exit_row if row < tape.rows}
        first = min(self.decided, default=0)
        actions = {row for row in (*tape.splits, *tape.dividends) if first < row < tape.rows}
        waiting = sorted(actions | exits | set(self.decided))
        queued = set(waiting)
        while waiting:
            row = heapq.heappop(waiting)
            queued.discard(row)
            if row in actions:
                self._corporate_actions(row)
            if row in exits:
                self._leave(row)
            if row > 0 and self.has_orders:
                self._trade(row)
            if self.changed:
                self.states.append((row, self.shares.copy(), self.cash.copy()))
                self.changed = False
            if row in self.decided:
                self._decide(row)
            following = self._next_trade(row)
            if following < tape.rows and following not in queued:
                heapq.heappush(waiting, following)
                queued.add(following)
        return self._account()

    def _corporate_actions(self, row: int) -> None:
        """Multiply shares by a split, then pay dividends on what was held when the session began."""
        self.changed = True
        if row in self.tape.splits:
            numbers, ratio = self.tape.splits[row]
            self.shares[:, numbers] *= ratio
        if row in self.tape.dividends:
            numbers, paid = self.tape.dividends[row]
            self.cash += _total(self.shares[:, numbers] * paid)

    def _leave(self, row: int) -> None:
        """Turn delisted names into cash at what holders received."""
        numbers = np.flatnonzero(self.tape.exit_row == row)
        worth = self.tape.price[max(row - 1, 0), numbers] * self.tape.recovery[numbers]
        self.cash += _total(self.shares[:, numbers] * worth)
        self.shares[:, numbers] = 0.0
        self.changed = True
        self.pending[:, numbers] = False

    def _decide(self, row: int) -> None:
        variants, targets, decisions = self.decided[row]
        if self.banded:
            worth = self.shares[variants] * self.tape.price[row]
            wealth = self.cash[variants] + _total(worth)
            away = np.abs(worth / np.where(wealth > 0, wealth, 1.0)[:, None] - targets).max(axis=1)
            kept = away > self.band[variants]
            variants, targets, decisions = variants[kept], targets[kept], decisions[kept]
        self.target[variants] = targets
        self.decision[variants] = decisions
        self.acted[decisions, variants] = True
        # a name that is neither held nor wanted has nothing to trade
        self.pending[variants] = (targets != 0) | (self.shares[variants] != 0)
        self.has_orders = True

    def _next_trade(self, row: int) -> int:
        if row + 1 >= self.tape.rows or not self.has_orders:
            return self.tape.rows
        rows = self.tape.next_fill[row + 1, self.pending.any(axis=0)]
        self.has_orders = len(rows) > 0
        return int(rows.min()) if self.has_orders else self.tape.rows

    def _trade(self, row: int) -> None:
        """Fill what can trade in this session, exchange after exchange, each on prices known by then."""
        fillable = self.fillable[row]
        together = len(self.groups) == 1 and not self.tape.at_open
        mark = self.tape.price[row] if together else self._before(row)
        for group in self.groups:
            mask = self.pending[:, group] & fillable[group]
            if not self.tape.at_open and not together:
                mark[group] = self.tape.price[row, group]
            if mask.any():
                self._fill(row, group, mask, mark)
        self.has_orders = bool(self.pending.any())

    def _before(self, row: int) -> Floats:
        """Return the prices of the session before, on the footing of this one: after its splits and dividends."""
        price: Floats = self.tape.price[row - 1].copy()
        if row in self.tape.splits:
            numbers, ratio = self.tape.splits[row]
            price[numbers] /= ratio
        if row in self.tape.dividends:
            numbers, paid = self.tape.dividends[row]
            price[numbers] = np.maximum(price[numbers] - paid, 0.0)
        return price

    def _fill(self, row: int, group: Group, mask: Bools, mark: Floats) -> None:
        worth = self.shares * mark
        price = mark[group]
        if self.tape.at_open:  # else whoever trades has just been marked at what it trades at
            price = np.where(self.fillable[row, group], self.tape.fill[row, group], price)
            worth[:, group] = self.shares[:, group] * price
        wealth = self.cash + _total(worth)
        book = (wealth, self.target[:, group], worth[:, group])
        if not mask.all():
            book = (wealth, np.where(mask, book[1], 0.0), np.where(mask, book[2], 0.0))
        terms = self._terms(row, group)
        change, cost = _changes(*book, terms)
        if self.limited[row]:
            blocked = ((change > 0) & ~self.tape.may_buy[row, group]) | (
                (change < 0) & ~self.tape.may_sell[row, group]
            )
            self._note(row, group, blocked, "price limit")
            mask = mask & ~blocked
            book = (wealth, np.where(mask, book[1], 0.0), np.where(mask, book[2], 0.0))
            change, cost = _changes(*book, terms)
        self.pending[:, group] &= ~mask
        left = self.cash - _total(change + cost)
        lacking = left < -ROUNDING * wealth
        if lacking.any():
            change, cut = self._affordable(change, cost, lacking)
            cost = _cost(change, terms)
            left = self.cash - _total(change + cost)
            self._wait_for_sales(row, group, cut, worth, wealth)
        number = change / np.where(price > 0, price, 1.0)
        # sold out is sold out: no crumbs of rounding
        self.shares[:, group] = np.where(mask & (book[1] == 0), 0.0, self.shares[:, group] + number)
        self.cash = np.maximum(left, 0.0)  # below 0 only by rounding
        self.changed = True
        # a variant that has not decided yet trades nothing, so that its decision is −1 does no harm
        self.traded[self.decision, self.variants] += _total(np.abs(change))
        if self.detail:
            numbers = self.names[group]
            self.fills.append(Fill(row, numbers, number, change, cost, self.decision.copy()))

    def _terms(self, row: int, group: Group) -> _Terms:
        at = self.rates.row_of[row]
        impact = None if self.rates.impact is None else self.rates.impact[at, group] * self.impact_scale
        return _Terms(
            self.rates.buy[at, group] * self.cost_scale, self.rates.sell[at, group] * self.cost_scale, impact
        )

    def _affordable(self, change: Floats, cost: Floats, lacking: Bools) -> tuple[Floats, Bools]:
        """Cut purchases in proportion to what cash and this session's sales pay for.

        Exchanges trade at different hours. Sized on wealth alone, what trades last would be bought on credit whenever
        what traded first has risen or a sale is still waiting, and the loan would run to the next rebalance.
        """
        bought = change > 0
        needed = _total(np.where(bought, change + cost, 0.0))
        available = self.cash - _total(np.where(bought, 0.0, change + cost))
        short = lacking & (needed > available * (1 + ROUNDING))
        share = np.divide(available, needed, out=np.ones_like(needed), where=short)
        kept = np.where(bought, np.maximum(share, 0.0)[:, None], 1.0)
        return change * kept, bought & short[:, None]

    def _wait_for_sales(self, row: int, group: Group, cut: Bools, worth: Floats, wealth: Floats) -> None:
        """Keep a purchase that was cut waiting, if a sale of the same rebalance will still bring cash."""
        selling = self.pending & (self.target * wealth[:, None] < worth)
        waits = cut & np.any(selling, axis=1, keepdims=True)
        self.pending[:, group] |= waits
        self._note(row, group, waits, "cash")

    def _note(self, row: int, group: Group, which: Bools, reason: str) -> None:
        if self.detail:
            numbers = self.names[group]
            for variant, at in zip(*np.nonzero(which), strict=True):
                decision = int(self.decision[variant])
                self.missed.append(Missed(row, int(variant), int(numbers[at]), decision, reason))

    def _account(self) -> Account:
        rows = np.array([row for row, _, _ in self.states])
        shares = np.array([each for _, each, _ in self.states])
        cash = np.array([each for _, _, each in self.states])
        event_of = np.searchsorted(rows, np.arange(self.tape.rows), side="right") - 1
        wealth = _wealth(shares, cash, event_of, self.tape.price)
        return Account(shares, cash, event_of, wealth, self.fills, self.missed, self.traded, self.acted)


class _Terms(NamedTuple):
    """What trading costs in one session: V × K rates on the value, and impact."""

    buy: Floats
    sell: Floats
    impact: Floats | None


def _changes(wealth: Floats, target: Floats, current: Floats, terms: _Terms) -> tuple[Floats, Floats]:
    """Return V × K values to trade and their costs, such that trading pays for itself.

    W + cost(target·W − current) = wealth: the left side is increasing, and convex in W short of MOST_IMPACT, so Newton
    from above ends on it; beyond, it may stop a little below, which leaves cash.
    """
    after = wealth
    for _ in range(50):
        change = target * after[:, None] - current
        size, bought = np.abs(change), change > 0
        rate = np.where(bought, terms.buy, terms.sell)
        if terms.impact is None:
            cost = rate * size
        else:
            impact = terms.impact * np.sqrt(size)
            cost = (rate + np.minimum(impact, MOST_IMPACT)) * size
            rate = rate + np.where(impact < MOST_IMPACT, 1.5 * impact, MOST_IMPACT)
        excess = after + _total(cost) - wealth
        unpaid = excess > 1e-15 * wealth
        if not unpaid.any():
            break
        slope = 1.0 + _total(target * np.copysign(rate, change))
        # a variant that is done stays as it is, so that it never depends on what it is run beside
        after = np.where(unpaid, after - excess / slope, after)
    return change, cost


def _cost(change: Floats, terms: _Terms) -> Floats:
    size, rate = np.abs(change), np.where(change > 0, terms.buy, terms.sell)
    if terms.impact is not None:
        rate = rate + np.minimum(terms.impact * np.sqrt(size), MOST_IMPACT)
    return np.asarray(rate * size)


def _total(values: Floats) -> Floats:
    """Return the sum over the last axis, added one after another: zeros in between change nothing."""
    if values.shape[-1] == 0:
        return np.zeros(values.shape[:-1])
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1])


def _by_row(variants: Sequence[Variant]) -> dict[int, tuple[Indices, Floats, Indices]]:
    """Return row → which variants decide there, their targets and the numbers of those decisions."""
    if not any(len(each.decided) for each in variants):
        return {}
    rows = np.concatenate([each.decided for each in variants])
    numbers = np.repeat(np.arange(len(variants)), [len(each.decided) for each in variants])
    decisions = np.concatenate([np.arange(len(each.decided)) for each in variants])
    order = np.argsort(rows, kind="stable")
    targets = np.concatenate([each.targets for each in variants])[order]
    edges = [*np.flatnonzero(np.diff(rows[order], prepend=-1)).tolist(), len(rows)]
    parts = [slice(*each) for each in pairwise(edges)]
    return {int(rows[order[p.start]]): (numbers[order[p]], targets[p], decisions[order[p]]) for p in parts}


def _wealth(shares: Floats, cash: Floats, event_of: Indices, price: Floats) -> Floats:
    """Return T × V: cash and Σ shares × price at each close, added name after name."""
    rows, (_, count, n) = len(price), shares.shape
    by_name = np.ascontiguousarray(shares.transpose(0, 2, 1))  # a name at a time is read much faster so
    wealth = np.empty((rows, count))
    step = max(1, 250_000 // max(count, 1))  # rows of a part that stays in the cache
    for start in range(0, rows, step):
        part = slice(start, start + step)
        total = np.zeros((len(event_of[part]), count))
        for name in range(n):
            total += by_name[event_of[part], name] * price[part, name, None]
        wealth[part] = cash[event_of[part]] + total
    return wealth
