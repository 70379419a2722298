from datetime import date
from pathlib import Path

import pytest

from screener.errors import UserError
from screener.portfolio.costs import SHIPPED, Costs, load_costs

DAY = date(2026, 7, 10)


@pytest.mark.parametrize("bps", [-1, float("nan"), float("inf"), 5_001])
def test_a_cost_that_makes_no_sense_is_refused(bps: float) -> None:
    with pytest.raises(UserError, match="basis points"):
        Costs.flat(bps)


def test_a_flat_cost_is_the_same_everywhere_and_both_ways() -> None:
    flat = Costs.flat(15)
    assert flat.is_flat and not load_costs().is_flat
    for mic in ("XLON", "XTKS"):
        for buying in (True, False):
            assert sum(flat.rates(mic, DAY, foreign=True, buying=buying).values()) == pytest.approx(15e-4)


def test_stamp_duty_is_that_of_the_day_and_of_the_side() -> None:
    costs = load_costs()

    def tax(mic: str, day: date, *, buying: bool) -> float:
        return costs.rates(mic, day, foreign=False, buying=buying)["tax"]

    assert tax("XLON", DAY, buying=True) == pytest.approx(0.005)
    assert tax("XLON", DAY, buying=False) == 0
    assert tax("XSHG", date(2023, 8, 27), buying=False) == pytest.approx(0.001)
    assert tax("XSHE", date(2023, 8, 28), buying=False) == pytest.approx(0.0005)
    assert tax("XSHE", DAY, buying=True) == 0
    assert tax("XHKG", date(2022, 1, 3), buying=True) == pytest.approx(0.0013)
    assert tax("XTKS", DAY, buying=True) == 0


def test_what_trades_less_has_the_wider_spread_and_an_unknown_volume_the_widest() -> None:
    costs = load_costs()
    widths = [costs.half_spread(adv) for adv in (1e9, 1e8, 99e6, 1e6, 10.0, float("nan"))]
    assert widths == [2.5, 2.5, 7.5, 20.0, 50.0, 50.0]


def test_impact_grows_with_the_root_of_the_order() -> None:
    costs = load_costs()
    assert costs.impact(4e5, 1e7, 0.4) == pytest.approx(2 * costs.impact(1e5, 1e7, 0.4))
    assert costs.impact(0, 1e7, 0.4) == 0


def test_dividends_are_taxed_only_when_asked_for() -> None:
    assert not load_costs().withholding
    assert load_costs(withholding=True).withholding["JP"] == pytest.approx(0.15315)


def test_every_figure_of_the_shipped_file_says_what_it_rests_on() -> None:
    import tomllib

    tables = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    rows = [table for table in tables.values() if isinstance(table, dict)] + tables["tax"]
    assert all(row["source"].strip() for row in rows)


def test_every_fault_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    file.write_text(
        "[commission]\nbps = -1\n[currency]\nbps = 2\n[impact]\n[spread]\nclasses = [{adv_usd = 5}]\n"
        '[[tax]]\nmics = "XLON"\nsince = 3\nbuy_bps = 1\nsell_bps = 1\n[fees]\nx = 1\n'
    )
    with pytest.raises(UserError) as error:
        load_costs(file)
    said = "\n".join(error.value.problems)
    for part in (
        "[commission]: bps",
        "[impact]: coefficient",
        "adv_usd = 0",
        "half_spread_bps",
        "mics",
        "since",
    ):
        assert part in said
    assert "[fees] is not a table" in said
