"""What an exchange allows: its hours, its price limits, its opens; and how a schedule may be followed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.backtest.engine import Backtest, Plan, simulate
from screener.backtest.performance import summarise
from screener.backtest.price_limits import at_limit
from screener.backtest.tape import Terms
from screener.errors import UserError
from screener.market.panel import PricePanel, Quotes
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs, load_costs

WEEK = pd.DatetimeIndex(
    ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08", "2026-01-09"], name="session"
).as_unit("s")


def rebalance(day: str, **weights: float) -> Rebalance:
    series = pd.Series(dict(sorted(weights.items())), dtype=float)
    return Rebalance(
        "test", date.fromisoformat(day), "equal", series, 1 - float(series.sum()), series, 0.2, (), {}
    )


def panel_of(
    prices: dict[str, list[float]], opens: dict[str, list[float]] | None = None, value: float = np.nan
) -> PricePanel:
    close = pd.DataFrame(prices, index=WEEK).sort_index(axis=1)
    quotes = Quotes(
        open=close * np.nan if opens is None else pd.DataFrame(opens, index=WEEK).sort_index(axis=1),
        rates=pd.DataFrame({"USD ": 1.0}, index=WEEK),
        rate_of=dict.fromkeys(close.columns, "USD "),
        actions=pd.DataFrame({"session": WEEK[:0], "symbol": [], "dividend": [], "split": []}),
    )
    return PricePanel(close, close.notna(), close, close * 0 + value, "USD", WEEK[-1].date(), quotes=quotes)


def flags(mic: str, symbol: str, price: float, before: float, day: str = "2026-01-06") -> tuple[bool, bool]:
    days = np.array([day], dtype="datetime64[D]")
    up, down = at_limit(mic, symbol, np.array([price]), np.array([before]), days)
    return bool(up[0]), bool(down[0])


def test_tokyos_limit_is_in_yen_by_the_price_of_the_day_before() -> None:
    assert flags("XTKS", "6762.T", 1899.0, 1499.0) == (True, False)  # +400 is over +300
    assert flags("XTKS", "6762.T", 1799.0, 1499.0) == (True, False)
    assert flags("XTKS", "6762.T", 1798.0, 1499.0) == (False, False)
    assert flags("XTKS", "6762.T", 1100.0, 1500.0) == (False, True)
    assert flags("XTKS", "6762.T", 70.0, 99.0) == (False, False)
    assert flags("XTKS", "6762.T", 69.0, 99.0) == (False, True)


def test_chinas_limit_is_a_share_of_the_price_by_board_and_rounded_to_the_fen() -> None:
    assert flags("XSHG", "600111.SS", 11.06, 10.05) == (True, False)  # 11.055 is rounded up
    assert flags("XSHG", "600111.SS", 11.05, 10.05) == (False, False)
    assert flags("XSHG", "688122.SS", 11.06, 10.05) == (False, False)
    assert flags("XSHG", "688122.SS", 12.06, 10.05) == (True, False)
    assert flags("XSHE", "300748.SZ", 9.0, 10.0, "2020-08-21") == (False, True)
    assert flags("XSHE", "300748.SZ", 9.0, 10.0, "2020-08-24") == (False, False)


def test_elsewhere_there_is_no_limit() -> None:
    assert flags("XNYS", "MP", 500.0, 10.0) == (False, False)


def test_nobody_buys_at_the_upper_limit_and_the_order_waits() -> None:
    panel = panel_of({"T": [1000.0, 1300.0, 1350.0, 1350.0, 1350.0]})
    schedule = [rebalance("2026-01-05", T=1.0)]
    got = simulate(schedule, panel, Costs(), Terms(mics={"T": "XTKS"}))
    assert got.trades[["session", "price"]].to_numpy().tolist() == [[pd.Timestamp("2026-01-07"), 1350.0]]
    assert got.waits["reason"].to_list() == ["price limit"]
    # whoever holds it may sell there
    held = [rebalance("2026-01-05", T=1.0), rebalance("2026-01-06")]
    panel = panel_of({"T": [1000.0, 1000.0, 1300.0, 1200.0, 1200.0]})
    sold = simulate(held, panel, Costs(), Terms(mics={"T": "XTKS"}))
    assert sold.trades["price"].to_list() == [1000.0, 1300.0]


def test_nobody_sells_at_the_lower_limit() -> None:
    panel = panel_of({"T": [1500.0, 1500.0, 1100.0, 1000.0, 1000.0]})
    schedule = [rebalance("2026-01-05", T=1.0), rebalance("2026-01-06")]
    got = simulate(schedule, panel, Costs(), Terms(mics={"T": "XTKS"}))
    assert got.trades["price"].to_list() == [1500.0, 1000.0]


def test_at_the_open_an_order_is_sized_on_what_was_known_the_evening_before() -> None:
    panel = panel_of(
        {"A": [10.0, 12.0, 12.0, 12.0, 12.0], "B": [10.0, 20.0, 20.0, 20.0, 20.0]},
        {"A": [10.0, 11.0, 12.0, 12.0, 12.0], "B": [10.0, 10.0, np.nan, 20.0, 20.0]},
    )
    schedule = [rebalance("2026-01-05", A=0.5, B=0.5), rebalance("2026-01-06", A=1.0)]
    got = simulate(schedule, panel, Costs(), Terms(execution="open"))
    assert got.trades["price"].to_list() == [11.0, 10.0, 12.0, 20.0]
    assert got.trades["session"].dt.day.to_list() == [6, 6, 8, 8]  # B had no open on the 7th
    # bought at the open for a half each, worth the close that evening
    assert got.wealth.iloc[1] == pytest.approx(0.5 / 11 * 12 + 0.5 / 10 * 20)


def test_without_opens_execution_at_the_open_is_refused() -> None:
    panel = replace(panel_of({"A": [10.0] * 5}), quotes=None)
    with pytest.raises(UserError, match="no opens"):
        simulate([rebalance("2026-01-05", A=1.0)], panel, Costs(), Terms(execution="open"))
    with pytest.raises(UserError, match="noon"):
        Terms(execution="noon")


def reasons(got: Backtest) -> dict[str, tuple[int, str]]:
    assert not got.waits.duplicated(["symbol", "decided_on"]).any()
    table = zip(got.waits["symbol"], got.waits["session"].dt.day, got.waits["reason"], strict=True)
    return {symbol: (day, reason) for symbol, day, reason in table}


def test_every_order_that_misses_its_first_session_says_why() -> None:
    """New York is open all week; Tokyo is shut from 4 to 6 May 2026; X and Y name no exchange."""
    days = pd.DatetimeIndex(["2026-05-01", "2026-05-05", "2026-05-06", "2026-05-07", "2026-05-08"])
    gap = float("nan")
    prices = {
        "FINE": [10.0, 10.0, 10.0, 10.0, 10.0],
        "HALTED": [10.0, gap, gap, 10.0, 10.0],
        "LATE": [gap, gap, gap, 10.0, 10.0],
        "GONE": [10.0, gap, gap, gap, gap],
        "TOKYO": [10.0, gap, gap, 10.0, 10.0],
        "X": [10.0, gap, 10.0, 10.0, 10.0],
        "Y": [10.0, gap, gap, 10.0, 10.0],
    }
    close = pd.DataFrame(prices, index=pd.DatetimeIndex(days, name="session").as_unit("s")).sort_index(axis=1)
    kept = close.ffill()
    panel = PricePanel(kept, close.notna(), kept, kept * np.nan, "USD", days[-1].date())
    mics = {each: "XNYS" for each in prices if each not in "XY"} | {"TOKYO": "XTKS"}
    terms = Terms(mics=mics, recoveries={"GONE": (date(2026, 5, 5), None)})
    every = dict.fromkeys(prices, 0.1)
    first = simulate([rebalance("2026-05-01", **every)], panel, Costs(), terms)
    assert reasons(first) == {
        "HALTED": (5, "halted"),
        "LATE": (5, "not listed"),
        "GONE": (5, "delisted"),
        "TOKYO": (5, "holiday"),
        "X": (5, "holiday"),  # neither of the two traded that day
        "Y": (5, "holiday"),
    }
    later = simulate([rebalance("2026-05-05", **every)], panel, Costs(), terms)
    assert reasons(later) == {
        "HALTED": (6, "halted"),
        "LATE": (6, "not listed"),
        "GONE": (6, "delisted"),
        "TOKYO": (6, "holiday"),
        "Y": (6, "halted"),  # X traded
    }
    # a decision that no session follows has missed none
    assert simulate([rebalance("2026-05-08", **every)], panel, Costs(), terms).waits.empty


def test_an_order_says_once_why_it_waits_and_a_wait_is_counted_per_decision() -> None:
    panel = panel_of({"T": [1000.0, np.nan, 1300.0, 1690.0, 1690.0]})
    kept = panel.close.ffill()
    panel = replace(panel, prices=kept, close=kept)
    schedule = [rebalance("2026-01-05", T=1.0), rebalance("2026-01-07", T=0.9)]
    got = simulate(schedule, panel, Costs(), Terms(mics={"T": "XTKS"}))
    assert got.waits.drop(columns="symbol").to_numpy().tolist() == [
        [pd.Timestamp("2026-01-06"), date(2026, 1, 5), "halted"],  # then at its limit on the 7th
        [pd.Timestamp("2026-01-08"), date(2026, 1, 7), "price limit"],
    ]


def test_a_name_without_a_known_open_is_not_called_halted() -> None:
    panel = panel_of({"A": [10.0] * 5}, {"A": [10.0, np.nan, 10.0, 10.0, 10.0]})
    got = simulate([rebalance("2026-01-05", A=1.0)], panel, Costs(), Terms(execution="open"))
    assert reasons(got) == {"A": (6, "no open")}


def test_a_decision_inside_the_band_has_no_order_that_could_wait() -> None:
    close = pd.DataFrame({"A": [10.0] * 5, "B": [10.0, 10.0, 10.0, np.nan, 10.0]}, index=WEEK)
    panel = PricePanel(close.ffill(), close.notna(), close.ffill(), close * np.nan, "USD", WEEK[-1].date())
    schedule = [rebalance("2026-01-05", A=0.5, B=0.5), rebalance("2026-01-07", A=0.5, B=0.5)]
    assert reasons(simulate(schedule, panel, Costs())) == {"B": (8, "halted")}
    assert simulate(schedule, panel, Costs(), Terms(), Plan(band=0.05)).waits.empty


@given(seed=st.integers(0, 10**6), tranches=st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_whatever_fills_late_has_waited_and_whatever_waited_did_not_fill(seed: int, tranches: int) -> None:
    """Told from the list of trades alone, which the reasons are not made from."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2026-01-05", periods=30, name="session").as_unit("s")
    names = list("ABCDE")
    close = pd.DataFrame(10 * np.exp(rng.normal(0, 0.02, (30, 5)).cumsum(axis=0)), index, names)
    traded = pd.DataFrame(rng.random((30, 5)) < 0.7, index, names)
    traded.iloc[0] = True
    kept = close.where(traded).ffill()
    panel = PricePanel(kept, traded, kept, kept * np.nan, "USD", index[-1].date())
    decided = sorted(rng.choice(28, 6, replace=False).tolist())
    weights = [dict(zip(names, rng.dirichlet(np.ones(5)) * 0.8, strict=True)) for _ in decided]
    schedule = [rebalance(str(index[at].date()), **each) for at, each in zip(decided, weights, strict=True)]
    plan = Plan(tranche_of=tuple(at % tranches for at in range(6))) if tranches > 1 else Plan()
    got = simulate(schedule, panel, Costs(), Terms(), plan)
    waited = {
        (symbol, day): session
        for symbol, day, session in got.waits[["symbol", "decided_on", "session"]].itertuples(index=False)
    }
    first = {each.decided_on: index[at + 1] for each, at in zip(schedule, decided, strict=True)}
    expected = {
        (symbol, each.decided_on)
        for each in schedule
        for symbol in names
        if not traded.loc[first[each.decided_on], symbol]
    }
    short = {(symbol, day) for symbol, day in waited if traded.loc[waited[symbol, day], symbol]}
    assert set(waited) - short == expected and set(got.waits["reason"]) <= {"holiday", "halted", "cash"}
    for row in got.trades.itertuples():
        late = row.session > first[row.decided_on]
        assert not late or waited[row.symbol, row.decided_on] < row.session


