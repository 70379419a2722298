"""Where a backtest's return comes from: name by name, session by session, adding up exactly.

Linked over time after Carino (1999), "Combining attribution effects over time", so that the parts of many sessions
add up to the total return as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.backtest.engine import Backtest
from screener.market.panel import PricePanel

Floats = npt.NDArray[np.float64]
SAME = 1e-12
CASH_AND_COSTS = "cash and costs"  # the group of what is no name


@dataclass(frozen=True, eq=False, slots=True)
class Attribution:
    """Contributions to the total return of a span, fractions; each table adds up to `total`.

    names: N × (price, currency, dividends, cost): what each name's local price, its exchange rate, its dividends and
    its trading costs gave. total: wealth at the end / at the beginning − 1.
    """

    names: pd.DataFrame
    total: float

    def by(self, labels: Mapping[str, str]) -> pd.DataFrame:
        """Return the contributions summed by a label of each symbol, such as its segment; largest first."""
        grouped = self.names.groupby([labels.get(str(each), "other") for each in self.names.index]).sum()
        return grouped.loc[grouped.sum(axis=1).sort_values(ascending=False).index]


def session_contributions(run: Backtest, panel: PricePanel) -> dict[str, pd.DataFrame]:
    """Return T × N contributions to each session's return, by kind; all of a row add up to the return of wealth.

    price: the quoted price in its own currency, with what was gained or lost between the price of a trade and that
    session's close; currency: the exchange rate; dividends; cost (≤ 0). Without quotes all prices count as
    local. The first row is 0.
    """
    shares, prices = run.shares.to_numpy(), run.prices.to_numpy()
    dates, symbols = run.shares.index, list(run.shares.columns)
    bought = _placed(run.trades, run, "value")
    cost = -_placed(run.trades, run, "cost")
    paid = {
        kind: _placed(run.payments[run.payments["kind"] == kind], run, "value")
        for kind in ("dividend", "delisting")
    }
    value = shares * prices
    gained = np.zeros_like(value)
    gained[1:] = value[1:] - value[:-1] - bought[1:] + paid["delisting"][1:]
    rate = _rates(panel, symbols, pd.DatetimeIndex(dates))
    currency = np.zeros_like(value)
    # what was held through the session moves with the rate; its local price does the rest
    currency[1:] = value[:-1] * (rate[1:] / rate[:-1] - 1.0)
    before = np.concatenate([[1.0], run.wealth.to_numpy()[:-1]])
    per_wealth = np.divide(1.0, before, out=np.zeros_like(before), where=before > 0)[:, None]
    parts = {"price": gained - currency, "currency": currency, "dividends": paid["dividend"], "cost": cost}
    return {
        kind: pd.DataFrame(part * per_wealth, index=dates, columns=symbols) for kind, part in parts.items()
    }


def _placed(rows: pd.DataFrame, run: Backtest, column: str) -> Floats:
    """Return T × N sums of a column of trades or payments by session and symbol."""
    found = np.zeros(run.shares.shape)
    at = run.shares.index.get_indexer(pd.DatetimeIndex(rows["session"]))
    np.add.at(found, (at, run.shares.columns.get_indexer(pd.Index(rows["symbol"]))), rows[column].to_numpy())
    return found


def _rates(panel: PricePanel, symbols: list[str], dates: pd.DatetimeIndex) -> Floats:
    """Return T × N: base currency per unit of each name's own, the last known one; 1 where there is none."""
    if panel.quotes is None:
        return np.ones((len(dates), len(symbols)))
    rates = panel.quotes.rates.reindex(dates).ffill().fillna(1.0)
    return rates[[panel.quotes.rate_of[symbol] for symbol in symbols]].to_numpy(dtype=float)


def attribute(
    run: Backtest, panel: PricePanel, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
) -> Attribution:
    """Return what made the return of a span: sessions after `start` up to `end`; default: all.

    Source of the linking: Carino (1999), eq. 5: weights k_t / k, k_t = ln(1 + r_t) / r_t, k = ln(1 + R) / R.
    """
    dates, levels = pd.DatetimeIndex(run.wealth.index), run.wealth.to_numpy()
    # from the last close on or before `start`
    first = 0 if start is None else max(int(dates.searchsorted(start, side="right")) - 1, 0)
    last = len(dates) if end is None else int(dates.searchsorted(end, side="right"))
    inside = slice(first + 1, max(last, first + 1))
    returns = levels[inside] / levels[first : inside.stop - 1] - 1.0
    total = float(levels[inside.stop - 1] / levels[first] - 1.0)
    weight = carino_weights(returns, total)
    parts = session_contributions(run, panel)
    names = pd.DataFrame({kind: weight @ part.to_numpy()[inside] for kind, part in parts.items()})
    names.index = run.shares.columns
    return Attribution(names, total)


def carino_weights(returns: Floats, total: float) -> Floats:
    """Return T weights that make Σ weight · return the total return (Carino 1999, eq. 5)."""
    return np.asarray(_log_ratio(returns) / _log_ratio(np.array([total]))[0])


