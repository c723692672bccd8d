"""Files of events or of rows: JSONL, JSON, CSV, Parquet, CloudEvents, and the text archives of mailing lists.

Without a mapping each record must be an event in the contract's words (or a CloudEvent); with one, records are rows
that the mapping turns into events. Out come `Record`s and `Rejection`s that name file, line and field, in the order of
the files. Files are read as streams, except JSON arrays, which have no lines; `.gz` is unpacked on the way.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hubbub.errors import BadInputError
from hubbub.ingest.sources.mapping import FORMATS, ConversationRule, Mapping, condition
from hubbub.ingest.sources.summary import Record, Tally
from hubbub.ingest.sources.values import Condition, cell, plain, pseudonym
from hubbub.model.event import ALIASES, FIELDS, MAX_RAW, Item, Rejection, UnreadableBodyError, read_events, record_from

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet",
    ".mbox": "pipermail",
}  # fmt: skip
MAX_CELL = 16 * 2**20

_NUMBERS = {"value": float, "scale": int, "duration_ms": int, "confidence": float, "revision": int}
_MAIL_START = re.compile(r"From .+ (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}\s*\Z")
_decode_any = msgspec.json.Decoder().decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode

Row = dict[str, Any]
_Parser = Callable[[bytes], "Row | bytes | _Fault"]


@dataclass(frozen=True, slots=True)
class _Fault:
    """A record that cannot even be read as a row."""

    code: str
    message: str
    raw: str = ""


def read(paths: list[Path], mapping: Mapping | None = None, *, where: dict[str, str] | None = None) -> FileImport:
    """Open files; `where` (column to value) narrows the rows further. Raises `BadInputError` for unfit files."""
    return FileImport(paths, mapping, condition(where or {}, "where"))


@dataclass
class FileImport:
    """Files to import. `summary` is complete once `records()` is exhausted; the bytes are for a progress bar."""

    paths: list[Path]
    mapping: Mapping | None = None
    where: Condition = field(default_factory=Condition)
    read_bytes: int = 0
    total_bytes: int = 0
    summary: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at the files without reading them. Raises `BadInputError`."""
        for path in self.paths:
            if not path.is_file():
                raise BadInputError(
                    f"{path}: {'is a folder: name its files' if path.is_dir() else 'there is no such file'}"
                )
            self.total_bytes += path.stat().st_size
            self._format(path)
        if self.mapping is not None and self.mapping.conversation is not None:
            self.total_bytes *= 2

    def records(self) -> Iterator[Record | Rejection]:
        """Yield what the files hold, file by file, record by record; a row may give several events or none."""
        tally = Tally()
        self.read_bytes = 0
        conversations = None
        if self.mapping is not None and self.mapping.conversation is not None:
            conversations = Conversations(
                self.mapping.conversation, (row for _, _, row in self._rows() if isinstance(row, dict))
            )
        for origin, number, row in self._rows():
            if isinstance(row, dict):
                if self.mapping is not None:
                    row = {"file": origin.partition(".")[0], "row": number} | row
                if conversations is not None:
                    row |= conversations.columns(row)
                if not self.where.fits(row) or (self.mapping is not None and not self.mapping.where.fits(row)):
                    continue
            for item in self._items(row, number, origin):
                if isinstance(item, Record):
                    tally.add(item.event)
                else:
                    item.index = tally.records
                yield item
            tally.records += 1
        self.summary = tally.summary()

    def _items(self, row: Row | bytes | _Fault, number: int, origin: str) -> Iterator[Record | Rejection]:
        if isinstance(row, _Fault):
            yield Rejection(index=0, code=row.code, field=None, message=f"{origin}: {row.message}", raw=row.raw)
            return
        tenant = None
        if isinstance(row, bytes):
            items = _events(row)
        elif self.mapping is None:
            items = iter([record_from(_typed(row), number)])
        else:
            tenant = self.mapping.tenant_of(row, number)
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

    def _rows(self) -> Iterator[tuple[str, int, Row | bytes | _Fault]]:
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
                except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
                    fault = _Fault("unreadable_file", f"the file breaks off or is damaged: {error}")
                    yield path.name, number, fault
            self.read_bytes = before + size

    def _read(self, kind: str, path: Path, stream: Any) -> Iterator[tuple[str, Row | bytes | _Fault]]:
        if kind == "csv":
            return self._csv(path, stream)
        if kind == "parquet":
            return self._parquet(path, stream)
        if kind == "pipermail":
            return _pipermail(path, stream)
        # Events are decoded straight from their bytes; only rows need to be looked into first.
        parse: _Parser = _row if self.mapping is not None or self.where.tests else bytes
        return (_json_lines if kind == "jsonl" else _json_file)(path, stream, parse)

    def _csv(self, path: Path, stream: BinaryIO) -> Iterator[tuple[str, Row | _Fault]]:
        encoding = self.mapping.encoding if self.mapping else "utf-8"
        encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        delimiter = (self.mapping.delimiter if self.mapping else None) or ("\t" if ".tsv" in path.suffixes else ",")
        csv.field_size_limit(MAX_CELL)  # the default would end the file at the first long message
        with io.TextIOWrapper(stream, encoding, "surrogateescape", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter)
            header = next(reader, [])
            if not header:
                raise BadInputError(f"{path}: the first line must name the columns, and it is empty")
            self._check_columns(path, header)
            while True:
                origin = f"{path.name} line {reader.line_num + 1}"
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield origin, _Fault("invalid_csv", f"not valid CSV: {error}")
                    continue
                if cells is None:
                    return
                if len(cells) == len(header):
                    yield origin, dict(zip(header, cells, strict=True))
                elif cells:
                    yield origin, _Fault("invalid_csv", f"has {len(cells)} cells where the header has {len(header)}")

    def _parquet(self, path: Path, stream: BinaryIO) -> Iterator[tuple[str, Row | _Fault]]:
        with pq.ParquetFile(stream) as file:
            self._check_columns(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                # Python's times have no nanoseconds, so they are cut to the microseconds that the store keeps.
                schema = pa.schema(
                    [
                        f.with_type(pa.timestamp("us", f.type.tz)) if pa.types.is_timestamp(f.type) else f
                        for f in batch.schema
                    ]
                )
                for row in pa.Table.from_batches([batch]).cast(schema, safe=False).to_pylist():
                    number += 1
                    yield f"{path.name} row {number}", row

    def _check_columns(self, path: Path, header: list[str]) -> None:
        """Refuse a table that lacks a column of the mapping, or has one that is no event field where there is none."""
        have = set(header)
        if self.mapping is not None:
            needed = self.mapping.columns | {c for c, _, _ in self.where.tests}
            made = self.mapping.conversation.made if self.mapping.conversation else set()
            lacking = sorted(c for c in needed - made if c not in have and c.partition(".")[0] not in have)
            if lacking:
                raise BadInputError(
                    f"{path}: there is no column {lacking[0]!r}, which the mapping {self.mapping.path.name} reads; "
                    f"the file has {', '.join(repr(h) for h in header[:40])}"
                )
        else:
            strange = [h for h in header if ALIASES.get(h, h) not in FIELDS and not re.search(r"[a-z][A-Z]", h)]
            if strange and "specversion" not in have:
                raise BadInputError(
                    f"{path}: column {strange[0]!r} is not an event field; say what it means in a mapping (--map)"
                )


class Conversations:
    """Which rows belong together, learned in a first reading of all files. It adds these columns to a row:

    `conversation`, the id of the thread's first row; `opener`, who wrote that; `is_opener`, whether this row's
    author did; `answered`, who wrote the row that this one answers; and what the mapping carries from one row of
    the conversation to all, such as the brand that answers in it. A thread is found by going up `parent` to the
    farthest row there is (loops do no harm), or given by `group`, whose first row is the first by `order`. Where
    the top row answers something that is not in the files, all that answer the same share its id, and the opener is
    not known.
    """

    def __init__(self, rule: ConversationRule, rows: Iterator[Row]) -> None:
        """Read all rows once."""
        self._rule = rule
        self._parents: dict[str, str] = {}  # a row's nearest present or, failing that, farthest named ancestor
        named: dict[str, list[str]] = {}
        self._authors: dict[str, str] = {}
        seen: list[tuple[str, str, dict[str, str]]] = []
        for row in rows:
            key = plain(cell(row, rule.id))
            if not key or key in named:
                continue
            named[key] = self._named(row)
            self._authors[key] = plain(cell(row, rule.author)) if rule.author else ""
            carried = {n: plain(cell(row, c)) for n, (c, when) in rule.carry.items() if when.fits(row)}
            seen.append((key, plain(cell(row, rule.order)) if rule.order else "", carried))
        for key, parents in named.items():
            present = [p for p in parents if p in named and p != key]
            if present or parents:
                self._parents[key] = present[0] if present else parents[-1]
        self._root: dict[str, str] = {}
        self._opener: dict[str, str] = {}
        self._carried: dict[str, dict[str, str]] = {}
        for key, _, carried in sorted(seen, key=lambda entry: entry[1]):
            root = self._top(key)
            if rule.group or root == key:
                self._opener.setdefault(root, self._authors[key])
            mine = self._carried.setdefault(root, {})
            for name, content in carried.items():
                mine.setdefault(name, content)

    def _named(self, row: Row) -> list[str]:
        """Return the ancestors that a row names, the nearest first."""
        if self._rule.group:
            group = plain(cell(row, self._rule.group))
            return [group] if group else []
        return [plain(p) for column in self._rule.parents for p in reversed(plain(cell(row, column)).split())]

    def _top(self, key: str) -> str:
        if self._rule.group:
            return self._parents.get(key, key)
        path: dict[str, None] = {}
        at = key
        while at in self._parents and at not in self._root:
            if at in path:  # a loop: its smallest id stands for it, whichever row was met first
                at = min(list(path)[list(path).index(at) :])
                break
            path[at] = None
            at = self._parents[at]
        root = self._root.get(at, at)
        for step in path:
            self._root[step] = root
        return root

    def columns(self, row: Row) -> Row:
        """Return the columns that a row gains."""
        key = plain(cell(row, self._rule.id))
        root = self._top(key) if key else ""
        opener = self._opener.get(root, "")
        author = plain(cell(row, self._rule.author)) if self._rule.author else ""
        carried = self._carried.get(root, {})
        is_opener = "true" if opener and opener == author else "false"
        return {
            "conversation": root, "opener": opener, "is_opener": is_opener,
            "answered": "" if self._rule.group else self._authors.get(self._parents.get(key, ""), ""),
            **{name: carried.get(name, "") for name in self._rule.carry},
        }  # fmt: skip


def _json_lines(path: Path, stream: BinaryIO, parse: _Parser) -> Iterator[tuple[str, Row | bytes | _Fault]]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield f"{path.name} line {number}", parse(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)


def _json_file(path: Path, stream: BinaryIO, parse: _Parser) -> Iterator[tuple[str, Row | bytes | _Fault]]:
    """Read an array of objects, one object, or, as many tools name them so, lines of objects."""
    body = stream.read().removeprefix(codecs.BOM_UTF8)
    if body.lstrip()[:1] == b"[":
        try:
            raws = _decode_raws(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            yield path.name, _Fault("invalid_json", f"not valid JSON: {error}")
            return
        for number, raw in enumerate(raws, 1):
            yield f"{path.name} record {number}", parse(bytes(raw))
    elif isinstance(_row(body), dict):
        yield f"{path.name} record 1", parse(body)
    else:
        yield from _json_lines(path, io.BytesIO(body), parse)


def _events(raw: bytes) -> Iterator[Item]:
    try:
        yield from read_events(raw)
    except UnreadableBodyError as error:
        text = raw[:MAX_RAW].decode("utf-8", "replace")
        yield Rejection(index=0, code="invalid_json", field=None, message=str(error), raw=text)


def _row(raw: bytes) -> Row | _Fault:
    try:
        content = _decode_any(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return _Fault("invalid_json", f"not valid JSON: {error}", raw[:MAX_RAW].decode("utf-8", "replace"))
    if isinstance(content, dict):
        return content
    return _Fault("invalid_event", "an object is needed", raw[:MAX_RAW].decode("utf-8", "replace"))


def _pipermail(path: Path, stream: BinaryIO) -> Iterator[tuple[str, Row | _Fault]]:
    """Read the headers of each mail in an archive; subjects and bodies are left where they are."""
    headers: dict[str, str] = {}
    name, start, inside = "", 0, False
    for number, line in enumerate(codecs.iterdecode(stream, "utf-8", "replace"), 1):
        if _MAIL_START.match(line):
            if start:
                yield f"{path.name} line {start}", _mail(path, headers)
            headers, name, start, inside = {}, "", number, True
        elif inside and not line.strip():
            inside = False
        elif inside and line[:1] in " \t" and name:
            headers[name] += " " + line.strip()
        elif inside:
            name, _, content = line.partition(":")
            name = name.strip().lower()
            headers.setdefault(name, content.strip())
    if start:
        yield f"{path.name} line {start}", _mail(path, headers)


def _mail(path: Path, headers: dict[str, str]) -> Row:
    sender = headers.get("from", "")
    address, _, rest = sender.partition(" (")
    ids = {
        h: " ".join(re.findall(r"<[^<>\s]+>", headers.get(h, ""))) for h in ("message-id", "in-reply-to", "references")
    }
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
        date = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, TypeError, IndexError):
        date = ""
    return {
        "list": path.resolve().parent.name,
        "from_name": rest.rstrip(")").strip(),
        "from_hash": pseudonym(address),
        "date": date,
        "message_id": ids["message-id"],
        "in_reply_to": ids["in-reply-to"],
        "references": ids["references"],
    }


def _typed(row: Row) -> Row:
    """Give text cells of a table the types that an event has: numbers, and JSON for `attributes`."""
    out: Row = {}
    for column, content in row.items():
        name = ALIASES.get(column, column)
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
