"""Presence: when a server was last up. While none is up, services can send nothing.

One row for the whole installation: one running server is enough.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from hubbub.control.database import Database, metadata
from hubbub.model.window import utc_naive

SECONDS = 10.0
"""Time between two notes of a running server."""
ABSENT = timedelta(seconds=3 * SECONDS)
"""After a longer silence no server was up."""

presence = sa.Table("presence", metadata, sa.Column("seen", sa.DateTime, nullable=False))


class Presence:
    """The row, in the control database. May be used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(presence)

    def note(self, now: datetime) -> datetime | None:
        """Note that a server is up at a time (aware); returns when the last one was up, None without an outage.

        Of several servers that return at once only one gets the time.
        """
        with self._database.write() as con:
            last = con.execute(sa.select(presence.c.seen)).scalar()
            if last is None:
                con.execute(presence.insert().values(seen=utc_naive(now)))
                return None
            unchanged = presence.update().where(presence.c.seen == last)  # whose time is later if the clock went back
            moved = con.execute(unchanged.values(seen=utc_naive(now))).rowcount == 1
        since = last.replace(tzinfo=UTC)
        return since if moved and now - since > ABSENT else None
