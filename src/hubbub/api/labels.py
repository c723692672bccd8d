"""The routes of labels: what a tenant labels, and its review. Texts of messages are for keys with the scope `admin`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.work import Counted
from hubbub.model.page import LARGEST_PAGE
from hubbub.services.label_review import Reviewed, ReviewHistory, ReviewQueue, Undone
from hubbub.services.label_views import LabelsView, Renamed, Tried

router = APIRouter(prefix="/v1/labels", route_class=Counted)

SetName = Literal["topic", "tone", "intent", "escalation"]
Name = Annotated[str, Field(max_length=100)]
Chosen = Annotated[SetName, Query(alias="set", description="The label set.")]
Most = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most to return.")]


class LabelsBody(BaseModel):
    """Labels and their rules by set, as docs/howto/labels.md describes them."""

    model_config = ConfigDict(extra="forbid")

    labels: dict[str, Any]


class TryBody(BaseModel):
    """A text."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    text: str = Field(min_length=1, max_length=20_000)


class RenameBody(BaseModel):
    """A label and its new name."""

    model_config = ConfigDict(extra="forbid")

    set: SetName
    label: Name
    to: Name = Field(description="Of a label that is there already, both are one from now on.")


class ReviewBody(BaseModel):
    """What a person says of a message."""

    model_config = ConfigDict(extra="forbid")

    set: SetName
    message: str = Field(min_length=1, max_length=512, description="Its key, as `GET /v1/labels/review` has it.")
    label: Name | None = Field(None, description="One of the set's labels; null: skip it.")


class SetBody(BaseModel):
    """A label set."""

    model_config = ConfigDict(extra="forbid")

    set: SetName


@router.get("", summary="Labels, rules, classifiers")
def labels(engine: EngineOf, tenant: Reads) -> LabelsView:
    """Return what the tenant labels, the classifiers it has and uses, and the versions of all that."""
    return engine.labels.of(tenant)


@router.put("", summary="Replace labels and rules")
def set_labels(engine: EngineOf, tenant: Administers, body: LabelsBody) -> LabelsView:
    """Give the tenant its labels; sets that are not named are the starter's. A job of the queue `labels` labels by them."""
    return engine.labels.replace(tenant, body.labels, "api")


@router.post("/rename", summary="Rename or merge a label")
def rename(engine: EngineOf, tenant: Administers, body: RenameBody) -> Renamed:
    """Rename it in all that was ever labelled; what a source sent keeps the source's word."""
    return engine.labels.rename(tenant, body.set, body.label, body.to, "api")


@router.post("/try", summary="How a text would be labelled")
def try_labels(engine: EngineOf, tenant: Reads, body: TryBody) -> Tried:
    """Say who would label it how, and how surely; nothing of it is kept."""
    return engine.labels.try_text(tenant, body.text)


@router.get("/review", summary="Messages to be reviewed")
def review(engine: EngineOf, tenant: Administers, chosen: Chosen = "topic", limit: Most = 20) -> ReviewQueue:
    """Return messages whose text is stored, the least sure label first, and how far the review is."""
    return engine.labels.review.queue(tenant, chosen, limit)


@router.post("/review", summary="Say which label a message has")
def say(engine: EngineOf, tenant: Administers, body: ReviewBody) -> Reviewed:
    """Take a person's word for a message: it is the label from now on, and an example for classifiers."""
    return engine.labels.review.say(tenant, body.set, body.message, body.label, "api")


@router.post("/undo", summary="Take back the last word")
def undo(engine: EngineOf, tenant: Administers, body: SetBody) -> Undone:
    """Take back what was last said through the API of a message of the set."""
    return engine.labels.review.undo(tenant, body.set, "api")


@router.get("/reviewed", summary="What was reviewed")
def reviewed(engine: EngineOf, tenant: Administers, chosen: Chosen = "topic", limit: Most = 20) -> ReviewHistory:
    """Return what was said last, and how often suggestions were right."""
    return engine.labels.review.done(tenant, chosen, limit)
