"""Payloads by reference: message texts are stored here, encrypted, so that job arguments and logs hold only an id.

A payload is written once and never changed: writing the same id again keeps the first, so that a step repeated after a
crash uses its earlier payload. Only the text of a message is replaced, by a later revision.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now, slices, upsert
from hubbub.control.encryption import Encryption
from hubbub.errors import NotFoundError
from hubbub.model.plain import JsonObject
from hubbub.model.window import utc_naive

payloads = sa.Table(
    "payloads", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False, index=True),
    sa.Column("revision", sa.BigInteger, nullable=True),
)  # fmt: skip
unstarted = sa.Table(
    "payloads_unstarted", metadata,
    sa.Column("reference", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("priority", sa.Integer, nullable=True),
    sa.Column("delay", sa.Float, nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False),
)  # fmt: skip
"""Payloads whose promised job may not be in its queue yet."""


@dataclass(frozen=True)
class Promise:
    """A job promised for a payload; see `Jobs.start` for priority and delay."""

    reference: str
    tenant: str
    priority: int | None = None
    delay: float | None = None


def new_reference(*natural: str) -> str:
    """Return an id for a payload: a new one, or for a natural key always the same."""
    key = hashlib.sha256(json.dumps(natural).encode()).hexdigest()[:24] if natural else secrets.token_hex(12)
    return f"pay_{key}"


class Payloads:
    """Texts of tenants, by reference."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database, self._encryption = database, encryption
        database.make(payloads, unstarted)

    def put(
        self,
        tenant: str,
        kind: str,
        body: JsonObject,
        reference: str | None = None,
        promise: Promise | None = None,
    ) -> str:
        """Store a JSON object, on disk when this returns; returns its reference. An existing one stays.

        A `promise` is written with it, in one commit.
        """
        id_ = promise.reference if promise else reference or new_reference()
        sealed = self._encryption.seal(json.dumps(body), tenant, id_)
        values = {"id": id_, "tenant": tenant, "kind": kind, "body": sealed, "created_at": now()}
        try:
            with self._database.write() as con:
                con.execute(payloads.insert().values(values))
                if promise is not None:
                    con.execute(unstarted.insert().values(**asdict(promise), created_at=now()))
        except sa.exc.IntegrityError:
            self.get(tenant, id_, kind)
        return id_

    def replace(self, tenant: str, kind: str, body: JsonObject, reference: str, revision: int) -> None:
        """Store a JSON object under a reference, replacing one with a lower revision."""
        values = {
            "tenant": tenant, "kind": kind, "body": self._encryption.seal(json.dumps(body), tenant, reference), "created_at": now(),
            "revision": revision,
        }  # fmt: skip
        same = payloads.c.id == reference, payloads.c.tenant == tenant
        with self._database.write() as con:
            insert = upsert(payloads, con.dialect.name)
            older = sa.func.coalesce(payloads.c.revision, 0) < revision
            con.execute(
                insert.values(id=reference, **values).on_conflict_do_update(
                    index_elements=["id"], set_=values, where=sa.and_(*same, older)
                )
            )

    def kept(self, reference: str) -> None:
        """Delete a promise: its job is in its queue."""
        with self._database.write() as con:
            con.execute(unstarted.delete().where(unstarted.c.reference == reference))

    def promises(self, older: float = 0.0, reference: str | None = None) -> list[Promise]:
        """Return open promises older than some seconds, of all payloads or one."""
        query = sa.select(unstarted).where(unstarted.c.created_at <= now() - timedelta(seconds=older))
        if reference is not None:
            query = query.where(unstarted.c.reference == reference)
        with self._database.read() as con:
            return [
                Promise(row.reference, row.tenant, row.priority, row.delay) for row in con.execute(query.limit(1000))
            ]

    def get(self, tenant: str, reference: str, kind: str) -> JsonObject:
        """Return a payload of a tenant. Raises NotFoundError, also for another kind or another tenant's."""
        payload = self.find(tenant, reference, kind)
        if payload is None:
            raise NotFoundError(f"there is no {kind} {reference[:40]!r}, or it was deleted with the history")
        return payload

    def find(self, tenant: str, reference: str, kind: str) -> JsonObject | None:
        """Return a payload of a tenant, or None."""
        same = payloads.c.id == reference, payloads.c.tenant == tenant, payloads.c.kind == kind
        with self._database.read() as con:
            row = con.execute(sa.select(payloads.c.body).where(*same)).first()
        if row is None:
            return None
        body: dict[str, Any] = json.loads(self._encryption.open(bytes(row.body), tenant, reference))
        return body

    def naming(self, tenant: str, names: Callable[[str], bool]) -> list[str]:
        """Return the ids of a tenant's payloads whose JSON text matches `names`."""
        with self._database.read() as con:
            rows = con.execute(sa.select(payloads.c.id, payloads.c.body).where(payloads.c.tenant == tenant)).all()
        return [row.id for row in rows if names(self._encryption.open(bytes(row.body), tenant, row.id))]

    def delete(self, references: Sequence[str]) -> int:
        """Delete payloads by reference; returns how many existed."""
        return sum(self._delete(payloads.c.id.in_(some)) for some in slices(references))

    def delete_older(self, moment: datetime, kind: str | None = None) -> int:
        """Delete payloads stored before a time (aware), of all kinds or one; returns how many."""
        older = payloads.c.created_at < utc_naive(moment)
        return self._delete(older if kind is None else sa.and_(older, payloads.c.kind == kind))

    def _delete(self, which: sa.ColumnElement[bool]) -> int:
        with self._database.write() as con:
            return con.execute(payloads.delete().where(which)).rowcount
