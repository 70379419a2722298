"""Checks of dividends and splits: against the price on the ex-date, earlier ones and the vendor's adjusted close.

A dividend that is wrong is left out or put in its unit; the bar stays. What is decided about a dividend depends on
bars up to its ex-date only.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from screener.market.checks.series import DIVIDEND, Floats, Series, Spot

HISTORY = 8  # earlier dividends that say what is usual
UNIT_NEAR = 1.4  # a ratio of 100 may be off by this factor: dividends change
STEADY = 3.0
MOST_USUAL = 0.08  # of the price; payouts above it are seen on the ex-date
SEEN = 6.0  # robust deviations a dividend must have to be missed in the price
UNSEEN = 0.35  # the price fell by less than this share of the dividend
TWICE_WITHIN, TWICE_NEAR = 5, 1.1  # sessions; the same dividend again is a duplicate
SPECIAL, SPECIAL_RATIO, SPECIAL_SMALLEST = 0.10, 4.0, 0.03
TOLERATED = 0.005  # between the vendor's adjusted close and ours, a fraction


def dividends(s: Series) -> Iterator[Spot]:
    """Dividends in another unit, not seen in the price, or told twice; special ones are flagged."""
    implied = implied_yields(s)
    accepted: list[tuple[int, float]] = []  # row, dividend per share as it should be
    for row in np.flatnonzero((s.dividend > 0) & np.isfinite(s.dividend)).tolist():
        amount, before = float(s.dividend[row]), _close_before(s, row)
        if before is None:
            accepted.append((row, amount))
            continue
        told = float("nan") if implied is None else float(implied[row])
        usual = [each for _, each in accepted[-HISTORY:]]
        fault = _fault(s, row, (amount, before), told, usual)
        if fault is None and _told_twice(accepted, row, amount):
            when = s.days[accepted[-1][0]]
            fault = Spot("dividend_told_twice", row, f"dividend {amount:g} again after {when}", DIVIDEND, 0.0)
        if fault is not None:
            yield fault
            if fault.factor:
                accepted.append((row, amount * fault.factor))
            continue
        accepted.append((row, amount))
        if amount / before >= SPECIAL or (
            len(usual) >= 3
            and amount > SPECIAL_RATIO * statistics.median(usual)
            and amount / before > SPECIAL_SMALLEST
        ):
            usual_text = f", {amount / statistics.median(usual):.2g} times the usual" if usual else ""
            yield Spot("special_dividend", row, f"pays {amount / before:.1%} of the price{usual_text}")


def _fault(s: Series, row: int, paid: tuple[float, float], told: float, usual: list[float]) -> Spot | None:
    """Return what is wrong with one dividend by its size; `told` is the yield that the adjusted close implies."""
    amount, before = paid
    share = amount / before
    hundred = _near(share / told, 100) if told > 0 else False
    split = float(s.split[row])
    if told > 0 and split > 0 and abs(np.log(split)) > np.log(1.2) and _near(share / told, split, 1.1):
        return _in_unit(
            row, amount, 1 / split, f"the adjusted close implies a {split:g}th: the split is not in it"
        )
    if hundred and share > MOST_USUAL and _is_unseen(s, row, share, SEEN / 2):
        return _in_unit(row, amount, 0.01, f"{share:.0%} of the price; the adjusted close implies {told:.2%}")
    if told > 0 and _near(told / share, 100) and told < MOST_USUAL:
        return _in_unit(
            row, amount, 100.0, f"{share:.3%} of the price; the adjusted close implies {told:.2%}"
        )
    if len(usual) >= 2:
        median = statistics.median(usual)
        if _near(amount / median, 100) and _is_unseen(s, row, share):
            return _in_unit(row, amount, 0.01, f"{amount / median:.3g} times the usual {median:g}")
        steady = max(usual) <= STEADY * min(
            usual
        )  # egg producers do pay a hundredth of last quarter's dividend
        if steady and _near(median / amount, 100) and 100 * share < MOST_USUAL:
            return _in_unit(row, amount, 100.0, f"{amount / median:.3g} times the usual {median:g}")
    if share > MOST_USUAL and _is_unseen(s, row, share):
        text = f"dividend {amount:g} is {share:.0%} of the price, which did not fall; it is left out"
        return Spot("dividend_not_in_price", row, text, DIVIDEND, 0.0)
    return None


def _in_unit(row: int, amount: float, factor: float, why: str) -> Spot:
    return Spot(
        "dividend_in_other_unit",
        row,
        f"dividend {amount:g} is read as {amount * factor:g}: {why}",
        DIVIDEND,
        factor,
    )


def _near(ratio: float, target: float, within: float = UNIT_NEAR) -> bool:
    return bool(target / within < ratio < target * within)


def _is_unseen(s: Series, row: int, share: float, seen: float = SEEN) -> bool:
    """Say whether a dividend is large against the usual moves, and the price did not fall by it."""
    at = int(np.searchsorted(s.good, row))
    if at == len(s.good) or s.good[at] != row:
        return False  # its close is set aside: nothing to see it in
    usual = s.spread_before(at - 1)
    move = float(s.steps[at - 1])
    clear = share >= 0.9 or share > seen * (usual if usual == usual else 0.02)
    return bool(clear and move > -UNSEEN * share)


def _told_twice(accepted: list[tuple[int, float]], row: int, amount: float) -> bool:
    if not accepted:
        return False
    earlier, paid = accepted[-1]
    return row - earlier <= TWICE_WITHIN and _near(amount / paid, 1.0, TWICE_NEAR)


def _close_before(s: Series, row: int) -> float | None:
    at = int(np.searchsorted(s.good, row))
    return float(s.close[s.good[at - 1]]) if at else None


def implied_yields(s: Series) -> Floats | None:
    """Return T: the dividend that the vendor's adjusted close implies, as a fraction of the close before; first 0.

    For a dividend D with ex-date t Yahoo multiplies all earlier closes by 1 − D/C[t−1]. None without adjusted
    closes; NaN where one is missing or not positive.
    """
    if s.adjusted is None or not len(s):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where((s.adjusted > 0) & (s.close > 0), s.adjusted / s.close, np.nan)
        return np.concatenate((np.zeros(1), 1.0 - factor[:-1] / factor[1:]))


def vendor_differences(s: Series) -> Iterator[Spot]:
    """Ex-dates on which the vendor's adjusted close and the dividends differ by more than 0.5 % of the price."""
    implied = implied_yields(s)
    if implied is None:
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        ours = np.r_[0.0, s.dividend[1:] / s.close[:-1]]
        apart = implied - ours
    for row in np.flatnonzero(np.abs(apart) > TOLERATED).tolist():
        yield Spot(
            "vendor_adjusted_differs",
            row,
            f"the vendor's adjusted close implies a payout of {implied[row]:.2%}, the dividend is {ours[row]:.2%}",
        )
    known = np.isfinite(implied) & np.isfinite(ours) & (np.abs(apart) <= TOLERATED)
    drift = float(np.sum(np.log1p(-np.minimum(ours, 0.99)[known]) - np.log1p(-implied[known])))
    if abs(drift) > TOLERATED:
        yield Spot(
            "vendor_adjusted_differs",
            len(s) - 1,
            f"small differences on other dates add up: the vendor's total return is {np.expm1(drift):+.2%} of ours",
        )


def odd_splits(s: Series) -> Iterator[Spot]:
    """Split ratios that are no ratio of small whole numbers: spin-offs are often told so."""
    for row in np.flatnonzero((s.split != 1) & (s.split > 0) & np.isfinite(s.split)).tolist():
        ratio = float(s.split[row])
        near = Fraction(ratio if ratio >= 1 else 1 / ratio).limit_denominator(20)
        if abs(float(near) / max(ratio, 1 / ratio) - 1) > 1e-3:
            yield Spot(
                "spin_off",
                row,
                f"split ratio {ratio:g} is not one of small whole numbers: a spin-off perhaps",
            )
