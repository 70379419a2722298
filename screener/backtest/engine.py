"""A schedule of rebalances becomes a Backtest: decided at the end of a date, traded in each name's next session.

The account itself is account.py's, what it trades on tape.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import MOST_IMPACT, Account, Rates, Tape, Variant, run_account
from screener.backtest.tape import Terms, make_rates, make_tape
from screener.market.panel import PricePanel
from screener.portfolio.build import Rebalance, WeightSchedule
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
    waits: one row an order that could not trade though its exchange did, or was cut: session, symbol, decided_on,
    reason.
    payments: one row a dividend, or what a delisting paid: session, symbol, kind, value.
    """

    theme: str
    schedule: Sequence[Rebalance]
    wealth: pd.Series
    gross: pd.Series
    shares: pd.DataFrame
    prices: pd.DataFrame
    cash: pd.Series
    trades: pd.DataFrame
    turnover: pd.Series
    waits: pd.DataFrame
    payments: pd.DataFrame
    costs: Costs
    capital: float

    @property
    def weights_held(self) -> pd.DataFrame:
        """Return T × N fractions of wealth at each close; a portfolio that lost everything holds nothing."""
        wealth = self.wealth.to_numpy()
        per_wealth = np.divide(1.0, wealth, out=np.zeros_like(wealth), where=wealth > 0)
        return pd.DataFrame(self.shares * self.prices * per_wealth[:, None])

    @property
    def cost_bps(self) -> float:
        """Return what trading cost on average, basis points of the value traded; 0 without trades."""
        value = float(self.trades["value"].abs().sum())
        return float(self.trades["cost"].sum()) / value * 1e4 if value else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a schedule is followed.

    band: a decision is traded only if some weight is off its target by more. tranche_of: the tranche of each decision;
    each of k tranches starts with 1 / k of the wealth and follows its own decisions, which dilutes the luck of the day.
    Empty: one. cost_scale: times every kind of cost.
    """

    band: float = 0.0
    tranche_of: tuple[int, ...] = ()
    cost_scale: float = 1.0

    def parts(self, decisions: int) -> list[Indices]:
        """Return the numbers of each tranche's decisions."""
        if not self.tranche_of:
            return [np.arange(decisions)]
        if len(self.tranche_of) != decisions:
            raise ValueError(f"{decisions} decisions and {len(self.tranche_of)} tranche numbers")
        tranche = np.array(self.tranche_of)
        return [np.flatnonzero(tranche == number) for number in range(max(self.tranche_of) + 1)]


def decide_schedule(dates: Sequence[date], decide: Callable[[date], Rebalance]) -> tuple[Rebalance, ...]:
    """Return what `decide` chooses on each date; it sees nothing but the date and what it closes over."""
    return tuple(decide(day) for day in dates)


def simulate(
    schedule: Sequence[Rebalance],
    panel: PricePanel,
    costs: Costs,
    terms: Terms | None = None,
    plan: Plan | None = None,
) -> Backtest:
    """Trade a schedule and return what came of it.

    Decided at the end of date t, when every exchange's close of t is in, each name fills in its own first later
    session, at its close (or open): target weight × wealth after costs / price.
    Raises ValueError when the schedule is empty, not in the order of its dates or later than the panel, or
    when it names a symbol the panel does not have.
    """
    days = decision_dates(schedule)
    symbols, targets = target_weights(schedule)
    _check(days, symbols, panel)
    terms, plan = terms or Terms(), plan or Plan()
    start = int(panel.sessions.searchsorted(pd.Timestamp(days[0])))
    dates = panel.sessions[start:]
    tape = make_tape(panel, symbols, start, terms, costs)
    rates = make_rates(panel, symbols, tape, terms, costs)
    decided = dates.searchsorted(pd.DatetimeIndex(days))
    parts = plan.parts(len(schedule))
    root = len(parts) ** -0.5  # each tranche trades its share of the capital
    scales = (plan.cost_scale, root * plan.cost_scale)
    net = [Variant(decided[part], targets[part], *scales, band=plan.band) for part in parts]
    free = [replace(each, cost_scale=0.0, impact_scale=0.0) for each in net] if costs != Costs() else []
    account = run_account(tape, rates, [*net, *free])
    lines = _Lines(days, parts, panel, symbols, dates, terms, plan.cost_scale)
    count = len(parts)
    return Backtest(
        theme=schedule.theme if isinstance(schedule, WeightSchedule) else schedule[0].theme,
        schedule=schedule,
        wealth=pd.Series(_mean(account.wealth[:, :count]), index=dates, name="wealth"),
        gross=pd.Series(_mean(account.wealth[:, -count:]), index=dates, name="gross"),
        shares=_held(account, lines),
        prices=pd.DataFrame(tape.price, index=dates, columns=symbols),
        cash=pd.Series(_mean(account.cash[:, :count])[account.event_of], index=dates, name="cash"),
        trades=_trades(account, lines, costs, rates),
        turnover=_turnover(account, decided, lines),
        waits=_waits(account, lines),
        payments=_payments(account, tape, lines),
        costs=costs,
        capital=terms.capital,
    )


