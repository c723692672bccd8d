"""The importer that all kinds of chats share: which files of a package are of its kind, and one reading of them."""

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
"""Reads files of a package. What cannot be read is given as a refusal, or raised as one of UNREADABLE inside `whole`."""


@dataclass(frozen=True, slots=True)
class ChatImporter:
    """A kind of chats: what it is called, which names its files have, how they begin, and what reads them."""

    what: str
    files: str
    is_one: Callable[[Package, str], bool]
    read: Reader
    needs_zone: bool = False

    def recognises(self, package: Package) -> str:
        """Return what of this kind is there, in words, or an empty text."""
        found = next((name for name in package.named(self.files) if self.is_one(package, name)), "")
        if not found:
            return ""
        return self.what if package.is_file else f"{self.what}, in {found}"

    def open(self, package: Package, options: Options) -> ChatImport:
        """Begin to read. Raises BadInputError for what is not of this kind, and for options that do not fit."""
        files = package.named(self.files)
        taken = [name for name in files if self.is_one(package, name)]
        if not taken:
            raise BadInputError(f"{package.path}: no {self.what} is there: {package.described()}")
        if self.needs_zone and options.zone is None:
            raise BadQuestionError(
                f"{package.path}: its times have no zone: say with --zone where the phone was, like --zone Europe/Berlin"
            )
        if options.day_first is not None and not self.needs_zone:
            raise BadQuestionError(f"--day-first: dates of {self.what} can be read in one way only: leave it out")
        return ChatImport(package, taken, self.read, options, sorted(set(files) - set(taken)))


@dataclass
class ChatImport:
    """One reading of chats; see `Import`."""

    package: Package
    files: Sequence[str]
    read: Reader
    options: Options
    not_read: Sequence[str]
    summary: dict[str, object] = field(default_factory=dict)
    names: Sequence[Name] = ()

    def __post_init__(self) -> None:
        """Look for those who are named as staff. Raises BadInputError for somebody who writes in none of the chats."""
        self._team = Team(self.options.staff)
        self.total_bytes = sum(self.package.sizes[name] for name in self.files)
        if not self._team.named:
            return
        people: dict[str, str] = {}
        for chat in self.read(self.package, self.files, self.options):
            people |= chat.people if isinstance(chat, Chat) else {}
        found = {one for author, name in people.items() for one in self._team.of(author, name)}
        for one in sorted(self._team.named - found):
            known = sorted(set(people.values()))
            hint = nearest(one, known) or f"; there are {', '.join(known[:10])}"
            raise BadInputError(f"{self.package.path}: --staff {one!r} writes nothing there{hint}")
        self.package.read_bytes = 0

    @property
    def read_bytes(self) -> int:
        """How many bytes were read, for a progress bar."""
        return self.package.read_bytes

    def records(self) -> Iterator[Record | Rejection]:
        """Yield chat by chat, in each message by message."""
        tally = Tally()
        if self.not_read:
            tally.left_out["files"] = len(self.not_read)
        heard: dict[tuple[str, str], Name] = {}
        for chat in self.read(self.package, self.files, self.options):
            items = iter([chat]) if isinstance(chat, Rejection) else self._of(chat, heard)
            for item in items:
                if isinstance(item, Record):
                    tally.add(item.event)
                else:
                    item.index = tally.records
                tally.records += 1
                yield item
        self.names = list(heard.values())
        self.summary = tally.summary()

    def _of(self, chat: Chat, heard: dict[tuple[str, str], Name]) -> Iterator[Record | Rejection]:
        heard |= {(name.kind, name.id): name for name in names(chat, self._team)}
        return events(chat, self._team, keep_text=self.options.keep_text)


def unreadable(name: str, error: object) -> Rejection:
    """Return the refusal of a whole file."""
    return Rejection(index=0, code=CUT, field=None, message=f"{name}: cannot be read: {error}")


def bodies(package: Package, files: Sequence[str]) -> Iterator[tuple[str, bytes | Rejection]]:
    """Yield each file with its bytes, or with the refusal of one that cannot be read."""
    for name in files:
        try:
            yield name, package.read(name)
        except UNREADABLE as error:
            yield name, unreadable(name, error)


def documents(package: Package, files: Sequence[str], kind: type[T]) -> Iterator[tuple[str, T | Rejection]]:
    """Yield each file of JSON in its shape, or with the refusal of one that is cut, damaged or shaped otherwise."""
    for name, value in values(package, files):
        found = value if isinstance(value, Rejection) else record_of(kind, value, name)
        if isinstance(found, Rejection) and found is not value:
            found = unreadable(name, found.message.removeprefix(f"{name}: "))
        yield name, found


def values(package: Package, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield what each file of JSON holds, or the refusal of one that is cut or damaged."""
    for name, body in bodies(package, files):
        if isinstance(body, Rejection):
            yield name, body
            continue
        try:
            yield name, value_of(body)
        except ValueError as error:
            yield name, unreadable(name, error)
