"""JSON: lines of objects, arrays of them, one object, or the lists under a path in it."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from hubbub.ingest.sources.rows import CUT, MAX_CELL, Fault, Numbered, Row, broken_off, lines, too_long
from hubbub.model.event import MAX_RAW, Item, Rejection, UnreadableBodyError, array_of, read_events

MAX_FILE = 512 * 2**20
"""Largest file without lines, unpacked, in bytes: it must fit into memory."""

Parser = Callable[[bytes], Row | bytes | Fault]
_decode_any = msgspec.json.Decoder().decode


def json_lines(path: Path, stream: BinaryIO, parse: Parser) -> Iterator[Numbered]:
    """Yield the record of each line."""
    for number, line in enumerate(lines(stream), 1):
        origin = f"{path.name} line {number}"
        if line is None:
            yield origin, Fault("too_long", too_long("the line", MAX_CELL))
        elif number == 1 and (fault := _other_encoding(line)):
            yield origin, fault
            return
        elif (line := line.removeprefix(codecs.BOM_UTF8)).strip():
            if not line.endswith(b"\n") and _is_cut(line):
                yield (
                    origin,
                    broken_off(Fault("invalid_json", "not valid JSON", line[:MAX_RAW].decode("utf-8", "replace"))),
                )
            else:
                yield origin, parse(line)


def _is_cut(line: bytes) -> bool:
    """Say whether a line is invalid JSON, whatever its characters."""
    try:
        json.loads(line.decode("utf-8", "surrogateescape"))
    except ValueError:
        return True
    except RecursionError:
        return False
    return False


def json_file(path: Path, stream: BinaryIO, parse: Parser) -> Iterator[Numbered]:
    """Yield the records of an array of objects, of one object, or of lines of objects, since many tools name them `.json`."""
    body = _read_whole(stream)
    if isinstance(body, Fault):
        yield path.name, body
    elif body.lstrip()[:1] == b"[":
        try:
            records = array_of(body)
        except ValueError as error:
            yield path.name, Fault(CUT, f"truncated or invalid JSON: {error}")
            return
        for number, record in enumerate(records, 1):
            yield f"{path.name} record {number}", parse(record)
    elif isinstance(read_row(body), dict):
        yield f"{path.name} record 1", parse(body)
    else:
        yield from json_lines(path, io.BytesIO(body), parse)


def json_records(path: Path, stream: BinaryIO, where: str) -> Iterator[Numbered]:
    """Yield the rows under a path like `conversations.messages`; lists on the path are read element by element.

    Each row has its enclosing object as the column `parent`. A missing value on the path is a fault, an empty list is not.
    """
    body = _read_whole(stream)
    if isinstance(body, Fault):
        yield path.name, body
        return
    content = read_value(body)
    if isinstance(content, Fault):
        yield path.name, replace(content, code=CUT)
        return
    for number, row in enumerate(_under(content, where.split("."), {}), 1):
        yield f"{path.name} record {number}", row


def _under(content: Any, path: list[str], parent: Row) -> Iterator[Row | Fault]:
    if isinstance(content, list):
        for element in content:
            yield from _under(element, path, parent)
    elif not isinstance(content, dict):
        yield Fault("invalid_event", "an object is needed")
    elif not path:
        yield {"parent": parent, **content}
    elif path[0] in content:
        inner = {name: value for name, value in content.items() if name != path[0]}
        yield from _under(content[path[0]], path[1:], {"parent": parent, **inner} if parent else inner)
    else:
        yield Fault(
            "no_records",
            f"{path[0]!r} of the mapping's 'records' is missing; the object has {', '.join(map(repr, list(content)[:20]))}",
        )


def _read_whole(stream: BinaryIO) -> bytes | Fault:
    body = stream.read(MAX_FILE + 1).removeprefix(codecs.BOM_UTF8)
    if len(body) > MAX_FILE:
        return Fault("too_long", f"{too_long('the file', MAX_FILE)} at once: write one record a line (JSON lines)")
    return _other_encoding(body) or body


def _other_encoding(body: bytes) -> Fault | None:
    """Return a fault for JSON in UTF-16 or UTF-32, recognised by zero bytes or a byte order mark at its beginning."""
    if body[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in body[:4]:
        return Fault(CUT, "the file is UTF-16 or UTF-32: save it as UTF-8")
    return None


def read_value(raw: bytes) -> Any | Fault:
    """Return any JSON value, or its fault."""
    try:
        return _decode_any(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Fault("invalid_json", f"not valid JSON: {error}", raw[:MAX_RAW].decode("utf-8", "replace"))


def read_row(raw: bytes) -> Row | Fault:
    """Return a record's object, or its fault."""
    content = read_value(raw)
    if isinstance(content, dict | Fault):
        return content
    return Fault("invalid_event", "an object is needed", raw[:MAX_RAW].decode("utf-8", "replace"))


def events(raw: bytes, tenant: str | None) -> Iterator[Item]:
    """Yield the events of a record, as over HTTP."""
    try:
        yield from read_events(raw, tenant=tenant)
    except UnreadableBodyError as error:
        text = raw[:MAX_RAW].decode("utf-8", "replace")
        yield Rejection(index=0, code="invalid_json", field=None, message=str(error), raw=text)
