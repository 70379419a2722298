"""How to make this page again, how its numbers come about, and what they cannot tell."""

from __future__ import annotations

from screener.report.blocks import Lines, Section
from screener.report.figures import Figures
from screener.report.model import WeeklyInputs

SENTENCES = ("returns", "timing", "weights", "backtest", "hindsight", "survivorship", "advice")


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return the command, versions and hashes, and the method in plain words."""
    say, run = figures.words, inputs.run
    settings = "; ".join(f"{name}: {value}" for name, value in run.settings.items())
    facts = (
        say("method.command", command=run.command),
        say("method.made", version=run.version, at=f"{run.generated_at:%Y-%m-%d %H:%M} UTC"),
        say("method.hashes", universe=run.universe_hash[:16], prices=run.prices_hash[:16]),
        say("method.settings", settings=settings),
    )
    plain = tuple(say(f"method.{name}", currency=run.base_currency) for name in SENTENCES)
    return Section("method", say("method.title"), "", (Lines(facts, "facts"), Lines(plain)))
