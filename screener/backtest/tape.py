"""A panel becomes what an account can trade on: prices a share as shares were, fills, dividends, splits, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.price_limits import at_limit
from screener.errors import UserError, unknown
from screener.market.panel import PricePanel
from screener.market.sessions import as_days, closing_clock
from screener.portfolio.costs import Costs
from screener.screening.metrics import ADV_SESSIONS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
EXECUTIONS = ("close", "open")
FEWEST_VOLUMES = 20  # sessions with a known volume in ADV_SESSIONS; fewer: unknown
CAPITAL = 1_000_000.0


@dataclass(frozen=True, eq=False, slots=True)
class Tape:
    """N symbols over T sessions, from the first decision on; base currency a share, as shares were on the day.

    price: T × N, last known close, 0 before the first. fill: T × N, what a trade of that session is made at, NaN where
    there is none. may_buy, may_sell: T × N, false where a session ended at its price limit. place: N, the order in
    which exchanges trade on a date, 0 first. splits, dividends: row → numbers of the symbols, and new shares per old
    one or the cash a share pays. exit_row: N, row at which a delisted name becomes cash, T where never; recovery:
    N, the fraction of its last price that is paid.
    """

    price: Floats
    fill: Floats
    may_buy: Bools
    may_sell: Bools
    place: Indices
    splits: Mapping[int, tuple[Indices, Floats]]
    dividends: Mapping[int, tuple[Indices, Floats]]
    exit_row: Indices
    recovery: Floats
    next_fill: Indices  # T × N: first row ≥ t in which the name trades, T where none
    at_open: bool = False  # whether trades are made at the open

    @property
    def rows(self) -> int:
        """Return T."""
        return len(self.price)


@dataclass(frozen=True, eq=False, slots=True)
class Rates:
    """What trading costs, by session and name: T' × N over the rows in which something may trade.

    buy, sell: fractions of the value. impact: cost / |value|^1.5, in units of the starting wealth. row_of: tape → here.
    """

    buy: Floats
    sell: Floats
    impact: Floats | None
    row_of: Mapping[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Terms:
    """What a backtest trades under, beside prices and costs.

    mics, domiciles: by symbol; without a MIC a name trades on one nameless exchange without price limits.
    recoveries: delisted symbol → date, and the fraction of its last price that holders received (None: all of it); on
    the first session on or after that date it becomes cash, without cost. execution: close or open of each name's
    own next session. capital: base currency at the start, which impact depends on.
    """

    mics: Mapping[str, str] = field(default_factory=dict)
    domiciles: Mapping[str, str] = field(default_factory=dict)
    recoveries: Mapping[str, tuple[date, float | None]] = field(default_factory=dict)
    execution: str = "close"
    capital: float = CAPITAL

    def __post_init__(self) -> None:
        if self.execution not in EXECUTIONS:
            raise UserError(unknown("execution", self.execution, list(EXECUTIONS)))
        if not 0 < self.capital < float("inf"):
            raise UserError(f"the capital of a backtest must be positive, not {self.capital:g}")


def make_tape(panel: PricePanel, symbols: Sequence[str], start: int, terms: Terms, costs: Costs) -> Tape:
    """Return the tape of some symbols from a row of the panel on.

    Prices are quoted closes in base currency, kept while a name does not trade, times all later splits: a share is
    what it was on the day, so later splits change nothing before them. Without quotes the panel's closes are all
    there is. With execution "open" a session without a known open is no session to trade in.
    """
    names = list(symbols)
    close = panel.close[names].to_numpy(dtype=float)
    factor, splits, dividends = _actions(panel, names, start, terms, costs)
    price = _kept(close, panel, names)[start:] * factor
    traded = panel.traded[names].to_numpy(dtype=bool)[start:]
    at_open = terms.execution == "open"
    if at_open:
        if panel.quotes is None:
            raise UserError("these prices have no opens to trade at; use --execution close")
        fill = panel.quotes.open[names].to_numpy(dtype=float)[start:] * factor
        fill = np.where(traded & (fill > 0), fill, np.nan)
    else:
        fill = np.where(traded & (price > 0), price, np.nan)
    dates = panel.sessions[start:]
    exit_row, recovery = _exits(names, dates, terms)
    fill[np.arange(len(dates))[:, None] >= exit_row] = np.nan
    candidates = np.where(np.isfinite(fill), np.arange(len(dates))[:, None], len(dates))
    upper, lower = _limits(panel, names, (price, fill, splits), start, terms)
    return Tape(
        price=price,
        fill=fill,
        may_buy=~upper,
        may_sell=~lower,
        place=_places(names, dates, terms),
        splits=splits,
        dividends=dividends,
        exit_row=exit_row,
        recovery=recovery,
        next_fill=np.minimum.accumulate(candidates[::-1], axis=0)[::-1].astype(np.intp),
        at_open=at_open,
    )


def _kept(close: Floats, panel: PricePanel, names: list[str]) -> Floats:
    """Carry the last known price forward; 0 before the first: no share is held then."""
    if np.isfinite(close).all():
        return close
    rows = np.arange(len(close))[:, None]
    last = np.maximum.accumulate(np.where(np.isfinite(close), rows, -1), axis=0)
    return np.where(last >= 0, np.take_along_axis(close, np.maximum(last, 0), axis=0), 0.0)


ByRow = dict[int, tuple[Indices, Floats]]


def _actions(
    panel: PricePanel, names: list[str], start: int, terms: Terms, costs: Costs
) -> tuple[Floats | float, ByRow, ByRow]:
    """Return the product of all later splits (T × N, or 1), and splits and dividends by row.

    A dividend is per share after a split of the same date, less what is withheld.
    """
    if panel.quotes is None or not len(panel.quotes.actions):
        return 1.0, {}, {}
    table = panel.quotes.actions
    number = pd.Index(names).get_indexer(pd.Index(table["symbol"]))
    row = panel.sessions.get_indexer(pd.DatetimeIndex(table["session"])) - start
    split, paid = table["split"].to_numpy(), table["dividend"].to_numpy()
    ours = (number >= 0) & (row > 0)
    happened = ours & (split != 1.0)
    factor: Floats | float = 1.0
    if happened.any():
        factor = np.ones((len(panel.sessions) - start, len(names)))
        for at, name, ratio in zip(row[happened], number[happened], split[happened], strict=True):
            factor[:at, name] *= ratio
    kept = 1.0 - np.array(
        [costs.withholding.get(terms.domiciles.get(name, ""), 0.0) for name in names], dtype=float
    )
    pays = ours & (paid != 0.0)
    later = factor[row[pays], number[pays]] if isinstance(factor, np.ndarray) else 1.0
    return (
        factor,
        _by_row(row[happened], number[happened], split[happened]),
        _by_row(row[pays], number[pays], paid[pays] * kept[number[pays]] * later),
    )


def _by_row(rows: Indices, numbers: Indices, values: Floats) -> ByRow:
    found: ByRow = {}
    edges = [*np.flatnonzero(np.diff(rows, prepend=-1)), len(rows)]  # the table is sorted by session
    for begin, end in pairwise(edges):
        found[int(rows[begin])] = (numbers[begin:end], values[begin:end])
    return found


def _exits(names: list[str], dates: pd.DatetimeIndex, terms: Terms) -> tuple[Indices, Floats]:
    exit_row, recovery = np.full(len(names), len(dates), dtype=np.intp), np.ones(len(names))
    for position, name in enumerate(names):
        if name in terms.recoveries:
            day, fraction = terms.recoveries[name]
            exit_row[position] = dates.searchsorted(pd.Timestamp(day))
            recovery[position] = 1.0 if fraction is None else fraction
    return exit_row, recovery


def _places(names: list[str], dates: pd.DatetimeIndex, terms: Terms) -> Indices:
    """Return the order in which names trade on a date, by the clock of the first: nothing later decides it."""
    if not terms.mics:
        return np.zeros(len(names), dtype=np.intp)
    clock = {mic: int(closing_clock(mic, dates[:1])[0]) if mic else -1 for mic in set(terms.mics.values())}
    seconds = np.array([clock.get(terms.mics.get(name, ""), -1) for name in names])
    return np.unique(seconds, return_inverse=True)[1].astype(np.intp)


def _limits(
    panel: PricePanel, names: list[str], prices: tuple[Floats, Floats, ByRow], start: int, terms: Terms
) -> tuple[Bools, Bools]:
    """Return T × N: at the upper, at the lower limit where a trade would be made."""
    price, fill, splits = prices
    upper, lower = np.zeros(fill.shape, dtype=bool), np.zeros(fill.shape, dtype=bool)
    limited = [at for at, name in enumerate(names) if terms.mics.get(name, "") in ("XTKS", "XSHG", "XSHE")]
    if not limited or panel.quotes is None:
        return upper, lower
    days = as_days(panel.sessions[start:])
    for at in limited:
        name = names[at]
        rate = panel.quotes.rates[panel.quotes.rate_of[name]].to_numpy()[start:]
        # close while a name does not trade is carried at the rate of the day, so the quotient is its last quote
        local = price[:, at] / rate
        before = np.concatenate([[np.nan], local[:-1]])
        for row, (numbers, ratio) in splits.items():
            if at in numbers:
                before[row] /= ratio[numbers == at][0]
        upper[:, at], lower[:, at] = at_limit(terms.mics[name], name, fill[:, at] / rate, before, days)
    return upper, lower


def make_rates(panel: PricePanel, symbols: Sequence[str], tape: Tape, terms: Terms, costs: Costs) -> Rates:
    """Return what trading costs in each session of a tape in which something can trade.

    Spread and impact go by the value traded and the volatility of the sessions before, not of the day itself.
    """
    rows = np.flatnonzero(np.isfinite(tape.fill).any(axis=1))
    row_of = {int(row): at for at, row in enumerate(rows)}
    if costs.is_flat:
        rate = np.full((1, len(symbols)), costs.commission_bps / 1e4)
        return Rates(rate, rate, None, dict.fromkeys(row_of, 0))
    names = list(symbols)
    start = len(panel.sessions) - tape.rows
    adv, deviation = _liquidity(panel, names, rows + start)
    in_dollars = adv / _dollar(panel)[rows + start, None]
    spread = np.full(adv.shape, costs.half_spreads[-1][1])
    for least, bps in reversed(costs.half_spreads):
        spread[in_dollars >= least] = bps
    shared = costs.commission_bps + spread + np.where(_foreign(panel, names), costs.currency_bps, 0.0)
    tax_buy, tax_sell = _taxes(panel.sessions[start:][rows], names, terms, costs)
    impact = None
    if costs.impact_coefficient:
        with np.errstate(divide="ignore", invalid="ignore"):
            impact = costs.impact_coefficient * deviation * np.sqrt(terms.capital / adv)
        impact = np.where(np.isfinite(impact), impact, 0.0)  # an unknown volume: told, not guessed
    return Rates((shared + tax_buy) / 1e4, (shared + tax_sell) / 1e4, impact, row_of)


def _liquidity(panel: PricePanel, names: list[str], rows: Indices) -> tuple[Floats, Floats]:
    """Return ADV and daily volatility of the ADV_SESSIONS rows before each of some rows, by running sums."""
    value = panel.value_traded[names].to_numpy(dtype=float)
    first = np.maximum(rows - ADV_SESSIONS, 0)
    count = _between(np.isfinite(value).astype(float), first, rows)
    total = _between(np.nan_to_num(value), first, rows)
    adv = np.divide(total, count, out=np.full_like(total, np.nan), where=count >= FEWEST_VOLUMES)
    prices = panel.prices[names].to_numpy(dtype=float)
    change = np.full_like(prices, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        change[1:] = prices[1:] / prices[:-1] - 1.0
    moved = np.isfinite(change) & panel.traded[names].to_numpy(dtype=bool)
    square = _between(np.where(moved, change, 0.0) ** 2, first, rows)
    days = _between(moved.astype(float), first, rows)
    deviation = np.sqrt(np.divide(square, days, out=np.full_like(square, np.nan), where=days >= 2))
    return adv, deviation


def _between(values: Floats, first: Indices, rows: Indices) -> Floats:
    """Return Σ values[first : row] over time, exclusive of the row itself."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return np.maximum(sums[rows] - sums[first], 0.0)


def _dollar(panel: PricePanel) -> Floats:
    """Return T: base currency per US dollar; 1 where no rate of the dollar is known."""
    if panel.quotes is not None and panel.base_currency != "USD":
        for column in panel.quotes.rates.columns:
            if str(column).startswith("USD "):
                return panel.quotes.rates[column].ffill().fillna(1.0).to_numpy(dtype=float)
    return np.ones(len(panel.sessions))


def _foreign(panel: PricePanel, names: list[str]) -> Bools:
    if panel.quotes is None:
        return np.zeros(len(names), dtype=bool)
    return np.array([panel.quotes.rate_of[name].split()[0] != panel.base_currency for name in names])


def _taxes(dates: pd.DatetimeIndex, names: list[str], terms: Terms, costs: Costs) -> tuple[Floats, Floats]:
    buy, sell = np.zeros((len(dates), len(names))), np.zeros((len(dates), len(names)))
    for mic, taxes in costs.taxes.items():
        ours = [at for at, name in enumerate(names) if terms.mics.get(name) == mic]
        for tax in taxes if ours else ():
            since = int(dates.searchsorted(pd.Timestamp(tax.since)))
            buy[since:, ours], sell[since:, ours] = tax.buy_bps, tax.sell_bps
    return buy, sell
