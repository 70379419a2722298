import pytest

from screener.screening.words import RULED, describe, shown, why_not
from screener.universe.model import ScreenRule


def test_a_rule_is_described_for_a_reader() -> None:
    assert describe(ScreenRule("volatility", "<=", 0.6)) == "volatility ≤ 60.0%"
    assert describe(ScreenRule("history_days", ">=", 252)) == "history ≥ 252 sessions"
    assert (
        describe(ScreenRule("beta_percentile_in_segment", "<", 0.5))
        == "percentile of beta in its segment < 50.0%"
    )


def test_why_a_value_fails_carries_both_numbers_and_the_currency() -> None:
    assert why_not(ScreenRule("adv", ">=", 2e6), 4e5, "USD") == (
        "average daily value traded 0.40 M USD is below 2.00 M USD"
    )
    assert why_not(ScreenRule("cash_runway_months", ">=", 12.0), 7.25) == (
        "cash runway 7.2 months is below 12.0 months"
    )
    assert why_not(ScreenRule("beta", "<", 1.2), float("nan")) == "beta is unknown"


@pytest.mark.parametrize("unit", sorted({each.unit for each in RULED.values()}))
def test_every_unit_has_a_way_to_be_written_and_the_unknown_is_a_dash(unit: str) -> None:
    assert shown(float("nan"), unit) == "—"
    assert shown(-1234.5, unit).startswith("−")
    assert "-" not in shown(-1234.5, unit)
