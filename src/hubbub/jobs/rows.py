"""A job as a row: what DBOS says of a workflow, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dbos import WorkflowStatus

TRIES = 3
"""How often a job may end the process that runs it, before it is parked."""

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
"""A job's state as we call it, and DBOS's status of it. A job to be tried again is an ERROR with the attribute `retrying`."""
NAMES = {status: state for state, status in STATES.items()}
IN_FLIGHT = ["ENQUEUED", "DELAYED", "PENDING"]


def payload_of(status: WorkflowStatus) -> Mapping[str, Any]:
    """Return what a job was started with."""
    args = (status.input or {"args": ()})["args"]
    return args[0] if args else {}


def _moment(milliseconds: float | None) -> str | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if milliseconds else None


def row_of(status: WorkflowStatus, *, whole: bool = False) -> dict[str, Any]:
    """Return a job as faces show it; `whole` adds payload and result, which were loaded."""
    noted = status.attributes or {}
    state = "retrying" if status.status == "ERROR" and noted.get("retrying") else NAMES[str(status.status)]
    error = noted.get("error") if state in ("failed", "retrying", "parked", "active", "waiting") else None
    if state == "parked":
        error = f"its process died {TRIES} times while it ran; 'hubbub jobs retry' gives it another chance"
    seconds = None
    if status.completed_at and status.dequeued_at:
        seconds = round((status.completed_at - status.dequeued_at) / 1000, 3)
    row: dict[str, Any] = {
        "id": status.workflow_id, "queue": status.name, "state": state,
        "tenant": status.authenticated_user or None, "attempts": noted.get("attempts", 0),
        "progress": 100 if state == "completed" else noted.get("progress", 0), "error": error,
        "error_class": noted.get("class") if error else None, "action": noted.get("action") if error else None,
        "created_at": _moment(status.created_at), "started_at": _moment(status.dequeued_at),
        "ended_at": _moment(status.completed_at) if state not in ("active", "waiting", "delayed", "retrying") else None,
        "next_try_at": _moment(noted["retry_at"] * 1000) if state == "retrying" and noted.get("retry_at") else None,
        "seconds": seconds if state in ("completed", "failed") else None,
    }  # fmt: skip
    if whole:
        row["payload"] = payload_of(status)
        row["result"] = status.output if state == "completed" else noted.get("result")
    return row
