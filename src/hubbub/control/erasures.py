"""Erased contacts: the proof of an erasure, and the filter that keeps erased events out.

Only keyed digests are stored. A contact's events until its erasure are recognized by the digest of its id, other events that named
it by the digest of their source and id. Later events of the contact are accepted as usual.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from hubbub.control.changes import count_change, tenant_changes
from hubbub.control.database import Database, metadata
from hubbub.model.window import utc_naive

DIGEST = 16

erasures = sa.Table(
    "erasures", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("contact", sa.String(2 * DIGEST), nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("until", sa.DateTime, nullable=False),
    sa.Column("counts", sa.Text, nullable=True),
)  # fmt: skip
"""One row for each erasure. Events of the contact before `until` are refused; `counts` is null until it is done."""
erased_events = sa.Table(
    "erased_events", metadata,
    sa.Column("event", sa.LargeBinary(DIGEST), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
)  # fmt: skip


class Incoming(Protocol):
    """The fields of an incoming event that are checked."""

    id: str | None
    source: str | None
    contact_id: str | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure."""

    id: str
    """Its id."""
    tenant: str
    """The tenant."""
    contact: str
    """A digest of the contact's id, made with this installation's key."""
    at: datetime
    """When it began."""
    counts: Mapping[str, int] | None
    """Number of deleted rows by kind; null: it is not done."""


@dataclass(frozen=True)
class Erased:
    """What was erased of a tenant and is refused."""

    digest: Callable[[str, str], bytes]
    contacts: Mapping[bytes, datetime]
    events: frozenset[bytes]

    def person(self, id_: str) -> bool:
        """Whether a contact with this id was ever erased."""
        return bool(self.contacts) and self.digest("contact", id_) in self.contacts

    def holds(self, event: Incoming, when: datetime, source: str) -> bool:
        """Whether an event (`when`: UTC without zone; `source`: its own or the default) was erased or precedes an erasure."""
        if event.contact_id:
            until = self.contacts.get(self.digest("contact", event.contact_id))
            if until is not None and when < until:
                return True
        return bool(event.id and self.events) and self.digest("event", f"{source}\0{event.id}") in self.events


class Erasures:
    """Erasures of an installation. May be used from any thread."""

    def __init__(self, database: Database, key: bytes, changes: Callable[[], int]) -> None:
        """`key` makes digests; `changes` returns a number that differs after a change of tenants or erasures."""
        self._database, self._key, self._changes = database, key, changes
        self._known: tuple[int, dict[str, Erased]] = (-1, {})
        database.make(erasures, erased_events)

    def digest(self, tenant: str, kind: str, text: str) -> bytes:
        """Return the digest of a contact's id, or of an event's source and id."""
        named = f"{tenant}\0{kind}\0{text}".encode("utf-8", "surrogatepass")  # the event may not be validated yet
        return hashlib.blake2b(named, key=self._key, digest_size=DIGEST).digest()

    def contact(self, tenant: str, contact: str) -> str:
        """Return a contact's digest as text."""
        return self.digest(tenant, "contact", contact).hex()

    def begin(self, tenant: str, contact: str, at: datetime, until: datetime, events: Iterable[tuple[str, str]]) -> str:
        """Note the beginning of an erasure; returns its id. From now on events of the contact before `until` (UTC without zone) and
        these events by source and id are refused; in other processes from the next key they check.
        """
        id_ = f"era_{secrets.token_hex(12)}"
        with self._database.write() as con:
            for source, event in events:
                digest = self.digest(tenant, "event", f"{source}\0{event}")
                con.execute(erased_events.delete().where(erased_events.c.event == digest))
                con.execute(erased_events.insert().values(event=digest, tenant=tenant))
            values = {"id": id_, "tenant": tenant, "contact": self.contact(tenant, contact)}
            con.execute(erasures.insert().values(**values, at=utc_naive(at), until=until))
            count_change(con, tenant_changes)
        return id_

    def done(self, id_: str, counts: Mapping[str, int]) -> None:
        """Note the counts of a finished erasure."""
        with self._database.write() as con:
            con.execute(erasures.update().where(erasures.c.id == id_).values(counts=json.dumps(dict(counts))))

    def of(self, tenant: str) -> Erased | None:
        """Return what was erased of a tenant, or None."""
        changes = self._changes()
        if self._known[0] != changes:
            self._known = changes, self._read()
        return self._known[1].get(tenant)

    def _read(self) -> dict[str, Erased]:
        contacts: dict[str, dict[bytes, datetime]] = {}
        events: dict[str, set[bytes]] = {}
        with self._database.read() as con:
            for row in con.execute(sa.select(erasures).order_by(erasures.c.until)):
                contacts.setdefault(row.tenant, {})[bytes.fromhex(row.contact)] = row.until
            for row in con.execute(sa.select(erased_events)):
                events.setdefault(row.tenant, set()).add(bytes(row.event))
        return {
            tenant: Erased(self._digester(tenant), contacts.get(tenant, {}), frozenset(events.get(tenant, ())))
            for tenant in contacts.keys() | events.keys()
        }

    def _digester(self, tenant: str) -> Callable[[str, str], bytes]:
        return lambda kind, text: self.digest(tenant, kind, text)

    def page(
        self, tenant: str, contact: str | None = None, after: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[Erasure]:
        """Return a tenant's erasures, oldest first, or those of one contact: at most `limit`, begun `after` a (time, id)."""
        query = sa.select(erasures).where(erasures.c.tenant == tenant).order_by(erasures.c.at, erasures.c.id)
        if contact is not None:
            query = query.where(erasures.c.contact == self.contact(tenant, contact))
        if after is not None:
            query = query.where(sa.tuple_(erasures.c.at, erasures.c.id) > after)
        with self._database.read() as con:
            return [
                Erasure(row.id, row.tenant, row.contact, row.at, json.loads(row.counts) if row.counts else None)
                for row in con.execute(query.limit(limit))
            ]
