"""The routes of a tenant's exports: have one made, see how far it is, download it. They need a key with the scope `export`."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse

from hubbub.api.auth import EngineOf, Exports
from hubbub.api.idempotency import Once
from hubbub.api.work import Counted
from hubbub.dashboard.base import at
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


@router.post("", status_code=202, summary="Have an export made")
def start(engine: EngineOf, tenant: Exports, response: Response, once: Once) -> Export:
    """Begin an export; `Location` says how far it is."""
    begun: Export | dict[str, Any] = once(
        tenant, lambda: engine.transfer.start(tenant)
    )  # repeated, it is what was answered
    response.headers["Location"] = at(f"/v1/exports/{plain(begun)['id']}")
    return cast(Export, begun)


@router.get("/{export}", summary="One export")
def show(engine: EngineOf, tenant: Exports, export: Id) -> Export:
    """Return its state and progress."""
    return engine.transfer.get(tenant, export)


@router.get("/{export}/download", summary="An export as a ZIP file", response_class=FileResponse, responses=FILE)
def download(engine: EngineOf, tenant: Exports, export: Id) -> FileResponse:
    """Return the file; unpacked it is what `hubbub import tenant` reads."""
    found = engine.transfer.file(tenant, export)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return FileResponse(found.path, media_type="application/zip", filename=found.name, headers=headers)
