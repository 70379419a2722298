"""`--notify-cmd`: run a command of the user's when a report is done, or was not."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated

import typer

from screener.cli.show import tell
from screener.errors import ScreenerError, UserError

NotifyOption = Annotated[
    str,
    typer.Option(
        "--notify-cmd",
        envvar="SCREENER_NOTIFY_CMD",
        metavar="CMD",
        help="Run with the summary, or the error, on stdin. SCREENER_STATUS in its environment is complete, "
        "partial or failed; SCREENER_EXIT the exit code; SCREENER_REPORT the page, or empty. No shell; ended "
        "after a minute. That it failed is said on stderr and changes no exit code.",
    ),
]
SECONDS = 60.0
STATUS = {0: "complete", 3: "partial"}


@dataclass(frozen=True, slots=True)
class Notifier:
    """A user's command, as words; none: nothing is run."""

    words: tuple[str, ...]
    seconds: float = SECONDS

    def run(self, text: str, code: int, report: str = "") -> None:
        """Run the command. Its output goes to stderr, and so does a line when it fails; nothing is raised."""
        if not self.words:
            return
        told = {
            "SCREENER_STATUS": STATUS.get(code, "failed"),
            "SCREENER_EXIT": str(code),
            "SCREENER_REPORT": report,
        }
        try:
            # a group of its own, so that what it started ends with it
            with subprocess.Popen(
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **told},
                start_new_session=True,
            ) as process:
                said = self._ended(process, text)
        except OSError as error:
            tell(f"--notify-cmd: {self.words[0]} could not be run ({error.strerror})")
            return
        if said:
            tell(said.rstrip())

    def _ended(self, process: subprocess.Popen[bytes], text: str) -> str:
        """Wait for the command, and return its output and, if it failed, a line on that."""
        try:
            output, _ = process.communicate(text.encode(), timeout=self.seconds)
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
            process.communicate()
            return f"--notify-cmd: {self.words[0]} was ended after {self.seconds:g} s"
        said = output.decode(errors="replace")
        if process.returncode:
            said = f"{said.rstrip()}\n--notify-cmd: {self.words[0]} ended with {process.returncode}".lstrip()
        return said

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Run the command when what is inside fails, then let it fail."""
        try:
            yield
        except ScreenerError as error:
            self.run("\n".join(error.problems) + "\n", error.exit_code)
            raise
        except Exception as error:
            self.run(f"a fault of ours: {type(error).__name__}: {error}\n", 1)
            raise


def notifier(command: str) -> Notifier:
    """Return what runs a command line. Raises UserError, before anything else is done, if it cannot be run."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UserError(f"--notify-cmd: {command!r} cannot be read ({error})") from None
    if words and shutil.which(words[0]) is None:
        raise UserError(f"--notify-cmd: there is no command {words[0]!r}; give its path")
    return Notifier(words)
