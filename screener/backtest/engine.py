"""A schedule of rebalances becomes a Backtest: decided at the end of a date, traded in each name's next session.

The account itself is account.py's, what it trades on tape.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import Account, Variant, run_account
from screener.backtest.tape import Terms, make_rates, make_tape
from screener.backtest.trade_list import Lines, payment_list, trade_list
from screener.backtest.waits import wait_list
from screener.market.panel import PricePanel
from screener.portfolio.build import Rebalance, WeightSchedule
from screener.portfolio.costs import Costs

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Backtest:
    """What a schedule of rebalances would have done, in base currency, starting from wealth 1.

    wealth: T, from the first decision on, after costs. gross: T, the same targets traded without costs. Both hold
    dividends as cash from their ex-dates until the next rebalance.
    shares: T × N at each close, as shares were on the day. prices: T × N, the quoted close of such a share.
    cash: T, never negative; wealth = cash + Σ shares × prices.
    turnover: one row a rebalance, indexed by decided_on: Σ |value traded| / wealth / 2 (one-way).
    payments: one row a dividend, or what a delisting paid: session, symbol, kind, value.
    """

    theme: str
    schedule: Sequence[Rebalance]
    wealth: pd.Series
    gross: pd.Series
    shares: pd.DataFrame
    prices: pd.DataFrame
    cash: pd.Series
    list_trades: Callable[[], pd.DataFrame]
    turnover: pd.Series
    list_waits: Callable[[], pd.DataFrame]
    payments: pd.DataFrame
    costs: Costs
    capital: float

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Return a row a fill: session, symbol, shares, price, value, cost and the costs by kind, decided_on.

        Shares and values are those of a wealth of 1 at the start; times `capital` they are money.
        """
        return self.list_trades()

    @cached_property
    def waits(self) -> pd.DataFrame:
        """Return a row an order that had to wait: session (the first it missed), symbol, decided_on, reason.

        reason, one of waits.REASONS: a holiday of its exchange, halted while that was open, not listed yet, delisted,
        no open known (execution at the open), its price limit, or cash that a sale has yet to bring.
        """
        return self.list_waits()

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
    lines = Lines(days, parts, panel, symbols, dates, terms, plan.cost_scale)
    count = len(parts)
    return Backtest(
        theme=schedule.theme if isinstance(schedule, WeightSchedule) else schedule[0].theme,
        schedule=schedule,
        wealth=pd.Series(_mean(account.wealth[:, :count]), index=dates, name="wealth"),
        gross=pd.Series(_mean(account.wealth[:, -count:]), index=dates, name="gross"),
        shares=_held(account, lines),
        prices=pd.DataFrame(tape.price, index=dates, columns=symbols),
        cash=pd.Series(_mean(account.cash[:, :count])[account.event_of], index=dates, name="cash"),
        list_trades=partial(trade_list, account, lines, costs, rates),
        turnover=_turnover(account, decided, lines),
        list_waits=partial(wait_list, account, tape, lines, net),
        payments=payment_list(account, tape, lines),
        costs=costs,
        capital=terms.capital,
    )


def _mean(values: Floats) -> Floats:
    """Return the mean over tranches, T × K → T; of one it is that one, to the last bit."""
    return np.asarray(np.add.accumulate(values, axis=1)[:, -1] / values.shape[1])


def _held(account: Account, lines: Lines) -> pd.DataFrame:
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


def _turnover(account: Account, decided: Indices, lines: Lines) -> pd.Series:
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


def benchmark_wealth(panel: PricePanel, symbol: str, sessions: pd.DatetimeIndex) -> pd.Series | None:
    """Return the wealth of holding one symbol over the sessions, starting at 1; None if it had no price at the first.

    Its last price is kept while its exchange is shut.
    """
    if symbol not in panel.prices.columns:
        return None
    prices = panel.prices[symbol].ffill().reindex(sessions)
    first = float(prices.iloc[0])
    return None if np.isnan(first) else (prices / first).rename(symbol)
