"""`screener events`: what names and stages did around supply shocks, beyond the market."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screener.cli.options import JsonOption, with_request
from screener.cli.show import (
    Column,
    finish,
    number,
    percent,
    print_banner,
    print_json,
    print_table,
    progress,
    say,
    tell,
)

if TYPE_CHECKING:
    import pandas as pd

    from screener.api import EventStudy, Market, Request, StudySettings
    from screener.universe.model import SupplyEvent

NEAR_DAYS = 7  # an event this close to another shares its window
MAIN_WINDOW = "0:4"  # of the overview, unless one is asked for
WINDOW = re.compile(r"(-?\d{1,2}):(-?\d{1,2})")
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@with_request
def events(
    request: Request,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT_ID]…", help="Events; one alone is shown in full.")
    ] = None,
    segment: Annotated[
        list[str] | None, typer.Option("--segment", help="Only this stage. Repeatable.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="Only events of this kind. Repeatable.")
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window",
            metavar="A:B",
            help="Own sessions, such as -1:1. Repeatable. [default: 0:0 -1:1 0:4 0:19]",
        ),
    ] = None,
    time: Annotated[
        str,
        typer.Option("--time", metavar="HH:MM", help="Local time of events of which only the day is known."),
    ] = "00:00",
    placebos: Annotated[
        int, typer.Option("--placebos", min=0, max=5000, help="Dates away from events to compare with.")
    ] = 500,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write event × stage × window to .csv, .parquet or .json.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw cumulative abnormal returns into this .svg file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Abnormal returns around supply shocks, with tests. Example: screener events E2507A --source sample."""
    from screener.api import Selection, chosen_events, event_study, load_market
    from screener.universe.load import find_universe, load_universe

    settings = _settings(window or [], time, placebos)
    _check_files(output, plot)
    selection = Selection(tuple(keys or ()), tuple(kind or ()), tuple(segment or ()))
    chosen_events(load_universe(find_universe(request.universe)), selection)
    with progress("prices") as show:
        market = load_market(request, show)
    study = event_study(market, selection, settings)
    if as_json:
        print_json("events", market, _as_records(study))
    else:
        _print(market, study, _main_window(window))
    _write(market, study, output, plot, quietly=as_json)
    finish(market, quietly=as_json)


def _settings(windows: list[str], time: str, placebos: int) -> StudySettings:
    from screener.api import StudySettings

    found = []
    for each in windows:
        matched = WINDOW.fullmatch(each.strip())
        if matched is None:
            raise typer.BadParameter(
                f"{each!r} is not a window; write it as -1:1 or 0:4", param_hint="--window"
            )
        found.append((int(matched[1]), int(matched[2])))
    if not CLOCK.fullmatch(time):
        raise typer.BadParameter(f"{time!r} is not a time of day; write it as 09:00", param_hint="--time")
    chosen = tuple(dict.fromkeys(found)) or StudySettings().windows
    return StudySettings(chosen, assumed_time=time, placebos=placebos)


def _check_files(output: Path | None, plot: Path | None) -> None:
    from screener.report.tables import check_table_path

    if output is not None:
        check_table_path(output)
    if plot is not None and plot.suffix.lower() != ".svg":
        raise typer.BadParameter(f"{plot}: write a name that ends in .svg", param_hint="--plot")


def _main_window(windows: list[str] | None) -> str:
    if not windows:
        return MAIN_WINDOW
    first, last = windows[0].split(":")
    return f"{int(first)}:{int(last)}"


def _print(market: Market, study: EventStudy, main: str) -> None:
    print_banner(market)
    if not study.events:
        say("no event fits")
        return
    if len(study.events) == 1:
        _print_one(market, study, study.events[0], main)
    else:
        _print_overview(market, study, main)
        _print_kinds(market, study, main)
        _print_left_out(study)
    _print_method(market, study, main)