def test_tokyo_is_sized_before_new_york_has_closed_and_new_york_after_tokyo_has() -> None:
    """Both fill on the 7th. N doubles that day: Tokyo cannot know it yet, New York knows what Tokyo did."""
    prices = {"N": [10.0, 10.0, 20.0, 20.0, 20.0], "T": [10.0, 10.0, 10.0, 10.0, 10.0]}
    schedule = [rebalance("2026-01-05", N=0.5), rebalance("2026-01-06", N=0.5, T=0.5)]
    terms = Terms(mics={"N": "XNYS", "T": "XTKS"})
    got = simulate(schedule, panel_of(prices), Costs(), terms)
    bought = got.trades[(got.trades["symbol"] == "T")]
    assert bought["value"].to_list() == pytest.approx([0.5])  # half of 1, not of 1.5


def test_tranches_are_the_mean_of_portfolios_that_follow_their_own_dates() -> None:
    rng = np.random.default_rng(3)
    prices = {name: list(10 * np.cumprod(1 + rng.normal(0, 0.05, 5))) for name in "ABC"}
    days = ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"]
    schedule = [rebalance(day, **dict(zip("ABC", rng.dirichlet(np.ones(3)), strict=True))) for day in days]
    panel, costs = panel_of(prices, value=1e6), load_costs()
    whole = simulate(schedule, panel, costs, Terms(), Plan(tranche_of=(0, 1, 0, 1)))
    parts = [simulate(schedule[first::2], panel, costs, Terms(capital=5e5)) for first in (0, 1)]
    alone = pd.concat([each.wealth for each in parts], axis=1).fillna(1.0).mean(axis=1)
    np.testing.assert_allclose(whole.wealth, alone, rtol=0, atol=1e-15)
    assert len(whole.trades) == sum(len(each.trades) for each in parts)
    kinds = whole.trades[["commission", "half-spread", "currency", "tax", "impact"]].sum(axis=1)
    np.testing.assert_allclose(kinds, whole.trades["cost"], rtol=0, atol=1e-15)
    reconciled = whole.cash + (whole.shares * whole.prices).sum(axis=1)
    np.testing.assert_allclose(reconciled, whole.wealth, rtol=0, atol=1e-14)


