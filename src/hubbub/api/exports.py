"""The routes of a tenant's exports: start, state, download. They need a key with the scope `export`."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse

from hubbub.api.auth import EngineOf, Exports
from hubbub.api.idempotency import Once
from hubbub.api.work import Counted
from hubbub.dashboard.base_path import at
from hubbub.model.plain import plain
from hubbub.services.exports import Export

router = APIRouter(prefix="/v1/exports", route_class=Counted)

Id = Annotated[str, Path(max_length=100, description="Id of the export.")]
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", status_code=202, summary="Start an export")
def start(engine: EngineOf, tenant: Exports, response: Response, once: Once) -> Export:
    """Start an export; `Location` is its address."""
    begun: Export | dict[str, Any] = once(
        tenant, lambda: engine.transfer.start(tenant)
    )  # when repeated, the first answer
    response.headers["Location"] = at(f"/v1/exports/{plain(begun)['id']}")
    return cast(Export, begun)


@router.get("/{export}", summary="An export")
def show(engine: EngineOf, tenant: Exports, export: Id) -> Export:
    """Return its state and progress."""
    return engine.transfer.get(tenant, export)


@router.get("/{export}/download", summary="An export as a ZIP file", response_class=FileResponse, responses=FILE)
def download(engine: EngineOf, tenant: Exports, export: Id) -> FileResponse:
    """Return the file; `hubbub import tenant` reads it after unpacking."""
    file = engine.transfer.file(tenant, export)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return FileResponse(file.path, media_type="application/zip", filename=file.name, headers=headers)
