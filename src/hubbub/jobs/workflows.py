"""What the jobs of each queue do. A job asks the engine for an operation, in this process or through the server; nothing
here touches the store. Every job may run again from its start, and does no harm by it.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from hubbub.errors import BadRequestError, ForbiddenError, NotFoundError, TenantsFailedError
from hubbub.jobs.policies import QUEUES
from hubbub.model.event import TENANT_NAMES
from hubbub.model.spelling import snake_keys

PAGE = 200
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

    def ask(self, operation: str, /, **params: Any) -> Any:
        """Run one of the engine's operations."""
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


class AggregateDay(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A day whose ingestion has ended."""

    date: dt.date
    job_id: str = ""
    is_backfill: bool = False


class Reply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A stored question that waits for a suggestion."""

    reference: str


class Report(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A report to make under the id `report`; see the operation of the same name."""

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


def aggregation(task: Task, payload: Aggregation) -> Any:
    """Publish a table where it is stale, or write the given days again."""
    return _by_days(task, payload, "aggregate", relation=payload.relation)


def trends(task: Task, payload: Payload) -> Any:
    """Bring the trend rows of the days up to date: `{tenants_processed, trends_created, errors}`, also in the old spelling."""
    days = payload.days()
    answer = _checked(task.ask("aggregate_trends", dates=[day.isoformat() for day in days], again=bool(payload.dates)))
    spelled = {"organizationsProcessed": "tenants_processed", "trendsCreated": "trends_created"}
    return {**answer, **{theirs: answer[ours] for theirs, ours in spelled.items() if ours in answer}}


def snapshots(task: Task, payload: Snapshots) -> Any:
    """Make the snapshots of each date, or of the last whole period before each tick; the daily ticks settle earlier ones too."""
    moments = (
        [{"date": day.isoformat()} for day in _firsts(payload)]
        or [{"at": t.isoformat()} for t in payload.ticks]
        or [{}]
    )
    total: dict[str, Any] = {"processed": 0, "created": 0, "errors": {}}
    for number, moment in enumerate(moments):
        answer = task.ask("snapshot", kind=payload.kind, tenant=task.tenant, **moment)
        total = _add(total, answer)
        task.progress(100 * (number + 1) // len(moments))
    if payload.kind == "daily" and not payload.dates:
        total = _add(total, task.ask("settle_snapshots"))
    return _checked(total)


def _firsts(payload: Snapshots) -> list[dt.date]:
    """One date of every asked period."""

    def first(day: dt.date) -> dt.date:
        if payload.kind == "weekly":
            return day - DAY * day.weekday()
        return day.replace(day=1) if payload.kind == "monthly" else day

    return sorted({first(day) for day in payload.dates})


def fan_out(task: Task, payload: Payload) -> Any:
    """Start one job per integration that is fetched from and day; when all of a day have ended, aggregate it.

    A tick fetches the last day that was over in the integration's own zone, and after that starts a job for what is still not
    there of each, which nobody waits for. A day that is over is fetched once, whoever asks for it first; a backfill, and a day
    that is not over yet, are fetched under ids of their own, and leave the night to come.
    """
    report: dict[str, Any] = {}
    asked: list[dt.date] | list[dt.datetime] = payload.dates or payload.ticks
    for number, moment in enumerate(sorted(set(asked))):
        prefixes: dict[dt.date, set[str]] = {}
        for one in _rows(task, "integrations", state="fetched"):
            if not one["fetches"]:
                continue
            zone = ZoneInfo(one["settings"].get("zone", "UTC"))
            day = (moment.astimezone(zone) - DAY).date() if isinstance(moment, dt.datetime) else moment
            is_over = dt.datetime.now(zone).date() > day
            prefix = f"ingest:{day}:" if is_over and not payload.is_backfill else f"ingest-again:{task.id}:{day}:"
            task.start(
                "analytics-ingest",
                {"integration_id": one["id"], "date": day.isoformat(), "job_id": task.id, "is_backfill": payload.is_backfill},
                job_id=f"{prefix}{one['tenant']}:{one['id']}", tenant=one["tenant"],
            )  # fmt: skip
            prefixes.setdefault(day, set()).add(prefix if task.tenant is None else f"{prefix}{task.tenant}:")
        for day, waited in sorted(prefixes.items()):
            while any(map(task.busy, waited)):
                time.sleep(1)
                task.progress(100 * number // len(asked))
            report[day.isoformat()] = dict(sum(map(Counter, map(task.ended, waited)), Counter()))
            task.start(
                "analytics-aggregate",
                {"date": day.isoformat(), "job_id": task.id, "is_backfill": payload.is_backfill},
                job_id=f"aggregate:{day}:{task.id}",
                tenant=task.tenant,
            )
    return {"days": report, "catching_up": 0 if payload.dates else _catch_up(task)}


def _catch_up(task: Task) -> int:
    """Start a job for each integration with days that are not there, unless one still runs; returns how many."""
    count = 0
    for one in _rows(task, "due_days"):
        prefix = f"catch-up:{one['tenant']}:{one['integration_id']}:"
        if one["dates"] and not task.busy(prefix):
            payload = {"integration_id": one["integration_id"], "dates": one["dates"]}
            task.start("catch-up", payload, job_id=f"{prefix}{task.id}", tenant=one["tenant"])
            count += 1
    return count


def catch_up(task: Task, payload: CatchUp) -> Any:
    """Fetch the days of an integration one after the other; a day that fails ends the job, which is tried again."""
    total: dict[str, Any] = {"days": 0}
    for number, day in enumerate(payload.dates):
        answer = task.ask(
            "ingest_day", tenant=task.tenant, integration_id=payload.integration_id, date=day.isoformat(), catching_up=True,
        )  # fmt: skip
        total = {"days": number + 1, "stored": total.get("stored", 0) + answer["stored"]}
        task.progress(100 * (number + 1) // len(payload.dates))
    return total


def _rows(task: Task, operation: str, **params: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of an operation about the integrations of the job's tenant or all, read page by page."""
    cursor: str | None = None
    while True:
        page = task.ask(operation, tenant=task.tenant, cursor=cursor, limit=PAGE, **params)
        yield from page["rows"]
        cursor = page.get("next")
        if cursor is None:
            return


def ingest(task: Task, payload: Ingest) -> Any:
    """Fetch one day of one integration."""
    return task.ask(
        "ingest_day", tenant=task.tenant, integration_id=payload.integration_id,
        date=payload.date.isoformat(), is_backfill=payload.is_backfill,
    )  # fmt: skip


def aggregate_day(task: Task, payload: AggregateDay) -> Any:
    """Publish a day after its ingestion; a backfill writes it again."""
    days = Payload(dates=[payload.date] if payload.is_backfill else [])
    return _by_days(task, days, "aggregate", tenant=task.tenant)


def reply(task: Task, payload: Reply) -> Any:
    """Have a suggestion made and handed over."""
    task.progress(10)  # the worker may sit beside the server, which does the work and cannot report from afar
    return task.ask("reply", tenant=task.tenant, reference=payload.reference, progress=task.progress)


def report(task: Task, payload: Report) -> Any:
    """Make a report and keep it; one that an earlier try has made stays."""
    return task.ask(
        "report", tenant=task.tenant, kind=payload.kind, start=payload.start.isoformat(), end=payload.end.isoformat(),
        sections=payload.sections, formats=payload.formats, report=payload.report, progress=task.progress,
    )  # fmt: skip


def labels(task: Task, payload: Labels) -> Any:
    """Train a classifier of a set, or label stored messages: one tenant's, or those of all that have labels of their own."""
    if task.tenant is None:
        if payload.task != "run":
            raise BadRequestError(
                "the payload does not fit the queue 'labels': say whose classifier it is - at `$.tenant`"
            )
        return _checked(task.ask("label_everything"))
    if payload.task == "train":
        trained = task.ask("train_labels", tenant=task.tenant, label_set=payload.label_set, by="job")
        if not trained["used"]:
            return trained
        return {**trained, "labelled": task.ask("run_labels", tenant=task.tenant)}
    days = {"start": payload.start and payload.start.isoformat(), "end": payload.end and payload.end.isoformat()}
    return task.ask("run_labels", tenant=task.tenant, **days)


def retention(task: Task, payload: Payload) -> Any:
    """Delete what is past its retention."""
    return task.ask("retention")


def alerts(task: Task, payload: Payload) -> Any:
    """Judge what became ripe of every rule, write digests that are due, then hand over what waits: also from earlier tries."""
    judged, digests = task.ask("evaluate_alerts"), task.ask("send_digests")
    return {**judged, "digests": digests, "messages": task.ask("deliver_messages")}


def restatements(task: Task, payload: Payload) -> Any:
    """Close what is settled of the days that are over, and note which closed numbers changed."""
    return _checked(task.ask("restate"))


def watch_sources(task: Task, payload: Payload) -> Any:
    """Look for silences."""
    return task.ask("watch_sources")


class Whose(Enum):
    """Whose a queue's jobs are: one tenant's, everybody's, or either."""

    ONE = "one"
    ALL = "all"
    ANY = "any"


@dataclass(frozen=True)
class Work:
    """What a queue's jobs are: the form of their payload, what they do, and whose they are."""

    payload: type[Any]
    run: Callable[[Task, Any], Any]
    whose: Whose = Whose.ALL


WORK = {
    "trend-aggregation": Work(Payload, trends),
    "aggregation": Work(Aggregation, aggregation),
    "snapshots": Work(Snapshots, snapshots, Whose.ANY),
    "fan-out": Work(Payload, fan_out, Whose.ANY),
    "analytics-ingest": Work(Ingest, ingest, Whose.ONE),
    "catch-up": Work(CatchUp, catch_up, Whose.ONE),
    "analytics-aggregate": Work(AggregateDay, aggregate_day, Whose.ANY),
    "ai-responses": Work(Reply, reply, Whose.ONE),
    "watch-sources": Work(Payload, watch_sources),
    "retention": Work(Payload, retention),
    "labels": Work(Labels, labels, Whose.ANY),
    "reports": Work(Report, report, Whose.ONE),
    "alerts": Work(Payload, alerts),
    "restatements": Work(Payload, restatements),
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


def _by_days(task: Task, payload: Payload, operation: str, **params: Any) -> Any:
    """Ask for what is due, or for each day that was asked for; adds up what came back."""
    if not payload.dates:
        return _checked(task.ask(operation, **params))
    total: dict[str, Any] = {}
    days = sorted(set(payload.dates))
    for number, day in enumerate(days):
        total = _add(total, task.ask(operation, start=day.isoformat(), end=(day + DAY).isoformat(), **params))
        task.progress(100 * (number + 1) // len(days))
    return _checked(total)


def _add(total: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Add up the counts of two answers; who was processed is the same in both, errors are joined."""
    joined = dict(total)
    for name, value in answer.items():
        if isinstance(value, Mapping):
            joined[name] = {**joined.get(name, {}), **value}
        elif isinstance(value, int):
            joined[name] = (
                max(joined.get(name, 0), value) if name.endswith("processed") else joined.get(name, 0) + value
            )
        else:
            joined[name] = value
    return joined


def _checked(answer: Any) -> Any:
    """Return an answer without errors; one with errors is a failure, so that the failed tenants are tried again."""
    if answer.get("errors"):
        raise TenantsFailedError(result=answer)
    return answer
