"""What the facts of a universe say about each other: contradictions are faults, oddities are warnings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from screener.universe.model import SYMBOL, Instrument, Rule, Universe
from screener.universe.purity import LEAST_PURITY, theme_purity

FEW_MEMBERS = 4
CHECK_EVERY = timedelta(days=365)
SHOWN = 6  # names of a long list that a warning prints
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
    if each.delisted_on is None and each.delisting:
        found.append("delisting is given without delisted_on")
    if bool(each.predecessor) != bool(each.predecessor_kind):
        found.append("predecessor and predecessor_kind go together: renamed, shell or other")
    if each.predecessor_kind == "renamed" and not SYMBOL.fullmatch(each.predecessor):
        found.append(
            f'predecessor "{each.predecessor:.40}" was renamed, so it must be one symbol, such as IIVI'
        )
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


def predecessor_cycles(listed: Mapping[str, Instrument]) -> dict[str, str]:
    """Return for each symbol whose chain of predecessors comes back to it the sentence that says so."""
    found = {}
    for symbol in listed:
        chain, each = [symbol], listed[symbol].predecessor
        while each in listed and each not in chain:
            chain.append(each)
            each = listed[each].predecessor
        if each == symbol:
            found[symbol] = f"predecessors go round in a circle: {' ← '.join([*chain, symbol])}"
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
        *_impure_themes(universe, today),
        *_unknown_outcomes(universe, today),
        *_unchecked(universe, today),
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


def _impure_themes(universe: Universe, today: date) -> list[str]:
    """Say which themes have no clean pure-plays: little of their members' value is driven by rare earths."""
    impure = []
    for theme in universe.themes.values():
        purity = theme_purity(universe.members(theme, today))
        if purity is not None and purity.middle < LEAST_PURITY:
            impure.append(f"{theme.key} {purity.middle:.0%}")
    if not impure:
        return []
    return [f"themes of which rare earths drive less than {LEAST_PURITY:.0%} of value: {', '.join(impure)}"]


def _unchecked(universe: Universe, today: date) -> list[str]:
    """Say which facts nobody has compared with their sources for a year."""
    groups: dict[str, Iterable[tuple[str, date | None]]] = {
        "instruments": [(each.symbol, each.checked_on) for each in universe.instruments.values()],
        "unlisted organisations": [(each.key, each.checked_on) for each in universe.organisations.values()],
        "materials": [(each.key, each.checked_on) for each in universe.materials.values()],
        "shares of segments": [
            (each.key, each.checked_on) for each in universe.segments.values() if each.china_share is not None
        ],
        "events": [(each.key, each.checked_on) for each in universe.events],
    }
    warnings = []
    for what, facts in groups.items():
        old = [key for key, checked in facts if checked is None or today - checked > CHECK_EVERY]
        if old:
            shown = ", ".join(old[:SHOWN]) + (" …" if len(old) > SHOWN else "")
            warnings.append(f"{len(old)} {what} were not checked since {today - CHECK_EVERY}: {shown}")
    return warnings


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
    """Say which time-limited facts have run out without a record of what came after them."""
    ended: dict[date, list[str]] = defaultdict(list)
    for each in universe.materials.values():
        if each.suspended_until and each.suspended_until < today:
            ended[each.suspended_until].append(each.key)
    return [
        f'event {each.key} ("{each.title}") passed on {each.end_day or each.day} and no outcome is recorded'
        for each in universe.events
        if each.kind == SCHEDULED and not each.outcome and (each.end_day or each.day) < today
    ] + [
        f"China's controls of {', '.join(keys)} were suspended until {day}; what holds since is not recorded"
        for day, keys in sorted(ended.items())
    ]


def _suffix(symbol: str) -> str:
    return "." + symbol.rpartition(".")[2] if "." in symbol else ""
