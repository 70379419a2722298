from datetime import date

import numpy as np
import pandas as pd
import pytest

from screener.market.returns import weekly_returns
from screener.market.sessions import sessions_between


def test_anchors_are_seven_days_apart_and_end_with_the_last_row() -> None:
    index = sessions_between("XNYS", date(2026, 1, 5), date(2026, 2, 6))
    prices = pd.DataFrame({"A": np.arange(len(index)) + 1.0}, index=index)
    returns = weekly_returns(prices, 3)
    assert [each.date() for each in returns.index] == [date(2026, 1, 23), date(2026, 1, 30), date(2026, 2, 6)]
    assert returns["A"].iloc[-1] == pytest.approx(prices["A"].iloc[-1] / prices["A"].loc["2026-01-30"] - 1)


def test_an_anchor_on_a_holiday_takes_the_last_row_before_it() -> None:
    index = pd.DatetimeIndex(["2026-01-02", "2026-01-08", "2026-01-16"]).as_unit("s")
    prices = pd.DataFrame({"A": [1.0, 2.0, 3.0]}, index=index)
    assert weekly_returns(prices, 1)["A"].to_list() == [0.5]


def test_a_missing_end_makes_a_missing_return_and_short_history_fewer_rows() -> None:
    index = pd.bdate_range("2026-01-01", "2026-01-30").as_unit("s")
    prices = pd.DataFrame(
        {"A": 1.0, "B": np.where(index < pd.Timestamp("2026-01-20"), np.nan, 1.0)}, index=index
    )
    returns = weekly_returns(prices, 104)
    assert len(returns) == 4
    assert returns["B"].isna().to_list() == [True, True, True, False]
