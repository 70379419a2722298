"""How to make this page again, how its figures are made, and what they cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screener.report.blocks import Facts, Listing, Section
from screener.report.standing import told
from screener.report.words import wording

if TYPE_CHECKING:
    from screener.report.model import WeeklyInputs


def section(inputs: WeeklyInputs) -> Section:
    """Return the command, hashes, settings, method and limits."""
    say = wording(inputs.language)
    run = inputs.run
    again = Facts(
        (
            (say("method.command"), run.command),
            (say("method.version"), run.version),
            (say("method.universe_hash"), run.universe_hash),
            (say("method.prices_hash"), run.prices_hash),
        ),
        code=True,
    )
    settings = Facts(tuple((say.retell(key), told(inputs, value)) for key, value in run.settings.items()))
    how = Listing(
        say("method.how"),
        (
            say("method.returns", currency=inputs.panel.base_currency),
            say("method.sessions"),
            say("method.screen"),
            say("method.weights"),
            say("method.backtest"),
            say("method.statistics"),
        ),
    )
    limits = Listing(
        say("method.limits"),
        (say("method.hindsight"), say("method.survivors"), say("method.costs"), say("method.luck")),
    )
    return Section("method", say("method.title"), say("method.advice"), (again, settings, how, limits))
