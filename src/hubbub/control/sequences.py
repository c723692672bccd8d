"""Numbers of deliveries: which of a service's consecutive numbers came, so that a hole among them is known as a loss.

One row for each run of numbers without a hole. A number joins the runs beside it, in any order and however often it comes, so a
source that lost nothing has one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, upsert
from hubbub.control.integrations import Integration
from hubbub.model.window import utc_naive

sequence = sa.Table(
    "sequence", metadata,
    sa.Column("integration", sa.String(40), primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("began_at", sa.DateTime, nullable=False),
    sa.Column("ended_at", sa.DateTime, nullable=False),
)  # fmt: skip
"""Runs of numbers: from `first`, received at `began_at`, to `last`, received at `ended_at` (UTC without zone)."""
_RUN = (sequence.c.first, sequence.c.last, sequence.c.began_at, sequence.c.ended_at)


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers that did not come: how many, and the times (UTC without zone) of receipt of the numbers beside them."""

    count: int
    start: datetime
    end: datetime


class Sequences:
    """The runs of all integrations. May be used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(sequence)

    def note(self, integration: Integration, number: int, at: datetime) -> None:
        """Note a number that came at a moment (aware); one that came before changes nothing."""
        beside = sequence.c.integration == integration.id, sequence.c.first <= number + 1, sequence.c.last >= number - 1
        moment = utc_naive(at)
        with self._database.write() as con:
            runs = con.execute(sa.select(*_RUN).where(*beside).order_by(sequence.c.first)).all()
            if any(first <= number <= last for first, last, _, _ in runs):
                return
            low, high = min(runs, default=None), max(runs, default=None)
            below = low if low is not None and low.last < number else None
            above = high if high is not None and high.first > number else None
            con.execute(sequence.delete().where(*beside))
            run = upsert(sequence, con.dialect.name).values(
                integration=integration.id, first=below.first if below else number, last=above.last if above else number,
                began_at=below.began_at if below else moment, ended_at=above.ended_at if above else moment,
            )  # fmt: skip
            con.execute(run.on_conflict_do_nothing())  # the same number, noted by another process meanwhile

    def holes(self, integration: Integration, idle: timedelta) -> list[Hole]:
        """Return the holes in an integration's numbers; after `idle` without any, they may begin anywhere."""
        query = sa.select(*_RUN).where(sequence.c.integration == integration.id).order_by(sequence.c.first)
        with self._database.read() as con:
            runs = con.execute(query).all()
        return [
            Hole(after.first - before.last - 1, *sorted((before.ended_at, after.began_at)))
            for before, after in pairwise(runs)
            if after.first > before.last + 1 and abs(after.began_at - before.ended_at) < idle
        ]

    def forget(self, integration: str) -> None:
        """Delete the runs of an integration."""
        with self._database.write() as con:
            con.execute(sequence.delete().where(sequence.c.integration == integration))
