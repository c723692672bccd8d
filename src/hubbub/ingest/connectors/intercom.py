"""Intercom through its API: the conversations of a day, with the same ids as its webhooks.

- The search lists the conversations that were updated since the day began. It leaves out their parts, so each is read whole. The
  search is repeated until it lists no new conversation, because one that changes during the search moves to another page.
- Intercom may cut the times of a search to days, so the search covers a day more on both sides.
- Intercom gives only the 500 newest parts of a conversation: when parts of the day are not among them, the day is partial.
- Texts are read only for labels, and not stored.
- Not verified against the service: written from its published schema and examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamUnavailableError
from hubbub.ingest.connectors.api import Api, ApiConnector, listed
from hubbub.ingest.connectors.base import Batch, Notes
from hubbub.ingest.receivers.base import Options, Received
from hubbub.ingest.receivers.fields import Fields
from hubbub.ingest.receivers.helpdesk import channel, when
from hubbub.ingest.receivers.intercom import PROVIDER, conversation
from hubbub.ingest.setting import BASE_URL, LABELS, SINCE, ZONE, Setting
from hubbub.model.coverage import Day

VERSION = "2.14"
PAGE = 150
DAY = timedelta(days=1)


class IntercomWorkspace(ApiConnector):
    """A workspace of Intercom. Its secret is the access token of an app that may read conversations."""

    provider = PROVIDER
    token = "access token of the app, which may read conversations, to fetch days with"
    subjects = frozenset({"message", "conversation", "satisfaction"})
    settings = (
        ZONE, SINCE, LABELS,
        Setting("base_url", "address of the API in your region, like https://api.eu.intercom.io", BASE_URL,
                default="https://api.intercom.io"),
    )  # fmt: skip

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield the day's messages and steps, conversation by conversation."""
        api = self.api(integration, notes, {"Authorization": f"Bearer {secret}", "Intercom-Version": VERSION})
        done = set((notes.place or {}).get("done", []))
        visit = _Visit(api, day, done, self.options(integration), notes, api.get("/me").text("app", "id_code"))
        while visit.moved:
            for id_ in visit.conversations():
                yield self.batch(visit.read(id_))
                notes.place = {"done": sorted(visit.done)}


@dataclass
class _Visit:
    """A reading of a day. `done` are ids of conversations; `moved` says that the search must be repeated."""

    api: Api
    day: Day
    done: set[str]
    options: Options
    notes: Notes
    account: str
    moved: bool = True

    def conversations(self) -> Iterator[str]:
        """Yield the ids of conversations that were updated since the day began, began before its end, and are not done."""
        self.moved = False
        for page in self._pages():
            for found in page:
                updated, began = when(found, "updated_at"), when(found, "created_at")
                if not isinstance(updated, datetime) or not isinstance(began, datetime) or not found.text("id"):
                    raise UpstreamUnavailableError("Intercom gave a conversation without its id or times")
                if updated >= self.day.start and began < self.day.end and found.text("id") not in self.done:
                    self.moved = True
                    yield found.text("id")

    def _pages(self) -> Iterator[list[Fields]]:
        bounds = (("updated_at", ">", self.day.start - DAY), ("created_at", "<", self.day.end + DAY))
        terms = [{"field": name, "operator": sign, "value": int(at.timestamp())} for name, sign, at in bounds]
        cursors: list[str] = [""]
        while True:
            after = {"starting_after": cursors[-1]} if cursors[-1] else {}
            body = {"query": {"operator": "AND", "value": terms}, "pagination": {"per_page": PAGE, **after}}
            answer = self.api.post("/conversations/search", body)
            yield listed(answer, "conversations")
            cursor = answer.text("pages", "next", "starting_after")
            if not cursor:
                return
            if cursor in cursors:
                raise UpstreamUnavailableError("Intercom gave the same page twice")
            cursors.append(cursor)

    def read(self, id_: str) -> Iterator[Received]:
        """Yield the events of a conversation that lie in the day; nothing if the conversation was deleted meanwhile."""
        talk = self.api.find(f"/conversations/{id_}")
        if talk is not None:
            self._check_parts(talk)
            received = conversation(talk, self.options, account=self.account, rated=True)
            yield replace(received, events=[event for event in received.events if self._is_inside(event.get("time"))])
        self.done.add(id_)

    def _check_parts(self, talk: Fields) -> None:
        parts = listed(talk, "conversation_parts", "conversation_parts")
        total = talk.number("conversation_parts", "total_count") or 0
        times = [at for part in parts if isinstance(at := when(part, "created_at"), datetime)]
        if total > len(parts) and min(times, default=self.day.start) >= self.day.start:
            self.notes.trouble(
                f"conversation {talk.text('id')} has {total:.0f} parts, and Intercom gives the newest {len(parts)}",
                "Nothing: Intercom does not give its older parts",
                channel=channel(talk.text("source", "type"), PROVIDER),
            )

    def _is_inside(self, time: object) -> bool:
        return not isinstance(time, datetime) or self.day.start <= time < self.day.end
