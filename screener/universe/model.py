"""The values a universe is made of. Reading them from files is load.py's business."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from datetime import time as clock_time
from zoneinfo import ZoneInfo

from screener.errors import UserError, unknown

CHINA_DEPENDENCE = ("low", "medium", "high", "china-domiciled")
PURITY = ("pure-play", "major", "minor", "indirect", "none")  # most to least driven by rare earths
KINDS = ("equity", "etf", "index")
USES = ("event_study", "stress_window", "survivorship", "data_boundary", "calendar", "context")  # of an event
UNLISTED = ("private", "state", "project", "agency", "unconfirmed")  # why an organisation has no row to trade
PREDECESSORS = ("renamed", "shell", "other")  # only what was merely renamed is the same economic interest
GROUPS = ("light_rare_earth", "heavy_rare_earth", "minor_metal", "base_metal", "compound", "other")
JUDGED = ("segment", "other_segments", "purity", "china_dependence", "tags")  # never sourced, always judged
STATE_GROUP = "state_group"  # tag of the lines of a group that a state owns: a domicile class of its own
SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-=^]{0,15}")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listed line of one issuer, and where its issuer stands on the supply chain."""

    symbol: str
    name: str
    name_ja: str
    issuer: str  # two lines of one company share it
    kind: str  # one of KINDS; only an equity is screened, the others are benchmarks
    mic: str  # ISO 10383 market code
    currency: str  # as quoted; GBp is pence
    domicile: str  # ISO 3166 alpha-2
    segment: str
    other_segments: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    purity: str = "none"
    china_dependence: str = "low"
    # of this company under any symbol; earlier rows are another's (a shell's)
    listed_from: date | None = None
    delisted_on: date | None = None  # first session without trading
    terminal_value: float | None = None  # in quote currency, what a holder received; None: last price
    predecessor: str = ""
    lot_size: int = 1
    tags: tuple[str, ...] = ()
    verified: str = "no"  # yes, partial, no
    sources: tuple[str, ...] = ()
    note: str = ""
    operations: tuple[
        str, ...
    ] = ()  # countries of its mines and plants, ISO 3166 alpha-2; "" is the domicile
    predecessor_kind: str = ""  # one of PREDECESSORS
    delisting: str = ""  # why it left the exchange
    checked_on: date | None = None  # when its facts were last compared with their sources
    from_memory: tuple[str, ...] = ()  # facts that no source was read for

    def segments(self) -> tuple[str, ...]:
        """Return the primary segment, then the others."""
        return (self.segment, *self.other_segments)

    @property
    def countries(self) -> tuple[str, ...]:
        """Return where it operates; without a statement, its domicile."""
        return self.operations or (self.domicile,)

    @property
    def domicile_class(self) -> str:
        """Return the domicile, with the groups that a state owns apart: "CN state"."""
        return f"{self.domicile} state" if STATE_GROUP in self.tags else self.domicile

    @property
    def domiciles(self) -> tuple[str, ...]:
        """Return what a rule may call its domicile: the country and, of a group that a state owns, the class."""
        return tuple(dict.fromkeys((self.domicile, self.domicile_class)))

    def is_listed(self, on: date) -> bool:
        """Say whether it traded on a date."""
        begun = self.listed_from is None or self.listed_from <= on
        return begun and (self.delisted_on is None or on < self.delisted_on)

    def basis(self, fact: str) -> str:
        """Say what a fact of this row rests on: judgement, memory or source."""
        if fact in JUDGED:
            return "judgement"
        return "memory" if self.verified == "no" or fact in self.from_memory else "source"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stage of the chain; `order` runs from mine (low) to data centre (high)."""

    key: str
    order: int
    label: str
    label_ja: str
    china_share: float | None = None  # fraction of world output
    china_share_year: int | None = None
    source: str = ""
    checked_on: date | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """An element, a compound or a product as instruments name it, and what it serves on the chain."""

    key: str
    label: str
    label_ja: str
    group: str  # one of GROUPS
    uses: tuple[tuple[str, str], ...]  # (segment, product)
    elements: tuple[str, ...] = ()  # what a compound is counted as; empty: itself
    control: str = ""  # China's export control of it
    suspended_until: date | None = None  # end of a suspension of that control
    verified: str = "no"
    sources: tuple[str, ...] = ()
    checked_on: date | None = None


@dataclass(frozen=True, slots=True)
class Organisation:
    """A company, state group, project or agency that stands on the chain and cannot be bought on an exchange."""

    key: str
    name: str
    name_ja: str
    kind: str  # one of UNLISTED
    domicile: str
    segment: str
    status: str  # why it is not listed, in words
    status_on: date | None = None
    other_segments: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    owner: str = ""  # an issuer, an organisation, or a name
    verified: str = "no"
    sources: tuple[str, ...] = ()
    checked_on: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which instruments belong: every non-empty field must match, any of its words suffices.

    `include` adds symbols whatever the fields say, `exclude` removes them.
    """

    segments: tuple[str, ...] = ()  # primary or other
    purity: tuple[str, ...] = ()
    china_dependence: tuple[str, ...] = ()
    domicile: tuple[str, ...] = ()
    not_domicile: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def matches(self, instrument: Instrument) -> bool:
        """Say whether an instrument belongs."""
        if instrument.symbol in self.exclude:
            return False
        if instrument.symbol in self.include:
            return True
        wanted = (
            (self.segments, instrument.segments()),
            (self.purity, (instrument.purity,)),
            (self.china_dependence, (instrument.china_dependence,)),
            (self.domicile, instrument.domiciles),
            (self.materials, instrument.materials),
            (self.tags, instrument.tags),
        )
        asked = [(words, has) for words, has in wanted if words]
        if not asked and not self.not_domicile:
            return False  # a rule of includes alone selects nothing else
        return not set(self.not_domicile) & set(instrument.domiciles) and all(
            set(words) & set(has) for words, has in asked
        )


