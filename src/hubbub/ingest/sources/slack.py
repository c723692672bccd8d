"""Slack exports: every record of a channel's day files becomes exactly one event.

The input is a folder or ZIP of Slack (or slackdump, also with one file for each channel), of any age; the output is `Record`s,
or a `Rejection` that names file, record and field. Decisions that need an explanation:

- **Identity** is the channel's Slack id and `ts`, so a renamed channel stays the same. The id is in the
  lists of an export (`channels.json` and others); for a folder outside them, its name is the id. Only `ts`
  gives the time: day files are US Pacific days.
- **Names** of channels, and of the people who wrote, are labels beside the events.
- **Revision** comes from the record itself: the newest of `ts`, edit and latest reply, then the number of reactions. So
  a newer snapshot wins in any order of import. A record with a removed reaction looks like an older snapshot, so the
  reaction stays. A message missing from a later snapshot is not a deletion.
- **Kind** is `person` for plain messages, broadcasts, `/me` and shared files, `bot` for anything with a bot id or of a
  user marked as a bot in `users.json`, `system` for the rest: joins, topics, tombstones, and `file_comment` notices of
  2015, whose text belongs to a file.
- **Bridged people**: a Matrix or IRC bridge posts people as a bot, with the person's name in `username`. They stay
  `bot`, since the record does not identify them; the flag `bridged` is stored, so that they can be counted; their names
  never are.
- **Threads** are conversations: the root and its author's later messages are received, replies by others are sent,
  with the replier as staff. Some roots have no thread mark, so every file is read twice: for the threads, then for
  the events.
- **Ids of people** are stored as contact and staff; bots and notices have no contact. Text is left out unless requested;
  then e-mail addresses and secrets in it are masked. Rejections carry no raw record, which could hold
  either.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hubbub.errors import BadQuestionError
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.package import UNREADABLE, Package, package_at
from hubbub.ingest.sources.rows import CUT
from hubbub.ingest.sources.slack_files import Export, Named, Part, description_of, export_in
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
from hubbub.model.event import Rejection
from hubbub.model.name import Name


class SlackImporter:
    """Reads exports of a workspace by Slack or slackdump."""

    def recognises(self, package: Package) -> str:
        """Return a description of the Slack export, or an empty text."""
        return description_of(package)

    def open(self, package: Package, options: Options) -> SlackImport:
        """Start to read. Raises BadInputError when there is no export, or more than one; BadQuestionError for options without
        effect.
        """
        if options.staff or options.day_first is not None:
            raise BadQuestionError("--staff, --day-first: these do not apply to a Slack export: leave them out")
        return SlackImport(package, keep_text=options.keep_text)


SLACK = SlackImporter()


def read(path: Path, *, keep_text: bool = False) -> SlackImport:
    """Open an export, folder or ZIP (read in place, never unpacked). Raises `BadInputError` when it is not one."""
    return SLACK.open(package_at(path), Options(keep_text=keep_text))


@dataclass
class SlackImport:
    """An export. Its attributes are complete once `records()` is exhausted; see `Import`."""

    package: Package
    keep_text: bool = False
    read_bytes: int = 0
    total_bytes: int = 0
    summary: dict[str, object] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)
    names: Sequence[Name] = ()
    _export: Export = field(default_factory=Export)
    _bots: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Find the files of messages. Raises `BadInputError` when there is no export, or more than one."""
        self._export = export_in(self.package)
        self.total_bytes = 2 * sum(part.size for part in self._export.parts)

    def records(self) -> Iterator[Record | Rejection]:
        """Yield every record in a fixed order: channels by id, days in order, records in file order."""
        tally = Tally()
        threads = replies = 0
        self.read_bytes = 0
        export = self._export
        self._bots = {user.id for user in export.people if user.is_bot}
        people: set[tuple[str, str]] = set()
        self.not_read = export.left_out
        if export.left_out:
            tally.left_out["files"] = len(export.left_out)
        channels: dict[str, list[Part]] = {}
        for part in export.parts:
            channels.setdefault(part.channel, []).append(part)
        for channel, its_parts in sorted(channels.items()):
            threads_of_channel, present = self._threads(its_parts)
            threads += sum(1 for ts, thread in threads_of_channel.items() if ts in present and thread.replies)
            for item in self._channel(channel, its_parts, threads_of_channel, tally.records):
                tally.records += 1
                if isinstance(item, Record):
                    tally.add(item.event)
                    event = item.event
                    people |= {("contact", event.contact_id or ""), ("staff", event.staff_id or "")}
                    replies += event.conversation_id is not None and event.conversation_id != event.id
                yield item
        rooms = {id_: name for id_, name in export.titles.items() if id_ in channels}
        self.names = list(_names(rooms, export.people, people, tally.last))
        self.summary = tally.summary(threads=threads, replies=replies)

    def _threads(self, parts: list[Part]) -> tuple[dict[str, Thread], dict[str, str | None]]:
        """Read a channel once for its threads, and for the authors of messages that are not replies; faults are reported later."""
        threads: dict[str, Thread] = {}
        authors: dict[str, str | None] = {}
        for _, _, item in self._messages(parts):
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

    def _messages(self, parts: list[Part]) -> Iterator[tuple[Part, int, Message | Rejection]]:
        """Yield part, 1-based record number and message of parts, or the fault of the part or record."""
        for day in parts:
            try:
                raws = day.raws()
            except UNREADABLE as error:
                yield day, 0, refuse(CUT, None, f"{day.name}: not a whole file of messages: {error}")
                continue
            finally:
                self.read_bytes += day.size
            for number, raw in enumerate(raws, 1):
                yield day, number, read_message(raw, f"{day.name} record {number}")

    def _channel(
        self, channel: str, parts: list[Part], threads: dict[str, Thread], index: int
    ) -> Iterator[Record | Rejection]:
        for i, (day, number, item) in enumerate(self._messages(parts), index):
            if isinstance(item, Rejection):
                item.index = i
                yield item
            else:
                event = event_of(channel, item, threads, keep_text=self.keep_text, bots=self._bots)
                yield Record(event, f"{day.name} record {number}")


def _names(
    rooms: Mapping[str, str], users: Sequence[Named], people: Container[tuple[str, str]], at: datetime | None
) -> Iterator[Name]:
    """Yield the names of rooms and of people in events, dated `at` (the newest message) or by the change of the profile."""
    for id_, name in rooms.items():
        yield Name("room", id_, name, at)
    for user in users:
        for kind in ("contact", "staff"):
            if (kind, user.id) in people and (name := person_name(user.name, user.real_name, user.profile)):
                yield Name(kind, user.id, name, moment_of(user.updated) or at)
