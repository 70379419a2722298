import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.screening.metrics import METRICS
from screener.screening.rules import Facts, evaluate, parse_ranking, parse_rule
from screener.universe.model import ScreenRule, ScreenSpec

SPEC = ScreenSpec(
    "test",
    "Test",
    "テスト",
    (ScreenRule("adv", ">=", 2e6), ScreenRule("volatility", "<=", 0.5)),
    (("momentum_12_1", 2.0), ("volatility", -1.0)),
)


def table(rows: dict[str, dict[str, float]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(METRICS))


METRICS_TABLE = table(
    {
        "BEST": {"adv": 5e6, "volatility": 0.2, "momentum_12_1": 0.9},
        "GOOD": {"adv": 9e6, "volatility": 0.4, "momentum_12_1": 0.3},
        "THIN": {"adv": 4e5, "volatility": 0.3, "momentum_12_1": 2.0},
        "WILD": {"adv": 3e6, "volatility": 0.8, "momentum_12_1": 0.5},
        "UNKNOWN": {"volatility": 0.3, "momentum_12_1": 0.5},
    }
)


def test_those_that_keep_every_rule_pass_and_are_ranked() -> None:
    result = evaluate(SPEC, METRICS_TABLE)
    assert result.rank.to_dict() == {"BEST": 1, "GOOD": 2}
    assert list(result.passed.columns) == ["adv >= 2e+06", "volatility <= 0.5"]
    # of two names the better is at percentile 3/4, the other at 1/4
    assert result.score["BEST"] == pytest.approx(0.75)
    assert result.score["GOOD"] == pytest.approx(0.25)
    assert np.isnan(result.score["WILD"])


def test_every_rejection_says_what_fell_short_of_what() -> None:
    reasons = evaluate(SPEC, METRICS_TABLE).reasons
    assert reasons["THIN"] == ("average daily value traded 0.40 M is below 2.00 M",)
    assert reasons["WILD"] == ("volatility 80.0% is above 50.0%",)
    assert "BEST" not in reasons


def test_a_missing_metric_fails_its_rule_and_is_named() -> None:
    result = evaluate(SPEC, METRICS_TABLE)
    assert result.reasons["UNKNOWN"] == ("average daily value traded is unknown",)
    assert not result.passed.loc["UNKNOWN", "adv >= 2e+06"]


def test_a_missing_ranking_metric_ranks_last_and_ties_go_by_symbol() -> None:
    rows = {name: {"adv": 5e6, "volatility": 0.2, "momentum_12_1": 0.1} for name in ("B", "A")}
    rows["NEW"] = {"adv": 5e6, "volatility": 0.2}
    assert list(evaluate(SPEC, table(rows)).rank.index) == ["A", "B", "NEW"]


def test_two_bounds_that_round_alike_are_two_rules() -> None:
    rules = (ScreenRule("adv", ">=", 1234568.0), ScreenRule("adv", ">=", 1234567.0))
    result = evaluate(
        ScreenSpec("s", "S", "S", rules, (("adv", 1.0),)), table({"A": {"adv": 1234567.5}, "B": {"adv": 2e6}})
    )
    assert list(result.passed.columns) == ["adv >= 1234568.0", "adv >= 1234567.0"]
    assert result.rank.to_dict() == {"B": 1}


def test_a_near_miss_is_told_with_the_decimals_that_show_it() -> None:
    metrics = table({"A": {"adv": 1_999_999.0, "volatility": 0.50004}})
    assert evaluate(SPEC, metrics).reasons["A"] == (
        "average daily value traded 1.999999 M is below 2.000000 M",
        "volatility 50.004% is above 50.000%",
    )


def test_a_value_that_must_be_above_its_bound_and_equals_it_is_told_plainly() -> None:
    spec = ScreenSpec("s", "S", "S", (ScreenRule("return_6m", ">", 0.0),), (("adv", 1.0),))
    reasons = evaluate(spec, table({"A": {"return_6m": 0.0}, "B": {"return_6m": -0.032}})).reasons
    assert reasons["A"] == ("6-month return 0.0% is not above 0.0%",)
    assert reasons["B"] == ("6-month return −3.2% is not above 0.0%",)


def test_a_ranking_without_any_weight_is_refused() -> None:
    with pytest.raises(UserError, match="every weight of rank_by is 0"):
        evaluate(ScreenSpec("s", "S", "S", (), (("adv", 0.0),)), METRICS_TABLE)


def test_nobody_passing_is_an_empty_ranking() -> None:
    result = evaluate(SPEC, METRICS_TABLE.loc[["THIN"]])
    assert len(result.rank) == 0 and set(result.reasons) == {"THIN"}


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 30))
def test_rank_is_a_permutation_of_those_that_pass(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.4, 0.5, (rows, len(METRICS)))
    values[rng.random(values.shape) < 0.2] = np.nan
    metrics = pd.DataFrame(values, columns=list(METRICS), index=[f"S{n:02d}" for n in range(rows)])
    metrics["adv"] *= 1e7
    result = evaluate(SPEC, metrics)
    assert sorted(result.rank) == list(range(1, len(result.rank) + 1))
    assert set(result.rank.index) == set(metrics.index) - set(result.reasons)
    assert (result.passed.all(axis=1) == metrics.index.isin(result.rank.index)).all()
    assert result.score.loc[result.rank.index].is_monotonic_decreasing
    assert all(result.reasons.values())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("adv>=2e6", ScreenRule("adv", ">=", 2e6)),
        ("  return_6m > -0.1 ", ScreenRule("return_6m", ">", -0.1)),
        ("beta<1", ScreenRule("beta", "<", 1.0)),
    ],
)
def test_rules_are_read_from_the_command_line(text: str, rule: ScreenRule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["adv", "adv=2", "adv>=", ">=2", "adv>=two", "adv>=nan", "adv>=inf", "adv>=1>=2", ""]
)
def test_what_is_no_rule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="adv>=2e6"):
        parse_rule(text)


