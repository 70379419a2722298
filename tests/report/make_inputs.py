"""A deterministic synthetic week, built from the types alone: what a report is made from, in every mood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from screener.backtest.engine import Backtest
from screener.backtest.performance import Performance
from screener.backtest.theme import ThemeResult
from screener.backtest.validity import Interval, Validity
from screener.market.earnings import EarningsDates
from screener.market.panel import PricePanel, SymbolState
from screener.market.quality import Finding
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs
from screener.report.model import RunFacts, WeeklyInputs
from screener.screening.history import ScreenHistory
from screener.screening.rules import ScreenResult
from screener.screening.supply_chain import supply_chain_columns
from screener.universe.model import Instrument, Rule, ScreenRule, ScreenSpec, Segment, Theme, Universe

AS_OF = date(2026, 7, 10)
STAGES = (
    "Exploration & development",
    "Mining & beneficiation",
    "Separation & refining",
    "Metals & alloys",
    "Permanent magnets",
    "Electronic components, motors & storage",
    "Optical fibre, amplifiers & lasers",
    "Compound semiconductors",
    "AI chips & equipment",
    "Data-centre power & cooling",
    "Nuclear & grid",
    "AI developers & operators",
    "Recycling & urban mining",
    "Substitutes & thrifting",
    "New extraction technology",
    "Finance, trading houses & policy",
)
MARKETS = ("XNYS", "XTKS", "XASX", "XSHG", "XLON")
CHINA = {1: 0.69, 2: 0.92, 3: 0.90, 4: 0.98, 7: 0.94}
SCREENS_JA = {
    "tradable": "売買可能なモメンタム",
    "liquid": "流動性の高い主力",
    "calm": "低リスク",
    "turn": "反転",
}
SCREENS = {
    "tradable": "Tradable momentum",
    "liquid": "Liquid leaders",
    "calm": "Low risk",
    "turn": "Turnaround",
}
HOSTILE = "<script>alert(1)</script>"
FORMULA = "=cmd|' /C calc'!A0"


def instrument(symbol: str, name: str, segment: str, mic: str = "XNYS", kind: str = "equity") -> Instrument:
    return Instrument(symbol, name, "", symbol.lower(), kind, mic, "USD", "US", segment)


def make_universe(names: int, themes: int) -> Universe:
    segments = {
        f"stage_{n:02d}": Segment(
            f"stage_{n:02d}", n, label, f"第{n}段階", CHINA.get(n), 2024 if n in CHINA else None
        )
        for n, label in enumerate(STAGES)
    }
    keys = list(segments)
    listed = {}
    for n in range(names):
        symbol = f"N{n:03d}"
        listed[symbol] = instrument(symbol, f"Company {n} Holdings", keys[n % len(keys)], MARKETS[n % 5])
    listed["N000"] = replace(listed["N000"], name=HOSTILE) if names else listed
    listed["N001"] = replace(listed["N001"], name=FORMULA) if names > 1 else listed
    if names > 90:
        raise ValueError("at most 90 names")
    made = {
        f"theme_{n}": Theme(
            f"theme_{n}",
            f"Theme number {n}",
            f"テーマ{n}",
            Rule(tags=("all",)),
            benchmark="BENCH",
            known_from=None if n == 1 else date(2025, 10, 9),
        )
        for n in range(themes)
    }
    specs = {
        key: ScreenSpec(
            key,
            label,
            SCREENS_JA[key],
            (ScreenRule("adv", ">=", 1e6), ScreenRule("history_days", ">=", 26)),
            (("momentum_12_1", 1.0),),
        )
        for key, label in SCREENS.items()
    }
    return Universe(
        "rare_earth_ai",
        "Rare earths to AI infrastructure",
        "レアアースからAIへ",
        {key: each for key, each in listed.items() if isinstance(each, Instrument)},
        {"BENCH": instrument("BENCH", "World equity fund", "", "XNYS", "etf")},
        segments,
        made,
        specs,
    )


def make_panel(universe: Universe, years: int, synthetic: bool) -> PricePanel:
    rng = np.random.default_rng(7)
    index = pd.bdate_range(end=AS_OF, periods=years * 261, unit="s", name="session")
    symbols = sorted(universe.everything())
    common = rng.standard_t(5, len(index)) * 0.008
    steps = common[:, None] + rng.standard_t(5, (len(index), len(symbols))) * 0.016 + 0.0004
    values = rng.uniform(2, 400, len(symbols)) * np.exp(np.cumsum(steps, axis=0))
    prices = pd.DataFrame(values, index=index, columns=pd.Index(symbols, dtype="str"))
    if "N004" in prices.columns:
        prices.loc[: index[len(index) // 2], "N004"] = np.nan  # a late listing
    traded = prices.notna()
    value = (prices * 2e5).where(traded)
    return PricePanel(prices, traded, prices.copy(), value, "USD", AS_OF, synthetic)


def troubled(panel: PricePanel, universe: Universe) -> tuple[PricePanel, dict[str, SymbolState]]:
    """Sydney stops on 2026-01-02, one name was never served, one is delisted, the rest is fresh."""
    prices, traded, close, value = (
        each.copy() for each in (panel.prices, panel.traded, panel.close, panel.value_traded)
    )
    first, states = panel.sessions[0].date(), {}
    gone: list[str] = []
    for symbol, each in universe.everything().items():
        state = SymbolState(symbol, "fresh", "", first, AS_OF, 0, len(panel.sessions))
        if symbol == "N003":
            state, gone = SymbolState(symbol, "missing", "no prices", None, None, 0, 0), [*gone, symbol]
        elif symbol == "N005":
            state = SymbolState(
                symbol, "delisted", "delisted on 2024-05-01", first, date(2024, 4, 30), 0, 700
            )
            prices.loc["2024-05-01":, symbol] = close.loc["2024-05-01":, symbol] = np.nan  # type: ignore[misc]
            traded.loc["2024-05-01":, symbol] = False  # type: ignore[misc]
        elif each.mic == "XASX":
            last = date(2026, 1, 2)
            why = f"newest price is of {last}; 130 Sydney sessions missing since"
            state = SymbolState(symbol, "stale", why, first, last, 130, len(panel.sessions) - 130)
            traded.loc["2026-01-03":, symbol] = False  # type: ignore[misc]
            for table in (prices, close):
                table.loc["2026-01-10":, symbol] = np.nan  # type: ignore[misc]
        states[symbol] = state
    kept = [each for each in prices.columns if each not in gone]
    value = value.where(traded)
    panel = replace(
        panel, prices=prices[kept], traded=traded[kept], close=close[kept], value_traded=value[kept]
    )
    return panel, states


def make_screen(panel: PricePanel, universe: Universe, key: str = "tradable") -> ScreenResult:
    rng = np.random.default_rng(list(SCREENS).index(key))
    symbols = [each for each in universe.instruments if each != "N005"]
    columns = ["return_1w", "return_3m", "momentum_12_1", "volatility", "max_drawdown", "beta", "adv"]
    metrics = pd.DataFrame(rng.normal(0.05, 0.2, (len(symbols), 7)), index=symbols, columns=columns)
    metrics["volatility"] = metrics["volatility"].abs() + 0.2
    metrics["history_days"] = [0.0 if each == "N003" else 700.0 for each in symbols]
    metrics["adv"] = rng.lognormal(16, 2, len(symbols))
    adv = metrics["adv"] >= (1e6 if key == "tradable" else 1e7)
    known = pd.Series([each in panel.symbols for each in symbols], index=symbols)
    passed = pd.DataFrame({"adv >= 1e+06": adv, "history_days >= 26": known})
    passing = passed.all(axis=1)
    score = pd.Series(rng.random(len(symbols)), index=symbols).where(passing)
    rank = score[passing].rank(ascending=False).astype(int)
    reasons = {each: ("adv 0.31 m is below 1.00 m",) for each in symbols if not passing[each]}
    spec = universe.screens[key]
    margins = pd.DataFrame({"adv >= 1e+06": metrics["adv"] - 1e6, "history_days >= 26": 0.0}, index=symbols)
    near = tuple(reasons)[:2]
    facts = supply_chain_columns(universe, metrics.index, metrics["adv"])
    return ScreenResult(spec, metrics, passed, score, rank, reasons, margins, near, facts)


def make_history(result: ScreenResult) -> ScreenHistory:
    """Three weeks: all that pass, but the first came in last week and one of the others then went out."""
    days = [AS_OF - timedelta(days=14), AS_OF - timedelta(days=7), AS_OF]
    names = [str(each) for each in result.rank.index]
    passed = pd.DataFrame(True, index=pd.DatetimeIndex(days, name="date"), columns=names)
    passed.iloc[:2, :1] = False
    entered = {days[1]: (), days[2]: tuple(names[:1])}
    return ScreenHistory(result, tuple(days), passed, entered, {each: () for each in days[1:]})


def make_rebalance(theme: str, symbols: list[str], seed: int) -> Rebalance:
    rng = np.random.default_rng(seed)
    raw = pd.Series(rng.random(len(symbols)) + 0.2, index=pd.Index(symbols, dtype="str"))
    weights = raw / raw.sum() * 0.96
    risk = weights * (0.6 + rng.random(len(symbols)))
    return Rebalance(
        theme,
        AS_OF,
        "equal_risk_contribution",
        weights,
        1 - float(weights.sum()),
        risk / risk.sum(),
        0.2 + seed / 100,
        (f"issuer <= 10% binds for {symbols[0]}",) if seed % 2 else (),
        {"N003": "no prices", "N004": "52 weeks of 104"},
    )


def make_performance(wealth: pd.Series, benchmark: bool) -> Performance:
    first, last = wealth.index[0].date(), wealth.index[-1].date()
    own = float("nan") if benchmark else 0.5
    return Performance(
        first,
        last,
        float(wealth.iloc[-1]) - 1,
        0.12,
        0.24,
        0.5,
        0.7,
        0.31,
        0.39,
        0.035,
        own,
        own / 100,
        own,
        0.1,
        own,
    )


def make_theme(universe: Universe, panel: PricePanel, key: str, seed: int, held: int) -> ThemeResult:
    rng = np.random.default_rng(seed)
    symbols = sorted(
        rng.permutation([each for each in universe.instruments if each in panel.symbols])[:held].tolist()
    )
    wealth = panel.prices[symbols].pct_change(fill_method=None).mean(axis=1).fillna(0.0).add(1).cumprod()
    against = panel.prices["BENCH"] / panel.prices["BENCH"].iloc[0]
    rebalance = make_rebalance(key, symbols, seed)
    last_month = make_rebalance(key, symbols[:-1], seed + 50)  # the newest member came in since
    earlier = replace(last_month, decided_on=date(2026, 6, 30), volatility=0.25)
    run = Backtest(
        key,
        (earlier, rebalance),
        wealth / wealth.iloc[0],
        wealth / wealth.iloc[0] * 1.01,
        shares=pd.DataFrame(),
        prices=pd.DataFrame(),
        cash=pd.Series(dtype=float),
        list_trades=lambda: pd.DataFrame({"value": [1.0], "cost": [0.0015]}),
        turnover=pd.Series(dtype=float),
        list_waits=lambda: pd.DataFrame(),
        payments=pd.DataFrame(),
        costs=Costs.flat(15),
        capital=1e6,
    )
    return ThemeResult(
        universe.themes[key],
        tuple(symbols),
        rebalance,
        run,
        make_performance(run.wealth, False),
        "BENCH",
        against,
        make_performance(against, True),
        "",
        Validity(
            sessions=1300,
            years=5.0,
            block_length=4.0,
            cagr=Interval(-0.02, 0.26),
            sharpe_ratio=Interval(-0.1, 1.6),
            maximum_drawdown=Interval(0.14, 0.38),
            excess_cagr=Interval(-0.195, 0.281),
            probabilistic_sharpe=0.97,
            minimum_track_record=3.75,
        ),
    )


def run_facts(synthetic: bool) -> RunFacts:
    return RunFacts(
        "0.1.0",
        "screener weekly --source files --prices prices --as-of 2026-07-10",
        datetime(2026, 7, 11, 6, 0, tzinfo=UTC),
        AS_OF,
        "USD",
        "sample" if synthetic else "files",
        "sample:7" if synthetic else "files:prices",
        synthetic,
        "a" * 64,
        "b" * 64,
        {"rebalance": "monthly", "costs": "15 bps of value traded"},
    )


def make_inputs(*, names: int = 90, themes: int = 8, years: int = 5, synthetic: bool = False) -> WeeklyInputs:
    """A full week: ninety names on sixteen stages, stale, missing and quarantined ones among them."""
    universe = make_universe(names, themes)
    panel, states = troubled(make_panel(universe, years, synthetic), universe)
    findings = (
        Finding("N010", date(2026, 3, 2), "price_not_positive", "error", "close −1.00", True),
        Finding(
            "N011", date(2026, 3, 3), "spike_reverted", "warning", "close 3.0 times its neighbours", False
        ),
    )
    results = tuple(
        make_theme(universe, panel, key, seed, 8 + 3 * seed) for seed, key in enumerate(universe.themes)
    )
    failures: Mapping[str, str] = {
        "N003": "no such symbol: not found",
        "N020": "timed out: no answer in 30 s",
    }
    screens = tuple(make_screen(panel, universe, key) for key in SCREENS)
    return WeeklyInputs(
        run_facts(synthetic),
        universe,
        panel,
        states,
        failures,
        findings,
        screens,
        {each.screen: make_history(each) for each in screens},
        results,
        ("universe: 10 instruments are unverified",),
        earnings=EarningsDates(
            {each: (AS_OF + timedelta(days=9),) for each in list(universe.instruments)[:3]},
            {list(universe.instruments)[4]: "timed out: no answer in 10 s"},
        ),
    )


def fresh_inputs() -> WeeklyInputs:
    """A small week in which every price is current and no bar looks bad."""
    universe = make_universe(20, 2)
    panel = make_panel(universe, 3, False)
    states = {
        symbol: SymbolState(symbol, "fresh", "", panel.sessions[0].date(), AS_OF, 0, len(panel.sessions))
        for symbol in universe.everything()
    }
    results = tuple(make_theme(universe, panel, key, n, 8) for n, key in enumerate(universe.themes))
    screens = (make_screen(panel, universe),)
    return WeeklyInputs(run_facts(False), universe, panel, states, {}, (), screens, {}, results, ())


def in_japanese(inputs: WeeklyInputs) -> WeeklyInputs:
    """The same week for a Japanese reader."""
    return replace(inputs, language="ja")


def empty_inputs() -> WeeklyInputs:
    """A universe without themes or screens, and not one price."""
    universe = replace(make_universe(2, 0), screens={})
    nothing = pd.DataFrame(index=pd.DatetimeIndex([], dtype="datetime64[s]", name="session"), dtype=float)
    panel = PricePanel(nothing, nothing.astype(bool), nothing, nothing, "USD", AS_OF)
    states = {
        each: SymbolState(each, "missing", "no prices", None, None, 0, 0) for each in universe.everything()
    }
    return WeeklyInputs(run_facts(False), universe, panel, states, {}, (), (), {}, (), ())


def idle_inputs() -> WeeklyInputs:
    """Prices, but nothing passes the screen, nothing can be weighted and there is no backtest."""
    inputs = fresh_inputs()
    (screen,) = inputs.screens
    none = replace(
        screen,
        passed=screen.passed & False,
        score=screen.score * np.nan,
        rank=screen.rank.iloc[:0],
        reasons={str(each): ("adv is unknown",) for each in screen.metrics.index},
        near=(),
    )
    nothing = pd.Series(dtype=float, index=pd.Index([], dtype="str"))
    results = tuple(
        ThemeResult(
            each.theme,
            each.members,
            Rebalance(each.theme.key, AS_OF, "equal", nothing, 1.0, nothing, float("nan"), (), {}),
            None,
            None,
            "BENCH",
            None,
            None,
            "no member has enough history for a backtest",
        )
        for each in inputs.themes
    )
    return replace(inputs, screens=(none,), themes=results)
