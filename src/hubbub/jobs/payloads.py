"""The payloads of each queue's jobs, and their owners. `services/workflows.py` does the work."""

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
    """The reach of a running job."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...

    @property
    def tenant(self) -> str | None:
        """The job's tenant, or None."""
        ...

    def progress(self, percent: int) -> None:
        """Report progress; raises JobCancelledError when the job was cancelled."""
        ...

    def start(self, queue: str, payload: JsonObject, *, job_id: str, tenant: str | None = None) -> str:
        """Start another job; repeated calls start it once."""
        ...

    def busy(self, prefix: str) -> bool:
        """Say whether any job whose id begins with `prefix` has not ended."""
        ...

    def ended(self, prefix: str) -> dict[str, int]:
        """Count jobs by state whose id begins with `prefix`."""
        ...


class Payload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Fields of every payload: `dates` chosen by a person, or the `ticks` (RFC 3339, UTC) that a schedule's job covers."""

    dates: list[dt.date] = []
    ticks: list[dt.datetime] = []
    is_backfill: bool = False

    def days(self) -> list[dt.date]:
        """Return the job's days: the given ones, or the day before each tick."""
        return sorted(set(self.dates) or {(tick - DAY).date() for tick in self.ticks})


class Aggregation(Payload):
    """An aggregation; without dates it processes what is due."""

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
    """Days of an integration, in the order of fetching."""

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
    """A stored question for which a reply is suggested."""

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
    """The task: `train` a classifier of a set, which labels stored messages if it is used; `run`: label a range of stored
    messages; `suggest`: look for topics among unlabelled ones."""

    task: Literal["train", "run", "suggest"] = "run"
    label_set: str = "topic"
    start: dt.date | None = None
    end: dt.date | None = None


class Whose(Enum):
    """The owner of a queue's jobs: one tenant, everybody, or either."""

    ONE = "one"
    ALL = "all"
    ANY = "any"


@dataclass(frozen=True)
class Work:
    """A queue's jobs: the form of their payload, and their owner."""

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
    """Return the owner of a job by its payload, and the payload without it; `tenant` is the caller, None an operator.

    The payload may use the spelling of the replaced systems (camelCase, `organizationId`, `targetDate`). A tenant starts jobs
    only for itself. Raises NotFoundError when it names another, ForbiddenError when the queue's jobs are for all tenants,
    BadRequestError when an operator names no tenant.
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
    """Return a payload in snake case; where a queue takes several dates, a single `date` becomes a list."""
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
    """Return a payload in the form of its queue's jobs; raises BadRequestError naming the wrong field."""
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
