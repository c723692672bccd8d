"""Presence: when a server was last there to take what services send, so that a time without any is known afterwards.

One row for the whole installation: as long as one of its servers is there, nobody is sent away.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from hubbub.control.database import Database, metadata
from hubbub.model.window import utc_naive

SECONDS = 10.0
"""After which a server says again that it is there."""
ABSENT = timedelta(seconds=3 * SECONDS)
"""Without a word for longer than this, no server was there."""

presence = sa.Table("presence", metadata, sa.Column("seen", sa.DateTime, nullable=False))


class Presence:
    """The row, in the control database. May be used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(presence)

    def note(self, now: datetime) -> datetime | None:
        """Note that a server is there at a moment (aware); return since when none was, None where one was.

        Of several servers that come back at once one alone gets the moment.
        """
        with self._database.write() as con:
            last = con.execute(sa.select(presence.c.seen)).scalar()
            if last is None:
                con.execute(presence.insert().values(seen=utc_naive(now)))
                return None
            later = presence.update().where(presence.c.seen == last, presence.c.seen < utc_naive(now))
            moved = con.execute(later.values(seen=utc_naive(now))).rowcount == 1
        since = last.replace(tzinfo=UTC)
        return since if moved and now - since > ABSENT else None
