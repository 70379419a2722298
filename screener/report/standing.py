"""How the prices behind a report stand: who is stale, missing or failed, and the banner that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from screener.errors import ScreenerError
from screener.market.panel import SymbolState
from screener.market.sessions import city_of
from screener.report.blocks import Name
from screener.report.words import Wording, wording
from screener.universe.model import Instrument

if TYPE_CHECKING:
    from screener.backtest.theme import ThemeResult
    from screener.report.model import WeeklyInputs

GONE = ("not listed", "delisted")  # no price is expected, so none is missing


@dataclass(frozen=True, slots=True)
class Standing:
    """Which of the symbols that should have a price have a current one. Each tuple is sorted."""

    expected: tuple[str, ...]
    fresh: tuple[str, ...]
    stale: tuple[str, ...]
    missing: tuple[str, ...]
    failed: tuple[str, ...]  # could not be updated in this run although nothing seems to be missing

    @property
    def troubled(self) -> tuple[str, ...]:
        """Return every symbol with a problem, once."""
        return tuple(sorted({*self.stale, *self.missing, *self.failed}))


def standing_of(inputs: WeeklyInputs) -> Standing:
    """Sort the symbols of the universe by how their prices stand, benchmarks included."""
    states = inputs.states
    expected = tuple(sorted(each for each in states if states[each].state not in GONE))

    def in_state(name: str) -> tuple[str, ...]:
        return tuple(each for each in expected if states[each].state == name)

    gone = {each for each in states if states[each].state in GONE}
    told = gone | {each for each in expected if states[each].state != "fresh"}
    failed = tuple(sorted(each for each in inputs.failures if each not in told))
    return Standing(expected, in_state("fresh"), in_state("stale"), in_state("missing"), failed)


def mark_of(inputs: WeeklyInputs, symbol: str) -> str:
    """Return how a symbol's prices fall short: "" when they are fresh."""
    state = inputs.states.get(symbol)
    name = "missing" if state is None else state.state
    if name == "fresh":
        return "update failed" if symbol in inputs.failures else ""
    return name


def named(inputs: WeeklyInputs, symbol: str) -> Name:
    """Return a symbol with its name and its mark, as every table shows it."""
    each = inputs.universe.instruments.get(symbol) or inputs.universe.benchmarks.get(symbol)
    if each is None:
        return Name(symbol, "", mark_of(inputs, symbol))
    return Name(symbol, label_of(each, inputs.language), mark_of(inputs, symbol))


def label_of(each: Instrument, language: str) -> str:
    """Return an instrument's name in the language of the report."""
    return each.name_ja if language == "ja" and each.name_ja else each.name


def told(inputs: WeeklyInputs, text: str) -> str:
    """Return a sentence of a lower layer in the language of the report, keys replaced by their labels."""
    if inputs.language == "en":
        return text
    universe = inputs.universe
    labels = (
        *((each.key, each.label_ja) for each in universe.segments.values()),
        *((each.key, each.label_ja) for each in universe.themes.values()),
        *((each.key, each.label_ja) for each in universe.screens.values()),
    )
    events = tuple((f'"{each.title}"', f"「{each.title_ja}」") for each in universe.events if each.title_ja)
    return wording(inputs.language).retell(text, labels + events)


def method_label(method: str, say: Wording) -> str:
    """Return what a reader calls a method of weighting."""
    return say.retell(method.replace("_", " "))


def label_of_theme(inputs: WeeklyInputs, result: ThemeResult) -> str:
    """Return a theme's label in the language of the report."""
    return result.theme.label_ja if inputs.language == "ja" else result.theme.label


def data_banner(inputs: WeeklyInputs, say: Wording) -> str:
    """Return the sentences about stale, missing and failed prices, "" when every price is fresh."""
    standing = standing_of(inputs)
    if not standing.troubled:
        return ""
    counts = [
        say(key, n=len(symbols))
        for key, symbols in (
            ("banner.stale", standing.stale),
            ("banner.missing", standing.missing),
            ("banner.failed", standing.failed),
        )
        if symbols
    ]
    sentences = [say("banner.counts", counts=say.listed(counts), expected=len(standing.expected))]
    sentences += stale_by_city(inputs, say)
    if standing.missing:
        sentences.append(say("banner.missing_names", names=say.listed(some(standing.missing, say))))
    if standing.failed:
        sentences.append(say("banner.failed_names", names=say.listed(some(standing.failed, say))))
    return say.joined(sentences)


def stale_by_city(inputs: WeeklyInputs, say: Wording) -> list[str]:
    """Say for each exchange how many of its names are stale, of when its newest price is, and who."""
    everything = inputs.universe.everything()
    by_city: dict[str, list[SymbolState]] = {}
    for symbol in standing_of(inputs).stale:
        by_city.setdefault(_city(everything, symbol), []).append(inputs.states[symbol])
    return [
        say(
            "banner.city",
            city=say.retell(city),
            n=len(states),
            last=say.prose_day(_newest(states)),
            names=say.listed(some([each.symbol for each in states], say)),
        )
        for city, states in sorted(by_city.items(), key=lambda each: (-len(each[1]), each[0]))
    ]


def _city(everything: Mapping[str, Instrument], symbol: str) -> str:
    mic = everything[symbol].mic if symbol in everything else ""
    try:
        return city_of(mic)
    except ScreenerError:
        return mic or symbol


def _newest(states: list[SymbolState]) -> date | None:
    return max((each.last for each in states if each.last is not None), default=None)


def some(symbols: list[str] | tuple[str, ...], say: Wording, shown: int = 4) -> list[str]:
    """Return the first symbols and how many more there are, so that a banner stays a banner."""
    if len(symbols) <= shown + 1:
        return list(symbols)
    return [*symbols[:shown], say("list.more", n=len(symbols) - shown)]
