import pytest

from screener.errors import ScreenerError, SourceError, UserError, raise_all, unknown


def test_exit_codes_tell_the_users_mistakes_from_ours() -> None:
    assert ScreenerError("x").exit_code == 1 and SourceError("timed out", "x").exit_code == 1
    assert UserError("x").exit_code == 2


def test_every_problem_is_raised_at_once_and_none_raises_nothing() -> None:
    raise_all([])
    with pytest.raises(UserError) as caught:
        raise_all(["one", "two"])
    assert caught.value.problems == ("one", "two")


def test_a_failure_of_a_source_has_one_of_the_known_outcomes() -> None:
    with pytest.raises(ValueError, match="unknown outcome"):
        SourceError("gone fishing", "x")


def test_an_unknown_word_gets_the_nearest_or_a_short_list() -> None:
    assert (
        unknown("theme", "magnet", ["magnets", "mining"])
        == "theme 'magnet' is unknown; did you mean 'magnets'?"
    )
    assert unknown("theme", "zzz", ["a", "b"]) == "theme 'zzz' is unknown; choose one of a, b"
    many = unknown("symbol", "zzz", [f"S{number}" for number in range(90)])
    assert many.endswith("S14 … (90 in all)") and len(many) < 150
