import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.errors import UserError
from screener.portfolio.limits import parse_limit, parse_limits, word_problems

SENTENCES = [
    "name <= 5%",
    "name MP <= 3%",
    "issuer <= 10%",
    "segment magnets <= 20%",
    "segment mining >= 10%",
    "country CN <= 20%",
    "currency JPY <= 30%",
    "dependence high <= 25%",
    "position <= 10% of ADV over 5 days",
    "position >= 1%",
    "names <= 15",
    "turnover <= 20%",
    "trade >= 0.5%",
    "tracking error <= 6%",
    "tracking error to SPY <= 6%",
    "volatility <= 12%",
    "cash <= 0%",
    "cash >= 5%",
]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_reads_back_as_itself(text: str) -> None:
    limit = parse_limit(text)
    assert limit.text == text
    assert limit.sentence() == text


def test_the_users_own_words_are_kept() -> None:
    assert parse_limit("segment  magnets ≤ 20 %").text == "segment magnets ≤ 20 %"
    assert parse_limit("name <= 0.05").bound == parse_limit("name <= 5%").bound == 0.05


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("magnets under 20%", "is not understood"),
        ("segmnt <= 20%", "did you mean 'segment'"),
        ("name <= 105%", "105% is above 100%"),
        ("name <= 5", "5 is above 1; write 5%"),
        ("name >= 5%", "it can only be <="),
        ("names <= 2.5", "whole number from 1"),
        ("names <= 0", "whole number from 1"),
        ("turnover magnets <= 5%", '"magnets" is one word too many'),
        ("position <= 5%", "a cap is"),
        ("volatility <= 0%", "above 0"),
        ("name <= 1.2.3%", "is not a number"),
        ("name <= 5% of ADV over 2 days", "only a position"),
    ],
)
def test_what_is_wrong_with_a_sentence_is_said(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_limit(text)
    assert said in str(caught.value)


def test_every_wrong_sentence_is_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        parse_limits(["nonsense", "name <= 5%", "names <= 0"])
    assert len(caught.value.problems) == 2


def test_an_unknown_segment_is_named_with_the_nearest() -> None:
    problems = word_problems(parse_limits(["segment magnet <= 5%"]), {"segment": ["magnets", "mining"]})
    assert problems == [
        "limit \"segment magnet <= 5%\": segment 'magnet' is unknown; did you mean 'magnets'?"
    ]


@given(bound=st.floats(0.001, 0.99), by=st.floats(0, 0.5))
def test_what_is_offered_is_never_less_than_what_is_needed(bound: float, by: float) -> None:
    limit = parse_limit(f"segment magnets <= {100 * bound:.12g}%")
    wider = parse_limit(limit.relaxed(by).text)
    assert wider.bound >= min(limit.bound + by, 1.0) - 1e-9
    assert wider.bound <= limit.bound + by + 0.002 * (bound + by)
    floor = parse_limit(f"segment magnets >= {100 * bound:.12g}%")
    assert parse_limit(floor.relaxed(by).text).bound <= max(floor.bound - by, 0.0) + 1e-9
