"""Rooms: under which key the events of a service's room are stored, whatever it is called today.

An export names a room by its name, a day that is fetched by id and name, a body that is sent by its id alone. The first of them
says the key, and all others find it here, so that the same message counts once and a renamed room stays the same.
"""

from __future__ import annotations

import sqlalchemy as sa

from hubbub.store.database import Database, metadata, now

LONGEST = 512

rooms = sa.Table(
    "rooms", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("source", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(LONGEST), nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)  # fmt: skip


class Rooms:
    """The keys of rooms, by tenant and source. They are remembered: a key never changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str, str], str] = {}
        database.make(rooms)

    def key(self, tenant: str, source: str, id_: str, name: str = "") -> str:
        """Return the key of a room. One that is seen for the first time gets its name, or its id where no name is known."""
        found = self._known.get((tenant, source, id_))
        if found is None:
            found = self._stored(tenant, source, id_, name or id_)
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[tenant, source, id_] = found
        return found

    def _stored(self, tenant: str, source: str, id_: str, key: str) -> str:
        its = {"tenant": tenant, "source": source, "id": id_}
        query = sa.select(rooms.c.key).filter_by(**its)
        with self._database.read() as con:
            found = con.execute(query).scalar()
        if found is not None:
            return str(found)
        try:
            with self._database.write() as con:
                con.execute(rooms.insert().values(**its, key=key[:LONGEST], created_at=now()))
        except sa.exc.IntegrityError:  # somebody else was first: theirs counts
            with self._database.read() as con:
                return str(con.execute(query).scalar_one())
        return key[:LONGEST]