@dataclass(frozen=True, slots=True)
class Theme:
    """A rule that selects instruments, and how a portfolio of them is weighted and judged."""

    key: str
    label: str
    label_ja: str
    rule: Rule
    method: str = "equal_risk_contribution"
    max_weight: float = 0.10  # per issuer, fraction of the portfolio
    max_segment_weight: float = 1.0
    limits: tuple[str, ...] = ()  # further ones, sentences of portfolio/limits.py
    risk_budgets: tuple[str, ...] = ()  # such as "segment mining = 30%", of portfolio/risk_budget.py
    benchmark: str = ""  # a benchmark symbol of the universe
    known_from: date | None = None  # the theme was an idea from here on; earlier results are hindsight
    note: str = ""


@dataclass(frozen=True, slots=True)
class ScreenRule:
    """`metric comparison bound`, for example adv >= 1e6. Metrics are named in screening/metrics.py."""

    metric: str
    comparison: str  # one of >=, <=, >, <
    bound: float


@dataclass(frozen=True, slots=True)
class ScreenSpec:
    """A named set of rules and the weighted metrics (higher is better; negative weight reverses) that rank."""

    key: str
    label: str
    label_ja: str
    rules: tuple[ScreenRule, ...]
    rank_by: tuple[tuple[str, float], ...]
    where: str = ""  # an SQL condition over the metrics table, beside the rules
    within: str = ""  # "segment": percentiles that rank are taken within each segment


@dataclass(frozen=True, slots=True)
class SupplyEvent:
    """A dated supply shock or policy event."""

    key: str
    day: date
    end_day: date | None
    title: str
    title_ja: str
    kind: str
    segments: tuple[str, ...]
    sources: tuple[str, ...]
    verified: str
    checked_on: date | None = None
    outcome: str = ""  # what came of a scheduled date
    use: str = "event_study"  # one of USES: what it may be computed with
    zone: str = "UTC"  # IANA time zone that `day` and `time` are in
    time: str = ""  # HH:MM from which it was out, the earliest the sources allow; "": only the day is known
    note: str = ""

    def instant(self, assumed: str = "00:00") -> datetime:
        """Return the instant (UTC) from which it can have been known: its time, else `assumed`, in its zone."""
        clock = clock_time.fromisoformat(self.time or assumed)
        return datetime.combine(self.day, clock, ZoneInfo(self.zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named shock of the chain; how far stages move is measured from past events, not stated."""

    key: str
    label: str
    label_ja: str
    kinds: tuple[str, ...]  # events of these kinds count
    segments: tuple[str, ...]  # and hit one of these stages; also the stages that move
    first: int = 0  # own sessions from the first that could react
    last: int = 4
    note: str = ""


@dataclass(frozen=True, slots=True)
class Universe:
    """Everything a folder under universes/ states, in symbol order. Loaders have checked every reference."""

    key: str
    label: str
    label_ja: str
    instruments: Mapping[str, Instrument]  # screenable equities by symbol, delisted ones included
    benchmarks: Mapping[str, Instrument]
    segments: Mapping[str, Segment]  # by key, upstream to downstream
    themes: Mapping[str, Theme]
    screens: Mapping[str, ScreenSpec]
    events: tuple[SupplyEvent, ...] = field(default=())
    materials: Mapping[str, Material] = field(default_factory=dict)
    organisations: Mapping[str, Organisation] = field(default_factory=dict)
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)

    def listed(self, on: date) -> list[str]:
        """Return the symbols of the instruments listed on a date, in order."""
        return [symbol for symbol, each in self.instruments.items() if each.is_listed(on)]

    def members(self, theme: Theme, on: date) -> tuple[Instrument, ...]:
        """Return the theme's instruments that were listed on a date, in symbol order."""
        return tuple(each for each in self.belonging(theme) if each.is_listed(on))

    def belonging(self, theme: Theme) -> tuple[Instrument, ...]:
        """Return the instruments that the theme's rule selects on whatever date, in symbol order."""
        return tuple(each for each in self.instruments.values() if theme.rule.matches(each))

    def elements_of(self, instrument: Instrument) -> tuple[str, ...]:
        """Return the elements an instrument's materials count as, none twice, in the order they are stated."""
        found: dict[str, None] = {}
        for word in instrument.materials:
            material = self.materials.get(word)
            found.update(dict.fromkeys(material.elements if material and material.elements else (word,)))
        return tuple(found)

    def everything(self) -> dict[str, Instrument]:
        """Return instruments and benchmarks together, in symbol order."""
        return dict(sorted({**self.instruments, **self.benchmarks}.items()))

    def content_hash(self) -> str:
        """Return a SHA-256 of the content, independent of formatting and row order in the files."""
        digest = hashlib.sha256()
        for each in fields(self):
            value = getattr(self, each.name)
            items = sorted(value.items()) if isinstance(value, Mapping) else value
            digest.update(f"{each.name}={items!r}\n".encode())
        return digest.hexdigest()


def theme_named(universe: Universe, key: str) -> Theme:
    """Return a theme by its key, or raise UserError with the nearest one."""
    if key not in universe.themes:
        raise UserError(unknown("theme", key, list(universe.themes)))
    return universe.themes[key]
