"""`screener schedule`: print what runs `screener weekly` every week; nothing is installed."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from screener.cli.show import say, tell
from screener.errors import UserError, unknown

PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FIXED = ("--as-of", "--as-of-fetch", "--now")  # a date that would be the same every week
WEEKS = 53  # looked ahead, to see every offset of a zone


@dataclass(frozen=True, slots=True)
class Plan:
    """When, in which zone, where, and what to run."""

    at: time
    day: str  # of DAYS
    zone: str
    command: tuple[str, ...]  # screener weekly and its options
    folder: Path  # in which it runs, so that relative paths mean what they mean here
    output: str = "outputs"

    @property
    def when(self) -> str:
        """Return day, time and zone in words."""
        return f"{self.day} {self.at:%H:%M} {self.zone}"

    def instants(self, first: date, weeks: int = WEEKS) -> list[datetime]:
        """Return the runs from a date on, in UTC."""
        start = first + timedelta(days=(DAYS.index(self.day) - first.weekday()) % 7)
        zone = ZoneInfo(self.zone)
        days = [start + timedelta(weeks=week) for week in range(weeks)]
        return [datetime.combine(day, self.at, zone).astimezone(UTC) for day in days]


def schedule(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="cron|systemd|github", help="For what.")],
    at: Annotated[str, typer.Option("--time", metavar="HH:MM", help="When.")] = "07:00",
    day: Annotated[str, typer.Option("--day", help="Mon, Tue, Wed, Thu, Fri, Sat or Sun.")] = "Sat",
    tz: Annotated[str, typer.Option("--tz", metavar="ZONE", help="Time zone.")] = "Asia/Tokyo",
    output: Annotated[str, typer.Option("--output", metavar="FOLDER", help="Of the reports.")] = "outputs",
) -> None:
    """Print, not install, what runs `screener weekly` each week. Example: screener schedule cron --lang ja.

    All further options are those of `screener weekly`. Exit code 3, a partial report, counts as done; 1 and 2 fail.
    """
    if kind not in KINDS:
        raise UserError(unknown("schedule", kind, list(KINDS)))
    options = ["--output", output, *context.args]
    _check_options(options)
    plan = Plan(_time(at), _day(day), _zone(tz), ("weekly", *options), Path.cwd(), output)
    today = datetime.now(UTC).date()
    too_early = before_the_close(plan, today)
    if too_early:
        tell(f"{plan.when} is not always 30 minutes after New York's last close of the week:")
        tell(f"the run of {too_early:%Y-%m-%d %H:%M} UTC would report as of an earlier session")
    for line in KINDS[kind](plan, today):
        say(line)


def cron(plan: Plan, today: date) -> list[str]:
    """Return a crontab's lines."""
    command = f"cd {shlex.quote(str(plan.folder))} && {_program()} {shlex.join(plan.command)}"
    line = f"{plan.at.minute} {plan.at.hour} * * {(DAYS.index(plan.day) + 1) % 7}"
    return [
        f"# {plan.when}; add with: crontab -e",
        "# cronie (Fedora, Arch) goes by CRON_TZ; the cron of Debian and Ubuntu by the",
        f"# machine's zone: there, write its hour ({_hours_in_words(plan, today)}).",
        "# Exit code 3, a partial report, counts as done; 1 and 2 fail.",
        f"CRON_TZ={plan.zone}",
        # % ends a command in a crontab
        f"{line} " + f"{command} || [ $? -eq 3 ]".replace("%", r"\%"),
    ]


def systemd(plan: Plan, today: date) -> list[str]:
    """Return a service and a timer for a user's systemd."""
    words = [*shlex.split(_program()), *plan.command]
    return [
        "# ~/.config/systemd/user/screener-weekly.service",
        "[Unit]",
        "Description=Weekly report of screener",
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={str(plan.folder).replace('%', '%%')}",
        f"ExecStart={' '.join(_for_systemd(each) for each in words)}",
        "# a partial report counts as done",
        "SuccessExitStatus=3",
        "",
        "# ~/.config/systemd/user/screener-weekly.timer",
        "[Unit]",
        f"Description=Weekly report of screener, {plan.when}",
        "",
        "[Timer]",
        f"OnCalendar={plan.day} *-*-* {plan.at:%H:%M}:00 {plan.zone}",
        "# a run that was missed while the machine was off is made up for",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
        "",
        "# then: systemctl --user enable --now screener-weekly.timer",
        "# and, to run while nobody is logged in: loginctl enable-linger",
    ]


