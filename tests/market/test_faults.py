"""The gate: planted faults are found, clean prices are left alone, a flipped unit moves no portfolio."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from benchmarks import faults
from screener.market.bars import Bars, bars_table
from screener.market.panel import build
from screener.market.quality import find, without_quarantined
from screener.universe.model import Instrument


@pytest.fixture(scope="module")
def outcome() -> faults.Outcome:
    return faults.run(seed=11, panels=50, each_fault=6)


def test_at_least_95_percent_of_over_25_kinds_of_fault_are_found(outcome: faults.Outcome) -> None:
    assert len(faults.FAULTS) >= 25
    assert outcome.recall >= 0.95
    missed = {name for name in faults.FAULTS if outcome.found[name] == 0}
    assert not missed


def test_clean_panels_raise_at_most_one_alarm_in_10_000_bars(outcome: faults.Outcome) -> None:
    assert outcome.clean_bars > 300_000
    assert outcome.alarms_per_10_000 <= 1.0


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_three_day_flip_of_units_moves_a_portfolios_total_return_by_less_than_a_tenth_of_a_percent(
    factor: float,
) -> None:
    rng = np.random.default_rng(5)
    clean = {f"N{number}": faults.clean(rng, ("XLON", "GBp")) for number in range(10)}
    flipped = dict(clean)
    table = clean["N3"].table.copy()
    table.iloc[400:403, :4] *= factor
    flipped["N3"] = faults.Raw(table, "XLON", "GBp")
    honest, glitched = (_equal_weight_wealth(each) for each in (clean, flipped))
    assert abs(glitched / honest - 1) < 0.001


def _equal_weight_wealth(names: dict[str, faults.Raw]) -> float:
    """Daily rebalanced to equal weights: the portfolio a glitch hurts most."""
    instruments, clean = {}, {}
    now = datetime(2026, 2, 1, tzinfo=UTC)
    for symbol, raw in names.items():
        instruments[symbol] = Instrument(
            symbol, symbol, symbol, symbol.lower(), "equity", raw.mic, raw.currency, "GB", "mining"
        )
        served = Bars(symbol, bars_table(raw.table), raw.currency, "bench, synthetic", now)
        clean[symbol] = without_quarantined(served, find(served, raw.mic))
    weekdays = pd.bdate_range(faults.FIRST, faults.LAST)
    pound = bars_table(pd.DataFrame({"close": 1.25}, index=weekdays))
    clean["GBPUSD=X"] = Bars("GBPUSD=X", pound, "USD", "bench, synthetic", now)
    panel, _ = build(clean, instruments, "USD", date(2026, 1, 30), now)
    returns = panel.prices.to_numpy()[1:] / panel.prices.to_numpy()[:-1] - 1
    return float(np.prod(1 + returns.mean(axis=1)))


def test_every_kind_of_fault_changes_what_it_is_planted_in() -> None:
    for number, (name, (plant, _)) in enumerate(faults.FAULTS.items()):
        rng = np.random.default_rng([1, number])
        raw = faults.clean(rng)
        faulty = plant(rng, raw)
        changed = (
            not faulty.table.equals(raw.table)
            or faulty.told
            or faulty.served_currency
            or faulty.adjusted is not raw.adjusted
            or faulty.fetched_at != raw.fetched_at
        )
        assert changed and faulty.planted, name