def _log_ratio(returns: Floats) -> Floats:
    """Return ln(1 + r) / r, 1 at 0."""
    small = np.abs(returns) < SAME
    safe = np.where(small, 1.0, returns)
    return np.where(small, 1.0, np.log1p(safe) / safe)


@dataclass(frozen=True, eq=False, slots=True)
class BrinsonFachler:
    """Active return of a span by group: allocation, selection and interaction, adding up to `active`.

    effects: G × (allocation, selection, interaction). active: total return less the benchmark's, linked.
    """

    effects: pd.DataFrame
    active: float


def brinson_fachler(own: Backtest, other: Backtest, labels: Mapping[str, str]) -> BrinsonFachler:
    """Compare a backtest with another over the sessions both have, by group of names; cash and costs are groups too.

    Of each session: allocation (w_p − w_b)(r_b − R_b), selection w_b (r_p − r_b), interaction (w_p − w_b)(r_p − r_b),
    r group returns, R_b the benchmark's (Brinson & Fachler 1985). A group that one of the two does not hold has the
    benchmark's total, or the benchmark group's, return there. Linked over time with k_t / k, where
    k_t = (ln(1 + R_p,t) − ln(1 + R_b,t)) / (R_p,t − R_b,t) (Carino 1999, eq. 8). What trading cost stands under
    allocation in the last group.
    """
    dates = own.wealth.index.intersection(other.wealth.index)
    groups = [*sorted({*labels.values()}), CASH_AND_COSTS]
    (weights_own, parts_own), (weights_other, parts_other) = (
        _grouped(run, labels, groups, pd.DatetimeIndex(dates)) for run in (own, other)
    )
    returns_own, returns_other = parts_own.sum(axis=1), parts_other.sum(axis=1)
    group_other = _group_returns(parts_other, weights_other, returns_other[:, None])
    group_own = _group_returns(parts_own, weights_own, group_other)
    tilt = weights_own - weights_other
    allocation = tilt * (group_other - returns_other[:, None])
    selection = weights_other * (group_own - group_other)
    interaction = tilt * (group_own - group_other)
    # what trading costs is no product of a weight and a return
    for effect in (allocation, selection, interaction):
        effect[:, -1] = 0.0
    rest = (returns_own - returns_other) - (allocation + selection + interaction).sum(axis=1)
    allocation[:, -1] = rest
    totals = [float(np.prod(1 + each) - 1) for each in (returns_own, returns_other)]
    active = totals[0] - totals[1]
    overall = _difference_ratio(np.array([totals[0]]), np.array([totals[1]]))[0]
    weight = _difference_ratio(returns_own, returns_other) / overall
    effects = pd.DataFrame(
        {
            "allocation": weight @ allocation,
            "selection": weight @ selection,
            "interaction": weight @ interaction,
        },
        index=groups,
    )
    return BrinsonFachler(effects, active)


def _difference_ratio(one: Floats, other: Floats) -> Floats:
    """Return (ln(1 + a) − ln(1 + b)) / (a − b), 1 / (1 + a) where they are the same."""
    same = np.abs(one - other) < SAME
    safe = np.where(same, 1.0, one - other)
    return np.where(same, 1.0 / (1.0 + one), (np.log1p(one) - np.log1p(other)) / safe)


def _grouped(
    run: Backtest, labels: Mapping[str, str], groups: list[str], dates: pd.DatetimeIndex
) -> tuple[Floats, Floats]:
    """Return weights at the close before and contributions, T − 1 × G, of each group; the last: cash and costs."""
    wealth = run.wealth.reindex(dates)
    held = run.weights_held.reindex(dates)
    place = np.array([groups.index(labels.get(str(each), groups[-1])) for each in held.columns])
    member = np.eye(len(groups))[place]  # N × G
    weights = held.to_numpy()[:-1] @ member
    weights[:, -1] = 1.0 - weights[:, :-1].sum(axis=1)
    value = (run.shares * run.prices).reindex(dates).to_numpy()
    flow = _placed(run.trades, run, "value")
    for kind in ("dividend", "delisting"):
        flow = flow - _placed(run.payments[run.payments["kind"] == kind], run, "value")
    flow = pd.DataFrame(flow, index=run.shares.index).reindex(dates).to_numpy()
    gained = (value[1:] - value[:-1] - flow[1:]) / wealth.to_numpy()[:-1, None]
    parts = gained @ member
    parts[:, -1] = wealth.to_numpy()[1:] / wealth.to_numpy()[:-1] - 1.0 - parts[:, :-1].sum(axis=1)
    return weights, parts


def _group_returns(parts: Floats, weights: Floats, otherwise: Floats) -> Floats:
    out = np.broadcast_to(otherwise, parts.shape).copy()
    return np.divide(parts, weights, out=out, where=np.abs(weights) > SAME)
