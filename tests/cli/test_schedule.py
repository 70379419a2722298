"""`screener schedule` prints what a cron, a systemd or GitHub reads; nothing is installed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import exchange_calendars
import pandas as pd
import pytest

from screener.cli import main
from screener.cli.schedule import Plan, before_the_close
from screener.market.sessions import last_completed

TOKYO = Plan(time(7), "Sat", "Asia/Tokyo", ("weekly",), Path("/"))


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def call(*words: str, code: int = 0) -> str:
        assert main(["schedule", *words]) == code
        captured = capsys.readouterr()
        assert not list(tmp_path.iterdir())  # nothing is written
        return captured.err if code else captured.out

    return call


@pytest.mark.filterwarnings("ignore:Series.values")  # of exchange_calendars
def test_saturday_seven_in_tokyo_follows_new_yorks_close_by_half_an_hour_all_year() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="2015-01-01", end="2030-12-31")
    closes = calendar.closes
    weeks = TOKYO.instants(date(2016, 1, 1), 52 * 10)
    hours = set()
    for run in weeks:
        before = closes[closes <= pd.Timestamp(run)]
        monday = pd.Timestamp(run.date() - timedelta(days=4))
        of_the_week = closes[(closes.index >= monday) & (closes.index <= pd.Timestamp(run.date()))]
        assert len(of_the_week) >= 2 and before.index[-1] == of_the_week.index[-1]
        gap = pd.Timestamp(run) - of_the_week.iloc[-1]
        assert gap >= pd.Timedelta(minutes=30)
        if of_the_week.index[-1].weekday() == 4:
            hours.add(round(gap.total_seconds() / 3600, 2))
        assert last_completed("XNYS", run) == of_the_week.index[-1].date()
    assert {1.0, 2.0} <= hours <= {1.0, 2.0, 4.0, 5.0}  # winter and summer, and early closes
    assert before_the_close(TOKYO, date(2026, 1, 1)) is None


def test_an_hour_before_the_close_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    early = Plan(time(6, 15), "Sat", "Asia/Tokyo", ("weekly",), Path("/"))
    run = before_the_close(early, date(2026, 7, 1))
    assert run is not None and run.month in (11, 12, 1)  # in summer the close is at 05:00 in Tokyo
    assert main(["schedule", "cron", "--time", "06:15"]) == 0
    assert "New York's last close" in capsys.readouterr().err


def cron_line(text: str) -> str:
    (line,) = (each for each in text.splitlines() if re.match(r"\d", each))
    return line


def test_a_cron_line_has_five_fields_a_zone_and_a_command(printed, tmp_path: Path) -> None:
    text = printed("cron", "--lang", "ja", "--prices", "100% mine")
    assert "CRON_TZ=Asia/Tokyo" in text.splitlines()
    *fields, command = cron_line(text).split(" ", 5)
    assert fields == ["0", "7", "*", "*", "6"]
    assert not re.search(r"(?<!\\)%", command)  # a bare one ends the command
    shell = command.replace(r"\%", "%")
    assert shell.startswith(f"cd {shlex.quote(str(tmp_path))} && ")
    words = shlex.split(shell)
    assert words[words.index("weekly") :][:7] == [
        *("weekly", "--output", "outputs", "--lang", "ja", "--prices", "100% mine")
    ]


@pytest.mark.parametrize(("code", "ends_with"), [(0, 0), (3, 0), (1, 1), (2, 1)])
@pytest.mark.parametrize("kind", ["cron", "github"])
def test_a_partial_report_counts_as_done_and_a_failure_does_not(
    printed, kind: str, code: int, ends_with: int, tmp_path: Path
) -> None:
    text = printed(kind)
    line = cron_line(text) if kind == "cron" else next(each for each in text.splitlines() if "[ $?" in each)
    tail = line[line.index("||") :]
    script = f"cd {shlex.quote(str(tmp_path))} && sh -c 'exit {code}' {tail}"
    ran = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], check=False)
    assert ran.returncode == ends_with


def test_days_are_numbered_as_cron_does(printed) -> None:
    assert cron_line(printed("cron", "--day", "Sunday", "--time", "9:05")).startswith("5 9 * * 0 ")
    assert cron_line(printed("cron", "--day", "mon")).startswith("0 7 * * 1 ")


def units(text: str) -> dict[str, str]:
    """Return each unit's text by its name."""
    parts = re.split(r"# ~/\.config/systemd/user/(\S+)\n", text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_systemd_takes_both_units(printed, tmp_path: Path) -> None:
    text = printed("systemd", "--notify-cmd", 'mail -s "100% $done" me')
    found = units(text)
    assert set(found) == {"screener-weekly.service", "screener-weekly.timer"}
    service, timer = found["screener-weekly.service"], found["screener-weekly.timer"]
    assert "SuccessExitStatus=3" in service.splitlines()
    assert "OnCalendar=Sat *-*-* 07:00:00 Asia/Tokyo" in timer.splitlines()
    assert '"mail -s \\"100%% $$done\\" me"' in service
    if shutil.which("systemd-analyze") is None:
        return
    folder = tmp_path / "units"
    folder.mkdir()
    for name, content in found.items():
        (folder / name).write_text(content, encoding="utf-8")
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--user", *(str(folder / each) for each in found)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    ours = [each for each in ran.stderr.splitlines() if "screener-weekly" in each]
    assert not ours, ran.stderr
    calendar = subprocess.run(
        ["systemd-analyze", "calendar", "Sat *-*-* 07:00:00 Asia/Tokyo"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert calendar.returncode == 0 and "Fri" in calendar.stdout and "22:00:00 UTC" in calendar.stdout


def test_github_takes_the_workflow(printed) -> None:
    yaml = pytest.importorskip("yaml")
    text = printed("github", "--lang", "ja", "--output", "it's out")
    workflow = yaml.safe_load(text)
    assert workflow[True]["schedule"] == [{"cron": "0 22 * * 5"}]  # YAML 1.1 reads `on` as true
    steps = workflow["jobs"]["weekly"]["steps"]
    (run,) = (each["run"] for each in steps if "weekly" in each.get("run", ""))
    assert shlex.split(run)[:6] == ["screener", "weekly", "--output", "it's out", "--lang", "ja"]
    assert steps[-1]["with"]["path"] == "it's out"


def test_a_zone_with_summer_time_gets_the_later_hour_and_says_so(printed) -> None:
    text = printed("github", "--tz", "America/New_York", "--time", "18:00", "--day", "Fri")
    assert '- cron: "0 23 * * 5"' in text
    assert "America/New_York has summer time" in text and "Fri 22:00 or Fri 23:00 in UTC" in text
    assert "summer time" not in printed("github")


def test_a_run_over_midnight_moves_the_day(printed) -> None:
    assert '- cron: "0 15 * * 6"' in printed("github", "--day", "Sun", "--time", "00:00")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["crom"], "did you mean 'cron'?"),
        (["cron", "--time", "25:00"], "--time: '25:00' is not a time"),
        (["cron", "--day", "Someday"], "--day 'Someday' is unknown"),
        (["cron", "--tz", "Asia/Tokio"], "--tz: time zone 'Asia/Tokio' is unknown"),
        (["cron", "--tz", "../etc/passwd"], "--tz: "),
        (["cron", "--as-of", "2026-07-10"], "--as-of would be the same every week"),
        (["cron", "--now=2026-07-10"], "--now would be the same every week"),
        (["cron", "--years", "many"], "--years"),
        (["cron", "--no-such-flag"], "--no-such-flag"),
        (["cron", "--lang"], "--lang"),
        (["cron", "--universe", "a\nb"], "line break"),
    ],
)
def test_what_weekly_would_refuse_is_refused_now(printed, words: list[str], said: str) -> None:
    assert said in printed(*words, code=2)


def test_the_program_is_named_by_its_path(printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert f"{shlex.quote(sys.executable)} -m screener weekly" in printed("cron")
    monkeypatch.setattr(shutil, "which", lambda _: "/opt/my tools/screener")
    assert "'/opt/my tools/screener' weekly" in printed("cron")
    assert 'ExecStart="/opt/my tools/screener" weekly' in printed("systemd")


def test_every_line_is_read_in_80_columns_or_is_a_command(printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")  # a folder's own name may be as long as it likes
    for kind in ("cron", "systemd", "github"):
        for line in printed(kind).splitlines():
            assert len(line) <= 80 or "weekly --output" in line, line


def test_instants_are_those_of_the_zone() -> None:
    assert TOKYO.instants(date(2026, 7, 5), 2) == [
        datetime(2026, 7, 10, 22, tzinfo=UTC),
        datetime(2026, 7, 17, 22, tzinfo=UTC),
    ]
