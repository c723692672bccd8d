"""Files from pages: raw events of a conversation, and stored reports. The same guards as pages, for analysts.

A report as HTML has inline style, which the policy of pages forbids. It is served under its own policy: `sandbox` puts it on its
own origin, so that even a script that got past the escaping could not run, send, or read anything of this server.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from hubbub.dashboard import render
from hubbub.dashboard.person import Role
from hubbub.dashboard.routes import guarded, house_of, of_tenant
from hubbub.errors import ForbiddenError, NotFoundError
from hubbub.model.tenant import Tenant
from hubbub.query.conversations import conversation_of
from hubbub.query.timeline import event, lines

files = APIRouter(prefix="/t/{tenant}/files", include_in_schema=False)

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HEADERS = {**render.HEADERS, "Content-Security-Policy": SANDBOX}


def _of_analyst(request: Request, tenant: str) -> Tenant:
    """Return the tenant, for an analyst. Raises NotFoundError, ForbiddenError, UnauthenticatedError."""
    person, tenant_ = of_tenant(request, tenant)
    if not person.may(Role.ANALYST):
        raise ForbiddenError(f"this needs the role analyst; yours is {person.role.name.lower()}")
    return tenant_


@files.get("/event/json")
@guarded
def raw_event(request: Request, tenant: str) -> Response:
    """Return a stored event."""
    tenant_ = _of_analyst(request, tenant)
    params = request.query_params
    row = event(house_of(request).engine.queries, tenant_, params.get("source", ""), params.get("id", ""))
    if row is None:
        raise NotFoundError("this event does not exist")
    return JSONResponse(row, headers=_HEADERS)


@files.get("/conversation/events")
@guarded
def raw_events(request: Request, tenant: str) -> Response:
    """Return all events of a conversation, one to a line."""
    tenant_, queries = _of_analyst(request, tenant), house_of(request).engine.queries
    conversation = request.query_params.get("id", "")
    if conversation_of(queries, tenant_, conversation) is None:
        raise NotFoundError("this conversation does not exist")
    headers = {**_HEADERS, "Content-Disposition": f'attachment; filename="{tenant_.id}-conversation.jsonl"'}
    return StreamingResponse(lines(queries, tenant_, conversation), media_type="application/x-ndjson", headers=headers)


@files.get("/reports/{report}")
@guarded
def report_file(request: Request, tenant: str, report: str) -> Response:
    """Return a stored report in a `format` to save, or with `shown` as HTML to view."""
    tenant_, params = _of_analyst(request, tenant), request.query_params
    format_ = "html" if "shown" in params else params.get("format", "json")
    file = house_of(request).engine.reports.file(tenant_.id, report, format_)
    disposition = "inline" if "shown" in params else "attachment"
    return FileResponse(
        file.path, media_type=file.media_type, filename=file.name, headers=_HEADERS,
        content_disposition_type=disposition,
    )  # fmt: skip
