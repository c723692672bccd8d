"""Take rows out of a ClickHouse for good: those that stopped counting, and every byte of those that name somebody.

A lightweight DELETE marks rows, and their bytes stay until ClickHouse happens to merge their part, which a large or old part may
wait for for ever. `release` has such parts written anew. The parts from before stay on disk for the table's `old_parts_lifetime`.
What a mutation says is kept in a file of its table, so rows are named by their numbers there, never by what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from hubbub.store.clickhouse_schema import APPENDED, CHANGED, ROW, STORED, numbers, visible
from hubbub.store.clickhouse_sql import Statement, bound
from hubbub.store.clickhouse_work import Snapshot, answered, number
from hubbub.store.positions import Standing
from hubbub.store.tables import Table

_LOST = {APPENDED: "lost_appends", CHANGED: "lost_changes"}

AT_ONCE = 10_000
"""Rows named in one statement."""


def remove(client: Client, standing: Standing, cluster: str) -> None:
    """Delete what stopped counting by this standing, which no reader may need any more."""
    counted = Snapshot(standing).params()
    for table in STORED.values():
        done = f"({APPENDED} <= {{appended:UInt64}} AND {CHANGED} <= {{changed:UInt64}})"
        lost = f"(has({{lost_appends:Array(UInt64)}}, {APPENDED}) OR has({{lost_changes:Array(UInt64)}}, {CHANGED}))"
        gone = f"SELECT {ROW} FROM {table.name}_gone WHERE {done} AND NOT {lost}"
        if number(client, f"SELECT count() FROM ({gone})", counted):
            client.command(
                f"DELETE FROM {_place(table.name, cluster)} WHERE {_row(table)} IN ({gone})", parameters=counted
            )
            client.command(f"DELETE FROM {_place(f'{table.name}_gone', cluster)} WHERE {done}", parameters=counted)
        if standing.append.lost or standing.change.lost:
            for name, kinds in ((table.name, numbers(table)), (f"{table.name}_gone", (APPENDED, CHANGED))):
                lost = " OR ".join(f"has({{{_LOST[kind]}:Array(UInt64)}}, {kind})" for kind in kinds)
                if number(client, f"SELECT count() FROM {name} WHERE {lost}", counted):
                    client.command(f"DELETE FROM {_place(name, cluster)} WHERE {lost}", parameters=counted)


def release(client: Client, cluster: str, tables: Iterable[str] = tuple(STORED)) -> None:
    """Have the parts that hold deleted rows of these tables written anew without them."""
    names = [_local(name, cluster) for table in tables for name in (table, f"{table}_gone")]
    parts = f"clusterAllReplicas('{cluster}', system.parts)" if cluster else "system.parts"
    found = answered(
        lambda: client.query(
            f"SELECT DISTINCT table, partition_id FROM {parts} WHERE database = currentDatabase() AND active "
            "AND has_lightweight_delete AND has({names:Array(String)}, table) ORDER BY ALL",
            parameters={"names": names},
        )
    ).result_rows
    on = f" ON CLUSTER '{cluster}'" if cluster else ""
    for table, partition in found:
        told = f"ALTER TABLE {table}{on} APPLY DELETED MASK IN PARTITION ID '{partition}' SETTINGS mutations_sync = 2"
        answered(lambda told=told: client.command(told))  # type: ignore[misc]


def dead(
    client: Client, standing: Standing, wheres: Mapping[str, str], params: Mapping[str, Any]
) -> dict[str, list[int]]:
    """Return the numbers of the rows, by table, that a condition names and that do not count; nobody may write meanwhile."""
    counted = {name: bound(value) for name, value in params.items()} | Snapshot(standing).params()
    found: dict[str, list[int]] = {}
    for name, where in wheres.items():
        table = STORED[name]
        row, own = _row(table), table.number or ROW
        # another name than the table's: that would stand for the rows which count
        said = Statement.of(f"SELECT 1 FROM every_row WHERE {where}", params).sql.partition(" WHERE ")[2]
        select = (
            f"SELECT {row} FROM {name} WHERE ({said}) AND {row} NOT IN "
            f"(SELECT toUInt64({own}) FROM {visible(name, with_row=True)} WHERE {said})"
        )
        rows = answered(lambda select=select: client.query(select, parameters=counted)).result_rows  # type: ignore[misc]
        if rows:
            found[name] = [number_ for (number_,) in rows]
    return found


def erase(client: Client, cluster: str, rows: Mapping[str, list[int]]) -> None:
    """Take rows, named by their numbers, out of every part that is in use."""
    for name, all_ in rows.items():
        for start in range(0, len(all_), AT_ONCE):
            some = ", ".join(map(str, all_[start : start + AT_ONCE]))
            told = f"DELETE FROM {_place(name, cluster)} WHERE {_row(STORED[name])} IN ({some})"
            answered(lambda told=told: client.command(told))  # type: ignore[misc]
    release(client, cluster, rows)


def _row(table: Table) -> str:
    return f"toUInt64({table.number})" if table.number else ROW


def _local(name: str, cluster: str) -> str:
    return f"{name}_local" if cluster else name


def _place(name: str, cluster: str) -> str:
    return f"{_local(name, cluster)} ON CLUSTER '{cluster}'" if cluster else name
