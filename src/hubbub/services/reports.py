"""Reports: made now or by a job, listed, shown, deleted, and returned as files.

`tenant` is the first parameter of every method; another tenant's report is not found, with the same error as an unknown one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as date_
from datetime import timedelta
from functools import partial
from pathlib import Path

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.restatements import Restatements
from hubbub.errors import BadQuestionError, BadRequestError, ForbiddenError, NotFoundError
from hubbub.model.answers import Deleted
from hubbub.model.page import LARGEST_PAGE, Page, all_rows, check_limit
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.progress import Percent, quiet
from hubbub.query.queries import Queries
from hubbub.reports import as_json
from hubbub.reports import formats as formats_
from hubbub.reports import sections as sections_
from hubbub.reports.document import Document
from hubbub.reports.make import make
from hubbub.reports.period import Period, period_of
from hubbub.reports.store import About, Report, ReportStore, check_report_id, missing, new_report_id
from hubbub.reports.tables import data_hash
from hubbub.services.jobs import JobService
from hubbub.services.report_introductions import ReportIntroductions
from hubbub.settings import Settings
from hubbub.storage.names import Names


@dataclass(frozen=True, slots=True)
class StartedReport:
    """A report that a job makes."""

    id: str
    """The report's id."""
    job: str
    """The id of the job that makes it."""
    state: str
    """The job's state."""
    from_: date_
    """First day."""
    to: date_
    """Day after the last."""


