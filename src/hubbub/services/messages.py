"""Outgoing messages: their outcomes, and delivery of due ones."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hubbub.alerts.deliver import Ways, deliver
from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.integrations import Integrations
from hubbub.control.outbox import Destination, Draft, Message, Outbox
from hubbub.errors import HubbubError, NotFoundError
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.window import utc_naive
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.mail import Attachment, Server
from hubbub.services.reports import ReportService
from hubbub.settings import Settings
from hubbub.telemetry import log

AT_ONCE = 8
"""Messages that are delivered at once: an unresponsive receiver holds up few others."""
KEPT = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message of the outbox."""

    id: str
    destination: str
    type: str
    title: str
    about: str | None
    """Id of the incident or report."""
    state: Literal["waiting", "sent", "held", "failed"]
    why: str
    """Why it was not sent, or not yet."""
    tries: int
    created_at: datetime
    next_try: datetime | None
    """Not before this: due messages are sent every five minutes, with the job that judges rules."""
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """Outcomes of due messages: sent, to retry, failed for good."""

    sent: int
    waiting: int
    failed: int


class MessageService:
    """Delivers the outbox's messages."""

    def __init__(
        self, settings: Settings, clock: Clock, control: Control, http: Outgoing, integrations: Integrations, outbox: Outbox,
        reports: ReportService,
    ) -> None:  # fmt: skip
        self._settings, self._clock, self._control, self._http = settings, clock, control, http
        self._integrations, self._outbox, self._reports = integrations, outbox, reports

    def of(
        self, tenant: str, about: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[MessageView]:
        """Return a tenant's messages, newest first; `about`: of an incident or report."""
        owner = self._control.tenant(tenant)
        before = (place_of(cursor, str) or ("",))[0]
        messages = self._outbox.page(owner.id, about=about, before=before, limit=check_limit(limit) + 1)
        return paged(messages, limit, lambda message: (message.id,), message_view)

    def move_back(self, now: datetime, by: timedelta) -> None:
        """Move due times back with the clock, so that no message waits longer than before."""
        self._outbox.move_back(now, by)

    def retry(self, tenant: str, message: str) -> MessageView:
        """Try a failed message again, for another eight hours."""
        return message_view(self._outbox.again(self._control.tenant(tenant).id, message, self._clock()))

    def send_now(self, draft: Draft) -> MessageView:
        """Store a message and deliver it; the answer says whether it arrived, and why not."""
        self._outbox.put(draft)
        self._deliver(draft.id)
        return message_view(self._outbox.message(draft.id))

    def deliver(self) -> Delivered:
        """Deliver the due messages."""
        states: Counter[str | None] = Counter()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hubbub-deliver") as pool:
            while due := self._outbox.due(self._clock()):
                states.update(pool.map(self._deliver, due))
        self._outbox.forget(self._clock() - KEPT)
        return Delivered(states["sent"], states["waiting"], states["failed"])

    def _deliver(self, message_id: str) -> str | None:
        """Deliver a message, unless another process does; returns its state after that."""
        message = self._outbox.take(message_id, self._clock())
        if message is None:
            return None
        try:
            destination = self._outbox.destination(message.tenant, message.destination)
            deliver(self._ways(), destination, self._outbox.secret(destination), message, self._clock())
        except NotFoundError as error:
            self._outbox.failed(message, self._clock(), error.message, again=False)
        except HubbubError as error:
            self._failed(message, destination, error)
        except Exception as error:  # a failing message stops no other
            log.exception("message could not be written", message=message.id)
            self._outbox.failed(message, self._clock(), f"{type(error).__name__}: {error}", again=True)
        else:
            self._outbox.sent(message, self._clock())
        state = self._outbox.message(message_id).state
        log.info("message delivered" if state == "sent" else "message not delivered", tenant=message.tenant, message=message.id,
                 about=message.about, state=state)  # fmt: skip
        return state

    def _failed(self, message: Message, destination: Destination, error: HubbubError) -> None:
        """Note the error; a webhook is always retried, since its owner may be repairing it."""
        action = str(getattr(error, "action", ""))
        why = f"{error.message}{f': {action}' if action and action not in error.message else ''}"
        self._outbox.failed(
            message, self._clock(), why, again=error.retry or destination.kind == "webhook",
            retry_after=getattr(error, "retry_after", None),
        )  # fmt: skip

    def _ways(self) -> Ways:
        mail = self._settings.mail
        server = Server(
            mail.host, mail.port, mail.sender, mail.security, mail.user, mail.password.get_secret_value()
        ) if mail.host else None  # fmt: skip
        base = self._settings.address("") if self._settings.public_url else ""
        return Ways(self._http, server, base, self._slack, self._file)

    def _slack(self, tenant: str, integration_id: str) -> tuple[str, str]:
        integration = self._integrations.get(tenant, integration_id)
        return self._integrations.secret(integration), str(integration.settings.get("base_url", ""))

    def _file(self, tenant: str, report: str, format_: str) -> Attachment:
        file = self._reports.file(tenant, report, format_)
        return Attachment(file.path, file.media_type, file.name)


def message_view(message: Message) -> MessageView:
    """Return the public view of a message."""
    waits = message.next_try if message.state == "waiting" else None
    sent = message.sent_at if message.state == "sent" else None
    return MessageView(
        message.id, message.destination, message.kind, message.document["title"], message.about or None, message.state,
        message.why, message.tries, utc_naive(message.created_at), utc_naive(waits) if waits else None,
        utc_naive(sent) if sent else None,
    )  # fmt: skip
