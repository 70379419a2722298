"""The event study of a market: its events, its names in their segments, placebo dates, and the tables of results.

Abnormal returns are measured in abnormal.py and tested in event_tests.py; this module knows which events can be
studied, who stood where on the chain, and what happened at dates on which nothing did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from screener.backtest.abnormal import Floats, Ints, StudySettings, measure, reactions
from screener.backtest.event_tests import pool, two_sided
from screener.backtest.event_world import EVERY_NAME, FEWEST_PLACEBOS, World, instants_of
from screener.errors import raise_all, unknown
from screener.market.load import Market
from screener.market.sessions import city_of
from screener.universe.model import SupplyEvent, Universe

__all__ = [
    "EVERY_NAME",
    "EventStudy",
    "Selection",
    "StudySettings",
    "chosen_events",
    "event_study",
    "event_table",
    "label",
]
SEGMENT_COLUMNS = (
    *("event", "kind", "segment", "affected", "window", "names", "left_out", "caar", "error", "t", "p"),
    *("bmp", "bmp_p", "rank", "rank_p", "placebo_p", "placebos"),
)
FIRST_SESSIONS = 5  # of a recent event, for a report
KIND_COLUMNS = (
    *("kind", "segment", "window", "events", "name_events", "caar", "error", "low", "high", "t", "p"),
    *("bmp", "bmp_p", "rank", "rank_p", "placebo_p"),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events and segments are wanted; empty words mean every one."""

    keys: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    since: date = date.min
    together: str = (
        ""  # pool all of them under this word, at every stage; "": those of a kind that name the stage
    )


@dataclass(frozen=True, eq=False, slots=True)
class EventStudy:
    """What names and segments did around events, fractions throughout.

    events: those wanted, by day. left_out: event → why it was not studied.
    segments: a row an event, segment and window (SEGMENT_COLUMNS). affected: the event names the segment. caar: mean
    cumulative abnormal return, error its standard error, t and p of the portfolio test, then BMP, rank and placebo.
    kinds: all studied events of a kind together (KIND_COLUMNS); low and high bound the mean's 95 % interval.
    names: a row an event, name and window: segment, exchange, session (its first that could react), observations,
    car, error, t. sessions: a row an event and exchange: its first session that could react and when that closed.
    paths: a row an event, segment and own session: mean abnormal return and its sum so far.
    """

    settings: StudySettings
    benchmark: str
    events: tuple[SupplyEvent, ...]
    left_out: dict[str, str]
    segments: pd.DataFrame
    kinds: pd.DataFrame
    names: pd.DataFrame
    sessions: pd.DataFrame
    paths: pd.DataFrame


def chosen_events(universe: Universe, selection: Selection) -> tuple[SupplyEvent, ...]:
    """Return the events wanted, by day. Raises UserError for words that the universe does not know."""
    known = {each.key: each for each in universe.events}
    kinds = sorted({each.kind for each in universe.events})
    raise_all(
        [unknown("event", each, list(known)) for each in selection.keys if each not in known]
        + [unknown("--type", each, kinds) for each in selection.kinds if each not in kinds]
        + [
            unknown("--segment", each, list(universe.segments))
            for each in selection.segments
            if each not in universe.segments
        ]
    )
    return tuple(
        each
        for each in universe.events
        if (not selection.keys or each.key in selection.keys)
        and (not selection.kinds or each.kind in selection.kinds)
        and each.day >= selection.since
    )


def event_study(
    market: Market, selection: Selection | None = None, settings: StudySettings | None = None
) -> EventStudy:
    """Study the events wanted with all names that were listed.

    Each event is held against `settings.placebos` random dates whose windows touch no event of the universe.
    Raises UserError for unknown words, and ScreenerError when the benchmark has no prices.
    """
    selection, settings = selection or Selection(), settings or StudySettings()
    events = chosen_events(market.universe, selection)
    world = World(market, settings, selection.segments)
    left_out = {each.key: why for each in events if (why := world.why_not(each))}
    left_out |= world.without_names([each for each in events if each.key not in left_out])
    studied = tuple(each for each in events if each.key not in left_out)
    run = _Run(world, studied)
    return EventStudy(
        settings=settings,
        benchmark=world.benchmark,
        events=events,
        left_out=left_out,
        segments=run.segment_table(),
        kinds=run.kind_table(selection.together),
        names=run.name_table(),
        sessions=world.session_table(events),
        paths=run.path_table(),
    )


