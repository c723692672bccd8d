"""The routes of the public contract: metrics, events, queries and health. Each returns the engine's answer."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api import shapes
from hubbub.api.auth import EngineOf, Ingests, Reads
from hubbub.api.body import is_lines, read_body
from hubbub.api.cached import cached
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor, From, To, Where, where_of
from hubbub.api.problems import RESPONSES
from hubbub.api.typed import Sent
from hubbub.api.work import Counted, counted
from hubbub.app import Engine
from hubbub.errors import NOT_NOW, BadRequestError, TooLargeError
from hubbub.metrics.catalogue import MetricEntry
from hubbub.model.event import UnreadableBodyError, read_events
from hubbub.model.page import Page
from hubbub.news.answer import NewsAnswer
from hubbub.query.changes import Changes
from hubbub.query.dashboard import Dashboard, States
from hubbub.query.explain import Explanation
from hubbub.query.result import Rows
from hubbub.query.trends import HOTSPOT_MIN, HOTSPOT_RATIO, Hotspots, Trends
from hubbub.query.usual import UsualTable
from hubbub.reports.as_csv import answer_table
from hubbub.services.snapshots import SnapshotRows, SnapshotsMade

api = APIRouter(prefix="/v1", route_class=Counted)
open_routes = APIRouter(responses=RESPONSES)

Text = Annotated[str, Field(max_length=200)]

EVENTS_BODY = {
    "requestBody": {
        "required": True,
        "description": "One event, an array of events, NDJSON, or CloudEvents (single or batch); gzip is read.",
        "content": {"application/json": {"schema": {}}, "application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


class QueryBody(BaseModel):
    """A question, as in the command `query`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    metrics: list[Text] = Field(min_length=1, max_length=200)
    start: Text = Field(alias="from", description="Date in the tenant's zone, or RFC 3339 time; inclusive.")
    end: Text = Field(alias="to", description="Date in the tenant's zone, or RFC 3339 time; exclusive.")
    grain: Text = "total"
    by: list[Text] = Field(default_factory=list, max_length=10)
    where: dict[Text, Text | list[Text]] = Field(default_factory=dict)
    compare: Text | None = None
    include_bots: bool = False
    as_of: Text | None = Field(None, description="Answer with the data of this moment; absent: with all data.")
    details: bool = False
    names: bool = Field(False, description="Add the names of ids, as `<dimension>.name`.")


@api.post(
    "/events", status_code=202, openapi_extra=EVENTS_BODY, responses={202: {"model": shapes.VerdictAnswer}},
    summary="Store events; answers once they are on disk",
)  # fmt: skip
async def events(request: Request, engine: EngineOf, tenant: Ingests) -> Response:
    """Store one event or many; each record gets its own verdict, and a bad record refuses only itself."""
    body = await read_body(request, engine.settings.max_body_mb << 20)
    return await run_in_threadpool(_store, request, engine, tenant, body)


@counted
def _store(request: Request, engine: Engine, tenant: str, body: bytes) -> JSONResponse:
    try:
        items = read_events(body, lines=is_lines(request), tenant=tenant)
    except UnreadableBodyError as error:
        raise BadRequestError(str(error), reason="unreadable") from None
    if len(items) > engine.settings.max_batch:
        raise TooLargeError(
            f"the batch has {len(items)} events, {engine.settings.max_batch} are allowed; send smaller batches",
            reason="too_many_events",
        )
    outcome = engine.accept(tenant, items)
    request.state.outcome = outcome
    return JSONResponse(outcome.answer(), 202)  # written here: thousands of verdicts would hold up the event loop


@api.get("/metrics", summary="The catalogue of metrics")
def metrics(engine: EngineOf, tenant: Reads) -> Page[MetricEntry]:
    """Return every metric with its definition, unit, dimensions and grains."""
    return engine.answers.metrics()


