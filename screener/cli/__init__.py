"""The command line: parse, call one function of screener.api, print, end with the right exit code.

Nothing heavy is imported here: `screener --help` must answer at once.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer

from screener.cli import (
    backtest,
    doctor,
    events,
    plot,
    portfolio,
    prices,
    reports,
    reproduce,
    schedule,
    screening,
    stress,
    sweep,
    themes,
    trials,
    universe,
    weekly,
)
from screener.errors import ScreenerError

app = typer.Typer(
    name="screener",
    help="From rare earths to AI infrastructure: screen, weigh, backtest and report on the listed chain.\n\n"
    "Start with: screener weekly --source sample",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(universe.app, name="universe")
app.add_typer(prices.app, name="prices")
app.add_typer(reports.app, name="reports")
app.command("themes")(themes.themes)
app.command("dependence")(themes.dependence)
app.command("screen")(screening.screen)
app.command("build")(portfolio.build)
app.command("backtest")(backtest.backtest)
app.command("sweep")(sweep.sweep)
app.command("events")(events.events)
app.command("stress")(stress.stress)
app.command("trials")(trials.trials)
app.command("weekly")(weekly.weekly)
app.command("reproduce")(reproduce.reproduce)
app.command("schedule", context_settings=schedule.PASSES_ON)(schedule.schedule)
app.command("plot")(plot.plot)
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 done, 1 failed, 2 wrong input, 3 partial or 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [each for each in words if each != "--debug"]
    try:
        app(args=words, prog_name="screener", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        print("interrupted; what was fetched is kept", file=sys.stderr)
        return 130
    except ScreenerError as error:
        if debug:
            traceback.print_exc()
        else:
            print("\n".join(error.problems), file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            first_line = (str(error).splitlines() or [""])[0]
            print(
                f"a fault of ours: {type(error).__name__}: {first_line}; --debug shows where", file=sys.stderr
            )
        return 1
    return 0


def script() -> None:
    """Run the command line and end the process; the entry point of the wheel."""
    sys.exit(main())