@dataclass(frozen=True, slots=True)
class AwaitedReport:
    """A report that a job is making, with the job's progress."""

    id: str
    tenant: str
    job: str
    """The id of the job that makes it."""
    state: str
    """The job's state."""
    progress: int
    """In percent."""
    error: str | None


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report in a format: its file, and a file name for downloads."""

    path: Path
    media_type: str
    name: str


class ReportService:
    """Makes and stores reports. `called` returns the names of ids, given by kind."""

    def __init__(
        self, settings: Settings, clock: Clock, control: Control, queries: Queries, restatements: Restatements,
        jobs: JobService, called: Callable[[Tenant, Mapping[str, Iterable[str]]], Names], introductions: ReportIntroductions,
    ) -> None:  # fmt: skip
        self._settings, self._clock, self._control, self._queries = settings, clock, control, queries
        self._restatements, self._jobs, self._called, self._introductions = restatements, jobs, called, introductions
        self.store = ReportStore(settings.reports.folder or settings.data / "reports")

    def make(
        self, tenant: str, kind: str, date: str | None = None, start: str | None = None, end: str | None = None,
        sections: Sequence[str] | None = None, formats: Sequence[str] | None = None, report: str | None = None,
        progress: Percent = quiet,
    ) -> Report:  # fmt: skip
        """Make a report (kind daily, weekly, monthly) now and store it.

        `date` is any day of the period; None takes the last complete period. `start` and `end` are dates instead of it.
        `sections`: None for all; `formats`: None for those of the settings. A report with the id `report` is made once.
        `progress` receives percent. Raises BadQuestionError, BadRequestError, NotFoundError, ForbiddenError when reports are off.
        """
        owner = self._control.tenant(tenant)
        period, chosen, written = self._chosen(tenant, kind, date, start, end, sections, formats)
        report = check_report_id(report) if report else new_report_id(self._clock())
        try:
            return self.store.about(tenant, report)
        except NotFoundError:
            pass
        steps = len(chosen) + len(written)
        data = make(
            self._queries, owner, period, chosen,
            lambda done: progress(95 * done // steps), partial(self._called, owner),
        )  # fmt: skip
        about = About(
            report, tenant, kind, period.start, period.end, owner.zone,
            self._clock().astimezone(owner.tz).replace(microsecond=0), data_hash(data), data.definition_version,
            tuple(section.name for section in chosen), tuple(format_.name for format_ in written),
        )  # fmt: skip

        def write(folder: Path) -> About:
            document = Document(plain(about), data, self._introductions.of(owner, period, data))
            for number, format_ in enumerate(written):
                format_.write(document, folder / format_.file)
                progress(95 * (len(chosen) + number + 1) // steps)
            return about

        return self.store.put(tenant, report, write)

    def start(
        self, tenant: str, kind: str, date: str | None = None, start: str | None = None, end: str | None = None,
        sections: Sequence[str] | None = None, formats: Sequence[str] | None = None,
    ) -> StartedReport:  # fmt: skip
        """Start a job that makes a report, of the period as of now. See `make`."""
        period, chosen, written = self._chosen(tenant, kind, date, start, end, sections, formats)
        report = new_report_id(self._clock())
        payload = {
            "report": report, "kind": kind, "start": period.start.isoformat(), "end": period.end.isoformat(),
            "sections": [section.name for section in chosen], "formats": [format_.name for format_ in written],
        }  # fmt: skip
        job = self._jobs.start("reports", payload, tenant=tenant, job=_job_of(report))
        return StartedReport(report, job.id, job.state, period.start, period.end)

    def kept(self, tenant: str, limit: int = 50, cursor: str | None = None) -> Page[Report]:
        """Return a tenant's stored reports, newest first."""
        page = self.store.page(self._control.tenant(tenant).id, check_limit(limit), cursor)
        return replace(page, rows=[self._with_changes(row) for row in page.rows])

    def show(self, tenant: str, report: str) -> Report | AwaitedReport:
        """Return a report, or the progress of its job; raises NotFoundError."""
        try:
            return self._with_changes(self.store.about(self._control.tenant(tenant).id, report))
        except NotFoundError:
            pass
        try:
            job = self._jobs.get(_job_of(report), tenant)
        except NotFoundError:
            raise missing(report) from None
        if job.state == "completed":  # made, and deleted since
            raise missing(report)
        return AwaitedReport(report, tenant, job.id, job.state, job.progress, job.error)

    def _with_changes(self, report: Report) -> Report:
        return replace(
            report, changed_since=self._restatements.count(report.tenant, report.made_at, report.from_, report.to)
        )

    def document(self, tenant: str, report: str) -> Document:
        """Return a stored report, read from its JSON. Raises NotFoundError."""
        return as_json.read(self.file(tenant, report, "json").path)

    def delete(self, tenant: str, report: str) -> Deleted:
        """Delete a report and its files; raises NotFoundError."""
        self.store.delete(self._control.tenant(tenant).id, report)
        return Deleted(report)

    def touched(self, tenant: str, days: Sequence[date_]) -> list[Report]:
        """Return a tenant's stored reports whose period has one of these days (UTC: a day more on each side for the zone)."""
        aside = timedelta(days=1)
        reports = all_rows(lambda cursor: self.store.page(tenant, LARGEST_PAGE, cursor))
        return [report for report in reports if any(report.from_ - aside <= day < report.to + aside for day in days)]

    def make_again(self, report: Report) -> bool:
        """Make a stored report again, under its id, from current data; returns whether that worked, and deletes it otherwise."""
        self.store.delete(report.tenant, report.id)
        try:
            self.make(
                report.tenant, report.kind, start=report.from_.isoformat(), end=report.to.isoformat(), sections=report.sections,
                formats=report.formats, report=report.id,
            )  # fmt: skip
        except (BadQuestionError, BadRequestError, ForbiddenError):
            return False
        return True

    def file(self, tenant: str, report: str, format: str) -> ReportFile:
        """Return a report in a format.

        Raises NotFoundError for an unknown report, or one without this format; BadQuestionError.
        """
        (chosen,) = formats_.chosen([format])
        about = self.store.about(self._control.tenant(tenant).id, report)
        path = self.store.file(tenant, report, chosen.file)
        if path is None:
            raise NotFoundError(f"this report was made as {', '.join(about.formats)}, not as {format}")
        name = f"{tenant}-{about.kind}-{about.from_}-to-{about.to}{''.join(path.suffixes)}"
        return ReportFile(path.absolute(), chosen.media_type, name)

    def _chosen(
        self, tenant: str, kind: str, date: str | None, start: str | None, end: str | None,
        sections: Sequence[str] | None, formats: Sequence[str] | None,
    ) -> tuple[Period, list[sections_.Section], list[formats_.Format]]:  # fmt: skip
        if not self._settings.reports.enabled:
            raise ForbiddenError("reports are off: the setting 'reports.enabled' is false")
        period = period_of(self._control.tenant(tenant), kind, self._clock(), date, start, end)
        chosen = sections_.chosen(sections, with_targets=bool(self._control.tenant(tenant).targets))
        return period, chosen, formats_.writable(formats or self._settings.reports.formats)


def _job_of(report: str) -> str:
    return f"reports:{report}"
