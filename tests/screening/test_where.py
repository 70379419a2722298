import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.screening.where import FUNCTIONS, judge

TABLE = pd.DataFrame(
    {
        "adv": [5e6, 4e5, np.nan, 3e6],
        "volatility": [0.2, 0.3, 0.4, np.nan],
        "segment": ["mining", "magnets", "mining", "refining"],
        "materials": [("NdPr", "Dy"), ("NdFeB",), (), ("Nd",)],
    },
    index=pd.Index(["MP", "6762.T", "ARU.AX", "LYC.AX"]),
)


def holding(condition: str) -> list[str]:
    return [str(each) for each in TABLE.index[judge(condition, TABLE).holds]]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("adv > 1e6", ["MP", "LYC.AX"]),
        ("adv > 1e6 and volatility < 0.5", ["MP"]),
        ("adv > 1e6 or volatility < 0.5", ["MP", "6762.T", "ARU.AX", "LYC.AX"]),
        ("not adv > 1e6", ["6762.T"]),
        ("segment in ('mining', 'refining')", ["MP", "ARU.AX", "LYC.AX"]),
        ("contains(materials, 'Nd')", ["LYC.AX"]),
        ("'NdPr' in materials or len(materials) = 0", ["MP", "ARU.AX"]),
        ("symbol like '%.AX'", ["ARU.AX", "LYC.AX"]),
        ("coalesce(adv, 0) < 1e6", ["6762.T", "ARU.AX"]),
        ("adv is null", ["ARU.AX"]),
        ("adv between 1e5 and 4e6", ["6762.T", "LYC.AX"]),
        ("case when segment = 'mining' then true else adv > 1e6 end", ["MP", "ARU.AX", "LYC.AX"]),
        ("ADV > 4e6 -- and a remark", ["MP"]),
        ("sqrt(abs(adv)) > 2000", ["MP"]),
        ("false", []),
    ],
)
def test_a_condition_selects_as_sql_does(condition: str, names: list[str]) -> None:
    assert holding(condition) == names


def test_a_row_that_lacks_a_value_fails_and_says_which() -> None:
    answer = judge("adv > 1e6 and volatility < 0.5", TABLE)
    assert answer.lacks.to_dict() == {"MP": "", "6762.T": "", "ARU.AX": "adv", "LYC.AX": "volatility"}


def test_a_row_that_holds_in_spite_of_what_it_lacks_lacks_nothing() -> None:
    assert judge("adv > 1e6 or volatility < 0.5", TABLE).lacks.eq("").all()


ATTEMPTS = [
    "adv > (select count(*) from read_csv('/etc/passwd'))",
    "adv > 1) from read_csv('/etc/passwd') --",
    "adv > 1) from read_text('/etc/passwd') where (true",
    "adv > 1; attach '/tmp/x.duckdb' as x",
    "adv > 1); attach '/tmp/x.duckdb' as x; select (true",
    "adv > 1; copy metrics to '/tmp/x.csv'",
    "adv > 1) union select (true",
    "adv > 1), (true",
    "adv > 1) from metrics, duckdb_settings() where (true",
    "adv > 1; set enable_external_access = true",
    "adv > 1; set lock_configuration = false",
    "adv > 1; reset enable_external_access",
    "adv > 1; pragma enable_profiling",
    "adv > 1; install httpfs",
    "adv > 1; load httpfs",
    "adv > 1; create table x as select 1",
    "adv > 1; drop view metrics",
    "current_setting('memory_limit') = '1'",
    "getvariable('x') = 1",
    "getenv('HOME') = '/root'",
    "read_blob('/etc/passwd') is null",
    "exists (select 1 from duckdb_secrets())",
    "adv in (select adv from metrics)",
    "adv > random()",
    "adv > epoch(now())",
    "current_date > '2020-01-01'",
    "query('select 1') = 1",
    "count(*) > 1",
    "row_number() over () < 3",
    "columns('a.*') > 1",
    "list_filter([1], x -> x > 0)[1] = 1",
    "adv > ?",
    "adv > $1",
    "#1 > 1",
    "*",
    "adv",
    "1",
    "'mining'",
    "null",
    "",
    "   ",
    "-- nothing",
    "adv >",
    "adv > 1 order by adv",
    "(adv > 1",
    "advv > 1",
    "other.adv > 1",
]


@pytest.mark.parametrize("condition", ATTEMPTS)
def test_what_is_more_or_less_than_a_condition_is_refused(condition: str) -> None:
    with pytest.raises(UserError, match="--where"):
        judge(condition, TABLE)


def test_no_attempt_leaves_a_file(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    for condition in (
        "adv > 1; attach 'x.duckdb' as x",
        "adv > 1; copy metrics to 'x.csv'",
        "adv > 1; export database 'x'",
        "adv > 1; set temp_directory = 'x'",
    ):
        with pytest.raises(UserError):
            judge(condition, TABLE)
    assert os.listdir() == []


def test_the_database_itself_is_locked_even_for_what_the_reader_would_let_through() -> None:
    import duckdb

    from screener.screening.where import LOCKED

    with duckdb.connect(":memory:", config=LOCKED) as database:
        database.execute("SET lock_configuration = true")
        for statement in (
            "SELECT * FROM read_csv('/etc/passwd')",
            "ATTACH '/tmp/x.duckdb' AS x",
            "COPY (SELECT 1) TO '/tmp/x.csv'",
            "SET enable_external_access = true",
            "SET lock_configuration = false",
            "SET memory_limit = '1GB'",
            "INSTALL httpfs",
            "LOAD httpfs",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(statement)


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="column 'volatlity' is unknown; did you mean 'volatility'"):
        judge("volatlity < 1", TABLE)


def test_every_fault_of_a_condition_is_said_at_once() -> None:
    with pytest.raises(UserError) as caught:
        judge("volatlity < 1 and random() < 1 and segmnt = 'x'", TABLE)
    assert len(caught.value.problems) == 3


def test_every_allowed_function_exists() -> None:
    import duckdb

    known = {row[0] for row in duckdb.sql("SELECT function_name FROM duckdb_functions()").fetchall()}
    syntax = {"coalesce", "ifnull"}  # the grammar's own, not in the catalogue
    assert known | syntax >= FUNCTIONS


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="adv >1)(;'-\"*,=<selctfromunaipwhg\n\0é", max_size=40))
def test_any_text_is_a_condition_or_one_clear_refusal(text: str) -> None:
    try:
        answer = judge(text, TABLE)
    except UserError as error:
        assert all("\n" not in each.replace(repr(text), "") for each in error.problems)
    else:
        assert list(answer.holds.index) == list(TABLE.index)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), bound=st.floats(-2, 2))
def test_a_comparison_agrees_with_pandas(seed: int, bound: float) -> None:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"beta": rng.normal(size=20)}, index=[f"S{n}" for n in range(20)])
    table.loc[table.index[rng.random(20) < 0.3], "beta"] = np.nan
    assert (judge(f"beta > {bound!r}", table).holds == (table["beta"] > bound)).all()