def _print_overview(market: Market, study: EventStudy, main: str) -> None:
    """Print a row an event and stage that it names."""
    shown = study.segments[study.segments["window"].eq(main) & study.segments["affected"]]
    measured = shown[shown["names"] > 0]
    days = {each.key: str(each.day) for each in study.events}
    columns = [Column("Event"), Column("Day", 3), Column("Stage", flexible=True)]
    columns += [Column("CAAR", 0, True), Column("t", 0, True), Column("p", 0, True)]
    columns += [Column("Placebo p", 0, True), Column("Rank p", 1, True), Column("BMP p", 2, True)]
    columns += [Column("Names", 0, True), Column("Out", 4, True)]
    rows = [
        [
            str(row["event"]),
            days[str(row["event"])],
            _stage(row["segment"]),
            *_figures(row),
            *_counts(row),
        ]
        for _, row in measured.iterrows()
    ]
    print_table(columns, rows)
    if len(shown) > len(measured):
        say(
            f"of {len(shown)} stages these events name, {len(shown) - len(measured)} had no name with enough prices"
        )


def _print_kinds(market: Market, study: EventStudy, main: str) -> None:
    """Print events of a kind together, where there are several."""
    several = study.kinds[study.kinds["window"].eq(main) & (study.kinds["events"] > 1)]
    if not len(several):
        return
    say()
    columns = [Column("All of a kind"), Column("Stage", flexible=True), Column("CAAR", 0, True)]
    columns += [Column("95% interval", 0, True), Column("t", 3, True), Column("p", 0, True)]
    columns += [Column("Placebo p", 0, True), Column("Events", 0, True)]
    rows = [
        [
            str(row["kind"]),
            _stage(row["segment"]),
            percent(row["caar"]),
            f"{percent(row['low'])} to {percent(row['high'])}",
            _t(row["t"]),
            _p(row["p"]),
            _p(row["placebo_p"]),
            str(row["events"]),
        ]
        for _, row in several.iterrows()
    ]
    print_table(columns, rows)


def _print_one(market: Market, study: EventStudy, event: SupplyEvent, main: str) -> None:
    """Print one event in full: what it is, who could react when, by stage and by name."""
    _print_facts(market, event)
    reason = study.left_out.get(event.key)
    if reason:
        say(f"not studied: {reason}")
        return
    say()
    sessions = [
        [str(row["exchange"]), str(row["session"]), f"{row['closes']:%Y-%m-%d %H:%M} UTC"]
        for _, row in study.sessions.iterrows()
    ]
    print_table([Column("Exchange"), Column("First session that could react"), Column("Its close")], sessions)
    say()
    table = study.segments[study.segments["window"].eq(main) & (study.segments["names"] > 0)]
    columns = [Column(f"Stage, sessions {_words(main)}", flexible=True)]
    columns += [Column("CAAR", 0, True), Column("t", 0, True), Column("p", 0, True)]
    columns += [Column("Placebo p", 0, True), Column("Rank p", 1, True), Column("BMP p", 2, True)]
    columns += [Column("Names", 0, True), Column("Out", 4, True)]
    rows = [
        [("* " if row["affected"] else "  ") + _stage(row["segment"]), *_figures(row), *_counts(row)]
        for _, row in table.iterrows()
    ]
    print_table(columns, rows)
    say("* the event names this stage; Out: listed names without enough prices")
    say()
    _print_windows(market, study)
    say()
    _print_names(market, study, main)


def _print_facts(market: Market, event: SupplyEvent) -> None:
    until = f" to {event.end_day}" if event.end_day else ""
    clock = f", from {event.time}" if event.time else ", time of day not known"
    say(f"{event.key}  {event.title}")
    say(f"{event.day}{until} ({event.zone}{clock}); {event.kind}; verified: {event.verified}")
    stages = [_stage(each) for each in event.segments]
    say("stages: " + ("every one" if len(stages) == len(market.universe.segments) else ", ".join(stages)))
    for each in event.sources:
        say(f"source: {each}")
    if event.note:
        say(f"note: {event.note}")
    near = [
        each.key
        for each in market.universe.events
        if each.key != event.key and abs((each.day - event.day).days) <= NEAR_DAYS
    ]
    if near:
        say(f"within {NEAR_DAYS} days of it, and not told apart from it: {', '.join(near)}")


def _print_windows(market: Market, study: EventStudy) -> None:
    windows = list(dict.fromkeys(study.segments["window"]))
    wide = study.segments[study.segments["names"] > 0].pivot(index="segment", columns="window", values="caar")
    order = [each for each in dict.fromkeys(study.segments["segment"]) if each in wide.index]
    columns = [Column("CAAR by window", flexible=True), *(Column(_words(each), 0, True) for each in windows)]
    print_table(
        columns, [[_stage(key), *(percent(wide.loc[key, each]) for each in windows)] for key in order]
    )


