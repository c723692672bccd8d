"""Digests: the recipient of a summary of each day, week or month, its time, and the last period sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now
from hubbub.control.outbox import Draft, enqueue
from hubbub.errors import BadInputError, NotFoundError

MOST = 100
"""Subscriptions of a tenant."""

subscriptions = sa.Table(
    "subscriptions", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("destination", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("zone", sa.String(64), nullable=False),
    sa.Column("at", sa.String(5), nullable=False),
    sa.Column("wait_hours", sa.Integer, nullable=False),
    sa.Column("sections", sa.Text, nullable=False),
    sa.Column("formats", sa.Text, nullable=False),
    sa.Column("done_to", sa.Date, nullable=False),
    sa.Column("waits_for", sa.String(500), nullable=False, default=""),
    sa.Column("stopped_at", sa.DateTime, nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A digest of every day, week or month, to store."""

    id: str
    tenant: str
    destination: str
    kind: str
    """daily, weekly or monthly."""
    zone: str
    """Zone of the recipient."""
    at: str
    """When it goes out on the day after the period, in that zone."""
    wait_hours: int
    """How long it waits where the period is not complete."""
    sections: tuple[str, ...]
    """Of the report behind it; none: all."""
    formats: tuple[str, ...]
    """Files that go with a mail."""
    done_to: date
    """Periods that ended by this day are done."""


@dataclass(frozen=True, slots=True)
class Subscription(NewSubscription):
    """A stored digest of every day, week or month."""

    waits_for: str | None
    """Why the digest that is due did not go out yet."""
    state: Literal["active", "stopped"]
    created_at: datetime


def add_subscription(con: sa.Connection, new: NewSubscription) -> None:
    """Store a subscription. Raises BadInputError beyond `MOST`."""
    own = subscriptions.c.tenant == new.tenant
    if con.execute(sa.select(sa.func.count()).select_from(subscriptions).where(own)).scalar_one() >= MOST:
        raise BadInputError(f"this tenant has {MOST} digests, the maximum: remove some")
    con.execute(subscriptions.insert().values(
        id=new.id, tenant=new.tenant, destination=new.destination, kind=new.kind, zone=new.zone, at=new.at,
        wait_hours=new.wait_hours, sections=json.dumps(new.sections), formats=json.dumps(new.formats), done_to=new.done_to,
        waits_for="", created_at=now(),
    ))  # fmt: skip


def remove_subscription(con: sa.Connection, tenant: str, id_: str) -> None:
    """Delete a subscription of a tenant."""
    con.execute(subscriptions.delete().where(subscriptions.c.id == id_, subscriptions.c.tenant == tenant))


class Subscriptions:
    """Subscriptions of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(subscriptions)

    def add(self, new: NewSubscription) -> Subscription:
        """Store a subscription. Raises BadInputError beyond `MOST`."""
        with self._database.write() as con:
            add_subscription(con, new)
        return self.get(new.tenant, new.id)

    def get(self, tenant: str, id_: str) -> Subscription:
        """Return a subscription of a tenant. Raises NotFoundError."""
        rows = self._read(subscriptions.c.id == id_, subscriptions.c.tenant == tenant)
        if not rows:
            raise NotFoundError(f"there is no digest {id_[:40]!r}")
        return rows[0]

    def find(self, id_: str) -> Subscription:
        """Return a subscription by its id, as a link in a message names it. Raises NotFoundError."""
        rows = self._read(subscriptions.c.id == id_)
        if not rows:
            raise NotFoundError("this digest does not exist any more")
        return rows[0]

    def of(self, tenant: str) -> list[Subscription]:
        """Return a tenant's subscriptions, oldest first."""
        return self._read(subscriptions.c.tenant == tenant)

    def active(self) -> list[Subscription]:
        """Return all subscriptions that are not stopped."""
        return self._read(subscriptions.c.stopped_at.is_(None))

    def stop(self, id_: str) -> None:
        """Stop sending; messages in the outbox are still sent."""
        active = subscriptions.c.id == id_, subscriptions.c.stopped_at.is_(None)
        with self._database.write() as con:
            con.execute(subscriptions.update().where(*active).values(stopped_at=now()))

    def remove(self, tenant: str, id_: str) -> None:
        """Delete a subscription. Raises NotFoundError."""
        self.get(tenant, id_)
        with self._database.write() as con:
            remove_subscription(con, tenant, id_)

    def waits(self, id_: str, why: str) -> None:
        """Note why a due digest is not sent yet."""
        with self._database.write() as con:
            con.execute(subscriptions.update().where(subscriptions.c.id == id_).values(waits_for=why[:500]))

    def sent(self, subscription: Subscription, done_to: date, draft: Draft) -> bool:
        """Write a period's message and mark the period as done, in one transaction; False if another process did."""
        same = (
            subscriptions.c.id == subscription.id,
            subscriptions.c.done_to == subscription.done_to,
            subscriptions.c.stopped_at.is_(None),
        )
        with self._database.write() as con:
            if con.execute(subscriptions.update().where(*same).values(done_to=done_to, waits_for="")).rowcount != 1:
                return False
            return enqueue(con, draft)

    def _read(self, *where: sa.ColumnElement[bool]) -> list[Subscription]:
        with self._database.read() as con:
            rows = con.execute(sa.select(subscriptions).where(*where).order_by(subscriptions.c.id))
            return [
                Subscription(
                    row.id, row.tenant, row.destination, row.kind, row.zone, row.at, row.wait_hours,
                    tuple(json.loads(row.sections)), tuple(json.loads(row.formats)), row.done_to, row.waits_for or None,
                    "stopped" if row.stopped_at else "active", row.created_at,
                )
                for row in rows
            ]  # fmt: skip
