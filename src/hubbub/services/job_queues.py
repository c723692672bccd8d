"""The queues of an installation, opened on first use: DBOS takes a second to load, and most commands need none."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hubbub.clock import Clock
from hubbub.settings import Settings

if TYPE_CHECKING:
    from hubbub.jobs.queue import Jobs
    from hubbub.jobs.schedule import Schedule
    from hubbub.jobs.worker import JobServices, Worker


class JobQueues:
    """Opens the jobs database once. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs: Jobs | None = None
        self._lock = threading.Lock()

    def open(self) -> Jobs:
        """Return the queues. Raises DatabaseUnavailableError."""
        with self._lock:
            if self._jobs is None:
                self._jobs = jobs_of(self._settings)
            return self._jobs

    def exist(self) -> bool:
        """Say whether a jobs database was ever created."""
        return not self._settings.jobs_address.startswith("sqlite") or (self._settings.data / "jobs.db").exists()

    def worker(self, services: JobServices, schedules: Mapping[str, Schedule], clock: Clock) -> Worker:
        """Return the worker of this process."""
        from hubbub.jobs.worker import Worker

        return Worker(self.open(), services, schedules, clock)

    def close(self) -> None:
        """Release connections."""
        if self._jobs is not None:
            self._jobs.close()


def jobs_of(settings: Settings) -> Jobs:
    """Open the jobs database of an installation, created when absent. Raises DatabaseUnavailableError."""
    from hubbub.jobs.queue import Jobs

    return Jobs(settings.jobs_address)
