"""One week worked by hand: three names, two exchanges, a holiday, a split, a dividend, a delisting, a currency."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from screener.backtest.attribution import attribute, session_contributions
from screener.backtest.engine import Backtest, simulate
from screener.backtest.tape import Terms
from screener.market.bars import Bars, bars_table
from screener.market.panel import PricePanel, build
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs, Tax
from screener.universe.model import Instrument

NOW = datetime(2026, 6, 1, tzinfo=UTC)
# Tokyo is shut from Monday 4 to Wednesday 6 May 2026. Prices are those served: A's split of 5 May (two for one) has
# halved its earlier prices. T pays 10 yen on 7 May. G leaves New York on 7 May; holders got half of its last price.
A = {"2026-04-30": 50, "2026-05-01": 50, "2026-05-04": 52, "2026-05-05": 53, "2026-05-06": 53, "2026-05-07": 54,
     "2026-05-08": 55}  # fmt: skip
T = {"2026-04-30": 1500, "2026-05-01": 1500, "2026-05-07": 1600, "2026-05-08": 1650}
G = {"2026-04-30": 10, "2026-05-01": 10, "2026-05-04": 10, "2026-05-05": 8, "2026-05-06": 8}
YEN = {"2026-04-30": 150, "2026-05-01": 150, "2026-05-04": 150, "2026-05-05": 160, "2026-05-06": 160,
       "2026-05-07": 160, "2026-05-08": 165}  # fmt: skip
COSTS = Costs(commission_bps=10, currency_bps=5, taxes={"XNYS": (Tax(date(2000, 1, 1), 0.0, 20.0),)})
DECIDED = (date(2026, 4, 30), date(2026, 5, 5))


def bars(symbol: str, close: dict[str, float], currency: str, **columns: dict[str, float]) -> Bars:
    table = pd.DataFrame({"close": pd.Series(close), **{k: pd.Series(v) for k, v in columns.items()}})
    table.index = pd.DatetimeIndex(table.index)
    return Bars(symbol, bars_table(table.sort_index()), currency, "test", NOW)


def instrument(symbol: str, mic: str, currency: str, gone: date | None = None) -> Instrument:
    return Instrument(
        symbol, symbol, symbol, symbol.lower(), "equity", mic, currency, "US", "mining", delisted_on=gone
    )


def market() -> PricePanel:
    served = {
        "A": bars("A", A, "USD", split={"2026-05-05": 2.0}),
        "G": bars("G", G, "USD"),
        "T": bars("T", T, "JPY", dividend={"2026-05-07": 10.0}),
        "JPY=X": bars("JPY=X", YEN, "JPY"),
    }
    names = {
        "A": instrument("A", "XNYS", "USD"),
        "G": instrument("G", "XNYS", "USD", date(2026, 5, 7)),
        "T": instrument("T", "XTKS", "JPY"),
    }
    return build(served, names, "USD", date(2026, 5, 8), NOW)[0]


def rebalance(day: date, **weights: float) -> Rebalance:
    series = pd.Series(dict(sorted(weights.items())), dtype=float)
    return Rebalance("test", day, "equal", series, 1.0 - float(series.sum()), series, 0.2, (), {})


TERMS = Terms(mics={"A": "XNYS", "G": "XNYS", "T": "XTKS"}, recoveries={"G": (date(2026, 5, 7), 0.5)})
SCHEDULE = [rebalance(DECIDED[0], A=0.4, G=0.2, T=0.4), rebalance(DECIDED[1], A=0.6, G=0.1, T=0.3)]


def run() -> tuple[Backtest, PricePanel]:
    panel = market()
    return simulate(SCHEDULE, panel, COSTS, TERMS), panel


def test_the_week() -> None:
    got, _ = run()
    # Fri 1 May. Tokyo trades first: T at 1500 / 150 = 10 dollars, costs 10 + 5 bps. W + 0.0015 * 0.4 W = 1
    after = 1 / (1 + 0.0015 * 0.4)
    t, cash = 0.4 * after / 10, 1 - 0.4 * after * 1.0015
    # then New York, sized on the wealth that Tokyo's costs have left: A at 100 (before its split), G at 10
    wealth = cash + 10 * t
    after = wealth / (1 + 0.001 * 0.6)
    # T was sized before New York's costs were known, so cash is a little short: both purchases are cut alike
    share = cash / (0.6 * after * 1.001)
    assert 0.999 < share < 1
    a, g, cash = share * 0.4 * after / 100, share * 0.2 * after / 10, 0.0
    friday = cash + 100 * a + 10 * g + 10 * t
    # Mon 4 May: Tokyo is shut and keeps 1500 yen at 150
    monday = cash + 104 * a + 10 * g + 10 * t
    # Tue 5 May: two shares of A for one at 53; the yen falls to 160
    a *= 2
    tuesday = cash + 53 * a + 8 * g + 1500 / 160 * t
    # Wed 6 May: New York trades what was decided on Tuesday: A up to 60 %, G down to 10 %; Tokyo stays shut
    wealth = cash + 53 * a + 8 * g + 1500 / 160 * t
    # W + 0.001 (0.6 W − A) + 0.003 (G − 0.1 W) = wealth
    after = (wealth + 0.001 * 53 * a - 0.003 * 8 * g) / (1 + 0.001 * 0.6 - 0.003 * 0.1)
    bought, sold = 0.6 * after - 53 * a, 8 * g - 0.1 * after
    assert bought > 0 and sold > 0
    room = cash + sold * 0.997  # what cash, none, and the sale pay for; Tokyo's sale is still to come
    share = room / (bought * 1.001)
    assert share < 1
    cash, a, g = 0.0, a + share * bought / 53, g - sold / 8
    wednesday = cash + 53 * a + 8 * g + 1500 / 160 * t
    # Thu 7 May: T pays 10 yen, G becomes cash at half of 8. Tokyo trades first, on A's close of Wednesday: T is cut
    # to 30 % at 1600 / 160 = 10
    cash += 10 / 160 * t + 0.5 * 8 * g
    wealth = cash + 53 * a + 10 * t
    after = (wealth - 0.0015 * 10 * t) / (1 - 0.0015 * 0.3)
    sold = 10 * t - 0.3 * after
    assert sold > 0
    cash, t = cash + sold * (1 - 0.0015), t - sold / 10
    # then New York at 54 goes on with the purchase that waited for that sale
    wealth = cash + 54 * a + 10 * t
    after = (wealth + 0.001 * 54 * a) / (1 + 0.001 * 0.6)
    bought = 0.6 * after - 54 * a
    share = min(1.0, cash / (bought * 1.001))
    cash, a = cash - share * bought * 1.001, a + share * bought / 54
    thursday = cash + 54 * a + 10 * t
    friday_8 = cash + 55 * a + 1650 / 165 * t
    expected = [1.0, friday, monday, tuesday, wednesday, thursday, friday_8]
    assert got.waits.to_dict("records") == [
        {
            "session": pd.Timestamp("2026-05-06"),
            "symbol": "A",
            "decided_on": DECIDED[1],
            "reason": "cash",
        },
        {
            "session": pd.Timestamp("2026-05-06"),
            "symbol": "T",
            "decided_on": DECIDED[1],
            "reason": "holiday",
        },
    ]
    assert got.wealth.to_list() == pytest.approx(expected, abs=1e-12)
    assert got.cash.iloc[-1] == pytest.approx(cash, abs=1e-12)
    assert got.shares.loc["2026-05-04", "A"] * 2 == pytest.approx(got.shares.loc["2026-05-05", "A"])
    assert got.prices.loc["2026-05-04", "A"] == pytest.approx(104)


def test_what_was_paid() -> None:
    got, _ = run()
    assert got.payments[["symbol", "kind"]].to_numpy().tolist() == [["G", "delisting"], ["T", "dividend"]]
    held = got.shares.loc["2026-05-06"]
    assert got.payments["value"].to_list() == pytest.approx([0.5 * 8 * held["G"], 10 / 160 * held["T"]])


def test_costs_by_kind_add_up_to_the_cost_of_each_trade() -> None:
    got, _ = run()
    kinds = got.trades[["commission", "half-spread", "currency", "tax", "impact"]].sum(axis=1)
    assert kinds.to_list() == pytest.approx(got.trades["cost"].to_list(), abs=1e-15)
    size = got.trades["value"].abs()
    assert got.trades["currency"].to_list() == pytest.approx(
        (size * 5e-4 * (got.trades["symbol"] == "T")).to_list()
    )
    sale = (got.trades["value"] < 0) & (got.trades["symbol"] != "T")
    assert sale.any()
    assert got.trades["tax"].to_list() == pytest.approx((size * 20e-4 * sale).to_list())


def test_contributions_add_up_to_each_sessions_return_and_linked_to_the_total() -> None:
    got, panel = run()
    parts = session_contributions(got, panel)
    total = sum(part.sum(axis=1) for part in parts.values())
    returns = got.wealth.pct_change().fillna(0.0)
    assert (total - returns).abs().max() < 1e-12
    # the yen's fall of Tuesday hits T alone
    tuesday = parts["currency"].loc["2026-05-05"]
    weight = got.weights_held.loc["2026-05-04", "T"]
    assert tuesday["T"] == pytest.approx(weight * (150 / 160 - 1))
    assert tuesday[["A", "G"]].to_list() == [0.0, 0.0]
    found = attribute(got, panel)
    assert found.names.to_numpy().sum() == pytest.approx(got.wealth.iloc[-1] - 1, abs=1e-14)
    assert found.by({"A": "x", "G": "x", "T": "y"}).to_numpy().sum() == pytest.approx(found.total, abs=1e-14)
