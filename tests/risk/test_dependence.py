"""Where a portfolio stands on the chain sums to one on every axis, also when a node falls away."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.risk.dependence import AXES, Node, dependence_map, parse_node
from screener.universe.load import find_universe, load_universe
from screener.universe.model import Instrument, Material, Segment, Universe


def name(symbol: str, segment: str, domicile: str, **facts: object) -> Instrument:
    return Instrument(
        symbol,
        symbol,
        symbol,
        symbol,
        "equity",
        "XNYS",
        "USD",
        domicile,
        segment,
        **facts,  # type: ignore[arg-type]
    )


MINE = name("MINE", "mining", "AU", materials=("NdPr",), verified="yes")
PLANT = name(
    "PLANT", "refining", "CN", operations=("CN", "MY"), materials=("NdPr", "Dy"), china_dependence="high",
    other_segments=("mining",), verified="yes",
)  # fmt: skip
STATE = name("STATE", "refining", "CN", tags=("state_group",), china_dependence="china-domiciled")
MOTOR = name("MOTOR", "magnets", "JP", materials=("Dy",), china_dependence="high", verified="yes")
SEGMENTS = {key: Segment(key, order, key, key) for order, key in enumerate(("mining", "refining", "magnets"))}
NDPR = Material("NdPr", "NdPr", "NdPr", "light_rare_earth", (("magnets", "magnets"),), ("Nd", "Pr"))
WORKED = Universe(
    "u", "U", "U", {each.symbol: each for each in (MINE, MOTOR, PLANT, STATE)}, {}, SEGMENTS, {}, {},
    materials={"NdPr": NDPR},
)  # fmt: skip
WEIGHTS = {"MINE": 0.4, "PLANT": 0.3, "STATE": 0.1, "MOTOR": 0.2}


def test_a_case_worked_by_hand() -> None:
    got = dependence_map(WORKED, WEIGHTS)
    assert got.shares["stage"].to_dict() == pytest.approx({"mining": 0.4, "refining": 0.4, "magnets": 0.2})
    # PLANT is half in China and half in Malaysia
    assert got.shares["operations"].to_dict() == pytest.approx({"AU": 0.4, "CN": 0.25, "JP": 0.2, "MY": 0.15})
    # MINE is half Nd, half Pr; PLANT a third each of Nd, Pr and Dy; STATE names none
    assert got.shares["element"].to_dict() == pytest.approx(
        {"Nd": 0.3, "Pr": 0.3, "Dy": 0.3, "none stated": 0.1}
    )
    assert got.shares["china_dependence"].to_dict() == pytest.approx(
        {"high": 0.5, "low": 0.4, "china-domiciled": 0.1}
    )
    assert got.shares["domicile"].to_dict() == pytest.approx(
        {"AU": 0.4, "CN": 0.3, "JP": 0.2, "CN state": 0.1}
    )
    assert got.touching["stage"].to_dict() == pytest.approx({"mining": 0.7, "refining": 0.4, "magnets": 0.2})
    assert got.touching["element"]["Nd"] == pytest.approx(0.7)
    assert (got.unverified, got.lost, got.exposed) == pytest.approx((0.1, 0.0, 0.0))


def test_without_chinas_refining_half_a_plant_and_a_state_group_are_gone() -> None:
    got = dependence_map(WORKED, WEIGHTS, [Node("CN", "refining")])
    # 0.15 of PLANT and 0.1 of STATE are lost; 0.75 are left: 0.4, 0.15 and 0.2
    assert got.lost == pytest.approx(0.25)
    assert got.shares["stage"].to_dict() == pytest.approx(
        {"mining": 0.4 / 0.75, "refining": 0.15 / 0.75, "magnets": 0.2 / 0.75}
    )
    assert "CN" not in got.shares["operations"]
    assert got.nodes.loc["MY", "refining"] == pytest.approx(0.2)
    assert got.exposed == pytest.approx(0.2 / 0.75)  # MOTOR, downstream and highly dependent


def test_nothing_left_an_unknown_symbol_and_a_node_that_is_none_are_refused() -> None:
    with pytest.raises(UserError, match="nothing is left of the portfolio without CN:refining"):
        dependence_map(WORKED, {"STATE": 1.0}, [Node("CN", "refining")])
    with pytest.raises(UserError, match="'MINES'"):
        dependence_map(WORKED, {"MINES": 1.0})
    with pytest.raises(UserError, match="not all zero"):
        dependence_map(WORKED, {"MINE": 0.0})
    assert parse_node("cn:refining", WORKED) == Node("CN", "refining")
    for text, said in (
        ("CN", "write country and stage"),
        ("CN:refinery", "refining"),
        ("XX:mining", "country"),
    ):
        with pytest.raises(UserError, match=said):
            parse_node(text, WORKED)


REAL = load_universe(find_universe("rare_earth_ai"))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_axis_sums_to_one_and_no_share_is_more_than_what_touches_it(draw: st.DataObject) -> None:
    symbols = draw.draw(st.lists(st.sampled_from(sorted(REAL.instruments)), min_size=1, unique=True))
    weights = {each: draw.draw(st.floats(0.01, 1.0)) for each in symbols}
    nodes = [Node("CN", draw.draw(st.sampled_from(list(REAL.segments))))]
    try:
        got = dependence_map(REAL, weights, nodes)
    except UserError:
        assert all(REAL.instruments[each].countries == ("CN",) for each in symbols)
        return
    assert set(got.shares) == set(AXES)
    for axis, shares in got.shares.items():
        assert shares.sum() == pytest.approx(1.0, abs=1e-12)
        assert (got.touching[axis].reindex(shares.index) >= shares - 1e-12).all()
    assert got.nodes.to_numpy().sum() == pytest.approx(1.0, abs=1e-12)
    assert 0 <= got.lost < 1 and 0 <= got.exposed <= 1 and 0 <= got.unverified <= 1 + 1e-12


def test_every_listed_name_stands_at_an_element_or_says_that_none_is_stated() -> None:
    on = date(2026, 11, 1)
    listed = [each for each in REAL.instruments.values() if each.is_listed(on)]
    stated = {element for each in listed for element in REAL.elements_of(each)}
    assert {"Nd", "Pr", "Dy", "Tb", "Y", "Er", "Yb", "Ce", "Ga"} <= stated
    assert "NdPr" not in stated  # counted as what it is made of
