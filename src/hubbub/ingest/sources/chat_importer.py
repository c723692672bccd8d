"""The importer of all kinds of chats: it finds the files of its kind in a package, and reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hubbub.errors import BadInputError, BadQuestionError
from hubbub.ingest.sources.chats import Chat, Team, events, names
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, value_of
from hubbub.ingest.sources.package import UNREADABLE, Package
from hubbub.ingest.sources.rows import CUT
from hubbub.ingest.sources.summary import Record, Tally
from hubbub.model.event import Rejection, nearest
from hubbub.model.name import Name

T = TypeVar("T")
Reader = Callable[[Package, Sequence[str], Options], Iterator[Chat | Rejection]]
"""Reads files of a package. An unreadable file is yielded as a rejection, or raised as one of UNREADABLE inside `whole`."""


@dataclass(frozen=True, slots=True)
class ChatImporter:
    """A kind of chats: its description, the pattern of its files' names, their recognition, and their reader."""

    description: str
    files: str
    is_one: Callable[[Package, str], bool]
    read: Reader
    needs_zone: bool = False

    def recognises(self, package: Package) -> str:
        """Return a description of this kind's files in the package, or an empty text."""
        first = next((name for name in package.named(self.files) if self.is_one(package, name)), "")
        if not first:
            return ""
        return self.description if package.is_file else f"{self.description}, in {first}"

    def open(self, package: Package, options: Options) -> ChatImport:
        """Start to read. Raises BadInputError for other content, and for options that do not fit."""
        files = package.named(self.files)
        readable = [name for name in files if self.is_one(package, name)]
        if not readable:
            raise BadInputError(f"{package.path}: found no {self.description}: {package.described()}")
        if self.needs_zone and options.zone is None:
            raise BadQuestionError(
                f"{package.path}: its times have no zone: give the phone's zone, like --zone Europe/Berlin"
            )
        if options.day_first is not None and not self.needs_zone:
            raise BadQuestionError(f"--day-first: dates of {self.description} are unambiguous: leave it out")
        return ChatImport(package, readable, self.read, options, sorted(set(files) - set(readable)))


@dataclass
class ChatImport:
    """An import of chats; see `Import`."""

    package: Package
    files: Sequence[str]
    read: Reader
    options: Options
    not_read: Sequence[str]
    summary: dict[str, object] = field(default_factory=dict)
    names: Sequence[Name] = ()

    def __post_init__(self) -> None:
        """Find the named staff. Raises BadInputError for a name that wrote no message."""
        self._team = Team(self.options.staff)
        self.total_bytes = sum(self.package.sizes[name] for name in self.files)
        if not self._team.named:
            return
        people: dict[str, str] = {}
        for chat in self.read(self.package, self.files, self.options):
            people |= chat.people if isinstance(chat, Chat) else {}
        present = {name for author, name in people.items() for name in self._team.of(author, name)}
        for one in sorted(self._team.named - present):
            authors = sorted(set(people.values()))
            hint = nearest(one, authors) or f"; authors are {', '.join(authors[:10])}"
            raise BadInputError(f"{self.package.path}: --staff {one!r} wrote no message{hint}")
        self.package.read_bytes = 0

    @property
    def read_bytes(self) -> int:
        """Bytes read so far, for a progress bar."""
        return self.package.read_bytes

    def records(self) -> Iterator[Record | Rejection]:
        """Yield the records chat by chat, message by message."""
        tally = Tally()
        if self.not_read:
            tally.left_out["files"] = len(self.not_read)
        known_names: dict[tuple[str, str], Name] = {}
        for chat in self.read(self.package, self.files, self.options):
            items = iter([chat]) if isinstance(chat, Rejection) else self._items(chat, known_names)
            for item in items:
                if isinstance(item, Record):
                    tally.add(item.event)
                else:
                    item.index = tally.records
                tally.records += 1
                yield item
        self.names = list(known_names.values())
        self.summary = tally.summary()

    def _items(self, chat: Chat, known_names: dict[tuple[str, str], Name]) -> Iterator[Record | Rejection]:
        known_names |= {(name.kind, name.id): name for name in names(chat, self._team)}
        return events(chat, self._team, keep_text=self.options.keep_text)


def unreadable(name: str, error: object) -> Rejection:
    """Return the rejection of a whole file."""
    return Rejection(index=0, code=CUT, field=None, message=f"{name}: cannot be read: {error}")


def bodies(package: Package, files: Sequence[str]) -> Iterator[tuple[str, bytes | Rejection]]:
    """Yield each file with its bytes, or with the rejection of an unreadable one."""
    for name in files:
        try:
            yield name, package.read(name)
        except UNREADABLE as error:
            yield name, unreadable(name, error)


def documents(package: Package, files: Sequence[str], kind: type[T]) -> Iterator[tuple[str, T | Rejection]]:
    """Yield each JSON file as a `kind`, or its rejection when it is truncated, damaged or has another shape."""
    for name, value in values(package, files):
        document = value if isinstance(value, Rejection) else record_of(kind, value, name)
        if isinstance(document, Rejection) and document is not value:
            document = unreadable(name, document.message.removeprefix(f"{name}: "))
        yield name, document


def values(package: Package, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the value of each JSON file, or the rejection of a truncated or damaged one."""
    for name, body in bodies(package, files):
        if isinstance(body, Rejection):
            yield name, body
            continue
        try:
            yield name, value_of(body)
        except ValueError as error:
            yield name, unreadable(name, error)
