"""A Request becomes a Market: a universe with its prices as known on a date, and all that is wrong with them.

This is the only module that joins the store with a price source. It reads no clock and no environment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
from platformdirs import user_data_path

from screener.errors import ScreenerError, UserError, unknown
from screener.market.bars import Bars
from screener.market.currency import check_base, pairs_needed, rates_to_base
from screener.market.panel import PricePanel, SymbolState
from screener.market.panel import build as build_panel
from screener.market.predecessor import with_predecessor
from screener.market.quality import Finding, find_for, without_quarantined
from screener.market.refresh import SymbolOutcome, gone_since
from screener.market.refresh import refresh as refresh_store
from screener.market.sessions import calendar_warnings, gaps
from screener.market.sources import PriceRequest, PriceSource, SourceSettings, open_source
from screener.market.store import Store, content_hash
from screener.market.store_files import Moved, is_export
from screener.market.store_lock import Patience
from screener.market.verdicts import Verdict, apply_verdicts
from screener.universe.load import find_universe, load_universe, universe_warnings
from screener.universe.model import Instrument, Universe

Progress = Callable[[SymbolOutcome, int], None]  # each symbol's outcome, and how many symbols there are


USUAL_BENCHMARKS = ("ACWI", "SPY")


def default_store() -> Path:
    """Return where prices are kept unless told otherwise: the user's data folder."""
    return user_data_path("screener") / "prices.duckdb"


@dataclass(frozen=True, slots=True)
class Request:
    """Which universe, from which source, as of when; shared by every use case."""

    as_of: date
    now: datetime  # UTC
    universe: str = "rare_earth_ai"  # a shipped universe's name or a folder
    source: str = "yahoo"
    prices: Path | None = None  # the folder of the source "files"
    store: Path = field(default_factory=default_store)
    base: str = "USD"
    since: date = date(2015, 1, 1)  # first session asked for
    benchmark: str = ""  # betas are to this; default: the universe's first of USUAL_BENCHMARKS, or its first
    offline: bool = False  # use what is stored, ask no source
    strict: bool = False  # publish nothing when a price is missing or stale
    yahoo_url: str = ""  # a loopback address that stands in for Yahoo
    # UTC; use prices and verdicts as they were stored then; None: the newest
    known_at: datetime | None = None
    wait: float = 10.0  # seconds to wait for another process that writes the store
    budget: int | None = None  # most requests to a service in this run; the rest resumes with the next

    @property
    def ledger(self) -> Path:
        """Return where backtests are recorded: beside the price store, or beside the default one of an export."""
        store = default_store() if is_export(self.store) else self.store
        return store.with_name("trials.jsonl")


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """What a market is made of: bars as served, how their download went, and what the user said of them."""

    identity: str  # of the source
    bars: Mapping[str, Bars] = field(default_factory=dict)
    outcomes: Mapping[str, SymbolOutcome] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    # symbol → what checks found in an earlier run, in place of checking again
    found: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Market:
    """A universe with its prices as known on a date, and everything that is wrong with them."""

    request: Request
    universe: Universe
    panel: PricePanel  # instruments and benchmarks
    states: Mapping[str, SymbolState]
    outcomes: Mapping[str, SymbolOutcome]  # of this run's refresh; empty when offline
    findings: tuple[Finding, ...]
    recoveries: Mapping[str, tuple[date, float | None]]  # delisted: date, fraction of the last price paid out
    source_identity: str
    prices_hash: str
    warnings: tuple[str, ...]
    rates: Mapping[str, float] = field(default_factory=dict)  # base currency per unit, on the as-of date
    gaps: Mapping[str, int] = field(default_factory=dict)  # sessions between first and last bar without one
    verdicts: tuple[Verdict, ...] = ()  # the newest on each bar the user decided about
    rate_history: pd.DataFrame = field(
        default_factory=pd.DataFrame
    )  # T × currencies, as known at New York's close

    @property
    def benchmark(self) -> str | None:
        """Return the symbol that betas are taken against, None when it has no prices."""
        known = self.universe.benchmarks
        usual = next((each for each in USUAL_BENCHMARKS if each in known), next(iter(known), ""))
        chosen = self.request.benchmark or usual
        return chosen if chosen in self.panel.symbols else None

    @property
    def failures(self) -> dict[str, str]:
        """Return symbol → why its download failed in this run."""
        return {
            each.symbol: f"{each.outcome}: {each.detail}" if each.detail else each.outcome
            for each in self.outcomes.values()
            if each.failed and each.symbol not in self._renamed
        }

    @property
    def _renamed(self) -> set[str]:
        """Return the old symbols: most vendors serve their history under the new ones, so none need exist."""
        listed = self.universe.instruments.values()
        return {each.predecessor for each in listed if each.predecessor_kind == "renamed"}

    @property
    def problems(self) -> tuple[str, ...]:
        """Return a line for each symbol whose prices are missing or older than asked for."""
        lines = {
            symbol: f"{symbol}: {state.state}, {state.reason}"
            for symbol, state in self.states.items()
            if state.state in ("stale", "missing")
        }
        for symbol, reason in self.failures.items():
            if symbol not in self.states or self.states[symbol].state not in ("delisted", "not listed"):
                lines[symbol] = f"{lines.get(symbol, symbol + ': not updated')} ({reason})"
        return tuple(lines[symbol] for symbol in sorted(lines))


