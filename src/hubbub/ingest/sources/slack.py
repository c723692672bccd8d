"""Slack exports: every record of a channel's day files becomes exactly one event.

In goes the folder or ZIP that Slack (or slackdump) made, of any age; out come `Record`s, or a `Rejection` that names
file, record and field. Decisions that somebody will ask about:

- **Identity** is the channel's folder name and `ts`. The Slack id of a channel is in `channels.json` of some exports
  and not of others, so an id made from it would count a message twice. `ts` alone gives the time: day files are US
  Pacific days.
- **Revision** comes from the record itself, the newest of `ts`, edit, latest reply, then the number of reactions, so
  that a newer snapshot wins in any order of import. A reaction taken back cannot be told from an older snapshot and
  stays. A message that is absent from a later snapshot is not a deletion.
- **Kind** is `person` for plain messages, broadcasts, `/me` and shared files, `bot` for anything with a bot id,
  `system` for the rest: joins, topics, tombstones, and `file_comment` notices of 2015, whose words belong to a file.
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

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hubbub.errors import BadInputError
from hubbub.ingest.sources.slack_message import Message, Thread, count, event_of, micros, plain_ts, read_message, refuse
from hubbub.ingest.sources.summary import Record, Tally
from hubbub.model.event import Rejection

MAX_FILE = 256 * 2**20

_DAY = re.compile(r"(?:^|/)[^/]+/\d{4}-\d\d-\d\d\.json\Z")


@dataclass(frozen=True, slots=True)
class _Day:
    channel: str
    name: str
    path: str
    size: int


_Reader = Callable[[_Day], bytes]
_decode_file = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(path: Path, *, keep_text: bool = False) -> SlackImport:
    """Open an export, folder or ZIP (read in place, never unpacked). Raises `BadInputError` when it is not one."""
    return SlackImport(path, keep_text=keep_text)


@dataclass
class SlackImport:
    """One export. `summary` is complete once `records()` is exhausted; the bytes are for a progress bar."""

    path: Path
    keep_text: bool = False
    read_bytes: int = 0
    total_bytes: int = 0
    summary: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the day files. Raises `BadInputError` when there is no export, or more than one."""
        with _open(self.path) as (days, _):
            self.total_bytes = 2 * sum(day.size for day in days)

    def records(self) -> Iterator[Record | Rejection]:
        """Yield every record in a fixed order: channels by name, days in order, records as they stand."""
        tally = Tally()
        threads = replies = 0
        self.read_bytes = 0
        with _open(self.path) as (days, read_day):
            channels: dict[str, list[_Day]] = {}
            for day in days:
                channels.setdefault(day.channel, []).append(day)
            for channel, its_days in channels.items():
                found, present = self._threads(its_days, read_day)
                threads += sum(1 for ts, thread in found.items() if ts in present and thread.replies)
                for item in self._channel(channel, its_days, read_day, found, tally.records):
                    tally.records += 1
                    if isinstance(item, Record):
                        tally.add(item.event)
                        event = item.event
                        replies += event.conversation_id is not None and event.conversation_id != event.id
                    yield item
        self.summary = tally.summary(threads=threads, replies=replies)

    def _threads(self, days: list[_Day], read_day: _Reader) -> tuple[dict[str, Thread], dict[str, str | None]]:
        """Read a channel once for its threads, and for who wrote what is not a reply; faults are reported later."""
        threads: dict[str, Thread] = {}
        authors: dict[str, str | None] = {}
        for _, _, item in self._messages(days, read_day):
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

    def _messages(self, days: list[_Day], read_day: _Reader) -> Iterator[tuple[_Day, int, Message | Rejection]]:
        """Yield day, 1-based record number and message of some files, or what is wrong with the file or record."""
        for day in days:
            try:
                raws = _decode_file(read_day(day))
            except (msgspec.DecodeError, ValueError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                yield day, 0, refuse("invalid_json", None, f"{day.name}: not a JSON list of messages: {error}")
                continue
            finally:
                self.read_bytes += day.size
            for number, raw in enumerate(raws, 1):
                yield day, number, read_message(raw, f"{day.name} record {number}")

    def _channel(
        self, channel: str, days: list[_Day], read_day: _Reader, threads: dict[str, Thread], index: int
    ) -> Iterator[Record | Rejection]:
        for i, (day, number, item) in enumerate(self._messages(days, read_day), index):
            if isinstance(item, Rejection):
                item.index = i
                yield item
            else:
                event = event_of(channel, item, threads, keep_text=self.keep_text)
                yield Record(event, f"{day.name} record {number}")


@contextmanager
def _open(path: Path) -> Iterator[tuple[list[_Day], _Reader]]:
    """Give the day files of the export at `path`, in order, and a function that reads one."""
    if path.is_dir():
        found = {p.relative_to(path).as_posix(): p for p in path.glob("*.json")}
        for pattern in ("*/*.json", "*/*/*.json"):
            found |= {p.relative_to(path).as_posix(): p for p in path.glob(pattern)}
        days = _days(path, {name: p.stat().st_size for name, p in found.items() if p.is_file()})
        yield days, lambda day: _limited(day, found[day.path].read_bytes)
        return
    if not path.exists():
        raise BadInputError(f"{path}: there is no such file or folder")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise BadInputError(
            f"{path}: a Slack export is a folder or a ZIP file, and this is neither ({error})"
        ) from None
    with archive:
        sizes = {i.filename: i.file_size for i in archive.infolist() if not i.filename.startswith("__MACOSX/")}
        yield _days(path, sizes), lambda day: _limited(day, lambda: archive.read(day.path))


def _limited(day: _Day, read_it: Callable[[], bytes]) -> bytes:
    if day.size > MAX_FILE:
        raise ValueError(f"{day.size} bytes is more than the {MAX_FILE} that a day may have")
    return read_it()


def _days(path: Path, sizes: dict[str, int]) -> list[_Day]:
    """Pick the day files; they must lie in one export, which may itself lie in a folder (ZIPs made by hand do)."""
    days = sorted(name for name in sizes if _DAY.search(name))
    roots = {name.rpartition("/")[0].rpartition("/")[0] for name in days}
    if not days and not any(name.rpartition("/")[2] in ("channels.json", "users.json") for name in sizes):
        raise BadInputError(
            f"{path}: no Slack export: there is no file like <channel>/2021-03-04.json and no channels.json"
        )
    if len(roots) > 1:
        raise BadInputError(
            f"{path}: holds several exports ({', '.join(sorted(roots)[:3])} ...); import them one by one"
        )
    out = []
    for name in days:
        channel, _, file = name.rpartition("/")
        channel = channel.rpartition("/")[2]
        out.append(_Day(channel, f"{channel}/{file}", name, sizes[name]))
    return out
