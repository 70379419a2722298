"""How large the page is and how soon it is ready, beside quantstats' HTML tear sheet of one series.

    python benchmarks/page.py [--repeats 5]

The page is of a synthetic week: ninety names, ten themes, four screens, five years. Both files are opened by the
system's Chromium; ready is the end of DOMContentLoaded. quantstats is in the extra `bench`; without it, or without
Chromium, its part is left out and said to be. Machines differ: quote the ratios.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd

from screener.errors import UserError
from screener.report.browser import find_browser
from screener.report.model import assemble
from screener.report.render import render_html
from tests.report.make_inputs import in_japanese, make_inputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    inputs = make_inputs(themes=10)
    with tempfile.TemporaryDirectory() as folder:
        pages = {}
        for name, week in {"page, English": inputs, "page, Japanese": in_japanese(inputs)}.items():
            assemble(week)  # calendars and templates are loaded once a process
            seconds, text = timed(lambda week=week: render_html(assemble(week)))
            pages[name] = write(Path(folder) / f"{name}.html", text), seconds
        run = inputs.themes[0].backtest
        assert run is not None
        sheet = Path(folder) / "quantstats.html"
        seconds = tear_sheet(run.wealth, sheet)
        if seconds is not None:
            pages["quantstats, one series"] = sheet, seconds
        ready = in_chromium({name: file for name, (file, _) in pages.items()}, repeats)
        print(f"{'':24}{'made':>9}{'size':>10}{'script':>10}{'ready, min':>12}{'median':>10}")
        for name, (file, seconds) in pages.items():
            text = file.read_text(encoding="utf-8")
            script = sum(
                len(each.encode()) for each in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
            )
            times = ready.get(name)
            shown = f"{min(times):>9.0f} ms{statistics.median(times):>7.0f} ms" if times else "  no Chromium"
            print(
                f"{name:24}{seconds:>7.2f} s{len(text.encode()) / 1e3:>7.0f} kB{script / 1e3:>7.1f} kB{shown}"
            )


def timed(make):  # type: ignore[no-untyped-def]
    begun = time.perf_counter()
    made = make()
    return time.perf_counter() - begun, made


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def tear_sheet(wealth: pd.Series, file: Path) -> float | None:
    """Write quantstats' HTML report of one series, and return how long it took."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import quantstats

            returns = wealth.pct_change().dropna()
            seconds, _ = timed(lambda: quantstats.reports.html(returns, output=str(file), title="one series"))
        return seconds
    except ImportError:
        print("quantstats is not installed (pip install 'screener[bench]'); left out")
        return None


def in_chromium(pages: dict[str, Path], repeats: int) -> dict[str, list[float]]:
    """Return milliseconds to the end of DOMContentLoaded, each opened `repeats` times in turn."""
    try:
        from playwright.sync_api import sync_playwright

        browser_path = find_browser()
    except (ImportError, UserError) as error:
        print(f"not opened: {error}")
        return {}
    found: dict[str, list[float]] = {name: [] for name in pages}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for turn in range(repeats):
            names = list(pages)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:  # none is always the first
                file = pages[name]
                page = browser.new_page()
                page.goto(file.as_uri(), wait_until="domcontentloaded")
                found[name].append(
                    page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
                )
                page.close()
        browser.close()
    return found


if __name__ == "__main__":
    main()
