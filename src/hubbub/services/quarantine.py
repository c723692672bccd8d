"""Quarantine: records that were refused, with the reason of each; they can be tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.control.control import Control
from hubbub.facts.moments import moment
from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.ingest.intake import Intake
from hubbub.model.event import read_one
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.window import utc_naive
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was refused."""

    id: int
    received_at: datetime
    origin: str
    code: str
    field: str | None
    message: str
    raw: str | None
    """As it came, as long as it is kept."""


class QuarantineService:
    """Shows what was refused, and tries it again."""

    def __init__(self, store: Store, control: Control, intake: Intake) -> None:
        self._store, self._control, self._intake = store, control, intake

    def of(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[Refused]:
        """Return refused records of a tenant, newest first."""
        before, one = (place_of(cursor, int) or (FOREVER,))[0], self._control.tenant(tenant)
        refresh(self._store, one.no)
        with self._store.facts.read() as reading:
            found = reading.rows(
                "SELECT id, received_at, origin, code, field, message, raw FROM quarantine WHERE tenant = :tenant "
                "AND id < :before ORDER BY id DESC LIMIT :limit",
                {"tenant": one.no, "limit": check_limit(limit) + 1, "before": before},
            )
        return paged(
            found, limit, lambda row: (row[0],), lambda row: Refused(row[0], utc_naive(moment(row[1])), *row[2:])
        )

    def replay(self, tenant: str, ids: Sequence[int] | None = None) -> Outcome:
        """Try refused records again (all, or some); those that are taken now leave the quarantine."""
        one = self._control.tenant(tenant)
        refresh(self._store, one.no)
        with self._store.facts.read() as reading:
            rows = reading.rows("SELECT id, raw FROM quarantine WHERE tenant = ? ORDER BY id", (one.no,))
        wanted = [(id_, raw) for id_, raw in rows if raw and (ids is None or id_ in ids)]
        items = [read_one(raw.encode(), index, one.id) for index, (_, raw) in enumerate(wanted)]
        outcome = self._intake.accept(one, items, quarantine=False, history=True)
        refused = {r.index for r in outcome.rejected}
        done = [(one.no, id_) for i, (id_, _) in enumerate(wanted) if i not in refused]
        with self._store.facts.write() as writing:
            writing.many("DELETE FROM quarantine WHERE tenant = ? AND id = ?", done)
        return outcome
