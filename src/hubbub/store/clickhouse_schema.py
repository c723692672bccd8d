"""How ClickHouse lays out what a store keeps: types, partitions, order and codecs of every table of `store/tables.py`.

Beside its own columns a row carries the number of the append or change that wrote it, and beside each table stands `<table>_gone`,
with the rows that are deleted and the number since when; see `store/clickhouse.py` for what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hubbub.store.tables import META, TABLES, Columns, Table, rollup_tables

_TYPES = {
    "SMALLINT": "Int16", "INTEGER": "Int32", "BIGINT": "Int64", "HUGEINT": "Int128", "DOUBLE": "Float64", "VARCHAR": "String",
    "TIMESTAMP": "DateTime64(6, 'UTC')", "DATE": "Date32", "BOOLEAN": "Bool",
}  # fmt: skip

ROW = "_row"
"""The column that tells rows of tables apart that have no number of their own."""

APPENDED, CHANGED = "_append", "_change"
"""The columns that say which append or change wrote a row, or deleted it."""

COUNTED = "counted"
"""The table that says to plain readers what counts; see `store/clickhouse_relations.py`."""

STORED: dict[str, Table] = {table.name: table for table in (*TABLES, *rollup_tables(), META)}
"""All tables by name."""

LAID = frozenset({COUNTED, *(name for table in STORED for name in (table, f"{table}_gone"))})
"""The names of all that is laid out in ClickHouse."""

_ALWAYS = frozenset({"tenant", "time", "type", "received_at", "window_start"})
"""Columns without nulls, beside those by which a table is ordered."""

_ORDER = {
    "events": 'tenant, "time", seq', "superseded": "seq", "quarantine": "tenant, id", "marks": "fact, tenant",
    "snapshots": "tenant, kind, date", "meta": "key",
}  # fmt: skip
_CODECS = {
    "seq": "Delta, ZSTD(1)",
    "time": "DoubleDelta, ZSTD(1)",
    "received_at": "DoubleDelta, ZSTD(1)",
    "window_start": "Delta, ZSTD(1)",
}
_WORDS = frozenset({
    "type", "source", "channel", "kind", "topic", "sentiment", "intent", "severity", "status", "direction", "responder",
})  # fmt: skip
"""Columns of few different values: kept as numbers of a dictionary."""

_SOUGHT = ("id", "conversation_id", "message_id", "contact_id")
"""Columns of events that are looked up by value: a small filter per stretch of rows leaves most stretches unread."""


def type_of(told: str, *, nullable: bool = True) -> str:
    """Return ClickHouse's type for one of the house's SQL."""
    if told.endswith("[]"):
        return f"Array({type_of(told[:-2], nullable=False)})"
    return f"Nullable({_TYPES[told]})" if nullable else _TYPES[told]


def _column(table: Table, name: str, told: str) -> str:
    nullable = name not in _ALWAYS and name != table.number and name not in re.findall(r"\w+", _order(table))
    found = type_of(told, nullable=nullable)
    if name in _WORDS and told == "VARCHAR":
        found = f"LowCardinality({found})"
    codec = _CODECS.get(name)
    return f'"{name}" {found}' + (f" CODEC({codec})" if codec else "")


def numbers(table: Table) -> tuple[str, ...]:
    """Return the columns that say what wrote a row of a table."""
    return (APPENDED,) if table.appended else (CHANGED,)


def _order(table: Table) -> str:
    if table.name in _ORDER:
        return _ORDER[table.name]
    return "tenant, window_start" if dict(table.columns).get("window_start") else "tenant"


def _partition(columns: Columns) -> str:
    names = dict(columns)
    if "time" in names:
        return 'PARTITION BY toYYYYMM("time")'
    return "PARTITION BY toYear(window_start)" if "window_start" in names else ""


def create(cluster: str = "") -> Iterator[str]:
    """Yield the statements that make all tables which are not there; with `cluster`, as its replicated, distributed ones.

    On a cluster `x_local` keeps a shard's rows, replicated, and the table `x` is all shards, spread by tenant.
    """
    for table in STORED.values():
        columns = [_column(table, name, told) for name, told in table.columns]
        if table.number is None:
            columns.append(f"{ROW} UInt64 DEFAULT generateSnowflakeID() CODEC(Delta, ZSTD(1))")
        columns += [f"{name} UInt64 CODEC(Delta, ZSTD(1))" for name in numbers(table)]
        if table.name == "events":
            columns += [f"INDEX sought_{name} {name} TYPE bloom_filter(0.01) GRANULARITY 2" for name in _SOUGHT]
            columns.append("INDEX newest seq TYPE minmax GRANULARITY 1")  # what came since is looked for by each fold
        yield from _make(
            table.name, columns, _order(table), _partition(table.columns), cluster, "tenant" in dict(table.columns)
        )
        gone = [f"{ROW} UInt64", *(f"{name} UInt64 DEFAULT 0" for name in (APPENDED, CHANGED))]
        yield from _make(f"{table.name}_gone", gone, ROW, "", cluster, spread=False)
    counted = [f"{name} UInt64" for name in ("changed", "appended")]
    counted += [f"{name} Array(UInt64)" for name in ("lost_changes", "lost_appends")]
    yield from _make(COUNTED, counted, "tuple()", "", cluster, spread=False, newest="changed")


def _make(
    name: str, columns: list[str], order: str, partition: str, cluster: str, spread: bool, newest: str = ""
) -> Iterator[str]:
    """Yield what makes a table; `newest`: of rows that are equal in its order one with the most of this column is enough."""
    engine = "ReplacingMergeTree" if newest else "MergeTree"
    body = f"({', '.join(columns)})"
    laid = f"{partition} ORDER BY ({order})"
    if not cluster:
        kept = "SETTINGS non_replicated_deduplication_window = 1000"
        yield f"CREATE TABLE IF NOT EXISTS {name} {body} ENGINE = {engine}({newest}) {laid} {kept}"
        return
    on = f"ON CLUSTER '{cluster}'"
    path = f"'/clickhouse/tables/{{shard}}/{{database}}/{name}_local', '{{replica}}'" + (
        f", {newest}" if newest else ""
    )
    yield f"CREATE TABLE IF NOT EXISTS {name}_local {on} {body} ENGINE = Replicated{engine}({path}) {laid}"
    by = "cityHash64(tenant)" if spread else "cityHash64(1)"
    whole = f"Distributed('{cluster}', currentDatabase(), {name}_local, {by})"
    yield f"CREATE TABLE IF NOT EXISTS {name} {on} AS {name}_local ENGINE = {whole}"


def visible(name: str, *, with_row: bool = False) -> str:
    """Return the subquery of a table's rows that count, by the parameters of a `Snapshot`.

    `own` is the number of the change that asks: it sees what it wrote itself.
    """
    table = STORED[name]
    row = table.number or ROW
    columns = [f'"{column}"' for column, _ in table.columns]
    if with_row and table.number is None:
        columns.append(ROW)
    counts = " AND ".join(_counts(number) for number in numbers(table))
    undone = " AND ".join(_counts(number) for number in ((APPENDED, CHANGED) if table.appended else (CHANGED,)))
    gone = f"SELECT {ROW} FROM {name}_gone WHERE {undone}"
    return f"(SELECT {', '.join(columns)} FROM {name} WHERE {counts} AND {_as_row(row)} NOT IN ({gone}))"


def _as_row(column: str) -> str:
    return column if column == ROW else f"toUInt64({column})"


def _counts(number: str) -> str:
    if number == APPENDED:
        return f"({APPENDED} <= {{appended:UInt64}} AND NOT has({{lost_appends:Array(UInt64)}}, {APPENDED}))"
    counted = f"({CHANGED} <= {{changed:UInt64}} OR {CHANGED} = {{own:UInt64}})"
    return f"({counted} AND NOT has({{lost_changes:Array(UInt64)}}, {CHANGED}))"


_LOST = re.compile(r" AND NOT has\(\{lost_\w+:Array\(UInt64\)\}, \w+\)")


def none_lost(sql: str) -> str:
    """Leave out of a statement what it asks of lost numbers: with a filter less on every table it is sooner understood."""
    return _LOST.sub("", sql)
