"""Quarantine: refused records with their reasons; they can be tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.control.control import Control
from hubbub.facts.moments import in_utc
from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.ingest.intake import Intake
from hubbub.model.event import read_one
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused record."""

    id: int
    received_at: datetime
    origin: str
    code: str
    field: str | None
    message: str
    raw: str | None
    """The record as received, while stored."""


class QuarantineService:
    """Shows refused records, and tries them again."""

    def __init__(self, store: Store, control: Control, intake: Intake) -> None:
        self._store, self._control, self._intake = store, control, intake

    def of(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[Refused]:
        """Return refused records of a tenant, newest first."""
        before, owner = (place_of(cursor, int) or (FOREVER,))[0], self._control.tenant(tenant)
        refresh(self._store, owner.no)
        with self._store.facts.read() as reading:
            records = reading.rows(
                "SELECT id, received_at, origin, code, field, message, raw FROM quarantine WHERE tenant = :tenant "
                "AND id < :before ORDER BY id DESC LIMIT :limit",
                {"tenant": owner.no, "limit": check_limit(limit) + 1, "before": before},
            )
        return paged(records, limit, lambda row: (row[0],), lambda row: Refused(row[0], in_utc(row[1]), *row[2:]))

    def replay(self, tenant: str, ids: Sequence[int] | None = None) -> Outcome:
        """Try refused records again (all, or some); accepted ones leave the quarantine."""
        owner = self._control.tenant(tenant)
        refresh(self._store, owner.no)
        with self._store.facts.read() as reading:
            rows = reading.rows("SELECT id, raw FROM quarantine WHERE tenant = ? ORDER BY id", (owner.no,))
        selected = [(id_, raw) for id_, raw in rows if raw and (ids is None or id_ in ids)]
        items = [read_one(raw.encode(), index, owner.id) for index, (_, raw) in enumerate(selected)]
        outcome = self._intake.accept(owner, items, quarantine=False, history=True)
        refused = {r.index for r in outcome.rejected}
        done = [(owner.no, id_) for i, (id_, _) in enumerate(selected) if i not in refused]
        with self._store.facts.write() as writing:
            writing.many("DELETE FROM quarantine WHERE tenant = ? AND id = ?", done)
        return outcome
