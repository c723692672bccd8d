"""Schedules: listed, run now or for past days, paused and resumed."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hubbub.clock import Clock
from hubbub.errors import BadRequestError, NotFoundError
from hubbub.jobs.payloads import checked
from hubbub.jobs.rows import JobView
from hubbub.model.page import Page
from hubbub.model.plain import JsonObject
from hubbub.services.job_queues import JobQueues
from hubbub.settings import Settings

if TYPE_CHECKING:
    from hubbub.jobs.schedule import Schedule

MOST_DAYS = 1100


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule."""

    name: str
    """Its name."""
    queue: str
    """The queue of its jobs."""
    cron: str
    """When, in UTC."""
    next_run: dt.datetime | None
    """The next tick; null: paused."""
    last_run: dt.datetime | None
    """The last tick with a job."""
    paused: bool
    """Whether it is paused."""
    doc: str
    """What its jobs do."""


class ScheduleService:
    """The schedules of an installation, with the crons of its settings."""

    def __init__(self, settings: Settings, clock: Clock, queues: JobQueues) -> None:
        self._settings, self._clock, self._queues = settings, clock, queues

    @cached_property
    def known(self) -> Mapping[str, Schedule]:
        """The schedules by name; loading crons takes a while, and most commands need none."""
        from hubbub.jobs.schedule import schedules

        return schedules(self._settings.schedules, aggregation=self._settings.aggregation.enabled)

    def of(self) -> Page[ScheduleView]:
        """Return every schedule: cron (UTC), next and last run, and whether it is paused."""
        from hubbub.jobs.schedule import next_tick

        now = self._clock()
        progress = self._queues.open().ledger.progress(dict.fromkeys(self.known, now))
        return Page(
            [
                ScheduleView(
                    schedule.name, schedule.queue, schedule.cron,
                    None if progress[schedule.name].paused else next_tick(schedule.cron, now),
                    progress[schedule.name].last_run, progress[schedule.name].paused, schedule.doc,
                )
                for schedule in self.known.values()
            ]
        )  # fmt: skip

    def trigger(self, name: str, date: str | None = None) -> JobView:
        """Start a schedule's job now, for a date or like its next tick. Raises NotFoundError, BadRequestError."""
        about = {"dates": [_date(date).isoformat()]} if date is not None else {"ticks": [self._clock().isoformat()]}
        return self._start(self._schedule(name), about)

    def backfill(self, name: str, start: str, end: str) -> JobView:
        """Start one job for every date of `[start, end)`. Raises NotFoundError, BadRequestError."""
        schedule = self._schedule(name)
        first, last = _date(start), _date(end)
        days = (last - first).days
        if not 1 <= days <= MOST_DAYS:
            raise BadRequestError(
                f"'from' must be before 'to', and at most {MOST_DAYS} days before it; this is {days} days"
            )
        dates = [(first + dt.timedelta(days=n)).isoformat() for n in range(days)]
        return self._start(schedule, {"dates": dates, "is_backfill": True})

    def pause(self, name: str) -> ScheduleView:
        """Start no more jobs of a schedule until it is resumed. Raises NotFoundError."""
        self._begun(name)
        self._queues.open().ledger.pause(name)
        return self._view(name)

    def resume(self, name: str) -> ScheduleView:
        """Continue with the next tick; ticks during the pause are skipped ('backfill' starts them). Raises NotFoundError."""
        self._begun(name)
        self._queues.open().ledger.resume(name, self._clock())
        return self._view(name)

    def _start(self, schedule: Schedule, about: JsonObject) -> JobView:
        payload = checked(schedule.queue, {**schedule.payload, **about})
        job, jobs = f"{schedule.name}:by-hand:{uuid.uuid4().hex[:12]}", self._queues.open()
        return jobs.row(jobs.start(schedule.queue, payload, job_id=job))

    def _schedule(self, name: str) -> Schedule:
        if name not in self.known:
            raise NotFoundError(f"there is no schedule {name[:80]!r} (there are {', '.join(self.known)})")
        return self.known[name]

    def _begun(self, name: str) -> None:
        """Note a schedule in the ledger, if new."""
        self._schedule(name)
        self._queues.open().ledger.progress({name: self._clock()})

    def _view(self, name: str) -> ScheduleView:
        return next(view for view in self.of().rows if view.name == name)


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"{text[:40]!r} is not a date, like 2026-08-01") from None
