"""Copy a tenant from one store to another, whatever their engines, and prove that both are equal.

One transaction writes a tenant's rows and a note that they are copied, so that an interrupted copy resumes.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hubbub.progress import Progress
from hubbub.storage import schema
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, Table, tables
from hubbub.storage.transaction import Transaction

AT_ONCE = 5_000
PASSING = ("identity",)
"""Tables whose rows are not copied: identities are copied as numbers."""
DATED = {
    "event": "time", "former_version": "time", "response": "anchor", "episode": "anchor", "state": "since",
    "quarantine": "received_at", "snapshot": "window_start",
}  # fmt: skip
"""Table -> the column by which its rows are counted by month."""
Counted = dict[tuple[str, str], tuple[int, int]]
"""(Month, table) -> rows, and a checksum independent of their order; month is empty for tables without a time."""


@dataclass(frozen=True, slots=True)
class Month:
    """A tenant's month that is equal in both stores, with its number of rows."""

    tenant: str
    month: str
    rows: int


def copied(target: Store, owner: Owner) -> bool:
    """Whether a tenant's rows and identities are copied."""
    with target.facts.read() as reading:
        return bool(reading.rows("SELECT 1 FROM meta WHERE key = ? AND value = 'whole'", (_note(owner),)))


def copy(source: Store, target: Store, owner: Owner, progress: Progress) -> None:
    """Copy a tenant's rows and identities; the source's log must be empty, and nothing may write to either store."""
    with source.facts.read() as reading, target.facts.write(owner.no) as writing:
        if writing.value("SELECT value FROM meta WHERE key = ?", (_note(owner),)) is None:
            for table in _tables():
                count = sum(_write(writing, table, owner, rows) for rows in _some(table.rows(reading, owner)))
                progress(f"{owner.id}: {count} rows of {table.name}")
            writing.run(schema.upsert("meta"), (_note(owner), "rows"))
    with target.log.exclusive():
        target.identities.forget(owner.no)
        idents = array("q", sorted(ident for piece in source.identities.of(owner.no) for ident in piece))
        target.identities.take_in(owner.no, memoryview(idents))
    with target.facts.write(owner.no) as writing:
        writing.run(schema.upsert("meta"), (_note(owner), "whole"))
    progress(f"{owner.id}: {len(idents)} identities")


def prove(source: Store, target: Store, owner: Owner) -> tuple[list[Month], list[str]]:
    """Compare a tenant's rows and identities in both stores; returns the months, and a sentence for each difference."""
    ours, theirs = (_counted(store, owner) for store in (source, target))
    wrong = [
        f"{owner.id}, {month or 'whole'}, {table}: {ours.get((month, table), (0, 0))[0]} rows and "
        f"{theirs.get((month, table), (0, 0))[0]}"
        for month, table in sorted({*ours, *theirs})
        if ours.get((month, table)) != theirs.get((month, table))
    ]
    months: dict[str, int] = {}
    for (month, _), (rows, _) in ours.items():
        months[month] = months.get(month, 0) + rows
    return [Month(owner.id or "", month, rows) for month, rows in sorted(months.items())], wrong


def forget_notes(target: Store) -> None:
    """Delete the notes of copied tenants, once the whole store is copied."""
    with target.facts.write() as writing:
        writing.run("DELETE FROM meta WHERE key LIKE 'copied %'")


def _note(owner: Owner) -> str:
    return f"copied {owner.no}"


def _tables() -> list[Table]:
    return [table for table in tables(passing=True) if table.name not in PASSING]


def _write(writing: Transaction, table: Table, owner: Owner, rows: list[tuple[Any, ...]]) -> int:
    whose = (table.owned(owner),) * len(table.owners)
    sql = schema.insert(table.name, (*table.owners, *table.columns))
    writing.many(sql, [(*whose, *row) for row in rows])
    return len(rows)


def _some(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    batch: list[tuple[Any, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _counted(store: Store, owner: Owner) -> Counted:
    counted: Counted = {}
    with store.facts.read() as reading:
        for table in _tables():
            place = list(table.columns).index(DATED[table.name]) if table.name in DATED else None
            for row in table.rows(reading, owner):
                _add(counted, "" if place is None else _month(row[place]), table.name, repr(row))
    for piece in store.identities.of(owner.no):
        for ident in piece:
            _add(counted, "", "identities", str(ident))
    return counted


def _add(counted: Counted, month: str, table: str, text: str) -> None:
    rows, digest = counted.get((month, table), (0, 0))
    new = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    counted[month, table] = rows + 1, digest + new


def _month(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m}"
