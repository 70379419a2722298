"""`screener stress`: what a theme's portfolio of today would have lost, and what a shock would do to it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from screener.cli.options import JsonOption, with_request
from screener.cli.show import (
    Column,
    finish,
    percent,
    print_banner,
    print_json,
    print_table,
    progress,
    say,
)

if TYPE_CHECKING:
    from screener.api import Market, Rebalance, Request, StressAsk, StressReport
    from screener.backtest.stress_test import ScenarioMove, WindowReplay
    from screener.risk.stress import Conditional
    from screener.universe.model import Universe

SIZE = re.compile(r"([A-Za-z0-9^][\w.\-=^]*?)=([+\-−]?\d+(?:\.\d+)?)%")


@with_request
def stress(
    request: Request,
    theme: Annotated[str, typer.Argument(help="A theme; its portfolio of the as-of date is put through it.")],
    window: Annotated[
        list[str] | None,
        typer.Option("--window", metavar="EVENT_ID", help="Replay the window of this event. Repeatable."),
    ] = None,
    shock: Annotated[
        list[str] | None,
        typer.Option(
            "--shock", metavar="STAGE=PERCENT", help="A stage moves, such as magnets=-20%. Repeatable."
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", metavar="NAME", help="A scenario of the universe. Repeatable."),
    ] = None,
    factor: Annotated[
        list[str] | None,
        typer.Option(
            "--factor",
            metavar="SYMBOL=PERCENT",
            help="A benchmark, name or currency moves: SPY=-20%, JPY=10%.",
        ),
    ] = None,
    weeks: Annotated[
        int, typer.Option("--weeks", min=1, max=52, help="Horizon of the interval around a shock.")
    ] = 4,
    as_json: JsonOption = False,
) -> None:
    """Put a theme's portfolio through shocks. Example: screener stress magnets --shock refining=-20%.

    Without --window, --shock, --scenario or --factor: every stress window and scenario of the universe.
    """
    from screener.api import build, load_market, theme_named
    from screener.api import stress as run
    from screener.universe.load import find_universe, load_universe

    universe = load_universe(find_universe(request.universe))
    chosen = theme_named(universe, theme)
    words = _Words(tuple(window or ()), tuple(shock or ()), tuple(factor or ()), tuple(scenario or ()))
    ask = _asked(universe, words, weeks)
    with progress("prices") as show:
        market = load_market(request, show)
    rebalance = build(market, chosen)
    report = run(market, rebalance.weights, ask)
    if as_json:
        print_json("stress", market, _as_records(rebalance, report))
    else:
        _print(market, rebalance, report, ask)
    finish(market, quietly=as_json)


class _Words(NamedTuple):
    """What was asked, as typed."""

    windows: tuple[str, ...]
    shocks: tuple[str, ...]
    factors: tuple[str, ...]
    scenarios: tuple[str, ...]


def _asked(universe: Universe, words: _Words, weeks: int) -> StressAsk:
    """Return what was asked; nothing means every window and scenario. A typing error costs no download."""
    from screener.api import StressAsk, check_stress, everything_stressed

    if not any(words):
        return replace(everything_stressed(universe), weeks=weeks)
    shocks, factors = _sizes(words.shocks, "--shock"), _sizes(words.factors, "--factor")
    ask = StressAsk(words.windows, shocks, factors, words.scenarios, weeks)
    check_stress(universe, ask)
    return ask


def _sizes(words: tuple[str, ...], flag: str) -> dict[str, float]:
    """Read NAME=PERCENT."""
    sizes = {}
    for each in words:
        matched = SIZE.fullmatch(each.strip())
        if matched is None:
            raise typer.BadParameter(f"{each!r} is not a move; write it as magnets=-20%", param_hint=flag)
        if matched[1] in sizes:
            raise typer.BadParameter(f"{matched[1]} is given twice", param_hint=flag)
        sizes[matched[1]] = float(matched[2].replace("−", "-")) / 100
    return sizes


def _print(market: Market, rebalance: Rebalance, report: StressReport, ask: StressAsk) -> None:
    print_banner(market)
    invested = percent(float(rebalance.weights.sum()), signed=False, digits=0)
    say(
        f"{rebalance.theme} on {rebalance.decided_on}: {len(rebalance.weights)} names, {invested} invested, rest cash"
    )
    if report.replays or report.left_out:
        _print_replays(market, report)
    if len(report.replays) == 1:
        _print_replay(report.replays[0])
    if report.shock is not None:
        _print_shock(market, rebalance, report.shock, ask)
    if report.scenarios:
        _print_scenarios(report)
    for each in report.scenarios if len(report.scenarios) == 1 else ():
        _print_scenario(each)


def _print_replays(market: Market, report: StressReport) -> None:
    say()
    columns = [
        Column("Window"),
        Column("From close"),
        Column("To close"),
        Column(market.benchmark or "", 4, True),
    ]
    columns += [Column("Covered", 0, True), Column("Move", 0, True), Column("Fall", 0, True)]
    columns += [Column("Estimated", 0, True), Column("Est. move", 0, True)]
    rows = [
        [
            *(each.event.key, str(each.start), str(each.end), percent(each.benchmark)),
            *(_share(each.replay.covered), percent(each.replay.move), percent(each.replay.drawdown)),
            *(_share(each.replay.estimated), percent(each.replay.estimated_move)),
        ]
        for each in report.replays
    ]
    if rows:
        print_table(columns, rows)
        say("Covered: weight in names that had prices then; Move and Fall are theirs, scaled")
        say("to all that is invested. Est. move adds ESTIMATES for names not listed then:")
        say("their beta to the average of their stage. Nobody held these weights then.")
    for key, why in report.left_out.items():
        say(f"{key} not replayed: {why}")


def _print_replay(one: WindowReplay) -> None:
    say()
    say(f"{one.event.key}  {one.event.title}")
    columns = [Column("Stage", flexible=True), Column("Weight", 0, True), Column("Covered", 0, True)]
    columns += [Column("Move", 0, True), Column("Contribution", 0, True)]
    rows = [
        [
            str(key),
            _share(row["weight"], 1),
            _share(row["covered"]),
            percent(row["move"]),
            percent(row["contribution"]),
        ]
        for key, row in one.replay.segments.iterrows()
    ]
    print_table(columns, rows)
    say()
    columns = [Column("Symbol"), Column("Stage", 1), Column("Weight", 0, True), Column("Move", 0, True)]
    rows = [
        [str(symbol), str(row["segment"]), _share(row["weight"], 1), percent(row["move"]), _basis(row)]
        for symbol, row in one.replay.names.sort_values("weight", ascending=False, kind="stable").iterrows()
    ]
    print_table([*columns, Column("Rests on", flexible=True)], rows)


def _basis(row: Any) -> str:
    if row["basis"] == "estimated":
        return f"ESTIMATED, beta {row['beta']:.2f} to its stage"
    return "nothing: not listed, its stage neither" if row["basis"] == "none" else "prices"


def _print_shock(market: Market, rebalance: Rebalance, shock: Conditional, ask: StressAsk) -> None:
    given = ", ".join(f"{key} {percent(size)}" for key, size in {**ask.shocks, **ask.factors}.items())
    say()
    say(f"given {given} (a stage: the average of its names)")
    say(
        f"the portfolio moves {percent(shock.expected)}; 95% of the time {percent(shock.low)} to {percent(shock.high)}"
    )
    of = market.universe.instruments
    held = shock.names.join(rebalance.weights.rename("weight"), how="inner").sort_values(
        "expected", kind="stable"
    )
    columns = [Column("Symbol"), Column("Stage", 1), Column("Weight", 0, True), Column("Expected", 0, True)]
    columns += [Column("95% interval", 0, True), Column("Contribution", 0, True)]
    rows = [
        [
            *(str(symbol), of[str(symbol)].segment, _share(row["weight"], 1), percent(row["expected"])),
            f"{percent(row['low'])} to {percent(row['high'])}",
            percent(row["expected"] * row["weight"]),
        ]
        for symbol, row in held.iterrows()
    ]
    print_table(columns, rows)
    say(
        f"from the covariance of {ask.lookback_weeks} weeks ({ask.estimator}), its betas those of calm times;"
    )
    say(f"the interval is what the shock leaves open over {ask.weeks} weeks")


def _print_scenarios(report: StressReport) -> None:
    say()
    columns = [Column("Scenario", flexible=True), Column("Past events", 0, True), Column("Covered", 0, True)]
    columns += [Column("Move", 0, True), Column("95% interval", 0, True)]
    rows = [
        [
            *(each.scenario.key, str(len(each.events)), _share(each.covered), percent(each.move)),
            "—" if each.low != each.low else f"{percent(each.low)} to {percent(each.high)}",
        ]
        for each in report.scenarios
    ]
    print_table(columns, rows)
    say("mean abnormal return of past events, beyond the market; Covered: weight at stages")
    say("that are measured, the others count as unmoved; the interval is of the mean")


def _print_scenario(one: ScenarioMove) -> None:
    say()
    sessions = f"sessions {one.scenario.first} to {one.scenario.last}"
    columns = [
        Column(f"Stage, {sessions}", flexible=True),
        Column("Weight", 0, True),
        Column("Mean", 0, True),
    ]
    columns += [Column("95% interval", 0, True), Column("Events", 0, True)]
    rows = [
        [
            *(str(key), _share(row["weight"], 1), percent(row["caar"])),
            "—" if row["low"] != row["low"] else f"{percent(row['low'])} to {percent(row['high'])}",
            "0" if row["events"] != row["events"] else f"{row['events']:.0f}",
        ]
        for key, row in one.segments.iterrows()
    ]
    print_table(columns, rows)
    say(f"{one.scenario.label}: measured from {', '.join(one.events) or 'no event'}")
    if one.scenario.note:
        say(one.scenario.note)


def _as_records(rebalance: Rebalance, report: StressReport) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "theme": rebalance.theme,
        "weights": rebalance.weights.to_dict(),
        "cash": rebalance.cash,
        "replays": [
            {
                "event": each.event.key,
                "title": each.event.title,
                "start": each.start,
                "end": each.end,
                "benchmark": each.benchmark,
                "covered": each.replay.covered,
                "estimated": each.replay.estimated,
                "move": each.replay.move,
                "drawdown": each.replay.drawdown,
                "estimated_move": each.replay.estimated_move,
                "estimated_drawdown": each.replay.estimated_drawdown,
                "names": each.replay.names.rename_axis("symbol").reset_index().to_dict("records"),
                "segments": each.replay.segments.reset_index().to_dict("records"),
            }
            for each in report.replays
        ],
        "not_replayed": dict(report.left_out),
        "shock": None
        if report.shock is None
        else {
            "expected": report.shock.expected,
            "low": report.shock.low,
            "high": report.shock.high,
            "level": report.shock.level,
            "names": report.shock.names.rename_axis("symbol").reset_index().to_dict("records"),
        },
        "scenarios": [
            {
                **asdict(each.scenario),
                "covered": each.covered,
                "move": each.move,
                "low": each.low,
                "high": each.high,
                "events": each.events,
                "stages": each.segments.rename_axis("segment").reset_index().to_dict("records"),
            }
            for each in report.scenarios
        ],
    }


def _share(value: float, digits: int = 0) -> str:
    return percent(float(value), signed=False, digits=digits)
