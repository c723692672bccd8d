"""Erasing a contact, listing erasures, and repeating them after an older backup was restored.

why/0017-erasure.md has the limits of an erasure, and what happens with later events.
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
from hubbub.control.topic_suggestions import topic_suggestions
from hubbub.errors import BadInputError
from hubbub.facts import erase as erasure
from hubbub.facts.moments import micros
from hubbub.metrics.snapshots import Kind
from hubbub.model.naming import pattern
from hubbub.model.page import Page, check_limit, moment_of, paged, place_of
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.model.window import utc_naive
from hubbub.progress import Progress, quiet
from hubbub.query.cached import CachedAnswers
from hubbub.services.erasures_after_backup import adopt, erased_contacts, erasures_of, later_erasures
from hubbub.services.labels import LabelService
from hubbub.services.reply_jobs import ReplyJobs
from hubbub.services.reports import ReportService
from hubbub.services.snapshots import SnapshotService
from hubbub.storage.store import Store
from hubbub.telemetry import log

LONGEST = 512
"""Longest field of an event, in characters."""


@dataclass(frozen=True, slots=True)
class ErasedContact:
    """What an erasure removed, or would remove."""

    tenant: str
    """The tenant."""
    contact: str
    """A digest of the id, which identifies it from now on."""
    dry_run: bool
    """Whether nothing was done."""
    erasure: str | None
    """Id of the erasure; null: nothing was done."""
    contacts: int
    """Ids of the person: linked ids are removed together."""
    events: int
    """Events of the contact."""
    mentions: int
    """Other events that named it."""
    superseded: int
    """Events replaced by corrections."""
    quarantine: int
    """Refused records."""
    facts: int
    """Rows of facts under its id."""
    snapshots: int
    """Deleted, or made again without it."""
    names: int
    """Its names."""
    reports: int
    """Made again without it, or deleted."""
    payloads: int
    """Requested replies."""
    examples: int
    """Messages labelled by people."""


@dataclass(frozen=True, slots=True)
class ErasedAgain:
    """What a restored backup needed: erasures since then, and contacts that were found and erased again."""

    erasures: int
    erased_again: int


class ErasureService:
    """Erases contacts, and keeps their ledger in `store`."""

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
        """Remove a contact from all stored data of a tenant, to the last byte; `dry_run` only counts.

        Linked ids are the same person, and are removed too: unlink ids to keep first. After an interruption the same erasure
        continues. Raises NotFoundError, BadInputError, StoreFullError, StoreBusyError.
        """
        owner = self._control.tenant(tenant)
        digest = self._store.contact(owner.id, _checked(contact))
        who = erasure.find(self._facts, owner, contact, digest)
        days, references = erasure.days(self._facts, who), self._references(who)
        reports = self._reports.touched(owner.id, days)
        periods = self._periods(owner, days[0]) if days else []
        counts = erasure.count(self._facts, who)
        counts["snapshots"] += len(periods)
        examples = self._labels.examples.forget(owner.id, _naming(who), dry_run=True)
        counts |= {"reports": len(reports), "payloads": len(references), "examples": examples}
        if dry_run:
            return ErasedContact(owner.id, digest, dry_run, None, len(who.ids), **counts)
        begun, *further = self._begin(who)
        if any(counts.values()) or erasure.pending(self._facts, who):
            erasure.erase(self._facts, who)
            for kind, day in periods:
                self._snapshots.again(owner, kind, day)
            for report in reports:
                self._reports.make_again(report)
            self._reply_jobs.forget(references)
            erasure.finish(self._facts, who)
        self._idempotency.forget((owner.id, ""), _naming(who))
        self._labels.examples.forget(owner.id, _naming(who))
        self._labels.suggestions.stored.forget(owner.id, _naming(who))
        self._control.database.purge(payloads, repeats, label_examples, topic_suggestions)
        self._cached.forget(owner)
        self._store.done(begun, counts)
        for further_erasure in further:  # noted separately, so that events with this id are refused
            self._store.done(further_erasure, dict.fromkeys(counts, 0))
        log.info("contact erased", tenant=owner.id, erasure=begun, **counts)
        return ErasedContact(owner.id, digest, dry_run, begun, len(who.ids), **counts)

    def of(self, tenant: str, contact: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[Erasure]:
        """Return the erasures of a tenant, or of one of its contacts, oldest first. Raises NotFoundError, BadRequestError."""
        place = place_of(cursor, str, str)
        after = (moment_of(place[0]), place[1]) if place else None
        rows = self._store.page(self._control.tenant(tenant).id, contact, after, check_limit(limit) + 1)
        return paged(rows, limit, lambda row: (plain(row.at), row.id), lambda row: row)

    def again(self, as_of: int, source: str | Path | None = None, progress: Progress = quiet) -> ErasedAgain:
        """Repeat the erasures since the moment `as_of` (microseconds), when the restored backup was made.

        `source` has later erasures: the data folder or control database that this installation had, or the output of `hubbub
        erasures --json`. Raises NotFoundError, BadInputError, WrongInstallationError.
        """
        known = later_erasures(self._control.database, as_of)
        if source is not None:
            later = erasures_of(source, self._facts.installation(), as_of)
            adopt(self._control.database, later)
            self._control.follow()
            known = list({noted.id: noted for noted in (*known, *later.erasures)}.values())
        erased = 0
        for tenant, contact in erased_contacts(self._facts, self._control.tenants(), known, self._store.contact):
            self.erase(tenant, contact)
            erased += 1
            progress(f"{erased} contacts erased again")
        return ErasedAgain(len(known), erased)

    def _begin(self, who: erasure.Contact) -> list[str]:
        """Note the erasure of each id of the person, so that its events are refused, and return the ids of the erasures."""
        at = self._clock()
        moments = erasure.moments(self._facts, who)
        until = max([at, *(last + timedelta(microseconds=1) for last in moments[-1:])])
        named = [(mention.source, mention.id) for mention in erasure.mentions(self._facts, who)]
        end = utc_naive(until)
        begun = [self._store.begin(who.tenant.id, contact, at, end, named) for contact in who.ids]
        self._control.follow()
        return begun

    def _references(self, who: erasure.Contact) -> list[str]:
        """Return the references of replies that were requested with the contact as an author, or that name it."""
        ids = self._payloads.naming(who.tenant.id, _naming(who))
        return sorted({f"pay_{id_.partition('_')[2]}" for id_ in ids})

    def _periods(self, tenant: Tenant, day: date) -> list[tuple[Kind, date]]:
        """Return the stored snapshots, by kind and date, that end on a day (UTC) or later: they count the contact."""
        since = micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
        with self._facts.facts.read() as reading:
            rows = reading.rows(
                "SELECT DISTINCT kind, date FROM snapshot WHERE tenant = ? AND window_end > ? ORDER BY date, kind",
                (tenant.no, since),
            )
        return [(Kind(kind), date.fromisoformat(on)) for kind, on in rows]


def _naming(who: erasure.Contact) -> Callable[[str], bool]:
    compiled = re.compile(pattern(who.names))
    return lambda text: compiled.search(text) is not None


def _checked(contact: str) -> str:
    if not contact or len(contact) > LONGEST or "\0" in contact:
        raise BadInputError(f"contact_id: 1 to {LONGEST} characters, as in the events of the contact")
    return contact