def test_a_decision_inside_the_band_is_not_traded() -> None:
    prices = {"A": [10.0, 10.0, 10.5, 20.0, 20.0], "B": [10.0] * 5}
    schedule = [
        rebalance("2026-01-05", A=0.5, B=0.5),
        rebalance("2026-01-07", A=0.5, B=0.5),  # 51.2 % against 50 %
        rebalance("2026-01-08", A=0.5, B=0.5),  # 66.7 % against 50 %
    ]
    got = simulate(schedule, panel_of(prices), Costs(), Terms(), Plan(band=0.05))
    assert got.turnover.to_list() == pytest.approx([0.5, 0.0, 1 / 6])
    assert sorted(set(got.trades["session"].dt.day)) == [6, 9]


def test_impact_grows_with_the_capital_and_is_told_by_kind() -> None:
    rng = np.random.default_rng(0)
    index = pd.bdate_range("2025-01-01", periods=120, name="session").as_unit("s")
    close = pd.DataFrame({"A": 10 * np.exp(np.cumsum(rng.normal(0, 0.02, 120)))}, index=index)
    panel = PricePanel(close, close.notna(), close, close * 0 + 1e6, "USD", index[-1].date())
    series = pd.Series({"A": 1.0})
    schedule = [Rebalance("t", index[100].date(), "equal", series, 0.0, series, 0.2, (), {})]
    small, large = (simulate(schedule, panel, load_costs(), Terms(capital=capital)) for capital in (1e4, 1e6))
    daily = np.sqrt((close["A"].pct_change().iloc[101 - 63 : 101] ** 2).mean())
    value = float(large.trades["value"].iloc[0])
    assert large.trades["impact"].iloc[0] == pytest.approx(value * 0.5 * daily * np.sqrt(value * 1e6 / 1e6))
    assert large.trades["half-spread"].iloc[0] == pytest.approx(value * 20e-4)  # a million dollars a day
    ratio = large.trades["impact"].iloc[0] / small.trades["impact"].iloc[0]
    assert ratio == pytest.approx((value / small.trades["value"].iloc[0]) ** 1.5 * 10)


