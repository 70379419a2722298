"""A headless Chromium of the system, or a clear reason why there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for each in CHROMIUMS if (path := shutil.which(each))), None)
    if found is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUMS)})")
    with playwright.sync_playwright() as manager:
        started = manager.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()
