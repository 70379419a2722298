"""`--notify-cmd` tells a command of the user's how a weekly report went."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from pathlib import Path

import pytest

import screener.api as sc
from screener.cli import main
from screener.cli.notify import Notifier, notifier
from screener.errors import UserError

EXAMPLE = Path(sc.__file__).parent / "universe" / "example"
TELL = """
import json, os, sys
from pathlib import Path
told = {name: os.environ[f"SCREENER_{name}"] for name in ("STATUS", "EXIT", "REPORT")}
Path(sys.argv[1]).write_text(json.dumps({**told, "text": sys.stdin.buffer.read().decode()}))
print("told")
"""


@pytest.fixture
def weekly(tmp_path: Path) -> list[str]:
    shutil.copytree(EXAMPLE, tmp_path / "mine")
    words = ["weekly", "--universe", str(tmp_path / "mine"), "--store", str(tmp_path / "p.duckdb")]
    words += ["--output", str(tmp_path / "out"), "--years", "1", "--now", "2026-07-11T06:00"]
    return [*words, "--as-of", "2026-07-10", "--source", "sample"]


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told.json"


def command(told: Path) -> str:
    return shlex.join([sys.executable, "-c", TELL, str(told)])


def test_a_complete_report(weekly: list[str], told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*weekly, "--json", "--notify-cmd", command(told)]) == 0
    said = json.loads(told.read_text())
    captured = capsys.readouterr()
    folder = json.loads(captured.out)["data"]["folder"]  # nothing of the command's on stdout
    assert captured.err.strip() == "told"
    assert (said["STATUS"], said["EXIT"]) == ("complete", "0")
    assert said["REPORT"] == f"{folder}/report.html" and Path(said["REPORT"]).is_file()
    assert "SYNTHETIC PRICES" in said["text"] and "2026-W28" in said["text"]


def test_a_partial_report(weekly: list[str], told: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices"
    prices.mkdir()
    lines = [f"{day:%Y-%m-%d},{100 + at}" for at, day in enumerate(sc_days())]
    (prices / "MP.csv").write_text("\n".join(["date,close", *lines]) + "\n", encoding="utf-8")
    words = [*weekly, "--source", "files", "--prices", str(prices), "--notify-cmd", command(told)]
    assert main(words) == 3
    said = json.loads(told.read_text())
    assert (said["STATUS"], said["EXIT"]) == ("partial", "3")
    assert "LYC.AX: missing" in said["text"]


def sc_days() -> list[object]:
    from datetime import date

    from screener.market.sessions import sessions_between

    return list(sessions_between("XNYS", date(2025, 1, 2), date(2026, 7, 10)))


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--benchmark", "NOPE"], 2, "--benchmark"),
        (["--offline"], 1, "no stored prices of sample:7"),
        (["--lang", "xx"], 2, "xx"),
    ],
)
def test_a_failure(weekly: list[str], told: Path, words: list[str], code: int, text: str) -> None:
    assert main([*weekly, *words, "--notify-cmd", command(told)]) == code
    said = json.loads(told.read_text())
    assert (said["STATUS"], said["EXIT"], said["REPORT"]) == ("failed", str(code), "")
    assert text in said["text"]


def test_a_fault_of_ours(
    weekly: list[str], told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fall(*_: object, **__: object) -> None:
        raise RuntimeError("the engine fell off")

    monkeypatch.setattr(sc, "weekly", fall)
    assert main([*weekly, "--notify-cmd", command(told)]) == 1
    said = json.loads(told.read_text())
    assert said["STATUS"] == "failed" and "the engine fell off" in said["text"]


@pytest.mark.parametrize(("extra", "code"), [([], 0), (["--benchmark", "NOPE"], 2)])
def test_its_own_failure_is_a_line_and_changes_no_exit_code(
    weekly: list[str], extra: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.join([sys.executable, "-c", "raise SystemExit(7)"])
    assert main([*weekly, *extra, "--notify-cmd", words]) == code
    assert f"--notify-cmd: {sys.executable} ended with 7" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["no-such-command-here --now", "'unbalanced"])
def test_a_command_that_cannot_be_run_is_refused_before_the_report_is_made(
    weekly: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*weekly, "--notify-cmd", words]) == 2
    assert capsys.readouterr().err.startswith("--notify-cmd: ")
    assert not (tmp_path / "out").exists() and not (tmp_path / "p.duckdb").exists()


def test_it_is_not_read_by_a_shell(told: Path, tmp_path: Path) -> None:
    words = shlex.join([sys.executable, "-c", "import sys; print(sys.argv[1:])"]) + " $HOME ; touch x"
    assert notifier(words).words[3:] == ("$HOME", ";", "touch", "x")
    with pytest.raises(UserError):
        notifier("true; false")  # there is no command "true;"


def test_it_is_ended_in_time_with_all_it_started(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    child = "import time; time.sleep(30)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.monotonic()
    Notifier((sys.executable, "-c", parent), seconds=0.5).run("text", 0)
    assert time.monotonic() - started < 10
    assert "was ended after 0.5 s" in capsys.readouterr().err


def test_a_command_that_reads_nothing_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    Notifier((sys.executable, "-c", "pass")).run("x" * 1_000_000, 0)
    assert capsys.readouterr().err == ""
