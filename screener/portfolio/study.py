"""What is known of a theme's members at the end of a date: who is eligible, their covariance, what limits ask.

A Study lays the panel out once and answers for any date of it from nothing later; what two dates have in common
(the rows of limits on the same eligible names, what a linear program said of them) is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from screener.errors import UserError
from screener.market.currency import major_unit
from screener.market.panel import PricePanel
from screener.portfolio.decide import theme_limits
from screener.portfolio.eligible import EligibilitySettings, Standing, average_values, rejections
from screener.portfolio.index_rule import Candidate
from screener.portfolio.limits import Limit
from screener.portfolio.rebalance import BuildSettings, Known, grown
from screener.portfolio.region import Names, Region
from screener.portfolio.risk_budget import Budget, parse_budgets
from screener.portfolio.weighting import Case
from screener.risk.covariance import CovarianceSettings, covariance_matrix
from screener.risk.quotes import PriceHistory, first_row
from screener.screening.metrics import ADV_SESSIONS
from screener.universe.model import Instrument, Theme
from screener.universe.purity import BOUNDS

Floats = npt.NDArray[np.float64]
Eligible = tuple[Instrument, ...]
EPOCH = date(1970, 1, 1).toordinal()


def covariance_settings(settings: BuildSettings, instruments: Sequence[Instrument]) -> CovarianceSettings:
    """Return how a covariance is estimated for a build."""
    return CovarianceSettings(
        settings.estimator,
        lookback_weeks=settings.lookback_weeks,
        segments={each.symbol: each.segment for each in instruments},
    )


@dataclass(eq=False, slots=True)
class Study:
    """A theme on a panel. position: symbol → column. tracked: the benchmark of limits on tracking error, or ""."""

    theme: Theme
    panel: PricePanel
    settings: BuildSettings
    limits: tuple[Limit, ...]
    budgets: tuple[Budget, ...]
    tracked: str
    position: dict[str, int]
    days: npt.NDArray[np.int64]  # T, since 1970
    prices: Floats  # T × N of the panel
    markets: dict[str, str]  # symbol → MIC of all that may be asked about
    first: int  # row from which their histories are laid out
    laid_out: PriceHistory | None = None
    regions: dict[tuple[str, ...], tuple[Eligible, Region]] = field(default_factory=dict)

    @staticmethod
    def of(
        theme: Theme,
        panel: PricePanel,
        settings: BuildSettings,
        earliest: int,
        members: Sequence[Instrument],
        known: Known,
    ) -> Study:
        """Lay a theme out for decisions before the row `earliest` or later ones. members: of any date."""
        limits = theme_limits(theme)
        benchmarks = {each.key or theme.benchmark for each in limits if each.subject == "tracking error"}
        if len(benchmarks) > 1 or not all(benchmarks):
            raise UserError(
                "a limit on tracking error needs one benchmark: write tracking error to SPY <= 6%"
            )
        tracked = next(iter(benchmarks), "")
        position = {str(symbol): number for number, symbol in enumerate(panel.prices.columns)}
        markets = {each.symbol: each.mic for each in members if each.symbol in position}
        if tracked in position and tracked in known.benchmark_mics:
            markets.setdefault(tracked, known.benchmark_mics[tracked])
        first = first_row(panel, settings.lookback_weeks, earliest)
        return Study(
            theme,
            panel,
            settings,
            limits,
            parse_budgets(theme.risk_budgets),
            tracked,
            position,
            days=panel.sessions.to_numpy().astype("datetime64[D]").astype(np.int64),
            prices=panel.prices.to_numpy(dtype=float),
            markets=markets,
            first=first,
        )

    @property
    def history(self) -> PriceHistory:
        """Return the members' prices, laid out when they are first asked for."""
        if self.laid_out is None:
            self.laid_out = PriceHistory.of(self.panel, self.markets, self.first)
        return self.laid_out

    def rejected(self, members: Sequence[Instrument], end: int) -> tuple[Eligible, dict[str, str], Floats]:
        """Return who of the members is eligible before a row, why the others are not, and weekly returns, T × N."""
        symbols = [each.symbol for each in members]
        priced = [symbol for symbol in symbols if symbol in self.position]
        asked = EligibilitySettings(self.settings.min_history_weeks, self.settings.min_adv)
        columns = self.columns(priced)
        returns = self.weekly(columns, end)
        standing = Standing(
            self.day(end),
            returns,
            self.prices[end - 1].take(columns),
            average_values(self.panel, priced, end) if asked.min_adv > 0 else None,
            self.panel.base_currency,
        )
        position = {symbol: number for number, symbol in enumerate(priced)}
        rejected = rejections(symbols, position, standing, asked)
        eligible = tuple(each for each in members if each.symbol not in rejected)
        return eligible, rejected, returns[:, [position[each.symbol] for each in eligible]]

    def case(self, eligible: Eligible, returns: Floats, known: Known, end: int) -> Case:
        """Gather what a method weighs before a row: covariance, limits and what else it may look at."""
        symbols = [each.symbol for each in eligible]
        joint = self._joint_covariance(eligible, known, end)
        values = known.market_values
        return Case(
            covariance=joint[: len(eligible), : len(eligible)],
            region=self._region(eligible, known, joint, end),
            returns=returns,
            budgets=self.budgets,
            market_values=None
            if values is None
            else np.array([values.get(each, np.nan) for each in symbols]),
            views=known.views,
            candidates=self._candidates(eligible, known, end) if self.theme.method == "index_rule" else (),
            index_rule=self.settings.index_rule,
        )

    def day(self, end: int) -> date:
        """Return the date of the last session before a row."""
        return date.fromordinal(EPOCH + int(self.days[end - 1]))

    def columns(self, symbols: Sequence[str]) -> npt.NDArray[np.intp]:
        """Return the panel's columns of some symbols."""
        return np.array([self.position[each] for each in symbols], dtype=np.intp)

    def weekly(self, columns: npt.NDArray[np.intp], end: int) -> Floats:
        """Return T × n simple returns as weekly_returns does, over the lookback before a row."""
        anchors = self.days[end - 1] - 7 * np.arange(self.settings.lookback_weeks, -1, -1)
        rows = self.days.searchsorted(anchors, side="right") - 1
        levels = self.prices[rows[rows >= 0]].take(columns, axis=1)
        return np.asarray(levels[1:] / levels[:-1] - 1.0)

    def drifted(
        self, symbols: Sequence[str], weights: Floats, since: date, end: int
    ) -> dict[str, float] | None:
        """Return what the weights decided on a date have become before a row; None when nothing was held."""
        if not weights.any():
            return None
        start = int(self.days.searchsorted(since.toordinal() - EPOCH))
        shares = grown(weights, self.prices[start:end].take(self.columns(symbols), axis=1))
        return dict(zip(symbols, shares.tolist(), strict=True))

    def _joint_covariance(self, eligible: Eligible, known: Known, end: int) -> Floats:
        """Return the covariance of the names, with the benchmark of a limit on tracking error last."""
        symbols = [each.symbol for each in eligible]
        if self.tracked:
            self._check_benchmark(symbols, known, end)
            symbols.append(self.tracked)
        quotes = self.history.quotes(symbols, self.settings.lookback_weeks, end - self.first)
        matrix = covariance_matrix(quotes, covariance_settings(self.settings, eligible))
        if not self.tracked:
            return matrix
        order = np.argsort(np.argsort(np.array(symbols)))
        return matrix[np.ix_(order, order)]

    def _check_benchmark(self, names: Sequence[str], known: Known, end: int) -> None:
        symbol = self.tracked
        if symbol not in self.position or symbol not in known.benchmark_mics:
            raise UserError(f"tracking error to {symbol}: it has no prices here")
        if symbol in names:
            raise UserError(f"tracking error to {symbol}: a member of the theme cannot be its benchmark")
        count = int(np.isfinite(self.weekly(self.columns([symbol]), end)).sum())
        if count < self.settings.min_history_weeks:
            raise UserError(f"tracking error to {symbol}: it has only {count} weekly returns")

    def _region(self, eligible: Eligible, known: Known, covariance: Floats, end: int) -> Region:
        """Return the limits on the eligible names; what does not depend on the date is kept for the next."""
        symbols = tuple(each.symbol for each in eligible)
        held, sold = None, 0.0
        if known.held is not None:
            held = np.array([known.held.get(symbol, 0.0) for symbol in symbols])
            sold = float(sum(weight for symbol, weight in known.held.items() if symbol not in symbols))
        if self.settings.capital > 0:
            values = average_values(self.panel, symbols, end)
            names = replace(self.region(eligible).names, adv=values, capital=self.settings.capital)
            return Region(replace(names, held=held, sold=sold, covariance=covariance), self.limits)
        return self.region(eligible).at(held, sold, covariance)

    def region(self, eligible: Eligible) -> Region:
        """Return the limits on eligible names as far as they hold on any date."""
        symbols = tuple(each.symbol for each in eligible)
        seen = self.regions.get(symbols)
        if seen is not None and all(a is b for a, b in zip(seen[0], eligible, strict=True)):
            return seen[1]
        groups = {
            "issuer": tuple(each.issuer for each in eligible),
            "segment": tuple(each.segment for each in eligible),
            "country": tuple(each.domicile for each in eligible),
            "currency": tuple(major_unit(each.currency)[0] for each in eligible),
            "dependence": tuple(each.china_dependence for each in eligible),
        }
        region = Region(Names(symbols, groups), self.limits)
        self.regions[symbols] = (eligible, region)
        return region

    def _candidates(self, eligible: Eligible, known: Known, end: int) -> tuple[Candidate, ...]:
        """Gather what an index rule asks of names at this review and the two before, each a quarter earlier.

        Past sizes are today's market value times the change of the price: shares issued since are not known.
        """
        if known.market_values is None:
            return ()
        symbols = [each.symbol for each in eligible]
        ends = [earlier for back in (0, 1, 2) if (earlier := end - back * ADV_SESSIONS) > 0]
        traded = [average_values(self.panel, symbols, each) for each in ends]
        quoted = self.panel.close.to_numpy(dtype=float)
        closes = [quoted[each - 1].take(self.columns(symbols)) for each in ends]
        found = []
        for place, each in enumerate(eligible):
            value = known.market_values.get(each.symbol, float("nan"))
            shell = each.predecessor_kind == "shell" and each.listed_from is not None
            found.append(
                Candidate(
                    symbol=each.symbol,
                    purity=sum(BOUNDS[each.purity]) / 2,
                    sizes=tuple(float(value * close[place] / closes[0][place]) for close in closes),
                    traded=tuple(float(values[place]) for values in traded),
                    days_since_shell=(self.day(end) - each.listed_from).days
                    if shell and each.listed_from
                    else None,
                )
            )
        return tuple(found)
