"""Say in another language what a lower layer said in English.

Reasons, limits and findings are made as English sentences where the numbers are. The wording of a language holds
them as patterns: an English sentence with named gaps and the sentence that means the same. What stands in a gap is
retold in its turn, so that one pattern serves every metric and every segment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screener.report.words import Wording

GAP = re.compile(r"\\\{(\w+)\\\}")  # as re.escape leaves {name}
DAY = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
MILLIONS = re.compile(r"([−-]?[\d,]*\.?\d+) M\b(?: ([A-Z]{3})\b)?")
DEEPEST = 8
GAPS = {
    "value": r"[−+\d—][^;]*?",
    "key": r"[^\s,]+",
    "n": r"[−\d.,]+",
    "metric": ".+",
}  # other gaps hold anything
PARTINGS = (("; ", "list.reason"), (" and ", "list.comma"), (", ", "list.comma"))


@dataclass(frozen=True, slots=True)
class Pattern:
    """An English sentence as an expression, and what to say instead."""

    english: re.Pattern[str]
    instead: str


def compiled(english: str, instead: str) -> Pattern:
    """Return the pattern of an English sentence with gaps such as {symbol}; see GAPS."""

    expression = GAP.sub(lambda gap: f"(?P<{gap[1]}>{GAPS.get(gap[1], '.+?')})", re.escape(english))
    return Pattern(re.compile(expression), instead)


def retold(
    text: str, terms: Mapping[str, str], patterns: tuple[Pattern, ...], say: Wording, depth: int = 0
) -> str:
    """Return the text in the language of `say`; what nothing matches stays as it is, dates and money apart.

    Several reasons in one text, parted by semicolons, are retold one by one.
    """
    if text in terms:
        return terms[text]
    if depth == DEEPEST:
        return _numbers(text, say)

    def again(part: str) -> str:
        return retold(part, terms, patterns, say, depth + 1)

    several = "; " in text
    for pattern in patterns:
        if several and "; " not in pattern.english.pattern.replace("\\", ""):
            continue
        found = pattern.english.fullmatch(text)
        if found:
            return pattern.instead.format(**{name: again(gap) for name, gap in found.groupdict().items()})
    for parting, key in PARTINGS:
        if parting in text:
            return say(key).join(again(each) for each in text.split(parting))
    return _numbers(text, say)


def _numbers(text: str, say: Wording) -> str:
    """Write the dates and the millions of a text as the language does."""
    dated = DAY.sub(lambda each: say.prose_day(date(int(each[1]), int(each[2]), int(each[3]))), text)

    def amount(found: re.Match[str]) -> str:
        value = float(found[1].replace(",", "").replace("−", "-")) * 1e6
        return say.money(value) + (found[2] or "")

    return MILLIONS.sub(amount, dated)