def _mean(values: Floats) -> Floats:
    """Return the mean over tranches, T × K → T; of one it is that one, to the last bit."""
    return np.asarray(np.add.accumulate(values, axis=1)[:, -1] / values.shape[1])


def _held(account: Account, lines: _Lines) -> pd.DataFrame:
    count = len(lines.parts)
    shares = account.shares[:, 0] if count == 1 else account.shares[:, :count].mean(axis=1)
    return pd.DataFrame(shares[account.event_of], index=lines.dates, columns=lines.symbols)


def _check(days: Sequence[date], symbols: Sequence[str], panel: PricePanel) -> None:
    if not days:
        raise ValueError("a backtest needs at least one rebalance")
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise ValueError("the dates of a schedule must strictly increase")
    if not len(panel.sessions) or days[-1] > panel.sessions[-1].date():
        raise ValueError(f"the panel ends before the decision of {days[-1]}")
    if missing := set(symbols) - set(panel.symbols):
        raise ValueError(f"the panel has no {', '.join(sorted(missing))}")


def target_weights(schedule: Sequence[Rebalance]) -> tuple[list[str], Floats]:
    """Return the N symbols, sorted, that a schedule of D decisions ever holds, and D × N target weights."""
    if isinstance(schedule, WeightSchedule):
        held = np.flatnonzero(schedule.weights.any(axis=0))
        return [schedule.symbols[at] for at in held], schedule.weights[:, held]
    symbols = sorted({str(symbol) for each in schedule for symbol in each.weights.index})
    place = {symbol: at for at, symbol in enumerate(symbols)}
    targets = np.zeros((len(schedule), len(symbols)))
    for row, each in enumerate(schedule):
        targets[row, [place[str(symbol)] for symbol in each.weights.index]] = each.weights.to_numpy()
    return symbols, targets


def decision_dates(schedule: Sequence[Rebalance]) -> list[date]:
    """Return the D dates of a schedule's decisions."""
    if isinstance(schedule, WeightSchedule):
        return list(schedule.decided_on)
    return [each.decided_on for each in schedule]


@dataclass(frozen=True, eq=False, slots=True)
class _Lines:
    """What gives the numbers of an account their names. parts: the decisions of each tranche."""

    days: list[date]
    parts: Sequence[Indices]
    panel: PricePanel
    symbols: list[str]
    dates: pd.DatetimeIndex
    terms: Terms
    cost_scale: float


