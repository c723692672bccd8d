"""Destinations: the addresses of a tenant's messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hubbub.alerts.destinations import address
from hubbub.alerts.notice import Notice
from hubbub.clock import Clock
from hubbub.control.alerts import Alerts
from hubbub.control.control import Control
from hubbub.control.database import new_id
from hubbub.control.integrations import Integrations
from hubbub.control.outbox import Destination, Draft, Outbox
from hubbub.control.subscriptions import Subscriptions
from hubbub.errors import BadInputError, ConflictError
from hubbub.model.answers import Removed
from hubbub.model.page import Page
from hubbub.model.window import utc_naive
from hubbub.outgoing.http import Outgoing
from hubbub.services.messages import MessageService, MessageView


@dataclass(frozen=True, slots=True)
class DestinationView:
    """A destination."""

    id: str
    kind: str
    """mail, slack or webhook."""
    name: str
    to: str
    """The address, without its secret part."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewDestination(DestinationView):
    """A new destination."""

    secret: str | None
    """Of a webhook; shown only this once."""


class DestinationService:
    """Stores destinations, the secret parts of their addresses encrypted."""

    def __init__(
        self, clock: Clock, control: Control, http: Outgoing, integrations: Integrations, outbox: Outbox, rules: Alerts,
        messages: MessageService,
    ) -> None:  # fmt: skip
        self._clock, self._control, self._http = clock, control, http
        self._integrations, self._outbox, self._rules, self._messages = integrations, outbox, rules, messages
        self._subscriptions = Subscriptions(control.database)

    def add(
        self, tenant: str, kind: str, to: str, name: str = "", secret: str = "", integration: str = ""
    ) -> NewDestination:
        """Store a destination; for a webhook the answer holds its secret, which is not shown again. Raises BadInputError."""
        owner = self._control.tenant(tenant)
        if integration and self._integrations.get(owner.id, integration).provider != "slack":
            raise BadInputError(f"integration: {integration[:40]} is not a Slack integration")
        where = address(self._http, kind, to, secret, integration)
        if not name.isprintable() or len(name) > 200:
            raise BadInputError("name: at most 200 printable characters")
        stored = self._outbox.add_destination(
            new_id("dst"), owner.id, kind, name or where.shown, where.shown[:200], where.secret
        )
        return NewDestination(
            stored.id, stored.kind, stored.name, stored.shown, utc_naive(stored.created_at),
            where.secret["secret"] if kind == "webhook" else None,
        )  # fmt: skip

    def of(self, tenant: str) -> Page[DestinationView]:
        """Return a tenant's destinations, oldest first, without their secrets."""
        return Page([_view(destination) for destination in self._outbox.destinations(self._control.tenant(tenant).id)])

    def remove(self, tenant: str, destination: str) -> Removed:
        """Delete a destination, and give up its waiting messages.

        Raises NotFoundError, and ConflictError naming the alert rules and digests that send there: they would notify
        nobody.
        """
        owner = self._control.tenant(tenant)
        self._outbox.destination(owner.id, destination)
        rules = [
            rule.id for rule in self._rules.rules(owner.id) if destination in rule.document.get("destinations", ())
        ]
        digests = [
            digest.id for digest in self._subscriptions.of(owner.id)
            if digest.destination == destination and digest.state == "active"
        ]  # fmt: skip
        if used := [*rules, *digests]:
            raise ConflictError(
                f"{', '.join(used)} send to {destination}: give them another destination, or remove them first"
            )
        self._outbox.remove_destination(owner.id, destination)
        return Removed(destination)

    def test(self, tenant: str, destination: str) -> MessageView:
        """Send a test message now; the answer says whether it arrived, and why not."""
        owner = self._control.tenant(tenant)
        stored, now = self._outbox.destination(owner.id, destination), self._clock()
        notice = Notice(
            "test",
            "A test from Hubbub",
            (f"Messages for {owner.name or owner.id} arrive here.",),
            "",
            {"tenant": owner.id},
        )
        return self._messages.send_now(
            Draft(new_id("msg"), owner.id, stored.id, notice.type, notice.document(), now, now, about=stored.id)
        )


def _view(destination: Destination) -> DestinationView:
    return DestinationView(
        destination.id, destination.kind, destination.name, destination.shown, utc_naive(destination.created_at)
    )