def _print_names(market: Market, study: EventStudy, main: str) -> None:
    table = study.names[study.names["window"].eq(main) & study.names["car"].notna()]
    table = table.sort_values("car", ascending=False, kind="stable")
    columns = [Column("Symbol"), Column("Name", 2, flexible=True), Column("Stage", 1, flexible=True)]
    columns += [Column("Session 0"), Column("CAR", 0, True), Column("t", 0, True), Column("History", 3, True)]
    of = market.universe.instruments
    rows = [
        [
            *(
                str(row["symbol"]),
                of[row["symbol"]].name,
                _stage(row["segment"]),
                str(row["session"]),
            ),
            *(percent(row["car"]), _t(row["t"]), str(row["observations"])),
        ]
        for _, row in table.iterrows()
    ]
    print_table(columns, rows)


def _print_left_out(study: EventStudy) -> None:
    reasons: dict[str, list[str]] = {}
    for key, reason in study.left_out.items():
        reasons.setdefault(reason, []).append(key)
    if reasons:
        say()
    for reason, keys in reasons.items():
        say(f"not studied, {reason}:")
        say(f"  {' '.join(keys)}")


def _print_method(market: Market, study: EventStudy, main: str) -> None:
    settings = study.settings
    if not len(study.segments):
        return
    say()
    say(
        f"abnormal returns in {market.request.base} over own sessions {_words(main)}; 0 is the first that could"
    )
    say(
        f"react; market model against {study.benchmark}, {settings.estimation} sessions ending {settings.gap + 1}"
    )
    say("before it; p: portfolio test, then placebo dates, rank test and BMP test")
    if any(not each.time for each in study.events if each.key not in study.left_out):
        assumed = settings.assumed_time
        when = "the start of the day" if assumed == "00:00" else f"{assumed} local time"
        say(f"where only the day is known, {when} counts; --time assumes another")
    drawn = int(study.segments["placebos"].max())
    if drawn < 0.9 * settings.placebos:
        tell(f"only {drawn} placebo dates lie away from all events")


def _figures(row: Any) -> list[str]:
    shares = [_p(row[each]) for each in ("p", "placebo_p", "rank_p", "bmp_p")]
    return [percent(row["caar"]), _t(row["t"]), *shares]


def _counts(row: Any) -> list[str]:
    return [str(row["names"]), str(row["left_out"])]


def _t(value: float) -> str:
    return number(round(value, 2) + 0.0)


def _p(value: float) -> str:
    return "—" if value != value else "<0.001" if value < 0.001 else f"{value:.3f}"


def _words(window: str) -> str:
    return window.replace("-", "−")


def _stage(key: Any) -> str:
    """Return a stage as --segment takes it: labels are too long for a table of 80 columns."""
    return "every name" if key == "all" else str(key)


def _as_records(study: EventStudy) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "benchmark": study.benchmark,
        "settings": asdict(study.settings),
        "events": [
            {**asdict(each), "not_studied": study.left_out.get(each.key, "")} for each in study.events
        ],
        **{
            name: getattr(study, name).to_dict("records")
            for name in ("segments", "kinds", "names", "sessions", "paths")
        },
    }


def _table(study: EventStudy) -> pd.DataFrame:
    """Return the rows of the segment table with each event's day and title, windows as two numbers."""
    days = {each.key: str(each.day) for each in study.events}
    titles = {each.key: each.title for each in study.events}
    table = study.segments.copy()
    table.insert(1, "day", table["event"].map(days))
    table.insert(2, "title", table["event"].map(titles))
    at = list(table.columns).index("window")
    bounds = table.pop("window").str.split(":", expand=True).reindex(columns=[0, 1]).astype(int)
    table.insert(at, "first", bounds[0])
    table.insert(at + 1, "last", bounds[1])
    return table


def _write(
    market: Market, study: EventStudy, output: Path | None, plot: Path | None, *, quietly: bool
) -> None:
    from screener.api import draw_events
    from screener.report.tables import write_table

    if output is not None:
        write_table(_table(study), output, synthetic=market.panel.synthetic)
    if plot is not None:
        draw_events(market, study, plot)
    for each in (output, plot):
        if each is not None and not quietly:
            say(str(each))
