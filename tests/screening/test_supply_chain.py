import numpy as np
import pandas as pd
import pytest

from screener.screening.supply_chain import FACTS, herfindahl, supply_chain_columns
from screener.universe.load import find_universe, load_universe

REAL = load_universe(find_universe("rare_earth_ai"))
SYMBOLS = sorted(REAL.instruments)


def test_every_fact_is_a_column_for_every_name() -> None:
    table = supply_chain_columns(REAL, SYMBOLS, pd.Series(1.0, index=SYMBOLS))
    assert set(table.columns) == set(FACTS) and list(table.index) == SYMBOLS


def test_the_facts_of_one_name() -> None:
    row = supply_chain_columns(REAL, ["600111.SS", "MP"], pd.Series(dtype=float)).loc["MP"]
    assert row["segment"] == "mining" and row["purity"] == "pure-play" and row["domicile"] == "US"
    assert "NdPr" in row["materials"] and {"Nd", "Pr", "Dy"} <= set(row["elements"])
    assert row["china_share"] == REAL.segments["mining"].china_share


def test_a_group_that_the_state_owns_is_a_domicile_of_its_own() -> None:
    table = supply_chain_columns(REAL, ["600111.SS", "300748.SZ"], pd.Series(dtype=float))
    assert table["domicile"].to_dict() == {"600111.SS": "CN state", "300748.SZ": "CN"}


def test_herfindahl_of_equal_and_of_single_sizes() -> None:
    assert herfindahl(pd.Series([1.0] * 4)) == pytest.approx(0.25)
    assert herfindahl(pd.Series([5.0, 0.0])) == 1.0
    assert herfindahl(pd.Series([3.0, 1.0])) == pytest.approx(0.625)
    assert np.isnan(herfindahl(pd.Series([0.0, np.nan])))


def test_two_lines_of_one_issuer_are_one_company_of_its_stage() -> None:
    lines = ["300748.SZ", "6680.HK"]  # JL MAG in Shenzhen and in Hong Kong
    table = supply_chain_columns(
        REAL, [*lines, "5471.T"], pd.Series({**dict.fromkeys(lines, 1.0), "5471.T": 2.0})
    )
    assert table["stage_hhi_company"].tolist() == [0.5] * 3
    assert table["stage_hhi_country"].tolist() == [0.5] * 3


def test_a_name_without_value_traded_has_no_weight_in_its_stage() -> None:
    table = supply_chain_columns(REAL, ["MP", "LYC.AX"], pd.Series({"MP": 1e6, "LYC.AX": np.nan}))
    assert table["stage_hhi_company"].tolist() == [1.0, 1.0]
    nothing = supply_chain_columns(REAL, ["MP"], pd.Series(dtype=float))
    assert np.isnan(nothing["stage_hhi_company"]["MP"])
