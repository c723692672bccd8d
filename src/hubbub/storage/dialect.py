"""All SQL that differs between the engines. Every other statement is one text that all of them understand.

A statement names its parameters `?` or `:name`. SQLite and PostgreSQL hold the store and take the same statements that write;
ClickHouse holds a copy that is only read. docs/why/0031 and 0044 list what they share; tests check each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """One engine's SQL where engines differ, in statements that answer questions; each function takes SQL and returns SQL.

    `whole`: a number cut to its whole part. `total`: the sum of whole numbers, however large. `looked_up`: the value of a column in
    the tenant's row that has a key, null without such a row; takes the table, its columns of key and value, and the key.
    `correlated`: whether a subquery may name columns of the rows around it, wherever it stands. `at_rank`: the value of a column
    at rank floor((count - 1) * share) + ahead, from 0 upwards in order; takes column, share and `ahead`. None: reading all values
    is as fast.
    """

    name: str
    whole: Callable[[str], str]
    total: Callable[[str], str]
    looked_up: Callable[[str, str, str, str], str]
    correlated: bool
    at_rank: Callable[[str, float, int], str] | None


@dataclass(frozen=True, slots=True)
class FullDialect(Dialect):
    """The SQL of an engine that holds a store.

    `row`: the place of a row in a table without a key, valid within one transaction. `in_numbers`, `in_texts`: the condition, after
    a column, that it is among the items of a JSON list that is bound as text. `text_at`, `number_at`: the value of a JSON document
    at a path, null where it is missing or of another type. `by_index`: the text after a table's name that makes the planner use an
    index; may be empty.
    """

    row: str
    in_numbers: Callable[[str], str]
    in_texts: Callable[[str], str]
    text_at: Callable[[str, Sequence[str]], str]
    number_at: Callable[[str, Sequence[str]], str]
    by_index: Callable[[str], str]


_NUMBERS = "'integer', 'real'"


def _sqlite_at(sql: str, names: Sequence[str], types: str) -> str:
    place = f"{sql}, '$.{'.'.join(names)}'"
    return f"CASE WHEN json_type({place}) IN ({types}) THEN json_extract({place}) END"


def _postgresql_at(sql: str, names: Sequence[str], type_: str) -> str:
    document = f"CAST(replace({sql}, '\\u0000', '\\ufffd') AS JSON)"  # PostgreSQL refuses a document with a NUL
    place = f"'{{{','.join(names)}}}'"
    return f"CASE WHEN json_typeof({document} #> {place}) = '{type_}' THEN {document} #>> {place} END"


def _by_subquery(table: str, key: str, value: str, sql: str) -> str:
    return f"(SELECT p.{value} FROM {table} AS p WHERE p.tenant = :tenant AND p.{key} = {sql})"


def _by_arrays(table: str, key: str, value: str, sql: str) -> str:
    """Two constant arrays, in the order of the key: ClickHouse has no subquery for each row inside an aggregate."""
    rows = f"SELECT {key} AS k, {value} AS v FROM {table} WHERE tenant = :tenant ORDER BY k"
    keys, values = (f"(SELECT groupArray({column}) FROM ({rows}))" for column in "kv")
    return f"transform({sql}, {keys}, {values}, NULL)"


def _at_rank(sql: str, share: float, ahead: int) -> str:
    place = f"toUInt64(floor((count({sql}) - 1) * {share})) + {ahead + 1}"  # a place after the last gives 0
    return f"arrayElement(arraySort(groupArray({sql})), {place})"


SQLITE = FullDialect(
    "sqlite",
    whole=lambda sql: f"CAST({sql} AS INTEGER)",
    total=lambda sql: f"sum({sql})",
    looked_up=_by_subquery,
    correlated=True,
    at_rank=None,
    row="rowid",
    in_numbers=lambda sql: f"IN (SELECT value FROM json_each({sql}))",
    in_texts=lambda sql: f"IN (SELECT value FROM json_each({sql}))",
    text_at=lambda sql, names: _sqlite_at(sql, names, "'text'"),
    number_at=lambda sql, names: f"CAST({_sqlite_at(sql, names, _NUMBERS)} AS REAL)",
    by_index=lambda name: f"INDEXED BY {name}",
)

POSTGRESQL = FullDialect(
    "postgresql",
    whole=lambda sql: f"CAST(trunc({sql}) AS BIGINT)",
    total=lambda sql: f"sum({sql})",
    looked_up=_by_subquery,
    correlated=True,
    at_rank=None,
    row="ctid",
    in_numbers=lambda sql: f"= ANY (ARRAY(SELECT CAST(jsonb_array_elements_text(CAST({sql} AS JSONB)) AS BIGINT)))",
    in_texts=lambda sql: f"= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({sql} AS JSONB))))",
    text_at=lambda sql, names: _postgresql_at(sql, names, "string"),
    number_at=lambda sql, names: f"CAST({_postgresql_at(sql, names, 'number')} AS DOUBLE PRECISION)",
    by_index=lambda _: "",
)

CLICKHOUSE = Dialect(
    "clickhouse",
    whole=lambda sql: f"toInt64({sql})",
    total=lambda sql: f"sum(toInt256({sql}))",
    looked_up=_by_arrays,
    correlated=False,
    at_rank=_at_rank,
)
