"""Dates of a backtest on which nothing stands between a method and its closed weights, decided all at once.

That is: one exchange, prices on every session of the lookback, limits that are caps and do not bind, and a method
that the kernels of batch.py know. Any other date is decided on its own (build.py). Whether a date is plain, and its
weights, follow from the rows up to it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screener.market.sessions import calendar_of
from screener.portfolio.batch import rolling_equal_risk, rolling_inverse_volatility
from screener.portfolio.batch_covariance import Windows
from screener.portfolio.batch_sums import MOST_NAMES
from screener.portfolio.limits import GROUPS
from screener.portfolio.region import TOLERANCE
from screener.portfolio.study import Study
from screener.risk.covariance import CovarianceSettings
from screener.universe.model import Instrument

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Kernel = Callable[[Windows], Floats]
MOST = {
    "equal_risk_contribution": MOST_NAMES
}  # names up to which a kernel does not depend on the other dates
KERNELS: dict[tuple[str, str], Kernel] = {  # method and estimator; shrinking leaves variances as they are
    ("inverse_volatility", "sample"): rolling_inverse_volatility,
    ("inverse_volatility", "ledoit_wolf"): rolling_inverse_volatility,
    ("equal_risk_contribution", "sample"): rolling_equal_risk,
    ("equal_risk_contribution", "ledoit_wolf"): lambda windows: rolling_equal_risk(windows, shrink=True),
}


class Plain(NamedTuple):
    """weights: B × N over all symbols of the panel asked about; decided: B, which dates are plain."""

    weights: Floats
    decided: Bools


def plain_weights(
    study: Study, members: Sequence[tuple[Instrument, ...]], ends: Indices, symbols: Sequence[str]
) -> Plain:
    """Return the weights of the plain ones among B dates. members: of each date, sorted. ends: one past its session."""
    weights, decided = np.zeros((len(ends), len(symbols))), np.zeros(len(ends), dtype=bool)
    kernel = KERNELS.get((study.theme.method, study.settings.estimator))
    caps = all(each.subject in GROUPS and each.comparison == "<=" for each in study.limits)
    if kernel is None or not caps or study.settings.min_adv > 0:
        return Plain(weights, decided)
    place = {symbol: number for number, symbol in enumerate(symbols)}
    groups: dict[int, list[int]] = {}
    for number, some in enumerate(members):
        groups.setdefault(id(some), []).append(number)
    for numbers in groups.values():
        some = tuple(each for each in members[numbers[0]] if each.symbol in study.position)
        if not some or len({calendar_of(each.mic) for each in some}) > 1:
            continue
        table = _Table.of(study, some)
        rows = np.array(numbers)
        for at, eligible in table.patterns(study, ends[rows]):
            found, kept = _solve(study, kernel, table, eligible, ends[rows[at]])
            columns = np.array([place[some[each].symbol] for each in eligible])
            weights[np.ix_(rows[at[kept]], columns)] = found[kept]
            decided[rows[at[kept]]] = True
    return Plain(weights, decided)


class _Table(NamedTuple):
    """Prices of n members of one exchange over all T sessions, and what adds up over them."""

    members: tuple[Instrument, ...]
    prices: Floats
    returns: Floats  # 0 where there is none
    missing: Indices  # (T + 1) × n, how many sessions before each row have no trade

    @staticmethod
    def of(study: Study, members: tuple[Instrument, ...]) -> _Table:
        columns = study.columns([each.symbol for each in members])
        prices = study.prices.take(columns, axis=1)
        known = study.panel.traded.to_numpy(dtype=bool).take(columns, axis=1) & np.isfinite(prices)
        missing = np.zeros((len(prices) + 1, len(members)), dtype=np.intp)
        np.cumsum(~known, axis=0, out=missing[1:])
        returns = np.zeros_like(prices)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(prices[1:], prices[:-1], out=returns[1:])
        returns[1:] -= 1.0
        if missing[-1].any():
            returns[~np.isfinite(returns)] = 0.0
        return _Table(members, prices, returns, missing)

    def patterns(self, study: Study, ends: Indices) -> list[tuple[Indices, Indices]]:
        """Return which of the dates are eligible for the same members and wholly known: (dates, members) each."""
        days, weeks = study.days, study.settings.lookback_weeks
        newest, starts = days[ends - 1], _starts(study, ends)
        whole = self.missing[ends] == self.missing[starts]
        moves = self._moves(days, newest, 2)
        rest = np.flatnonzero((whole & ~moves).any(axis=1))  # the same return twice says little
        moves[rest] = self._moves(days, newest[rest], weeks)
        long = np.minimum(weeks, (newest - days[0]) // 7) >= max(study.settings.min_history_weeks, 2)
        long &= ends - starts > CovarianceSettings().fewest_returns
        sure = whole & moves & long[:, None]
        absent = ~np.isfinite(self.prices[ends - 1])
        plain = (sure | absent).all(axis=1) & sure.any(axis=1)
        plain &= sure.sum(axis=1) <= MOST.get(study.theme.method, len(self.members))
        if not plain.any():
            return []
        dates = np.flatnonzero(plain)
        patterns = sure[dates]
        found = []
        while len(dates):
            alike = (patterns == patterns[0]).all(axis=1)
            found.append((dates[alike], np.flatnonzero(patterns[0])))
            dates, patterns = dates[~alike], patterns[~alike]
        return found

    def _moves(self, days: Indices, newest: Indices, weeks: int) -> Bools:
        """Return B × n, whose last weekly returns are known to differ."""
        rows = days.searchsorted(newest[:, None] - 7 * np.arange(weeks + 1), side="right") - 1
        levels = self.prices[np.maximum(rows, 0)]
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = levels[:, :-1] / levels[:, 1:]
        inside = (rows[:, 1:] >= 0)[:, :, None]
        return np.asarray(((returns != returns[:, :1]) & np.isfinite(returns) & inside).any(axis=1))


def _starts(study: Study, ends: Indices) -> Indices:
    """Return B rows at which windows start, as a covariance's do: with the price that the first return is from."""
    oldest = study.days[ends - 1] - 7 * study.settings.lookback_weeks
    return np.maximum(study.days.searchsorted(oldest, side="right") - 1, 0)


def _solve(
    study: Study, kernel: Kernel, table: _Table, eligible: Indices, ends: Indices
) -> tuple[Floats, Bools]:
    """Return weights of the eligible on B dates, and which of them keep all caps and rest on a sound covariance."""
    returns, starts = table.returns.take(eligible, axis=1), _starts(study, ends) + 1
    most = 7 * study.settings.lookback_weeks
    weights = kernel(Windows(returns, ends, most, 2, starts))
    total = np.vstack([np.zeros(len(eligible)), np.cumsum(returns, axis=0)])
    sums = np.sort(total[ends] - total[starts], axis=1)
    apart = (np.diff(sums, axis=1) > 0).all(axis=1)  # two names with the same returns are refused elsewhere
    region = study.region(tuple(table.members[each] for each in eligible))
    within = (weights @ region.matrix.T <= region.bound + TOLERANCE).all(axis=1)
    return weights, np.asarray(apart & within & (weights > 0).all(axis=1))
