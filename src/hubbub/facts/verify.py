"""Verify: fold every unit again, compare with the stored rows, and check boundaries and identities; changes nothing.

A fold writes only differences, so verify folds with a transaction that counts writes instead of doing them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.facts.message import HORIZON
from hubbub.facts.rebuild import units_of
from hubbub.facts.refresh import refresh
from hubbub.facts.units import Touched, by_kind, fold
from hubbub.model.tenant import Tenant
from hubbub.progress import Progress, quiet
from hubbub.storage.identity import key_of
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store
from hubbub.storage.transaction import Bound, Params, Row, Transaction

NAMED = 5
"""The most examples of each kind of difference."""
_TABLE = re.compile(r"(?:INTO|FROM|UPDATE) (\w+)")
_COMPARED = {
    "event": "time >= :low AND time < :high", "response": "anchor >= :low AND anchor < :high",
    "episode": "anchor >= :low AND anchor < :high",
    "survey": "coalesce(rated_at, sent_at, 0) >= :low AND coalesce(rated_at, sent_at, 0) < :high",
    "state": "until >= :low AND since < :high", "receipt_channel": "TRUE", "person": "TRUE",
}  # fmt: skip
"""Table -> the rows that are compared."""


@dataclass
class Verdicts:
    """How many units and rows were compared, and the differences: rows by table, with a few units as examples."""

    units: int = 0
    rows: int = 0
    differences: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def differs(self, what: str, where: str, count: int = 1) -> None:
        """Note a difference."""
        self.differences[what] = self.differences.get(what, 0) + count
        named = self.examples.setdefault(what, [])
        if where not in named and len(named) < NAMED:
            named.append(where)


class _Dry(Transaction):
    """A transaction that reads, and counts writes by table instead of writing."""

    def __init__(self, reading: Transaction) -> None:
        self.dialect = reading.dialect
        self._reading = reading
        self.writes: list[tuple[str, int]] = []

    def each(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Read."""
        return self._reading.each(sql, params)

    def scan(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Read."""
        return self._reading.scan(sql, params)

    def dicts(self, sql: str, params: Params = ()) -> list[Row]:
        """Read."""
        return self._reading.dicts(sql, params)

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Read."""
        return self._reading.rows(sql, params)

    def value(self, sql: str, params: Params = ()) -> Any:
        """Read."""
        return self._reading.value(sql, params)

    def run(self, sql: str, params: Params = ()) -> int:
        """Count one statement."""
        return self.many(sql, [params])

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        """Count one statement for each row of parameters."""
        match = _TABLE.search(sql)
        if rows and match and match[1] != "stale":
            self.writes.append((match[1], len(rows)))
        return 0


def verify(
    store: Store, tenants: Sequence[Tenant], low: int = 0, high: int = FOREVER, progress: Progress = quiet
) -> Verdicts:
    """Refresh, then compare all facts of tenants in `[low, high)` (microseconds); changes nothing else."""
    verdicts = Verdicts()
    for tenant in tenants:
        refresh(store, tenant.no)
        with store.facts.read() as reading:
            _units(reading, tenant, low, high, verdicts)
            _kept(reading, tenant, verdicts)
            _identities(store, reading, tenant, low, high, verdicts)
            for table, where in _COMPARED.items():
                params: Bound = {"tenant": tenant.no, "low": low, "high": high}
                verdicts.rows += reading.value(
                    f"SELECT count(*) FROM {table} WHERE tenant = :tenant AND {where}", params
                )
        progress(f"{tenant.id}: {verdicts.rows} rows compared")
    return verdicts


def _units(reading: Transaction, tenant: Tenant, low: int, high: int, verdicts: Verdicts) -> None:
    units = units_of(reading, tenant.no, low, high)
    verdicts.units += len(units)
    done: Touched = set()
    for unit, keys in by_kind(units):
        if _writes(reading, unit, tenant.no, keys, done):
            for key in keys:  # again one by one, to say which differ
                for table, count in _writes(reading, unit, tenant.no, [key], set()):
                    verdicts.differs(table, f"{tenant.id}: {unit} {key}", count)


def _writes(reading: Transaction, unit: str, tenant: int, keys: Iterable[str], done: Touched) -> list[tuple[str, int]]:
    """Return how many rows of which tables a fold of these units would write."""
    dry = _Dry(reading)
    fold(dry, unit, tenant, keys, done)
    return dry.writes


def _kept(reading: Transaction, tenant: Tenant, verdicts: Verdicts) -> None:
    """Check that no event lies more than 72 hours before the kept range, and no boundary after its start."""
    since = reading.value("SELECT since FROM kept WHERE tenant = ? AND what = 'facts'", (tenant.no,))
    early = reading.value(
        "SELECT count(*) FROM event WHERE tenant = ? AND time < ?", (tenant.no, (since or 0) - HORIZON)
    )
    beyond = reading.rows("SELECT unit, key FROM boundary WHERE tenant = ? AND until > ?", (tenant.no, since or 0))
    if early:
        verdicts.differs("kept", f"{tenant.id}: events from before the kept range", early)
    for unit, key in beyond:
        verdicts.differs("boundary", f"{tenant.id}: {unit} {key}")


def _identities(store: Store, reading: Transaction, tenant: Tenant, low: int, high: int, verdicts: Verdicts) -> None:
    """Check that every stored event has an identity, so that it counts once when sent again."""
    idents = reading.scan("SELECT ident FROM event WHERE tenant = ? AND time >= ? AND time < ?", (tenant.no, low, high))
    for keys in _batches(key_of(tenant.no, ident) for (ident,) in idents):
        unknown = keys - store.identities.stored(keys)
        if unknown:
            verdicts.differs("identity", f"{tenant.id}: events that would count twice", len(unknown))


def _batches(keys: Iterable[int]) -> Iterable[set[int]]:
    batch: set[int] = set()
    for key in keys:
        batch.add(key)
        if len(batch) == 10_000:
            yield batch
            batch = set()
    if batch:
        yield batch
