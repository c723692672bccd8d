"""The bench's questions in ClickHouse's SQL, and the table that they read."""

from __future__ import annotations

import re

import duckdb

from bench import hand_questions, lab
from bench.answers import ordered
from hubbub.storage.clickhouse import Server

TYPES = {
    "tenant": "Int64", "time": "Int64", "value": "Nullable(Float64)", "type": "LowCardinality(String)",
    "channel": "LowCardinality(Nullable(String))", "staff_id": "LowCardinality(Nullable(String))",
}  # fmt: skip
"""Types of columns; all others are nullable texts."""


def text(question: str) -> str:
    """Return a question for ClickHouse."""
    text = re.sub(r"\blast\((\w+)\)", r"argMax(\1, time)", hand_questions.QUESTIONS[question])
    text = re.sub(r"percentile_cont\(([\d.]+)\) WITHIN GROUP \(ORDER BY ms\)", r"quantileExactInclusive(\1)(ms)", text)
    text = text.replace("AS MATERIALIZED", "AS").replace("starts_with(", "startsWith(")
    return text.replace(
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)\n            - CASE", "ROWS UNBOUNDED PRECEDING) - CASE"
    )


def load(server: Server, size: lab.Size) -> None:
    """Store all events or none, ordered by tenant and time."""
    types = {name: TYPES.get(name, "Nullable(String)") for name in hand_questions.COLUMNS}
    columns = ", ".join(f"{name} {type_}" for name, type_ in types.items())
    server.run("DROP TABLE IF EXISTS loading")
    server.run(f"CREATE TABLE loading ({columns}) ENGINE = MergeTree ORDER BY (tenant, time)")
    with duckdb.connect(ordered(size), read_only=True) as con:
        cursor = con.execute(f"SELECT {', '.join(types)} FROM events ORDER BY tenant, time")
        while some := cursor.fetchmany(100_000):
            server.insert("loading", types, some)
    server.run("RENAME TABLE loading TO events")
