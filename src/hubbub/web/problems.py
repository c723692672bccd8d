"""RFC 9457 problem documents: every error leaves as one shape, with a stable code and the id of its request."""

from __future__ import annotations

import math
import re
import traceback
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hubbub.errors import HubbubError
from hubbub.telemetry import log

MEDIA_TYPE = "application/problem+json"
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "A problem (RFC 9457): what was wrong, with a stable `code` and the id of the request.",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "properties": {
                        name: {"type": "integer" if name == "status" else "string"}
                        for name in ("type", "title", "status", "detail", "code", "request_id")
                    },
                }
            }
        },
    }
}
"""What OpenAPI says of every route's errors."""

_TITLES = {
    400: "Bad request", 401: "Not authenticated", 403: "Forbidden", 404: "Not found", 405: "Method not allowed",
    409: "Conflict", 413: "Body too large", 415: "Unsupported media type", 429: "Too many requests",
    500: "Internal error", 502: "Refused outside", 503: "Unavailable", 507: "Storage full",
}  # fmt: skip


_JSON = re.compile(r"\s*application/(?:json|[\w.-]+\+json)\s*(?:;|$)", re.IGNORECASE)


def problem(
    request: Request, status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document."""
    body = {
        "type": f"/problems/{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": getattr(request.state, "request_id", None),
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Give an app the handlers that turn every error into a problem."""

    @app.exception_handler(HubbubError)
    async def known(request: Request, error: HubbubError) -> JSONResponse:
        headers = {"Retry-After": str(math.ceil(getattr(error, "retry_after", None) or 5))} if error.retry else None
        if error.status == 401:
            headers = {"WWW-Authenticate": "Bearer"}
        if error.status >= 500:
            log.error("request failed", code=error.code, error=error.message)
        return problem(request, error.status, error.code, error.message, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        kind = request.headers.get("content-type", "")
        if any(e["loc"][:1] == ("body",) for e in error.errors()) and not _JSON.match(kind):
            told = f"its Content-Type is {kind[:80]!r}" if kind else "it has no Content-Type"
            detail = f"the body was not read, since {told}: send it with the header 'Content-Type: application/json'"
            return problem(request, 400, "bad_request", detail)
        faults = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()[:10])
        return problem(request, 400, "bad_request", faults)

    @app.exception_handler(UnicodeEncodeError)
    async def halved(request: Request, error: UnicodeEncodeError) -> JSONResponse:  # only what was sent can hold one
        return problem(request, 400, "bad_request", "a text holds half a character (a lone surrogate): send whole ones")

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "bad_request")
        detail = "There is no such thing here." if error.status_code == 404 else str(error.detail)
        return problem(request, error.status_code, code, detail, dict(error.headers or {}))


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Log where an unforeseen error came from (places only: values may hold keys or a tenant's texts); return its problem."""
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-12:]]
    log.error("request failed", path=request.url.path, error=type(error).__name__, at=places)
    return problem(request, 500, "internal", "Something went wrong inside Hubbub; the log names this request id.")
