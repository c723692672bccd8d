"""RFC 9457 problem documents: every error has one shape, with a stable code and the id of its request."""

from __future__ import annotations

import inspect
import math
import re
import traceback
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi import Path as PathParam
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from hubbub import errors
from hubbub.dashboard.base_path import at
from hubbub.dashboard.render import problem_page
from hubbub.errors import HubbubError, NotFoundError, RateLimitedError
from hubbub.telemetry import log, seldom

MEDIA_TYPE = "application/problem+json"
_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "A problem (RFC 9457) of the request.", "content": _CONTENT},
    "5XX": {"description": "A problem (RFC 9457) of the server, or of a service behind it.", "content": _CONTENT},
}
"""The errors of every route, for OpenAPI."""


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its code, HTTP status, whether another try can help, and its meaning."""

    code: str
    status: int
    retry: bool
    meaning: str

    @property
    def title(self) -> str:
        """The title of every problem of the kind."""
        return self.code.replace("_", " ").capitalize()

    @property
    def to_do(self) -> str:
        """What the caller can do."""
        if self.retry:
            return "Send the same request again after the seconds in the header Retry-After."
        if self.status >= 500:
            return "Contact the operator of this server; the log has the request id."
        return "Sending the same request again gives the same answer: correct what the detail names."


KINDS = {
    kind.code: kind
    for kind in (
        Kind(
            "method_not_allowed",
            405,
            False,
            "This address does not support the method; the header Allow lists the supported ones.",
        ),
        *(
            Kind(error.code, error.status, error.retry, inspect.getdoc(error) or "")
            for error in vars(errors).values()
            if isinstance(error, type) and issubclass(error, errors.HubbubError)
        ),
    )
}
"""Every kind of problem, by its code: those of `errors`, and those of HTTP alone."""

problem_routes = APIRouter(responses=RESPONSES)


@problem_routes.get(
    "/problems/{code}", summary="The meaning of a problem", response_class=HTMLResponse, tags=["problems"]
)
def meaning(code: Annotated[str, PathParam(max_length=60, description="Code of the problem.")]) -> HTMLResponse:
    """Return a page about a problem's code and what to do; a problem's `type` links to it."""
    kind = KINDS.get(code)
    if kind is None:
        raise NotFoundError
    again = "yes" if kind.retry else "no"
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(kind.title)}</title><h1>{escape(kind.title)}</h1>"
        f"<p>{escape(kind.meaning)}<p>{escape(kind.to_do)}<dl><dt>code<dd><code>{kind.code}</code>"
        f"<dt>HTTP status<dd>{kind.status}<dt>try again<dd>{again}</dl></html>",
        headers={"Content-Security-Policy": "default-src 'none'"},
    )


_JSON = re.compile(r"\s*application/(?:json|[\w.-]+\+json)\s*(?:;|$)", re.IGNORECASE)


def problem(request: Request, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem document, or to a browser that opens a page a page; notes its code in the request's state."""
    request.state.problem = code
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(at("/v1/")):
        id_ = getattr(request.state, "request_id", "")
        number = f" Its number is {id_}." if status >= 500 and id_ else ""
        return problem_page(status, code, f"{detail}{number}", headers or {})
    body = {
        "type": at(f"/problems/{code}"),
        "title": KINDS[code].title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": getattr(request.state, "request_id", None),
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def refusal(request: Request, error: HubbubError) -> Response:
    """Return the problem of an error of Hubbub; notes its details in the request's state, for the delivery log."""
    headers = {"Retry-After": str(math.ceil(getattr(error, "retry_after", None) or 5))} if error.retry else None
    request.state.details = error.details
    if isinstance(error, RateLimitedError):
        request.state.limit_headers = error.details.get("headers", ())
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    if error.status >= 500 and seldom(("request", error.code)):
        log.error("request failed", code=error.code, error=error.message)
    return problem(request, error.status, error.code, error.message, headers)


_CODES = {404: "not_found", 405: "method_not_allowed", 408: "request_timeout", 413: "too_large"}
"""Status -> code of problems of HTTP alone."""


def install(app: FastAPI) -> None:
    """Install the handlers that turn every error into a problem."""

    @app.exception_handler(HubbubError)
    async def known(request: Request, error: HubbubError) -> Response:
        return refusal(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        kind = request.headers.get("content-type", "")
        if any(e["loc"][:1] == ("body",) for e in error.errors()) and not _JSON.match(kind):
            reason = f"its Content-Type is {kind[:80]!r}" if kind else "it has no Content-Type"
            detail = f"the body was not read, since {reason}: send it with the header 'Content-Type: application/json'"
            return problem(request, 400, "bad_request", detail)
        faults = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()[:10])
        return problem(request, 400, "bad_request", faults)

    @app.exception_handler(UnicodeEncodeError)
    async def halved(request: Request, error: UnicodeEncodeError) -> Response:  # only the request can hold one
        return problem(
            request, 400, "bad_request", "a text holds half a character (a lone surrogate): send complete characters"
        )

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        code = _CODES.get(error.status_code, "bad_request")
        detail = "This address does not exist." if error.status_code == 404 else str(error.detail)
        return problem(request, error.status_code, code, detail, dict(error.headers or {}))


def unexpected(request: Request, error: Exception) -> Response:
    """Log the source of an unforeseen error (places only: values may hold keys or a tenant's texts); return its problem."""
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-12:]]
    log.error("request failed", path=request.url.path, error=type(error).__name__, at=places)
    return problem(
        request, 500, "internal", "Something went wrong inside Hubbub; the server's log has the number of this request."
    )
