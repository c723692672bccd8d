"""Files of events or of rows: JSONL, JSON, CSV, Parquet, CloudEvents, and archives of mails.

Without a mapping each record must be an event in the contract's words (or a CloudEvent); with one, records are rows
that the mapping turns into events. Out come `Record`s and `Rejection`s that name file, line and field, in the order of
the files. Files are read as streams, except JSON that has no lines; `.gz` is unpacked on the way.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from hubbub.errors import BadInputError, BadQuestionError
from hubbub.ingest.sources import mails, objects, tables
from hubbub.ingest.sources.conversations import Conversations
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.mapping import FORMATS, Mapping, condition
from hubbub.ingest.sources.package import Package
from hubbub.ingest.sources.rows import CUT, Fault, Numbered, Row
from hubbub.ingest.sources.summary import Record, Tally
from hubbub.ingest.sources.values import Condition
from hubbub.model.event import ALIASES, FIELDS, TENANT_NAMES, Rejection, record_from
from hubbub.model.name import Name
from hubbub.model.spelling import snake

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet",
    ".mbox": "pipermail",
}  # fmt: skip

_NUMBERS = {"value": float, "scale": int, "duration_ms": int, "confidence": float, "revision": int}
_UNREADABLE = (OSError, EOFError, UnicodeError, zlib.error, pa.ArrowException)
_LOOKED_AT = 20
_decode_any = msgspec.json.Decoder().decode


def read(
    paths: list[Path],
    mapping: Mapping | None = None,
    *,
    where: dict[str, str] | None = None,
    tenant: str | None = None,
) -> FileImport:
    """Open files; `where` (column to value) narrows the rows further, `tenant` is whose events they are.

    Raises `BadInputError` for unfit files.
    """
    return FileImport(paths, mapping, condition(where or {}, "where"), tenant)


class EventsImporter:
    """Reads files whose records are events already, in the contract's words."""

    def recognises(self, package: Package) -> str:
        """Return what the file is, where its first records hold an event."""
        try:
            items = read([package.path]).records() if package.is_file else iter(())
            found = any(isinstance(item, Record) for item in islice(items, _LOOKED_AT))
        except BadInputError:
            found = False
        return "a file of events" if found else ""

    def open(self, package: Package, options: Options) -> FileImport:
        """Begin to read. Raises BadInputError for what is no such file, BadQuestionError for options that are of no use."""
        if options.staff or options.keep_text or options.day_first is not None:
            raise BadQuestionError("--staff, --keep-text, --day-first: events say themselves what they hold")
        return read([package.path])


EVENTS = EventsImporter()


