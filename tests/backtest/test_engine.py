"""The engine against a table worked by hand, a slow twin, and a future that is changed at random."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.engine import Backtest, benchmark_wealth, decide_schedule, simulate
from screener.backtest.performance import summarise
from screener.backtest.tape import Terms
from screener.market.panel import PricePanel
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs


def rebalance(day: date, weights: Mapping[str, float]) -> Rebalance:
    series = pd.Series(dict(sorted(weights.items())), dtype=float)
    cash = 1.0 - float(series.sum())
    return Rebalance("test", day, "equal", series, cash, series / max(series.sum(), 1e-12), 0.2, (), {})


def panel_of(prices: pd.DataFrame, traded: pd.DataFrame | None = None) -> PricePanel:
    traded = prices.notna() if traded is None else traded
    return PricePanel(prices, traded, prices, prices * np.nan, "USD", prices.index[-1].date())


def days(*names: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(names, name="session").as_unit("s")


# Three names, two exchanges. Tokyo is shut on 7 January; GONE is delisted from the 9th at 80 % of its last price.
WEEK = days("2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08", "2026-01-09")
PRICES = pd.DataFrame(
    {
        "GONE": [10.0, 10.0, 10.0, 10.0, np.nan],
        "NYSE": [100.0, 110.0, 121.0, 121.0, 133.1],
        "TOKYO": [50.0, 50.0, 50.0, 60.0, 60.0],
    },
    index=WEEK,
)
TRADED = PRICES.notna()
TRADED.loc["2026-01-07", "TOKYO"] = False
WORKED = panel_of(PRICES, TRADED)


def test_a_week_worked_by_hand() -> None:
    schedule = [
        rebalance(date(2026, 1, 5), {"GONE": 0.25, "NYSE": 0.5}),
        rebalance(date(2026, 1, 6), {"GONE": 0.25, "TOKYO": 0.5}),
    ]
    got = simulate(schedule, WORKED, Costs.flat(10), Terms(recoveries={"GONE": (date(2026, 1, 9), 0.8)}))
    # 6 Jan: wealth 1 and cost 0.1 % of 75 % of what is left: W + 0.001 * 0.75 W = 1
    wealth_6 = 1 / 1.00075
    gone_6, nyse_6, cash_6 = 0.25 * wealth_6, 0.5 * wealth_6, 0.25 * wealth_6
    # 7 Jan: NYSE rises by a tenth and is sold, GONE is brought to 25 % of W; Tokyo is shut.
    # W + 0.001 * (1.1 nyse_6 + 0.25 W - gone_6) = cash_6 + gone_6 + 1.1 nyse_6
    before_7 = cash_6 + gone_6 + 1.1 * nyse_6
    after_7 = (before_7 - 0.001 * (1.1 * nyse_6 - gone_6)) / (1 + 0.001 * 0.25)
    gone_7 = 0.25 * after_7
    # 8 Jan: Tokyo opens at 60 and is bought for half of W: W + 0.001 * 0.5 W = after_7
    after_8 = after_7 / 1.0005
    tokyo_8 = 0.5 * after_8
    cash_8 = after_8 - gone_7 - tokyo_8
    # 9 Jan: GONE becomes cash at 80 % of its last price
    after_9 = cash_8 + 0.8 * gone_7 + tokyo_8
    assert got.wealth.to_list() == pytest.approx([1.0, wealth_6, after_7, after_8, after_9], abs=1e-12)
    assert [
        (f"{s:%d}", symbol) for s, symbol in zip(got.trades["session"], got.trades["symbol"], strict=True)
    ] == [
        ("06", "GONE"),
        ("06", "NYSE"),
        ("07", "GONE"),
        ("07", "NYSE"),
        ("08", "TOKYO"),
    ]
    assert got.weights_held.iloc[-1]["GONE"] == 0.0


def test_wealth_falls_by_exactly_the_cost_of_the_first_trade() -> None:
    flat = panel_of(pd.DataFrame({"A": 100.0, "B": 50.0}, index=WEEK))
    got = simulate([rebalance(date(2026, 1, 5), {"A": 0.6, "B": 0.3})], flat, Costs.flat(25))
    assert got.wealth.to_list() == pytest.approx([1.0] + [1 / (1 + 0.9 * 0.0025)] * 4, abs=1e-15)
    assert got.wealth.iloc[1] == pytest.approx(1 - got.trades["cost"].sum(), abs=1e-15)
    assert got.gross.to_list() == [1.0] * 5
    assert got.trades["cost"].sum() == pytest.approx(0.0025 * got.trades["value"].sum())


@pytest.mark.parametrize("bps", [15.0, 500.0, 5000.0])
def test_a_fully_invested_portfolio_borrows_nothing_to_pay_its_costs(bps: float) -> None:
    prices = pd.DataFrame({"A": [10.0, 10.0, 20.0, 20.0, 20.0], "B": 10.0}, index=WEEK)
    schedule = [rebalance(date(2026, 1, 5), {"A": 0.5, "B": 0.5}), rebalance(date(2026, 1, 7), {"B": 1.0})]
    got = simulate(schedule, panel_of(prices), Costs.flat(bps))
    assert got.cash.iloc[1:].abs().max() < 1e-12
    assert got.weights_held.iloc[-1].to_list() == pytest.approx([0.0, 1.0])


def test_nothing_chosen_keeps_the_cash() -> None:
    got = simulate([rebalance(date(2026, 1, 5), {})], WORKED, Costs.flat(10))
    assert got.wealth.to_list() == [1.0] * 5 and not len(got.trades)


def test_a_decision_is_traded_at_the_next_close_and_never_at_its_own() -> None:
    """New York's jump of the 6th is known at the end of the 6th; Tokyo's next session is the 8th."""
    got = simulate([rebalance(date(2026, 1, 6), {"TOKYO": 1.0})], WORKED, Costs.flat(0))
    assert got.trades["session"].to_list() == [pd.Timestamp("2026-01-08")]
    assert got.trades["price"].to_list() == [60.0]
    assert got.wealth.iloc[-1] == pytest.approx(1.0)  # the rise from 50 to 60 was missed


def test_a_decision_on_the_last_session_is_not_traded() -> None:
    got = simulate([rebalance(date(2026, 1, 9), {"NYSE": 1.0})], WORKED, Costs.flat(10))
    assert got.wealth.to_list() == [1.0] and not len(got.trades)


def test_a_pending_order_is_superseded_by_the_next_decision() -> None:
    schedule = [rebalance(date(2026, 1, 6), {"TOKYO": 1.0}), rebalance(date(2026, 1, 7), {"NYSE": 1.0})]
    got = simulate(schedule, WORKED, Costs.flat(0))
    assert got.trades["symbol"].to_list() == ["NYSE"]


def test_a_delisting_without_a_stated_recovery_pays_the_last_price_and_a_total_loss_pays_nothing() -> None:
    schedule = [rebalance(date(2026, 1, 5), {"GONE": 1.0})]
    whole = simulate(schedule, WORKED, Costs.flat(0), Terms(recoveries={"GONE": (date(2026, 1, 9), None)}))
    nothing = simulate(schedule, WORKED, Costs.flat(0), Terms(recoveries={"GONE": (date(2026, 1, 9), 0.0)}))
    assert whole.wealth.iloc[-1] == pytest.approx(1.0)
    assert whole.cash.iloc[-1] == pytest.approx(1.0)
    assert nothing.wealth.iloc[-1] == pytest.approx(0.0, abs=1e-15)


def test_a_name_whose_feed_stops_is_still_worth_its_last_price() -> None:
    prices = pd.DataFrame({"A": [10.0, 10.0, 12.0, np.nan, np.nan]}, index=WEEK)
    got = simulate([rebalance(date(2026, 1, 5), {"A": 1.0})], panel_of(prices), Costs.flat(0))
    assert got.wealth.iloc[-1] == pytest.approx(1.2)


def test_turnover_is_one_way() -> None:
    prices = pd.DataFrame({"A": 10.0, "B": 10.0}, index=WEEK)
    schedule = [rebalance(date(2026, 1, 5), {"A": 1.0}), rebalance(date(2026, 1, 7), {"B": 1.0})]
    got = simulate(schedule, panel_of(prices), Costs.flat(0))
    assert got.turnover.to_list() == pytest.approx([0.5, 1.0])


def test_what_fills_last_is_not_bought_on_credit() -> None:
    """New York fills on the 6th and rises by a tenth; half of the higher wealth is more than the cash left."""
    prices = PRICES.drop(columns="GONE")
    panel = panel_of(prices, TRADED.drop(columns="GONE").assign(TOKYO=[True, False, True, True, True]))
    got = simulate([rebalance(date(2026, 1, 5), {"NYSE": 0.5, "TOKYO": 0.5})], panel, Costs.flat(0))
    assert got.trades["value"].to_list() == pytest.approx([0.5, 0.5])  # 0.525 was wanted
    assert got.cash.to_list() == pytest.approx([1.0, 0.5, 0.0, 0.0, 0.0], abs=1e-15)


def test_a_sale_that_waits_for_a_shut_exchange_lends_nothing_and_the_purchase_waits_for_it() -> None:
    schedule = [rebalance(date(2026, 1, 5), {"TOKYO": 1.0}), rebalance(date(2026, 1, 6), {"NYSE": 1.0})]
    got = simulate(schedule, WORKED, Costs.flat(0))
    # Tokyo is shut on the 7th, so New York cannot be bought then; on the 8th the sale at 60 pays for it at 121
    assert got.trades["symbol"].to_list() == ["TOKYO", "NYSE", "TOKYO"]
    assert got.cash.to_list() == pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0], abs=1e-15)
    assert got.wealth.to_list() == pytest.approx([1.0, 1.0, 1.0, 1.2, 1.2 * 1.1])
    assert got.waits.to_dict("records") == [
        {
            "session": pd.Timestamp("2026-01-07"),
            "symbol": "NYSE",
            "decided_on": date(2026, 1, 6),
            "reason": "cash",
        },
        {
            "session": pd.Timestamp("2026-01-07"),
            "symbol": "TOKYO",
            "decided_on": date(2026, 1, 6),
            "reason": "halted",  # without a calendar there is one exchange, and NYSE traded on it
        },
    ]


def test_after_a_total_loss_nothing_is_traded_and_every_statistic_is_defined_or_nan() -> None:
    schedule = [rebalance(date(2026, 1, 5), {"GONE": 1.0}), rebalance(date(2026, 1, 8), {"NYSE": 1.0})]
    got = simulate(schedule, WORKED, Costs.flat(10), Terms(recoveries={"GONE": (date(2026, 1, 8), 0.0)}))
    assert got.wealth.to_list() == pytest.approx([1.0, 1 / 1.001, 1 / 1.001, 0.0, 0.0], abs=1e-15)
    assert got.turnover.to_list() == pytest.approx([0.5 / 1.001, 0.0])
    performance = summarise(got.wealth, gross=got.gross, turnover=got.turnover)
    assert performance.cagr == -1.0 and performance.maximum_drawdown == 1.0


def test_a_schedule_must_fit_its_panel() -> None:
    one, other = rebalance(date(2026, 1, 5), {"NYSE": 1.0}), rebalance(date(2026, 1, 7), {"NYSE": 0.5})
    with pytest.raises(ValueError, match="at least one"):
        simulate([], WORKED, Costs.flat(0))
    with pytest.raises(ValueError, match="ZZZ"):
        simulate([rebalance(date(2026, 1, 5), {"ZZZ": 1.0})], WORKED, Costs.flat(0))
    for wrong in ([other, one], [one, one]):
        with pytest.raises(ValueError, match="strictly increase"):
            simulate(wrong, WORKED, Costs.flat(0))
    with pytest.raises(ValueError, match="2026-01-12"):
        simulate([one, rebalance(date(2026, 1, 12), {"NYSE": 1.0})], WORKED, Costs.flat(0))


def test_the_benchmark_starts_at_one_and_keeps_its_price_while_shut() -> None:
    prices = pd.DataFrame({"B": [50.0, np.nan, 55.0, 55.0, 60.0]}, index=WEEK)
    wealth = benchmark_wealth(panel_of(prices), "B", WEEK)
    assert wealth is not None and wealth.to_list() == pytest.approx([1.0, 1.0, 1.1, 1.1, 1.2])
    assert benchmark_wealth(panel_of(prices), "B", WEEK[:0].union(WEEK)) is not None
    assert benchmark_wealth(panel_of(prices), "X", WEEK) is None
    late = panel_of(pd.DataFrame({"B": [np.nan, 1.0, 1.0, 1.0, 1.0]}, index=WEEK))
    assert benchmark_wealth(late, "B", WEEK) is None


# Random markets


def random_market(
    seed: int, names: int = 5, rows: int = 60
) -> tuple[PricePanel, list[Rebalance], dict[str, tuple[date, float | None]]]:
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2025-01-01", periods=rows, name="session").as_unit("s")
    symbols = [f"S{number}" for number in range(names)]
    prices = pd.DataFrame(
        50 * np.exp(np.cumsum(rng.normal(0, 0.02, (rows, names)), axis=0)), index=index, columns=symbols
    )
    traded = pd.DataFrame(rng.random((rows, names)) > 0.25, index=index, columns=symbols)
    prices = prices.where(traded).ffill(limit=4)
    prices.iloc[0] = 50.0
    prices = prices.ffill(limit=4)
    traded &= prices.notna()
    chosen = np.sort(rng.choice(rows - 1, size=6, replace=False))
    schedule = []
    for row in chosen:
        known = [symbol for symbol in symbols if np.isfinite(prices[symbol].iloc[row])]
        weights = (
            dict(zip(known, rng.dirichlet(np.ones(len(known))) * rng.uniform(0.5, 1.0), strict=True))
            if known
            else {}
        )
        schedule.append(rebalance(index[row].date(), weights))
    gone = {symbols[0]: (index[int(rng.integers(10, rows))].date(), float(rng.uniform(0, 1)))}
    return panel_of(prices, traded), schedule, gone


def filled_by_hand(
    orders: dict[str, float], shares: dict[str, float], last: dict[str, float], cash: float, rate: float
) -> tuple[float, set[str]]:
    """Sell first, then buy with what there is; shares change in place, the cash left and what was cut come back."""
    for symbol, value in orders.items():
        if value < 0:
            cash += -value * (1 - rate)
            shares[symbol] += value / last[symbol]
    bill = sum(value * (1 + rate) for value in orders.values() if value > 0)
    paid = min(1.0, cash / bill) if bill else 0.0
    for symbol, value in orders.items():
        if value > 0:
            cash -= paid * value * (1 + rate)
            shares[symbol] += paid * value / last[symbol]
    return cash, {symbol for symbol, value in orders.items() if value > 0 and paid < 1}


def slow_twin(
    schedule: list[Rebalance], panel: PricePanel, bps: float, gone: Mapping[str, tuple[date, float | None]]
) -> list[float]:
    """The same rules, day by day and name by name, in plain Python."""
    decided = {each.decided_on: each for each in schedule}
    shares = {symbol: 0.0 for symbol in panel.symbols}
    last: dict[str, float] = {}
    cash, pending, wealth = 1.0, None, []
    open_orders: set[str] = set()
    for session in panel.sessions:
        day = session.date()
        for symbol, (when, recovery) in gone.items():
            if day >= when and shares[symbol]:
                cash += shares[symbol] * last[symbol] * (1.0 if recovery is None else recovery)
                shares[symbol] = 0.0
        for symbol in panel.symbols:
            price = float(panel.prices.at[session, symbol])  # type: ignore[arg-type]
            if np.isfinite(price):
                last[symbol] = price
        if day < schedule[0].decided_on:
            continue
        ready = [
            symbol
            for symbol in sorted(open_orders)
            if panel.traded.at[session, symbol] and not (symbol in gone and day >= gone[symbol][0])
        ]
        if ready and pending is not None:
            total = cash + sum(shares[symbol] * last[symbol] for symbol in panel.symbols if symbol in last)
            low, high = 0.0, total
            for _ in range(200):  # by bisection, where the engine takes Newton steps
                after = (low + high) / 2
                moved = sum(
                    abs(float(pending.weights.get(each, 0.0)) * after - shares[each] * last[each])
                    for each in ready
                )
                low, high = (low, after) if after + moved * bps / 1e4 > total else (after, high)
            orders = {
                each: float(pending.weights.get(each, 0.0)) * after - shares[each] * last[each]
                for each in ready
            }
            open_orders -= set(ready)
            to_sell = any(
                float(pending.weights.get(each, 0.0)) * total < shares[each] * last[each]
                for each in open_orders
                if shares[each]
            )
            cash, cut = filled_by_hand(orders, shares, last, cash, bps / 1e4)
            open_orders |= cut if to_sell else set()
        wealth.append(cash + sum(shares[symbol] * last[symbol] for symbol in panel.symbols if symbol in last))
        if day in decided:
            pending, open_orders = decided[day], set(panel.symbols)
    return wealth


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), bps=st.sampled_from([0.0, 15.0, 80.0]))
def test_a_slow_twin_agrees(seed: int, bps: float) -> None:
    panel, schedule, gone = random_market(seed)
    got = simulate(schedule, panel, Costs.flat(bps), Terms(recoveries=gone))
    np.testing.assert_allclose(got.wealth, slow_twin(schedule, panel, bps, gone), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_wealth_is_cash_and_shares_at_their_prices_and_stays_positive(seed: int) -> None:
    panel, schedule, gone = random_market(seed)
    got = simulate(schedule, panel, Costs.flat(15), Terms(recoveries=gone))
    worth = (got.shares * got.prices).sum(axis=1) + got.cash
    np.testing.assert_allclose(worth, got.wealth, rtol=0, atol=1e-9)
    np.testing.assert_allclose(got.weights_held.sum(axis=1) + got.cash / got.wealth, 1.0, rtol=0, atol=1e-9)
    assert (got.wealth > 0).all() and (got.cash >= 0).all()
    assert (got.gross.iloc[-1] >= got.wealth.iloc[-1] - 1e-12) or len(got.trades) == 0
    assert all(
        bool(panel.traded.at[s, symbol])
        for s, symbol in zip(got.trades["session"], got.trades["symbol"], strict=True)
    )
    assert (pd.DatetimeIndex(got.trades["session"]) > pd.DatetimeIndex(got.trades["decided_on"])).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(5, 55))
def test_a_changed_future_never_changes_the_past(seed: int, cut: int) -> None:
    panel, schedule, gone = random_market(seed)
    schedule = [each for each in schedule if each.decided_on >= panel.sessions[0].date()]
    day = panel.sessions[cut]
    rng = np.random.default_rng(seed + 1)
    later = np.repeat(np.asarray(panel.sessions > day)[:, None], len(panel.symbols), axis=1)
    prices = panel.prices.where(~later, panel.prices * np.exp(rng.normal(0, 0.5, panel.prices.shape)))
    traded = panel.traded & (~later | (rng.random(prices.shape) > 0.5))
    before, after = (
        simulate(schedule, each, Costs.flat(15), Terms(recoveries=gone))
        for each in (panel, panel_of(prices, traded))
    )
    pd.testing.assert_series_equal(before.wealth[:day], after.wealth[:day], rtol=0, atol=0)
    pd.testing.assert_frame_equal(before.weights_held[:day], after.weights_held[:day], rtol=0, atol=0)
    known = [each.trades[each.trades["session"] <= day].reset_index(drop=True) for each in (before, after)]
    pd.testing.assert_frame_equal(known[0], known[1], rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_scaling_a_price_changes_no_wealth(seed: int) -> None:
    panel, schedule, gone = random_market(seed)
    factors = np.random.default_rng(seed).uniform(0.01, 100, len(panel.symbols))
    scaled = panel_of(panel.prices * factors, panel.traded)
    one, other = (
        simulate(schedule, each, Costs.flat(15), Terms(recoveries=gone)).wealth for each in (panel, scaled)
    )
    np.testing.assert_allclose(one, other, rtol=1e-10)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_cash_is_what_trades_and_delistings_left(seed: int) -> None:
    panel, schedule, _ = random_market(seed)
    got = simulate(schedule, panel, Costs.flat(15))
    paid = (got.trades["value"] + got.trades["cost"]).groupby(got.trades["session"]).sum()
    expected = 1.0 - paid.reindex(got.wealth.index).fillna(0.0).cumsum()
    np.testing.assert_allclose(got.cash, expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_the_symbols_are_called_changes_no_wealth(seed: int) -> None:
    panel, schedule, gone = random_market(seed)
    order = np.random.default_rng(seed).permutation(len(panel.symbols))
    called = {symbol: f"Z{place}" for symbol, place in zip(panel.symbols, order, strict=True)}
    renamed = panel_of(
        *(each.rename(columns=called).sort_index(axis=1) for each in (panel.prices, panel.traded))
    )
    asked = [rebalance(each.decided_on, each.weights.rename(called).to_dict()) for each in schedule]
    one = simulate(schedule, panel, Costs.flat(15), Terms(recoveries=gone)).wealth
    other = simulate(
        asked,
        renamed,
        Costs.flat(15),
        Terms(recoveries={called[symbol]: end for symbol, end in gone.items()}),
    ).wealth
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_schedule_is_decided_date_by_date() -> None:
    dates = [date(2026, 1, 5), date(2026, 1, 7)]
    schedule = decide_schedule(dates, lambda day: rebalance(day, {"NYSE": 0.5}))
    assert [each.decided_on for each in schedule] == dates
    assert isinstance(simulate(schedule, WORKED, Costs.flat(0)), Backtest)
