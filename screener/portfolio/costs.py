"""What trading costs, by kind and exchange. Orders and the backtest use the same numbers, those of costs.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from screener.errors import UserError

SHIPPED = Path(__file__).with_name("costs.toml")
KINDS = ("commission", "half-spread", "currency", "tax", "impact")
SESSIONS_PER_YEAR = 252
MOST_BPS = 5_000


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax on trades of a market from a date on, basis points of the value."""

    since: date
    buy_bps: float
    sell_bps: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What a trade costs. Linear kinds in basis points of its value, impact by the square root law.

    half_spreads: (least ADV in US dollars, basis points), largest ADV first, the last from 0 on. taxes: by MIC, in
    the order of their dates. withholding: fraction of a dividend kept back, by domicile; empty: none is.
    """

    commission_bps: float = 0.0
    currency_bps: float = 0.0
    half_spreads: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    impact_coefficient: float = 0.0
    taxes: Mapping[str, tuple[Tax, ...]] = field(default_factory=dict)
    withholding: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spreads = [bps for _, bps in self.half_spreads]
        for bps in (self.commission_bps, self.currency_bps, *spreads):
            if not isfinite(bps) or not 0 <= bps <= MOST_BPS:
                raise UserError(f"costs must be between 0 and {MOST_BPS:,} basis points, not {bps:g}")
        if not self.impact_coefficient >= 0:
            raise UserError(f"an impact coefficient must not be negative, not {self.impact_coefficient:g}")

    @classmethod
    def flat(cls, bps: float) -> Costs:
        """Return one cost for every trade: `--cost-bps`."""
        return cls(commission_bps=bps)

    @property
    def is_flat(self) -> bool:
        """Say whether every trade costs the same share of its value."""
        return self == Costs.flat(self.commission_bps)

    def half_spread(self, adv_usd: float) -> float:
        """Return the half spread in basis points of a name that trades so much a day; unknown counts as least."""
        return next((bps for least, bps in self.half_spreads if adv_usd >= least), self.half_spreads[-1][1])

    def tax(self, mic: str, on: date) -> Tax:
        """Return the tax on trades of a market on a date."""
        past = [each for each in self.taxes.get(mic, ()) if each.since <= on]
        return past[-1] if past else Tax(on, 0.0, 0.0)

    def rates(
        self, mic: str, on: date, *, foreign: bool, buying: bool, adv_usd: float = float("nan")
    ) -> dict[str, float]:
        """Return kind → fraction of value, without impact."""
        tax = self.tax(mic, on)
        return {
            "commission": self.commission_bps / 1e4,
            "half-spread": self.half_spread(adv_usd) / 1e4,
            "currency": self.currency_bps / 1e4 if foreign else 0.0,
            "tax": (tax.buy_bps if buying else tax.sell_bps) / 1e4,
        }

    def impact(self, value: float, adv: float, volatility: float) -> float:
        """Return the impact as a fraction of value; NaN where volume is unknown. volatility: annualised.

        coefficient × daily volatility × √(value / ADV), paid on the whole order (Almgren et al. 2005 find an
        exponent near 0.6; 0.5 is the usual rounding).
        """
        if value == 0 or self.impact_coefficient == 0:
            return 0.0
        if not adv > 0:
            return float("nan")
        return self.impact_coefficient * volatility / sqrt(SESSIONS_PER_YEAR) * sqrt(abs(value) / adv)


def load_costs(file: Path = SHIPPED, *, withholding: bool = False) -> Costs:
    """Return the costs of a file such as costs.toml. Raises UserError with a line for each fault.

    withholding: whether dividends lose the tax that their country keeps back.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file}: {error}") from None
    reader = _Reader(file.name, tables)
    classes = reader.classes()
    taxes = reader.taxes()
    made = {
        "commission_bps": reader.number("commission", "bps"),
        "currency_bps": reader.number("currency", "bps"),
        "impact_coefficient": reader.number("impact", "coefficient"),
    }
    kept = reader.withholding() if withholding else {}
    reader.unknown_tables()
    if reader.problems:
        raise UserError(*reader.problems)
    return Costs(half_spreads=classes, taxes=taxes, withholding=kept, **made)


class _Reader:
    """Reads the tables of a costs file and collects what is wrong with them."""

    def __init__(self, name: str, tables: Mapping[str, Any]) -> None:
        self.name, self.tables = name, tables
        self.problems: list[str] = []

    def number(self, table: str, key: str, most: float = MOST_BPS) -> float:
        """Return a number of a table."""
        found = self.tables.get(table)
        return self._number(found if isinstance(found, dict) else {}, key, f"[{table}]", most)

    def classes(self) -> tuple[tuple[float, float], ...]:
        """Return the half spreads, largest ADV first."""
        table = self.tables.get("spread")
        listed = table.get("classes") if isinstance(table, dict) else None
        if not isinstance(listed, list) or not listed:
            self.problems.append(f"{self.name}: [spread]: classes must be a list of at least one class")
            return ()
        found = []
        for number, each in enumerate(listed, start=1):
            where = f"[spread] class {number}"
            row = each if isinstance(each, dict) else {}
            found.append(
                (
                    self._number(row, "adv_usd", where, float("inf")),
                    self._number(row, "half_spread_bps", where),
                )
            )
        found.sort(reverse=True)
        if found[-1][0] != 0:
            self.problems.append(f"{self.name}: [spread]: a class with adv_usd = 0 must be there")
        return tuple(found)

    def taxes(self) -> dict[str, tuple[Tax, ...]]:
        """Return the taxes by market, in the order of their dates."""
        found: dict[str, list[Tax]] = {}
        listed = self.tables.get("tax", [])
        for number, each in enumerate(listed if isinstance(listed, list) else [None], start=1):
            where = f"[[tax]] {number}"
            row = each if isinstance(each, dict) else {}
            since, mics = row.get("since"), row.get("mics")
            if not isinstance(since, date):
                self.problems.append(f"{self.name}: {where}: since must be a date, not {since!r}")
            if not isinstance(mics, list) or not all(isinstance(mic, str) and len(mic) == 4 for mic in mics):
                self.problems.append(f"{self.name}: {where}: mics must be a list of MICs, not {mics!r}")
            both = self._number(row, "buy_bps", where), self._number(row, "sell_bps", where)
            if isinstance(since, date) and isinstance(mics, list):
                for mic in mics:
                    found.setdefault(str(mic), []).append(Tax(since, *both))
        return {mic: tuple(sorted(each, key=lambda tax: tax.since)) for mic, each in found.items()}

    def withholding(self) -> dict[str, float]:
        """Return the fraction of dividends kept back by domicile."""
        table = self.tables.get("withholding", {})
        return {
            key: self._number(table, key, "[withholding]", 1.0)
            for key in (table if isinstance(table, dict) else {})
            if key != "source"
        }

    def unknown_tables(self) -> None:
        """Report tables that mean nothing here."""
        known = ("commission", "currency", "spread", "impact", "tax", "withholding")
        self.problems += [
            f"{self.name}: [{each}] is not a table of a costs file; it may hold {', '.join(known)}"
            for each in self.tables
            if each not in known
        ]

    def _number(self, table: Mapping[str, Any], key: str, where: str, most: float = MOST_BPS) -> float:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            limit = "" if most == float("inf") else f" to {most:,g}"
            self.problems.append(f"{self.name}: {where}: {key} must be a number from 0{limit}, not {value!r}")
            return 0.0
        return float(value)
