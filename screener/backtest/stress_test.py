"""Stress tests of a portfolio: windows of the events file, shocks to stages and factors, and named scenarios.

Joins the market with risk/stress.py and, for scenarios, with the event study: how far a stage moves is measured from
past events, never stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pandas as pd

from screener.backtest.event_study import EventStudy, Selection, StudySettings, event_study
from screener.errors import UserError, raise_all, unknown
from screener.market.load import Market
from screener.market.panel import PricePanel
from screener.market.sessions import is_session
from screener.risk.covariance import CovarianceSettings, estimate_panel_covariance
from screener.risk.stress import Conditional, Replay, Window, conditional_moves, replay, stage_betas
from screener.universe.model import Scenario, SupplyEvent, Universe

STRESS = "stress_window"  # the use of an event whose window is replayed without being asked for
FEWEST_SESSIONS = 120  # of a name inside the lookback, to stand in a covariance
LARGEST = 3.0  # a shock beyond ±300 % is a typing error


@dataclass(frozen=True, slots=True)
class StressAsk:
    """What a portfolio is put through. shocks: segment → simple return of its average; factors: symbol or currency."""

    windows: tuple[str, ...] = ()  # events whose windows are replayed
    shocks: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    scenarios: tuple[str, ...] = ()
    weeks: int = 4  # horizon of the interval around shocks
    estimator: str = "ledoit_wolf"
    lookback_weeks: int = 104


@dataclass(frozen=True, eq=False, slots=True)
class EventWindow:
    """The window of an event, whatever is held; fields as in WindowReplay."""

    event: SupplyEvent
    start: date
    end: date
    window: Window
    benchmark: float


@dataclass(frozen=True, eq=False, slots=True)
class WindowReplay:
    """A replayed event: the last session before it, its last, what happened, and the benchmark meanwhile."""

    event: SupplyEvent
    start: date
    end: date
    replay: Replay
    benchmark: float  # NaN without one


@dataclass(frozen=True, eq=False, slots=True)
class ScenarioMove:
    """A scenario on a portfolio: abnormal moves, beyond what the market does.

    segments: by segment: weight, caar, low, high, events, name_events; NaN where no event has measured it. covered:
    share of the invested weight at measured stages. move, low, high: of the portfolio, where bounds add up as if all
    stages erred together. events: those that were measured.
    """

    scenario: Scenario
    segments: pd.DataFrame
    covered: float
    move: float
    low: float
    high: float
    events: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class StressReport:
    """What was asked of a portfolio. left_out: window → why it was not replayed. shock: None without one."""

    replays: tuple[WindowReplay, ...]
    left_out: Mapping[str, str]
    shock: Conditional | None
    scenarios: tuple[ScenarioMove, ...]


def check_stress(universe: Universe, ask: StressAsk, symbols: tuple[str, ...] = ()) -> None:
    """Raise UserError with a line for each word that the universe does not know and each size that cannot be.

    symbols: what a factor may name; empty: not known yet.
    """
    keys = [each.key for each in universe.events]
    sizes = {**ask.shocks, **ask.factors}
    raise_all(
        [unknown("--window", each, keys) for each in ask.windows if each not in keys]
        + [
            unknown("--shock", each, list(universe.segments))
            for each in ask.shocks
            if each not in universe.segments
        ]
        + [
            unknown("--scenario", each, list(universe.scenarios))
            for each in ask.scenarios
            if each not in universe.scenarios
        ]
        + [
            unknown("--factor", each, list(symbols))
            for each in (ask.factors if symbols else ())
            if each not in symbols
        ]
        + [
            f"{each}={size:.0%}: a price cannot move by that much"
            for each, size in sizes.items()
            if not -1.0 < size <= LARGEST
        ]
    )


def everything_stressed(universe: Universe) -> StressAsk:
    """Return all windows and scenarios of a universe."""
    windows = tuple(each.key for each in universe.events if each.use == STRESS)
    return StressAsk(windows=windows, scenarios=tuple(universe.scenarios))


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """What a stress rests on whatever the portfolio: M betas to the stage's average, windows, each scenario's events.

    left_out: why a window is not replayed, by event.
    """

    betas: pd.Series
    windows: tuple[EventWindow, ...]
    left_out: Mapping[str, str]
    studies: Mapping[str, EventStudy]


def measure(market: Market, ask: StressAsk) -> Measured:
    """Return what windows and scenarios rest on, worked out once for many portfolios."""
    segments = {symbol: each.segment for symbol, each in market.universe.instruments.items()}
    columns = [each for each in market.panel.symbols if each in segments]
    betas = stage_betas(market.panel.prices[columns], segments) if ask.windows else pd.Series(dtype=float)
    windows, left_out = _windows(market, ask.windows)
    scenarios = market.universe.scenarios
    studies = {each: _study(market, scenarios[each]) for each in ask.scenarios}
    return Measured(betas, windows, left_out, studies)


def stress(
    market: Market, weights: pd.Series, ask: StressAsk, measured: Measured | None = None
) -> StressReport:
    """Put a portfolio through what was asked. weights: symbol → fraction of wealth, the rest cash.

    measured: of `measure` with the same ask; None: it is worked out here. Raises UserError for unknown words, for no
    weights and for factors without prices.
    """
    check_stress(market.universe, ask, _factors(market))
    if not len(weights):
        raise UserError("the portfolio holds nothing but cash; there is nothing to stress")
    measured = measured or measure(market, ask)
    betas = measured.betas.reindex(list(weights.index))
    shocked = bool(ask.shocks or ask.factors)
    return StressReport(
        replays=tuple(
            WindowReplay(
                each.event, each.start, each.end, replay(each.window, weights, betas), each.benchmark
            )
            for each in measured.windows
        ),
        left_out=measured.left_out,
        shock=_shock(market, weights, ask) if shocked else None,
        scenarios=tuple(
            _scenario(market, weights, market.universe.scenarios[each], measured.studies[each])
            for each in ask.scenarios
        ),
    )


def stress_tables(market: Market, portfolios: Mapping[str, pd.Series]) -> dict[str, pd.DataFrame]:
    """Return `stress_table` of each of some portfolios, for all windows and scenarios of the universe."""
    ask = everything_stressed(market.universe)
    measured = measure(market, ask)
    return {key: stress_table(market, weights, ask, measured) for key, weights in portfolios.items()}


def stress_table(
    market: Market, weights: pd.Series, ask: StressAsk | None = None, measured: Measured | None = None
) -> pd.DataFrame:
    """Return a row a replayed window and scenario, for a report; by default all of the universe.

    Columns: what (replay or scenario), key, label, label_ja, start, end, covered (share of the invested weight that
    prices or past events cover), move, low, high (of a scenario), drawdown and estimated_move (of a replay), note.
    """
    report = stress(market, weights, ask or everything_stressed(market.universe), measured)
    nothing = float("nan")
    rows: list[tuple[object, ...]] = [
        (
            *("replay", each.event.key, each.event.title, each.event.title_ja, each.start, each.end),
            *(each.replay.covered, each.replay.move, nothing, nothing),
            *(each.replay.drawdown, each.replay.estimated_move, ""),
        )
        for each in report.replays
    ]
    events = {each.key: each for each in market.universe.events}
    rows += [
        (
            *("replay", key, events[key].title, events[key].title_ja, events[key].day, events[key].end_day),
            *(0.0, *(nothing,) * 5, why),
        )
        for key, why in report.left_out.items()
    ]
    rows += [
        (
            *("scenario", each.scenario.key, each.scenario.label, each.scenario.label_ja, None, None),
            *(each.covered, each.move, each.low, each.high, nothing, nothing),
            f"{len(each.events)} past events" if each.events else "no past event was measured",
        )
        for each in report.scenarios
    ]
    columns = ["what", "key", "label", "label_ja", "start", "end", "covered", "move", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "drawdown", "estimated_move", "note"])


def _windows(market: Market, keys: tuple[str, ...]) -> tuple[tuple[EventWindow, ...], dict[str, str]]:
    """Return the windows of some events in the order of their days, and why others are left out."""
    events = {each.key: each for each in market.universe.events}
    segments = {symbol: each.segment for symbol, each in market.universe.instruments.items()}
    columns = [each for each in market.panel.symbols if each in segments]
    prices, sessions = market.panel.prices, market.panel.sessions
    found, left_out = [], {}
    for event in sorted((events[each] for each in dict.fromkeys(keys)), key=lambda each: each.day):
        start = int(sessions.searchsorted(pd.Timestamp(event.day))) - 1
        last = min(event.end_day or event.day, market.request.as_of)
        end = int(sessions.searchsorted(pd.Timestamp(last), side="right")) - 1
        if start < 0:
            left_out[event.key] = f"before the price history, which begins {sessions[0].date()}"
            continue
        if end <= start:
            left_out[event.key] = f"no session of it by {market.request.as_of}"
            continue
        rows = prices.iloc[start : end + 1]
        benchmark = float("nan")
        if market.benchmark is not None:
            levels = rows[market.benchmark].ffill()
            benchmark = float(levels.iloc[-1] / levels.iloc[0] - 1.0)
        window = Window.of(rows[columns], segments)
        found.append(EventWindow(event, sessions[start].date(), sessions[end].date(), window, benchmark))
    return tuple(found), left_out


def _factors(market: Market) -> tuple[str, ...]:
    """Return what a factor shock may name: everything with prices, and currencies other than the base."""
    rates = [str(each) for each in market.rate_history.columns if each != market.request.base]
    return (*market.panel.symbols, *rates)


def _shock(market: Market, weights: pd.Series, ask: StressAsk) -> Conditional:
    """Return the moves expected given shocks to the averages of stages and to factors, all at once."""
    panel, universe = market.panel, market.universe
    mics = {symbol: each.mic for symbol, each in universe.everything().items() if symbol in panel.symbols}
    recent = panel.since((panel.sessions[-1] - pd.Timedelta(weeks=ask.lookback_weeks)).date())
    enough = {str(each) for each, count in recent.traded.sum().items() if count >= FEWEST_SESSIONS}
    moved: dict[str, dict[str, float]] = {}
    problems = []
    for segment in ask.shocks:
        members = [s for s, each in universe.instruments.items() if each.segment == segment and s in enough]
        if members:
            moved[segment] = dict.fromkeys(members, 1.0 / len(members))
        else:
            problems.append(f"--shock {segment}: no name of it has {FEWEST_SESSIONS} sessions of prices")
    currencies = [each for each in ask.factors if each not in panel.symbols]
    for factor in ask.factors:
        if factor in currencies or factor in enough:
            moved[factor] = {factor: 1.0}
        else:
            problems.append(f"--factor {factor}: it has fewer than {FEWEST_SESSIONS} sessions of prices")
    raise_all(problems)
    names = {str(each) for each in weights.index} | {s for of in moved.values() for s in of}
    chosen = {s: mics[s] for s in sorted(names - set(currencies))}
    if currencies:
        panel = _with_rates(market, currencies)
        chosen |= dict.fromkeys(currencies, "XNYS")
    settings = CovarianceSettings(
        ask.estimator,
        lookback_weeks=ask.lookback_weeks,
        segments={s: each.segment for s, each in universe.instruments.items()},
    )
    matrix = estimate_panel_covariance(panel, chosen, settings).matrix
    shocked = pd.DataFrame(moved, index=matrix.index).fillna(0.0)
    sizes = pd.Series({**ask.shocks, **ask.factors}, dtype=float)
    return conditional_moves(matrix, shocked, sizes, weights, ask.weeks / 52)


def _with_rates(market: Market, currencies: list[str]) -> PricePanel:
    """Return the panel with currencies as further names, worth their rate to the base at New York's close."""
    panel = market.panel
    rates = market.rate_history[currencies]
    open_days = is_session("XNYS", panel.sessions)
    traded = rates.notna() & open_days[:, None]

    def joined(table: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, more], axis=1).sort_index(axis=1)

    return replace(
        panel,
        prices=joined(panel.prices, rates),
        traded=joined(panel.traded, traded),
        close=joined(panel.close, rates),
        value_traded=joined(panel.value_traded, rates * np.nan),
    )


