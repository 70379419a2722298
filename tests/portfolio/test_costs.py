import pytest

from screener.errors import UserError
from screener.portfolio.costs import Costs


def test_cost_is_proportional_to_value_and_alike_for_purchase_and_sale() -> None:
    assert Costs(15).of(10_000) == pytest.approx(15.0)
    assert Costs(15).of(-10_000) == Costs(15).of(10_000)
    assert Costs(15).of(0) == 0


@pytest.mark.parametrize("bps", [-1, float("nan"), float("inf"), 5_001])
def test_a_cost_that_makes_no_sense_is_refused(bps: float) -> None:
    with pytest.raises(UserError, match="basis points"):
        Costs(bps)
