"""What the facts of a universe say about each other: contradictions are faults, oddities are warnings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from screener.universe.model import SYMBOL, Instrument, Rule, Universe

FEW_MEMBERS = 4
SCHEDULED = "calendar"  # kind of an event of which only the date is known


class Market(NamedTuple):
    """How Yahoo ends a market's symbols, and what its quotes may be in."""

    suffix: str
    currencies: tuple[str, ...]


MARKETS = {
    **dict.fromkeys(("XNYS", "XNAS", "XASE", "ARCX", "BATS"), Market("", ("USD",))),
    "XTKS": Market(".T", ("JPY",)),
    "XASX": Market(".AX", ("AUD",)),
    "XSHG": Market(".SS", ("CNY",)),
    "XSHE": Market(".SZ", ("CNY",)),
    "XHKG": Market(".HK", ("HKD", "CNY")),  # some counters are quoted in yuan
    "XTSE": Market(".TO", ("CAD", "USD")),
    "XTSX": Market(".V", ("CAD", "USD")),
    **dict.fromkeys(("XLON", "AIMX"), Market(".L", ("GBp", "GBP", "USD"))),
    "XBRU": Market(".BR", ("EUR",)),
    "XPAR": Market(".PA", ("EUR",)),
    "XETR": Market(".DE", ("EUR",)),
    "XSWX": Market(".SW", ("CHF",)),
}


def contradictions(each: Instrument) -> list[str]:
    """Return what an instrument says against itself, a sentence each.

    Market, suffix and currency must agree: one of them mistyped would fetch another security.
    """
    found = []
    if each.listed_from and each.delisted_on and each.listed_from >= each.delisted_on:
        found.append(f"listed_from {each.listed_from} is not before delisted_on {each.delisted_on}")
    if each.terminal_value is not None and each.delisted_on is None:
        found.append("terminal_value is given without delisted_on")
    if each.segment and each.segment in each.other_segments:
        found.append(f'other_segments names "{each.segment}", which is its segment already')
    if each.segment and each.kind in ("etf", "index"):
        found.append(
            f'segment "{each.segment}" is given, but only an equity stands on the chain; leave it empty'
        )
    if each.mic not in MARKETS:
        return found
    market = MARKETS[each.mic]
    if (
        SYMBOL.fullmatch(each.symbol)
        and not each.symbol.startswith("^")
        and _suffix(each.symbol) != market.suffix
    ):
        ending = f'ends in "{market.suffix}"' if market.suffix else "has no suffix"
        found.append(f'symbol "{each.symbol}" is not of mic {each.mic}, where a symbol {ending}')
    if each.currency and each.currency not in market.currencies:
        allowed = " or ".join(market.currencies)
        found.append(f'currency "{each.currency}" is not quoted at mic {each.mic}; write {allowed}')
    return found


def selects_anyone(rule: Rule, listed: Mapping[str, Instrument]) -> bool:
    """Say whether a rule selects an equity, be it one that was delisted."""
    return any(rule.matches(each) for each in listed.values() if each.kind == "equity")


def universe_warnings(universe: Universe, today: date) -> tuple[str, ...]:
    """Return what is no fault but should be known on a date, a sentence each."""
    return (
        *_unverified(universe),
        *_small_themes(universe, today),
        *_issuers_with_two_lines(universe, today),
        *_unknown_outcomes(universe, today),
    )


def _unverified(universe: Universe) -> list[str]:
    warnings = []
    for what, facts in (
        ("instruments and benchmarks", list(universe.everything().values())),
        ("events", list(universe.events)),
    ):
        verified = [each.verified for each in facts]
        partly, none = verified.count("partial"), verified.count("no")
        if partly or none:
            warnings.append(
                f"of {len(facts)} {what}, {none} rest on memory and {partly} are verified only in part"
            )
    return warnings


def _small_themes(universe: Universe, today: date) -> list[str]:
    return [
        f"theme {theme.key} has {len(members)} members on {today}: too few to spread risk"
        for theme in universe.themes.values()
        if len(members := universe.members(theme, today)) < FEW_MEMBERS
    ]


def _issuers_with_two_lines(universe: Universe, today: date) -> list[str]:
    lines = defaultdict(list)
    for symbol, each in universe.instruments.items():
        if each.delisted_on is None or today < each.delisted_on:
            lines[each.issuer].append(symbol)
    return [
        f"{' and '.join(symbols)} are lines of one issuer, {issuer}: a cap per issuer holds them together"
        for issuer, symbols in sorted(lines.items())
        if len(symbols) > 1
    ]


def _unknown_outcomes(universe: Universe, today: date) -> list[str]:
    return [
        f'event {each.key} ("{each.title}") passed on {each.end_day or each.day} and no outcome is recorded'
        for each in universe.events
        if each.kind == SCHEDULED and (each.end_day or each.day) < today
    ]


def _suffix(symbol: str) -> str:
    return "." + symbol.rpartition(".")[2] if "." in symbol else ""
