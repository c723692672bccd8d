"""Compare repeated events with the stored ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hubbub.facts.refresh import refresh
from hubbub.storage.log import EVENT, IDENT, REVISION, TIME, Batch, Row
from hubbub.storage.store import Store

_NOT_COMPARED = {"tenant", "seq", "received_at", "revision"}
_COMPARED = [place for place, name in enumerate(EVENT) if name not in _NOT_COMPARED]
_COLUMNS = ", ".join(EVENT)


def changed_rows(store: Store, batch: Batch) -> tuple[Batch, list[int]]:
    """Return a batch without rows that equal the stored event or the previous row of the same event, and the places of the rest.

    Events waiting in the log are stored first.
    """
    refresh(store, batch.tenant)
    latest = {row[IDENT]: _content(row) for row in stored(store, batch.tenant, batch.rows)}
    remaining = []
    for place, row in enumerate(batch.rows):
        if latest.get(row[IDENT]) != _content(row):
            remaining.append(place)
            latest[row[IDENT]] = _content(row)
    rows, given = [batch.rows[i] for i in remaining], [batch.given[i] for i in remaining]
    return replace(batch, rows=rows, given=given), remaining


def contradicting(store: Store, tenant: int, repeats: Sequence[Row]) -> list[int]:
    """Return the places of rows that differ from the stored event with the same id and revision."""
    if not repeats:
        return []
    refresh(store, tenant)
    by_ident = {row[IDENT]: row for row in stored(store, tenant, repeats, anywhere=True)}
    return [
        place for place, row in enumerate(repeats)
        if (earlier := by_ident.get(row[IDENT])) is not None
        and earlier[REVISION] == row[REVISION] and _content(earlier) != _content(row)
    ]  # fmt: skip


def stored(store: Store, tenant: int, rows: Iterable[Row], *, anywhere: bool = False) -> list[Row]:
    """Return the stored events with the ids and times of these rows; `anywhere`: with the ids, whatever the time."""
    events: list[Row] = []
    with store.facts.read() as reading:
        missing = []
        for row in rows:
            matching = reading.rows(
                f"SELECT {_COLUMNS} FROM event WHERE tenant = ? AND time = ? AND ident = ?",
                (tenant, row[TIME], row[IDENT]),
            )
            events += matching
            if not matching:
                missing.append(row[IDENT])
        if missing and anywhere:
            events += reading.rows(
                f"SELECT {_COLUMNS} FROM event WHERE tenant = ? AND ident {reading.dialect.in_numbers('?')}",
                (tenant, json.dumps(missing)),
            )
    return events


def _content(row: Row) -> Row:
    return tuple(row[place] for place in _COMPARED)
