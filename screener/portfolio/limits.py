"""What a portfolio may hold, as sentences a person writes: `segment magnets <= 20%`. Their meaning is region.py's.

name <= 5%                            each line                  name MP <= 3%
issuer <= 10%                         all lines of one company   issuer lynas-rare-earths <= 8%
segment <= 40%                        each stage of the chain    segment mining >= 10%
country <= 50%                        by domicile                currency JPY <= 30%
dependence high <= 25%                by dependence on China
position <= 10% of ADV over 5 days    so much of the average daily value, at the capital stated
position >= 1%                        or none at all             names <= 15
turnover <= 20%                       one-way, per rebalance     trade >= 0.5%   or none: a no-trade band
tracking error <= 6%                  to the theme's benchmark   tracking error to SPY <= 6%
volatility <= 12%                     predicted; what it costs is held in cash
cash <= 0%                            fully invested             cash >= 5%
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10

from screener.errors import UserError, unknown

GROUPS = ("name", "issuer", "segment", "country", "currency", "dependence")
SENTENCE = re.compile(
    r"(?P<subject>[a-z]+(?: error)?)(?: (?:to )?(?P<key>[^\s<>=≤≥]+))?\s*(?P<comparison><=|>=|≤|≥)\s*"
    r"(?P<bound>[0-9.]+)\s*(?P<percent>%)?(?: of ADV over (?P<days>[0-9.]+) (?:days?|sessions?))?",
    re.IGNORECASE,
)
ALLOWED = {  # subject → comparisons without a key
    "name": "<=",
    "issuer": "<=",
    "segment": "<=",
    "country": "<=",
    "currency": "<=",
    "dependence": "<=",
    "position": ">=",
    "names": "<=",
    "turnover": "<=",
    "trade": ">=",
    "tracking error": "<=",
    "volatility": "<=",
    "cash": "<= >=",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. bound is a fraction of wealth (names: a count); key "" means each group of its kind."""

    subject: str
    key: str
    comparison: str  # <= or >=
    bound: float
    days: float = 0.0  # of a limit on the share of ADV
    typed: str = ""  # the user's own words

    @property
    def text(self) -> str:
        """Return the user's own words, or the sentence that means the same."""
        return self.typed or self.sentence()

    def sentence(self) -> str:
        """Return the sentence `parse_limit` reads back as this limit."""
        to = "to " if self.subject == "tracking error" and self.key else ""
        subject = f"{self.subject} {to}{self.key}".strip()
        if self.subject == "names":
            return f"names {self.comparison} {self.bound:.0f}"
        ending = f" of ADV over {self.days:g} days" if self.days else ""
        return f"{subject} {self.comparison} {_shown(100 * self.bound)}%{ending}"

    def relaxed(self, by: float) -> Limit:
        """Return the limit loosened by at least `by`, to a bound of four digits that a person can type."""
        up = self.comparison == "<="
        wanted = self.bound + by if up else max(self.bound - by, 0.0)
        if self.subject == "names":
            return replace(self, bound=float(ceil(wanted - 1e-9)), typed="")
        most = 1.0 if self.subject in (*GROUPS, "cash", "trade") else 10.0
        return replace(self, bound=min(_rounded(wanted, up=up), most), typed="")


def parse_limit(text: str) -> Limit:
    """Read one sentence. Raises UserError with what is wrong and an example."""
    words = " ".join(text.split())
    matched = SENTENCE.fullmatch(words)
    if matched is None:
        raise UserError(f'limit "{words:.80}" is not understood; it looks like "segment magnets <= 20%"')
    subject, key = matched["subject"].lower(), matched["key"] or ""
    comparison = {"≤": "<=", "≥": ">="}.get(matched["comparison"], matched["comparison"])
    if subject not in ALLOWED:
        raise UserError(f'limit "{words}": {unknown("subject", subject, list(ALLOWED))}')
    try:
        bound, days = float(matched["bound"]), float(matched["days"] or 0)
    except ValueError:
        raise UserError(f'limit "{words}": {matched["bound"]} is not a number') from None
    if matched["percent"]:
        bound /= 100
    limit = Limit(subject, key, comparison, bound, days, words)
    if problem := _problem(limit, bool(matched["percent"])):
        raise UserError(f'limit "{words}": {problem}')
    return limit


def parse_limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Read sentences; raises one UserError with a line for each that is wrong."""
    limits: list[Limit] = []
    problems: list[str] = []
    for text in texts:
        try:
            limits.append(parse_limit(text))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return tuple(limits)


def _problem(limit: Limit, percent: bool) -> str:
    liquidity = limit.subject == "position" and limit.days > 0
    allowed = "<=" if liquidity else ALLOWED[limit.subject]
    if limit.key and limit.subject in GROUPS:
        allowed = "<= >="
    if limit.key and limit.subject not in (*GROUPS, "tracking error"):
        return f'"{limit.key}" is one word too many'
    if limit.days and not liquidity:
        return "only a position is held against ADV"
    if limit.comparison not in allowed.split():
        if limit.subject == "position":
            return 'write "position >= 1%" or "position <= 10% of ADV over 5 days"; a cap is "name <= 5%"'
        return f"it can only be {allowed}"
    if limit.subject == "names":
        if percent or limit.bound != int(limit.bound) or limit.bound < 1:
            return "the number of names is a whole number from 1"
        return ""
    most = 1.0 if limit.subject in (*GROUPS, "cash", "trade") else 10.0
    if not percent and limit.bound > 1:
        return f"{limit.bound:g} is above 1; write {limit.bound:g}%"
    if limit.bound > most:
        return f"{100 * limit.bound:g}% is above {100 * most:g}%"
    if limit.bound <= 0 and limit.subject in ("volatility", "position", "tracking error"):
        return "it must be above 0"
    return ""


def word_problems(limits: Iterable[Limit], known: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each limit whose key nothing bears. known: subject → the words there are."""
    problems = []
    for limit in limits:
        words = known.get(limit.subject)
        if limit.key and words is not None and limit.key not in words:
            problems.append(f'limit "{limit.text}": {unknown(limit.subject, limit.key, list(words))}')
    return problems


def _shown(value: float) -> str:
    return f"{value:.10g}"


def _rounded(value: float, *, up: bool) -> float:
    """Round to four significant digits of a percentage, outward, so that what is offered also does."""
    if value <= 1e-9:
        return 0.0
    unit = 10.0 ** (floor(log10(value)) - 3)
    steps = ceil(value / unit - 1e-6) if up else floor(value / unit + 1e-6)
    return max(float(f"{steps * unit:.12g}"), 0.0)
