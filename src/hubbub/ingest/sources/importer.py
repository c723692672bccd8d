"""What every importer is, and what one reading of files by it gives. `catalogue.py` lists those that there are."""

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
    """What an import is told that its files do not say.

    `staff`: names or ids of those who answer. `zone`: of files whose times have none. `day_first`: how dates are written
    that can be read both ways; None: nobody said so.
    """

    keep_text: bool = False
    staff: tuple[str, ...] = ()
    zone: ZoneInfo | None = None
    day_first: bool | None = None


class Import(Protocol):
    """One reading. What it tells is complete once `records()` is exhausted."""

    def records(self) -> Iterator[Record | Rejection]:
        """Yield every event in a fixed order, and a refusal with its place for each record that gives none."""
        ...

    @property
    def summary(self) -> dict[str, object]:
        """What was read, as `Tally.summary` gives it."""
        ...

    @property
    def names(self) -> Sequence[Name]:
        """What people and rooms are called."""
        ...

    @property
    def not_read(self) -> Sequence[str]:
        """Files that were looked at and hold nothing that is read."""
        ...

    @property
    def read_bytes(self) -> int:
        """Bytes that were read until now, of `total_bytes`, for a progress bar."""
        ...

    @property
    def total_bytes(self) -> int:
        """Bytes that there are to read."""
        ...


class Importer(Protocol):
    """Reads one kind of file."""

    def recognises(self, package: Package) -> str:
        """Return what of this kind is there, in words (`3 chats of Telegram`), or an empty text. Never raises for odd files."""
        ...

    def open(self, package: Package, options: Options) -> Import:
        """Begin to read. Raises BadInputError for what is not of this kind, and for an option that is lacking or no use."""
        ...
