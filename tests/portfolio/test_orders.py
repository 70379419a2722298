from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.portfolio.build import Rebalance
from screener.portfolio.costs import Costs, load_costs
from screener.portfolio.limits import parse_limits
from screener.portfolio.orders import Line, make_orders
from screener.portfolio.region import Names, Region
from screener.universe.model import Instrument

FREE = Costs()


def line(symbol: str, price: float, mic: str = "XNYS", currency: str = "USD", rate: float = 1.0) -> Line:
    instrument = Instrument(symbol, symbol, symbol, symbol, "equity", mic, currency, "US", "mining")
    return Line(instrument, price, rate, 1e7, 0.4)


def rebalance(weights: dict[str, float], *limits: str) -> Rebalance:
    series = pd.Series(dict(sorted(weights.items())), dtype=float)
    names = Names(tuple(series.index), {"issuer": tuple(series.index)})
    cash = 1.0 - float(series.sum())
    region = Region(names, parse_limits(limits))
    return Rebalance(
        "t", date(2026, 7, 10), "equal", series, cash, series / series.sum(), 0.2, (), {}, region
    )


def lines_of(*lines: Line) -> dict[str, Line]:
    return {each.instrument.symbol: each for each in lines}


def test_a_worked_list() -> None:
    """10,000 USD, half in a 33-dollar share, half in Tokyo lots of 100 at 1,500 yen and 150 yen a dollar."""
    lines = lines_of(line("A", 33.0), line("T.T", 10.0, "XTKS", "JPY", 1 / 150))
    made = make_orders(rebalance({"A": 0.5, "T.T": 0.5}), lines, {}, 10_000.0, FREE, "USD")
    bought = {each.symbol: each for each in made.orders}
    assert bought["A"].shares == 151  # 4,983
    assert bought["T.T"].shares == 500  # five lots, 5,000
    assert bought["T.T"].quote == pytest.approx(1500)
    assert made.exchange == {"JPY": pytest.approx(750_000)}
    assert made.cash == pytest.approx(10_000 - 151 * 33 - 5_000)


def test_pence_are_quoted_in_pence_and_paid_in_pounds() -> None:
    lines = lines_of(line("L.L", 6.5, "XLON", "GBp", 1.3))
    made = make_orders(rebalance({"L.L": 1.0}), lines, {}, 1_000.0, FREE, "USD")
    (order,) = made.orders
    assert order.quote == pytest.approx(500.0)
    assert order.currency == "GBP" and order.local == pytest.approx(order.shares * 5.0)


def test_costs_are_told_by_kind_and_paid_from_the_capital() -> None:
    lines = lines_of(line("A", 50.0), line("L.L", 6.5, "XLON", "GBp", 1.3))
    made = make_orders(rebalance({"A": 0.5, "L.L": 0.5}), lines, {}, 100_000.0, load_costs(), "USD")
    value = {each.symbol: each.value for each in made.orders}
    total = sum(value.values())
    assert made.costs["commission"] == pytest.approx(total * 5e-4)
    assert made.costs["half-spread"] == pytest.approx(total * 7.5e-4)  # 10 million dollars a day
    assert made.costs["currency"] == pytest.approx(value["L.L"] * 2e-4)
    assert made.costs["tax"] == pytest.approx(value["L.L"] * 50e-4)
    impact = sum(v * 0.5 * 0.4 / np.sqrt(252) * np.sqrt(v / 1e7) for v in value.values())
    assert made.costs["impact"] == pytest.approx(impact)
    assert made.cash == pytest.approx(100_000 - total - sum(made.costs.values()))
    assert made.cash >= 0


def test_what_is_not_wanted_is_sold_whole_and_odd_lots_are_kept() -> None:
    lines = lines_of(line("GONE", 10.0), line("T.T", 10.0, "XTKS", "JPY", 1 / 150))
    made = make_orders(rebalance({"T.T": 1.0}), lines, {"GONE": 37.0, "T.T": 130.0}, 10_000.0, FREE, "USD")
    shares = {each.symbol: each.shares for each in made.orders}
    assert shares["GONE"] == -37
    assert shares["T.T"] == 800  # 930 shares are 9,300; another lot would cost more than there is
    assert made.orders[0].symbol == "GONE"


