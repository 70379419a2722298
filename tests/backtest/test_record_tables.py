"""The tables of a record: years beside others', months, drawdowns, and a year rolled through it."""

from __future__ import annotations

import warnings
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.backtest.performance import drawdown_table, maximum_drawdown, summarise, yearly_returns
from screener.backtest.record_tables import (
    MONTHS,
    drawdowns_table,
    months_table,
    rolling_year,
    years_table,
)


def wealth_of(seed: int, sessions: int = 1304, start: str = "2020-01-30") -> pd.Series:
    returns = np.random.default_rng(seed).normal(0.0003, 0.01, sessions)
    index = pd.bdate_range(start, periods=sessions + 1)
    return pd.Series(np.cumprod(np.r_[1.0, 1.0 + returns]), index=index)


WEALTH, OTHER = wealth_of(0), wealth_of(1)


@given(seed=st.integers(0, 10**6), sessions=st.integers(2, 600))
def test_the_months_of_a_row_multiply_to_its_year_and_years_to_the_whole(seed: int, sessions: int) -> None:
    wealth = wealth_of(seed, sessions)
    table = months_table(wealth)
    assert list(table.columns) == [*MONTHS, "return"]
    np.testing.assert_allclose(np.nanprod(1 + table[list(MONTHS)], axis=1), 1 + table["return"].fillna(0.0))
    assert (1 + table["return"]).prod() == pytest.approx(wealth.iloc[-1] / wealth.iloc[0])


def test_years_stand_beside_those_of_others() -> None:
    table = years_table({"ours": WEALTH, "theirs": OTHER})
    assert table.index.name == "year" and list(table.index) == list(range(2020, 2026))
    for name, wealth in (("ours", WEALTH), ("theirs", OTHER)):
        assert table[name].to_list() == yearly_returns(wealth).to_list()
    assert table.loc[2022, "ours"] == pytest.approx(
        WEALTH[:"2022-12-31"].iloc[-1] / WEALTH[:"2021-12-31"].iloc[-1] - 1  # type: ignore[misc]
    )


def test_drawdowns_are_those_of_the_record_deepest_first() -> None:
    table = drawdowns_table(WEALTH)
    assert table.to_dict("records") == [asdict(each) for each in drawdown_table(WEALTH)]
    assert table["depth"].iloc[0] == pytest.approx(maximum_drawdown(WEALTH))
    assert drawdowns_table(wealth_of(0, 5) * 0 + 1.0).empty


def test_a_rolled_year_ends_with_the_latest_and_steps_a_year_back() -> None:
    found = rolling_year(WEALTH)
    assert found is not None and found.window == 261 and found.windows == 1304 - 261 + 1
    assert [f"{each:%Y-%m-%d}" for each in found.steps.index] == [
        f"{WEALTH.index[at]:%Y-%m-%d}" for at in (1304 - 3 * 261, 1304 - 2 * 261, 1304 - 261, 1304)
    ]
    for end, row in found.steps.iterrows():
        at = WEALTH.index.get_loc(end)
        expected = summarise(WEALTH.iloc[at - 261 : at + 1])
        for name in row.index:
            assert row[name] == pytest.approx(getattr(expected, name), rel=1e-9), name
    every = pd.DataFrame([asdict(summarise(WEALTH.iloc[at - 261 : at + 1])) for at in range(261, 1305)])
    for name in found.spread.columns:
        expected = [every[name].min(), every[name].median(), every[name].max()]
        assert found.spread[name].to_list() == pytest.approx(expected, rel=1e-9)


def test_no_year_is_rolled_through_less_than_one() -> None:
    assert rolling_year(wealth_of(0, 1)) is None
    for sessions in (100, 200, 259):
        found = rolling_year(wealth_of(0, sessions))
        assert found is None
    assert rolling_year(wealth_of(0, 300)) is not None


def test_after_a_total_loss_there_is_nothing_to_roll() -> None:
    lost = WEALTH.where(WEALTH.index < WEALTH.index[700], 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rolling_year(lost)
        months_table(lost), years_table({"lost": lost})
    assert found is not None and found.steps.index[-1] == WEALTH.index[699]
    assert drawdowns_table(lost)["depth"].iloc[0] == 1.0
