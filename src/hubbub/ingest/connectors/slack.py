"""A Slack workspace through its Web API: the messages of a day in the channels that the app is in, with their threads.

- Events are those of the importer of exports (`sources/slack_message.py`), named by the channel's id as there, so a workspace's
  export and its live history never double, and a channel that is renamed is the same channel. Texts are read for labels alone.
- A thread is fetched whole with the day of its root. Slack does not list replies by day, so `look_back` goes through the roots of
  the `THREAD_DAYS` before and fetches the threads with a newer reply: once a night, however many days are fetched in it.
- Private channels are read where the token may list them. A channel that cannot be read is named, and the others go on; one
  that was read before and is not any more, since the app was removed from it, is remembered and named too.
- Slack allows few calls a minute, for many apps one, and a busy day needs many. When it says how many seconds to pause, that pause
  is kept here, within bounds; what is left is fetched from the last page on that was stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import BASE_URL, LABELS, SINCE, ZONE, Batch, Connector, Notes, Setting
from hubbub.ingest.sources.slack_message import (
    Message,
    Thread,
    count,
    event_of,
    micros,
    moment_of,
    person_name,
    plain_ts,
    read_message,
)
from hubbub.model.coverage import Day
from hubbub.model.event import Event, Item, Rejection
from hubbub.model.name import Name
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack import BASE_URL as SLACK
from hubbub.outgoing.slack import SlackClient, ask
from hubbub.telemetry import log

PAGE = 200
THREAD_DAYS = 90
"""In a real community of five years 19 % of all replies came after a week, 7 % after a month, 0.4 % after two."""
LONGEST_PAUSE = 60.0
PATIENCE = 900.0
"""Seconds that all pauses of one attempt may take together; after that the job is tried again later."""
SMALLEST_PAGE = 1
UNREADABLE = frozenset({
    "not_in_channel", "channel_not_found", "missing_scope", "access_denied", "no_permission", "not_allowed_token_type",
})  # fmt: skip
"""Errors about one channel that leave the others as they are."""
CORRECT = "Correct the integration's channels, or invite the Slack app to it when it is private"
INVITE = "Invite the Slack app to it, or resume the integration to leave it out"
SCOPES = (
    "Give the Slack app the scopes groups:read and groups:history, and install it again, to read private channels too"
)

WORKSPACE = Setting("workspace_id", "id of the workspace, like T012AB3CD", r"T[A-Z0-9]{1,20}")


class Slack(Connector):
    """A Slack workspace. Its secret is a bot token with channels:read, channels:history and, for replies, chat:write.

    Private channels need groups:read and groups:history too, names of people users:read.
    """

    provider = "slack"
    subjects = frozenset({"message"})
    settings = (
        Setting("channels", "names or ids of channels; all that the app is in if absent", r"#?[^\s,]{1,80}", many=True),
        WORKSPACE,
        ZONE,
        SINCE,
        LABELS,
        Setting("base_url", "address of Slack's Web API", BASE_URL, default=SLACK),
    )

    def __init__(self, http: Outgoing, pause: Callable[[float], None] = time.sleep) -> None:
        super().__init__(http)
        self._pause = pause

    @classmethod
    def dims(cls, integration: Integration) -> Mapping[str, frozenset[str]]:
        """Return Slack's channel."""
        return {"channel": frozenset({"slack"})}

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield the messages of the day and the whole threads they belong to, channel by channel, page by page; then names."""
        span = Window(day.start, day.end)
        people: set[tuple[str, str]] = set()
        for batch in self._visit(integration, secret, notes, lambda visit: visit.messages(span)):
            people.update(_people(batch))
            yield batch
        client = SlackClient(self.http, secret, self.setting(integration, "base_url"))
        yield from _named(client, _Calls(self._pause, PATIENCE), people)

    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[Batch]:
        """Yield the threads of the `THREAD_DAYS` before a stretch that were answered in it or later."""
        before = Window(since.start - timedelta(days=THREAD_DAYS), since.start)
        return self._visit(integration, secret, notes, lambda visit: visit.answered(before))

    def _visit(
        self, integration: Integration, secret: str, notes: Notes, read: Callable[[_Visit], Iterator[list[Item]]]
    ) -> Iterator[Batch]:
        """Read channel by channel from where an earlier attempt broke off; one that cannot be read is noted."""
        client = SlackClient(self.http, secret, self.setting(integration, "base_url"))
        calls = _Calls(self._pause, max(notes.patience, PATIENCE))
        wanted = {name.removeprefix("#") for name in self.setting(integration, "channels") or []}
        place = notes.place or {}
        done, latest = list(place.get("done", [])), place.get("latest")
        refused = []
        channels = _channels(client, calls, wanted, notes)
        yield [Name("room", id_, name) for id_, name in channels]
        for id_, name in channels:
            if id_ in done:
                continue
            try:
                keep_text = self.setting(integration, "labels") == "yes"
                yield from read(_Visit(client, calls, notes, id_, name, done, latest, keep_text))
            except UpstreamRefusedError as error:
                if error.details.get("slack") not in UNREADABLE:
                    raise
                refused.append(error)
                notes.trouble(f"#{name}: {error.reason}", error.action, channel_id=id_)
            done, latest = [*done, id_], None
            notes.place = {"done": done}
        if refused and len(refused) == len(done) and refused[0].details.get("slack") == "missing_scope":
            raise refused[0]  # the token may read nothing at all


def _channels(client: SlackClient, calls: _Calls, wanted: set[str], notes: Notes) -> list[tuple[str, str]]:
    """Return id and name of the channels to read; note those that should be there and are not.

    Raises UpstreamRefusedError when none that is wanted is there.
    """
    read: list[tuple[str, str]] = []
    names: set[str] = set()
    missing = set(wanted)
    for channel in _listed(client, calls, archived=bool(wanted), notes=notes):
        id_, name = channel.get("id"), channel.get("name")
        if not isinstance(id_, str) or not isinstance(name, str):
            continue
        names.add(id_)
        if {id_, name} & wanted or (not wanted and channel.get("is_member")):
            missing -= {id_, name}
            read.append((id_, name))
            notes.memory.setdefault("channels", {})[id_] = [name, bool(channel.get("is_private"))]
    if wanted and not read:
        raise UpstreamRefusedError(
            f"Slack: there is no channel {', '.join(sorted(missing))[:200]}",
            action="Correct the integration's channels",
        )
    for name in sorted(missing):
        notes.trouble(f"Slack: there is no channel {name}", CORRECT, channel_id=name)
    if not wanted:
        _missed(read, names, notes)
    return read


def _missed(read: list[tuple[str, str]], listed: set[str], notes: Notes) -> None:
    """Note the channels that were read before and that the app is not in any more; forget those that were deleted."""
    members = {id_ for id_, _ in read}
    known = notes.memory.setdefault("channels", {})
    for id_, (name, private) in list(known.items()):
        if id_ in members:
            continue
        if id_ in listed or private:  # a private channel is not even listed for an app that is not in it
            notes.trouble(f"#{name}: the app is not in this channel any more", INVITE, channel_id=id_)
        else:
            del known[id_]


def _listed(client: SlackClient, calls: _Calls, *, archived: bool, notes: Notes) -> Iterator[dict[str, Any]]:
    """Yield the channels that the token may list; where it may not list private ones, that is noted."""
    asked = {"types": "public_channel,private_channel", "limit": PAGE, "exclude_archived": not archived}
    pages = calls.pages(client.conversations_list, "channels", asked)
    try:
        first = next(pages, [])
    except UpstreamRefusedError as error:
        if error.details.get("slack") != "missing_scope":
            raise
        pages = calls.pages(client.conversations_list, "channels", {**asked, "types": "public_channel"})
        first = next(pages, [])
        notes.remark("Slack: private channels are not read", SCOPES)
    yield from first
    for page in pages:
        yield from page


@dataclass
class _Visit:
    """One channel being read: `done` before it were others, and of it what is newer than `latest`.

    `keep_text`: texts come along, to be labelled.
    """

    client: SlackClient
    calls: _Calls
    notes: Notes
    id: str
    name: str
    done: list[str]
    latest: str | None
    keep_text: bool

    def messages(self, span: Window) -> Iterator[list[Item]]:
        """Yield the messages of a stretch, the newest first, each root with its thread."""
        seen: set[str] = set()
        for page in self._history(span):
            batch: list[Item] = []
            for message in page:
                if isinstance(message, Rejection):
                    batch.append(message)
                    continue
                root = plain_ts(message.thread_ts) or (plain_ts(message.ts) if count(message.reply_count) else None)
                if root is None:
                    batch.append(event_of(self.id, message, {}, keep_text=self.keep_text))
                elif root not in seen:
                    seen.add(root)
                    yield _numbered(batch)
                    yield from self._thread(root)
                    batch = []
                    self._reached(message)
            yield _numbered(batch)
            self._passed(page)

    def answered(self, span: Window) -> Iterator[list[Item]]:
        """Yield the threads whose root lies in a stretch, and whose newest reply is later."""
        end = micros(_ts(span.end))
        for page in self._history(span):
            for message in page:
                if not isinstance(message, Rejection) and micros(message.latest_reply) >= end:
                    yield from self._thread(plain_ts(message.thread_ts) or plain_ts(message.ts) or "")
                    self._reached(message)
            yield []
            self._passed(page)

    def _passed(self, page: list[Message | Rejection]) -> None:
        if messages := [one for one in page if not isinstance(one, Rejection)]:
            self._reached(messages[-1])

    def _reached(self, message: Message) -> None:
        self.notes.place = {"done": self.done, "latest": plain_ts(message.ts)}

    def _history(self, span: Window) -> Iterator[list[Message | Rejection]]:
        """Yield the pages of the channel's list in a stretch, the newest first, from where an earlier attempt broke off."""
        start, end = micros(_ts(span.start)), micros(_ts(span.end))
        end = min(end, micros(self.latest) or end)
        asked = {
            "channel": self.id, "oldest": _ts(span.start), "latest": self.latest or _ts(span.end), "inclusive": True, "limit": PAGE,
        }  # fmt: skip
        for page in self.calls.pages(self.client.conversations_history, "messages", asked):
            yield [one for one in _read(page, self.name) if isinstance(one, Rejection) or start <= micros(one.ts) < end]

    def _thread(self, root: str) -> Iterator[list[Item]]:
        threads: dict[str, Thread] = {root: Thread()}
        asked = {"channel": self.id, "ts": root, "limit": PAGE}
        for page in self.calls.pages(self.client.conversations_replies, "messages", asked):
            batch: list[Item] = []
            for message in _read(page, self.name):
                if isinstance(message, Rejection):
                    batch.append(message)
                    continue
                if plain_ts(message.ts) == root:
                    threads[root] = Thread(count(message.reply_count), micros(message.latest_reply), message.author)
                elif threads[root].author is None:
                    threads[root].author = message.parent_user_id
                batch.append(event_of(self.id, message, threads, keep_text=self.keep_text))
            yield _numbered(batch)


