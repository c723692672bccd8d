"""JSON exports of messengers: parse a whole file, then check one record at a time."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, TypeVar

import msgspec

from hubbub.model.event import Rejection

T = TypeVar("T")
_FIELD = re.compile(r"`\$\.?([\w.\[\]]*)`")
_MISSING = re.compile(r"missing required field `(\w+)`")
_decode = msgspec.json.Decoder().decode


def value_of(body: bytes) -> Any:
    """Return a file's JSON value. A bad character damages only its own text. Raises ValueError for invalid JSON."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if body[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in body[:4]:
        raise ValueError("it is UTF-16 or UTF-32: save it as UTF-8")
    try:
        return _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        first = error
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        raise ValueError(f"truncated or invalid JSON: {first}") from None


def rejection(code: str, field: str | None, message: str) -> Rejection:
    """Return the rejection of a record, without any of its content."""
    return Rejection(index=0, code=code, field=field, message=message)


def record_of(kind: type[T], value: Any, origin: str) -> T | Rejection:
    """Return a record as a `kind`, or the rejection that names its place and field."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, OverflowError, ValueError, RecursionError) as error:
        place, missing = _FIELD.search(str(error)), _MISSING.search(str(error))
        name = ".".join(match[1] for match in (place, missing) if match and match[1]) or None
        code = "missing_field" if missing else "invalid_field" if name else "invalid_event"
        return rejection(code, name, f"{origin}: {error}")
