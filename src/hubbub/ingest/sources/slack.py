"""Slack exports: every record of a channel's day files becomes exactly one event.

In goes the folder or ZIP that Slack (or slackdump, also with one file a channel) made, of any age; out come `Record`s,
or a `Rejection` that names file, record and field. Decisions that somebody will ask about:

- **Identity** is the channel's Slack id and `ts`, so that a channel that is renamed is the same channel. The id is in the
  lists of an export (`channels.json` and others); a folder that none of them names has its name for an id. `ts` alone
  gives the time: day files are US Pacific days.
- **Names** of channels, and of the people who wrote, are labels beside the events.
- **Revision** comes from the record itself, the newest of `ts`, edit, latest reply, then the number of reactions, so
  that a newer snapshot wins in any order of import. A reaction taken back cannot be told from an older snapshot and
  stays. A message that is absent from a later snapshot is not a deletion.
- **Kind** is `person` for plain messages, broadcasts, `/me` and shared files, `bot` for anything with a bot id or of a
  user whom `users.json` calls a bot, `system` for the rest: joins, topics, tombstones, and `file_comment` notices of
  2015, whose words belong to a file.
- **Bridged people**: a Matrix or IRC bridge posts people as a bot, with the person's name in `username`. They stay
  `bot`, as nothing in the record says who they are; the flag `bridged` is kept, so that they can be counted; names
  never are.
- **Threads** are conversations: the root and its author's later messages are received, replies by others are sent,
  with the replier as staff. Some roots carry no thread mark, so every file is read twice: for the threads, then for
  the events.
- **Ids of people** are kept as contact and staff; bots and notices name no contact. Text is left out unless asked
  for, and then e-mail addresses and secrets in it are masked. Rejections carry no raw record, which could hold
  either.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from hubbub.errors import BadInputError
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.package import UNREADABLE, Package, package_at
from hubbub.ingest.sources.rows import CUT
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
    refuse,
)
from hubbub.ingest.sources.summary import Record, Tally
from hubbub.model.event import Rejection, array_of
from hubbub.model.name import Name

_DAY = re.compile(r"(?:^|/)[^/]+/\d{4}-\d\d-\d\d\.json\Z")
_CHANNEL = re.compile(r"(?:^|/)([CDG](?=[A-Z0-9]*\d)[A-Z0-9]{1,20})(?:-\d+\.\d+)?\.json\Z")
_LISTS = ("channels.json", "groups.json", "dms.json", "mpims.json", "users.json")


@dataclass(frozen=True, slots=True)
class _Day:
    """A file of messages: a day of a channel, by its folder, or (`whole`) all that a dump has of it, by the channel's id."""

    channel: str
    name: str
    path: str
    size: int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Export:
    """What is in an export. `left_out` are files of JSON that hold no messages as far as is known."""

    days: list[_Day]
    lists: dict[str, str]
    left_out: list[str]
    read: Callable[[str], bytes]


class _Dump(msgspec.Struct):
    """What slackdump writes of a channel into one file; replies lie in the message that they answer."""

    messages: list[msgspec.Raw]


class _Named(msgspec.Struct):
    """An entry of `users.json` or `channels.json`, or a whole channel, as far as it is used."""

    id: str = ""
    name: str | None = None
    is_bot: bool | None = None
    # Odd values of these change no event, so they are looked at with care instead of losing the entry.
    real_name: Any = None
    profile: Any = None
    updated: Any = None


_decode_dump = msgspec.json.Decoder(_Dump).decode
_decode_named = msgspec.json.Decoder(_Named).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class SlackImporter:
    """Reads what Slack, or slackdump, exports of a workspace."""

    def recognises(self, package: Package) -> str:
        """Return what of Slack is there, or an empty text."""
        found = sum(_DAY.search(name) is not None or _CHANNEL.search(name) is not None for name in package.sizes)
        return "" if package.is_file or not found else f"a Slack export with {found} files of messages"

    def open(self, package: Package, options: Options) -> SlackImport:
        """Begin to read. Raises BadInputError when there is no export, or more than one."""
        if options.staff:
            raise BadInputError("--staff: a Slack export says by its threads who answers whom, so nobody is named")
        return SlackImport(package, keep_text=options.keep_text)


