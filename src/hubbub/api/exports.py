"""The routes of a tenant's exports: have one made, see how far it is, download it. They need a key with the scope `export`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response, Security
from fastapi.responses import FileResponse
from pydantic import Field

from hubbub.api.auth import EngineOf, OfTenant
from hubbub.api.idempotency import Once
from hubbub.api.shapes import Shape
from hubbub.api.work import Counted
from hubbub.dashboard.base import at

router = APIRouter(prefix="/v1/exports", route_class=Counted)

Exports = Annotated[str, Security(OfTenant("export"), scopes=["export"])]
Id = Annotated[str, Path(max_length=100, description="Id of the export.")]
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ExportAnswer(Shape):
    """An export of all that a tenant owns."""

    id: str = Field(description="The export's id.")
    tenant: str = Field(description="The tenant.")
    state: str = Field(description="running, made or failed.")
    progress: int = Field(description="Percent.")
    started_at: str = Field(description="When it was asked for.")
    ends_at: str = Field(description="When it will be deleted.")
    bytes: int | None = Field(description="Size of the file, once it is made.")
    rows: dict[str, int] | None = Field(description="Rows by table, once it is made.")
    identities: int | None = Field(description="Events that are known to have been stored, once it is made.")
    error: str | None = Field(description="Why it failed.")


@router.post("", status_code=202, summary="Have an export made")
def start(engine: EngineOf, tenant: Exports, response: Response, once: Once) -> ExportAnswer:
    """Begin an export; `Location` says how far it is."""
    answer = once(tenant, lambda: engine.start_export(tenant))
    response.headers["Location"] = at(f"/v1/exports/{answer['id']}")
    return ExportAnswer(**answer)


@router.get("/{export}", summary="One export")
def show(engine: EngineOf, tenant: Exports, export: Id) -> ExportAnswer:
    """Return its state and progress."""
    return ExportAnswer(**engine.show_export(tenant, export))


@router.get("/{export}/download", summary="An export as a ZIP file", response_class=FileResponse, responses=FILE)
def download(engine: EngineOf, tenant: Exports, export: Id) -> FileResponse:
    """Return the file; unpacked it is what `hubbub import tenant` reads."""
    found = engine.export_file(tenant, export)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return FileResponse(found["path"], media_type="application/zip", filename=found["name"], headers=headers)
