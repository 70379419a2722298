import numpy as np
import pandas as pd
import pytest

from screener.screening.fundamentals import FUNDAMENTALS, fundamental_metrics
from screener.screening.metrics import METRICS


def test_the_runway_is_how_long_cash_lasts_at_the_present_outflow() -> None:
    stated = {
        "BURNS": {"cash": 120e6, "free_cash_flow": -48e6},
        "EARNS": {"cash": 50e6, "free_cash_flow": 9e6},
    }
    table = fundamental_metrics(stated, pd.Index(["BURNS", "EARNS", "SILENT"]))
    assert table.loc["BURNS", "cash_runway_months"] == pytest.approx(30.0)
    assert np.isnan(table.loc["EARNS", "cash_runway_months"])
    assert table.loc["SILENT"].isna().all()


def test_fundamentals_and_metrics_share_no_name() -> None:
    assert not set(FUNDAMENTALS) & set(METRICS)
    assert list(fundamental_metrics({}, pd.Index(["A"])).columns) == list(FUNDAMENTALS)
