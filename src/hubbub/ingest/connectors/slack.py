"""A Slack workspace through its Web API: the messages of a day in the channels of the app, with their threads.

- Events are those of the importer of exports (`sources/slack_message.py`), with the channel's id, so a workspace's
  export and its live history never count twice, and a renamed channel stays the same channel. Texts are read only for labels.
- A thread is fetched whole with the day of its root. Slack does not list replies by day, so `look_back` reads the roots of
  the last `THREAD_DAYS` and fetches the threads with a newer reply: once a night, however many days are fetched.
- Private channels are read where the token may list them. A channel that cannot be read is noted, and the others are read; a
  channel that the app was removed from is noted too. A channel that Slack no longer lists was archived, deleted or made private:
  it is read, or noted, up to the day on which that was noticed, and not expected after that day.
- Slack allows few calls a minute (one, for many apps), and a busy day needs many. Pauses that it asks for are
  made here, within bounds; the next attempt fetches the rest, after the last stored page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Batch, Connector, Notes
from hubbub.ingest.receivers.slack import ADDRESS, WORKSPACE
from hubbub.ingest.setting import BASE_URL, LABELS, SINCE, ZONE, Setting
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
from hubbub.telemetry import log

if TYPE_CHECKING:
    from hubbub.outgoing.slack_client import SlackClient

PAGE = 200
THREAD_DAYS = 90
"""In a real community, over five years, 19 % of all replies came after a week, 7 % after a month, 0.4 % after two months."""
LONGEST_PAUSE = 60.0
PATIENCE = 900.0
"""Most seconds that an attempt pauses in total; after that the job is tried again later."""
SMALLEST_PAGE = 1
GONE_DAYS = 90
"""Days for which a channel that Slack no longer lists is remembered."""
UNREADABLE = frozenset({
    "not_in_channel", "channel_not_found", "missing_scope", "access_denied", "no_permission", "not_allowed_token_type",
})  # fmt: skip
"""Errors about one channel that do not concern the others."""
CORRECT = "Correct the integration's channels, or invite the Slack app to it when it is private"
INVITE = "Invite the Slack app to it, or resume the integration to leave it out"
SCOPES = (
    "Give the Slack app the scopes groups:read and groups:history, and install it again, to read private channels too"
)


class Slack(Connector):
    """A Slack workspace. Its secret is a bot token with channels:read, channels:history and, for replies, chat:write.

    Private channels need groups:read and groups:history too, people's names users:read.
    """

    provider = "slack"
    token = (
        "bot token with channels:read and channels:history (groups:read and groups:history for private "
        "channels, users:read for names), to fetch days with"
    )
    subjects = frozenset({"message"})
    settings = (
        Setting(
            "channels", "names or ids of channels; if absent, all channels of the app", r"#?[^\s,]{1,80}", many=True
        ),
        WORKSPACE,
        ADDRESS,
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
        """Yield the day's messages and the whole threads that they belong to, channel by channel, page by page; then names."""
        span = Window(day.start, day.end)
        people: set[tuple[str, str]] = set()
        for batch in self._visit(integration, secret, notes, day.on, lambda visit: visit.messages(span)):
            people.update(_people(batch))
            yield batch
        client = self._client(integration, secret)
        yield from _names_of(client, _Calls(self._pause, PATIENCE), people)

    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[Batch]:
        """Yield the threads of the `THREAD_DAYS` before a range with a reply in it or later."""
        before = Window(since.start - timedelta(days=THREAD_DAYS), since.start)
        return self._visit(integration, secret, notes, since.end.date(), lambda visit: visit.answered(before))

    def _client(self, integration: Integration, secret: str) -> SlackClient:
        from hubbub.outgoing.slack_client import SlackClient

        return SlackClient(self.http, secret, self.setting(integration, "base_url"))

    def _visit(
        self,
        integration: Integration,
        secret: str,
        notes: Notes,
        on: date,
        read: Callable[[_Visit], Iterator[list[Item]]],
    ) -> Iterator[Batch]:
        """Read channel by channel from where an earlier attempt stopped; a channel that cannot be read is noted."""
        client = self._client(integration, secret)
        calls = _Calls(self._pause, max(notes.patience, PATIENCE))
        selected = {name.removeprefix("#") for name in self.setting(integration, "channels") or []}
        place = notes.place or {}
        done, latest = list(place.get("done", [])), place.get("latest")
        refused = []
        channels = _channels(client, calls, selected, notes, on)
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
            raise refused[0]  # the token may read no channel