def refresh(request: Request, progress: Progress | None = None) -> dict[str, SymbolOutcome]:
    """Bring the store up to date for every symbol of the universe, and say what happened to each.

    Raises UserError for a bad request; a symbol that fails is an outcome, not an exception.
    """
    universe = _universe(request)
    source = open_request(request, universe)
    with open_store(request) as store:
        return _refresh(store, source, price_requests(request, universe), request.now, progress)


def load_market(request: Request, progress: Progress | None = None) -> Market:
    """Refresh unless offline, then return the market as known on request.as_of.

    Raises ScreenerError when there is no price at all, and with request.strict when any is missing or stale.
    """
    return market_of(request, *load_stored(request, progress))


def load_stored(request: Request, progress: Progress | None = None) -> tuple[Universe, Stored]:
    """Refresh unless offline, then return the universe and what the store holds for it."""
    check_base(request.base)
    universe = _universe(request)
    if request.benchmark and request.benchmark not in universe.benchmarks:
        raise UserError(unknown("--benchmark", request.benchmark, list(universe.benchmarks)))
    source = open_request(request, universe)
    return universe, _stored(request, source, price_requests(request, universe), progress)


def market_of(request: Request, universe: Universe, stored: Stored) -> Market:
    """Return the market made of stored prices. Raises as `load_market` does."""
    market = _assemble_market(request, universe, stored)
    if not market.panel.symbols:
        raise ScreenerError(_nothing_to_show(request, market))
    if request.strict and market.problems:
        raise ScreenerError(
            *market.problems,
            f"--strict: {len(market.problems)} symbols have missing or old prices; nothing was published",
        )
    return market


