"""What the jobs of each queue take, and whose they are. What they do stands above, in `services/workflows.py`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol

import msgspec

from hubbub.errors import BadRequestError, ForbiddenError, NotFoundError
from hubbub.jobs.policies import QUEUES
from hubbub.model.event import TENANT_NAMES
from hubbub.model.spelling import snake_keys

DAY = dt.timedelta(days=1)


class Task(Protocol):
    """What a running job can reach."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...

    @property
    def tenant(self) -> str | None:
        """The tenant whose job it is, or None."""
        ...

    def progress(self, percent: int) -> None:
        """Report progress; raises JobCancelledError when somebody cancelled the job."""
        ...

    def start(self, queue: str, payload: Mapping[str, Any], *, job_id: str, tenant: str | None = None) -> str:
        """Start another job, once however often it is asked for."""
        ...

    def busy(self, prefix: str) -> bool:
        """Say whether a job whose id begins with `prefix` has not ended."""
        ...

    def ended(self, prefix: str) -> dict[str, int]:
        """Count jobs by state whose id begins with `prefix`."""
        ...


class Payload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every payload may carry: `dates` asked for by hand, or the `ticks` (RFC 3339, UTC) that a schedule's job covers."""

    dates: list[dt.date] = []
    ticks: list[dt.datetime] = []
    is_backfill: bool = False

    def days(self) -> list[dt.date]:
        """Return the days the job is about: those asked for, or the day before each tick."""
        return sorted(set(self.dates) or {(tick - DAY).date() for tick in self.ticks})


class Aggregation(Payload):
    """One of the aggregations; without dates it brings what is due up to date."""

    relation: str


class Snapshots(Payload):
    """Snapshots of one kind."""

    kind: str


class Ingest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One integration's day. `job_id` names the job that asked for it."""

    integration_id: str
    date: dt.date
    job_id: str = ""
    is_backfill: bool = False


class CatchUp(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Days of one integration, in the order in which they are to be fetched."""

    integration_id: str
    dates: list[dt.date]


class Reconcile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An integration of whose deliveries some are missing."""

    integration_id: str


class AggregateDay(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A day whose ingestion has ended."""

    date: dt.date
    job_id: str = ""
    is_backfill: bool = False


class Reply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A stored question that waits for a suggestion."""

    reference: str


class Report(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A report to make under the id `report`; see `Reports.make`."""

    report: str
    kind: str
    start: dt.date
    end: dt.date
    sections: list[str] = []
    formats: list[str] = []


class Labels(Payload):
    """What to do: `train` a classifier of a set, which labels what is stored if it is used, or `run` from day to day."""

    task: Literal["train", "run"] = "run"
    label_set: str = "topic"
    start: dt.date | None = None
    end: dt.date | None = None


class Whose(Enum):
    """Whose a queue's jobs are: one tenant's, everybody's, or either."""

    ONE = "one"
    ALL = "all"
    ANY = "any"


@dataclass(frozen=True)
class Work:
    """What a queue's jobs are: the form of their payload, and whose they are."""

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


def owner(queue: str, payload: Mapping[str, Any], tenant: str | None) -> tuple[str | None, dict[str, Any]]:
    """Return whose job a payload asks for, and the payload without saying so; `tenant` is who asks, None an operator.

    The payload may be spelled as in the replaced systems (camelCase, `organizationId`, `targetDate`). A tenant starts jobs for
    itself alone. Raises NotFoundError when it names another, ForbiddenError when the queue's jobs are everybody's, BadRequestError
    when an operator does not say whose.
    """
    told = _own_words(queue, payload)
    named = told.pop("tenant", None)
    if named is not None and (not isinstance(named, str) or tenant not in (None, named)):
        raise NotFoundError(f"there is no tenant {str(named)[:80]!r}")
    mine = tenant or named
    whose = WORK[queue].whose if queue in WORK else Whose.ANY
    if mine is not None and whose is Whose.ALL:
        raise ForbiddenError(f"jobs of the queue {queue!r} are for all tenants at once: only an operator may start one")
    if mine is None and whose is Whose.ONE:
        raise BadRequestError(f"the payload does not fit the queue {queue!r}: say whose it is - at `$.tenant`")
    return mine, told


_ALIASES = dict.fromkeys(TENANT_NAMES, "tenant") | {"target_date": "date"}


def _own_words(queue: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload in our spelling; where a queue takes several dates, a single one is one of them."""
    found: dict[str, Any] = {}
    try:
        for name, value in snake_keys(payload).items():
            name = _ALIASES.get(name, name)
            if name == "date" and queue in WORK and issubclass(WORK[queue].payload, Payload):
                name, value = "dates", [value]
            if name in found:
                raise ValueError(f"{name!r} is there twice, in two spellings")
            found[name] = value
    except ValueError as error:
        raise BadRequestError(f"the payload does not fit the queue {queue!r}: {error}") from None
    return found


def checked(queue: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload in the form its queue's jobs need; raises BadRequestError naming the field that is wrong."""
    if queue in QUEUES and queue not in WORK:
        raise BadRequestError(f"the queue {queue!r} takes no jobs in this version")
    try:
        found: dict[str, Any] = msgspec.to_builtins(msgspec.convert(payload, WORK[queue].payload))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise BadRequestError(f"the payload does not fit the queue {queue!r}: {error}") from None
    for name, value in found.items():
        if isinstance(value, str) and not _NAME.match(value):
            raise BadRequestError(
                f"the payload's {name!r} is longer than 200 characters, or holds some that no name has"
            )
    return found