def test_unknown_words_in_a_screen_are_all_named() -> None:
    spec = ScreenSpec(
        "s", "S", "S", (ScreenRule("volatlity", ">=", 1), ScreenRule("adv", "=>", 1)), (("beat", 1.0),)
    )
    with pytest.raises(UserError) as caught:
        evaluate(spec, METRICS_TABLE)
    assert len(caught.value.problems) == 3


# Margins and near misses


def test_a_margin_is_how_far_a_value_is_inside_its_bound() -> None:
    margins = evaluate(SPEC, METRICS_TABLE).margins
    assert margins.loc["THIN", "adv >= 2e+06"] == pytest.approx(4e5 - 2e6)
    assert margins.loc["WILD", "volatility <= 0.5"] == pytest.approx(0.5 - 0.8)
    assert margins.loc["GOOD", "volatility <= 0.5"] == pytest.approx(0.1)
    assert np.isnan(margins.loc["UNKNOWN", "adv >= 2e+06"])


def test_near_is_who_misses_one_rule_alone_by_a_tenth_of_its_bound_at_most_nearest_first() -> None:
    metrics = table(
        {
            "TENTH": {"adv": 5e6, "volatility": 0.55},
            "CLOSER": {"adv": 1.95e6, "volatility": 0.2},
            "FAR": {"adv": 5e6, "volatility": 0.56},
            "TWICE": {"adv": 1.99e6, "volatility": 0.51},
            "BLIND": {"volatility": 0.2},
        }
    )
    assert evaluate(SPEC, metrics).near == ("CLOSER", "TENTH")


def test_against_a_bound_of_zero_near_is_measured_by_the_spread_of_the_metric() -> None:
    spec = ScreenSpec("s", "S", "S", (ScreenRule("return_6m", ">", 0.0),), (("return_6m", 1.0),))
    values = {"UP": 1.0, "DOWN": -1.0, "SLIPPED": -0.05, "FELL": -0.2}
    metrics = table({name: {"return_6m": value} for name, value in values.items()})
    assert 0.05 < 0.10 * metrics["return_6m"].std() < 0.2
    assert evaluate(spec, metrics).near == ("SLIPPED",)


# Conditions and ranking inside segments

FACTS = pd.DataFrame(
    {"segment": ["mining", "magnets", "mining", "mining", "magnets"]}, index=METRICS_TABLE.index
)


def test_a_condition_stands_beside_the_rules_and_says_what_it_lacks() -> None:
    spec = ScreenSpec("s", "S", "S", (), (("volatility", -1.0),), where="adv > 1e6 and segment = 'mining'")
    result = evaluate(spec, METRICS_TABLE, Facts(FACTS))
    assert result.rank.to_dict() == {"BEST": 1, "WILD": 2}
    assert result.reasons["GOOD"] == ("not adv > 1e6 and segment = 'mining'",)
    assert result.reasons["UNKNOWN"] == ("adv is unknown, which adv > 1e6 and segment = 'mining' needs",)


def test_inside_segments_a_name_is_ranked_among_its_own() -> None:
    # GOOD is less calm than BEST and WILD is wilder, but each is compared with its own stage alone
    spec = ScreenSpec("s", "S", "S", (), (("volatility", -1.0),), within="segment")
    result = evaluate(spec, METRICS_TABLE, Facts(FACTS))
    assert result.score.to_dict() == pytest.approx(
        {"BEST": 5 / 6, "THIN": 1 / 2, "WILD": 1 / 6, "UNKNOWN": 3 / 4, "GOOD": 1 / 4}
    )


def test_money_is_named_with_its_currency() -> None:
    reasons = evaluate(SPEC, METRICS_TABLE, Facts(FACTS, "JPY")).reasons
    assert reasons["THIN"] == ("average daily value traded 0.40 M JPY is below 2.00 M JPY",)


def test_what_is_not_point_in_time_has_to_be_asked_for() -> None:
    spec = ScreenSpec("s", "S", "S", (ScreenRule("market_cap", ">=", 1e9),), (("adv", 1.0),))
    with pytest.raises(UserError, match=r"market_cap is not point in time .* --fundamentals"):
        evaluate(spec, METRICS_TABLE)


def test_a_ranking_is_read_from_the_command_line() -> None:
    assert parse_ranking("momentum_12_1:0.6, volatility:-0.4") == (
        ("momentum_12_1", 0.6),
        ("volatility", -0.4),
    )


def test_every_fault_of_a_ranking_is_named_at_once() -> None:
    with pytest.raises(UserError) as caught:
        parse_ranking("momentum:1,beta,adv:0,adv:x,volatility:1,volatility:2")
    assert len(caught.value.problems) == 5
    assert "momentum" in caught.value.problems[0] and "twice" in caught.value.problems[4]
