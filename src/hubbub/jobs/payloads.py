"""The payloads of each queue's jobs, and the owners of jobs. `services/workflows.py` runs the jobs."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol

import msgspec

from hubbub.errors import BadRequestError, ForbiddenError, NotFoundError
from hubbub.jobs.policies import QUEUES
from hubbub.model.event import TENANT_NAMES
from hubbub.model.plain import JsonObject
from hubbub.model.spelling import snake_keys

DAY = dt.timedelta(days=1)


class Task(Protocol):
    """What a running job can do with its queue: report progress, start and count other jobs."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...

    @property
    def tenant(self) -> str | None:
        """The job's tenant, or None."""
        ...

    def progress(self, percent: int) -> None:
        """Report progress. Raises JobCancelledError if the job was cancelled."""
        ...

    def start(self, queue: str, payload: JsonObject, *, job_id: str, tenant: str | None = None) -> str:
        """Start another job and return its id; repeated calls with the same `job_id` start it once."""
        ...

    def busy(self, prefix: str) -> bool:
        """Say whether a job has not ended whose id begins with `prefix`."""
        ...

    def ended(self, prefix: str) -> dict[str, int]:
        """Return the number of jobs whose id begins with `prefix`, by state."""
        ...


class Payload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Common fields: the `dates` that a person chose, or the `ticks` (RFC 3339, UTC) that a schedule's job covers."""

    dates: list[dt.date] = []
    ticks: list[dt.datetime] = []
    is_backfill: bool = False

    def days(self) -> list[dt.date]:
        """Return the job's days, sorted: the given dates, else the day before each tick."""
        return sorted(set(self.dates) or {(tick - DAY).date() for tick in self.ticks})


class Aggregation(Payload):
    """An aggregation of a published table; without dates, of the periods that are due."""

    relation: str


class Snapshots(Payload):
    """Snapshots of one kind."""

    kind: str


class Ingest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A day of an integration. `job_id` names the job that started it."""

    integration_id: str
    date: dt.date
    job_id: str = ""
    is_backfill: bool = False


class CatchUp(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Missing days of an integration, in the order of fetching."""

    integration_id: str
    dates: list[dt.date]


class Reconcile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An integration with lost deliveries."""

    integration_id: str


class AggregateDay(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A day whose ingestion has ended."""

    date: dt.date
    job_id: str = ""
    is_backfill: bool = False


class Reply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A stored question to suggest a reply for, by its reference."""

    reference: str


class Report(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A report with the id `report`; see `Reports.make`."""

    report: str
    kind: str
    start: dt.date
    end: dt.date
    sections: list[str] = []
    formats: list[str] = []


class Labels(Payload):
    """A task: `train` a classifier of a set, and label stored messages if it is used; `run`: label a range of stored messages;
    `suggest`: find topics among unlabelled messages."""

    task: Literal["train", "run", "suggest"] = "run"
    label_set: str = "topic"
    start: dt.date | None = None
    end: dt.date | None = None


class Whose(Enum):
    """The owner of a queue's jobs: one tenant, all tenants, or either."""

    ONE = "one"
    ALL = "all"
    ANY = "any"


@dataclass(frozen=True)
class Work:
    """A queue's jobs: the type of their payload, and their owner."""

    payload: type[Any]
    whose: Whose = Whose.ALL


WORK = {
    "trend-aggregation": Work(Payload),
    "aggregation": Work(Aggregation),
    "snapshots": Work(Snapshots, Whose.ANY),
    "fan-out": Work(Payload, Whose.ANY),
    "analytics-ingest": Work(Ingest, Whose.ONE),
    "catch-up": Work(CatchUp, Whose.ONE),
    "reconcile": Work(Reconcile, Whose.ONE),
    "analytics-aggregate": Work(AggregateDay, Whose.ANY),
    "ai-responses": Work(Reply, Whose.ONE),
    "watch-sources": Work(Payload),
    "retention": Work(Payload),
    "labels": Work(Labels, Whose.ANY),
    "reports": Work(Report, Whose.ONE),
    "alerts": Work(Payload),
    "restatements": Work(Payload),
}


_NAME = re.compile(r"[^\x00-\x1f\ud800-\udfff]{0,200}\Z")


def owner(queue: str, payload: JsonObject, tenant: str | None) -> tuple[str | None, JsonObject]:
    """Return the owner of a job, and its payload without the owner. `tenant` is the caller; None: an operator.

    The payload may use the spelling of the replaced systems (camelCase, `organizationId`, `targetDate`). A tenant starts jobs
    only for itself. Raises NotFoundError if it names another, ForbiddenError if the queue's jobs are for all tenants,
    BadRequestError if an operator does not name a required tenant.
    """
    fields = _in_snake_case(queue, payload)
    payload_tenant = fields.get("tenant")
    if payload_tenant is not None and (not isinstance(payload_tenant, str) or tenant not in (None, payload_tenant)):
        raise NotFoundError(f"there is no tenant {str(payload_tenant)[:80]!r}")
    owner_id = tenant or payload_tenant
    whose = WORK[queue].whose if queue in WORK else Whose.ANY
    if owner_id is not None and whose is Whose.ALL:
        raise ForbiddenError(f"jobs of the queue {queue!r} are for all tenants at once: only an operator may start one")
    if owner_id is None and whose is Whose.ONE:
        raise BadRequestError(f"the payload does not fit the queue {queue!r}: name the tenant - at `$.tenant`")
    return owner_id, {name: value for name, value in fields.items() if name != "tenant"}


_ALIASES = dict.fromkeys(TENANT_NAMES, "tenant") | {"target_date": "date"}


def _in_snake_case(queue: str, payload: JsonObject) -> JsonObject:
    """Return a payload with names in snake case; if the queue takes several dates, a single `date` becomes a list."""
    fields: dict[str, Any] = {}
    try:
        for name, value in snake_keys(payload).items():
            name = _ALIASES.get(name, name)
            if name == "date" and queue in WORK and issubclass(WORK[queue].payload, Payload):
                name, value = "dates", [value]
            if name in fields:
                raise ValueError(f"{name!r} occurs twice, in two spellings")
            fields[name] = value
    except ValueError as error:
        raise BadRequestError(f"the payload does not fit the queue {queue!r}: {error}") from None
    return fields


def checked(queue: str, payload: JsonObject) -> JsonObject:
    """Return a payload as its queue's type declares it. Raises BadRequestError with the invalid field."""
    if queue in QUEUES and queue not in WORK:
        raise BadRequestError(f"the queue {queue!r} takes no jobs in this version")
    try:
        fields: dict[str, Any] = msgspec.to_builtins(msgspec.convert(payload, WORK[queue].payload))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise BadRequestError(f"the payload does not fit the queue {queue!r}: {error}") from None
    for name, value in fields.items():
        if isinstance(value, str) and not _NAME.match(value):
            raise BadRequestError(f"the payload's {name!r} is longer than 200 characters, or holds control characters")
    return fields
