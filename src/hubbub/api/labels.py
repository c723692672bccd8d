"""The routes of labels: a tenant's labels, their review, and suggested topics. Texts need a key with the scope `admin`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.work import Counted
from hubbub.labels.configuration import LONGEST_WORD, MOST_WORDS
from hubbub.model.page import LARGEST_PAGE
from hubbub.model.plain import JsonObject
from hubbub.services.label_review_views import Reviewed, ReviewHistory, ReviewOrder, ReviewQueue, Undone
from hubbub.services.label_views import LabelsView, Renamed, Tried
from hubbub.services.topic_suggestion_views import AcceptedTopic, DismissedTopic, TopicSuggestionsView

router = APIRouter(prefix="/v1/labels", route_class=Counted)

SetName = Literal["topic", "tone", "intent", "escalation"]
Key = Annotated[str, Field(min_length=1, max_length=512)]
Name = Annotated[str, Field(max_length=100)]
Chosen = Annotated[SetName, Query(alias="set", description="The label set.")]
Order = Annotated[ReviewOrder, Query(description="Least confident label first, newest message first, or by label.")]
Number = Annotated[int, Path(ge=0, le=2**31 - 1, description="Number of the suggested topic.")]
Most = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most rows to return.")]


class LabelsBody(BaseModel):
    """Labels and their rules by set; docs/howto/labels.md describes them."""

    model_config = ConfigDict(extra="forbid")

    labels: JsonObject


class TryBody(BaseModel):
    """A text."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    text: str = Field(min_length=1, max_length=20_000)


class RenameBody(BaseModel):
    """A label and its new name."""

    model_config = ConfigDict(extra="forbid")

    set: SetName
    label: Name
    to: Name = Field(description="The new name; an existing label absorbs this one.")


class ReviewBody(BaseModel):
    """A person's label of a message."""

    model_config = ConfigDict(extra="forbid")

    set: SetName
    message: Key = Field(description="Its key, from `GET /v1/labels/review`.")
    label: Name | None = Field(None, description="One of the set's labels; null: skip it.")


class GivenBody(BaseModel):
    """A person's label of a message or a conversation."""

    model_config = ConfigDict(extra="forbid")

    set: SetName
    label: Name = Field(description="One of the set's labels.")
    message: Key | None = Field(None, description="The message's `message_id`, else the id of its event.")
    conversation: Key | None = Field(None, description="In place of a message: its first incoming message is labelled.")


class SetBody(BaseModel):
    """A label set."""

    model_config = ConfigDict(extra="forbid")

    set: SetName


class AcceptBody(BaseModel):
    """The label that a suggested topic becomes."""

    model_config = ConfigDict(extra="forbid")

    label: Name = Field(description="A new label, or one of the tenant's topics.")
    words: Annotated[list[Annotated[str, Field(max_length=LONGEST_WORD)]], Field(max_length=MOST_WORDS)] | None = Field(
        None, description="Words and phrases of its rule; absent: the suggested ones."
    )


@router.get("", summary="Labels, rules, classifiers")
def labels(engine: EngineOf, tenant: Reads) -> LabelsView:
    """Return the tenant's labels, its classifiers, those in use, and all versions."""
    return engine.labels.of(tenant)


@router.put("", summary="Replace labels and rules")
def set_labels(engine: EngineOf, tenant: Administers, body: LabelsBody) -> LabelsView:
    """Replace the tenant's labels; absent sets get the starter's labels. A job of the queue `labels` applies them."""
    return engine.labels.replace(tenant, body.labels, "api")


@router.post("", summary="Give a label")
def give(engine: EngineOf, tenant: Administers, body: GivenBody) -> Reviewed:
    """Label a message, or the first incoming message of a conversation, whether its text is stored or not.

    The label takes precedence over those of rules and classifiers; giving it again changes nothing. A message that its source
    labelled is refused with 409.
    """
    return engine.labels.review.say(tenant, body.set, body.message, body.label, "api", conversation=body.conversation)


@router.post("/rename", summary="Rename or merge a label")
def rename(engine: EngineOf, tenant: Administers, body: RenameBody) -> Renamed:
    """Rename it for all labelled messages; labels from a source stay."""
    return engine.labels.rename(tenant, body.set, body.label, body.to, "api")


@router.post("/try", summary="Labels of a text")
def try_labels(engine: EngineOf, tenant: Reads, body: TryBody) -> Tried:
    """Return the labels that a text would get, from which labeller and with which confidence; nothing is stored."""
    return engine.labels.try_text(tenant, body.text)


@router.get("/review", summary="Messages to review")
def review(
    engine: EngineOf, tenant: Administers, chosen: Chosen = "topic", limit: Most = 20, order: Order = ReviewOrder.UNSURE
) -> ReviewQueue:
    """Return messages with a stored text, each with the words that led to its label, and the progress of the review."""
    return engine.labels.review.queue(tenant, chosen, limit, order)


@router.post("/review", summary="Label a message")
def say(engine: EngineOf, tenant: Administers, body: ReviewBody) -> Reviewed:
    """Store a person's label of a message; it takes precedence from now on, and is an example for classifiers."""
    return engine.labels.review.say(tenant, body.set, body.message, body.label, "api")


@router.post("/undo", summary="Undo the last label")
def undo(engine: EngineOf, tenant: Administers, body: SetBody) -> Undone:
    """Undo the last label of a message of the set that came through the API."""
    return engine.labels.review.undo(tenant, body.set, "api")


@router.get("/reviewed", summary="Reviewed messages")
def reviewed(engine: EngineOf, tenant: Administers, chosen: Chosen = "topic", limit: Most = 20) -> ReviewHistory:
    """Return the last labels by people, and how often suggestions were right."""
    return engine.labels.review.done(tenant, chosen, limit)


@router.get("/suggestions", summary="Suggested topics")
def suggestions(engine: EngineOf, tenant: Administers) -> TopicSuggestionsView:
    """Return topics of unlabelled messages with examples, by opportunity, and the decisions on earlier ones."""
    return engine.labels.suggestions.of(tenant)


@router.post("/suggestions/{number}/accept", summary="Accept a suggested topic")
def accept(engine: EngineOf, tenant: Administers, number: Number, body: AcceptBody) -> AcceptedTopic:
    """Make it a label with a rule and its examples. A job of the queue `labels` applies it to stored messages."""
    return engine.labels.suggestions.accept(tenant, number, body.label, body.words, "api")


@router.post("/suggestions/{number}/dismiss", summary="Dismiss a suggested topic")
def dismiss(engine: EngineOf, tenant: Administers, number: Number) -> DismissedTopic:
    """Do not suggest it again, nor topics like it."""
    return engine.labels.suggestions.dismiss(tenant, number, "api")