def test_sydneys_first_purchase_is_at_least_500_dollars() -> None:
    lines = lines_of(line("A", 10.0), line("S.AX", 0.65, "XASX", "AUD", 0.65))
    small = make_orders(rebalance({"A": 0.9, "S.AX": 0.1}), lines, {}, 2_000.0, FREE, "USD")
    assert {each.symbol for each in small.orders} == {"A"} or small.orders[-1].local >= 500
    more = make_orders(rebalance({"A": 0.9, "S.AX": 0.1}), lines, {"S.AX": 10.0}, 2_000.0, FREE, "USD")
    assert any(each.symbol == "S.AX" for each in more.orders)


def test_a_lot_that_is_too_large_is_told() -> None:
    lines = lines_of(line("A", 10.0), line("T.T", 400.0, "XTKS", "JPY", 1 / 150))
    made = make_orders(rebalance({"A": 0.9, "T.T": 0.1}), lines, {}, 20_000.0, FREE, "USD")
    assert [each.symbol for each in made.orders] == ["A"]
    assert "T.T is not bought: its smallest order is 200.0% of the capital, its target 10.0%" in made.notes


def test_rounding_up_never_breaks_a_cap() -> None:
    lines = lines_of(line("A", 999.0), line("B", 10.0))
    made = make_orders(rebalance({"A": 0.5, "B": 0.5}, "issuer <= 50%"), lines, {}, 10_000.0, FREE, "USD")
    assert all(each.weight <= 0.5 + 1e-9 for each in made.orders)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), capital=st.floats(500, 1e7), names=st.integers(1, 12))
def test_it_never_spends_more_than_the_capital(seed: int, capital: float, names: int) -> None:
    rng = np.random.default_rng(seed)
    mics = [("XNYS", "USD", 1.0), ("XTKS", "JPY", 1 / 150), ("XASX", "AUD", 0.65), ("XLON", "GBp", 1.3)]
    lines = {}
    for number in range(names):
        mic, currency, rate = mics[int(rng.integers(len(mics)))]
        each = line(f"S{number:02d}", float(rng.uniform(0.05, 400)), mic, currency, rate)
        lines[each.instrument.symbol] = each
    weights = dict(zip(lines, rng.dirichlet(np.ones(names)) * rng.uniform(0.5, 1.0), strict=True))
    worth = rng.dirichlet(np.ones(names)) * capital * 0.9
    held = {
        s: float(int(w / lines[s].price)) for s, w in zip(lines, worth, strict=True) if rng.random() < 0.6
    }
    made = make_orders(rebalance(weights), lines, held, capital, load_costs(), "USD")
    after = dict(held)
    for order in made.orders:
        after[order.symbol] = after.get(order.symbol, 0.0) + order.shares
        lot = lines[order.symbol].lot
        assert order.shares % lot == 0 or after[order.symbol] == 0
    assert all(number >= 0 for number in after.values())
    spent = sum(number * lines[symbol].price for symbol, number in after.items())
    assert made.cash >= 0
    assert spent + made.cash + sum(made.costs.values()) == pytest.approx(capital, rel=1e-9)


def test_impossible_requests_are_refused() -> None:
    lines = lines_of(line("A", 10.0))
    with pytest.raises(UserError, match="there is no capital"):
        make_orders(rebalance({"A": 1.0}), lines, {}, None, FREE, "USD")
    with pytest.raises(UserError, match="less than the 1,000 held"):
        make_orders(rebalance({"A": 1.0}), lines, {"A": 100.0}, 500.0, FREE, "USD")
    with pytest.raises(UserError, match="no price to order B"):
        make_orders(rebalance({"B": 1.0}), lines, {}, 500.0, FREE, "USD")


def test_a_holding_without_a_price_is_left_and_told() -> None:
    lines = lines_of(line("A", 10.0), replace(line("X", 1.0), price=float("nan")))
    made = make_orders(rebalance({"A": 1.0}), lines, {"X": 5.0}, 1_000.0, FREE, "USD")
    assert made.notes[0].startswith("X is held and has no price here")