FIVE = ["6146.T", "6762.T", "6902.T", "7011.T", "9984.T"]


def by_shifting(shared_prices: Path, later: int) -> float:
    """The same, as a notebook has it: dates joined, yesterday's weight times today's return, so many rows later."""
    columns = {
        symbol: pd.read_csv(shared_prices / "2026" / f"{symbol}.csv", index_col="date", parse_dates=["date"])
        for symbol in [*FIVE, "SPY"]
    }
    closes = pd.concat({symbol: each["close"] for symbol, each in columns.items()}, axis=1, sort=True)
    returns = closes["2021-07-01":"2026-07-10"].dropna().pct_change().iloc[1:]  # type: ignore[misc]
    held = (returns["SPY"] > 0).shift(later, fill_value=False) * returns[FIVE].mean(axis=1)
    return float(held.mean() / held.std() * np.sqrt(252))


def following_new_york(shared_prices: Path, execution: str) -> tuple[float, float]:
    """The Sharpe ratio of five Tokyo names held after SPY rose, and of holding them always; local currency."""
    names = FIVE
    frames = {
        symbol: pd.read_csv(shared_prices / "2026" / f"{symbol}.csv", index_col="date", parse_dates=["date"])
        for symbol in [*names, "SPY"]
    }
    both = pd.DataFrame({symbol: each["close"] for symbol, each in frames.items()})
    both = both[(both.index >= "2021-07-01") & (both.index <= "2026-07-10")]
    both.index = pd.DatetimeIndex(both.index, name="session").as_unit("s")
    opens = pd.DataFrame({symbol: frames[symbol].get("open") for symbol in names}, index=both.index)
    close, traded = both[names].ffill(), both[names].notna()
    quotes = Quotes(
        open=opens.where(traded),
        rates=pd.DataFrame({"JPY XTKS": 1.0}, index=both.index),
        rate_of=dict.fromkeys(names, "JPY XTKS"),
        actions=pd.DataFrame({"session": both.index[:0], "symbol": [], "dividend": [], "split": []}),
    )
    panel = PricePanel(close, traded, close, close * np.nan, "JPY", both.index[-1].date(), quotes=quotes)
    rose = both["SPY"].dropna().pct_change() > 0
    equal = pd.Series(0.2, index=pd.Index(names))
    nothing = equal.iloc[:0]

    def run(chosen: pd.Series) -> Backtest:
        schedule = [
            Rebalance(
                "trap", day.date(), "equal", equal if up else nothing, 0.0 if up else 1.0, equal, 0.2, (), {}
            )
            for day, up in chosen.items()
            if day >= close.dropna().index[1]
        ]
        return simulate(
            schedule, panel, Costs(), Terms(mics=dict.fromkeys(names, "XTKS"), execution=execution)
        )

    followed, always = run(rose), run(rose | True)
    return summarise(followed.wealth).sharpe_ratio, summarise(always.wealth).sharpe_ratio


@pytest.mark.parametrize("execution", ["close", "open"])
def test_on_real_prices_new_yorks_sign_is_worth_little_in_tokyo(shared_prices: Path, execution: str) -> None:
    # at Tokyo's close of the date, hours before New York's: what peers print
    assert by_shifting(shared_prices, 1) > 4.9
    followed, always = following_new_york(shared_prices, execution)
    assert 1.1 < always < 1.4
    if execution == "close":
        # joining drops sessions, we do not
        assert followed == pytest.approx(by_shifting(shared_prices, 2), abs=0.15)
    assert followed < 1.2
