"""Restatements: the numbers of closed days, and a ledger of later changes with old and new value, time and reason.

Only numbers of whole tenants and channels are stored: they identify nobody. The first value and its changes lead to the current
value without a gap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import sqlalchemy as sa

from hubbub.control.database import Database, metadata
from hubbub.model.window import utc_naive

Numbers = Mapping[str, Mapping[str, float | int | None]]
"""Metric -> slice ("" for the whole, else a channel) -> value."""

closed_days = sa.Table(
    "closed_days", metadata,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("zone", sa.String(64), nullable=False),
    sa.Column("definition_version", sa.Integer, nullable=False),
    sa.Column("seen_at", sa.DateTime, nullable=False),
    sa.Column("numbers", sa.Text, nullable=False),
)  # fmt: skip
restatements = sa.Table(
    "restatements", metadata,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("metric", sa.String(80), nullable=False),
    sa.Column("slice", sa.String(512), nullable=False),
    sa.Column("old", sa.Text, nullable=False),
    sa.Column("new", sa.Text, nullable=False),
    sa.Column("cause", sa.String(40), nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Index("restatements_of_tenant", "tenant", "no"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed day: its numbers when last read, their zone and definition version. `seen_at` is aware."""

    day: date
    zone: str
    definition_version: int
    seen_at: datetime
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Restatement:
    """A number of a closed day that changed."""

    at: datetime
    """When it was found."""
    window: date
    """The day, in the tenant's zone."""
    metric: str
    channel: str | None
    """null: the whole tenant."""
    old: float | int | None
    new: float | int | None
    delta: float | int | None = field(init=False)
    """null where either is null."""
    cause: str
    events: int
    """Events that arrived for the day since it was last read."""

    def __post_init__(self) -> None:
        delta = None if self.old is None or self.new is None else self.new - self.old
        object.__setattr__(self, "delta", delta)


@dataclass(frozen=True, slots=True)
class WantedRestatements:
    """Which restatements to return: found since a time (aware), of the days `[first, after)`, of a metric; None: all."""

    since: datetime | None = None
    first: date | None = None
    after: date | None = None
    metric: str | None = None


class Restatements:
    """Closed days and restatements of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(closed_days, restatements)

    def closed(self, tenant: str, first: date, after: date) -> dict[date, Closed]:
        """Return a tenant's closed days in `[first, after)`."""
        in_days = closed_days.c.tenant == tenant, closed_days.c.day >= first, closed_days.c.day < after
        with self._database.read() as con:
            return {
                row.day: Closed(
                    row.day, row.zone, row.definition_version, row.seen_at.replace(tzinfo=UTC), json.loads(row.numbers)
                )
                for row in con.execute(sa.select(closed_days).where(*in_days))
            }

    def first_closed(self, tenant: str) -> date | None:
        """Return a tenant's earliest closed day."""
        earliest = sa.select(sa.func.min(closed_days.c.day)).where(closed_days.c.tenant == tenant)
        with self._database.read() as con:
            day: date | None = con.execute(earliest).scalar()
        return day

    def write(self, tenant: str, days: Sequence[Closed], changes: Sequence[Restatement]) -> None:
        """Store days with their current numbers, and the changes, in one transaction."""
        with self._database.write() as con:
            for closed in days:
                same = closed_days.c.tenant == tenant, closed_days.c.day == closed.day
                con.execute(closed_days.delete().where(*same))
                con.execute(closed_days.insert().values(
                    tenant=tenant, day=closed.day, zone=closed.zone, definition_version=closed.definition_version,
                    seen_at=utc_naive(closed.seen_at), numbers=json.dumps(closed.numbers),
                ))  # fmt: skip
            for change in changes:
                con.execute(restatements.insert().values(
                    tenant=tenant, at=utc_naive(change.at), day=change.window, metric=change.metric,
                    slice=(change.channel or "")[:512], old=json.dumps(change.old), new=json.dumps(change.new),
                    cause=change.cause, events=change.events,
                ))  # fmt: skip

    def page(
        self, tenant: str, wanted: WantedRestatements, before: int | None, limit: int
    ) -> list[tuple[int, Restatement]]:
        """Return a tenant's restatements with their numbers in the ledger, newest first, before such a number."""
        where = [restatements.c.tenant == tenant]
        if wanted.since is not None:
            where.append(restatements.c.at >= utc_naive(wanted.since))
        if wanted.first is not None:
            where.append(restatements.c.day >= wanted.first)
        if wanted.after is not None:
            where.append(restatements.c.day < wanted.after)
        if wanted.metric is not None:
            where.append(restatements.c.metric == wanted.metric)
        if before is not None:
            where.append(restatements.c.no < before)
        query = sa.select(restatements).where(*where).order_by(restatements.c.no.desc()).limit(limit)
        with self._database.read() as con:
            return [
                (
                    row.no,
                    Restatement(
                        row.at.replace(tzinfo=UTC), row.day, row.metric, row.slice or None, json.loads(row.old),
                        json.loads(row.new), row.cause, row.events,
                    ),
                )
                for row in con.execute(query)
            ]  # fmt: skip

    def count(self, tenant: str, since: datetime, first: date, after: date) -> int:
        """Return how many numbers of the days `[first, after)` changed since a time, each counted once."""
        t = restatements.c
        changed = t.tenant == tenant, t.at > utc_naive(since), t.day >= first, t.day < after
        numbers = sa.select(t.metric, t.day, t.slice).where(*changed).distinct().subquery()
        with self._database.read() as con:
            return int(con.execute(sa.select(sa.func.count()).select_from(numbers)).scalar_one())

    def forget(self, tenant: str, before: date) -> None:
        """Delete closed days before a day, whose facts are deleted: they cannot change. The ledger stays."""
        with self._database.write() as con:
            con.execute(closed_days.delete().where(closed_days.c.tenant == tenant, closed_days.c.day < before))
