"""What answers about labels look like, for OpenAPI and its readers; see `shapes.py`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hubbub.api.shapes import Like, Moment, Shape

Sure = Annotated[float | None, Field(description="0 to 1; null where nobody guessed.")]
By = Annotated[str | None, Field(description="person, rules, classifier or endpoint.")]


class VersionRow(Shape):
    """A version of a tenant's labels."""

    version: int
    what: str
    made_by: str
    made_at: Moment


class LabelsAnswer(Shape):
    """What a tenant labels."""

    tenant: str
    version: int = Field(description="0: the starter.")
    starter: bool
    labels: dict[str, Any] = Field(
        description="Labels by set, with words and patterns, and the precision that is asked for."
    )
    in_use: dict[str, int] = Field(description="The number of the classifier in use, by set.")
    classifiers: list[dict[str, Any]] = Field(description="Trained ones, newest first, with their reports.")
    versions: list[VersionRow]


class RenamedAnswer(Shape):
    """What a rename came to."""

    tenant: str
    version: int
    changed: int = Field(description="Labels that have the new name now.")
    examples: int


class TriedRow(Shape):
    """What a text's label of a set would be."""

    set: str
    label: str | None
    by: By
    confidence: Sure
    guess: str | None = Field(description="What it would be, were its labeller surer.")


class TriedAnswer(Shape):
    """How a text would be labelled."""

    version: int
    rows: list[TriedRow]


class ToReview(Shape):
    """A message to be reviewed."""

    message: str
    text: str
    time: Moment
    channel: str | None
    channel_id: str | None
    conversation_id: str | None
    suggested: str | None
    by: By
    confidence: Sure


class ReviewAnswer(Shape):
    """Messages to be reviewed, and how far the review is."""

    tenant: str
    set: str
    labels: list[str] = Field(description="Of the set, in their order.")
    left: int
    done: int
    rows: list[ToReview]


class ReviewedAnswer(Shape):
    """What became of a person's word."""

    message: str
    label: str | None
    was: str | None = Field(description="What was suggested.")
    changed: int = Field(description="Label events that are others now.")
    number: int


class UndoneAnswer(Shape):
    """What was taken back."""

    message: str
    label: str | None
    left: int = Field(description="How many more can be taken back.")


class ReviewedRows(Shape):
    """What was said last, and how often suggestions were right."""

    rows: list[dict[str, Any]]
    right: list[dict[str, Any]] = Field(description="By label: checked, right, and its 95 % range low and high.")


Labels = Annotated[dict[str, Any], Like(LabelsAnswer)]
Renamed = Annotated[dict[str, Any], Like(RenamedAnswer)]
Tried = Annotated[dict[str, Any], Like(TriedAnswer)]
Review = Annotated[dict[str, Any], Like(ReviewAnswer)]
Reviewed = Annotated[dict[str, Any], Like(ReviewedAnswer)]
Undone = Annotated[dict[str, Any], Like(UndoneAnswer)]
ReviewedList = Annotated[dict[str, Any], Like(ReviewedRows)]
