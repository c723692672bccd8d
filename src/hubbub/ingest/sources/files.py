"""Files of events or of rows: JSONL, JSON, CSV, Parquet, CloudEvents, and archives of mails.

Without a mapping each record must be an event of the contract (or a CloudEvent); a mapping turns rows into events.
The output is `Record`s, and `Rejection`s that name file, line and field, in the order of the files. Files are read as streams,
except JSON that is not one record a line; `.gz` is unpacked while reading.
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
_SAMPLE = 20
_decode_any = msgspec.json.Decoder().decode


def read(
    paths: list[Path],
    mapping: Mapping | None = None,
    *,
    where: dict[str, str] | None = None,
    tenant: str | None = None,
) -> FileImport:
    """Open files; `where` (column to value) narrows the rows further, `tenant` owns the events.

    Raises `BadInputError` for unsuitable files.
    """
    return FileImport(paths, mapping, condition(where or {}, "where"), tenant)


class EventsImporter:
    """Reads files whose records are events of the contract."""

    def recognises(self, package: Package) -> str:
        """Return a description of the file, when its first records hold an event."""
        try:
            items = read([package.path]).records() if package.is_file else iter(())
            has_event = any(isinstance(item, Record) for item in islice(items, _SAMPLE))
        except BadInputError:
            has_event = False
        return "a file of events" if has_event else ""

    def open(self, package: Package, options: Options) -> FileImport:
        """Start to read. Raises BadInputError for other files, BadQuestionError for options without effect."""
        if options.staff or options.keep_text or options.day_first is not None:
            raise BadQuestionError(
                "--staff, --keep-text, --day-first: these do not apply to files of events: leave them out"
            )
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
        """Check the files without reading them. Raises `BadInputError`."""
        for path in self.paths:
            if not path.is_file():
                raise BadInputError(
                    f"{path}: {'is a folder: name its files' if path.is_dir() else 'the file does not exist'}"
                )
            self.total_bytes += path.stat().st_size
            kind = self._format(path)
            if self.mapping is not None and self.mapping.records is not None and kind != "json":
                raise BadInputError(
                    f"{path}: 'records' of a mapping is for JSON files, but this file is read as {kind}"
                )
        if self.mapping is not None:
            self.total_bytes *= 1 + (self.mapping.conversation is not None) + self.mapping.changed

    def records(self) -> Iterator[Record | Rejection]:
        """Yield the content of the files, file by file, record by record; a row may give several events or none.

        With `revision: changed` only an event's last occurrence is yielded; the files replaced the earlier ones.
        """
        tally = Tally()
        self.read_bytes = 0
        conversations = None
        if self.mapping is not None and self.mapping.conversation is not None:
            conversations = Conversations(
                self.mapping.conversation, (row for _, _, row in self._rows() if isinstance(row, dict))
            )
        repeats = self._occurrences(conversations)
        for row, items in self._selected(conversations, tally):
            count = 0
            for item in items:
                count += 1
                if isinstance(item, Record) and repeats[_key(item)] > 0:
                    repeats[_key(item)] -= 1
                    tally.left_out["again"] += 1
                    continue
                if isinstance(item, Record):
                    tally.add(item.event)
                else:
                    item.index = tally.records
                yield item
            tally.records += 1
            if not count and self.mapping is not None and isinstance(row, dict):
                tally.left_out["each" if self.mapping.fits(row) else "when"] += 1
        self.summary = tally.summary()

    def _selected(
        self, conversations: Conversations | None, tally: Tally
    ) -> Iterator[tuple[Row | bytes | Fault, Iterator[Record | Rejection]]]:
        """Yield each selected row with its records; count other rows as left out."""
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

    def _occurrences(self, conversations: Conversations | None) -> Counter[int]:
        """Return how often each event with `revision: changed` occurs after its first row."""
        if self.mapping is None or not self.mapping.changed:
            return Counter()
        seen: Counter[int] = Counter()
        for _, items in self._selected(conversations, Tally()):
            seen.update(
                _key(item) for item in items if isinstance(item, Record) and item.event.id and item.event.revision
            )
        return Counter({key: n - 1 for key, n in seen.items() if n > 1})

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
                message = f"{origin}: 'tenant_from' of the mapping gives no tenant for this row"
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
                f"{path}: the name does not show the format: use one of {', '.join(SUFFIXES)}, or a mapping with "
                f"'format' ({', '.join(sorted(FORMATS))})"
            )
        if kind == "pipermail" and self.mapping is None:
            raise BadInputError(f"{path}: mails need a mapping (--map) like examples/email-r-lists.yaml")
        return kind

    def _rows(self) -> Iterator[tuple[str, int, Row | bytes | Fault]]:
        """Yield every record with its origin and its 0-based number in its file; counts the bytes read."""
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
                    fault = Fault(CUT, f"the file is truncated or damaged: {error}")
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
        # Events are decoded straight from their bytes; only rows must be parsed first.
        parse: objects.Parser = objects.read_row if mapping is not None or self.where.tests else bytes
        return (objects.json_lines if kind == "jsonl" else objects.json_file)(path, stream, parse)

    def _check_columns(self, path: Path, header: list[str]) -> None:
        """Refuse a table that lacks or repeats a column of the mapping or, without a mapping, has an unknown event field."""
        have = set(header)
        needed = have
        if self.mapping is not None:
            needed = self.mapping.columns | self.where.columns
            added = self.mapping.conversation.added if self.mapping.conversation else set()
            missing = sorted(
                c for c in needed - added
                if c not in have and not any(name in have or name.partition(".")[0] in have for name in c.split("|"))
            )  # fmt: skip
            if missing:
                raise BadInputError(
                    f"{path}: the column {missing[0]!r}, which the mapping {self.mapping.path.name} reads, is missing; "
                    f"the file has {', '.join(repr(h) for h in header[:40])}{tables.delimiter_hint(header)}"
                )
        else:
            known = FIELDS | TENANT_NAMES
            strange = [h for h in header if ALIASES.get(h, h) not in known and not re.search(r"[a-z][A-Z]", h)]
            if strange and "specversion" not in have:
                raise BadInputError(
                    f"{path}: column {strange[0]!r} is not an event field; map it to one in a mapping (--map)"
                    f"{tables.delimiter_hint(header)}"
                )
        twice = next((h for h in header if h in needed and header.count(h) > 1), None)
        if twice is not None:
            raise BadInputError(f"{path}: column {twice!r} occurs twice: rename or remove one of the two")


def _key(record: Record) -> int:
    """Return a number for the event of a record: its tenant, source and id."""
    return hash((record.tenant, record.event.source, record.event.id))


def _typed(row: Row) -> Row:
    """Convert a table's text cells to the types of an event: numbers, and JSON for `attributes`."""
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
                pass  # a remaining text is refused by name later
        out[column] = content
    return out
