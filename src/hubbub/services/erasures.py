"""Erasing a contact, showing that it was done, and doing it again after an older backup was restored.

What is found, what is not, and what becomes of what arrives later is told in why/0017-erasure.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.erasures import Erasure, Erasures
from hubbub.control.idempotency import Idempotency, repeats
from hubbub.control.label_examples import label_examples
from hubbub.control.payloads import Payloads, payloads
from hubbub.errors import BadInputError, BadRequestError
from hubbub.facts import erase as erasure
from hubbub.facts.moments import micros
from hubbub.facts.refresh import Progress, quiet
from hubbub.metrics.snapshots import Kind
from hubbub.model.naming import pattern
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.query.cached import CachedAnswers
from hubbub.services.erased_since import adopt, erasures_of, found_again, later_erasures
from hubbub.services.labels import LabelService
from hubbub.services.reply_jobs import ReplyJobs
from hubbub.services.reports import ReportService
from hubbub.services.snapshots import SnapshotService
from hubbub.storage.store import Store
from hubbub.telemetry import log

LONGEST = 512
"""Characters of an event's field."""


@dataclass(frozen=True, slots=True)
class ErasedContact:
    """What an erasure took out, or would."""

    tenant: str
    """The tenant."""
    contact: str
    """A digest of the id, by which it is known from now on."""
    dry_run: bool
    """Whether nothing was done."""
    erasure: str | None
    """Id of the erasure; null: nothing was done."""
    contacts: int
    """Ids of the person: those that are linked go together."""
    events: int
    """Events of the contact."""
    mentions: int
    """Other events that named it."""
    superseded: int
    """Events that were replaced by corrections."""
    quarantine: int
    """Refused records."""
    facts: int
    """Rows of facts under its id."""
    snapshots: int
    """Deleted, or made again without it."""
    names: int
    """What it was called."""
    reports: int
    """Made again without it, or deleted."""
    payloads: int
    """Replies that were asked for."""
    examples: int
    """Messages that people labelled."""


@dataclass(frozen=True, slots=True)
class ErasedAgain:
    """What a restored backup needed: erasures since it was taken, and contacts that were found and erased again."""

    erasures: int
    erased_again: int


class ErasureService:
    """Erases contacts, and keeps the ledger of it in `store`."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        control: Control,
        cached: CachedAnswers,
        erasures: Erasures,
        payloads: Payloads,
        idempotency: Idempotency,
        reply_jobs: ReplyJobs,
        labels: LabelService,
        reports: ReportService,
        snapshots: SnapshotService,
    ) -> None:
        self._clock, self._facts, self._control, self._cached = clock, store, control, cached
        self._store, self._payloads, self._idempotency = erasures, payloads, idempotency
        self._reply_jobs, self._labels, self._reports, self._snapshots = reply_jobs, labels, reports, snapshots

    def erase(self, tenant: str, contact: str, *, dry_run: bool = False) -> ErasedContact:
        """Remove a contact from everything that is kept of a tenant, and leave no byte of it; `dry_run` only counts.

        Ids that are linked to it are the same person, and go with it: unlink first what is to stay. Cut short, the same erasure
        goes on.
        Raises NotFoundError, BadInputError, StoreFullError, StoreBusyError.
        """
        one = self._control.tenant(tenant)
        digest = self._store.contact(one.id, _checked(contact))
        who = erasure.find(self._facts, one, contact, digest)
        days, references = erasure.days(self._facts, who), self._references(who)
        reports = self._reports.touched(one.id, days)
        periods = self._periods(one, days[0]) if days else []
        counts = erasure.count(self._facts, who)
        counts["snapshots"] += len(periods)
        examples = self._labels.examples.forget(one.id, _naming(who), dry_run=True)
        counts |= {"reports": len(reports), "payloads": len(references), "examples": examples}
        if dry_run:
            return ErasedContact(one.id, digest, dry_run, None, len(who.ids), **counts)
        begun, *others = self._begin(who)
        if any(counts.values()) or erasure.pending(self._facts, who):
            erasure.erase(self._facts, who)
            for kind, day in periods:
                self._snapshots.again(one, kind, day)
            for report in reports:
                self._reports.make_again(report)
            self._reply_jobs.forget(references)
            erasure.finish(self._facts, who)
        self._idempotency.forget((one.id, ""), _naming(who))
        self._labels.examples.forget(one.id, _naming(who))
        self._control.database.purge(payloads, repeats, label_examples)
        self._cached.forget(one)
        self._store.done(begun, counts)
        for other in others:  # noted for itself, so that nothing comes back under it
            self._store.done(other, dict.fromkeys(counts, 0))
        log.info("contact erased", tenant=one.id, erasure=begun, **counts)
        return ErasedContact(one.id, digest, dry_run, begun, len(who.ids), **counts)

    def of(self, tenant: str, contact: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[Erasure]:
        """Return the erasures of a tenant, or of one of its contacts, oldest first. Raises NotFoundError, BadRequestError."""
        place = place_of(cursor, str, str)
        after = (_moment(place[0]), place[1]) if place else None
        found = self._store.page(self._control.tenant(tenant).id, contact, after, check_limit(limit) + 1)
        return paged(found, limit, lambda row: (plain(row.at), row.id), lambda row: row)

    def again(self, as_of: int, source: str | Path | None = None, progress: Progress = quiet) -> ErasedAgain:
        """Erase once more who was erased since the moment `as_of` (microseconds), when the restored backup was taken.

        `source` knows of later erasures: the data folder or control database that this installation had, or what
        `hubbub erasures --json` printed. Raises NotFoundError, BadInputError, WrongInstallationError.
        """
        known = later_erasures(self._control.database, as_of)
        if source is not None:
            others = erasures_of(source, self._facts.installation(), as_of)
            adopt(self._control.database, others)
            self._control.follow()
            known = list({one.id: one for one in (*known, *others.erasures)}.values())
        erased = 0
        for tenant, contact in found_again(self._facts, self._control.tenants(), known, self._store.contact):
            self.erase(tenant, contact)
            erased += 1
            progress(f"{erased} contacts erased again")
        return ErasedAgain(len(known), erased)

    def _begin(self, who: erasure.Contact) -> list[str]:
        """Note the erasure of each id of the person, so that nothing of it is taken any more, and return their ids."""
        at = self._clock()
        moments = erasure.moments(self._facts, who)
        until = max([at, *(last + timedelta(microseconds=1) for last in moments[-1:])])
        named = [(mention.source, mention.id) for mention in erasure.mentions(self._facts, who)]
        end = until.astimezone(UTC).replace(tzinfo=None)
        begun = [self._store.begin(who.tenant.id, contact, at, end, named) for contact in who.ids]
        self._control.follow()
        return begun

    def _references(self, who: erasure.Contact) -> list[str]:
        """Return the references of replies that were asked for with the contact among those who spoke, or that name it."""
        found = self._payloads.naming(who.tenant.id, _naming(who))
        return sorted({f"pay_{id_.partition('_')[2]}" for id_ in found})

    def _periods(self, tenant: Tenant, day: date) -> list[tuple[Kind, date]]:
        """Return the kept snapshots, by kind and date, that end on a day (UTC) or later: who came then is in their totals."""
        since = micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
        with self._facts.facts.read() as reading:
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