def github(plan: Plan, today: date) -> list[str]:
    """Return a workflow of GitHub Actions, whose clock is UTC."""
    times = sorted(_utc_times(plan, today))
    number, at = times[-1]  # the later one is never before the time asked for
    moves = []
    if len(times) > 1:
        moves = [
            f"    # {plan.zone} has summer time, GitHub's clock has none: {plan.at:%H:%M} is",
            f"    # {' or '.join(f'{DAYS[each]} {when:%H:%M}' for each, when in times)} in UTC; the later is taken",
        ]
    command = shlex.join(("screener", *plan.command))
    return [
        "# .github/workflows/weekly.yml of a repository that holds screener.",
        "# GitHub stops schedules of a public one after 60 days without a commit.",
        "name: weekly",
        "on:",
        "  schedule:",
        f"    # {plan.when} is {DAYS[number]} {at:%H:%M} UTC; GitHub may be minutes late",
        *moves,
        f'    - cron: "{at.minute} {at.hour} * * {(number + 1) % 7}"',
        "  workflow_dispatch:",
        "concurrency: screener-weekly",
        "jobs:",
        "  weekly:",
        "    runs-on: ubuntu-latest",
        "    timeout-minutes: 60",
        "    permissions:",
        "      contents: read",
        "    env:",
        "      SCREENER_STORE: prices/prices.duckdb",
        "    steps:",
        "      - uses: actions/checkout@v4",
        "      - uses: actions/setup-python@v5",
        "        with:",
        '          python-version: "3.12"',
        "      # Prices and the ledger of trials go on from the last run. GitHub drops a",
        "      # cache unused for 7 days; `screener reproduce` needs the store: to keep",
        "      # it for good, keep it elsewhere.",
        "      - uses: actions/cache@v4",
        "        with:",
        "          path: prices",
        "          key: prices-${{ github.run_id }}",
        "          restore-keys: prices-",
        "      - run: pip install .",
        "      - name: Weekly report; 3, a partial report, counts as done, 1 and 2 fail",
        "        shell: bash",
        "        run: |",
        f"          {command} || [ $? -eq 3 ]",
        "      - uses: actions/upload-artifact@v4",
        "        if: success()",
        "        with:",
        "          name: report",
        f"          path: {_for_yaml(plan.output)}",
    ]


KINDS = {"cron": cron, "systemd": systemd, "github": github}


def before_the_close(plan: Plan, today: date) -> datetime | None:
    """Return the first run of the coming year that the week's last close in New York does not precede by 30 minutes.

    None if there is none, and for runs during the week, which are as of the day before in any case.
    """
    from screener.market.sessions import last_completed, sessions_between

    if plan.day not in ("Sat", "Sun"):
        return None
    for run in plan.instants(today):
        local = run.astimezone(ZoneInfo(plan.zone)).date()
        monday = local - timedelta(days=local.weekday())
        sessions = sessions_between("XNYS", monday, monday + timedelta(days=4))
        if len(sessions) and last_completed("XNYS", run) < sessions[-1].date():
            return run
    return None


def _utc_times(plan: Plan, today: date) -> set[tuple[int, time]]:
    """Return the weekdays and times in UTC of the coming year's runs: two where the zone has summer time."""
    return {(each.weekday(), each.time()) for each in plan.instants(today)}


def _hours_in_words(plan: Plan, today: date) -> str:
    said = " or ".join(f"{DAYS[number]} {at:%H:%M}" for number, at in sorted(_utc_times(plan, today)))
    return f"{said} in UTC"


def _check_options(options: list[str]) -> None:
    """Raise what `screener weekly` would say of these options; nothing runs."""
    if any("\n" in each for each in options):
        raise UserError("an option with a line break cannot be scheduled")
    fixed = [each for each in options if each.split("=")[0] in FIXED]
    if fixed:
        raise UserError(f"{fixed[0].split('=')[0]} would be the same every week; leave it out")
    from screener.cli import app

    group: Any = typer.main.get_command(app)
    with group.commands["weekly"].make_context("screener weekly", list(options)):
        pass


def _program() -> str:
    """Return how this program is started, as a shell reads it: a scheduler has another PATH."""
    found = shutil.which("screener")
    return shlex.quote(found) if found else f"{shlex.quote(sys.executable)} -m screener"


def _time(text: str) -> time:
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
        raise UserError(f"--time: {text!r} is not a time; write it as 07:00")
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def _day(text: str) -> str:
    found = text[:3].capitalize()
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    if found not in DAYS or text.lower() not in (found.lower(), full[DAYS.index(found)]):
        raise UserError(unknown("--day", text, list(DAYS)))
    return found


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"--tz: time zone {text!r} is unknown; write it as Asia/Tokyo") from None
    return text


def _for_systemd(word: str) -> str:
    """Quote a word for ExecStart, where % and $ mean something too."""
    safe = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", safe):
        return safe
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _for_yaml(text: str) -> str:
    """Return a text in YAML's single quotes."""
    return "'" + text.replace("'", "''") + "'"
