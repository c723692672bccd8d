"""Zendesk through its incremental export: the ticket events of a day, with the same ids as its webhooks.

- Ticket events are exported in order of time, 1,000 a page, with their comments. Tickets and people that a page names are read in
  lists of 100. An event is converted to the form of its webhook and read by the receiver.
- Steps of a ticket (solved, closed, reopened, assigned) have the same ids as their webhooks: ticket, kind and second.
- Messages of Zendesk's messaging are not in the export. Where webhooks were lost, or none are set up, a range with tickets of
  messaging is partial for their channel.
- Zendesk allows ten requests a minute to the export, and no start time within the last minute.
- Texts are read only for labels, and not stored.
- Not verified against the service: written from its published schema.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamUnavailableError
from hubbub.ingest.connectors.api import Api, ApiConnector, listed
from hubbub.ingest.connectors.base import Batch, Notes
from hubbub.ingest.receivers.base import Options, Received
from hubbub.ingest.receivers.fields import Fields
from hubbub.ingest.receivers.helpdesk import channel, when
from hubbub.ingest.receivers.zendesk import PREFIX, PROVIDER, meaning
from hubbub.ingest.setting import BASE_URL, LABELS, SINCE, ZONE, Setting
from hubbub.model.coverage import Day

LIST = 100
YOUNGEST = timedelta(minutes=2)
SET_URL = "Set base_url: the address of your Zendesk, like https://acme.zendesk.com"
SUBSCRIBE = "Subscribe the webhook to Messaging: Message added; lost messages cannot be fetched"
STAFF = frozenset({"agent", "admin"})
STEPS = {"status": "ticket.status_changed", "assignee_id": "ticket.agent_assignment_changed"}
"""Changed field of a ticket -> the webhook that reports it."""


class ZendeskAccount(ApiConnector):
    """An account of Zendesk. Its secret is an admin's `mail/token:TOKEN`, or an OAuth token."""

    provider = PROVIDER
    token = "API token of an admin as MAIL/token:TOKEN, or an OAuth token with the scope read, to fetch days with"
    needs = "base_url"
    subjects = frozenset({"message", "conversation"})
    settings = (
        Setting("base_url", "address of your Zendesk, like https://acme.zendesk.com, to fetch days of it", BASE_URL),
        Setting(
            "account_id", "number of the account, as account_id in its webhooks: fetched events get it", r"\d{1,20}"
        ),
        ZONE,
        SINCE,
        LABELS,
    )

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield the day's comments and steps of tickets, oldest first, page by page."""
        self.needed(integration, self.needs, SET_URL)
        way = f"Basic {b64encode(secret.encode()).decode()}" if ":" in secret else f"Bearer {secret}"
        api = self.api(integration, notes, {"Authorization": way})
        sent = "secret" in integration.secret_names and not notes.lost
        account = str(self.setting(integration, "account_id") or "")
        visit = _Visit(api, day, self.options(integration), account, None if sent else notes)
        start = (notes.place or {}).get("start") or int(min(day.start, datetime.now(UTC) - YOUNGEST).timestamp())
        while start is not None:
            page = api.get("/api/v2/incremental/ticket_events.json", {"start_time": start, "include": "comment_events"})
            yield self.batch(visit.read(listed(page, "ticket_events")))
            start = _next_start(page, start, day)
            notes.place = {"start": start} if start else None


def _next_start(page: Fields, start: int, day: Day) -> int | None:
    """Return the beginning of the next page; None after the last one that has events of the day."""
    end = page.number("end_time")
    if page.of.get("end_of_stream") is True or (end is not None and end >= day.end.timestamp()):
        return None
    if end is None and not page.children("ticket_events"):
        return None
    if end is None or end <= start:
        raise UpstreamUnavailableError("Zendesk gave the same page twice")
    return int(end)


@dataclass
class _Visit:
    """A reading of a day. `unsent`: the notes, when messages of messaging did not arrive by webhooks; else None."""

    api: Api
    day: Day
    options: Options
    account: str
    unsent: Notes | None
    _tickets: dict[str, Fields] = field(default_factory=dict)
    _people: dict[str, Fields] = field(default_factory=dict)

    def read(self, page: list[Fields]) -> Iterator[Received]:
        """Yield the meaning of a page's events that lie in the day."""
        inside = [event for event in page if self._is_inside(event)]
        self._tickets = self._list("tickets", (event.text("ticket_id") for event in inside))
        writers = (step.text("author_id") for event in inside for step in event.children("child_events"))
        self._people |= self._list("users", (id_ for id_ in writers if id_ not in self._people))
        for event in inside:
            for body in self._bodies(event):
                yield meaning(body, self.options)

    def _is_inside(self, event: Fields) -> bool:
        at = when(event, "created_at")
        if not isinstance(at, datetime):
            raise UpstreamUnavailableError("Zendesk gave a ticket event without its time")
        return self.day.start <= at < self.day.end

    def _list(self, kind: str, ids: Iterable[str]) -> dict[str, Fields]:
        """Return tickets or people by id; those that were deleted are absent."""
        wanted = sorted({id_ for id_ in ids if id_.isdecimal()}, key=int)
        records: dict[str, Fields] = {}
        for first in range(0, len(wanted), LIST):
            answer = self.api.get(f"/api/v2/{kind}/show_many.json", {"ids": ",".join(wanted[first : first + LIST])})
            records |= {record.text("id"): record for record in listed(answer, kind)}
        return records

    def _bodies(self, event: Fields) -> Iterator[Fields]:
        """Yield a ticket event as bodies of webhooks: one for each of its steps."""
        ticket = self._tickets.get(event.text("ticket_id"), Fields({"id": event.text("ticket_id")}))
        steps = event.children("child_events")
        at = event.text("created_at")
        if any(step.text("event_type") == "Create" for step in steps):
            yield self._body("ticket.created", ticket, at, {})
        for step in steps:
            if step.text("event_type") == "Comment":
                yield from self._comment(ticket, step, at)
            elif step.text("event_type") == "Change":
                changed = {name: step.of[name] for name in STEPS if name in step.of}
                for name, value in changed.items():
                    change = {"previous": step.text("previous_value"), "current": value}
                    yield self._body(STEPS[name], ticket, at, change)

    def _comment(self, ticket: Fields, step: Fields, at: str) -> Iterator[Fields]:
        if ticket.of.get("from_messaging_channel") is True:
            medium = channel(ticket.text("via", "channel"), PROVIDER)
            if self.unsent is not None:
                self.unsent.trouble(
                    f"messages of messaging ({medium}) are not in Zendesk's export", SUBSCRIBE, channel=medium
                )
            return
        person = self._people.get(step.text("author_id"), Fields({}))
        comment = {
            "id": step.text("id"), "is_public": step.of.get("public"), "body": step.text("plain_body") or step.text("body"),
            "author": {"id": step.text("author_id"), "name": person.text("name"), "is_staff": person.text("role") in STAFF},
        }  # fmt: skip
        yield self._body("ticket.comment_added", ticket, step.text("created_at") or at, {"comment": comment})

    def _body(self, type_: str, ticket: Fields, at: str, event: Mapping[str, object]) -> Fields:
        detail = {**ticket.of, "updated_at": at}
        return Fields(
            {"type": PREFIX + type_, "account_id": self.account, "time": at, "detail": detail, "event": event}
        )
