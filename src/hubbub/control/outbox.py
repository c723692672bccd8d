"""The outbox: destinations, and a row for each message until it was delivered, or given up after eight hours.

A message is written in the transaction of its cause, and sent afterwards under its id, repeatedly until the receiver accepts it.
After a crash between sending and noting it, it is sent again: receivers recognize it by its id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from hubbub.control.database import Database, aware, metadata, now
from hubbub.control.encryption import Encryption
from hubbub.errors import BadInputError, ConflictError, NotFoundError
from hubbub.model.plain import JsonObject
from hubbub.model.window import utc_naive

KINDS = ("mail", "slack", "webhook")
MOST_DESTINATIONS = 100
MOST_SECRET = 4096
PATIENCE = timedelta(hours=8)
"""Time for which a message is tried."""
LEASE = timedelta(minutes=3)
"""Time for which a sender owns a message; longer than a try may take."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)

destinations = sa.Table(
    "destinations", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("shown", sa.String(200), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)  # fmt: skip
messages = sa.Table(
    "outbox", metadata,
    sa.Column("id", sa.String(60), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("destination", sa.String(40), nullable=False),
    sa.Column("cause", sa.String(40), nullable=False, default=""),
    sa.Column("about", sa.String(40), nullable=False, default=""),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("why", sa.String(500), nullable=False, default=""),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("next_try", sa.DateTime, nullable=False),
    sa.Column("give_up_at", sa.DateTime, nullable=False),
    sa.Column("leased_until", sa.DateTime, nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("sent_at", sa.DateTime, nullable=True),
    sa.Index("outbox_due", "state", "next_try"),
    sa.Index("outbox_of_tenant", "tenant", "id"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a tenant's messages go: a mail address, a Slack channel or a webhook. `shown`: the address without secrets."""

    id: str
    tenant: str
    kind: str
    name: str
    shown: str
    created_at: datetime
    sealed: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to a destination, not before a time. The same id is the same message.

    `cause`: its rule or subscription; `about`: its incident or report; `held`: why it goes only into a summary.
    """

    id: str
    tenant: str
    destination: str
    kind: str
    document: JsonObject
    at: datetime
    not_before: datetime
    cause: str = ""
    about: str = ""
    held: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the outbox: waiting, sent, held (for a summary) or failed, with the reason. Times are aware."""

    id: str
    tenant: str
    destination: str
    cause: str
    about: str
    kind: str
    document: JsonObject
    state: Literal["waiting", "sent", "held", "failed"]
    why: str
    tries: int
    next_try: datetime
    give_up_at: datetime
    created_at: datetime
    sent_at: datetime | None


def enqueue(con: sa.Connection, draft: Draft) -> bool:
    """Write a message in a transaction, once for its id; returns whether it was new."""
    if con.execute(sa.select(messages.c.id).where(messages.c.id == draft.id)).first() is not None:
        return False
    con.execute(messages.insert().values(
        id=draft.id, tenant=draft.tenant, destination=draft.destination, cause=draft.cause, about=draft.about, kind=draft.kind,
        document=json.dumps(draft.document), state="held" if draft.held else "waiting", why=draft.held, tries=0,
        next_try=utc_naive(draft.not_before), give_up_at=utc_naive(draft.not_before + PATIENCE), created_at=utc_naive(draft.at),
    ))  # fmt: skip
    return True


def pause(tries: int) -> timedelta:
    """Return the pause after this many failed tries: 1, 2, 4, ... up to 30 minutes."""
    return min(FIRST_PAUSE * (1 << min(tries - 1, 10)), LONGEST_PAUSE)


class Outbox:
    """Destinations and messages of all tenants."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database, self._encryption = database, encryption
        database.make(destinations, messages)

    # --- destinations

    def add_destination(
        self, id_: str, tenant: str, kind: str, name: str, shown: str, secret: Mapping[str, str]
    ) -> Destination:
        """Store a destination, the secret part of its address encrypted. Raises BadInputError beyond `MOST_DESTINATIONS`."""
        text = json.dumps(dict(secret))
        if len(text) > MOST_SECRET:
            raise BadInputError(f"the address: {len(text)} characters, {MOST_SECRET} are allowed")
        count = len(self.destinations(tenant))
        if count >= MOST_DESTINATIONS:
            raise BadInputError(
                f"this tenant has {count} destinations, and {MOST_DESTINATIONS} are allowed: remove some"
            )
        sealed = self._encryption.seal(text, tenant, id_)
        with self._database.write() as con:
            con.execute(destinations.insert().values(
                id=id_, tenant=tenant, kind=kind, name=name, shown=shown, sealed=sealed, created_at=now()
            ))  # fmt: skip
        return self.destination(tenant, id_)

    def destination(self, tenant: str, id_: str) -> Destination:
        """Return a destination of a tenant. Raises NotFoundError."""
        matches = [candidate for candidate in self.destinations(tenant) if candidate.id == id_]
        if not matches:
            raise NotFoundError(f"there is no destination {id_[:40]!r}")
        return matches[0]

    def destinations(self, tenant: str) -> list[Destination]:
        """Return a tenant's destinations, oldest first."""
        query = sa.select(destinations).where(destinations.c.tenant == tenant).order_by(destinations.c.id)
        with self._database.read() as con:
            return [
                Destination(row.id, row.tenant, row.kind, row.name, row.shown, aware(row.created_at), bytes(row.sealed))
                for row in con.execute(query)
            ]

    def secret(self, destination: Destination) -> dict[str, str]:
        """Return the secret part of a destination's address."""
        opened: dict[str, str] = json.loads(
            self._encryption.open(destination.sealed, destination.tenant, destination.id)
        )
        return opened

    def remove_destination(self, tenant: str, id_: str) -> None:
        """Delete a destination; its waiting messages fail. Raises NotFoundError."""
        self.destination(tenant, id_)
        waiting = messages.c.destination == id_, messages.c.tenant == tenant, messages.c.state == "waiting"
        with self._database.write() as con:
            con.execute(messages.update().where(*waiting).values(state="failed", why="its destination was removed"))
            con.execute(destinations.delete().where(destinations.c.id == id_, destinations.c.tenant == tenant))

    # --- messages

    def put(self, draft: Draft) -> bool:
        """Write a message, on disk when this returns; returns whether it was new."""
        with self._database.write() as con:
            return enqueue(con, draft)

    def due(self, moment: datetime, limit: int = 100) -> list[str]:
        """Return the ids of messages due at a time, the longest waiting first.

        A message waits for earlier ones about the same incident to its destination: nobody reads that it is over before it opened.
        """
        at = utc_naive(moment)
        free = sa.or_(messages.c.leased_until.is_(None), messages.c.leased_until <= at)
        earlier = messages.alias()
        behind = sa.exists().where(
            earlier.c.state == "waiting", earlier.c.destination == messages.c.destination, earlier.c.about == messages.c.about,
            earlier.c.id < messages.c.id,
        )  # fmt: skip
        query = sa.select(messages.c.id).where(messages.c.state == "waiting", messages.c.next_try <= at, free, ~behind)
        with self._database.read() as con:
            return list(con.execute(query.order_by(messages.c.next_try).limit(limit)).scalars())

    def take(self, id_: str, moment: datetime) -> Message | None:
        """Return a message that only the caller may send for `LEASE`; None if another sender has it or it is done."""
        at = utc_naive(moment)
        free = sa.or_(messages.c.leased_until.is_(None), messages.c.leased_until <= at)
        lease = messages.update().where(
            messages.c.id == id_, messages.c.state == "waiting", messages.c.next_try <= at, free
        )
        with self._database.write() as con:
            if con.execute(lease.values(leased_until=at + LEASE)).rowcount != 1:
                return None
        return self.message(id_)

    def sent(self, message: Message, moment: datetime) -> None:
        """Note that a message was delivered."""
        self._end(message, state="sent", why="", tries=message.tries + 1, sent_at=utc_naive(moment))

    def failed(
        self, message: Message, moment: datetime, why: str, *, again: bool, retry_after: float | None = None
    ) -> None:
        """Note a failed try; schedules the next one after a pause, the last for the end of `PATIENCE`.

        Fails the message after that, or if `again` is False.
        """
        wait = max(pause(message.tries + 1), timedelta(seconds=retry_after or 0))
        if again and moment < message.give_up_at:
            following = min(moment + wait, message.give_up_at)
            self._end(message, why=why, tries=message.tries + 1, next_try=utc_naive(following))
        else:
            self._end(message, state="failed", why=why, tries=message.tries + 1)

    def _end(self, message: Message, **values: Any) -> None:
        if "why" in values:
            values["why"] = values["why"][:500]
        waiting = messages.c.id == message.id, messages.c.state == "waiting"
        with self._database.write() as con:
            con.execute(messages.update().where(*waiting).values(**values, leased_until=None))

    def message(self, id_: str) -> Message:
        """Return a message. Raises NotFoundError."""
        rows = self._messages(messages.c.id == id_)
        if not rows:
            raise NotFoundError(f"there is no message {id_[:60]!r}")
        return rows[0]

    def page(
        self, tenant: str, *, about: str | None = None, cause: str | None = None, before: str = "", limit: int = 100
    ) -> list[Message]:
        """Return a tenant's messages, newest first, before an id."""
        where = [messages.c.tenant == tenant]
        where += [
            column == value
            for column, value in ((messages.c.about, about), (messages.c.cause, cause))
            if value is not None
        ]
        if before:
            where.append(messages.c.id < before)
        return self._messages(*where, limit=limit)

    def count(self, cause: str, destination: str, since: datetime) -> int:
        """Return how many messages of a cause went to a destination since a time, or will go; held ones do not."""
        goes = sa.func.coalesce(messages.c.sent_at, messages.c.next_try)
        written = messages.c.cause == cause, messages.c.destination == destination, messages.c.state != "held"
        query = sa.select(sa.func.count()).select_from(messages).where(*written, goes >= utc_naive(since))
        with self._database.read() as con:
            return int(con.execute(query).scalar_one())

    def held(self, before: datetime) -> list[Message]:
        """Return held messages written before a time that are in no summary yet."""
        return self._messages(
            messages.c.state == "held", messages.c.sent_at.is_(None), messages.c.created_at < utc_naive(before)
        )

    def summed_up(self, held: Sequence[Message], summary: Draft) -> None:
        """Write the summary of held messages, and mark them as summed up."""
        with self._database.write() as con:
            enqueue(con, summary)
            ids = [message.id for message in held]
            con.execute(messages.update().where(messages.c.id.in_(ids)).values(sent_at=utc_naive(summary.at)))

    def again(self, tenant: str, id_: str, moment: datetime) -> Message:
        """Try a failed message again, for another eight hours. Raises NotFoundError, ConflictError if it did not fail."""
        message = self.message(id_)
        if message.tenant != tenant:
            raise NotFoundError(f"there is no message {id_[:60]!r}")
        if message.state != "failed":
            raise ConflictError(f"this message is {message.state}: only a failed one can be tried again")
        with self._database.write() as con:
            con.execute(messages.update().where(messages.c.id == id_).values(
                state="waiting", next_try=utc_naive(moment), give_up_at=utc_naive(moment + PATIENCE), leased_until=None
            ))  # fmt: skip
        return self.message(id_)

    def move_back(self, moment: datetime, by: timedelta) -> None:
        """Move due times back by `by` after the clock went back to `moment` (aware); an untried older message keeps its own."""
        at = utc_naive(moment)
        ahead = sa.or_(messages.c.next_try > at, messages.c.leased_until > at)
        with self._database.write() as con:
            for row in con.execute(sa.select(messages).where(messages.c.state == "waiting", ahead)).mappings().all():
                relative = ("next_try", "give_up_at") if row["tries"] or row["created_at"] > at else ()
                values = {name: row[name] - by for name in (*relative, "leased_until") if row[name] is not None}
                if values:
                    con.execute(messages.update().where(messages.c.id == row["id"]).values(**values))

    def forget(self, before: datetime) -> None:
        """Delete messages written before a time that do not wait."""
        old = messages.c.created_at < utc_naive(before), messages.c.state != "waiting"
        with self._database.write() as con:
            con.execute(messages.delete().where(*old))

    def _messages(self, *where: sa.ColumnElement[bool], limit: int = 1000) -> list[Message]:
        left_out = ("document", "leased_until")
        with self._database.read() as con:
            rows = con.execute(sa.select(messages).where(*where).order_by(messages.c.id.desc()).limit(limit)).mappings()
            return [
                Message(
                    **{name: aware(value) for name, value in row.items() if name not in left_out},
                    document=json.loads(row["document"]),
                )
                for row in rows
            ]