def _channels(client: SlackClient, calls: _Calls, selected: set[str], notes: Notes, on: date) -> list[tuple[str, str]]:
    """Return id and name of each channel to read for a day; note selected channels that do not exist.

    Raises UpstreamRefusedError when none of the selected channels exists.
    """
    channels: list[tuple[str, str]] = []
    names: set[str] = set()
    missing = set(selected)
    for channel in _listed(client, calls, archived=bool(selected), notes=notes):
        id_, name = channel.get("id"), channel.get("name")
        if not isinstance(id_, str) or not isinstance(name, str):
            continue
        names.add(id_)
        if {id_, name} & selected or (not selected and channel.get("is_member")):
            missing -= {id_, name}
            channels.append((id_, name))
            notes.memory.setdefault("channels", {})[id_] = [name, bool(channel.get("is_private"))]
    if selected and not channels:
        raise UpstreamRefusedError(
            f"Slack has no channel {', '.join(sorted(missing))[:200]}",
            action="Correct the integration's channels",
        )
    for name in sorted(missing):
        notes.trouble(f"Slack has no channel {name}", CORRECT, channel_id=name)
    return channels if selected else [*channels, *_gone({id_ for id_, _ in channels}, names, notes, on)]


def _gone(members: set[str], listed: set[str], notes: Notes, on: date) -> Iterator[tuple[str, str]]:
    """Note channels from which the app was removed; yield the channels of a day that Slack no longer lists.

    The memory holds, after a channel's name, the day on which that was noticed.
    """
    known = notes.memory.setdefault("channels", {})
    for id_, (name, private, *noticed) in list(known.items()):
        if id_ in members:
            continue
        if id_ in listed or private:  # Slack lists a private channel only for its members
            notes.trouble(f"#{name}: the app is not in this channel any more", INVITE, channel_id=id_)
            continue
        until = date.fromisoformat(noticed[0]) if noticed else on
        known[id_] = [name, private, until.isoformat()]
        if on <= until:
            yield id_, name
        elif on - until > timedelta(days=GONE_DAYS):
            del known[id_]


def _listed(client: SlackClient, calls: _Calls, *, archived: bool, notes: Notes) -> Iterator[dict[str, Any]]:
    """Yield the channels that the token may list; note when it may not list private ones."""
    params = {"types": "public_channel,private_channel", "limit": PAGE, "exclude_archived": not archived}
    pages = calls.pages(client.conversations_list, "channels", params)
    try:
        first = next(pages, [])
    except UpstreamRefusedError as error:
        if error.details.get("slack") != "missing_scope":
            raise
        pages = calls.pages(client.conversations_list, "channels", {**params, "types": "public_channel"})
        first = next(pages, [])
        notes.remark("Slack: private channels are not read", SCOPES)
    yield from first
    for page in pages:
        yield from page


