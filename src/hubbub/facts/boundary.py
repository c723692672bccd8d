"""Boundaries: the state of a key's fold at a cut of retention. A later fold begins there and reads only later events.

`carried` is JSON of plain values. None and false are left out, and a missing field reads as empty, so fields can be added later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from hubbub.storage import schema
from hubbub.storage.transaction import Transaction

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where the stored events of a key begin (microseconds; 0: none were deleted), and the state of its fold there."""

    until: int = 0
    carried: Any = None

    def rows(self, kind: Callable[..., T], part: str | None = None) -> list[T]:
        """Return the carried rows as named tuples; `part`: those of one part, where `carried` has several."""
        carried: Sequence[Row] = (self.carried or []) if part is None else (self.carried or {}).get(part, [])
        fields = tuple(kind.__annotations__)
        return [kind(*map(row.get, fields)) for row in carried]


NONE = Boundary()
_KEEP = schema.upsert("boundary")


def boundaries_of(reading: Transaction, tenant: int, unit: str, keys: Sequence[str]) -> dict[str, Boundary]:
    """Return the boundary of each key, NONE without one."""
    rows = reading.rows(
        f"SELECT key, until, carried FROM boundary WHERE tenant = ? AND unit = ? AND key {reading.dialect.in_texts('?')}",
        (tenant, unit, json.dumps(keys)),
    )
    return dict.fromkeys(keys, NONE) | {key: Boundary(until, json.loads(carried)) for key, until, carried in rows}


def by_until(begins: Mapping[str, Boundary]) -> list[tuple[int, list[str]]]:
    """Return the keys whose folds begin at the same moment, with that moment (microseconds)."""
    keys: dict[int, list[str]] = {}
    for key, begin in begins.items():
        keys.setdefault(begin.until, []).append(key)
    return list(keys.items())


def plain(rows: Iterable[NamedTuple]) -> list[Row]:
    """Return rows in carried form, without None."""
    return [{name: value for name, value in row._asdict().items() if value is not None} for row in rows]


def write(writing: Transaction, tenant: int, unit: str, key: str, until: int, carried: Any) -> None:
    """Store the boundary of a key at `until` (microseconds); delete it when the key carries nothing."""
    if not carried:
        writing.run("DELETE FROM boundary WHERE tenant = ? AND unit = ? AND key = ?", (tenant, unit, key))
        return
    text = json.dumps(carried, ensure_ascii=False, separators=(",", ":"))
    writing.run(_KEEP, (tenant, unit, key, until, text))
