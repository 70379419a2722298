"""Bring the store up to date from a price source: what to ask, what changed, what to keep.

An update asks for an overlap with what is stored. Where the two disagree the whole history is asked for again,
both versions are kept, and the outcome says what changed. Symbols come in batches, each stored whole, so a run
that is stopped anywhere keeps what it has and the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from screener.errors import SourceError
from screener.market.bars import COLUMNS, NAMES, SAME, Bars, as_sessions
from screener.market.sessions import last_completed, sessions_between
from screener.market.sources import PriceRequest, PriceSource
from screener.market.store import Store
from screener.market.store_rows import Series, Update

BATCH = 40  # symbols; what one transaction holds
OVERLAP_SESSIONS = 10
WHOLE_AGAIN = timedelta(days=28)  # corrections older than the overlap are found by asking for everything
# vendors revise volumes for days, and that is no news
REVISED = [each for each in COLUMNS if each != "volume"]
DAYS_TO_BE_GONE = 2
NO_ROWS = pd.DataFrame(columns=NAMES, index=as_sessions([]), dtype=float)


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """What a refresh did for one symbol."""

    symbol: str
    outcome: str  # fetched, up to date, gone, or one of SourceError.OUTCOMES
    rows: int  # rows written
    detail: str  # "" or a sentence: what failed, what was restated

    @property
    def failed(self) -> bool:
        """Say whether the source could not serve this symbol."""
        return self.outcome not in ("fetched", "up to date")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to ask for one symbol."""

    request: PriceRequest  # with the end that is complete by now
    version: str
    known: Series | None
    whole: bool  # the whole history, not only the overlap


def refresh(
    store: Store,
    source: PriceSource,
    requests: Sequence[PriceRequest],
    now: datetime,
    progress: Callable[[SymbolOutcome], None] | None = None,
) -> dict[str, SymbolOutcome]:
    """Fetch what is missing of each request and store it; a symbol that fails keeps what it had.

    The bar of a session still open, or closed for less than half an hour, is not stored.
    """
    known = store.series(source.identity)
    outcomes: dict[str, SymbolOutcome] = {}
    plans = []
    for request in requests:
        plan = _plan(source, request, known.get(request.symbol), now)
        if plan is None:
            outcomes[request.symbol] = SymbolOutcome(request.symbol, "up to date", 0, "")
            if progress is not None:
                progress(outcomes[request.symbol])
        else:
            plans.append(plan)
    for first in range(0, len(plans), BATCH):
        updates: list[Update] = []
        try:
            for update in _updates(store, source, plans[first : first + BATCH], now):
                updates.append(update)
                written = 0 if update.rows is None else len(update.rows)
                outcomes[update.symbol] = SymbolOutcome(update.symbol, update.outcome, written, update.detail)
                if progress is not None:
                    progress(outcomes[update.symbol])
        finally:  # an interruption too keeps what has arrived
            if updates:
                store.write(source.identity, source.synthetic, updates, now)
    if any(each.outcome == "no such symbol" for each in outcomes.values()):
        outcomes.update(_gone(store.refusals(source.identity), outcomes))
    return {request.symbol: outcomes[request.symbol] for request in requests}


def _plan(source: PriceSource, request: PriceRequest, known: Series | None, now: datetime) -> _Plan | None:
    """Return what to ask for, None when all of it is stored."""
    end = min(request.end, last_completed(request.mic, now))
    version = source.version(request)
    if known is None:
        return _Plan(replace(request, end=end), version, known, True)
    if known.version != version or known.covered_from > request.start:
        start = min(request.start, known.covered_from)
        # what was stored beyond an earlier as-of date is asked for too, to have it all on one basis
        end = max(end, min(known.covered_to, last_completed(request.mic, now)))
        return _Plan(replace(request, start=start, end=end), version, known, True)
    if known.covered_to >= end:
        return None
    if now - known.whole_at >= WHOLE_AGAIN and version == "":
        return _Plan(replace(request, start=known.covered_from, end=end), version, known, True)
    start = max(request.start, _sessions_before(request.mic, known.covered_to))
    return _Plan(replace(request, start=start, end=end), version, known, False)


