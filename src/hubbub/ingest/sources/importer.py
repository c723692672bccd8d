"""The contract of importers, and of the import that each returns. `catalogue.py` lists them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from hubbub.ingest.sources.package import Package
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import Rejection
from hubbub.model.name import Name


@dataclass(frozen=True, slots=True)
class Options:
    """Facts about an import that its files lack.

    `staff`: names or ids of staff. `zone`: the zone of times without one. `day_first`: the order of ambiguous dates; None if not
    given.
    """

    keep_text: bool = False
    staff: tuple[str, ...] = ()
    zone: ZoneInfo | None = None
    day_first: bool | None = None


class Import(Protocol):
    """An import. Its attributes are complete once `records()` is exhausted."""

    def records(self) -> Iterator[Record | Rejection]:
        """Yield every event in a fixed order, and a rejection with its place for each record without one."""
        ...

    @property
    def summary(self) -> dict[str, object]:
        """The counts of the import, see `Tally.summary`."""
        ...

    @property
    def names(self) -> Sequence[Name]:
        """The names of people and rooms."""
        ...

    @property
    def not_read(self) -> Sequence[str]:
        """Files that were checked and hold nothing to read."""
        ...

    @property
    def read_bytes(self) -> int:
        """Bytes read so far, of `total_bytes`, for a progress bar."""
        ...

    @property
    def total_bytes(self) -> int:
        """Bytes to read."""
        ...


class Importer(Protocol):
    """Reads one kind of file."""

    def recognises(self, package: Package) -> str:
        """Return a description of this kind's files (`3 chats of Telegram`), "" if there are none. Never raises for odd files."""
        ...

    def open(self, package: Package, options: Options) -> Import:
        """Start to read. Raises BadInputError for other content, and for a missing option or one without effect."""
        ...
