"""Jobs as rows, from DBOS's status of workflows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hubbub.model.plain import JsonObject

if TYPE_CHECKING:
    from dbos import WorkflowStatus

TRIES = 3
"""Number of deaths of its process after which a job is parked."""

STATES = {
    "waiting": "ENQUEUED",
    "delayed": "DELAYED",
    "active": "PENDING",
    "completed": "SUCCESS",
    "retrying": "ERROR",
    "failed": "ERROR",
    "cancelled": "CANCELLED",
    "parked": "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
}
"""A job's state -> DBOS's status. A job to retry is an ERROR with the attribute `retrying`."""
NAMES = {status: state for state, status in STATES.items()}
IN_FLIGHT = ["ENQUEUED", "DELAYED", "PENDING"]


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job."""

    id: str
    """The job's id."""
    queue: str
    """The job's queue."""
    state: str
    """waiting, delayed, active, retrying, completed, failed, cancelled or parked."""
    tenant: str | None
    """The job's tenant; null: all tenants."""
    attempts: int
    """Number of attempts."""
    progress: int
    """In percent."""
    error: str | None
    """The reason of the failure."""
    error_class: str | None
    """Whether another attempt can help: transient, permanent or unknown."""
    action: str | None
    """What a person can do."""
    created_at: datetime | None
    """When it was created."""
    started_at: datetime | None
    """When the last attempt began."""
    ended_at: datetime | None
    """When it ended."""
    next_try_at: datetime | None
    """When it is retried."""
    seconds: float | None
    """Duration, once it has ended."""


@dataclass(frozen=True, slots=True)
class JobView(JobRow):
    """A job with its payload and result."""

    payload: JsonObject
    """The job's payload."""
    result: Any
    """The job's result."""


def payload_of(status: WorkflowStatus) -> JsonObject:
    """Return a job's payload."""
    args = (status.input or {"args": ()})["args"]
    return args[0] if args else {}


def state_of(status: WorkflowStatus) -> str:
    """Return a job's state."""
    retrying = status.status == "ERROR" and (status.attributes or {}).get("retrying")
    return "retrying" if retrying else NAMES[str(status.status)]


def row_of(status: WorkflowStatus) -> JobRow:
    """Return a job for a list."""
    return JobRow(**_values(status))


def view_of(status: WorkflowStatus) -> JobView:
    """Return a job with its loaded payload and result."""
    done = state_of(status) == "completed"
    result = status.output if done else (status.attributes or {}).get("result")
    return JobView(**_values(status), payload=payload_of(status), result=result)


def _values(status: WorkflowStatus) -> dict[str, Any]:
    noted, state = status.attributes or {}, state_of(status)
    error = noted.get("error") if state in ("failed", "retrying", "parked", "active", "waiting") else None
    if state == "parked":
        error = f"its process died {TRIES} times while it ran; 'hubbub jobs retry' starts it again"
    seconds = None
    if status.completed_at and status.dequeued_at:
        seconds = round((status.completed_at - status.dequeued_at) / 1000, 3)
    return {
        "id": status.workflow_id, "queue": status.name, "state": state,
        "tenant": status.authenticated_user or None, "attempts": noted.get("attempts", 0),
        "progress": 100 if state == "completed" else noted.get("progress", 0), "error": error,
        "error_class": noted.get("class") if error else None, "action": noted.get("action") if error else None,
        "created_at": _moment(status.created_at), "started_at": _moment(status.dequeued_at),
        "ended_at": _moment(status.completed_at) if state not in ("active", "waiting", "delayed", "retrying") else None,
        "next_try_at": _moment(noted["retry_at"] * 1000) if state == "retrying" and noted.get("retry_at") else None,
        "seconds": seconds if state in ("completed", "failed") else None,
    }  # fmt: skip


def _moment(milliseconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
