"""A Slack workspace through its Web API: the messages of a day in the channels that the app is in, with their threads.

- Events are those of the importer of exports (`sources/slack_message.py`), named by the channel's id as there, so a workspace's
  export and its live history never double, and a channel that is renamed is the same channel. Texts are not kept.
- A thread is fetched whole as soon as one of its messages lies in the day. Slack does not list replies by day, so roots of the
  `THREAD_DAYS` before are looked at too: a reply to an older one is found when it is broadcast, or by a backfill of its root's day.
- Slack allows few calls a minute, and a busy day needs many. When it says how many seconds to pause, that pause is kept here,
  within bounds: beginning the day again would spend the same calls again and never end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import BASE_URL, ZONE, Batch, Connector, Day, Setting
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
from hubbub.model.event import Event, Item, Rejection
from hubbub.model.name import Name
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack import BASE_URL as SLACK
from hubbub.outgoing.slack import SlackClient, ask
from hubbub.store.integrations import Integration
from hubbub.telemetry import log

PAGE = 200
THREAD_DAYS = 60
"""In a real community of five years 19 % of all replies came after a week, 7 % after a month, 0.4 % after two."""
LONGEST_PAUSE = 60.0
PATIENCE = 900.0
"""Seconds that all pauses of one day may take together; after that the job is tried again later."""

WORKSPACE = Setting("workspace_id", "id of the workspace, like T012AB3CD", r"T[A-Z0-9]{1,20}")


class Slack(Connector):
    """A Slack workspace. Its secret is a bot token with channels:read and channels:history, users:read for names of people, and,
    for replies, chat:write."""

    provider = "slack"
    settings = (
        Setting("channels", "names or ids of channels; all that the app is in if absent", r"#?[^\s,]{1,80}", many=True),
        WORKSPACE,
        ZONE,
        Setting("base_url", "address of Slack's Web API", BASE_URL, default=SLACK),
    )

    def __init__(self, http: Outgoing, pause: Callable[[float], None] = time.sleep) -> None:
        super().__init__(http)
        self._pause = pause

    def fetch(self, integration: Integration, secret: str, day: Day) -> Iterator[Batch]:
        """Yield the messages of the day and the whole threads they belong to, channel by channel, page by page; then names."""
        client = SlackClient(self.http, secret, self.setting(integration, "base_url"))
        wanted = {name.removeprefix("#") for name in self.setting(integration, "channels") or []}
        calls = _Calls(self._pause)
        rooms: list[Item | Name] = []
        people: set[tuple[str, str]] = set()
        for id_, name in self._channels(client, calls, wanted):
            rooms.append(Name("room", id_, name))
            for batch in self._channel(client, calls, id_, name, day):
                people.update(_people(batch))
                yield batch
        yield rooms
        yield from _named(client, calls, people)

    def _channels(self, client: SlackClient, calls: _Calls, wanted: set[str]) -> Iterator[tuple[str, str]]:
        """Yield id and name of the channels to read. Raises UpstreamRefusedError for a wanted one that is not there."""
        missing = set(wanted)
        asked = {"types": "public_channel", "limit": PAGE, "exclude_archived": not wanted}
        for page in calls.pages(client.conversations_list, "channels", asked):
            for channel in page:
                id_, name = channel.get("id"), channel.get("name")
                if not isinstance(id_, str) or not isinstance(name, str):
                    continue
                if {id_, name} & wanted or (not wanted and channel.get("is_member")):
                    missing -= {id_, name}
                    yield id_, name
        if missing:
            raise UpstreamRefusedError(
                f"Slack: there is no channel {', '.join(sorted(missing))[:200]}",
                action="Correct the integration's channels",
            )

    def _channel(self, client: SlackClient, calls: _Calls, id_: str, name: str, day: Day) -> Iterator[list[Item]]:
        asked = {
            "channel": id_, "oldest": _ts(day.start - timedelta(days=THREAD_DAYS)), "latest": _ts(day.end), "inclusive": True,
            "limit": PAGE,
        }  # fmt: skip
        start, end = micros(_ts(day.start)), micros(_ts(day.end))
        seen: set[str] = set()
        for page in calls.pages(client.conversations_history, "messages", asked):
            batch: list[Item] = []
            for message in _read(page, name):
                if isinstance(message, Rejection):
                    batch.append(message)
                    continue
                root = plain_ts(message.thread_ts) or (plain_ts(message.ts) if count(message.reply_count) else None)
                today = start <= micros(message.ts) < end
                if root is None and today:
                    batch.append(event_of(id_, message, {}))
                elif root is not None and root not in seen and (today or micros(message.latest_reply) >= start):
                    seen.add(root)
                    yield from self._thread(client, calls, id_, name, root)
            yield _numbered(batch)

    def _thread(self, client: SlackClient, calls: _Calls, id_: str, name: str, root: str) -> Iterator[list[Item]]:
        threads: dict[str, Thread] = {root: Thread()}
        asked = {"channel": id_, "ts": root, "limit": PAGE}
        for page in calls.pages(client.conversations_replies, "messages", asked):
            batch: list[Item] = []
            for message in _read(page, name):
                if isinstance(message, Rejection):
                    batch.append(message)
                    continue
                if plain_ts(message.ts) == root:
                    threads[root] = Thread(count(message.reply_count), micros(message.latest_reply), message.author)
                elif threads[root].author is None:
                    threads[root].author = message.parent_user_id
                batch.append(event_of(id_, message, threads))
            yield _numbered(batch)


def _people(batch: list[Item]) -> Iterator[tuple[str, str]]:
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

    def __init__(self, pause: Callable[[float], None]) -> None:
        self._pause = pause
        self._patience = PATIENCE

    def pages(self, method: Callable[..., Any], name: str, asked: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield the list `name` of every page, following the cursor."""
        seen: set[str] = set()
        while True:
            answer = self._ask(method, asked)
            found = answer.get(name)
            if not isinstance(found, list):
                raise UpstreamUnavailableError(f"Slack answered without {name!r}")
            yield found
            told = answer.get("response_metadata")
            cursor = told.get("next_cursor") if isinstance(told, dict) else None
            if not cursor or not isinstance(cursor, str):
                return
            if cursor in seen:
                raise UpstreamUnavailableError("Slack gave the same page twice")
            seen.add(cursor)
            asked = {**asked, "cursor": cursor}

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
