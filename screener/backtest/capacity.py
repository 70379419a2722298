"""How much money a backtest could have managed before its own trades ate what it earned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.account import Variant, run_account
from screener.backtest.engine import Backtest, Plan, decision_dates, target_weights
from screener.backtest.performance import cagr
from screener.backtest.tape import Terms, make_rates, make_tape
from screener.market.panel import PricePanel

Floats = npt.NDArray[np.float64]
CAPITALS = np.logspace(4, 11, 29)  # base currency, four to a factor of ten


def capital_curve(
    run: Backtest, panel: PricePanel, terms: Terms, capitals: Floats = CAPITALS, plan: Plan | None = None
) -> Floats:
    """Return the CAGR of a backtest's schedule at each of some capitals, and first without market impact: 1 + C.

    All capitals trade side by side in one run; linear costs are those of the backtest.
    """
    plan = plan or Plan()
    days = decision_dates(run.schedule)
    symbols, targets = target_weights(run.schedule)
    start = int(panel.sessions.searchsorted(pd.Timestamp(days[0])))
    dates = panel.sessions[start:]
    terms = replace(terms, capital=1.0)
    tape = make_tape(panel, symbols, start, terms, run.costs)
    rates = make_rates(panel, symbols, tape, terms, run.costs)
    decided, parts = dates.searchsorted(pd.DatetimeIndex(days)), plan.parts(len(days))
    variants = [
        Variant(decided[part], targets[part], impact_scale=float(np.sqrt(each / len(parts))), band=plan.band)
        for each in (0.0, *capitals)
        for part in parts
    ]
    wealth = run_account(tape, rates, variants, detail=False).wealth
    by_capital = wealth.reshape(len(wealth), len(capitals) + 1, len(parts)).mean(axis=2)
    return np.array([cagr(pd.Series(each, index=dates)) for each in by_capital.T])


def capacity(curve: Floats, benchmark_cagr: float, capitals: Floats = CAPITALS) -> float:
    """Return the capital, base currency, at which impact has eaten half of the excess return without impact.

    curve: as capital_curve returns it. inf if it never does within the capitals asked about; NaN without an
    excess return to lose. Between two capitals the loss is taken as linear in the logarithm.
    """
    excess = curve[0] - benchmark_cagr
    if not excess > 0:
        return float("nan")
    lost = (curve[0] - curve[1:]) / excess
    beyond = np.flatnonzero(lost >= 0.5)
    if not len(beyond):
        return float("inf")
    at = int(beyond[0])
    if at == 0:
        return float(capitals[0])
    return float(np.exp(np.interp(0.5, lost[at - 1 : at + 1], np.log(capitals[at - 1 : at + 1]))))
