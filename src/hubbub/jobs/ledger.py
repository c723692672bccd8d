"""The ledger: the progress of each schedule, live processes, jobs to retry, and the latest time.

Four tables in the jobs database. A schedule's row has the last tick whose job was started. Advancing it is a compare-and-set that
also stores the job to start; starting that job is idempotent by its id. So each tick's job starts exactly once, also with several
processes, or one that dies between the two steps. The latest time that any process saw shows when the clock went back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import sqlalchemy as sa

from hubbub.control.database import Database, metadata
from hubbub.model.plain import JsonObject
from hubbub.model.window import utc_naive

schedules = sa.Table(
    "hubbub_schedules", metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("done_to", sa.DateTime, nullable=False),
    sa.Column("pending", sa.Text, nullable=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("last_run", sa.DateTime, nullable=True),
    sa.Column("again", sa.Integer, nullable=False, server_default="0"),
)  # fmt: skip
processes = sa.Table(
    "hubbub_processes", metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("beat", sa.DateTime, nullable=False),
)  # fmt: skip
retries = sa.Table(
    "hubbub_retries", metadata,
    sa.Column("job", sa.String(200), primary_key=True),
    sa.Column("at", sa.DateTime, nullable=False, index=True),
)  # fmt: skip
clock = sa.Table("hubbub_clock", metadata, sa.Column("latest", sa.DateTime, nullable=False))
SKEW = timedelta(minutes=1)
"""Largest difference between the clocks of processes that is no step of a clock."""


@dataclass(frozen=True)
class Progress:
    """The progress of a schedule (times UTC, aware). `pending`: the claimed job, which may not be started yet.

    `again`: number of times that its ticks were repeated after the clock went back.
    """

    name: str
    done_to: datetime
    pending: JsonObject | None
    paused: bool
    last_run: datetime | None
    again: int


class Ledger:
    """Schedules' progress and processes' heartbeats, in the jobs database. May be used from any thread."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._database.make(schedules, processes, retries, clock)

    def close(self) -> None:
        """Release connections."""
        self._database.close()

    def changed(self) -> int | None:
        """Return `Database.changed` of the jobs database."""
        return self._database.changed()

    # --- schedules

    def progress(self, names: Mapping[str, datetime]) -> dict[str, Progress]:
        """Return the progress of the named schedules; a new one begins at the moment that is given with its name."""
        progress = self._read()
        for name, begin in names.items():
            if name not in progress:
                try:
                    with self._database.write() as con:
                        con.execute(schedules.insert().values(name=name, done_to=utc_naive(begin), paused=False))
                except sa.exc.IntegrityError:
                    pass  # another process was faster
        progress = self._read() if set(names) - set(progress) else progress
        return {name: progress[name] for name in names}

    def _read(self) -> dict[str, Progress]:
        with self._database.read() as con:
            return {
                row.name: Progress(
                    row.name, row.done_to.replace(tzinfo=UTC), json.loads(row.pending) if row.pending else None,
                    row.paused, row.last_run.replace(tzinfo=UTC) if row.last_run else None, row.again,
                )
                for row in con.execute(sa.select(schedules))
            }  # fmt: skip

    def claim(self, name: str, done_to: datetime, new: datetime, pending: JsonObject) -> bool:
        """Advance a schedule from `done_to` to `new` and store the job to start; False if it is paused or another process did."""
        with self._database.write() as con:
            changed = con.execute(
                schedules.update()
                .where(
                    schedules.c.name == name, schedules.c.done_to == utc_naive(done_to), schedules.c.pending.is_(None)
                )
                .where(schedules.c.paused.is_(False))
                .values(done_to=utc_naive(new), pending=json.dumps(dict(pending)), last_run=utc_naive(new))
            )
            return changed.rowcount == 1

    def started(self, name: str, pending: JsonObject) -> None:
        """Delete the stored job, which is now in its queue."""
        with self._database.write() as con:
            con.execute(
                schedules.update()
                .where(schedules.c.name == name, schedules.c.pending == json.dumps(dict(pending)))
                .values(pending=None)
            )

    def pause(self, name: str) -> None:
        """Pause a schedule: its ticks start no jobs."""
        with self._database.write() as con:
            con.execute(schedules.update().where(schedules.c.name == name).values(paused=True))

    def resume(self, name: str, now: datetime) -> None:
        """Continue with the next tick after `now`; ticks during the pause are skipped (a backfill can make up for them)."""
        with self._database.write() as con:
            paused = schedules.update().where(schedules.c.name == name, schedules.c.paused.is_(True))
            con.execute(paused.values(paused=False, done_to=utc_naive(now)))

    # --- retries

    def retry_at(self, job: str, moment: datetime) -> None:
        """Store the moment at which a failed job is retried."""
        with self._database.write() as con:
            con.execute(retries.delete().where(retries.c.job == job))
            con.execute(retries.insert().values(job=job, at=utc_naive(moment)))

    def retrying(self, prefix: str = "", until: datetime | None = None) -> list[str]:
        """Return the jobs to retry up to `until` whose id begins with `prefix`, soonest first."""
        query = sa.select(retries.c.job).order_by(retries.c.at)
        if prefix:
            query = query.where(retries.c.job.startswith(prefix, autoescape=True))
        if until is not None:
            query = query.where(retries.c.at <= utc_naive(until))
        with self._database.read() as con:
            return list(con.execute(query).scalars())

    def no_retry(self, job: str) -> None:
        """Delete the retry of a job."""
        with self._database.write() as con:
            con.execute(retries.delete().where(retries.c.job == job))

    # --- processes

    def heartbeat(self, process: str, now: datetime) -> None:
        """Store the heartbeat of a process."""
        with self._database.write() as con:
            values = {"beat": utc_naive(now)}
            if con.execute(processes.update().where(processes.c.id == process).values(**values)).rowcount == 0:
                con.execute(processes.insert().values(id=process, **values))

    def leave(self, process: str) -> None:
        """Delete a process that ends, so that others can take over its jobs at once."""
        with self._database.write() as con:
            con.execute(processes.delete().where(processes.c.id == process))

    def beats(self) -> dict[str, datetime]:
        """Return the last heartbeat of each process that did not leave, by its id."""
        with self._database.read() as con:
            return {row.id: row.beat for row in con.execute(sa.select(processes))}

    # --- the clock

    def behind(self, now: datetime) -> timedelta:
        """Store the time if it is the latest; return how far it is behind the latest stored one, 0 if at most `SKEW`."""
        at = utc_naive(now)
        with self._database.write() as con:
            latest = con.execute(sa.select(clock.c.latest)).scalar()
            if latest is None:
                con.execute(clock.insert().values(latest=at))
            elif latest - at > SKEW:
                return cast("timedelta", latest - at)
            elif latest < at:
                con.execute(clock.update().where(clock.c.latest < at).values(latest=at))
            return timedelta()

    def move_back(self, now: datetime, by: timedelta, rhythms: Collection[str]) -> bool:
        """After the clock went back by `by`, shorten waits of retries accordingly, and restart the schedules `rhythms` from `now`.

        Returns False if another process did so.
        """
        at = utc_naive(now)
        with self._database.write() as con:
            if con.execute(clock.update().where(clock.c.latest > at + SKEW).values(latest=at)).rowcount != 1:
                return False
            for job, moment in con.execute(sa.select(retries).where(retries.c.at > at)).all():
                con.execute(retries.update().where(retries.c.job == job).values(at=moment - by))
            ahead = schedules.c.name.in_(rhythms), schedules.c.done_to > at
            con.execute(schedules.update().where(*ahead).values(done_to=at, again=schedules.c.again + 1))
            return True
