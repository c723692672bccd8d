"""Chatwoot through its API: the messages of a day, under the ids that its webhook gives, so that what a webhook lost is mended.

- Chatwoot sends each webhook once, so days are fetched as well: conversations by their last activity, the newest first, and of each
  the messages of the day. A conversation that somebody writes in meanwhile moves to the front of the list; so what moved there is
  read again until nothing did.
- The API tells no moment of a receipt or a rating: the message's own stands for it. It tells no changes of a conversation's status
  and assignee either: what a webhook lost of these stays lost.
- Texts are not kept.
- Not verified against the service: written from its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import BASE_URL, SINCE, ZONE, Batch, Connector, Notes, Setting
from hubbub.ingest.receivers.base import Options, Received
from hubbub.ingest.receivers.chatwoot import PROVIDER, conversation_began, message_received
from hubbub.ingest.receivers.fields import Fields
from hubbub.ingest.receivers.helpdesk import key, when
from hubbub.model.coverage import Day
from hubbub.model.event import Item, record_from
from hubbub.model.name import Name
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing

MOST_PAGES = 10_000
SET_ACCOUNT = "Set account_id: the number behind /accounts/ in the address of your Chatwoot"


class ChatwootAccount(Connector):
    """An account of Chatwoot. Its secret is the access token of a user who sees all inboxes."""

    provider = PROVIDER
    subjects = frozenset({"message", "conversation", "satisfaction"})
    settings = (
        Setting("account_id", "number of the account, to fetch days of it", r"\d{1,12}"),
        ZONE,
        SINCE,
        Setting("base_url", "address of your Chatwoot", BASE_URL, default="https://app.chatwoot.com"),
    )

    @classmethod
    def dims(cls, integration: Integration) -> Mapping[str, frozenset[str]]:
        """Return the account, where it is set."""
        account = key(PROVIDER, str(integration.settings.get("account_id", "")))
        return {"account_id": frozenset({account})} if account else {}

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield the messages of the day conversation by conversation, the latest active first."""
        account = str(integration.settings.get("account_id", ""))
        if not account:
            raise UpstreamRefusedError("no account is set to fetch days of", action=SET_ACCOUNT)
        url = f"{self.setting(integration, 'base_url').rstrip('/')}/api/v1/accounts/{account}/conversations"
        done = set((notes.place or {}).get("done", []))
        visit = _Visit(self.http, url, secret, Window(day.start, day.end), done)
        while visit.moved:
            for conversation in visit.conversations():
                yield from visit.messages(conversation)
                notes.place = {"done": sorted(visit.done)}

    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[Batch]:
        """Yield nothing: a message is of the day that it was written on, whenever its conversation began."""
        return iter(())


@dataclass
class _Visit:
    """One reading of a day. `done` are ids of conversations; `moved` says that the list has to be read once more."""

    http: Outgoing
    url: str
    token: str
    span: Window
    done: set[str]
    moved: bool = True
    _until: datetime | None = None

    def conversations(self) -> Iterator[Fields]:
        """Yield conversations that were active in the stretch or later and are not done; notes whether others came to the front."""
        newest: datetime | None = None
        self.moved = False
        for number in range(1, MOST_PAGES + 1):
            asked = {"status": "all", "assignee_type": "all", "sort_by": "last_activity_at_desc", "page": number}
            page = self._ask(self.url, asked).many("data", "payload")
            for one in page:
                active = when(one, "last_activity_at")
                if not isinstance(active, datetime):
                    raise UpstreamUnavailableError("Chatwoot gave a conversation without its last activity")
                newest = max(newest or active, active)
                if active < self.span.start or (self._until is not None and active < self._until):
                    self._until = newest
                    return
                began = when(one, "created_at")
                if one.text("id") not in self.done and not (isinstance(began, datetime) and began >= self.span.end):
                    self.moved = True
                    yield one
            if not page:
                self._until = newest
                return
        raise UpstreamRefusedError(
            f"there are more than {MOST_PAGES} pages of conversations", action="Set 'since' later"
        )

    def messages(self, conversation: Fields) -> Iterator[Batch]:
        """Yield the messages of a conversation in the stretch, the latest page first, and its beginning."""
        asked: dict[str, Any] = {}
        began = when(conversation, "created_at")
        if isinstance(began, datetime) and self.span.start <= began < self.span.end:
            yield _batch([conversation_began(conversation)])
        while True:
            page = self._ask(f"{self.url}/{conversation.text('id')}/messages", asked).many("payload")
            yield _batch(self._received(page, conversation))
            numbers = [int(one.text("id")) for one in page if one.text("id").isdecimal()]
            earliest = when(page[0], "created_at") if page else None
            if not numbers or (isinstance(earliest, datetime) and earliest < self.span.start):
                break
            if asked.get("before") == min(numbers):
                raise UpstreamUnavailableError("Chatwoot gave the same page twice")
            asked = {"before": min(numbers)}
        self.done.add(conversation.text("id"))

    def _received(self, page: Iterable[Fields], conversation: Fields) -> Iterator[Received]:
        for one in page:
            at = when(one, "created_at")
            if not isinstance(at, datetime) or self.span.start <= at < self.span.end:
                account = {"id": conversation.text("account_id")}
                whole = Fields({**one.of, "conversation": conversation.of, "account": account})
                yield message_received(whole, Options(""), at if isinstance(at, datetime) else self.span.start)

    def _ask(self, url: str, asked: Mapping[str, Any]) -> Fields:
        answer = self.http.send("GET", url, params=asked, headers={"api_access_token": self.token}).checked()
        body = answer.json()
        if not isinstance(body, dict):
            raise UpstreamUnavailableError(f"{answer.host} answered with something else than an object")
        return Fields(body)


def _batch(found: Iterable[Received]) -> Batch:
    """Return events and names of what was read."""
    batch: list[Item | Name] = []
    for one in found:
        batch += (
            record_from({"source": PROVIDER, **event}, index) for index, event in enumerate(one.events, len(batch))
        )
        batch += one.names
    return batch
