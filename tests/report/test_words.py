"""How numbers and dates are written."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from screener.errors import UserError
from screener.report import words
from screener.report.blocks import Column, Name, Rows, Table

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.034, "+3.4%"),
        (-0.034, "−3.4%"),
        (0.0, "0.0%"),
        (-0.0001, "0.0%"),
        (12.5, "+1,250.0%"),
        (NAN, "—"),
        (None, "—"),
    ],
)
def test_a_change_has_its_sign_unless_it_rounds_to_nothing(value: float | None, written: str) -> None:
    assert words.change(value) == written


def test_an_unknown_number_is_an_em_dash_never_nan() -> None:
    for write in (words.percent, words.change, words.number, words.price, words.millions):
        for value in (NAN, float("inf"), None):
            assert write(value) == "—"
    for kind in ("change", "share", "ratio", "correlation", "count", "price", "money"):
        assert words.cell_text(NAN, kind, words.wording("en")) == "—"


def test_minus_is_the_true_minus() -> None:
    assert words.number(-1234.5) == "−1,234.50"
    assert words.cell_text(-0.05, "correlation", words.wording("en")) == "−0.1"


def test_a_price_has_the_decimals_its_size_needs() -> None:
    assert [words.price(each) for each in (0.0234, 59.42, 12345.6)] == ["0.0234", "59.42", "12,346"]


def test_money_is_in_millions() -> None:
    assert [words.millions(each) for each in (1.25e6, 123.4e6, 4.2e9)] == ["1.2", "123", "4,200"]


def test_dates() -> None:
    say, moment = words.wording("en"), datetime(2026, 7, 11, 6, 5, tzinfo=UTC)
    assert say.day(date(2026, 7, 10)) == "2026-07-10"
    assert say.day(None) == "—"
    assert say.long_day(date(2026, 7, 10)) == "Friday 10 July 2026"
    assert say.instant(moment) == "2026-07-11 06:05 UTC"


def test_dates_and_money_in_japanese() -> None:
    say, moment = words.wording("ja"), datetime(2026, 7, 11, 6, 5, tzinfo=UTC)
    assert say.day(date(2026, 7, 10)) == "2026/07/10"
    assert say.prose_day(date(2026, 7, 10)) == "2026年7月10日"
    assert say.long_day(date(2026, 7, 10)) == "2026年7月10日(金)"
    assert say.instant(moment) == "2026/07/11 06:05(UTC)"
    assert [say.money(each) for each in (5e3, 4.56e7, 1.23e9, 4.2e10, -3e8, NAN)] == [
        "5,000", "4,560万", "12.3億", "420億", "−3.0億", "—",
    ]  # fmt: skip


def test_lists_are_joined_as_one_speaks() -> None:
    say = words.wording("en")
    assert [say.listed(each) for each in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_one_is_not_many() -> None:
    say = words.wording("en")
    assert say.count("screen.failed", 1) == "1 name fails, and why"
    assert say.count("screen.failed", 12) == "12 names fail, and why"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UserError, match="language 'xx' is unknown"):
        words.wording("xx")


def test_a_table_with_a_row_too_short_is_refused() -> None:
    columns = (Column("Name", "name"), Column("Weight", "share"))
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        Table("t", columns, (Rows(((Name("A", ""),),)),))
    with pytest.raises(ValueError, match="unknown kind"):
        Column("x", "colour")
