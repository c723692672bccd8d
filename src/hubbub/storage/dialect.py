"""What the two engines call differently: all of it. Every other statement of Hubbub is one text that both understand.

A statement names its parameters `?` or `:name`. Both engines take `ON CONFLICT (key) DO …`, `FILTER`, `TRUE`, row values and CTEs.
What they share and what they do not is written down in docs/why/0031, and tested one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine says what the other says otherwise; each function takes SQL and returns SQL.

    `row`: the place of a row in a table without a key, good within one transaction. `whole`: a number without what follows its
    point. `numbers`, `texts`: what is in a JSON list that is bound as text. `by_index`: follows a table's name where the planner
    would take a worse index than the named one.
    """

    name: str
    row: str
    whole: Callable[[str], str]
    numbers: Callable[[str], str]
    texts: Callable[[str], str]
    by_index: Callable[[str], str]


SQLITE = Dialect(
    "sqlite",
    row="rowid",
    whole=lambda sql: f"CAST({sql} AS INTEGER)",
    numbers=lambda sql: f"(SELECT value FROM json_each({sql}))",
    texts=lambda sql: f"(SELECT value FROM json_each({sql}))",
    by_index=lambda name: f"INDEXED BY {name}",
)

POSTGRESQL = Dialect(
    "postgresql",
    row="ctid",
    whole=lambda sql: f"CAST(trunc({sql}) AS BIGINT)",
    numbers=lambda sql: f"(SELECT CAST(jsonb_array_elements_text(CAST({sql} AS JSONB)) AS BIGINT))",
    texts=lambda sql: f"(SELECT jsonb_array_elements_text(CAST({sql} AS JSONB)))",
    by_index=lambda _: "",
)
