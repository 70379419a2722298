"""What can go wrong, and which exit code it ends with. Imports nothing of screener."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MOST_LISTED = 15


class ScreenerError(Exception):
    """A failure that is ours or a source's: exit code 1."""

    exit_code = 1

    def __init__(self, *problems: str) -> None:
        """Hold one or more problems, each a full line saying what, where and what to do."""
        super().__init__("\n".join(problems))
        self.problems = problems


class UserError(ScreenerError):
    """The user's input is wrong: exit code 2."""

    exit_code = 2


class SourceError(ScreenerError):
    """A price source could not answer for one symbol; `outcome` is one of `OUTCOMES`."""

    OUTCOMES = ("no such symbol", "rate limited", "malformed", "timed out", "unreachable", "no data")

    def __init__(self, outcome: str, message: str) -> None:
        """`outcome` classifies the failure for the report, `message` says what was seen."""
        if outcome not in self.OUTCOMES:
            raise ValueError(f"unknown outcome {outcome!r}")
        super().__init__(message)
        self.outcome = outcome


def raise_all(problems: Iterable[str]) -> None:
    """Raise one UserError holding every problem, or return if there is none."""
    found = tuple(problems)
    if found:
        raise UserError(*found)


def unknown(what: str, word: str, choices: Sequence[str]) -> str:
    """Return the line that says a word is unknown and which one was probably meant."""
    near = get_close_matches(word, choices, n=1)
    if near:
        return f"{what} {word!r} is unknown; did you mean {near[0]!r}?"
    listed = ", ".join(choices[:MOST_LISTED])
    more = f" … ({len(choices)} in all)" if len(choices) > MOST_LISTED else ""
    return f"{what} {word!r} is unknown; choose one of {listed}{more}"
