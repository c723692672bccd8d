"""Chatwoot through its API: the messages of a day, with the same ids as its webhooks, so that a fetch replaces lost webhooks.

- Chatwoot sends each webhook once, so days are fetched as well: conversations by last activity, newest first, and the day's
  messages of each. A conversation with a new message moves to the front of the list while it is read; the list is read again until
  none moved.
- The API reports no time of a receipt or a rating: the message's time is used. It reports no changes of a conversation's status
  or assignee: when their webhook is lost, they stay lost.
- Texts are read only for labels, and not stored.
- Not verified against the service: written from its source code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.api import Api, ApiConnector, listed
from hubbub.ingest.connectors.base import Batch, Notes
from hubbub.ingest.receivers.base import Options, Received
from hubbub.ingest.receivers.chatwoot import PROVIDER, conversation_began, message_received
from hubbub.ingest.receivers.fields import Fields
from hubbub.ingest.receivers.helpdesk import key, when
from hubbub.ingest.setting import BASE_URL, SINCE, ZONE, Setting
from hubbub.model.coverage import Day
from hubbub.model.window import Window

MOST_PAGES = 10_000
SET_ACCOUNT = "Set account_id: the number behind /accounts/ in the address of your Chatwoot"


class ChatwootAccount(ApiConnector):
    """An account of Chatwoot. Its secret is the access token of a user who sees all inboxes."""

    provider = PROVIDER
    token = "access token of a user who sees all inboxes, to fetch days with"
    needs = "account_id"
    subjects = frozenset({"message", "conversation", "satisfaction"})
    settings = (
        Setting("account_id", "number of the account, to fetch days of it", r"\d{1,12}", fixed=True),
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
        """Yield the messages of the day, conversation by conversation, latest activity first."""
        account = self.needed(integration, self.needs, SET_ACCOUNT)
        api = self.api(integration, notes, {"api_access_token": secret})
        done = set((notes.place or {}).get("done", []))
        visit = _Visit(
            api,
            f"/api/v1/accounts/{account}/conversations",
            Window(day.start, day.end),
            done,
            self.options(integration),
        )
        while visit.moved:
            for conversation in visit.conversations():
                yield from map(self.batch, visit.messages(conversation))
                notes.place = {"done": sorted(visit.done)}


@dataclass
class _Visit:
    """A reading of a day. `done` are ids of conversations; `moved` says that the list must be read again."""

    api: Api
    path: str
    span: Window
    done: set[str]
    options: Options
    moved: bool = True
    _until: datetime | None = None

    def conversations(self) -> Iterator[Fields]:
        """Yield conversations that were active in the range or later and are not done; notes whether any moved to the front."""
        newest: datetime | None = None
        self.moved = False
        for number in range(1, MOST_PAGES + 1):
            params = {"status": "all", "assignee_type": "all", "sort_by": "last_activity_at_desc", "page": number}
            page = listed(self.api.get(self.path, params), "data", "payload")
            for conversation in page:
                active = when(conversation, "last_activity_at")
                if not isinstance(active, datetime):
                    raise UpstreamUnavailableError("Chatwoot gave a conversation without its last activity")
                newest = max(newest or active, active)
                if active < self.span.start or (self._until is not None and active < self._until):
                    self._until = newest
                    return
                began = when(conversation, "created_at")
                if conversation.text("id") not in self.done and not (
                    isinstance(began, datetime) and began >= self.span.end
                ):
                    self.moved = True
                    yield conversation
            if not page:
                self._until = newest
                return
        raise UpstreamRefusedError(
            f"there are more than {MOST_PAGES} pages of conversations", action="Set 'since' later"
        )

    def messages(self, conversation: Fields) -> Iterator[list[Received]]:
        """Yield the messages of a conversation in the range, latest page first, and its beginning."""
        params: dict[str, Any] = {}
        began = when(conversation, "created_at")
        if isinstance(began, datetime) and self.span.start <= began < self.span.end:
            yield [conversation_began(conversation)]
        while True:
            page = listed(self.api.get(f"{self.path}/{conversation.text('id')}/messages", params), "payload")
            yield list(self._received(page, conversation))
            numbers = [int(message.text("id")) for message in page if message.text("id").isdecimal()]
            earliest = when(page[0], "created_at") if page else None
            if not numbers or (isinstance(earliest, datetime) and earliest < self.span.start):
                break
            if params.get("before") == min(numbers):
                raise UpstreamUnavailableError("Chatwoot gave the same page twice")
            params = {"before": min(numbers)}
        self.done.add(conversation.text("id"))

    def _received(self, page: Iterable[Fields], conversation: Fields) -> Iterator[Received]:
        for message in page:
            at = when(message, "created_at")
            if not isinstance(at, datetime) or self.span.start <= at < self.span.end:
                account = {"id": conversation.text("account_id")}
                body = Fields({**message.of, "conversation": conversation.of, "account": account})
                yield message_received(body, self.options, at if isinstance(at, datetime) else self.span.start)
