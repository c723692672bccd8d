"""The engine's operations that erase a contact, and show that it was done. `Engine` (app.py) inherits them.

What is found, what is not, and what becomes of what arrives later is told in why/0017-erasure.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.control.erasures import Erasures
from hubbub.control.idempotency import Idempotency, repeats
from hubbub.control.label_examples import label_examples
from hubbub.control.payloads import Payloads, payloads
from hubbub.errors import BadInputError, BadRequestError
from hubbub.facts import erase as erasure
from hubbub.facts.moments import micros
from hubbub.metrics.snapshots import Kind
from hubbub.model.naming import pattern
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.tenant import Tenant
from hubbub.query.cached import CachedAnswers
from hubbub.services.labels import LabelService
from hubbub.services.reply_jobs import ReplyJobs
from hubbub.services.reports import ReportService
from hubbub.services.snapshots import SnapshotService
from hubbub.storage.store import Store
from hubbub.telemetry import log

OPERATIONS = ("erase", "erasures")
"""Those that a command beside a running server may ask it to do."""

LONGEST = 512
"""Characters of an event's field."""


class EraseOperations:
    """What an engine does to forget a contact."""

    clock: Clock
    store: Store
    control: Control
    database: Database
    cached: CachedAnswers
    payload_store: Payloads
    idempotency: Idempotency
    reply_jobs: ReplyJobs
    labels: LabelService
    reports: ReportService
    snapshot_service: SnapshotService

    def _open_erasing(self) -> None:
        self.erasure_store = Erasures(self.database, self.control.derived("erasures"), lambda: self.control.changes)

    def erase(self, tenant: str, contact: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Remove a contact from everything that is kept of a tenant, and leave no byte of it; `dry_run` only counts.

        Ids that are linked to it are the same person, and go with it: unlink first what is to stay. Returns counts: `contacts` (ids
        of the person), `events` of the contact and `mentions` (others that name it), `superseded` (former versions), `quarantine`,
        `facts` (rows of facts), `snapshots` and `reports` that name it or are made again, `payloads`, `examples` of labels; and
        the `erasure` under which it is noted. Cut short, the same erasure goes on.
        Raises NotFoundError, BadInputError, StoreFullError, StoreBusyError.
        """
        one = self.control.tenant(tenant)
        digest = self.erasure_store.contact(one.id, _checked(contact))
        who = erasure.find(self.store, one, contact, digest)
        days, references = erasure.days(self.store, who), self._references(who)
        reports = self.reports.touched(one.id, days)
        periods = self._periods(one, days[0]) if days else []
        counts = erasure.count(self.store, who)
        counts["snapshots"] += len(periods)
        examples = self.labels.examples.forget(one.id, _naming(who), dry_run=True)
        counts |= {"reports": len(reports), "payloads": len(references), "examples": examples}
        answer = {"tenant": one.id, "contact": digest, "dry_run": dry_run, "contacts": len(who.ids), **counts}
        if dry_run:
            return {**answer, "erasure": None}
        begun, *others = self._begin(who)
        if any(counts.values()) or erasure.pending(self.store, who):
            erasure.erase(self.store, who)
            for kind, day in periods:
                self.snapshot_service.again(one, kind, day)
            for report in reports:
                self.reports.make_again(report)
            self.reply_jobs.forget(references)
            erasure.finish(self.store, who)
        self.idempotency.forget((one.id, ""), _naming(who))
        self.labels.examples.forget(one.id, _naming(who))
        self.database.purge(payloads, repeats, label_examples)
        self.cached.forget(one)
        self.erasure_store.done(begun, counts)
        for other in others:  # noted for itself, so that nothing comes back under it
            self.erasure_store.done(other, dict.fromkeys(counts, 0))
        log.info("contact erased", tenant=one.id, erasure=begun, **counts)
        return {**answer, "erasure": begun}

    def erasures(
        self, tenant: str, contact: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return the erasures of a tenant, or of one of its contacts, oldest first: when, and what each came to.

        A contact is shown by a digest of its id, made with this installation's own key; `counts` is null until it is done.
        """
        place = place_of(cursor, str, str)
        after = (_moment(place[0]), place[1]) if place else None
        found = self.erasure_store.page(self.control.tenant(tenant).id, contact, after, check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda row: (row["at"], row["id"]))
        return {"rows": rows, "next": following}

    def _begin(self, who: erasure.Contact) -> list[str]:
        """Note the erasure of each id of the person, so that nothing of it is taken any more, and return their ids."""
        at = self.clock()
        moments = erasure.moments(self.store, who)
        until = max([at, *(last + timedelta(microseconds=1) for last in moments[-1:])])
        named = [(mention.source, mention.id) for mention in erasure.mentions(self.store, who)]
        end = until.astimezone(UTC).replace(tzinfo=None)
        begun = [self.erasure_store.begin(who.tenant.id, contact, at, end, named) for contact in who.ids]
        self.control.follow()
        return begun

    def _references(self, who: erasure.Contact) -> list[str]:
        """Return the references of replies that were asked for with the contact among those who spoke, or that name it."""
        found = self.payload_store.naming(who.tenant.id, _naming(who))
        return sorted({f"pay_{id_.partition('_')[2]}" for id_ in found})

    def _periods(self, tenant: Tenant, day: date) -> list[tuple[Kind, date]]:
        """Return the kept snapshots, by kind and date, that end on a day (UTC) or later: who came then is in their totals."""
        since = micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
        with self.store.facts.read() as reading:
            rows = reading.rows(
                "SELECT DISTINCT kind, date FROM snapshot WHERE tenant = ? AND window_end > ? ORDER BY date, kind",
                (tenant.no, since),
            )
        return [(Kind(kind), date.fromisoformat(on)) for kind, on in rows]


def _naming(who: erasure.Contact) -> Callable[[str], bool]:
    found = re.compile(pattern(who.names))
    return lambda text: found.search(text) is not None


def _checked(contact: str) -> str:
    if not contact or len(contact) > LONGEST or "\0" in contact:
        raise BadInputError(f"contact_id: 1 to {LONGEST} characters, as in the events of the contact")
    return contact


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise BadRequestError("this cursor is not the 'next' of a page before") from None
