"""The values a universe is made of. Reading them from files is load.py's business."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date

CHINA_DEPENDENCE = ("low", "medium", "high", "china-domiciled")
PURITY = ("pure-play", "major", "minor", "indirect", "none")  # most to least driven by rare earths
KINDS = ("equity", "etf", "index")
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
    listed_from: date | None = None  # earlier rows belong to another security (a SPAC's shell)
    delisted_on: date | None = None  # first session without trading
    terminal_value: float | None = None  # in quote currency, what a holder received; None: last price
    predecessor: str = ""
    lot_size: int = 1
    tags: tuple[str, ...] = ()
    verified: str = "no"  # yes, partial, no
    sources: tuple[str, ...] = ()
    note: str = ""

    def segments(self) -> tuple[str, ...]:
        """Return the primary segment, then the others."""
        return (self.segment, *self.other_segments)


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
            (self.domicile, (instrument.domicile,)),
            (self.materials, instrument.materials),
            (self.tags, instrument.tags),
        )
        asked = [(words, has) for words, has in wanted if words]
        if not asked and not self.not_domicile:
            return False  # a rule of includes alone selects nothing else
        return instrument.domicile not in self.not_domicile and all(
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

    def members(self, theme: Theme, on: date) -> tuple[Instrument, ...]:
        """Return the theme's instruments that were listed on a date, in symbol order."""
        return tuple(
            each
            for each in self.instruments.values()
            if theme.rule.matches(each)
            and (each.listed_from is None or each.listed_from <= on)
            and (each.delisted_on is None or on < each.delisted_on)
        )

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
