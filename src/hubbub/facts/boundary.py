"""Boundaries: what the fold of a key carried where retention cut. A later fold begins there and reads only what came after.

`carried` is JSON of plain values, absent where it is None or false, so that a field added later reads as absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from hubbub.storage import schema
from hubbub.storage.transaction import Transaction

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where the events of a key begin (microseconds; 0: none is gone), and what its fold carried there."""

    until: int = 0
    carried: Any = None

    def rows(self, kind: Callable[..., T], part: str | None = None) -> list[T]:
        """Return carried rows of a named tuple, of one part where there are several."""
        found: Sequence[Row] = (self.carried or []) if part is None else (self.carried or {}).get(part, [])
        fields = tuple(kind.__annotations__)
        return [kind(*map(row.get, fields)) for row in found]


NONE = Boundary()
_KEEP = schema.upsert("boundary")


def boundary_of(reading: Transaction, tenant: int, unit: str, key: str) -> Boundary:
    """Return the boundary of a key."""
    found = reading.rows(
        "SELECT until, carried FROM boundary WHERE tenant = ? AND unit = ? AND key = ?", (tenant, unit, key)
    )
    return Boundary(found[0][0], json.loads(found[0][1])) if found else NONE


def plain(rows: Iterable[NamedTuple]) -> list[Row]:
    """Return rows as they are carried."""
    return [{name: value for name, value in row._asdict().items() if value is not None} for row in rows]


def write(writing: Transaction, tenant: int, unit: str, key: str, until: int, carried: Any) -> None:
    """Keep what a key carries, or nothing where it carries nothing."""
    if not carried:
        writing.run("DELETE FROM boundary WHERE tenant = ? AND unit = ? AND key = ?", (tenant, unit, key))
        return
    text = json.dumps(carried, ensure_ascii=False, separators=(",", ":"))
    writing.run(_KEEP, (tenant, unit, key, until, text))
