"""The content of a Slack workspace's export, from any program: parts with messages, and lists of people and channels.

| written by | messages | lists |
|---|---|---|
| Slack | `general/2021-03-04.json` | `channels.json`, `groups.json`, `dms.json`, `mpims.json`, `users.json` |
| Slack, Enterprise Grid | the same below `teams/<workspace>/`, shared channels beside it | also `org_users.json` |
| slackdump, dump | `C0123.json`, replies inside the message they answer | the same |
| slackdump, chunks | `C0123.json.gz`, each line an answer of Slack's API | `channels.json.gz`, `users.json.gz` |
| slackdump, database | `slackdump.sqlite`, table `MESSAGE` | tables `CHANNEL`, `S_USER` |
"""

from __future__ import annotations

import codecs
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from hubbub.errors import BadInputError
from hubbub.ingest.sources.package import UNREADABLE, Package
from hubbub.model.event import array_of

_DAY = re.compile(r"(?:^|/)[^/]+/\d{4}-\d\d-\d\d\.json\Z")
_CHANNEL = re.compile(r"(?:^|/)([CDG](?=[A-Z0-9]*\d)[A-Z0-9]{1,20})(?:-\d+\.\d+)?\.json(?P<chunks>\.gz)?\Z")
_DATABASE = re.compile(r"(?:^|/)slackdump\.sqlite3?\Z")
_TEAM = re.compile(r"(?:^|/)teams/([^/]+)\Z")
_PLACES = ("channels.json", "groups.json", "dms.json", "mpims.json")
_PEOPLE = ("users.json", "org_users.json")
_LISTS = (*_PLACES, *_PEOPLE, "channels.json.gz", "users.json.gz", "workspace.json.gz")
_SQLITE = b"SQLite format 3\0"
_MESSAGES = """
    SELECT DATA FROM MESSAGE AS m WHERE CHANNEL_ID = ?
    AND CHUNK_ID = (SELECT max(CHUNK_ID) FROM MESSAGE WHERE ID = m.ID AND CHANNEL_ID = m.CHANNEL_ID) ORDER BY ID
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A channel's file of messages, or its rows: `channel` is its id, or its folder if no list gives an id.

    `raws` returns the messages as JSON, one by one; it raises one of UNREADABLE for a truncated or damaged file.
    """

    channel: str
    name: str
    size: int
    raws: Callable[[], list[bytes]]


class Named(msgspec.Struct):
    """An entry of a list of people or channels, or a whole channel, with the used fields."""

    id: str = ""
    name: str | None = None
    is_bot: bool | None = None
    # These fields are checked on use: an odd value must not lose the entry, because no event depends on it.
    real_name: Any = None
    profile: Any = None
    updated: Any = None


@dataclass(slots=True)
class Export:
    """The content of an export. `titles` are names of channels by id; `left_out` are JSON files without messages.

    `ids` are ids of channels, by the folder of their list and their name.
    """

    parts: list[Part] = field(default_factory=list)
    people: list[Named] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class _Dump(msgspec.Struct):
    """A channel's file of slackdump; replies are inside the message that they answer."""

    messages: list[msgspec.Raw]


class _Chunk(msgspec.Struct):
    """A line of slackdump's archive: an answer of the API, with messages, people or channels."""

    m: list[msgspec.Raw] = []
    u: list[Named] = []
    ch: list[Named] = []
    ci: Named | None = None


_decode_dump = msgspec.json.Decoder(_Dump).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_named = msgspec.json.Decoder(Named).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def description_of(package: Package) -> str:
    """Return a description of the Slack export in a package, or an empty text."""
    database = next((name for name in package.sizes if _DATABASE.search(name)), None)
    if database is not None and package.head(database).startswith(_SQLITE):
        return "slackdump's database"
    count = 0 if package.is_file else sum(1 for name in package.sizes if _DAY.search(name) or _CHANNEL.search(name))
    lists = {name.rpartition("/")[2] for name in package.sizes}
    if count or {"channels.json", "users.json"} <= lists:
        return f"a Slack export with {count} files of messages"
    return ""


def export_in(package: Package) -> Export:
    """Return the export in a package. Raises BadInputError when there is none, or more than one."""
    database = next((name for name in package.sizes if _DATABASE.search(name)), None)
    if database is not None:
        return _of_database(package, database)
    days = sorted(name for name in package.sizes if _DAY.search(name))
    dumps = sorted(name for name in package.sizes if _CHANNEL.search(name))
    lists = [name for name in sorted(package.sizes) if name.rpartition("/")[2] in _LISTS]
    if not days and not dumps and not lists:
        raise BadInputError(
            f"{package.path}: no Slack export: it has no file like <channel>/2021-03-04.json and no channels.json: "
            f"{package.described()}"
        )
    _check_one(package, {_above(_above(name)) for name in days} | {_above(name) for name in dumps})
    export = Export()
    for name in lists:
        _read_list(package, name, export)
    export.parts = [_day(package, name, export) for name in days] + [_dump(package, name, export) for name in dumps]
    used = {*days, *dumps, *lists}
    export.left_out += sorted(name for name in package.sizes if name.endswith(".json") and name not in used)
    return export


