"""The engine's operations on messages that go out: destinations, the outbox, and handing over what is due.

`Engine` (app.py) inherits them.
"""

from __future__ import annotations

from abc import ABC
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from hubbub.alerts.deliver import Ways, deliver
from hubbub.alerts.destinations import address
from hubbub.alerts.notice import Notice
from hubbub.clock import Clock
from hubbub.errors import BadInputError, HubbubError, NotFoundError
from hubbub.model.page import check_limit, cut, place_of
from hubbub.operations.reports import ReportService
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.mail import Attachment, Server
from hubbub.settings import Settings
from hubbub.store.alerts import new_id
from hubbub.store.control import Control
from hubbub.store.database import Database
from hubbub.store.integrations import Integrations
from hubbub.store.outbox import Destination, Draft, Message, Outbox
from hubbub.store.vault import Vault
from hubbub.telemetry import log

OPERATIONS = (
    "add_destination", "destinations", "remove_destination", "test_destination", "messages", "retry_message", "deliver_messages",
)  # fmt: skip
"""Those that a command, a route or a worker may ask it to do."""
AT_ONCE = 8
"""Messages that are handed over at once: a receiver that does not answer holds up few others."""
KEPT = timedelta(days=400)


class DeliveryOperations(ABC):
    """What an engine does with messages that go out."""

    settings: Settings
    clock: Clock
    control: Control
    http: Outgoing
    integration_store: Integrations
    reports: ReportService

    def _open_delivery(self, database: Database) -> None:
        self.outbox = Outbox(database, Vault(self.settings.data, self.settings.secret_key.get_secret_value()))

    # --- destinations

    def add_destination(
        self, tenant: str, kind: str, to: str, name: str = "", secret: str = "", integration: str = ""
    ) -> dict[str, Any]:
        """Store where messages may go; of a webhook the answer holds its secret, which is not shown again. Raises BadInputError."""
        one = self.control.tenant(tenant)
        if integration and self.integration_store.get(one.id, integration).provider != "slack":
            raise BadInputError(f"integration: {integration[:40]} is not one of Slack")
        where = address(self.http, kind, to, secret, integration)
        if not name.isprintable() or len(name) > 200:
            raise BadInputError("name: at most 200 printable characters")
        made = self.outbox.add_destination(
            new_id("dst"), one.id, kind, name or where.shown, where.shown[:200], where.secret
        )
        return {**_destination(made), **({"secret": where.secret["secret"]} if kind == "webhook" else {})}

    def destinations(self, tenant: str) -> dict[str, Any]:
        """Return a tenant's destinations, oldest first, without what is secret of them."""
        return {"rows": [_destination(one) for one in self.outbox.destinations(self.control.tenant(tenant).id)]}

    def remove_destination(self, tenant: str, destination_id: str) -> dict[str, Any]:
        """Delete a destination; what waits to be sent there is given up."""
        self.outbox.remove_destination(self.control.tenant(tenant).id, destination_id)
        return {"removed": destination_id}

    def test_destination(self, tenant: str, destination_id: str) -> dict[str, Any]:
        """Send a test now; returns the message with its state and, where it did not arrive, why."""
        one = self.control.tenant(tenant)
        found, now = self.outbox.destination(one.id, destination_id), self.clock()
        notice = Notice(
            "test", "A test from Hubbub", (f"Messages for {one.name or one.id} arrive here.",), "", {"tenant": one.id}
        )
        draft = Draft(new_id("msg"), one.id, found.id, notice.type, notice.document(), now, now, about=found.id)
        self.outbox.put(draft)
        self._deliver(draft.id)
        return _message(self.outbox.message(draft.id))

    # --- messages

    def messages(
        self, tenant: str, about: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return a tenant's messages, newest first: sent, waiting, held or failed, with the reason; `about` an incident, say."""
        one = self.control.tenant(tenant)
        before = (place_of(cursor, str) or ("",))[0]
        found = self.outbox.page(one.id, about=about, before=before, limit=check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda message: (message.id,))
        return {"rows": [_message(one) for one in rows], "next": following}

    def retry_message(self, tenant: str, message_id: str) -> dict[str, Any]:
        """Try a message that failed again, for another eight hours."""
        return _message(self.outbox.again(self.control.tenant(tenant).id, message_id, self.clock()))

    def deliver_messages(self) -> dict[str, Any]:
        """Hand over what is due; counts what was sent, is tried again later, and failed for good."""
        counts = {"sent": 0, "waiting": 0, "failed": 0}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hubbub-deliver") as pool:
            while due := self.outbox.due(self.clock()):
                for state in pool.map(self._deliver, due):
                    if state is not None:
                        counts[state] += 1
        self.outbox.forget(self.clock() - KEPT)
        return counts

    def _deliver(self, message_id: str) -> str | None:
        """Hand a message over, unless somebody else does; returns its state after that."""
        message = self.outbox.take(message_id, self.clock())
        if message is None:
            return None
        try:
            destination = self.outbox.destination(message.tenant, message.destination)
            deliver(self._ways(), destination, self.outbox.secret(destination), message, self.clock())
        except NotFoundError as error:
            self.outbox.failed(message, self.clock(), error.message, again=False)
        except HubbubError as error:
            self._failed(message, destination, error)
        except Exception as error:  # one message that cannot be written stops no other
            log.exception("message could not be written", message=message.id)
            self.outbox.failed(message, self.clock(), f"{type(error).__name__}: {error}", again=True)
        else:
            self.outbox.sent(message, self.clock())
        state = self.outbox.message(message_id).state
        log.info("message delivered" if state == "sent" else "message not delivered", tenant=message.tenant, message=message.id,
                 about=message.about, state=state)  # fmt: skip
        return state

    def _failed(self, message: Message, destination: Destination, error: HubbubError) -> None:
        """Note what went wrong; a webhook is tried again whatever it answered, since its owner may be mending it."""
        action = str(getattr(error, "action", ""))
        why = f"{error.message}{f': {action}' if action and action not in error.message else ''}"
        self.outbox.failed(
            message, self.clock(), why, again=error.retry or destination.kind == "webhook",
            retry_after=getattr(error, "retry_after", None),
        )  # fmt: skip

    def _ways(self) -> Ways:
        mail = self.settings.mail
        server = Server(
            mail.host, mail.port, mail.sender, mail.security, mail.user, mail.password.get_secret_value()
        ) if mail.host else None  # fmt: skip
        base = self.settings.address("") if self.settings.public_url else ""
        return Ways(self.http, server, base, self._slack, self._file)

    def _slack(self, tenant: str, integration_id: str) -> tuple[str, str]:
        found = self.integration_store.get(tenant, integration_id)
        return self.integration_store.secret(found), str(found.settings.get("base_url", ""))

    def _file(self, tenant: str, report: str, format_: str) -> Attachment:
        found = self.reports.file(tenant, report, format_)
        return Attachment(found.path, found.media_type, found.name)


def _destination(one: Destination) -> dict[str, Any]:
    return {"id": one.id, "kind": one.kind, "name": one.name, "to": one.shown, "created_at": one.created_at.isoformat()}


def _message(one: Message) -> dict[str, Any]:
    return {
        "id": one.id, "destination": one.destination, "type": one.kind, "title": one.document["title"], "about": one.about or None,
        "state": one.state, "why": one.why, "tries": one.tries, "created_at": one.created_at.isoformat(),
        "next_try": one.next_try.isoformat() if one.state == "waiting" else None,
        "sent_at": one.sent_at.isoformat() if one.sent_at and one.state == "sent" else None,
    }  # fmt: skip