@dataclass
class _Visit:
    """A channel being read; channels in `done` are finished, and messages newer than `latest` are read.

    `keep_text`: texts are included, for labels.
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
        """Yield the messages of a range, newest first, each root with its thread."""
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
            self._reached_end_of(page)

    def answered(self, span: Window) -> Iterator[list[Item]]:
        """Yield the threads whose root lies in a range and whose newest reply is later."""
        end = micros(_ts(span.end))
        for page in self._history(span):
            for message in page:
                if not isinstance(message, Rejection) and micros(message.latest_reply) >= end:
                    yield from self._thread(plain_ts(message.thread_ts) or plain_ts(message.ts) or "")
                    self._reached(message)
            yield []
            self._reached_end_of(page)

    def _reached_end_of(self, page: list[Message | Rejection]) -> None:
        if messages := [message for message in page if not isinstance(message, Rejection)]:
            self._reached(messages[-1])

    def _reached(self, message: Message) -> None:
        self.notes.place = {"done": self.done, "latest": plain_ts(message.ts)}

    def _history(self, span: Window) -> Iterator[list[Message | Rejection]]:
        """Yield the pages of the channel's list in a range, newest first, from where an earlier attempt stopped."""
        start, end = micros(_ts(span.start)), micros(_ts(span.end))
        end = min(end, micros(self.latest) or end)
        params = {
            "channel": self.id, "oldest": _ts(span.start), "latest": self.latest or _ts(span.end), "inclusive": True, "limit": PAGE,
        }  # fmt: skip
        for page in self.calls.pages(self.client.conversations_history, "messages", params):
            yield [
                message
                for message in _read(page, self.name)
                if isinstance(message, Rejection) or start <= micros(message.ts) < end
            ]

    def _thread(self, root: str) -> Iterator[list[Item]]:
        threads: dict[str, Thread] = {root: Thread()}
        params = {"channel": self.id, "ts": root, "limit": PAGE}
        for page in self.calls.pages(self.client.conversations_replies, "messages", params):
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
    """Yield kind of name and id of the people in events."""
    for item in batch:
        if isinstance(item, Event):
            yield from ((kind, id_) for kind, id_ in (("contact", item.contact_id), ("staff", item.staff_id)) if id_)


def _names_of(client: SlackClient, calls: _Calls, people: Collection[tuple[str, str]]) -> Iterator[Batch]:
    """Yield the names of people; nothing where users cannot be read now, or by this token."""
    if not people:
        return
    try:
        for page in calls.pages(client.users_list, "members", {"limit": PAGE}):
            users = [user for user in page if isinstance(user, dict) and isinstance(user.get("id"), str)]
            yield [
                Name(kind, user["id"], name, moment_of(user.get("updated")))
                for user in users
                for kind in ("contact", "staff")
                if (kind, user["id"]) in people
                and (name := person_name(user.get("name"), user.get("real_name"), user.get("profile")))
            ]
    except (UpstreamRefusedError, UpstreamUnavailableError) as error:  # a missing name must not lose a day
        log.warning("names not read", reason=error.message)


class _Calls:
    """Requests page after page, and makes the pauses that Slack asks for."""

    def __init__(self, pause: Callable[[float], None], patience: float) -> None:
        self._pause = pause
        self._patience = patience

    def pages(self, method: Callable[..., Any], name: str, params: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield the list `name` of every page, following the cursor; without a cursor, by the oldest time of the page."""
        seen: set[str] = set()
        while True:
            answer, params = self._page(method, params)
            records = answer.get(name)
            if not isinstance(records, list):
                raise UpstreamUnavailableError(f"Slack answered without {name!r}")
            yield records
            metadata = answer.get("response_metadata")
            cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
            if isinstance(cursor, str) and cursor:
                after = {"cursor": cursor}
            elif answer.get("has_more") and "ts" not in params and (oldest := _oldest(records)):
                after = {"latest": oldest}
            elif answer.get("has_more"):
                raise UpstreamUnavailableError(f"Slack reports more {name}, but gives no cursor")
            else:
                return
            if str(after) in seen:
                raise UpstreamUnavailableError("Slack gave the same page twice")
            seen.add(str(after))
            params = {**params, **after}

    def _page(self, method: Callable[..., Any], params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a page and its parameters; asks for a quarter as much after a page that is too large."""
        while True:
            try:
                return self._ask(method, params), params
            except UpstreamRefusedError as error:
                if not error.details.get("too_large") or params["limit"] <= SMALLEST_PAGE:
                    raise
                params = {**params, "limit": max(params["limit"] // 4, SMALLEST_PAGE)}

    def _ask(self, method: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
        from hubbub.outgoing.slack_client import ask

        while True:
            try:
                return ask(method, **params)
            except UpstreamUnavailableError as error:
                wait = error.retry_after
                if wait is None or wait > min(LONGEST_PAUSE, self._patience):
                    raise
                self._patience -= max(wait, 1)
                self._pause(wait)


def _oldest(messages: list[Any]) -> str | None:
    """Return the oldest `ts` of a page of messages."""
    times = [ts for message in messages if isinstance(message, dict) and (ts := plain_ts(message.get("ts")))]
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