@api.post(
    "/query", summary="Answer a question",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def query(request: Request, engine: EngineOf, tenant: Reads, body: QueryBody) -> Sent[Rows]:
    """Return rows of windows, dimensions and values, and their freshness; with `Accept: text/csv` the rows as a table.

    With `Accept: text/csv; charset=utf-8-sig` the table begins with a byte order mark, which spreadsheets need.
    """
    answer = await cached(request, engine, engine.answers.query, tenant, **body.model_dump())
    accept = request.headers.get("accept", "").lower()
    if not accept.startswith("text/csv"):
        return answer
    headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
    table = answer_table(json.loads(bytes(answer.body))["rows"], mark="utf-8-sig" in accept)
    return Sent(table, media_type="text/csv", headers=headers | {"Vary": "Authorization, Accept"})


Grain = Annotated[str, Query(max_length=20, description="hour, day, week, month or total.")]


@api.get("/explain", summary="Explain one number, down to its events")
def explain(
    engine: EngineOf,
    tenant: Reads,
    metric: Annotated[str, Query(max_length=200, description="One metric, like csat or response_ms.p95.")],
    start: From,
    end: To,
    where: Where = None,
    as_of: Annotated[str | None, Query(max_length=60, description="Explain with the data of this moment.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events on this page.")] = 50,
    cursor: Cursor = None,
    part: Annotated[str, Query(max_length=20, description="Only the events in the `numerator`, or the `rest`.")] = "",
) -> Explanation:
    """Return definition, formula, parts, windows used, and a page of the events behind a number."""
    return engine.answers.explain(
        tenant, metric, start, end, where_of(where), as_of=as_of, limit=limit, cursor=cursor, part=part
    )


@api.get("/changes", summary="What contributed to the change of a number")
async def changes(
    request: Request,
    engine: EngineOf,
    tenant: Reads,
    metric: Annotated[
        str, Query(max_length=200, description="One count, share or mean, like csat or response_ms.avg.")
    ],
    start: From,
    end: To,
    by: Annotated[list[Text] | None, Query(max_length=10, description="Dimensions; absent: the usual ones.")] = None,
    where: Where = None,
    compare: Annotated[str, Query(max_length=20, description="previous, day, week, weekdays or year.")] = "previous",
    limit: Annotated[int, Query(ge=1, le=100, description="Values of each dimension; further ones are added up.")] = 10,
) -> Sent[Changes]:
    """Return the difference to an earlier period, and each value's contribution, split into volume and rate."""
    return await cached(
        request,
        engine,
        engine.answers.changes,
        tenant,
        metric,
        start,
        end,
        by or [],
        where_of(where),
        compare,
        limit=limit,
    )


@api.get("/usual", summary="A metric with its usual range")
async def usual(
    request: Request,
    engine: EngineOf,
    tenant: Reads,
    metric: Annotated[str, Query(max_length=200, description="One metric, like messages or response_ms.p50.")],
    start: From,
    end: To,
    grain: Annotated[str, Query(max_length=20, description="hour, day or week.")] = "day",
    by: Annotated[list[Text] | None, Query(max_length=10, description="Dimensions to split by.")] = None,
    where: Where = None,
) -> Sent[UsualTable]:
    """Return each window's number, and median and spread of the same weekday (and hour) of the last eight settled weeks."""
    return await cached(
        request, engine, engine.answers.usual, tenant, metric, start, end, grain, by or [], where_of(where)
    )


@api.get("/news", summary="Unusual numbers of some days, with causes")
async def news(
    request: Request,
    engine: EngineOf,
    tenant: Reads,
    start: From,
    end: To,
    where: Where = None,
    compare: Annotated[
        str | None,
        Query(
            max_length=20, description="previous, day, week, weekdays or year; absent: weekdays of less than a week."
        ),
    ] = None,
    metric: Annotated[list[str] | None, Query(max_length=20, description="Further metrics to judge.")] = None,
    by: Annotated[
        list[Text] | None,
        Query(max_length=10, description="Dimensions whose values are judged by these metrics."),
    ] = None,
    grain: Annotated[
        str, Query(max_length=20, description="hour, day or week: with these metrics over time; total: without.")
    ] = "total",
    include_bots: Annotated[bool, Query(description="Count bots too.")] = False,
) -> Sent[NewsAnswer]:
    """Return at most three numbers beyond their usual range, worst first, each with its cause; and all judged numbers."""
    return await cached(
        request, engine, engine.answers.news, tenant, start, end, metric or [], grain, by or [], where_of(where), compare,
        include_bots,
    )  # fmt: skip


Account = Annotated[str | None, Query(max_length=200, description="Only this account.")]
At = Annotated[
    str | None, Query(max_length=60, description="A past moment: date in the tenant's zone, or RFC 3339 time.")
]


@api.get(
    "/dashboard",
    summary="Today so far, or the last days, against the same time before; and the present",
)
async def dashboard(
    request: Request,
    engine: EngineOf,
    tenant: Reads,
    days: Annotated[int, Query(ge=1, le=366, description="Local days, today among them.")] = 1,
    against: Annotated[
        str, Query(max_length=20, description="For a single day, compare with yesterday, or week (same weekday).")
    ] = "yesterday",
    account: Account = None,
    at: At = None,
) -> Sent[Dashboard]:
    """Return numbers with those of the same elapsed part of an earlier period, and the present states, or those at a moment."""
    return await cached(
        request, engine, engine.answers.dashboard, tenant, days=days, against=against, account=account, at=at
    )


@api.get("/dashboard/now", summary="Present states, or those at a moment")
async def states(
    request: Request, engine: EngineOf, tenant: Reads, account: Account = None, at: At = None
) -> Sent[States]:
    """Return open, waiting, unassigned, oldest waiting, staff online, pending tasks, active campaigns."""
    return await cached(request, engine, engine.answers.states, tenant, account=account, at=at)


@api.get("/trends", summary="Topics, tone, escalations and hotspots by window")
async def trends(
    request: Request, engine: EngineOf, tenant: Reads, start: From, end: To, grain: Grain = "day"
) -> Sent[Trends]:
    """Return a row for each window."""
    return await cached(request, engine, engine.answers.trends, tenant, start=start, end=end, grain=grain)


@api.get("/hotspots", summary="Channels by their share of complaints and escalations")
async def hotspots(
    request: Request,
    engine: EngineOf,
    tenant: Reads,
    start: From,
    end: To,
    minimum: Annotated[
        int, Query(alias="min", ge=0, description="Fewest classified messages of a hotspot.")
    ] = HOTSPOT_MIN,
    ratio: Annotated[
        float, Query(ge=0, le=1, description="Share of complaints and escalations that makes a hotspot.")
    ] = HOTSPOT_RATIO,
) -> Sent[Hotspots]:
    """Return every channel id with classified messages, worst first."""
    return await cached(
        request, engine, engine.answers.hotspots, tenant, start=start, end=end, minimum=minimum, ratio=ratio
    )


class SnapshotBody(BaseModel):
    """The snapshot to make."""

    model_config = ConfigDict(extra="forbid")

    kind: Text = Field("daily", description="daily, weekly or monthly.")
    date: Text | None = Field(
        None, description="A day of the period, in the tenant's zone; absent: the last complete one."
    )


@api.post("/snapshots", summary="Make the snapshot of a day, week or month now")
def make_snapshot(engine: EngineOf, tenant: Reads, body: SnapshotBody, once: Once) -> SnapshotsMade:
    """Make it for the whole team and each account, in place of the stored one; return it and the number of documents."""
    return once(tenant, lambda: engine.snapshot_service.make(body.kind, body.date, tenant))


@api.get("/snapshots", summary="Stored snapshots")
async def snapshots(
    request: Request,
    engine: EngineOf,
    tenant: Reads,
    start: Annotated[str, Query(alias="from", max_length=60, description="First date, in the tenant's zone.")],
    end: Annotated[str, Query(alias="to", max_length=60, description="Date after the last.")],
    kind: Annotated[str | None, Query(max_length=20, description="Only daily, weekly or monthly.")] = None,
    account: Annotated[
        str | None, Query(max_length=200, description="Only this account; empty: only the whole team.")
    ] = None,
) -> Sent[SnapshotRows]:
    """Return the stored snapshots of periods that begin in a range."""
    return await cached(
        request, engine, engine.snapshot_service.of, tenant, start=start, end=end, kind=kind, account=account
    )


@open_routes.get("/healthz", summary="The process is alive")
async def healthz() -> shapes.HealthAnswer:
    """Return ok, without waiting for a thread of the store."""
    return shapes.HealthAnswer(status="ok")


@open_routes.get(
    "/readyz",
    summary="The store answers and the refresh loop runs",
    responses={200: {"model": shapes.ReadyAnswer}, 503: {"model": shapes.ReadyAnswer, "description": "It is stuck."}},
)
def readyz(request: Request, engine: EngineOf) -> Response:
    """Return 200 when the store answers and the refresh loop runs, 503 otherwise, with the reason as `error`.

    While every refresh fails, answers come from the stored data: 200, with the status `ready, refresh fails` and its `error`.
    While ClickHouse is away, PostgreSQL answers: 200, with the status `ready, ClickHouse is away`.
    """
    refreshing = request.app.state.refreshing
    worker = request.app.state.worker
    stuck = [
        name for name, part in (("refresher", refreshing), ("worker", worker)) if part is not None and not part.alive()
    ]
    status = f"stuck: {', '.join(stuck)}" if stuck else "ready" if refreshing.error is None else "ready, refresh fails"
    answer = shapes.ReadyAnswer(status=status, error=refreshing.error)
    try:
        answer.behind_batches = engine.store.log.behind()
        if status == "ready" and engine.store.copy is not None and engine.store.copy.away:
            answer.status, answer.error = "ready, ClickHouse is away", engine.store.copy.away
        engine.control.follow()
    except NOT_NOW as error:
        stuck, answer.status, answer.error = ["store"], "the store does not answer", error.message
    return Response(answer.model_dump_json(), 503 if stuck else 200, media_type="application/json")


@open_routes.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
def prometheus() -> Response:
    """Return this process's metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