@dataclass
class FileImport:
    """Files to import; see `Import`."""

    paths: list[Path]
    mapping: Mapping | None = None
    where: Condition = field(default_factory=Condition)
    tenant: str | None = None
    read_bytes: int = 0
    total_bytes: int = 0
    summary: dict[str, object] = field(default_factory=dict)
    names: Sequence[Name] = ()
    not_read: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Look at the files without reading them. Raises `BadInputError`."""
        for path in self.paths:
            if not path.is_file():
                raise BadInputError(
                    f"{path}: {'is a folder: name its files' if path.is_dir() else 'there is no such file'}"
                )
            self.total_bytes += path.stat().st_size
            kind = self._format(path)
            if self.mapping is not None and self.mapping.records is not None and kind != "json":
                raise BadInputError(f"{path}: 'records' of a mapping is for JSON files, and this is read as {kind}")
        if self.mapping is not None:
            self.total_bytes *= 1 + (self.mapping.conversation is not None) + self.mapping.changed

    def records(self) -> Iterator[Record | Rejection]:
        """Yield what the files hold, file by file, record by record; a row may give several events or none.

        With `revision: changed` only the last of what they say of an event is given: what stood before it was said no longer.
        """
        tally = Tally()
        self.read_bytes = 0
        conversations = None
        if self.mapping is not None and self.mapping.conversation is not None:
            conversations = Conversations(
                self.mapping.conversation, (row for _, _, row in self._rows() if isinstance(row, dict))
            )
        again = self._again(conversations)
        for row, items in self._made(conversations, tally):
            given = 0
            for item in items:
                given += 1
                if isinstance(item, Record) and again[_key(item)] > 0:
                    again[_key(item)] -= 1
                    tally.left_out["again"] += 1
                    continue
                if isinstance(item, Record):
                    tally.add(item.event)
                else:
                    item.index = tally.records
                yield item
            tally.records += 1
            if not given and self.mapping is not None and isinstance(row, dict):
                tally.left_out["each" if self.mapping.fits(row) else "when"] += 1
        self.summary = tally.summary()

    def _made(
        self, conversations: Conversations | None, tally: Tally
    ) -> Iterator[tuple[Row | bytes | Fault, Iterator[Record | Rejection]]]:
        """Yield each row that is wanted with what it gives; others are counted as left out."""
        for origin, number, row in self._rows():
            if isinstance(row, dict):
                if self.mapping is not None:
                    row = {"file": origin.partition(".")[0], "row": number} | row
                if conversations is not None:
                    row |= conversations.columns(row)
                if not self.where.fits(row) or (self.mapping is not None and not self.mapping.where.fits(row)):
                    tally.left_out["where"] += 1
                    continue
            yield row, self._items(row, number, origin)

    def _again(self, conversations: Conversations | None) -> Counter[int]:
        """Return how often each event that newer rows replace (`revision: changed`) comes again behind its first row."""
        if self.mapping is None or not self.mapping.changed:
            return Counter()
        found: Counter[int] = Counter()
        for _, items in self._made(conversations, Tally()):
            found.update(
                _key(item) for item in items if isinstance(item, Record) and item.event.id and item.event.revision
            )
        return Counter({key: n - 1 for key, n in found.items() if n > 1})

    def _items(self, row: Row | bytes | Fault, number: int, origin: str) -> Iterator[Record | Rejection]:
        if isinstance(row, Fault):
            yield Rejection(index=0, code=row.code, field=None, message=f"{origin}: {row.message}", raw=row.raw)
            return
        tenant = None
        if isinstance(row, bytes):
            items = objects.events(row, self.tenant)
        elif self.mapping is None:
            items = iter([record_from(_typed(row), number, self.tenant)])
        else:
            tenant = self.mapping.tenant_of(row, number)
            if tenant is None and self.mapping.tenant is not None:
                message = f"{origin}: 'tenant_from' of the mapping names no tenant for it"
                yield Rejection(index=0, code="no_tenant", field=None, message=message)
                return
            items = self.mapping.events(row, number)
        for item in items:
            if isinstance(item, Rejection):
                item.message = f"{origin}: {item.message}"
                yield item
            else:
                yield Record(item, origin, tenant)

    def _format(self, path: Path) -> str:
        if self.mapping is not None and self.mapping.format is not None:
            return self.mapping.format
        suffixes = [s for s in path.suffixes if s != ".gz"]
        kind = SUFFIXES.get(suffixes[-1].lower()) if suffixes else None
        if kind is None:
            raise BadInputError(
                f"{path}: the format is not clear from the name: use one of {', '.join(SUFFIXES)}, or a mapping with "
                f"'format' ({', '.join(sorted(FORMATS))})"
            )
        if kind == "pipermail" and self.mapping is None:
            raise BadInputError(
                f"{path}: mails are no events yet: give a mapping (--map) like examples/email-r-lists.yaml"
            )
        return kind

    def _rows(self) -> Iterator[tuple[str, int, Row | bytes | Fault]]:
        """Yield every record with its origin and its 0-based number in its file, keeping count of the bytes."""
        for path in self.paths:
            before, size = self.read_bytes, path.stat().st_size
            kind = self._format(path)
            with path.open("rb") as raw:
                stream = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
                number = 0
                try:
                    for origin, row in self._read(kind, path, stream):
                        if number % 256 == 0 and not raw.closed:
                            self.read_bytes = before + min(raw.tell(), size)
                        yield origin, number, row
                        number += 1
                except _UNREADABLE as error:
                    fault = Fault(CUT, f"the file breaks off or is damaged: {error}")
                    yield path.name, number, fault
            self.read_bytes = before + size

    def _read(self, kind: str, path: Path, stream: Any) -> Iterator[Numbered]:
        mapping = self.mapping

        def check(header: list[str]) -> None:
            self._check_columns(path, header)

        if kind == "csv":
            return tables.csv_rows(
                path, stream, check, encoding=mapping.encoding if mapping else "utf-8",
                delimiter=(mapping.delimiter if mapping else None) or ("\t" if ".tsv" in path.suffixes else ","),
            )  # fmt: skip
        if kind == "parquet":
            return tables.parquet_rows(path, stream, check)
        if kind == "pipermail":
            return mails.mails(path, stream)
        if mapping is not None and mapping.records is not None:
            return objects.json_records(path, stream, mapping.records)
        # Events are decoded straight from their bytes; only rows need to be looked into first.
        parse: objects.Parser = objects.read_row if mapping is not None or self.where.tests else bytes
        return (objects.json_lines if kind == "jsonl" else objects.json_file)(path, stream, parse)

    def _check_columns(self, path: Path, header: list[str]) -> None:
        """Refuse a table that lacks a column of the mapping or has it twice, or one that is no event field where there is none."""
        have = set(header)
        needed = have
        if self.mapping is not None:
            needed = self.mapping.columns | self.where.columns
            made = self.mapping.conversation.made if self.mapping.conversation else set()
            lacking = sorted(
                c for c in needed - made
                if c not in have and not any(one in have or one.partition(".")[0] in have for one in c.split("|"))
            )  # fmt: skip
            if lacking:
                raise BadInputError(
                    f"{path}: there is no column {lacking[0]!r}, which the mapping {self.mapping.path.name} reads; "
                    f"the file has {', '.join(repr(h) for h in header[:40])}{tables.delimiter_hint(header)}"
                )
        else:
            known = FIELDS | TENANT_NAMES
            strange = [h for h in header if ALIASES.get(h, h) not in known and not re.search(r"[a-z][A-Z]", h)]
            if strange and "specversion" not in have:
                raise BadInputError(
                    f"{path}: column {strange[0]!r} is not an event field; say what it means in a mapping (--map)"
                    f"{tables.delimiter_hint(header)}"
                )
        twice = next((h for h in header if h in needed and header.count(h) > 1), None)
        if twice is not None:
            raise BadInputError(f"{path}: column {twice!r} is there twice: rename or remove one of the two")


def _key(record: Record) -> int:
    """Return a number for the event that a record tells of: whose it is, source and id."""
    return hash((record.tenant, record.event.source, record.event.id))


def _typed(row: Row) -> Row:
    """Give text cells of a table the types that an event has: numbers, and JSON for `attributes`."""
    out: Row = {}
    for column, content in row.items():
        name = ALIASES.get(snake(column), snake(column))
        if isinstance(content, datetime):
            content = content.isoformat()
        elif isinstance(content, str) and content:
            try:
                if name in _NUMBERS:
                    content = _NUMBERS[name](content)
                elif name == "attributes" and content.lstrip()[:1] == "{":
                    content = _decode_any(content)
            except (msgspec.DecodeError, ValueError, RecursionError):
                pass  # what stays a text is refused by name afterwards
        out[column] = content
    return out
