"""The engine's operations on reports: make one now, have a job make it, list, show and delete them, hand out a file.

`Engine` (app.py) inherits them. Tenants come first in every one: what is another's is not found, in the same words as what
does not exist.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date as date_
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubbub.clock import Clock
from hubbub.errors import BadQuestionError, BadRequestError, ForbiddenError, NotFoundError
from hubbub.model.page import LARGEST_PAGE, check_limit
from hubbub.model.tenant import Tenant
from hubbub.operations.restatements import RestatementService
from hubbub.query.queries import Queries
from hubbub.reports import formats as formats_
from hubbub.reports import sections as sections_
from hubbub.reports.document import Document
from hubbub.reports.make import data_hash, make
from hubbub.reports.period import Period, period_of
from hubbub.reports.store import ReportStore, check_report_id, missing, new_report_id
from hubbub.settings import Settings
from hubbub.storage.names import Names
from hubbub.store.control import Control

if TYPE_CHECKING:
    from hubbub.jobs.desk import Desk

OPERATIONS = ("report", "start_report", "reports", "show_report", "delete_report", "report_file")
"""Those that a command or a worker beside a running server may ask it to do."""


def _unheard(_: int) -> None:
    pass


class ReportOperations(ABC):
    """What an engine does with reports."""

    settings: Settings
    clock: Clock
    control: Control
    queries: Queries
    restatements: RestatementService

    @property
    @abstractmethod
    def desk(self) -> Desk:
        """Operations on jobs and schedules."""

    @abstractmethod
    def called(self, tenant: Tenant, wanted: Mapping[str, Iterable[str]]) -> Names:
        """Return the names of some ids, given by kind; an id without one is left out."""

    def _open_reports(self) -> None:
        self.report_store = ReportStore(self.settings.reports.folder or self.settings.data / "reports")

    def report(
        self, tenant: str, kind: str, date: str | None = None, start: str | None = None, end: str | None = None,
        sections: Sequence[str] | None = None, formats: Sequence[str] | None = None, report: str | None = None,
        progress: Callable[[int], None] = _unheard,
    ) -> dict[str, Any]:  # fmt: skip
        """Make a report (kind daily, weekly, monthly) now and keep it; returns what `show_report` does.

        `date` is any day of the period; None takes the last one that is over. `start` and `end` are dates instead of it. No
        `sections` are all, no `formats` those of the settings. Under the id `report` it is made once. `progress` hears
        percent. Raises BadQuestionError, BadRequestError, NotFoundError, ForbiddenError when reports are off.
        """
        one = self.control.tenant(tenant)
        period, chosen, written = self._asked(tenant, kind, date, start, end, sections, formats)
        report = check_report_id(report) if report else new_report_id(self.clock())
        try:
            return {**self.report_store.about(tenant, report), "state": "made"}
        except NotFoundError:
            pass
        steps = len(chosen) + len(written)
        data = make(
            self.queries, one, period, chosen, lambda done: progress(95 * done // steps), partial(self.called, one)
        )
        about = {
            "id": report, "tenant": tenant, "kind": kind, "from": data["from"], "to": data["to"], "zone": one.zone,
            "made_at": self.clock().astimezone(one.tz).isoformat(timespec="seconds"), "hash": data_hash(data),
            "definition_version": data["definition_version"],
            "sections": [section.name for section in chosen], "formats": [format_.name for format_ in written],
        }  # fmt: skip

        def write(folder: Path) -> Mapping[str, Any]:
            for number, format_ in enumerate(written):
                format_.write(Document(about, data), folder / format_.file)
                progress(95 * (len(chosen) + number + 1) // steps)
            return about

        return {**self.report_store.put(tenant, report, write), "state": "made"}

    def start_report(
        self, tenant: str, kind: str, date: str | None = None, start: str | None = None, end: str | None = None,
        sections: Sequence[str] | None = None, formats: Sequence[str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Have a job make a report, of the period that is meant now; returns the ids of both. See `report`."""
        period, chosen, written = self._asked(tenant, kind, date, start, end, sections, formats)
        report = new_report_id(self.clock())
        payload = {
            "report": report, "kind": kind, "start": period.start.isoformat(), "end": period.end.isoformat(),
            "sections": [section.name for section in chosen], "formats": [format_.name for format_ in written],
        }  # fmt: skip
        job = self.desk.start_job("reports", payload, tenant=tenant, job=_job_of(report))
        return {"id": report, "job": job["id"], "state": job["state"], "from": payload["start"], "to": payload["end"]}

    def reports(self, tenant: str, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        """Return a tenant's kept reports, newest first, and `next`, the cursor of the page after, or None."""
        rows, following = self.report_store.page(self.control.tenant(tenant).id, check_limit(limit), cursor)
        return {"rows": [{**self._with_changes(row), "state": "made"} for row in rows], "next": following}

    def show_report(self, tenant: str, report: str) -> dict[str, Any]:
        """Return what a report is, or, until it is made, its job's state, progress and error; raises NotFoundError."""
        try:
            return {
                **self._with_changes(self.report_store.about(self.control.tenant(tenant).id, report)), "state": "made"
            }  # fmt: skip
        except NotFoundError:
            pass
        try:
            job = self.desk.job(_job_of(report), tenant)
        except NotFoundError:
            raise missing(report) from None
        if job["state"] == "completed":  # made, and deleted since
            raise missing(report)
        told = {name: job[name] for name in ("state", "progress", "error")}
        return {"id": report, "tenant": tenant, "job": job["id"], **told}

    def _with_changes(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is said of a report, and how many closed numbers of its days changed since it was made."""
        first, after = (date_.fromisoformat(about[name]) for name in ("from", "to"))
        made = datetime.fromisoformat(about["made_at"])
        return {**about, "changed_since": self.restatements.store.count(about["tenant"], made, first, after)}

    def delete_report(self, tenant: str, report: str) -> dict[str, Any]:
        """Delete a report and its files; raises NotFoundError."""
        self.report_store.delete(self.control.tenant(tenant).id, report)
        return {"id": report, "deleted": True}

    def _touched_reports(self, tenant: str, days: Sequence[date_]) -> list[dict[str, Any]]:
        """Return a tenant's kept reports whose period holds one of these days (UTC: the zone's own lie within a day of them)."""
        found, cursor = self.report_store.page(tenant, LARGEST_PAGE)
        while cursor is not None:
            rows, cursor = self.report_store.page(tenant, LARGEST_PAGE, cursor)
            found += rows
        aside = timedelta(days=1)
        spans = [(date_.fromisoformat(row["from"]) - aside, date_.fromisoformat(row["to"]) + aside) for row in found]
        return [row for row, (start, end) in zip(found, spans, strict=True) if any(start <= d < end for d in days)]

    def _report_again(self, about: Mapping[str, Any]) -> bool:
        """Make a kept report again, under its id, from what is stored now; one that cannot be made is deleted. Says which."""
        self.report_store.delete(about["tenant"], about["id"])
        try:
            self.report(
                about["tenant"], about["kind"], start=about["from"], end=about["to"], sections=about["sections"],
                formats=about["formats"], report=about["id"],
            )  # fmt: skip
        except (BadQuestionError, BadRequestError, ForbiddenError):
            return False
        return True

    def report_file(self, tenant: str, report: str, format: str) -> dict[str, Any]:
        """Return the `path` of a report in a format, its `media_type`, and a `name` for whoever saves it elsewhere.

        Raises NotFoundError when there is no such report, or it was not made in this format; BadQuestionError.
        """
        (chosen,) = formats_.chosen([format])
        about = self.report_store.about(self.control.tenant(tenant).id, report)
        path = self.report_store.file(tenant, report, chosen.file)
        if path is None:
            raise NotFoundError(f"this report was made as {', '.join(about['formats'])}, not as {format}")
        name = f"{tenant}-{about['kind']}-{about['from']}-to-{about['to']}{''.join(path.suffixes)}"
        return {"path": str(path.absolute()), "media_type": chosen.media_type, "name": name}

    def _asked(
        self, tenant: str, kind: str, date: str | None, start: str | None, end: str | None,
        sections: Sequence[str] | None, formats: Sequence[str] | None,
    ) -> tuple[Period, list[sections_.Section], list[formats_.Format]]:  # fmt: skip
        if not self.settings.reports.enabled:
            raise ForbiddenError("reports are switched off here: the setting 'reports.enabled' is false")
        period = period_of(self.control.tenant(tenant), kind, self.clock(), date, start, end)
        return period, sections_.chosen(sections), formats_.writable(formats or self.settings.reports.formats)


def _job_of(report: str) -> str:
    return f"reports:{report}"
