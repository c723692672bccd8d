"""The routes of reports: start, list, show, download and delete. Another tenant's report is not found."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.dashboard.base_path import at
from hubbub.model.answers import Deleted
from hubbub.model.page import Page
from hubbub.model.plain import plain
from hubbub.reports.formats import FORMATS
from hubbub.reports.sections import SECTIONS
from hubbub.reports.store import Report
from hubbub.services.reports import AwaitedReport, StartedReport

router = APIRouter(prefix="/v1/reports", route_class=Counted)

Id = Annotated[str, Path(max_length=100, description="Id of the report.")]
Text = Annotated[str, Field(max_length=60)]
DOCUMENT = {
    "type": "object",
    "properties": {"data": {"type": "object"}, "introduction": {"type": "object"}, "report": {"type": "object"}},
    "required": ["data", "report"],
}  # fmt: skip
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            file_format.media_type.split(";")[0]: {
                "schema": DOCUMENT if name == "json" else {"type": "string", "format": "binary"}
            }
            for name, file_format in FORMATS.items()
        },
    }
}


class NewReport(BaseModel):
    """A report to make: of a date's period, of a range of dates, or of the last complete period."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: Text = Field("daily", description="daily, weekly or monthly.")
    date: Text | None = Field(None, description="Any day of the period, in the tenant's zone.")
    start: Text | None = Field(None, alias="from", description="First date, instead of 'date'.")
    end: Text | None = Field(None, alias="to", description="Date after the last.")
    sections: list[Text] = Field(
        default_factory=list, max_length=20, description=f"Some of {', '.join(SECTIONS)}; absent: all."
    )
    formats: list[Text] = Field(
        default_factory=list, max_length=10, description=f"Some of {', '.join(FORMATS)}; absent: those of the settings."
    )


@router.post("", status_code=202, summary="Start a report")
def start(engine: EngineOf, tenant: Reads, body: NewReport, response: Response, once: Once) -> StartedReport:
    """Start the job that makes it; `Location` is the report's address, which shows the progress until then."""
    answer = once(tenant, lambda: engine.reports.start(tenant, **body.model_dump()))
    response.headers["Location"] = at(f"/v1/reports/{plain(answer)['id']}")
    return answer


@router.get("", summary="Stored reports, newest first")
def page(
    engine: EngineOf,
    tenant: Reads,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Report]:
    """Return the tenant's reports and `next`, the cursor of the next page."""
    return engine.reports.kept(tenant, limit, cursor)


@router.get("/{report}", summary="A report")
def show(engine: EngineOf, tenant: Reads, report: Id) -> Report | AwaitedReport:
    """Return a report, with state `made`; until then its job's state and progress, or error."""
    return engine.reports.show(tenant, report)


@router.get("/{report}/download", summary="A report as a file", response_class=FileResponse, responses=FILE)
def download(
    engine: EngineOf,
    tenant: Reads,
    report: Id,
    format: Annotated[str, Query(max_length=20, description=f"One of {', '.join(FORMATS)}.")] = "json",
) -> FileResponse:
    """Return the stored file. A browser saves it and never runs it."""
    file = engine.reports.file(tenant, report, format)
    headers = {
        "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store",
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    }  # fmt: skip
    return FileResponse(file.path, media_type=file.media_type, filename=file.name, headers=headers)


@router.delete("/{report}", summary="Delete a report")
def delete(engine: EngineOf, tenant: Administers, report: Id) -> Deleted:
    """Delete it with all its files."""
    return engine.reports.delete(tenant, report)