def status(request: Request) -> tuple[pd.DataFrame, Market]:
    """Return what the store knows of each symbol, and the market made from it; asks no source.

    The table has a row a symbol: state, first, last, rows, gaps (sessions of its exchange between first and
    last without a bar), missed (those since), quarantined, verdicts, reason, restated, fetched_at, outcome.
    """
    market = load_market(replace(request, offline=True, strict=False))
    with open_store(request, read_only=True) as store:
        stored = store.status(market.source_identity, request.known_at)
        refused = store.refusals(market.source_identity)
    quarantined = Counter(each.symbol for each in market.findings if each.quarantined)
    decided = Counter(each.symbol for each in market.verdicts)
    rows = {
        symbol: {
            "state": state.state,
            "first": state.first,
            "last": state.last,
            "rows": state.rows,
            "gaps": market.gaps.get(symbol, 0),
            "missed": state.sessions_missed,
            "quarantined": quarantined[symbol],
            "verdicts": decided[symbol],
            "reason": "; ".join(each for each in (state.reason, gone_since(refused.get(symbol, ()))) if each),
        }
        for symbol, state in market.states.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.join(stored[["restated", "fetched_at", "outcome", "detail"]]), market


def judge(request: Request, symbol: str, session: date, decision: str, reason: str) -> Verdict:
    """Store the user's verdict on a stored bar, accept or reject, and return it; the newest one counts.

    Raises UserError for a missing reason, an unknown symbol and a date without a stored bar.
    """
    universe = _universe(request)
    asked = price_requests(request, universe)
    if symbol not in {each.symbol for each in asked}:
        raise UserError(unknown("symbol", symbol, [each.symbol for each in asked]))
    if not reason.strip():
        raise UserError("--reason: say why, in a few words; it is stored with the verdict")
    identity = open_request(request, universe).identity
    with open_store(request) as store:
        bars = store.load(identity, [symbol], session, session).get(symbol)
        if bars is None:
            raise UserError(
                f"{symbol} has no stored bar of {session} from {identity}; see screener prices status"
            )
        close = float(bars.table["close"].iloc[0])
        verdict = Verdict(symbol, session, decision, reason.strip(), close, request.now)
        store.judge(identity, verdict)
    return verdict


def export_prices(request: Request, folder: Path) -> Moved:
    """Write the whole store, all sources and versions, into Parquet files in a folder."""
    with open_store(request, read_only=True) as store:
        return store.export(folder)


def import_prices(request: Request, folder: Path) -> Moved:
    """Add to the store what an export holds and it lacks."""
    with open_store(request) as store:
        return store.take_in(folder)


def _universe(request: Request) -> Universe:
    return load_universe(find_universe(request.universe))


def open_request(request: Request, universe: Universe) -> PriceSource:
    """Open the price source a request names. Raises UserError when it cannot be opened."""
    if request.prices is not None and request.source != "files":
        raise UserError(f"--prices goes with --source files, not with --source {request.source}")
    settings = SourceSettings(
        universe,
        folder=request.prices,
        base_url=request.yahoo_url,
        cache=request.store.parent / "yfinance",
        budget=request.budget,
    )
    return open_source(request.source, settings)


def price_requests(request: Request, universe: Universe) -> list[PriceRequest]:
    """Return what to ask for: every instrument that may have traded in the span, then the currency pairs."""
    wanted = []
    for each in universe.everything().values():
        first = max(request.since, each.listed_from or request.since)
        last = min(request.as_of, each.delisted_on - timedelta(days=1)) if each.delisted_on else request.as_of
        if first <= last:
            wanted.append(PriceRequest(each.symbol, each.mic, each.currency, first, last))
            if each.predecessor_kind == "renamed":
                wanted.append(PriceRequest(each.predecessor, each.mic, each.currency, request.since, last))
    pairs = pairs_needed((each.currency for each in universe.everything().values()), request.base)
    return wanted + [PriceRequest(pair, "", "", request.since, request.as_of) for pair in pairs]


def open_store(request: Request, *, read_only: bool = False) -> AbstractContextManager[Store]:
    """Open the store of a request, waiting for others as long as it says."""
    return Store.open(request.store, read_only=read_only, patience=Patience(request.wait))


def _stored(
    request: Request, source: PriceSource, wanted: list[PriceRequest], progress: Progress | None
) -> Stored:
    if request.offline and not is_export(request.store) and not request.store.exists():
        return Stored(source.identity)
    symbols = [each.symbol for each in wanted]
    with open_store(request, read_only=request.offline) as store:
        outcomes = {} if request.offline else _refresh(store, source, wanted, request.now, progress)
        bars = store.load(source.identity, symbols, request.since, request.as_of, request.known_at)
        if request.known_at is None:  # of the vendor's adjusted closes only the newest are kept
            for symbol, closes in store.adjusted(source.identity, list(bars)).items():
                bars[symbol] = replace(bars[symbol], adjusted=closes[: pd.Timestamp(request.as_of)])
        return Stored(source.identity, bars, outcomes, store.verdicts(source.identity, request.known_at))


def _refresh(
    store: Store, source: PriceSource, wanted: list[PriceRequest], now: datetime, progress: Progress | None
) -> dict[str, SymbolOutcome]:
    total = len(wanted)
    return refresh_store(
        store, source, wanted, now, None if progress is None else lambda each: progress(each, total)
    )


def _assemble_market(request: Request, universe: Universe, stored: Stored) -> Market:
    everything = universe.everything()
    bars = joined(stored.bars, everything)
    findings = tuple(
        finding
        for symbol, each in bars.items()
        for finding in (
            stored.found[symbol]
            if symbol in stored.found
            else find_for(each, everything.get(symbol), request.as_of)
        )
    )
    findings = apply_verdicts(findings, stored.verdicts, bars)
    clean = {symbol: without_quarantined(each, findings) for symbol, each in bars.items()}
    panel, states = build_panel(clean, everything, request.base, request.as_of, request.now)
    return Market(
        request=request,
        universe=universe,
        panel=panel,
        states=states,
        outcomes=stored.outcomes,
        findings=findings,
        verdicts=stored.verdicts,
        gaps={
            symbol: len(gaps(everything[symbol].mic, pd.DatetimeIndex(each.table.index)))
            for symbol, each in bars.items()
            if symbol in everything
        },
        recoveries=_recoveries(everything, clean),
        source_identity=stored.identity,
        prices_hash=content_hash(stored.bars),
        warnings=universe_warnings(universe, request.as_of)
        + calendar_warnings((each.mic for each in everything.values()), request.as_of),
        rates=_latest_rates(request, everything, clean),
        rate_history=rates_to_base(
            request.base, (each.currency for each in everything.values()), clean, panel.sessions, "XNYS"
        ),
    )


def _latest_rates(
    request: Request, instruments: Mapping[str, Instrument], bars: Mapping[str, Bars]
) -> dict[str, float]:
    """Return base currency per unit of each currency that the universe quotes, where it is known."""
    today = pd.DatetimeIndex([pd.Timestamp(request.as_of)])
    rates = rates_to_base(request.base, (each.currency for each in instruments.values()), bars, today).iloc[
        -1
    ]
    return {str(currency): float(rate) for currency, rate in rates.dropna().items()}


def joined(bars: Mapping[str, Bars], instruments: Mapping[str, Instrument]) -> dict[str, Bars]:
    """Return bars by symbol, with the history of each renamed company under its present symbol alone."""
    found = dict(bars)
    for symbol, each in instruments.items():
        earlier = found.pop(each.predecessor, None) if each.predecessor_kind == "renamed" else None
        if earlier is not None and symbol in found:
            found[symbol] = with_predecessor(found[symbol], earlier)
    return found


def _recoveries(
    instruments: Mapping[str, Instrument], bars: Mapping[str, Bars]
) -> dict[str, tuple[date, float | None]]:
    """Return for each delisted name its date and what holders received as a fraction of its last price."""
    recoveries: dict[str, tuple[date, float | None]] = {}
    for symbol, each in instruments.items():
        if each.delisted_on is None:
            continue
        fraction = None
        if each.terminal_value is not None and symbol in bars:
            before = bars[symbol].table["close"][bars[symbol].table.index < pd.Timestamp(each.delisted_on)]
            fraction = each.terminal_value / float(before.iloc[-1]) if len(before) else None
        recoveries[symbol] = (each.delisted_on, fraction)
    return recoveries


def _nothing_to_show(request: Request, market: Market) -> str:
    if request.offline:
        return f"no stored prices of {market.source_identity} in {request.store}; run once without --offline"
    reasons = [each.outcome for each in market.outcomes.values() if each.failed]
    if not reasons:
        return f"no prices on or before {request.as_of}"
    common = max(set(reasons), key=reasons.count)
    detail = next(each.detail for each in market.outcomes.values() if each.outcome == common)
    counts = f"{reasons.count(common)} of {len(market.outcomes)} symbols"
    return f"no prices: {counts} {common} ({detail}); nothing was published"
