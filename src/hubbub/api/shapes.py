"""Shapes of answers that no service returns: problems, verdicts on events, health."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """An answer. Fields may be added later: readers ignore unknown ones."""

    model_config = ConfigDict(extra="allow")


class Problem(Shape):
    """RFC 9457: a problem."""

    type: str = Field(description="Address of a page about this kind of problem.", examples=["/problems/not_found"])
    title: str = Field(description="The kind of problem in words; the same for each code.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What happened this time, and what to do.")
    code: str = Field(description="Stable: for programs.", examples=["not_found"])
    request_id: str = Field(description="Also the header Request-Id, and on the log's lines.")


class Rejection(Shape):
    """The reason why one record was refused."""

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
        default_factory=list, description="Notes on stored events that no metric counts; absent when empty."
    )


class HealthAnswer(Shape):
    """The process is alive."""

    status: Literal["ok"]


class ReadyAnswer(Shape):
    """Whether the store answers and the refresh loop runs."""

    status: str
    behind_batches: int | None = Field(
        default=None,
        description="Batches of events that are in the log and not stored yet; null while the store does not answer.",
    )
    error: str | None
