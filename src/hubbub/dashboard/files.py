"""What pages hand out as files: raw events of a conversation, and kept reports. The same guards as the pages', for analysts.

A report's own page has its style inside, which the policy of our pages forbids. It is shown by itself, under a policy that
allows it nothing else: `sandbox` puts it on an origin of its own, so that even a page that got past the escaping could run
nothing, send nothing, and read nothing of ours.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from hubbub.dashboard import render
from hubbub.dashboard.components import Role
from hubbub.dashboard.routes import guarded, house_of, of_tenant
from hubbub.errors import ForbiddenError, NotFoundError
from hubbub.model.tenant import Tenant
from hubbub.query.timeline import event, facts_of, lines

files = APIRouter(prefix="/t/{tenant}/files", include_in_schema=False)

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HEADERS = {**render.HEADERS, "Content-Security-Policy": SANDBOX}


def _of_analyst(request: Request, tenant: str) -> Tenant:
    """Return the tenant for who may see its rows. Raises NotFoundError, ForbiddenError, UnauthenticatedError."""
    person, one = of_tenant(request, tenant)
    if not person.may(Role.ANALYST):
        raise ForbiddenError(f"this needs the role analyst; yours is {person.role.name.lower()}")
    return one


@files.get("/event/json")
@guarded
def raw_event(request: Request, tenant: str) -> Response:
    """Return one event as it is stored."""
    one = _of_analyst(request, tenant)
    asked = request.query_params
    found = event(house_of(request).engine.queries, one, asked.get("source", ""), asked.get("id", ""))
    if found is None:
        raise NotFoundError("there is no such event")
    return JSONResponse(found, headers=_HEADERS)


@files.get("/conversation/events")
@guarded
def raw_events(request: Request, tenant: str) -> Response:
    """Return all events of a conversation, one to a line."""
    one, queries = _of_analyst(request, tenant), house_of(request).engine.queries
    conversation = request.query_params.get("id", "")
    if facts_of(queries, one, conversation) is None:
        raise NotFoundError("there is no such conversation")
    headers = {**_HEADERS, "Content-Disposition": f'attachment; filename="{one.id}-conversation.jsonl"'}
    return StreamingResponse(lines(queries, one, conversation), media_type="application/x-ndjson", headers=headers)


@files.get("/reports/{report}")
@guarded
def report_file(request: Request, tenant: str, report: str) -> Response:
    """Return a kept report in a `format` to save, or with `shown` its page to look at."""
    one, asked = _of_analyst(request, tenant), request.query_params
    format_ = "html" if "shown" in asked else asked.get("format", "json")
    found = house_of(request).engine.reports.file(one.id, report, format_)
    disposition = "inline" if "shown" in asked else "attachment"
    return FileResponse(
        found.path, media_type=found.media_type, filename=found.name, headers=_HEADERS,
        content_disposition_type=disposition,
    )  # fmt: skip