class _Run:
    """The studied events measured once, and the tables made of them."""

    def __init__(self, world: World, events: Sequence[SupplyEvent]) -> None:
        self.world, self.events = world, events
        self.places: Ints = reactions(world.series, instants_of(events, world.settings))
        self.abnormal = measure(world.series, self.places, world.settings)
        self.tests = world.tests(self.abnormal)
        self.windows = [label(each) for each in world.settings.windows]

    @cached_property
    def placebo(self) -> dict[str, Floats]:
        """Return each group's averages at placebo dates, measured once."""
        return self.world.placebo_averages(self.events)

    def segment_table(self) -> pd.DataFrame:
        """Return a row an event, segment and window."""
        rows = []
        of = self.world.market.universe.instruments
        listed = [self.world.market.universe.listed(each.day) for each in self.events]
        for key, tests in self.tests.items():
            caar, error = self.placebo[key]
            drawn = [each[np.isfinite(each)] for each in (caar / error).T]
            for row, event in enumerate(self.events):
                there = len([each for each in listed[row] if key in (EVERY_NAME, of[each].segment)])
                for at, window in enumerate(self.windows if there else ()):
                    n, t = int(tests.names[row, at]), tests.t[row, at]
                    rows.append(
                        (
                            *(event.key, event.kind, key, key in event.segments, window, n, there - n),
                            *(tests.caar[row, at], tests.error[row, at], t, tests.degrees[row, at]),
                            *(tests.bmp[row, at], tests.rank[row, at]),
                            *(placebo_p(t, drawn[at]), len(drawn[at])),
                        )
                    )
        columns = ["event", "kind", "segment", "affected", "window", "names", "left_out", "caar", "error"]
        columns += ["t", "degrees", "bmp", "rank", "placebo_p", "placebos"]
        table = pd.DataFrame(rows, columns=columns)
        order = {each.key: place for place, each in enumerate(self.events)}
        table = table.sort_values("event", key=lambda keys: keys.map(order), kind="stable", ignore_index=True)
        return _with_p_values(table, table["names"])[list(SEGMENT_COLUMNS)]

    def kind_table(self, together: str) -> pd.DataFrame:
        """Return the events of a kind that name a segment, or all of them `together`."""
        rows = []
        weekdays = self._weekdays()
        rng = np.random.default_rng(self.world.settings.seed)
        kinds = [together or each.kind for each in self.events]
        for kind in sorted(set(kinds)):
            of_kind = [row for row, each in enumerate(kinds) if each == kind]
            for key, tests in self.tests.items():
                concerned = [
                    row for row in of_kind if together or key in (*self.events[row].segments, EVERY_NAME)
                ]
                for at, (first, last) in enumerate(self.world.settings.windows):
                    which = np.array(
                        [row for row in concerned if np.isfinite(tests.t[row, at])], dtype=np.int64
                    )
                    if not len(which):
                        continue
                    apart = np.abs(weekdays[which][:, None] - weekdays[which])
                    one = pool(tests, which, at, np.maximum(0.0, 1.0 - apart / (last - first + 1)))
                    drawn = _pooled_draws(self.placebo[key][:, :, at], len(which), rng)
                    rows.append(
                        (
                            *(kind, key, self.windows[at], one.events, one.names, one.caar, one.error),
                            *_interval(tests.caar[which, at], one.error, one.degrees),
                            *(one.t, one.degrees, one.bmp, one.rank, placebo_p(one.t, drawn)),
                        )
                    )
        columns = ["kind", "segment", "window", "events", "name_events", "caar", "error", "low", "high"]
        table = pd.DataFrame(rows, columns=[*columns, "t", "degrees", "bmp", "rank", "placebo_p"])
        return _with_p_values(table, table["name_events"])[list(KIND_COLUMNS)]

    def _weekdays(self) -> Floats:
        """Return for each event the weekday number of its names' median first session."""
        numbers = np.full(self.places.shape, np.nan)
        for column, each in enumerate(self.world.series):
            seen = self.places[:, column] >= 0
            numbers[seen, column] = each.weekdays[self.places[seen, column]]
        return np.array([np.nanmedian(row) for row in numbers])

    def name_table(self) -> pd.DataFrame:
        """Return a row an event, name and window."""
        rows = []
        of, found = self.world.market.universe.instruments, self.abnormal
        wanted = np.any(list(self.world.groups.values()), axis=0)
        for row, event in enumerate(self.events):
            for column, each in enumerate(self.world.series):
                if not (found.known[row, column] and wanted[column]):
                    continue
                session = pd.Timestamp(each.days[self.places[row, column]]).date()
                for at, window in enumerate(self.windows):
                    car = found.cars[row, column, at]
                    error = found.deviation[row, column] * np.sqrt(found.spread[row, column, at])
                    observed = int(found.observations[row, column])
                    rows.append(
                        (
                            *(event.key, each.symbol, of[each.symbol].segment, city_of(each.mic), session),
                            *(observed, window, car, error, car / error),
                        )
                    )
        columns = ["event", "symbol", "segment", "exchange", "session", "observations"]
        return pd.DataFrame(rows, columns=[*columns, "window", "car", "error", "t"])

    def path_table(self) -> pd.DataFrame:
        """Return each group's mean abnormal return session by session, and its sum from SHOWN_BEFORE on."""
        parts = []
        begin = self.world.settings.span[0]
        for key, inside in self.world.groups.items():
            path = self.abnormal.path[:, inside]
            count = np.isfinite(path).sum(axis=1)
            mean = np.where(count > 0, np.nansum(path, axis=1) / np.maximum(count, 1), np.nan)
            for row, event in enumerate(self.events):
                sessions = np.arange(begin, begin + mean.shape[1])
                frame = {"event": event.key, "segment": key, "session": sessions, "abnormal": mean[row]}
                parts.append(pd.DataFrame(frame).assign(cumulative=np.cumsum(mean[row])))
        columns = ["event", "segment", "session", "abnormal", "cumulative"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def label(window: tuple[int, int]) -> str:
    """Return a window as people write it: first:last."""
    return f"{window[0]}:{window[1]}"


def placebo_p(t: float, drawn: Floats) -> float:
    """Return how often a placebo statistic is as large, (1 + count) / (1 + draws); NaN with too few draws."""
    if not np.isfinite(t) or len(drawn) < FEWEST_PLACEBOS:
        return float("nan")
    return float((1 + (np.abs(drawn) >= abs(t)).sum()) / (1 + len(drawn)))


def _pooled_draws(averages: Floats, events: int, rng: np.random.Generator) -> Floats:
    """Return statistics of as many placebo dates together as there are events, as often as there are dates.

    averages: 2 × P, CAAR and standard error.
    """
    caar, error = averages[:, np.isfinite(averages).all(axis=0)]
    if len(caar) < FEWEST_PLACEBOS:
        return np.array([])
    chosen = rng.integers(len(caar), size=(len(caar), events))
    return np.asarray(caar[chosen].sum(axis=1) / np.sqrt((error[chosen] ** 2).sum(axis=1)))


def _with_p_values(table: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    """Return a table with the two-sided p-values of its statistics; names: how many the BMP statistic averages."""
    degrees = table["degrees"].to_numpy(dtype=float)
    of = {"t": ("p", degrees), "bmp": ("bmp_p", names.to_numpy(dtype=float) - 1), "rank": ("rank_p", degrees)}
    return table.assign(
        **{p: two_sided(table[each].to_numpy(dtype=float), freedom) for each, (p, freedom) in of.items()}
    )


def _interval(caars: Floats, error: float, degrees: float) -> tuple[float, float]:
    """Return the 95 % interval of a mean over events.

    Its standard error is the larger of what quiet dates would give and, from three events on, what the events'
    own differences give: events of a kind do not all move prices alike.
    """
    e = len(caars)
    half = -float(stdtrit(degrees, 0.025)) * error
    if e >= 3:
        half = max(half, -float(stdtrit(e - 1, 0.025)) * float(caars.std(ddof=1)) / np.sqrt(e))
    return float(caars.mean()) - half, float(caars.mean()) + half


def event_table(market: Market, since: date, settings: StudySettings | None = None) -> pd.DataFrame:
    """Return what recent events did at first, for a report: a row an event since a date and segment it names.

    Columns: event, day, title, title_ja, kind, segment, first and last (sessions that could react first, over
    exchanges), names, caar and p in that session, caar_so_far, sessions (how many there are so far, up to five), and
    note: why it was not studied. Without placebo dates, which a report does not wait for.
    """
    settings = replace(
        settings or StudySettings(), windows=tuple((0, last) for last in range(FIRST_SESSIONS)), placebos=0
    )
    study = event_study(market, Selection(since=since), settings)
    rows = []
    for event in study.events:
        if event.day > market.request.as_of:
            continue
        facts = (event.key, event.day, event.title, event.title_ja, event.kind)
        note = study.left_out.get(event.key, "")
        seen = study.segments[(study.segments["event"] == event.key) & study.segments["affected"]]
        when = study.sessions.loc[study.sessions["event"] == event.key, "session"]
        spread = (when.min(), when.max()) if len(when) else (None, None)
        if note or not len(seen):
            rows.append((*facts, "", *spread, 0, *(float("nan"),) * 3, 0, note or "no name at its stages"))
            continue
        for segment, group in seen.groupby("segment", sort=False):
            known = group[group["caar"].notna()]
            day = group.iloc[0]
            so_far = float(known["caar"].iloc[-1]) if len(known) else float("nan")
            reacted = (int(day["names"]), float(day["caar"]), float(day["p"]), so_far, len(known))
            rows.append((*facts, segment, *spread, *reacted, "" if len(known) else "no name was measured"))
    columns = ["event", "day", "title", "title_ja", "kind", "segment", "first", "last", "names", "caar", "p"]
    return pd.DataFrame(rows, columns=[*columns, "caar_so_far", "sessions", "note"])
