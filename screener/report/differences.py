"""What differs between two reports as their run.json tells them. Reads no prices: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

ROLLING = frozenset({"backtest from"})  # settings that move with the as-of date by themselves
PLURALS = {"themes": "theme", "screens": "screen", "instruments": "instrument"}

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """A symbol that came into a theme's portfolio or a screen, or went out.

    then, now: its weights, 0 where it had none; None in a screen. reason: what moved it. earlier: the reason is the
    one that kept it out before, and holds no longer.
    """

    where: str
    symbol: str
    entered: bool
    reason: str
    earlier: bool = False
    then: float | None = None
    now: float | None = None


@dataclass(frozen=True, slots=True)
class ThemeDifference:
    """One theme in two reports. turnover: one-way, Σ |change| / 2 with cash counted as a holding.

    weights: symbol → (then, now), largest change first. bound, loosened: limits that bind now alone, then alone.
    """

    theme: str
    weights: Mapping[str, tuple[float, float]]
    turnover: float
    moves: tuple[Move, ...]
    bound: tuple[str, ...]
    loosened: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule, setting or version that differs; "" where there is none. kind: theme, screen, instrument, run."""

    kind: str
    key: str
    field: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Differences:
    """Everything that differs. rules_known: the earlier report states its rules; those before schema 2 do not."""

    themes: tuple[ThemeDifference, ...]
    new_themes: tuple[str, ...]
    gone_themes: tuple[str, ...]
    screens: tuple[Move, ...]
    rules: tuple[RuleChange, ...]
    rules_known: bool

    @property
    def moves(self) -> tuple[Move, ...]:
        """Return who came into a theme or went out of one."""
        return tuple(chain.from_iterable(each.moves for each in self.themes))


def differences(then: Record, now: Record) -> Differences:
    """Return what differs between an earlier record and a later one, both of one universe."""
    themes = [each for each in now["themes"] if each in then["themes"]]
    rules = tuple(chain(_rules(then, now), _run(then["run"], now["run"])))
    known = bool(then.get("rules"))
    if known and not any(each.kind != "run" for each in rules):
        rules += tuple(_compared("run", "universe", *(_pick(each, "universe_hash") for each in (then, now))))
    return Differences(
        themes=tuple(_theme(key, then, now) for key in themes),
        new_themes=tuple(each for each in now["themes"] if each not in then["themes"]),
        gone_themes=tuple(each for each in then["themes"] if each not in now["themes"]),
        screens=tuple(
            chain.from_iterable(_screen(key, then, now) for key in now["screens"] if key in then["screens"])
        ),
        rules=rules,
        rules_known=known,
    )


def _pick(record: Record, name: str) -> dict[str, str]:
    return {name: str(record["run"].get(name, ""))}


def _theme(key: str, then: Record, now: Record) -> ThemeDifference:
    before, after = then["themes"][key], now["themes"][key]
    symbols = sorted({*before["weights"], *after["weights"]})
    pairs = {
        each: (float(before["weights"].get(each) or 0.0), float(after["weights"].get(each) or 0.0))
        for each in symbols
    }
    order = sorted(symbols, key=lambda each: -abs(pairs[each][1] - pairs[each][0]))
    cash = abs(float(after["cash"] or 0.0) - float(before["cash"] or 0.0))
    turnover = (sum(abs(b - a) for a, b in pairs.values()) + cash) / 2
    moves = [
        _moved(key, symbol, pairs[symbol], (then, now))
        for symbol in symbols
        if (pairs[symbol][0] > 0) != (pairs[symbol][1] > 0)
    ]
    return ThemeDifference(
        theme=key,
        weights={each: pairs[each] for each in order},
        turnover=turnover,
        moves=tuple(moves),
        bound=tuple(each for each in after["limits_bound"] if each not in before["limits_bound"]),
        loosened=tuple(each for each in before["limits_bound"] if each not in after["limits_bound"]),
    )


def _moved(key: str, symbol: str, pair: tuple[float, float], records: tuple[Record, Record]) -> Move:
    """Say what moved a name into a theme's portfolio, or out of it."""
    then, now = records
    entered = pair[1] > 0
    said = (then if entered else now)["themes"][key]["rejected"].get(symbol)
    reason = said or _membership(key, symbol, records, entered)
    return Move(key, symbol, entered, reason, bool(said) and entered, *pair)


def _membership(key: str, symbol: str, records: tuple[Record, Record], entered: bool) -> str:
    """Say why a name that no reason was given for is a member now, or is none any more."""
    then, now = ((each.get("rules") or {}) for each in records)
    before, after = (each.get("instruments", {}).get(symbol) for each in (then, now))
    if then and entered and before is None:
        return "new in the universe"
    if now and not entered and after is None:
        return "no longer in the universe"
    since, until = date.fromisoformat(str(records[0]["run"]["as_of"])), str(records[1]["run"]["as_of"])
    if entered and after and str(since) < after.get("listed_from", "") <= until:
        return f"listed on {after['listed_from']}"
    if not entered and after and "" < after.get("delisted_on", "") <= until:
        return f"delisted on {after['delisted_on']}"
    if before and after and before != after:
        return "its own row in the universe changed"
    if then and then.get("themes", {}).get(key) != now.get("themes", {}).get(key):
        return "the rule of the theme changed"
    return "no reason is recorded"


def _screen(key: str, then: Record, now: Record) -> Iterable[Move]:
    before, after = then["screens"][key], now["screens"][key]
    for symbol in after["passed"]:
        if symbol not in before["passed"]:
            reasons = before["rejected"].get(symbol)
            yield Move(key, symbol, True, "; ".join(reasons or ["not judged"]), True)
    for symbol in before["passed"]:
        if symbol not in after["passed"]:
            yield Move(key, symbol, False, "; ".join(after["rejected"].get(symbol) or ["not judged"]))


def _rules(then: Record, now: Record) -> Iterable[RuleChange]:
    if not then.get("rules") or not now.get("rules"):
        return
    for plural, kind in PLURALS.items():
        before, after = (each["rules"].get(plural, {}) for each in (then, now))
        for key in sorted({*before, *after}):
            if key not in before or key not in after:
                present = "" if key not in before else "in the universe"
                yield RuleChange(kind, key, "", present, "in the universe" if key in after else "")
            else:
                yield from _compared(kind, key, before[key], after[key])


def _run(then: Record, now: Record) -> Iterable[RuleChange]:
    """Compare settings, versions and where prices come from; each library's version by itself."""
    for name in ("version", "base_currency", "source_identity"):
        yield from _compared("run", "", {name: str(then[name])}, {name: str(now[name])})
    before, after = (_settings(each["settings"]) for each in (then, now))
    yield from _compared("run", "", before, after)


def _settings(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in settings.items() if name not in (*ROLLING, "libraries")}
    libraries = (each.rpartition(" ") for each in settings.get("libraries", "").split(", "))
    return {**kept, **{name: version for name, _, version in libraries if name}}


def _compared(kind: str, key: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterable[RuleChange]:
    for name in sorted({*then, *now}):
        if then.get(name, "") != now.get(name, ""):
            yield RuleChange(kind, key, name, then.get(name, ""), now.get(name, ""))
