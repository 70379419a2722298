"""Each misbehaviour of the service × what the user sees × what is in the store afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stand_in_yahoo.guard import stay_on_this_machine
from tests.stand_in_yahoo.matrix import CASES, run_case

KEPT, WHOLE = "253 bars to 2026-07-02", "258 bars to 2026-07-10"
QUIET = "fetched, nothing to say"
ELSEWHERE = "query2.finance.yahoo.com"
EXPECTED = {
    "answers as it should": (QUIET, 0, WHOLE),
    "404, unknown symbol": (
        "no such symbol; No data found, symbol may be delisted; refused on 2026-07-11",
        3,
        KEPT,
    ),
    "401 once, crumb too old": (QUIET, 0, WHOLE),
    "401 always": (f"unreachable; {ELSEWHERE} answered HTTP 401 instead of prices (4 attempts)", 3, KEPT),
    "429 once": (QUIET, 0, WHOLE),
    "429 always": (f"rate limited; {ELSEWHERE} answered: too many requests (HTTP 429) (4 attempts)", 3, KEPT),
    "429 once, Retry-After: 1": (QUIET, 0, WHOLE),
    "429, Retry-After: 3600": ("too many requests (HTTP 429, wait 3600 s)", 3, KEPT),
    "500 once": (QUIET, 0, WHOLE),
    "500 always": (f"unreachable; {ELSEWHERE} answered HTTP 500 instead of prices (4 attempts)", 3, KEPT),
    "HTML consent page": (f"unreachable; {ELSEWHERE} answered with a web page instead of prices", 3, KEPT),
    "truncated JSON": ("malformed; the answer breaks off or is no JSON", 3, KEPT),
    "empty result": ("no such symbol; Yahoo knows no MP", 3, KEPT),
    "no rows in the span (400)": ("no data; Yahoo has no rows since 2026-06-18", 3, KEPT),
    "two rows of null": (
        "rows without prices left out: 2, the newest of 2026-07-08",
        0,
        "256 bars to 2026-07-10, 2 gaps",
    ),
    "newest row with a volume and no prices": (
        "newest row dropped: 2026-07-10 has a volume and no prices",
        0,
        "257 bars to 2026-07-09",
    ),
    "a row sent twice": ("rows that came twice kept once: 1, the newest of 2026-07-08", 0, WHOLE),
    "a date sent twice with different prices": (
        "dates that came twice with different prices left out: 1, the newest 2026-07-08 (closes ",
        0,
        "257 bars to 2026-07-10, 1 gaps",
    ),
    "newest date twice, the second a live row": (QUIET, 0, WHOLE),
    "rows out of order": ("rows came out of order and were sorted", 0, WHOLE),
    "slow drip": ("timed out; query2.finance.yahoo.com was reached and did not finish its answer", 3, KEPT),
    "no answer": ("timed out; query2.finance.yahoo.com was reached and did not finish its answer", 3, KEPT),
    "connection reset": ("unreachable; ", 3, KEPT),
    "body cut off": ("unreachable; ", 3, KEPT),
    "wrong currency (GBp for USD)": (
        "malformed; quoted in GBp; the universe and all that is stored say USD",
        3,
        KEPT,
    ),
    "shifted time zone (Tokyo for New York)": (
        "malformed; the answer dates its rows by Asia/Tokyo, the exchange keeps America/New_York",
        3,
        KEPT,
    ),
    "100× glitch on three rows": (
        "restated: 1 of 253 rows changed (open, high, low, close), 0 withdrawn, from 2026-07-02, close ratio 100",
        0,
        f"{WHOLE}, 1 in two versions, 3 quarantined",
    ),
    "split known late (4:1)": (
        "restated: 253 of 253 rows changed (open, high, low, close), 0 withdrawn, from 2025-07-01, "
        "close ratio 0.25: a split that came late",
        0,
        f"{WHOLE}, 253 in two versions",
    ),
    "dividend known late": (
        "restated: 1 of 253 rows changed (dividend), 0 withdrawn, from 2026-06-30",
        0,
        f"{WHOLE}, 1 in two versions",
    ),
}


def test_every_case_of_the_matrix_has_its_expectation() -> None:
    assert list(CASES) == list(EXPECTED)


@pytest.mark.parametrize("name", CASES)
def test_the_user_is_told_the_truth_and_the_store_is_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_on_this_machine(monkeypatch)
    line = run_case(name, tmp_path)
    seen, code, store = EXPECTED[name]
    assert seen in line.seen
    assert (line.exit_code, line.store) == (code, store)
