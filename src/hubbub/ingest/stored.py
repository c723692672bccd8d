"""What is stored of events that come again: whether they say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hubbub.facts.refresh import refresh
from hubbub.storage.log import EVENT, IDENT, REVISION, TIME, Batch, Row
from hubbub.storage.store import Store

_NOT_SAID = {"tenant", "seq", "received_at", "revision"}
_SAID = [place for place, name in enumerate(EVENT) if name not in _NOT_SAID]
_COLUMNS = ", ".join(EVENT)


def changed_rows(store: Store, batch: Batch) -> tuple[Batch, list[int]]:
    """Return a batch without the rows that say what is stored already, or what the row before of the same event says.

    And the places of the rows that stay. What waits in the log is stored first.
    """
    refresh(store, batch.tenant)
    known = {row[IDENT]: _said(row) for row in stored(store, batch.tenant, batch.rows)}
    stays = []
    for place, row in enumerate(batch.rows):
        if known.get(row[IDENT]) != _said(row):
            stays.append(place)
            known[row[IDENT]] = _said(row)
    rows, given = [batch.rows[i] for i in stays], [batch.given[i] for i in stays]
    return replace(batch, rows=rows, given=given), stays


def contradicting(store: Store, tenant: int, repeats: Sequence[Row]) -> list[int]:
    """Return the places of rows that say something else than the stored event with their id and revision."""
    if not repeats:
        return []
    refresh(store, tenant)
    known = {row[IDENT]: row for row in stored(store, tenant, repeats, anywhere=True)}
    return [
        place for place, row in enumerate(repeats)
        if (other := known.get(row[IDENT])) is not None
        and other[REVISION] == row[REVISION] and _said(other) != _said(row)
    ]  # fmt: skip


def stored(store: Store, tenant: int, rows: Iterable[Row], *, anywhere: bool = False) -> list[Row]:
    """Return stored events with the ids and times of these rows; `anywhere`: also those with another time, in one pass."""
    found: list[Row] = []
    with store.facts.read() as reading:
        missing = []
        for row in rows:
            at = reading.rows(
                f"SELECT {_COLUMNS} FROM event WHERE tenant = ? AND time = ? AND ident = ?",
                (tenant, row[TIME], row[IDENT]),
            )
            found += at
            if not at:
                missing.append(row[IDENT])
        if missing and anywhere:
            found += reading.rows(
                f"SELECT {_COLUMNS} FROM event WHERE tenant = ? AND ident IN {reading.dialect.numbers('?')}",
                (tenant, json.dumps(missing)),
            )
    return found


def _said(row: Row) -> Row:
    return tuple(row[place] for place in _SAID)
