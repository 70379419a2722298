"""Daily price limits: at one, whoever wants to go the same way finds nobody on the other side."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# Tokyo: base price below → limit, yen either way; https://www.jpx.co.jp/english/equities/trading/domestic/06.html
# (read November 2026). Limits widened after days without a trade are not known here.
TOKYO = np.array(
    [
        (100, 30), (200, 50), (500, 80), (700, 100), (1_000, 150), (1_500, 300), (2_000, 400), (3_000, 500),
        (5_000, 700), (7_000, 1_000), (10_000, 1_500), (15_000, 3_000), (20_000, 4_000), (30_000, 5_000),
        (50_000, 7_000), (70_000, 10_000), (100_000, 15_000), (150_000, 30_000), (200_000, 40_000),
        (300_000, 50_000), (500_000, 70_000), (700_000, 100_000), (1_000_000, 150_000),
        (1_500_000, 300_000), (2_000_000, 400_000),
    ],
    dtype=float,
)  # fmt: skip
# Shanghai and Shenzhen: ±10 %, STAR Market ±20 % (http://star.sse.com.cn/en/gettingstarted/features/trading), ChiNext
# ±20 % since its reform of 2020-08-24 (date from memory). ST shares, ±5 %, and the first days of a listing are not
# known here.
CHINA, GROWTH_BOARDS, CHINEXT_REFORM = 0.10, ("688", "689"), np.datetime64("2020-08-24")
CHINEXT = ("300", "301", "302")
CLOSE_ENOUGH = 1e-6  # relative; prices pass through an exchange rate and back


def at_limit(
    mic: str, symbol: str, prices: Floats, before: Floats, days: npt.NDArray[np.datetime64]
) -> tuple[Bools, Bools]:
    """Return T flags: at the upper limit, at the lower limit.

    prices, before: T, local currency per share as on the day; the price asked about and the close of the session before
    on the same footing. Markets without daily limits: none.
    """
    none = np.zeros(len(prices), dtype=bool)
    if mic == "XTKS":
        step = TOKYO[np.minimum(np.searchsorted(TOKYO[:, 0], before, side="right"), len(TOKYO) - 1), 1]
        upper, lower = before + step, before - step
    elif mic in ("XSHG", "XSHE"):
        share = np.full(len(prices), CHINA)
        if symbol.startswith(GROWTH_BOARDS):
            share[:] = 2 * CHINA
        elif symbol.startswith(CHINEXT):
            share[days >= CHINEXT_REFORM] = 2 * CHINA
        upper, lower = np.round(before * (1 + share), 2), np.round(before * (1 - share), 2)
    else:
        return none, none
    known = np.isfinite(prices) & np.isfinite(before) & (before > 0)
    slack = CLOSE_ENOUGH * before
    with np.errstate(invalid="ignore"):
        return known & (prices >= upper - slack), known & (prices <= lower + slack)
