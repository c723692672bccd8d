"""What answers look like, for OpenAPI and its readers. Routes say that they return these; they are plain dictionaries.

Nothing is checked or left out on the way: a test asks every route and compares.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Like:
    """Says in OpenAPI that a value is shaped like a model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


class Shape(BaseModel):
    """An answer. Fields may be added later: whoever reads one ignores what it does not know."""

    model_config = ConfigDict(extra="allow")


Next = Annotated[str | None, Field(description="Cursor of the page after; null: this is the last.")]
Moment = Annotated[str | None, Field(description="RFC 3339, UTC.")]


class Problem(Shape):
    """RFC 9457: what was wrong."""

    type: str = Field(description="Address of a page about this kind of problem.", examples=["/problems/not_found"])
    title: str = Field(description="The kind of problem in words; the same for one code.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What happened this time, and what to do.")
    code: str = Field(description="Stable: for programs.", examples=["not_found"])
    request_id: str = Field(description="Also the header Request-Id, and on the log's lines.")


class Rejection(Shape):
    """Why one record was refused."""

    index: int = Field(description="Its place in what was sent, from 0.")
    code: str
    field: str | None
    message: str


class VerdictAnswer(Shape):
    """What became of the events."""

    accepted: int = Field(ge=0, description="Stored now.")
    duplicates: int = Field(ge=0, description="There already.")
    corrected: int = Field(ge=0, description="Replaced by a higher revision.")
    rejected: list[Rejection]
    notes: list[Rejection] = Field(
        default_factory=list, description="On events that are stored and count nowhere; absent where there are none."
    )


class Snapshot(Shape):
    """The numbers of a team or account over a day, week or month, as they were made."""

    kind: str
    date: str
    account_id: str | None = Field(description="null: the whole team.")
    state: str
    zone: str
    definition_version: int
    made_at: Moment
    messages: dict[str, float | None]
    campaigns: dict[str, float | None]
    contacts: dict[str, float | None]
    conversations: dict[str, Any]
    complete: bool = Field(description="Whether no gap of a source lies in it.")
    gaps: list[dict[str, Any]]


class SnapshotsAnswer(Shape):
    """Kept snapshots."""

    rows: list[Snapshot]


class MadeSnapshotAnswer(Shape):
    """A snapshot made now."""

    processed: int = Field(description="Tenants that were looked at.")
    created: int
    kept: int = Field(description="Tenants whose kept ones stay.")
    rows: list[Snapshot]
    errors: dict[str, str]


class RemovedAnswer(Shape):
    """What was removed."""

    removed: str


class DeletedAnswer(Shape):
    """What was deleted."""

    id: str
    deleted: bool


class HealthAnswer(Shape):
    """The process is alive."""

    status: Literal["ok"]


class ReadyAnswer(Shape):
    """Whether the store answers and refreshing goes on."""

    status: str
    behind_batches: int | None = Field(
        description="Batches of events that are in the log and not stored yet; null while the store does not answer."
    )
    error: str | None


Snapshots = Annotated[dict[str, Any], Like(SnapshotsAnswer)]
MadeSnapshot = Annotated[dict[str, Any], Like(MadeSnapshotAnswer)]
Removed = Annotated[dict[str, Any], Like(RemovedAnswer)]
Deleted = Annotated[dict[str, Any], Like(DeletedAnswer)]
Health = Annotated[dict[str, Any], Like(HealthAnswer)]
