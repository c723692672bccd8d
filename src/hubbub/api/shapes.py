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


class MetricRow(Shape):
    """A metric of the catalogue."""

    name: str
    title: str = Field(description="What people call it.")
    definition: str
    unit: str
    better: Literal["higher", "lower"] | None = Field(
        description="Which way it should go; null where neither is good by itself."
    )
    kind: str
    statistics: list[str] = Field(description="Asked for as <name>.<statistic>; empty: it is asked for by its name.")
    dimensions: list[str]
    grains: list[str]
    rollup: str = Field(description="What is counted together with it, by one statement.")
    state: bool = Field(description="Whether it is about a moment, and not about a range.")
    definition_version: int


class CatalogueAnswer(Shape):
    """All metrics."""

    rows: list[MetricRow]


class RowsAnswer(Shape):
    """Rows, and how fresh they are."""

    rows: list[dict[str, Any]]
    freshness: dict[str, Any] = Field(description="Which part came from stored windows and which from raw events.")


class RuleShape(Shape):
    """What counts as a complaint: which topics and tones, and from how many messages and which share on a channel is hot."""

    topics: list[str]
    tones: list[str]
    minimum: int
    ratio: float


class RuledAnswer(RowsAnswer):
    """Rows by a rule, and how fresh they are."""

    tenant: str
    rule: RuleShape


class UsualAnswer(RowsAnswer):
    """Windows of a metric, each beside what is usual of it."""

    metric: str
    unit: str


class Behind(Shape):
    """A page of the events behind a number."""

    total: int
    rows: list[dict[str, Any]]
    next: Next


class ExplanationAnswer(Shape):
    """A number, and what it is made of."""

    metric: str
    definition: str
    definition_version: int
    unit: str
    fact: str = Field(description="What a row of the fact is that it counts.")
    formula: str
    numerator_of: str = Field("", description="What the numerator of a share or mean counts, in words.")
    denominator_of: str = Field("", description="What its denominator counts.")
    value: Any
    numerator: float | None = Field(None, description="Of a share or mean.")
    denominator: float | None = Field(None, description="Of a share or mean.")
    n: int | None = Field(description="How many things the value is of.")
    state: str = Field(description="Whether the value is settled, and else why not.")
    parts: dict[str, Any]
    windows: dict[str, Any]
    events: Behind
    freshness: dict[str, Any]


class DashboardAnswer(Shape):
    """Today so far, and now."""

    tenant: str
    account: str | None = Field(description="null: all.")
    zone: str
    day: str
    days: int
    today: dict[str, Any]
    now: dict[str, Any]
    freshness: dict[str, Any]


class StatesAnswer(Shape):
    """What is the case at a moment."""

    tenant: str
    account: str | None = Field(description="null: all.")
    at: str
    now: dict[str, float | str | None] = Field(
        description="By metric; null with `<metric>.state` beside it where it is not known."
    )
    freshness: dict[str, Any]


class Contributions(Shape):
    """What the values of a dimension did to a difference."""

    rows: list[dict[str, Any]] = Field(description="value, before, after, contribution = volume + rate.")
    others: dict[str, Any] | None
    unexplained: float | None = Field(description="What the parts do not add up to.")


class ChangesAnswer(Shape):
    """What contributed to a difference."""

    metric: str
    unit: str
    before: float | None
    after: float | None
    difference: float | None
    periods: dict[str, list[str]] = Field(description="`before` and `after`, each from and to in the tenant's zone.")
    dimensions: dict[str, Contributions]


class UsualShape(Shape):
    """What is usual of a number, in its unit; null: not known."""

    median: float | None
    spread: float | None
    n: int = Field(description="Weeks that it is known of.")
    low: float | None = Field(description="From here to `high` is noise.")
    high: float | None


class CourseRow(Shape):
    """A window of a number, beside what is usual of it."""

    window: str = Field(description="When it begins, in the tenant's zone.")
    value: float | None
    n: int | None
    state: str
    low: float | None
    high: float | None
    median: float | None


class NewsNumber(Shape):
    """A number beside what is usual of it."""

    metric: str
    dimension: str | None
    slice: str | None = Field(description="The value of the dimension; null: the whole.")
    unit: str
    value: float | None
    n: int | None
    state: str
    previous: float | None
    usual: UsualShape
    verdict: str = Field(description="news, beyond (but of little), usual or unknown.")
    way: str | None = Field(description="better, worse, up or down; null: within its noise.")
    size: float = Field(description="How many times as far from the median as its noise reaches.")
    course: list[CourseRow] = Field(default_factory=list, description="With a grain: its windows; else absent.")


class NewsCause(Shape):
    """The part of a number that made most of its change."""

    dimension: str
    value: str
    before: float | None
    after: float | None
    n: int
    contribution: float
    share: float = Field(description="Of the difference.")
    same: str | None = Field(description="The value of another dimension that is the same rows.")


class NewsPoint(NewsNumber):
    """A number that is news, in words, with its cause."""

    head: str
    things: str = Field(description="What it goes over: ratings, conversations; empty: it counts.")
    change: str = Field(description="Against the period before, or what is usual.")
    in_words: str | None = Field(description="What is usual, where `change` does not say so.")
    because: str | None
    sentence: str
    cause: NewsCause | None
    where: dict[str, list[str]] = Field(description="Filters under which its rows are found, as for /v1/explain.")


class NewsAnswer(Shape):
    """What is unusual of some days."""

    start: str = Field(alias="from", description="RFC 3339, in the tenant's zone.")
    end: str = Field(alias="to", description="Where the days end, or now.")
    before: list[str] | None = Field(description="The period compared with: from and to.")
    lead: str = Field(description="The sentence on top.")
    points: list[NewsPoint] = Field(description="At most three, the worst first.")
    rest: str = Field(description="What is within its usual range, in words.")
    numbers: list[NewsNumber]
    freshness: dict[str, Any]


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


Catalogue = Annotated[dict[str, Any], Like(CatalogueAnswer)]
Rows = Annotated[dict[str, Any], Like(RowsAnswer)]
Ruled = Annotated[dict[str, Any], Like(RuledAnswer)]
Usual = Annotated[dict[str, Any], Like(UsualAnswer)]
Explanation = Annotated[dict[str, Any], Like(ExplanationAnswer)]
States = Annotated[dict[str, Any], Like(StatesAnswer)]
Changes = Annotated[dict[str, Any], Like(ChangesAnswer)]
Dashboard = Annotated[dict[str, Any], Like(DashboardAnswer)]
Snapshots = Annotated[dict[str, Any], Like(SnapshotsAnswer)]
MadeSnapshot = Annotated[dict[str, Any], Like(MadeSnapshotAnswer)]
Removed = Annotated[dict[str, Any], Like(RemovedAnswer)]
Deleted = Annotated[dict[str, Any], Like(DeletedAnswer)]
Health = Annotated[dict[str, Any], Like(HealthAnswer)]