def _trades(account: Account, lines: _Lines, costs: Costs, rates: Rates) -> pd.DataFrame:
    """Return a row a fill of a tranche."""
    found: dict[str, list[npt.NDArray[Any]]] = {
        "row": [], "number": [], "decision": [], "shares": [], "value": [], "cost": []
    }  # fmt: skip
    count = len(lines.parts)
    for each in account.fills:
        tranche, at = np.nonzero(each.shares[:count])
        found["row"].append(np.full(len(at), each.row))
        found["number"].append(each.numbers[at])
        own = [lines.parts[int(number)][each.decision[number]] for number in tranche]
        found["decision"].append(np.array(own, dtype=np.intp))
        for name in ("shares", "value", "cost"):
            found[name].append(getattr(each, name)[tranche, at] / count)
    row, number, decision = (
        np.concatenate([np.empty(0, dtype=np.intp), *found[name]]) for name in ("row", "number", "decision")
    )
    shares, value, cost = (
        np.concatenate([np.empty(0), *found[name]]) for name in ("shares", "value", "cost")
    )
    decided_on = np.array(lines.days, dtype=object)
    table = pd.DataFrame(
        {
            "session": lines.dates[row],
            "symbol": pd.Series(np.array(lines.symbols, dtype=object)[number], dtype="str"),
            "shares": shares,
            "price": value / shares,
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
        share = lines.cost_scale * rates.impact[at, numbers] * np.sqrt(size)
        impact = np.minimum(share, MOST_IMPACT) * size
    linear = size * lines.cost_scale / 1e4
    parts = {
        "commission": linear * costs.commission_bps,
        "currency": linear * np.where(foreign, costs.currency_bps, 0.0),
        "tax": linear * _tax_bps(table, lines, costs),
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
    index = pd.DatetimeIndex(lines.days, name="decided_on").as_unit("s")
    turned, count = np.zeros(len(decided)), len(lines.parts)
    wealth = _mean(account.wealth[:, :count])
    for tranche, part in enumerate(lines.parts):
        turned[part] = one_way(account.traded[: len(part), tranche], wealth[decided[part]]) / count
    return pd.Series(turned, index=index, name="turnover")


def one_way(traded: Floats, before: Floats) -> Floats:
    """Return one-way turnovers: half the values traded over the wealth before; 0 where nothing was left."""
    per_wealth = np.divide(0.5, before, out=np.zeros_like(before), where=before > 0)
    return np.asarray(traded * per_wealth)


def _waits(account: Account, lines: _Lines) -> pd.DataFrame:
    """Return the orders that had to wait."""
    ours = [each for each in account.missed if each.variant < len(lines.parts)]
    decisions = [lines.parts[each.variant][each.decision] for each in ours]
    return pd.DataFrame(
        {
            "session": lines.dates[[each.row for each in ours]],
            "symbol": pd.Series([lines.symbols[each.number] for each in ours], dtype="str"),
            "decided_on": [lines.days[number] for number in decisions],
            "reason": pd.Series([each.reason for each in ours], dtype="str"),
        }
    )


def _payments(account: Account, tape: Tape, lines: _Lines) -> pd.DataFrame:
    """Return what dividends and delistings paid, in units of the starting wealth."""
    rows: list[tuple[int, str, str, float]] = []
    shares = account.shares[:, : len(lines.parts)].mean(axis=1)
    for row, (numbers, paid) in tape.dividends.items():
        held = shares[account.event_of[row - 1], numbers]
        if row in tape.splits:
            split = dict(zip(*(each.tolist() for each in tape.splits[row]), strict=True))
            held = held * [split.get(int(number), 1.0) for number in numbers]
        rows += [
            (row, lines.symbols[number], "dividend", float(value))
            for number, value in zip(numbers, held * paid, strict=True)
            if value
        ]
    for number in np.flatnonzero((tape.exit_row > 0) & (tape.exit_row < tape.rows)):
        row = int(tape.exit_row[number])
        held = shares[account.event_of[row - 1], number]
        if held:
            value = float(held * tape.price[row - 1, number] * tape.recovery[number])
            rows.append((row, lines.symbols[number], "delisting", value))
    rows.sort()
    return pd.DataFrame(
        {
            "session": lines.dates[[row for row, *_ in rows]],
            "symbol": pd.Series([symbol for _, symbol, _, _ in rows], dtype="str"),
            "kind": pd.Series([kind for _, _, kind, _ in rows], dtype="str"),
            "value": np.array([value for *_, value in rows], dtype=float),
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