def _study(market: Market, scenario: Scenario) -> EventStudy:
    """Return the event study of past events of a scenario's kinds at its stages."""
    matching = tuple(
        each.key
        for each in market.universe.events
        if each.kind in scenario.kinds and set(each.segments) & set(scenario.segments)
    )
    # without a matching event nothing is measured: no key would mean every one
    never = date.max if not matching else date.min
    return event_study(
        market,
        Selection(matching, since=never, segments=scenario.segments, together=scenario.key),
        StudySettings(windows=((scenario.first, scenario.last),), placebos=0),
    )


def _scenario(market: Market, weights: pd.Series, scenario: Scenario, study: EventStudy) -> ScenarioMove:
    """Return what past events of a scenario's kinds did to its stages, on a portfolio's weights."""
    segments = {s: each.segment for s, each in market.universe.instruments.items()}
    weight = weights.groupby([segments[str(each)] for each in weights.index]).sum()
    table = study.kinds.set_index("segment").reindex(list(scenario.segments))
    table = table[["caar", "low", "high", "events", "name_events"]]
    table.insert(0, "weight", weight.reindex(table.index).fillna(0.0))
    known = table[table["caar"].notna() & (table["weight"] > 0)]
    held = known["weight"].to_numpy(dtype=float)
    moves = held @ known[["caar", "low", "high"]].to_numpy(dtype=float)
    move, low, high = moves.tolist() if len(known) else (float("nan"),) * 3
    return ScenarioMove(
        scenario=scenario,
        segments=table,
        covered=float(held.sum()) / float(weights.sum()),
        move=move,
        low=low,
        high=high,
        events=tuple(each.key for each in study.events if each.key not in study.left_out),
    )
