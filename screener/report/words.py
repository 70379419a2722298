"""Numbers and dates as a reader wants them, and the sentences of the page by key.

A true minus (−), a written plus on changes, an em dash for what is not known; never a colour alone.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from datetime import date
from functools import cache
from importlib.resources import files

MISSING = "—"
Words = Callable[..., str]


@cache
def wording(language: str = "en") -> Words:
    """Return a function from a key such as "chain.title", with its numbers, to the sentence."""
    content = tomllib.loads(
        (files("screener.report") / "wording" / f"{language}.toml").read_text(encoding="utf-8")
    )

    def say(key: str, **values: object) -> str:
        group, _, name = key.partition(".")
        sentence: str = content[group][name]
        return sentence.format(**values)

    return say


def known(value: float | None) -> bool:
    """Say whether there is a number."""
    return value is not None and math.isfinite(value)


def change(value: float | None, digits: int = 1) -> str:
    """Format a fraction as a signed percentage: +1.2 or −0.4, 0.0 without a sign."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = f"{abs(value) * 100:,.{digits}f}"
    if not size.strip("0.,"):
        return size
    return ("−" if value < 0 else "+") + size


def change_percent(value: float | None, digits: int = 1) -> str:
    """Format a fraction as a signed percentage with its sign: +1.2 %."""
    text = change(value, digits)
    return text if text == MISSING else text + "%"


def percent(value: float | None, digits: int = 1) -> str:
    """Format a fraction as a percentage without a plus."""
    text = change_percent(value, digits)
    return text.removeprefix("+")


def number(value: float | None, digits: int = 2) -> str:
    """Format a number with a true minus."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{digits}f}"
    return text if value >= 0 or not text.strip("0.,") else "−" + text


def price(value: float | None) -> str:
    """Format a price with as many digits as its size deserves."""
    if value is None or not math.isfinite(value):
        return MISSING
    return number(value, 0 if abs(value) >= 1000 else 2 if abs(value) >= 1 else 4)


def millions(value: float | None) -> str:
    """Format an amount of money in millions."""
    if value is None or not math.isfinite(value):
        return MISSING
    return number(value / 1e6, 0 if value >= 1e8 else 1 if value >= 1e6 else 2)


def day(value: date) -> str:
    """Format a date as 10 July 2026."""
    return f"{value.day} {value:%B %Y}"


def some(names: list[str], most: int = 6) -> str:
    """Join names, saying how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def heat(value: float | None, full: float) -> str:
    """Return the colour class of a signed value: up1 to up5, down1 to down5, "" around zero or when unknown."""
    if value is None or not math.isfinite(value):
        return ""
    step = min(5, math.ceil(abs(value) / full * 5 - 0.2))
    return "" if step <= 0 else f"{'up' if value > 0 else 'down'}{step}"
