"""Judges a metrics table by an SQL condition, in a database that holds this table and can reach nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from screener.errors import UserError, unknown

# no file, no network, no extension, no Python variable, no configuration
LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "256MB",
    "threads": "1",
}
# what a condition may call: nothing that reads a clock, a setting or chance
FUNCTIONS = frozenset(
    {"abs", "ln", "log", "sqrt", "power", "pow", "exp", "round", "floor", "ceil", "greatest", "least"}
    | {"coalesce", "ifnull", "nullif", "contains", "list_contains", "starts_with", "ends_with", "prefix"}
    | {"suffix", "lower", "upper", "length", "len", "trim", "regexp_matches", "regexp_full_match"}
    | {"like_escape", "ilike_escape", "not_like_escape", "not_ilike_escape"}
)
EXAMPLE = "\"adv > 5e6 and segment in ('mining', 'refining')\""


@dataclass(frozen=True, eq=False, slots=True)
class Judgement:
    """Which rows satisfy a condition: N bool, and for the others the columns they lack (N, texts)."""

    holds: pd.Series
    lacks: pd.Series


def judge(condition: str, table: pd.DataFrame, option: str = "--where") -> Judgement:
    """Return which rows of a table satisfy an SQL condition over its columns.

    table: N × M, numbers, texts and tuples of texts, indexed by symbol; the index is the column `symbol`. NaN is
    NULL, so a row that lacks a value does not satisfy a comparison with it, and `lacks` says so. Raises UserError
    for anything but one condition: a second statement, a subquery, an unknown column, or a function outside
    FUNCTIONS.
    """
    import duckdb

    columns = table.rename_axis("symbol").reset_index()
    with duckdb.connect(":memory:", config=LOCKED) as database:
        database.register("metrics", _typed(columns))
        database.execute("SET lock_configuration = true")
        used = _columns_used(condition, _parsed(database, condition, option), list(columns.columns), option)
        try:
            answer = database.execute(f"SELECT ({condition}\n) AS holds FROM metrics")
            kind, holds = str(answer.description[0][1]), [row[0] for row in answer.fetchall()]
        except duckdb.Error as error:
            raise UserError(f"{option} {condition!r}: {_first_line(error)}") from None
    if kind != "BOOLEAN":
        raise UserError(f"{option} {condition!r} is not true or false; write a condition, such as {EXAMPLE}")
    missing = columns[used].isna().to_numpy()
    lacks = [
        "" if held else ", ".join(name for name, absent in zip(used, row, strict=True) if absent)
        for held, row in zip(holds, missing, strict=True)
    ]
    return Judgement(
        pd.Series([held is True for held in holds], index=table.index, dtype=bool),
        pd.Series(lacks, index=table.index, dtype="str"),
    )


def _typed(columns: pd.DataFrame) -> Any:
    """Return an Arrow table: numbers with NULL for NaN (NaN would be the largest number), texts, lists of texts."""
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        if pd.api.types.is_numeric_dtype(values.dtype):
            arrays[name] = pa.array(values.to_numpy(dtype=float), pa.float64(), from_pandas=True)
        elif any(isinstance(each, tuple) for each in values):
            arrays[name] = pa.array([list(each) for each in values], pa.list_(pa.string()))
        else:
            arrays[name] = pa.array(values, pa.string(), from_pandas=True)
    return pa.table(arrays)


def _parsed(database: Any, condition: str, option: str) -> dict[str, Any]:
    """Return the syntax tree of the one expression that a condition is."""
    import duckdb

    if not condition.strip():
        raise UserError(f"{option} is empty; write a condition, such as {EXAMPLE}")
    try:
        (text,) = database.execute(
            "SELECT json_serialize_sql(?)", [f"SELECT ({condition}\n) FROM metrics"]
        ).fetchone()
    except duckdb.Error as error:
        raise UserError(f"{option} {condition!r} cannot be read: {_first_line(error)}") from None
    tree = json.loads(text)
    if tree["error"]:
        raise UserError(f"{option} {condition!r} cannot be read: {_one_line(tree['error_message'])}")
    nodes = [statement["node"] for statement in tree["statements"]]
    if len(nodes) != 1 or not _is_plain(nodes[0]):
        raise UserError(f"{option} {condition!r} is more than a condition; write one, such as {EXAMPLE}")
    return dict(nodes[0]["select_list"][0])


def _is_plain(node: dict[str, Any]) -> bool:
    """Say whether a query selects one expression from the table and does nothing else."""
    extras = ("modifiers", "where_clause", "group_expressions", "group_sets", "having", "sample", "qualify")
    table = node.get("from_table") or {}
    return (
        node["type"] == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and not any(node.get(each) for each in extras)
        and not node["cte_map"]["map"]
        and (table.get("type"), table.get("table_name")) == ("BASE_TABLE", "metrics")
    )


def _columns_used(condition: str, tree: dict[str, Any], known: list[str], option: str) -> list[str]:
    """Return the columns a condition names, each once; refuse what is no column, no literal and no function."""
    used: dict[str, None] = {}
    problems = []
    by_name = {name.lower(): name for name in known}
    for node in _nodes(tree):
        kind = node.get("class")
        if kind == "COLUMN_REF":
            name = ".".join(node["column_names"])
            if name.lower() not in by_name:
                problems.append(unknown("column", name, known))
            used[by_name.get(name.lower(), name)] = None
        elif kind == "FUNCTION":
            name = str(node["function_name"]).lower()
            if name not in FUNCTIONS and not node.get("is_operator") and name.isidentifier():
                problems.append(f"the function {name} may not be used here")
        elif kind in ("SUBQUERY", "STAR", "WINDOW", "LAMBDA", "PARAMETER", "POSITIONAL_REFERENCE"):
            problems.append(f"a {kind.lower().replace('_', ' ')} may not be used here")
    if problems:
        raise UserError(*(f"{option} {condition!r}: {each}" for each in dict.fromkeys(problems)))
    return list(used)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for each in tree.values():
            yield from _nodes(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from _nodes(each)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _first_line(error: Exception) -> str:
    return _one_line(str(error).strip().splitlines()[0])
