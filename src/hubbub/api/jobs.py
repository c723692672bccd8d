"""The routes of jobs and schedules. A tenant's key manages that tenant's jobs; schedules belong to operators."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import EngineOf, Ingests, MayAdminister, MayRead, Operates
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor
from hubbub.api.work import Counted
from hubbub.jobs.rows import STATES, JobRow, JobView
from hubbub.model.page import Page
from hubbub.model.plain import JsonObject
from hubbub.replies.request import ReplyRequest
from hubbub.services.reply_jobs import PromisedJob
from hubbub.services.schedules import ScheduleView

jobs_routes = APIRouter(prefix="/v1", route_class=Counted)
JobId = Annotated[str, Path(max_length=200, description="The job's id.")]
QueueName = Annotated[str, Path(max_length=200, description="The queue's name.")]
ScheduleName = Annotated[str, Path(max_length=200, description="The schedule's name.")]


def _schema(form: type[Any]) -> JsonObject:
    """Return a form's JSON schema with references resolved, for OpenAPI bodies."""
    (top,), parts = msgspec.json.schema_components([form], ref_template="{name}")

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            return (
                resolve(parts[node["$ref"]]) if "$ref" in node else {key: resolve(value) for key, value in node.items()}
            )
        return [resolve(element) for element in node] if isinstance(node, list) else node

    schema: dict[str, Any] = resolve(top)
    return schema


REPLY_BODY = {
    "requestBody": {
        "required": True,
        "description": "The message to reply to, with those before it.",
        "content": {"application/json": {"schema": _schema(ReplyRequest)}},
    }
}


class JobBody(BaseModel):
    """A job to start."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, Any] = Field(
        default_factory=dict, description="The payload of the queue's jobs; see the reference."
    )
    priority: int | None = Field(None, ge=1, le=100, description="1 is first.")
    delay: float | None = Field(None, ge=0, le=366 * 86_400, description="Seconds to wait before it may start.")
    id: str | None = Field(
        None,
        max_length=100,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="An id of your own: a job with it starts once.",
    )


class TriggerBody(BaseModel):
    """The date to run a schedule for."""

    model_config = ConfigDict(extra="forbid")

    date: str | None = Field(None, max_length=10, description="A date; if absent, that of the next tick.")


class RangeBody(BaseModel):
    """The dates to run a schedule for."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: str = Field(alias="from", max_length=10, description="First date.")
    end: str = Field(alias="to", max_length=10, description="Date after the last.")


@jobs_routes.get("/jobs", summary="Jobs, newest first")
def jobs(
    engine: EngineOf,
    tenant: MayRead,
    queue: Annotated[str | None, Query(max_length=100, description="Only this queue.")] = None,
    state: Annotated[str | None, Query(max_length=20, description=f"One of {', '.join(STATES)}.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Jobs on this page.")] = 50,
    cursor: Cursor = None,
) -> Page[JobRow]:  # fmt: skip
    """Return the tenant's jobs, or all of them to an operator."""
    return engine.jobs.of(queue=queue, state=state, tenant=tenant, limit=limit, cursor=cursor)


@jobs_routes.post("/jobs/{queue}", status_code=202, summary="Start a job")
def start_job(engine: EngineOf, tenant: MayAdminister, queue: QueueName, body: JobBody, once: Once) -> JobView:
    """Start a job; with the same `id` it starts once."""
    own = f"{tenant or 'operator'}:{body.id}" if body.id is not None else None
    return once(tenant, lambda: engine.jobs.start(queue, body.payload, tenant, body.priority, body.delay, own))


@jobs_routes.get("/jobs/{job}", summary="A job, with progress, result or error")
def job(engine: EngineOf, tenant: MayRead, job: JobId) -> JobView:
    """Return a job: state, progress, attempts, result or error."""
    return engine.jobs.get(job, tenant=tenant)


@jobs_routes.post("/jobs/{job}/retry", summary="Run a failed, cancelled or parked job again")
def retry_job(engine: EngineOf, tenant: MayAdminister, job: JobId) -> JobView:
    """Put the job back into its queue, and return it."""
    return engine.jobs.retry(job, tenant=tenant)


@jobs_routes.post("/jobs/{job}/cancel", summary="Cancel a job that has not ended")
def cancel_job(engine: EngineOf, tenant: MayAdminister, job: JobId) -> JobView:
    """Cancel the job, and return it; a running one stops at its next report of progress."""
    return engine.jobs.cancel(job, tenant=tenant)


@jobs_routes.post("/ai/responses", status_code=202, summary="Ask for a suggested reply", openapi_extra=REPLY_BODY)
def ask_for_reply(
    engine: EngineOf,
    tenant: Ingests,
    body: Annotated[dict[str, Any], Body()],
    once: Once,
    priority: Annotated[int | None, Query(ge=1, le=100, description="1 is first.")] = None,
    delay: Annotated[float | None, Query(ge=0, le=366 * 86_400, description="Seconds before it may start.")] = None,
) -> PromisedJob:
    """Store the question and start its job; `GET /v1/jobs/{job}` returns progress and the suggestion."""
    return once(tenant, lambda: engine.reply_jobs.ask(tenant, body, priority, delay))


@jobs_routes.get("/schedules", summary="Schedules: cron, next and last run (operators only)")
def schedules(engine: EngineOf, _: Operates) -> Page[ScheduleView]:
    """Return every schedule."""
    return engine.schedules.of()


@jobs_routes.post("/schedules/{name}/trigger", status_code=202, summary="Run a schedule now (operators only)")
def trigger(
    engine: EngineOf, _: Operates, name: ScheduleName, body: Annotated[TriggerBody | None, Body()] = None
) -> JobView:
    """Start a job for the date, and return it."""
    return engine.schedules.trigger(name, body.date if body is not None else None)


@jobs_routes.post(
    "/schedules/{name}/backfill", status_code=202, summary="Run a schedule for many dates (operators only)"
)
def backfill(engine: EngineOf, _: Operates, name: ScheduleName, body: RangeBody) -> JobView:
    """Start one job for all dates of the range, and return it."""
    return engine.schedules.backfill(name, body.start, body.end)


@jobs_routes.post("/schedules/{name}/pause", summary="Start no more jobs of a schedule (operators only)")
def pause(engine: EngineOf, _: Operates, name: ScheduleName) -> ScheduleView:
    """Pause the schedule, and return it."""
    return engine.schedules.pause(name)


@jobs_routes.post("/schedules/{name}/resume", summary="Resume a schedule (operators only)")
def resume(engine: EngineOf, _: Operates, name: ScheduleName) -> ScheduleView:
    """Resume the schedule, and return it."""
    return engine.schedules.resume(name)
