"""The quality checks on real prices beside the project; all of these skip where ../shared is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.real_prices import (
    Verdict,
    broken_files,
    judge_broken,
    market_of,
    read_broken,
    read_folder,
    wealth,
)
from screener.market.quality import Finding, find, without_quarantined

# What moved over fourfold in a session: an over-the-counter shell twice, and a shell before its listing.
SET_ASIDE = {("AREC", 2017), ("AREC", 2018), ("ALOY", 2019), ("^N225", 2018)}


@pytest.fixture(scope="module")
def verdicts(shared_prices: Path) -> dict[str, Verdict]:
    return {each.name: each for each in map(judge_broken, broken_files(shared_prices))}


def test_of_the_broken_files_one_is_missed_and_the_sound_ones_are_left_alone(
    verdicts: dict[str, Verdict],
) -> None:
    counts = Counter(each.outcome for each in verdicts.values())
    assert counts == {"repaired": 27, "set aside": 5, "listed": 2, "missed": 1, "quiet": 6}
    # its dividends are all a hundredth of what was paid: nothing in the file says so
    assert [each.name for each in verdicts.values() if each.outcome == "missed"] == ["TENT-L-1d-bad-div"]


def test_nothing_of_a_sound_file_is_changed(shared_prices: Path) -> None:
    sound = [each for each in broken_files(shared_prices) if "no-bad" in each.name]
    assert len(sound) == 6
    for path in sound:
        bars = read_broken(path)
        mic = "XPAR" if path.stem.startswith(("IBE", "TISG")) else market_of(bars.symbol)  # Madrid, Milan
        assert not any(each.quarantined for each in find(bars, mic)), path.stem
        assert judge_broken(path).off == 0.0


def test_hardly_a_bar_of_the_real_prices_is_set_aside(shared_prices: Path) -> None:
    rows, aside = 0, []
    for bars, mic in read_folder(shared_prices / "2026"):
        rows += len(bars.table)
        aside += [each for each in find(bars, mic) if each.quarantined]
    assert rows > 390_000
    assert {(each.symbol, each.session.year) for each in aside} == SET_ASIDE
    assert len(aside) <= 35


def test_total_return_from_close_and_dividend_rebuilds_the_vendors_adjusted_close(
    shared_prices: Path,
) -> None:
    adjusted = {bars.symbol: bars.table["close"] for bars, _ in read_folder(shared_prices / "2026")}
    compared, names = 0, 0
    for bars, mic in read_folder(shared_prices / "2026_ohlcv"):
        assert not any(each.quarantined for each in find(bars, mic)), bars.symbol
        if bars.symbol not in adjusted:
            continue
        close, dividend = bars.table["close"], bars.table["dividend"]
        ours = close / (close.shift() - dividend)  # the vendor's convention, see docs/method.md
        theirs = adjusted[bars.symbol].pct_change() + 1
        both = (
            pd.concat([ours, theirs, _printed(adjusted[bars.symbol])], axis=1, join="inner")
            .dropna()
            .to_numpy()
        )
        apart = np.abs(both[:, 0] / both[:, 1] - 1)
        names += 1
        compared += len(apart)
        assert (apart < 1e-6 + both[:, 2]).all(), bars.symbol
    assert names >= 15 and compared > 30_000


def _printed(adjusted: pd.Series) -> pd.Series:
    """Return how far a day's growth may be off because the adjusted closes have six digits and no more."""
    half_digit = 0.5 * 10.0 ** (np.floor(np.log10(adjusted)) - 5) / adjusted
    return half_digit + half_digit.shift()


def test_an_unadjusted_consolidation_is_found(shared_prices: Path) -> None:
    """Lynas's ten for one of December 2017 is in the Sydney file of 2024/, as traded."""
    bars, mic = next((b, m) for b, m in read_folder(shared_prices / "2024") if b.symbol == "LYC.AX")
    found: tuple[Finding, ...] = find(bars, mic)
    assert [each.factor for each in found if each.check == "level_change"] == [10.0]
    moves = without_quarantined(bars, found).table["close"].pct_change().abs()
    assert moves.max() < 0.5
    assert wealth(bars) > 5 * wealth(without_quarantined(bars, found))
