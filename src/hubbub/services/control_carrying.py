"""Copying control data and jobs of an installation into other databases, without an open engine."""

from __future__ import annotations

from contextlib import closing

from hubbub.control.control_migration import Carried, carry_control, carry_jobs
from hubbub.control.database import Database, file_of
from hubbub.errors import ConflictError, NotFoundError
from hubbub.progress import Progress, quiet
from hubbub.services.job_queues import jobs_of
from hubbub.settings import Settings


def carry(settings: Settings, control_url: str, jobs_url: str, progress: Progress = quiet) -> list[Carried]:
    """Copy control data and jobs of an installation into empty databases, and prove that nothing differs; the source stays.

    Raises ConflictError for a target with rows or equal to the source, StoreBusyError for a source that changes meanwhile.
    """
    source, jobs = settings.control_address, settings.jobs_address
    if control_url == source or jobs_url == jobs:
        raise ConflictError("the target is the present database of this installation: name another one")
    for url in (source, jobs):
        file = file_of(url)
        if file is not None and not file.exists() and url == source:
            raise NotFoundError(f"{file} does not exist: {settings.data} is not the data folder of an installation")
    with closing(Database(source)) as out, closing(Database(control_url)) as into:
        carried = carry_control(out, into, progress)
    file = file_of(jobs)
    if file is None or file.exists():
        for url in (jobs, jobs_url):
            jobs_of(settings.model_copy(update={"jobs_url": url})).close()  # makes the tables
        with closing(Database(jobs)) as out, closing(Database(jobs_url)) as into:
            carried += carry_jobs(out, into, progress)
    return carried
