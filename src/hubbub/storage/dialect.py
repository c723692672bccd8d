"""All SQL that differs between the two engines. Every other statement is one text that both understand.

A statement names its parameters `?` or `:name`. Both engines take `ON CONFLICT (key) DO …`, `FILTER`, `TRUE`, row values and CTEs.
docs/why/0031 lists what they share; tests check each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL of one engine where the two differ; each function takes SQL and returns SQL.

    `row`: the place of a row in a table without a key, valid within one transaction. `whole`: a number cut to its whole part.
    `numbers`, `texts`: the items of a JSON list that is bound as text. `text_at`, `number_at`: the value of a JSON document at a
    path, null where it is missing or of another type. `by_index`: follows a table's name to make the planner take this index.
    """

    name: str
    row: str
    whole: Callable[[str], str]
    numbers: Callable[[str], str]
    texts: Callable[[str], str]
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


SQLITE = Dialect(
    "sqlite",
    row="rowid",
    whole=lambda sql: f"CAST({sql} AS INTEGER)",
    numbers=lambda sql: f"(SELECT value FROM json_each({sql}))",
    texts=lambda sql: f"(SELECT value FROM json_each({sql}))",
    text_at=lambda sql, names: _sqlite_at(sql, names, "'text'"),
    number_at=lambda sql, names: f"CAST({_sqlite_at(sql, names, _NUMBERS)} AS REAL)",
    by_index=lambda name: f"INDEXED BY {name}",
)

POSTGRESQL = Dialect(
    "postgresql",
    row="ctid",
    whole=lambda sql: f"CAST(trunc({sql}) AS BIGINT)",
    numbers=lambda sql: f"(SELECT CAST(jsonb_array_elements_text(CAST({sql} AS JSONB)) AS BIGINT))",
    texts=lambda sql: f"(SELECT jsonb_array_elements_text(CAST({sql} AS JSONB)))",
    text_at=lambda sql, names: _postgresql_at(sql, names, "string"),
    number_at=lambda sql, names: f"CAST({_postgresql_at(sql, names, 'number')} AS DOUBLE PRECISION)",
    by_index=lambda _: "",
)
