"""A market as an event study sees it: the names' series, their segments, and dates on which nothing happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screener.backtest.abnormal import (
    Abnormal,
    Bools,
    Floats,
    Instants,
    Series,
    StudySettings,
    first_sessions,
    measure,
    reactions,
    series_of,
)
from screener.backtest.event_tests import GroupTests, correlations, group_tests
from screener.errors import UserError
from screener.market.load import Market
from screener.market.sessions import calendar_of, city_of, close_of
from screener.universe.model import SupplyEvent

EVERY_NAME = "all"  # the group of all names, beside the segments
STUDIED = "event_study"  # the use of an event that can be studied
AT_ONCE = 100  # dates measured together, to bound memory
FEWEST_PLACEBOS = 50  # of a group, below which a placebo p-value says nothing


class World:
    """A market as an event study sees it: series, groups, and which dates are near no event."""

    def __init__(self, market: Market, settings: StudySettings, segments: Sequence[str]) -> None:
        self.market, self.settings = market, settings
        self.benchmark = market.benchmark or next(iter(market.universe.benchmarks), "")
        panel, instruments = market.panel, market.universe.instruments
        priced = set(panel.symbols)
        mics = {
            symbol: each.mic
            for symbol, each in instruments.items()
            if symbol in priced and (not segments or each.segment in segments)
        }
        if self.benchmark not in market.universe.benchmarks:
            raise UserError("an event study needs a benchmark; the universe has none")
        benchmark_mic = market.universe.benchmarks[self.benchmark].mic
        self.series: tuple[Series, ...] = series_of(panel, mics, self.benchmark, benchmark_mic)
        self.exchanges = [calendar_of(each.mic) for each in self.series]
        known = list(market.universe.segments)
        wanted = [each for each in known if each in segments] if segments else [*known, EVERY_NAME]
        stood = np.array([instruments[each.symbol].segment for each in self.series], dtype=object)
        self.groups: dict[str, Bools] = {
            key: np.ones(len(stood), dtype=bool) if key == EVERY_NAME else np.asarray(stood == key)
            for key in wanted
        }

    def why_not(self, event: SupplyEvent) -> str:
        """Say why an event cannot be studied, "" when it can."""
        sessions, as_of = self.market.panel.sessions, self.market.request.as_of
        if event.use != STUDIED:
            return f"its use is {event.use}, not {STUDIED}"
        if event.day > as_of:
            return f"after the as-of date {as_of}"
        if not len(sessions) or event.day < sessions[0].date():
            return (
                f"before the price history, which begins {sessions[0].date() if len(sessions) else 'nowhere'}"
            )
        return ""

    def without_names(self, events: Sequence[SupplyEvent]) -> dict[str, str]:
        """Return the events around which no name can be measured, and why not."""
        places = reactions(self.series, instants_of(events, self.settings))
        known = measure(self.series, places, self.settings).known.any(axis=1)
        begins = self.market.panel.sessions[0].date() if len(self.market.panel.sessions) else "nowhere"
        reasons = {}
        for row in np.flatnonzero(~known).tolist():
            if (places[row] >= 0).any():
                why = f"no name has {self.settings.fewest} sessions before it; prices begin {begins}"
            else:
                why = f"no session has followed it by {self.market.request.as_of}"
            reasons[events[row].key] = why
        return reasons

    def tests(self, abnormal: Abnormal, *, ranks: bool = True) -> dict[str, GroupTests]:
        """Return each group's tests around the dates that were measured."""
        together = correlations(abnormal, self.exchanges)
        windows = self.settings.windows
        return {
            key: group_tests(abnormal, together, inside, windows, ranks=ranks)
            for key, inside in self.groups.items()
        }

    def placebo_instants(self, like: Sequence[SupplyEvent]) -> Instants:
        """Return random dates near no event, each at the hour of one of the events that they stand in for."""
        panel, settings = self.market.panel, self.settings
        rng = np.random.default_rng(settings.seed)
        days = panel.sessions.to_numpy().astype("datetime64[D]")
        first = min((first for first, _ in settings.windows), default=0)
        last = max((last for _, last in settings.windows), default=0)
        days = days[settings.fewest + settings.gap : len(days) - last - 3]
        known = np.array([each.day for each in self.market.universe.events], dtype="datetime64[D]")
        apart = np.abs(np.busday_count(np.minimum.outer(days, known), np.maximum.outer(days, known)))
        quiet = days[(apart > last - first + 3).all(axis=1)] if len(known) else days
        count = min(settings.placebos, len(quiet))
        if not count or not like:
            return np.array([], dtype="datetime64[s]")
        chosen = np.sort(rng.choice(quiet, count, replace=False)).astype("datetime64[s]")
        day_of = np.array([each.day for each in like], dtype="datetime64[s]")
        hours = (
            instants_of(like, settings) - day_of
        )  # from midnight UTC of its local date; before it in the East
        return np.asarray(chosen + rng.choice(hours, count))

    def placebo_averages(self, like: Sequence[SupplyEvent]) -> dict[str, Floats]:
        """Return each group's CAAR and its standard error at placebo dates, 2 × P × W."""
        instants = self.placebo_instants(like)
        found: dict[str, list[Floats]] = {key: [] for key in self.groups}
        for start in range(0, len(instants), AT_ONCE):
            places = reactions(self.series, instants[start : start + AT_ONCE])
            abnormal = measure(self.series, places, self.settings)
            for key, tests in self.tests(abnormal, ranks=False).items():
                found[key].append(np.stack((tests.caar, tests.error)))
        nothing = np.empty((2, 0, len(self.settings.windows)))
        return {key: np.concatenate([nothing, *parts], axis=1) for key, parts in found.items()}

    def session_table(self, events: Sequence[SupplyEvent]) -> pd.DataFrame:
        """Return for each event and exchange the first session that could react, and its close in UTC."""
        rows = []
        mics = {calendar_of(each.mic): each.mic for each in self.series}
        for event in events:
            for mic in mics.values():
                session = first_sessions(mic, instants_of([event], self.settings))[0]
                if not np.isnat(session):
                    day = pd.Timestamp(session).date()
                    rows.append((event.key, city_of(mic), day, close_of(mic, day)))
        table = pd.DataFrame(rows, columns=["event", "exchange", "session", "closes"])
        return table.sort_values(["event", "closes", "exchange"], kind="stable", ignore_index=True)


def instants_of(events: Sequence[SupplyEvent], settings: StudySettings) -> Instants:
    """Return the instants (UTC) from which events can have been known."""
    instants = [each.instant(settings.assumed_time).replace(tzinfo=None) for each in events]
    return np.array(instants, dtype="datetime64[s]")
