"""Shapes of answers, for OpenAPI and its readers. Routes declare that they return these; they are plain dictionaries.

Nothing is checked or left out at run time: a test calls every route and compares.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Like:
    """Declares in OpenAPI that a value has a model's shape."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


class Shape(BaseModel):
    """An answer. Fields may be added later: readers ignore unknown ones."""

    model_config = ConfigDict(extra="allow")


Next = Annotated[str | None, Field(description="Cursor of the next page; null: this is the last.")]
Moment = Annotated[str | None, Field(description="RFC 3339, UTC.")]


class Problem(Shape):
    """RFC 9457: a problem."""

    type: str = Field(description="Address of a page about this kind of problem.", examples=["/problems/not_found"])
    title: str = Field(description="The kind of problem in words; the same for each code.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What happened this time, and what to do.")
    code: str = Field(description="Stable: for programs.", examples=["not_found"])
    request_id: str = Field(description="Also the header Request-Id, and on the log's lines.")


class Rejection(Shape):
    """Why one record was refused."""

    index: int = Field(description="Its place in the request, from 0.")
    code: str
    field: str | None
    message: str


class VerdictAnswer(Shape):
    """The verdicts on the events."""

    accepted: int = Field(ge=0, description="Stored now.")
    duplicates: int = Field(ge=0, description="Stored before.")
    corrected: int = Field(ge=0, description="Replaced by a higher revision.")
    rejected: list[Rejection]
    notes: list[Rejection] = Field(
        default_factory=list, description="On stored events that no metric counts; absent when empty."
    )


class Snapshot(Shape):
    """The stored numbers of a team or account over a day, week or month."""

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
    complete: bool = Field(description="Whether it overlaps no gap of a source.")
    gaps: list[dict[str, Any]]


class SnapshotsAnswer(Shape):
    """Stored snapshots."""

    rows: list[Snapshot]


class MadeSnapshotAnswer(Shape):
    """A snapshot made now."""

    processed: int = Field(description="Tenants that were processed.")
    created: int
    kept: int = Field(description="Tenants whose stored snapshots stay.")
    rows: list[Snapshot]
    errors: dict[str, str]


class RemovedAnswer(Shape):
    """The removed id."""

    removed: str


class DeletedAnswer(Shape):
    """The deleted id."""

    id: str
    deleted: bool


class HealthAnswer(Shape):
    """The process is alive."""

    status: Literal["ok"]


class ReadyAnswer(Shape):
    """Whether the store answers and the refresh loop runs."""

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
