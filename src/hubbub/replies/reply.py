"""A suggested reply from request to delivery, in steps that can be repeated after a crash.

The suggestion and its delivery are stored under ids that derive from the request's id. So however often a run is repeated, the
model is asked once, one `response.ai_generated` is counted, and only an undelivered reply is delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.integrations import Integrations
from hubbub.control.payloads import Payloads, Promise
from hubbub.errors import NotFoundError
from hubbub.model.event import EventFields
from hubbub.model.plain import JsonObject
from hubbub.outgoing.http import Outgoing
from hubbub.progress import Percent, quiet
from hubbub.replies.deliver import deliver
from hubbub.replies.generate import generate
from hubbub.replies.request import ReplyRequest, read_request
from hubbub.settings import Ai

REQUEST, SUGGESTION, DELIVERY = "reply request", "suggestion", "delivery"
Record = Callable[[str, JsonObject], object]


@dataclass(frozen=True, slots=True)
class Suggested:
    """A suggested reply."""

    suggestion_id: str
    suggestion_ref: str
    """The same id again, under its former name."""
    processing_time_ms: int
    delivered: bool
    delivery: str
    """The way of delivery, or the reason why it was not delivered."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A stored suggestion with its text."""

    suggestion_id: str
    suggestion: str
    processing_time_ms: int
    at: str


class Replies:
    """Prepares, writes and delivers replies. `record` stores an event of a tenant."""

    def __init__(
        self, http: Outgoing, ai: Ai, control: Control, payloads: Payloads, integrations: Integrations, record: Record,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._http, self._ai, self._record, self._clock = http, ai, record, clock
        self._control, self._payloads, self._integrations = control, payloads, integrations

    def prepare(self, tenant: str, payload: JsonObject, promise: Promise | None = None) -> str:
        """Check and store a request, with the promise of its job; return its reference.

        Raises BadRequestError with the invalid field, NotFoundError.
        """
        tenant_id = self._control.tenant(tenant).id
        read_request(payload)
        return self._payloads.put(tenant_id, REQUEST, payload, promise=promise)

    def reply(self, tenant: str, reference: str, progress: Percent = quiet) -> Suggested:
        """Write the reply to a stored request, store it as a suggestion, record its event, deliver it to Slack.

        `progress` is called with 90 and 100. A repeated run skips steps that are done. Raises NotFoundError,
        UpstreamUnavailableError (try again), UpstreamRefusedError (a person has to act).
        """
        self._control.tenant(tenant)
        request = read_request(self._payloads.get(tenant, reference, REQUEST))
        suggestion_id = _made_from(reference, "sug")
        suggestion = self._payloads.find(tenant, suggestion_id, SUGGESTION)
        if suggestion is None:
            self._payloads.put(tenant, SUGGESTION, self._written(request), suggestion_id)
            suggestion = self._payloads.get(tenant, suggestion_id, SUGGESTION)
        progress(90)
        self._record(tenant, _event(reference, request, suggestion))
        how = self._delivered(tenant, reference, request, suggestion["text"])
        progress(100)
        return Suggested(
            suggestion_id, suggestion_id, suggestion["took_ms"], how is not None,
            how or "stored only: the tenant has no active slack integration for this workspace",
        )  # fmt: skip

    def _written(self, request: ReplyRequest) -> dict[str, Any]:
        begun = time.perf_counter()
        text = generate(self._http, self._ai, request)
        took = round((time.perf_counter() - begun) * 1000)
        return {"text": text, "at": self._clock().isoformat(), "took_ms": took, "model": self._ai.model}

    def _delivered(self, tenant: str, reference: str, request: ReplyRequest, text: str) -> str | None:
        """Deliver unless it was delivered; return the way. After a crash before the delivery is stored, it is delivered again."""
        note = _made_from(reference, "dlv")
        done = self._payloads.find(tenant, note, DELIVERY)
        how = done["how"] if done else deliver(self._http, self._integrations, tenant, request, text)
        if how and not done:
            self._payloads.put(tenant, DELIVERY, {"how": how}, note)
        return how

    def suggestion(self, tenant: str, suggestion_id: str) -> Suggestion:
        """Return a stored suggestion. Raises NotFoundError."""
        stored = self._payloads.get(tenant, suggestion_id, SUGGESTION)
        return Suggestion(suggestion_id, stored["text"], stored["took_ms"], stored["at"])

    def forget(self, references: Sequence[str]) -> int:
        """Delete requests with their suggestions and deliveries; return the number of deleted payloads."""
        return self._payloads.delete([id_ for reference in references for id_ in _all_of(reference)])


def _made_from(reference: str, prefix: str) -> str:
    if not reference.startswith("pay_"):
        raise NotFoundError(f"there is no {REQUEST} {reference[:40]!r}")
    return f"{prefix}_{reference.removeprefix('pay_')}"


def _all_of(reference: str) -> tuple[str, str, str]:
    return reference, _made_from(reference, "sug"), _made_from(reference, "dlv")


def _event(reference: str, request: ReplyRequest, suggestion: JsonObject) -> EventFields:
    """Return the event of a suggestion. It is private, and so ends no wait, since only one person sees the suggestion."""
    return {
        "type": "response.ai_generated", "time": suggestion["at"], "id": f"ai-reply:{reference}", "source": "hubbub",
        "channel": "slack", "account_id": request.workspace_id, "channel_id": request.channel_id, "staff_id": request.user_id,
        "message_id": f"{request.channel_id}:{request.message_ts}", "kind": "ai", "status": "private",
        "duration_ms": suggestion["took_ms"], "attributes": {"triggered_by": request.triggered_by, "model": suggestion["model"]},
    }  # fmt: skip
