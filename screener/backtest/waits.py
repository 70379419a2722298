"""Which orders of a backtest had to wait, and why. Worked out when it is asked for, from what the account kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import Account, Variant
from screener.backtest.tape import Tape
from screener.backtest.trade_list import Lines
from screener.market.sessions import CALENDARS, is_known, is_session

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
HOLIDAY, HALTED, NOT_LISTED, DELISTED, NO_OPEN = "holiday", "halted", "not listed", "delisted", "no open"
REASONS = (HOLIDAY, HALTED, NOT_LISTED, DELISTED, NO_OPEN, "price limit", "cash")


def wait_list(account: Account, tape: Tape, lines: Lines, variants: Sequence[Variant]) -> pd.DataFrame:
    """Return a row an order that missed a session: the first one, symbol, decided_on, reason; by session and symbol.

    An order is a name that a decision holds or sells. It misses the first session after the decision when it cannot
    trade in it, and a later one at a price limit or for want of cash. variants: those of the account's tranches.
    """
    missed = [_no_trade(account, tape, lines, each) for each in enumerate(variants)]
    rows, numbers, decisions = (np.concatenate(each) for each in zip(*missed, strict=True))
    reasons = _reasons(tape, lines, rows, numbers)
    met = [each for each in account.missed if each.variant < len(lines.parts)]
    table = pd.DataFrame(
        {
            "row": np.concatenate([rows, np.array([each.row for each in met], dtype=np.intp)]),
            "number": np.concatenate([numbers, np.array([each.number for each in met], dtype=np.intp)]),
            "decision": np.concatenate(
                [decisions, np.array([lines.parts[each.variant][each.decision] for each in met], np.intp)]
            ),
            "reason": pd.Series([*reasons, *(each.reason for each in met)], dtype="str"),
        }
    )
    table = table.sort_values(["row", "number", "decision"], kind="stable")
    table = table.drop_duplicates(["number", "decision"])  # the first session missed
    return pd.DataFrame(
        {
            "session": lines.dates[table["row"].to_numpy()],
            "symbol": pd.Series(np.array(lines.symbols, dtype=object)[table["number"]], dtype="str"),
            "decided_on": np.array(lines.days, dtype=object)[table["decision"]],
            "reason": table["reason"].to_numpy(),
        }
    )


def _no_trade(
    account: Account, tape: Tape, lines: Lines, numbered: tuple[int, Variant]
) -> tuple[Indices, Indices, Indices]:
    """Return row, name and decision of a tranche's orders that could not trade in the first session after."""
    tranche, variant = numbered
    followed = account.acted[: len(variant.decided), tranche] & (variant.decided + 1 < tape.rows)
    own = np.flatnonzero(followed)
    decided = variant.decided[own]
    # as in the account: a name that is neither held nor wanted has nothing to trade
    held = account.shares[account.event_of[decided], tranche] != 0
    ordered = held | (variant.targets[own] != 0)
    at, numbers = np.nonzero(ordered & ~np.isfinite(tape.fill[decided + 1]))
    return decided[at] + 1, numbers, lines.parts[tranche][own[at]]


def _reasons(tape: Tape, lines: Lines, rows: Indices, numbers: Indices) -> npt.NDArray[np.object_]:
    """Return why each name did not trade in its row of the tape."""
    panel = lines.panel
    start = len(panel.sessions) - tape.rows
    traded = panel.traded[lines.symbols].to_numpy(dtype=bool)
    # the panel's first row in which each name trades; its length where it never does
    first = np.where(traded.any(axis=0), traded.argmax(axis=0), len(traded))
    why = np.full(len(rows), HALTED, dtype=object)
    if tape.at_open:
        why[traded[rows + start, numbers]] = NO_OPEN
    mic_of = np.array([lines.terms.mics.get(each, "") for each in lines.symbols], dtype=object)
    mics = mic_of[numbers]
    for mic in sorted(set(mics)):
        ours = mics == mic
        why[np.flatnonzero(ours)[~_open(lines, str(mic), rows[ours])]] = HOLIDAY
    why[first[numbers] > rows + start] = NOT_LISTED
    why[tape.exit_row[numbers] <= rows] = DELISTED
    return why


def _open(lines: Lines, mic: str, rows: Indices) -> Bools:
    """Say of rows of a tape whether an exchange had a session: by its calendar, else by whether any name traded."""
    panel, dates = lines.panel, lines.dates
    names = [each for each in panel.symbols if lines.terms.mics.get(each, "") == mic]
    start = len(panel.sessions) - len(dates)
    any_traded: Bools = np.any(panel.traded[names].to_numpy(dtype=bool)[rows + start], axis=1)
    if mic not in CALENDARS:
        return any_traded
    days = dates[rows]
    return np.where(is_known(mic, days), is_session(mic, days), any_traded)