SLACK = SlackImporter()


def read(path: Path, *, keep_text: bool = False) -> SlackImport:
    """Open an export, folder or ZIP (read in place, never unpacked). Raises `BadInputError` when it is not one."""
    return SLACK.open(package_at(path), Options(keep_text=keep_text))


@dataclass
class SlackImport:
    """One export. What it tells is complete once `records()` is exhausted; see `Import`."""

    package: Package
    keep_text: bool = False
    read_bytes: int = 0
    total_bytes: int = 0
    summary: dict[str, object] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)
    names: Sequence[Name] = ()
    _bots: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Find the files of messages. Raises `BadInputError` when there is no export, or more than one."""
        self.total_bytes = 2 * sum(day.size for day in _export(self.package).days)

    def records(self) -> Iterator[Record | Rejection]:
        """Yield every record in a fixed order: channels by id, days in order, records as they stand."""
        tally = Tally()
        threads = replies = 0
        self.read_bytes = 0
        export = _export(self.package)
        users = _entries(export, "users.json")
        self._bots = {one.id for one in users if one.is_bot}
        rooms = {one.id: one.name for part in _LISTS[:4] for one in _entries(export, part) if one.id and one.name}
        ids = {name: id_ for id_, name in rooms.items()}
        people: set[tuple[str, str]] = set()
        self.not_read = export.left_out
        if export.left_out:
            tally.left_out["files"] = len(export.left_out)
        channels: dict[str, list[_Day]] = {}
        for day in export.days:
            channel = day.channel if day.whole else ids.get(day.channel, day.channel)
            channels.setdefault(channel, []).append(day)
            if day.whole and channel not in rooms:
                rooms[channel] = _name_in(export, day)
        for channel, its_days in sorted(channels.items()):
            found, present = self._threads(its_days, export)
            threads += sum(1 for ts, thread in found.items() if ts in present and thread.replies)
            for item in self._channel(channel, its_days, export, found, tally.records):
                tally.records += 1
                if isinstance(item, Record):
                    tally.add(item.event)
                    event = item.event
                    people |= {("contact", event.contact_id or ""), ("staff", event.staff_id or "")}
                    replies += event.conversation_id is not None and event.conversation_id != event.id
                yield item
        named = {id_: name for id_, name in rooms.items() if id_ in channels}
        self.names = list(_names(named, users, people, tally.last))
        self.summary = tally.summary(threads=threads, replies=replies)

    def _threads(self, days: list[_Day], export: _Export) -> tuple[dict[str, Thread], dict[str, str | None]]:
        """Read a channel once for its threads, and for who wrote what is not a reply; faults are reported later."""
        threads: dict[str, Thread] = {}
        authors: dict[str, str | None] = {}
        for _, _, item in self._messages(days, export):
            if isinstance(item, Rejection):
                continue
            ts, thread_ts = plain_ts(item.ts), plain_ts(item.thread_ts)
            if thread_ts is not None and thread_ts != ts:
                thread = threads.setdefault(thread_ts, Thread())
                thread.replies += 1
                thread.newest = max(thread.newest, micros(item.ts))
                root = item.root if isinstance(item.root, dict) else {}
                thread.author = thread.author or item.parent_user_id or root.get("user") or root.get("bot_id")
            elif ts is not None:
                authors[ts] = item.author
                if thread_ts is not None:
                    replied = count(item.reply_count)
                    thread = threads.setdefault(thread_ts, Thread())
                    thread.replies = max(thread.replies, replied)
        for ts in threads.keys() & authors.keys():
            threads[ts].author = authors[ts] or threads[ts].author
        return threads, authors

    def _messages(self, days: list[_Day], export: _Export) -> Iterator[tuple[_Day, int, Message | Rejection]]:
        """Yield file, 1-based record number and message of some files, or what is wrong with the file or record."""
        for day in days:
            try:
                raws = _records(export.read(day.path), whole=day.whole)
            except UNREADABLE as error:
                yield day, 0, refuse(CUT, None, f"{day.name}: not a JSON list of messages: {error}")
                continue
            finally:
                self.read_bytes += day.size
            for number, raw in enumerate(raws, 1):
                yield day, number, read_message(raw, f"{day.name} record {number}")

    def _channel(
        self, channel: str, days: list[_Day], export: _Export, threads: dict[str, Thread], index: int
    ) -> Iterator[Record | Rejection]:
        for i, (day, number, item) in enumerate(self._messages(days, export), index):
            if isinstance(item, Rejection):
                item.index = i
                yield item
            else:
                event = event_of(channel, item, threads, keep_text=self.keep_text, bots=self._bots)
                yield Record(event, f"{day.name} record {number}")


def _records(body: bytes, *, whole: bool) -> list[bytes]:
    """Return the messages of a file as JSON. Raises ValueError when it is no list of them."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if not whole:
        return array_of(body)
    found: list[bytes] = []
    for raw in map(bytes, _decode_dump(body).messages):
        found.append(raw)
        if b"slackdump_thread_replies" in raw:
            replies = _decode_object(raw).get("slackdump_thread_replies")
            found += [msgspec.json.encode(one) for one in replies] if isinstance(replies, list) else []
    return found


