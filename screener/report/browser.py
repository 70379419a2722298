"""A Chromium of this machine as a printer: the page as PDF, a drawing as PNG. Nothing is fetched."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from screener.errors import ScreenerError, UserError

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)  # fmt: skip
PATIENCE = 120.0  # seconds


def find_browser() -> str:
    """Return the path of a Chromium, Chrome or Edge. Raises UserError where none is installed."""
    for each in BROWSERS:
        found = shutil.which(each)
        if found:
            return found
    raise UserError(
        "--pdf and PNG need Chromium, Chrome or Edge, and none was found; install one, "
        "or open report.html and print it to PDF"
    )


def pdf_of(page: Path, target: Path) -> None:
    """Print a page to PDF, with its own print style and no header of the browser's."""
    _run(page, target, "--no-pdf-header-footer", f"--print-to-pdf={target}")


def png_of(page: Path, target: Path, size: tuple[int, int]) -> None:
    """Draw a page of a size in pixels as PNG, at twice the resolution."""
    width, height = size
    _run(
        page,
        target,
        "--hide-scrollbars",
        "--force-device-scale-factor=2",
        f"--window-size={width},{height}",
        f"--screenshot={target}",
    )


def _run(page: Path, target: Path, *flags: str) -> None:
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="screener-browser-") as profile:
        command = [browser, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        command += ["--no-sandbox", *flags, page.absolute().as_uri()]  # the page is ours and may do nothing
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScreenerError(f"{browser} could not print {page.name}: {error}") from None
    if done.returncode or not target.exists():
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
            f"exit code {done.returncode}"
        ]
        raise ScreenerError(f"{browser} could not print {page.name}: {last[0]}")