def _updates(store: Store, source: PriceSource, plans: Sequence[_Plan], now: datetime) -> Iterator[Update]:
    """Fetch a batch, symbol by symbol."""
    stored: dict[str, Bars] = {}
    for whole in (True, False):
        group = [each for each in plans if each.whole == whole and each.known is not None]
        if group:
            symbols = [each.request.symbol for each in group]
            stored |= store.load(source.identity, symbols, min(each.request.start for each in group))
    expect = getattr(source, "expect", None)  # a source may ask for the next symbol while it reads this one
    if expect is not None:
        expect([plan.request for plan in plans])
    for plan in plans:
        symbol = plan.request.symbol
        try:
            served = _in_its_currency(plan, source.fetch(plan.request, now))
            kept = _table(stored.get(symbol), plan.request)
            if not plan.whole and plan.known is not None and _restated(plan.known, kept, served):
                plan = _Plan(
                    replace(plan.request, start=plan.known.covered_from), plan.version, plan.known, True
                )
                served = _in_its_currency(plan, source.fetch(plan.request, now))
                kept = _table(store.load(source.identity, [symbol]).get(symbol), plan.request)
        except SourceError as error:
            yield Update(symbol, error.outcome, str(error))
        else:
            yield _difference(plan, kept, served, now)


def _in_its_currency(plan: _Plan, served: Bars) -> Bars:
    """Return the bars, or raise SourceError when they left the currency that universe and store agree on."""
    stated, known = plan.request.currency, plan.known
    if stated and known is not None and known.currency == stated and served.currency not in ("", stated):
        problem = f"quoted in {served.currency}; the universe and all that is stored say {stated}"
        raise SourceError("malformed", problem)
    return served


def _difference(plan: _Plan, stored: pd.DataFrame, served: Bars, now: datetime) -> Update:
    """Return the rows that are new, changed or withdrawn, and what is covered now."""
    request, known = plan.request, plan.known
    # a source may serve more than was asked for, such as the bar of a session still open
    table = served.table[served.table.index <= pd.Timestamp(request.end)]
    rows, restatement = _news(stored, table)
    series = Series(
        currency=served.currency,
        covered_from=request.start if plan.whole or known is None else known.covered_from,
        covered_to=_covered_to(plan, table, now),
        version=plan.version,
        whole_at=now if plan.whole or known is None else known.whole_at,
    )
    said = [restatement, *served.notes]
    if known is not None and known.currency != served.currency:
        said.append(f"quoted in {served.currency} now, in {known.currency} before")
    elif request.currency and served.currency not in ("", request.currency):
        said.append(f"quoted in {served.currency}, the universe says {request.currency}")
    adjusted = served.adjusted if plan.whole else None  # of an overlap alone it is on another basis
    return Update(request.symbol, "fetched", "; ".join(each for each in said if each), series, rows, adjusted)