def _entries(export: _Export, name: str) -> list[_Named]:
    """Return what a list of the export has, without entries that cannot be read; a list that cannot be is a file left out."""
    if name not in export.lists:
        return []
    found: list[_Named] = []
    try:
        for raw in array_of(export.read(export.lists[name]).removeprefix(codecs.BOM_UTF8)):
            with suppress(msgspec.DecodeError, ValueError):
                found.append(_decode_named(raw))
    except UNREADABLE:
        export.left_out.append(name)
    return found


def _name_in(export: _Export, day: _Day) -> str:
    """Return the name that a channel's own file gives it; empty where it gives none."""
    with suppress(*UNREADABLE):
        return _decode_named(export.read(day.path).removeprefix(codecs.BOM_UTF8)).name or ""
    return ""


def _names(
    rooms: Mapping[str, str], users: Sequence[_Named], people: Container[tuple[str, str]], at: datetime | None
) -> Iterator[Name]:
    """Yield what rooms, and people that events name, are called: `at` the newest message, or when a profile was changed."""
    for id_, name in rooms.items():
        yield Name("room", id_, name, at)
    for user in users:
        for kind in ("contact", "staff"):
            if (kind, user.id) in people and (name := person_name(user.name, user.real_name, user.profile)):
                yield Name(kind, user.id, name, moment_of(user.updated) or at)


def _export(package: Package) -> _Export:
    """Pick the files of messages; they must lie in one export, which may itself lie in a folder (ZIPs made by hand do)."""
    path, sizes = package.path, package.sizes
    days = sorted(name for name in sizes if _DAY.search(name))
    dumps = sorted(name for name in sizes if _CHANNEL.search(name))
    lists = {name.rpartition("/")[2]: name for name in sorted(sizes) if name.rpartition("/")[2] in _LISTS}
    roots = {name.rpartition("/")[0].rpartition("/")[0] for name in days} | {name.rpartition("/")[0] for name in dumps}
    if not days and not dumps and not lists:
        raise BadInputError(
            f"{path}: no Slack export: there is no file like <channel>/2021-03-04.json and no channels.json"
        )
    if len(roots) > 1:
        raise BadInputError(
            f"{path}: holds several exports ({', '.join(sorted(roots)[:3])} ...); import them one by one"
        )
    used = {*days, *dumps, *lists.values()}
    files = [_Day(*_place(name), name, sizes[name]) for name in days]
    files += [_Day(_CHANNEL.search(name)[1], name.rpartition("/")[2], name, sizes[name], whole=True) for name in dumps]  # type: ignore[index]

    return _Export(
        files, lists, sorted(name for name in sizes if name.endswith(".json") and name not in used), package.read
    )


def _place(name: str) -> tuple[str, str]:
    """Return the channel of a day file, and how it is named to people."""
    channel, _, file = name.rpartition("/")
    channel = channel.rpartition("/")[2]
    return channel, f"{channel}/{file}"