def _above(name: str) -> str:
    return name.rpartition("/")[0]


def _check_one(package: Package, roots: set[str]) -> None:
    """Refuse several exports; the workspaces of an Enterprise Grid are below `teams` of one folder."""
    bases = {_TEAM.sub("", root) for root in roots}
    if len(bases) > 1:
        examples = ", ".join(sorted(roots)[:3])
        raise BadInputError(f"{package.path}: holds several exports ({examples} ...); import them one by one")


def _day(package: Package, path: str, export: Export) -> Part:
    """Return a channel's day. For a channel in no list, the id is its folder, in a Grid with the workspace before it."""
    folder, _, file = path.rpartition("/")
    root, _, channel = folder.rpartition("/")
    team = _TEAM.search(root)
    id_ = export.ids.get((root, channel)) or (f"{team[1]}/{channel}" if team else channel)
    return Part(id_, f"{channel}/{file}", package.sizes[path], lambda: array_of(_plain(package.read(path))))


def _dump(package: Package, path: str, export: Export) -> Part:
    """Return slackdump's part of a channel; a channel in no list may have a name in its own file."""
    match = _CHANNEL.search(path)
    id_, chunks = (match[1], match["chunks"] is not None) if match else (path, False)
    if id_ not in export.titles and (own := _own_name(package, path, chunks)):
        export.titles[id_] = own
    return Part(
        id_, path.rpartition("/")[2], package.sizes[path], partial(_of_chunks if chunks else _of_dump, package, path)
    )


def _plain(body: bytes) -> bytes:
    return body.removeprefix(codecs.BOM_UTF8)


def _of_dump(package: Package, path: str) -> list[bytes]:
    messages: list[bytes] = []
    for raw in map(bytes, _decode_dump(_plain(package.read(path))).messages):
        messages.append(raw)
        if b"slackdump_thread_replies" in raw:
            replies = _decode_object(raw).get("slackdump_thread_replies")
            messages += [msgspec.json.encode(reply) for reply in replies] if isinstance(replies, list) else []
    return messages


def _of_chunks(package: Package, path: str) -> list[bytes]:
    return [bytes(raw) for chunk in _chunks(package, path) for raw in chunk.m]


def _chunks(package: Package, path: str) -> list[_Chunk]:
    return [_decode_chunk(line) for line in package.read(path).split(b"\n") if line.strip()]


def _read_list(package: Package, path: str, export: Export) -> None:
    """Read a list and skip unreadable entries; an unreadable list counts as a file left out."""
    file = path.rpartition("/")[2]
    try:
        if file.endswith(".gz"):
            chunks = _chunks(package, path)
            people, places = [entry for c in chunks for entry in c.u], [entry for c in chunks for entry in c.ch]
        else:
            entries = list(_entries(array_of(_plain(package.read(path)))))
            people, places = (entries, []) if file in _PEOPLE else ([], entries)
    except UNREADABLE:
        export.left_out.append(path)
        return
    export.people += people
    export.titles |= {entry.id: entry.name for entry in places if entry.id and entry.name}
    export.ids |= {(_above(path), entry.name): entry.id for entry in places if entry.id and entry.name}


def _entries(raws: Iterable[bytes]) -> Iterator[Named]:
    for raw in raws:
        with suppress(msgspec.DecodeError, ValueError):
            yield _decode_named(raw)


def _own_name(package: Package, path: str, chunks: bool) -> str | None:
    """Return a channel's name from its own file."""
    with suppress(*UNREADABLE):
        if chunks:
            return next((c.ci.name for c in _chunks(package, path) if c.ci is not None), None)
        return _decode_named(_plain(package.read(path))).name
    return None


def _of_database(package: Package, name: str) -> Export:
    """Return the parts of slackdump's database. Raises BadInputError for one in a ZIP, and for damage."""
    path = package.path_of(name)
    if path is None:
        raise BadInputError(f"{package.path}: {name} is in a ZIP: unpack it, since a database is read in place")
    try:
        rows = _rows(path, "SELECT CHANNEL_ID, count(*), sum(length(DATA)) FROM MESSAGE GROUP BY CHANNEL_ID ORDER BY 1")
        people = list(_entries(data for (data,) in _rows(path, "SELECT DATA FROM S_USER ORDER BY CHUNK_ID, IDX")))
        titles = {id_: title for id_, title in _rows(path, "SELECT ID, NAME FROM CHANNEL ORDER BY CHUNK_ID") if title}
    except OSError as error:
        raise BadInputError(f"{package.path}: {name} cannot be read as slackdump's database: {error}") from None
    file = name.rpartition("/")[2]
    parts = [
        Part(channel, f"{file} channel {channel}", size or 0, partial(_of_channel, path, channel))
        for channel, _, size in rows
    ]
    return Export(parts, people, titles)


def _of_channel(path: Path, channel: str) -> list[bytes]:
    return [data if isinstance(data, bytes) else str(data).encode() for (data,) in _rows(path, _MESSAGES, channel)]


def _rows(path: Path, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
    """Return a statement's rows from a database file that no process writes. Raises OSError for an unreadable one."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as con:
            return con.execute(statement, parameters).fetchall()
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise OSError(str(error)) from None
