"""The delivery log: the outcome of every body sent to `POST /v1/events` or to an integration, refused ones included.

This middleware is the outermost layer and reads the request's state: the `key` (admission and auth), the `problem` with its
`details`, the `outcome` of a batch (its route) and the number of `received` bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub.api.limits import EVENTS, HOOKS
from hubbub.control.control import Key
from hubbub.control.deliveries import Deliveries, Delivery
from hubbub.control.presence import SECONDS as PRESENT
from hubbub.ingest.accept import Outcome
from hubbub.telemetry import log as logs

SECONDS = 3.0
"""Seconds between writes of the counts."""
WARN_EVERY = 60.0
REFUSED = "refused"
LARGEST = 1 << 40
"""Most bytes that are counted for a body that was declared and not read."""


class Noted:
    """Records each delivery before its sender gets the answer."""

    def __init__(self, app: ASGIApp, log: Deliveries) -> None:
        self._app, self._log = app, log
        self._warned: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; record the outcome if it is a delivery."""
        if scope["type"] != "http" or not _is_delivery(scope):
            await self._app(scope, receive, send)
            return

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                delivery = _delivery(scope, message["status"])
                self._log.note(delivery)
                self._warn(delivery)
            await send(message)

        await self._app(scope, receive, noted)

    def _warn(self, delivery: Delivery) -> None:
        """Log, once a minute for each key, that every event of an accepted body was refused."""
        now = time.monotonic()
        if delivery.outcome == REFUSED and now - self._warned.get(delivery.key, -WARN_EVERY) >= WARN_EVERY:
            self._warned[delivery.key] = now
            logs.warning(
                "every event of a delivery was refused", key=delivery.key, tenant=delivery.tenant, reason=delivery.reason,
                field=delivery.field, events=delivery.rejected,
            )  # fmt: skip


def _is_delivery(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "POST" and (path == EVENTS or path.startswith(HOOKS))


def _delivery(scope: Scope, status: int) -> Delivery:
    """Return the outcome of a request's body."""
    state: dict[str, Any] = scope["state"]
    details = state.get("details", {})
    key: Key | None = state.get("key") or details.get("key")
    owner: dict[str, Any] = {"key": key.id, "tenant": key.tenant or ""} if key is not None else {}
    if "integration" in state:
        owner["origin"] = state["integration"].provider
    size = state.get("received") or _announced(scope)
    outcome: Outcome | None = state.get("outcome")
    if outcome is None or "problem" in state:
        reason = details.get("reason", "")
        return Delivery(status, state.get("problem", "internal"), reason=reason, bytes=size, **owner)
    first = outcome.rejected[0] if outcome.rejected else None
    stored = outcome.accepted + outcome.duplicates
    return Delivery(
        status, "accepted" if first is None else "partly_refused" if stored else REFUSED,
        reason=first.code if first else "", field=(first.field or "") if first else "", bytes=size,
        accepted=outcome.accepted, duplicates=outcome.duplicates, corrected=outcome.corrected,
        rejected=len(outcome.rejected), **owner,
    )  # fmt: skip


def _announced(scope: Scope) -> int:
    """Return the declared length of a body that was not read."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return min(int(length), LARGEST) if length.isdigit() and len(length) < 20 else 0


async def keep_writing(log: Deliveries) -> None:
    """Write the counts every SECONDS, until cancelled."""
    await _keep(log.write, SECONDS, "the delivery log cannot be written")


async def keep_present(note_presence: Callable[[], None]) -> None:
    """Record every few seconds that a server runs, with `note_presence`; the first time at once."""
    await _keep(note_presence, PRESENT, "the presence of this server cannot be noted", at_once=True)


async def _keep(work: Callable[[], None], seconds: float, away: str, *, at_once: bool = False) -> None:
    """Repeat a task on a thread of requests; log the first of several errors in a row, with the text `away`."""
    well = True
    pause = 0.0 if at_once else seconds
    while True:
        await asyncio.sleep(pause)
        pause = seconds
        try:
            await run_in_threadpool(work)
            well = True
        except Exception as error:  # the next time may succeed
            if well:
                logs.warning(away, error=type(error).__name__)
            well = False