def _news(stored: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows to write, and a sentence on what changed of those that were stored."""
    if not len(stored):
        return table, ""
    known, kept = table.index.isin(stored.index), stored.index.isin(table.index)
    fresh, shared = table[~known], table[known]
    changed = shared[_differs(stored[kept], shared)]
    withdrawn = stored[~kept] * np.nan
    rows = pd.concat([each for each in (fresh, changed, withdrawn) if len(each)] or [fresh])
    return rows, _restatement(stored, changed, withdrawn)


def _covered_to(plan: _Plan, table: pd.DataFrame, now: datetime) -> date:
    """Return until when nothing need be asked again: a newest session that came without a bar is asked again."""
    end = plan.request.end
    last: date = table.index[-1].date() if len(table) else plan.request.start
    if plan.version or last >= end:
        return end
    return end if end < _sessions_before(plan.request.mic, last_completed(plan.request.mic, now)) else last


def _gone(
    refusals: Mapping[str, Sequence[date]], outcomes: Mapping[str, SymbolOutcome]
) -> dict[str, SymbolOutcome]:
    """Return new outcomes of the symbols that the source says do not exist.

    One day's answer may be an outage; a symbol is gone when it was refused on two days while others were served.
    """
    renamed = {}
    for symbol, each in outcomes.items():
        days = refusals.get(symbol, ())
        if each.outcome != "no such symbol" or not days:
            continue
        detail = f"{each.detail}; {gone_since(days)}"
        renamed[symbol] = replace(each, detail=detail)
        if len(days) >= DAYS_TO_BE_GONE:
            renamed[symbol] = replace(each, detail=detail, outcome="gone")
    return renamed


def gone_since(refused_on: Sequence[date]) -> str:
    """Return what the dates on which the source knew no such symbol mean; "" for none."""
    if not refused_on:
        return ""
    said = f"refused on {' and '.join(str(day) for day in refused_on[-DAYS_TO_BE_GONE:])}"
    gone = len(refused_on) >= DAYS_TO_BE_GONE
    return f"gone, {said}" if gone else f"{said}, counts as gone after another such day"


def _sessions_before(mic: str, day: date) -> date:
    """Return the session that lies OVERLAP_SESSIONS before a date."""
    sessions = sessions_between(mic, day - timedelta(days=3 * OVERLAP_SESSIONS), day)
    first: date = sessions[-OVERLAP_SESSIONS:][0].date()
    return first


def _table(bars: Bars | None, request: PriceRequest) -> pd.DataFrame:
    """Return the stored rows of the span asked for: what lies outside is neither confirmed nor withdrawn."""
    if bars is None:
        return NO_ROWS
    return bars.table.loc[pd.Timestamp(request.start) : pd.Timestamp(request.end)]


def _differs(
    stored: pd.DataFrame, served: pd.DataFrame, columns: Sequence[str] = COLUMNS
) -> npt.NDArray[np.bool_]:
    """Say for each shared row whether a value changed by more than the vendor's own rounding."""
    chosen = [COLUMNS.index(each) for each in columns]
    a, b = (each.to_numpy(dtype=float)[:, chosen] for each in (stored, served))
    return np.asarray(~np.isclose(a, b, rtol=SAME, atol=1e-9, equal_nan=True).all(axis=1))


def _restated(known: Series, stored: pd.DataFrame, served: Bars) -> bool:
    """Say whether the overlap disagrees with what is stored: a split, a correction, a bar that came or went."""
    if served.currency != known.currency or not len(stored):
        return True
    if not stored.index.isin(served.table.index).all():
        return True
    return bool(_differs(stored, served.table.loc[stored.index], REVISED).any())


def _restatement(stored: pd.DataFrame, changed: pd.DataFrame, withdrawn: pd.DataFrame) -> str:
    """Return a sentence on what the source changed, "" if nothing."""
    if not len(changed) and not len(withdrawn):
        return ""
    first = min(each.index[0] for each in (changed, withdrawn) if len(each)).date()
    before = stored.loc[changed.index]
    which = [each for each in COLUMNS if _differs(before, changed, [each]).any()]
    if which == ["volume"] and not len(withdrawn):
        return f"volume revised on {len(changed)} sessions from {first}"
    said = f"restated: {len(changed)} of {len(stored)} rows changed"
    said += f" ({', '.join(which)})" if which else ""
    said += f", {len(withdrawn)} withdrawn, from {first}"
    if "close" in which:
        ratios = (changed["close"] / before["close"]).to_numpy()
        said += f", close ratio {np.median(ratios):.6g}"
        if len(ratios) > 1 and np.ptp(ratios) < 1e-3 * np.median(ratios):
            said += ": a split that came late"
    return said
