"""Jobs and schedules for people and programs: plain values in, plain values out, the same for every face."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import BadRequestError, NotFoundError
from hubbub.jobs.payloads import checked, owner
from hubbub.jobs.queue import PRIORITIES, Jobs, policy_of
from hubbub.jobs.schedule import Schedule, next_tick
from hubbub.model.page import check_limit, cursor_of, place_of

MOST_DAYS = 1100
MOST_AT_ONCE = 1_000_000
"""Jobs started in one millisecond, beyond what any machine does."""
LAST_MOMENT = 4_102_444_800_000
"""The year 2100, in milliseconds."""
MOST_COUNTED = 25_000
"""Jobs that counting looks at, the newest: more than the histories of all queues hold."""


class Desk:
    """Operations on the jobs of an installation. A `tenant` given hides every job that is not its own."""

    def __init__(self, jobs: Jobs, schedules: Mapping[str, Schedule], clock: Clock) -> None:
        self._jobs = jobs
        self._schedules = schedules
        self._clock = clock

    def jobs(
        self, queue: str | None = None, state: str | None = None, tenant: str | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return jobs, newest first, and the cursor of the next page or None."""
        after = place_of(cursor, int, int) or (0, 0)
        if not (0 <= after[0] < LAST_MOMENT and 0 <= after[1] <= MOST_AT_ONCE):
            raise BadRequestError("cursor is none that a page of jobs gave")
        found = self._jobs.rows(queue=queue, state=state, tenant=tenant, limit=check_limit(limit) + 1, after=after)
        rows, more = found[:limit], len(found) > limit
        if not more:
            return {"rows": rows, "next": None}
        # What starts between two pages moves nothing, unless in the very moment of the last one shown (SQLite: second)
        last = _started(rows[-1])
        there = sum(_started(row) == last for row in rows) + (after[1] if after[0] == last else 0)
        return {"rows": rows, "next": cursor_of((last, there))}

    def job_counts(self, tenant: str | None = None) -> dict[str, Any]:
        """Return how many jobs there are by queue and state, and whether there are more than were counted."""
        found = self._jobs.rows(tenant=tenant, limit=MOST_COUNTED + 1)
        counts = Counter((row["queue"], row["state"]) for row in found[:MOST_COUNTED])
        rows = [{"queue": queue, "state": state, "jobs": n} for (queue, state), n in sorted(counts.items())]
        return {"rows": rows, "more": len(found) > MOST_COUNTED}

    def job(self, job: str, tenant: str | None = None) -> dict[str, Any]:
        """Return one job with payload and result."""
        return self._jobs.row(job, tenant)

    def start_job(
        self, queue: str, payload: Mapping[str, Any], tenant: str | None = None, priority: int | None = None,
        delay: float | None = None, job: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Start a job by hand; `job` is an id of one's own, under which it starts once. Returns its row.

        Raises what `payloads.owner` and `payloads.checked` raise.
        """
        policy = policy_of(queue)
        if priority is not None and not PRIORITIES[0] <= priority <= PRIORITIES[1]:
            raise BadRequestError(f"priority must lie between {PRIORITIES[0]} (first) and {PRIORITIES[1]}")
        if delay is not None and not 0 <= delay <= 366 * 86_400:
            raise BadRequestError("delay must lie between 0 and a year, in seconds")
        tenant, payload = owner(policy.name, payload, tenant)
        found = checked(policy.name, payload)
        return self._jobs.row(
            self._jobs.start(policy.name, found, job_id=job, tenant=tenant, priority=priority, delay=delay)
        )

    def retry_job(self, job: str, tenant: str | None = None) -> dict[str, Any]:
        """Let a failed, cancelled or parked job run again."""
        return self._jobs.retry(job, tenant)

    def cancel_job(self, job: str, tenant: str | None = None) -> dict[str, Any]:
        """Cancel a job that has not ended."""
        return self._jobs.cancel(job, tenant)

    def schedules(self) -> dict[str, Any]:
        """Return every schedule: cron (UTC), next and last run, and whether it is paused."""
        now = self._clock()
        found = self._jobs.ledger.progress(dict.fromkeys(self._schedules, now))
        return {
            "rows": [
                {
                    "name": one.name, "queue": one.queue, "cron": one.cron,
                    "next_run": None if found[one.name].paused else next_tick(one.cron, now).isoformat(),
                    "last_run": last.isoformat() if (last := found[one.name].last_run) else None,
                    "paused": found[one.name].paused, "doc": one.doc,
                }
                for one in self._schedules.values()
            ]
        }  # fmt: skip

    def trigger_schedule(self, name: str, date: str | None = None) -> dict[str, Any]:
        """Start a schedule's job now, for a date or for what its next tick would do; returns the job's row."""
        schedule = self._schedule(name)
        now = self._clock()
        about = {"dates": [_date(date).isoformat()]} if date is not None else {"ticks": [now.isoformat()]}
        return self._start(schedule, about)

    def backfill_schedule(self, name: str, start: str, end: str) -> dict[str, Any]:
        """Start one job for every date of `[start, end)`; returns its row."""
        schedule = self._schedule(name)
        first, last = _date(start), _date(end)
        days = (last - first).days
        if not 1 <= days <= MOST_DAYS:
            raise BadRequestError(
                f"'from' must lie before 'to', and at most {MOST_DAYS} days before it; this is {days} days"
            )
        dates = [(first + dt.timedelta(days=n)).isoformat() for n in range(days)]
        return self._start(schedule, {"dates": dates, "is_backfill": True})

    def pause_schedule(self, name: str) -> dict[str, Any]:
        """Start no more jobs of a schedule until it is resumed."""
        self._known(name)
        self._jobs.ledger.pause(name)
        return self._row(name)

    def resume_schedule(self, name: str) -> dict[str, Any]:
        """Go on with the next tick; what fell into the pause is left out ('backfill' starts it)."""
        self._known(name)
        self._jobs.ledger.resume(name, self._clock())
        return self._row(name)

    def _start(self, schedule: Schedule, about: Mapping[str, Any]) -> dict[str, Any]:
        payload = checked(schedule.queue, {**schedule.payload, **about})
        job = f"{schedule.name}:by-hand:{uuid.uuid4().hex[:12]}"
        return self._jobs.row(self._jobs.start(schedule.queue, payload, job_id=job))

    def _schedule(self, name: str) -> Schedule:
        if name not in self._schedules:
            raise NotFoundError(f"there is no schedule {name[:80]!r} (there are {', '.join(self._schedules)})")
        return self._schedules[name]

    def _known(self, name: str) -> None:
        self._schedule(name)
        self._jobs.ledger.progress({name: self._clock()})

    def _row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.schedules()["rows"] if row["name"] == name)


def _started(row: Mapping[str, Any]) -> int:
    """Return when a job was started, in milliseconds since 1970."""
    return round(dt.datetime.fromisoformat(row["created_at"]).timestamp() * 1000)


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"{text[:40]!r} is not a date, like 2026-08-01") from None
