"""What an account did, with names: trades and what each cost by kind, dividends and delistings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import MOST_IMPACT, Account
from screener.backtest.tape import Rates, Tape, Terms
from screener.market.panel import PricePanel
from screener.portfolio.costs import KINDS, Costs

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Lines:
    """What gives the numbers of an account their names. parts: the decisions of each tranche."""

    days: list[date]
    parts: Sequence[Indices]
    panel: PricePanel
    symbols: list[str]
    dates: pd.DatetimeIndex
    terms: Terms
    cost_scale: float


def trade_list(account: Account, lines: Lines, costs: Costs, rates: Rates) -> pd.DataFrame:
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
    table: pd.DataFrame, places: tuple[Indices, Indices], lines: Lines, priced: tuple[Costs, Rates]
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
    abroad = np.array([rate_of.get(each, base).split()[0] != base for each in lines.symbols], dtype=bool)
    foreign = abroad[numbers]
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


def _tax_bps(table: pd.DataFrame, lines: Lines, costs: Costs) -> Floats:
    """Return the taxes of each trade, basis points of its value, as on its day."""
    found = np.zeros(len(table))
    mics, bought = table["symbol"].map(lines.terms.mics).to_numpy(), table["value"].to_numpy() > 0
    for mic, taxes in costs.taxes.items():
        ours = mics == mic
        for tax in taxes:
            due = ours & (table["session"] >= pd.Timestamp(tax.since)).to_numpy()
            found[due] = np.where(bought[due], tax.buy_bps, tax.sell_bps)
    return found


def payment_list(account: Account, tape: Tape, lines: Lines) -> pd.DataFrame:
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