def _people(batch: Batch) -> Iterator[tuple[str, str]]:
    """Yield the people that events name, by kind of name and id."""
    for item in batch:
        if isinstance(item, Event):
            yield from ((kind, id_) for kind, id_ in (("contact", item.contact_id), ("staff", item.staff_id)) if id_)


def _named(client: SlackClient, calls: _Calls, people: Collection[tuple[str, str]]) -> Iterator[Batch]:
    """Yield what these people are called. Where users cannot be read now, or by this token, they come without names."""
    if not people:
        return
    try:
        for page in calls.pages(client.users_list, "members", {"limit": PAGE}):
            found = [one for one in page if isinstance(one, dict) and isinstance(one.get("id"), str)]
            yield [
                Name(kind, user["id"], name, moment_of(user.get("updated")))
                for user in found
                for kind in ("contact", "staff")
                if (kind, user["id"]) in people
                and (name := person_name(user.get("name"), user.get("real_name"), user.get("profile")))
            ]
    except (UpstreamRefusedError, UpstreamUnavailableError) as error:  # no day is lost for a label
        log.warning("names not read", reason=error.message)


class _Calls:
    """Asks page after page, and keeps the pauses that Slack asks for."""

    def __init__(self, pause: Callable[[float], None], patience: float) -> None:
        self._pause = pause
        self._patience = patience

    def pages(self, method: Callable[..., Any], name: str, asked: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield the list `name` of every page, following the cursor; where there is more and no cursor, what is older than it."""
        seen: set[str] = set()
        while True:
            answer, asked = self._page(method, asked)
            found = answer.get(name)
            if not isinstance(found, list):
                raise UpstreamUnavailableError(f"Slack answered without {name!r}")
            yield found
            told = answer.get("response_metadata")
            cursor = told.get("next_cursor") if isinstance(told, dict) else None
            if isinstance(cursor, str) and cursor:
                after = {"cursor": cursor}
            elif answer.get("has_more") and "ts" not in asked and (oldest := _oldest(found)):
                after = {"latest": oldest}
            elif answer.get("has_more"):
                raise UpstreamUnavailableError(f"Slack says that there are more {name}, and not where")
            else:
                return
            if str(after) in seen:
                raise UpstreamUnavailableError("Slack gave the same page twice")
            seen.add(str(after))
            asked = {**asked, **after}

    def _page(self, method: Callable[..., Any], asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a page, and what it was asked with: half as much after one that is too large."""
        while True:
            try:
                return self._ask(method, asked), asked
            except UpstreamRefusedError as error:
                if not error.details.get("too_large") or asked["limit"] <= SMALLEST_PAGE:
                    raise
                asked = {**asked, "limit": max(asked["limit"] // 4, SMALLEST_PAGE)}

    def _ask(self, method: Callable[..., Any], asked: dict[str, Any]) -> dict[str, Any]:
        while True:
            try:
                return ask(method, **asked)
            except UpstreamUnavailableError as error:
                wait = error.retry_after
                if wait is None or wait > min(LONGEST_PAUSE, self._patience):
                    raise
                self._patience -= max(wait, 1)
                self._pause(wait)


def _oldest(found: list[Any]) -> str | None:
    """Return the oldest `ts` of a page of messages."""
    times = [ts for one in found if isinstance(one, dict) and (ts := plain_ts(one.get("ts")))]
    return min(times, key=micros, default=None)


def _read(page: list[Any], name: str) -> Iterator[Message | Rejection]:
    for number, record in enumerate(page, 1):
        yield read_message(msgspec.json.encode(record), f"{name} record {number}")


def _numbered(batch: list[Item]) -> list[Item]:
    for index, item in enumerate(batch):
        if isinstance(item, Rejection):
            item.index = index
    return batch


def _ts(moment: datetime) -> str:
    return f"{moment.timestamp():.6f}"
