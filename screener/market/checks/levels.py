"""Checks of the price level: other units, unapplied splits, spikes.

Everything that quarantines looks only backwards: whether a bar is set aside depends on bars up to it. A bar that
jumps too far waits. It is set aside until the level returns, until a split explains the jump, or until the
new level has lasted for LONGEST_WAIT bars. So a backtest on cleaned prices cannot learn from the way back.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from screener.market.checks.series import LEVEL, Series, Spot

LONGEST_WAIT = 10  # bars; a level that lasts longer is believed
# between two bars; the largest real move in 470,000 bars of listed names is 2.6-fold
JUMP = float(np.log(4.0))
CURRENCY_JUMP = float(np.log(1.5))  # no currency of an exchange we know has moved by half in a day
NEAR = float(np.log(1.6))  # how far from 100 times a glitch may be: the price itself moves as well
# What a lasting level may have been multiplied by without a split to say so: consolidations, and units.
ROUND_RATIOS = np.array([10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0, 1000.0, 10000.0])
ROUND_NEAR = float(np.log(1.2))
UNITS = np.log([100.0, 1000.0, 10000.0])
SMALLEST_SPLIT = float(np.log(1.2))  # below it a split cannot be told from an ordinary day
CLEAR_SPLIT = float(np.log(1.8))
SPLIT_WINDOW = 10  # sessions between a split's date and the prices that show it
ON_ITS_DATE, AFTER_ITS_DATE = (
    1 / 3,
    1 / 6,
)  # how far from a split's size, in logs, a move may be that shows it
SPIKE, SMALLEST_SPIKE = 12.0, float(np.log(1.25))  # robust deviations, and a size that panics seldom reach
SHORT_SPIKE = float(np.log(1.6))  # where there are too few bars to know what is usual


def level_breaks(s: Series) -> Iterator[Spot]:
    """Jumps too far to be believed at once, with the splits that explain them."""
    if len(s.good) < 2:
        return
    limit = JUMP if s.mic else CURRENCY_JUMP
    splits = _splits(s)
    # what a payout on the ex-date explains is no jump
    suspects = set(np.flatnonzero((np.abs(s.steps) >= limit) & (np.abs(s.total_steps) >= limit)).tolist())
    explained = _explained_steps(s, splits)
    handled = -1  # position in `good` of the last bar that is settled
    for step in sorted(suspects | explained.keys()):
        if step + 1 <= handled:
            continue
        if step in explained:
            kind, ratio, factor = explained[step]
            yield _level(s, step + 1, kind, factor, f"split {ratio:g}")
            handled = step + 1
            continue
        handled = yield from _wait(s, step, limit, splits)
    yield from _late_splits(s, splits, {step + 1 for step in explained})


def _wait(s: Series, step: int, limit: float, splits: dict[int, float]) -> Generator[Spot, None, int]:
    """Set bars aside from a jump on, until it is settled. Returns the position of the last settled bar."""
    logs, base = s.logs, s.logs[step]
    before = float(s.close[s.good[step]])
    at = step + 1
    waited = 0
    jump = logs[at] - base
    while at < len(logs):
        away = logs[at] - base
        if abs(away) < limit:
            return at  # the level is back
        if away * jump < 0 or abs(away - jump) > max(2 * NEAR, 0.5 * abs(jump)):
            jump, waited = away, 0  # elsewhere again: the wait begins anew
        event = next((splits[at - back] for back in range(SPLIT_WINDOW + 1) if at - back in splits), None)
        if event is not None and (found := _match(away, event)) is not None:
            yield _level(s, at, *found, f"split {event:g}")
            return at
        if waited == LONGEST_WAIT:
            unit = _nearest_round(jump)
            if unit is not None:
                yield _level(
                    s, at, "level_change", unit, f"a ratio near {_ratio(unit)} lasts without a split"
                )
            return at
        hundredfold = np.abs(np.abs(away) - UNITS).min() < NEAR
        row = int(s.good[at])
        yield Spot(
            "hundredfold_glitch" if hundredfold else "implausible_jump",
            row,
            f"close {s.close[row]:g} is {s.close[row] / before:.3g} times the {before:g} before it",
        )
        waited += 1
        at += 1
    return at


def _splits(s: Series) -> dict[int, float]:
    """Return position in `good` → the split ratio that takes effect there, where it is large enough to see."""
    rows = np.flatnonzero((s.split != 1) & (s.split > 0) & np.isfinite(s.split))
    found = {}
    for row in rows.tolist():
        if abs(np.log(s.split[row])) >= SMALLEST_SPLIT:
            found[int(np.searchsorted(s.good, row))] = float(s.split[row])
    return found


def _match(move: float, ratio: float, within: float = ON_ITS_DATE) -> tuple[str, float] | None:
    """Return the check and the factor for earlier prices if a move shows a split that they do not contain."""
    size = np.log(ratio)
    if abs(move + size) < abs(size) * within:
        return "split_not_applied", 1.0 / ratio
    if abs(move - size) < abs(size) * within:
        return "split_applied_twice", ratio
    return None


def _explained_steps(s: Series, splits: dict[int, float]) -> dict[int, tuple[str, float, float]]:
    """Return step → check, split ratio, factor, for splits that the prices show on their date or soon after."""
    found: dict[int, tuple[str, float, float]] = {}
    for at, ratio in splits.items():
        size = abs(np.log(ratio))
        usual = s.spread_before(at - 1)
        for step in range(max(at - 1, 0), min(at + SPLIT_WINDOW, len(s.steps))):
            clear = size >= CLEAR_SPLIT or (step == at - 1 and size > 6 * usual)
            within = ON_ITS_DATE if step == at - 1 else AFTER_ITS_DATE
            matched = _match(float(s.steps[step]), ratio, within) if clear else None
            if matched is not None and _match(float(s.total_steps[step]), ratio, within) == matched:
                found[step] = (matched[0], ratio, matched[1])
                break
    return found


def _late_splits(s: Series, splits: dict[int, float], settled: set[int]) -> Iterator[Spot]:
    """Splits that the prices showed some sessions before their date: told, not repaired, for it was not known then."""
    for at, ratio in splits.items():
        if abs(np.log(ratio)) < CLEAR_SPLIT or at in settled:
            continue
        for step in range(max(at - SPLIT_WINDOW - 1, 0), min(at - 1, len(s.steps))):
            matched = _match(float(s.steps[step]), ratio, AFTER_ITS_DATE)
            back = step + 1 < len(s.steps) and abs(s.steps[step] + s.steps[step + 1]) < abs(s.steps[step]) / 2
            if matched is not None and abs(s.steps[step]) < JUMP and not back:
                row = int(s.good[step + 1])
                yield Spot(
                    "split_before_its_date",
                    row,
                    f"prices before it look {1 / matched[1]:.4g} times too high; a split {ratio:g} "
                    f"is dated {s.days[s.good[min(at, len(s.good) - 1)]]}",
                )


def _nearest_round(jump: float) -> float | None:
    """Return the factor that puts earlier prices on a level that lasts, None if no round ratio is near."""
    distances = np.abs(np.abs(jump) - np.log(ROUND_RATIOS))
    nearest = int(np.argmin(distances))
    if distances[nearest] > (NEAR if ROUND_RATIOS[nearest] >= 100 else ROUND_NEAR):
        return None
    return float(ROUND_RATIOS[nearest] ** np.sign(jump))


def _ratio(factor: float) -> str:
    return f"{factor:g}" if factor >= 1 else f"1/{1 / factor:g}"


def _level(s: Series, at: int, check: str, factor: float, why: str) -> Spot:
    row = int(s.good[at])
    return Spot(check, row, f"earlier prices × {factor:.6g} stand on this footing: {why}", LEVEL, factor)


def spikes(s: Series) -> Iterator[Spot]:
    """Moves of one bar that the next one takes back. Known one bar late, so told and kept."""
    steps = s.steps
    if len(steps) < 4:
        return
    moved = steps[steps != 0]
    if not len(moved):
        return
    spread = 1.4826 * float(np.median(np.abs(moved - np.median(moved))))
    smallest = SMALLEST_SPIKE if len(steps) >= 30 else SHORT_SPIKE
    out, back = steps[:-1], steps[1:]
    found = (np.abs(out) > max(SPIKE * spread, smallest)) & (np.abs(out + back) < 0.2 * np.abs(out))
    for step in np.flatnonzero(found & (np.abs(out) < JUMP)).tolist():
        yield Spot(
            "spike_that_reverts",
            int(s.good[step + 1]),
            f"moved {np.expm1(out[step]):+.1%} and back {np.expm1(back[step]):+.1%} the next session",
        )
