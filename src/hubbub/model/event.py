"""Events: their types and fields, and how bytes from outside become events or rejections.

`read_events` reads a request body or file and returns an `Event` or a `Rejection` for each record, so that a bad record does not
affect the others. `ingest/accept.py` has the rules beyond an event's shape.
"""

from __future__ import annotations

import codecs
import difflib
import json
import math
import re
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from hubbub.model.spelling import snake

TYPES: frozenset[str] = frozenset(
    f"{subject}.{what}"
    for subject, whats in {
        "message": "received sent delivered read failed reacted",
        "conversation": "started escalated resolved closed reopened assigned",
        "response": "ai_generated staff_sent time_recorded",
        "task": "created assigned completed sla_breached",
        "intent": "classified confidence_low action_taken",
        "satisfaction": "survey_sent rating_received feedback_received",
        "staff": "login logout status_changed",
        "topic": "classified unlabelled",
        "label": "retracted",
        "escalation": "raised",
        "link": "clicked",
        "campaign": "created started completed failed",
        "contact": "created updated blocked unblocked converted linked unlinked",
        "content": "published",
        "metric": "observed",
    }.items()
    for what in whats.split()
)

CUSTOM_TYPE = re.compile(r"custom\.[a-z0-9][a-z0-9_.-]{0,99}\Z")

KINDS: frozenset[str] = frozenset({"person", "ai", "auto", "bot", "system"})
"""Senders of a message: a person, an AI that answers people, an automatic reply, any other bot, the platform itself."""


NOTHING = msgspec.Raw(b"")
"""Missing attributes. A union with None would make msgspec decode attributes instead of keeping their text."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An event with the fields of the public contract. `type` and `time` are required, all others optional."""

    type: str
    time: datetime
    id: str | None = None
    source: str | None = None
    channel: str | None = None
    channel_id: str | None = None
    account_id: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    contact_id: str | None = None
    staff_id: str | None = None
    task_id: str | None = None
    campaign_id: str | None = None
    survey_id: str | None = None
    name: str | None = None
    kind: str | None = None
    topic: str | None = None
    sentiment: str | None = None
    intent: str | None = None
    severity: str | None = None
    status: str | None = None
    reason: str | None = None
    value: float | None = None
    scale: int | None = None
    duration_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    confidence: float | None = None
    revision: int | None = None
    asks: bool | None = None
    signs: str | None = None
    attributes: msgspec.Raw = NOTHING


class Rejection(msgspec.Struct, kw_only=True):
    """Why a record was refused: its place, a stable code, the field, and what to do. `raw` goes to quarantine."""

    index: int
    code: str
    field: str | None
    message: str
    raw: str = ""


Item = Event | Rejection

TEXT_FIELDS: tuple[str, ...] = tuple(
    f.name for f in msgspec.structs.fields(Event) if f.type in (str, str | None) and f.name != "type"
)
FIELDS: frozenset[str] = frozenset(Event.__struct_fields__)

ALIASES: dict[str, str] = {
    "event_type": "type", "timestamp": "time", "created_at": "time", "occurred_at": "time", "event_id": "id",
    "guest_id": "contact_id", "metadata": "attributes", "duration": "duration_ms", "tone": "sentiment",
}  # fmt: skip
"""Names of the systems that Hubbub replaces, also in camelCase, and `sentiment: {tone}`."""

TENANT_NAMES = frozenset({"property_id", "organization_id", "team_id"})
"""Names of the tenant's field in those systems. The API key decides the tenant; an event that names another one is refused."""

LONGEST_HINTED = 100
"""Characters; a longer text is no mistyped name, and slow to compare."""
HINTS_A_SECOND, MOST_HINTS = 5, 4096
"""The most hints computed in a second, and held in memory: one takes 2 ms of processor time, and senders repeat their mistakes."""
_hints: dict[tuple[str, frozenset[str]], str] = {}
_worked_out: deque[float] = deque(maxlen=HINTS_A_SECOND)
MAX_RAW = 262_144
"""The most characters stored of a refused record: no valid event is as long."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
"""Texts of tables and their values."""
_MAX_DEPTH = 32
_CLOUD_FIELDS = {"specversion", "datacontenttype", "dataschema", "subject", "data", "data_base64"}
_decode_events = msgspec.json.Decoder(list[Event]).decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


def is_known_type(name: str) -> bool:
    """Whether `name` is an event type of the contract or a well-formed `custom.*`."""
    return name in TYPES or CUSTOM_TYPE.match(name) is not None


def nearest(name: str, known: Iterable[str], *, in_bulk: bool = False) -> str:
    """Return a hint like `did you mean 'message.sent'?` for an unknown name, or an empty string.

    Cached by name, since a sender that mistypes a name does so in every event. `in_bulk`: only a few names a second get a hint, the
    others an empty string.
    """
    wanted = name, frozenset(known)
    if len(name) > LONGEST_HINTED:
        return ""
    if wanted not in _hints:
        if in_bulk:
            now = time.monotonic()
            if len(_worked_out) == HINTS_A_SECOND and now - _worked_out[0] < 1:
                return ""
            _worked_out.append(now)
        if len(_hints) >= MOST_HINTS:
            _hints.clear()
        _hints[wanted] = _nearest(*wanted)
    return _hints.get(wanted, "")


def _nearest(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


class UnreadableBodyError(ValueError):
    """The body as a whole is not JSON, so that it has no separate records."""


def read_events(body: bytes, *, lines: bool = False, tenant: str | None = None) -> list[Item]:
    """Read a body with one event, an array, NDJSON (`lines`), or CloudEvents single or batch; `tenant`: its owner.

    Returns one item for each record, in order. Raises `UnreadableBodyError` when the body as a whole cannot be parsed.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    if lines:
        return [read_one(line, i, tenant) for i, line in enumerate(_lines(body))]
    head = body.lstrip()[:1]
    try:
        if head == b"[":
            return list(_decode_events(body))
        if head == b"{":
            return [_decode_event(body)]
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass  # some record is invalid: read them one by one to find it
    if head not in (b"[", b"{"):
        raise UnreadableBodyError("the body must be a JSON object or an array of objects")
    try:
        records = array_of(body) if head == b"[" else [body]
    except ValueError as error:
        raise UnreadableBodyError(f"the body is not valid JSON: {error}") from None
    items = [read_one(record, i, tenant) for i, record in enumerate(records)]
    if head == b"{" and isinstance(items[0], Rejection) and items[0].code == "invalid_json":
        raise UnreadableBodyError(items[0].message)
    return items


def array_of(body: bytes) -> list[bytes]:
    """Return the JSON text of each element of an array.

    An element without a UTF-8 form (a lone surrogate, another encoding) or value (1e999) affects no other. Raises ValueError when
    the text is not an array.
    """
    try:
        return [bytes(raw) for raw in _decode_raws(body)]
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    try:
        values = json.loads(body.decode("utf-8", "surrogateescape"))
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(values, list):
        raise ValueError("it is not an array")
    return [json.dumps(value).encode() for value in values]


EventFields = dict[str, Any]
"""An event as JSON, as it is sent: the contract's fields by name, with free attributes. Checked, it is an `Event`."""


def record_from(value: EventFields, index: int = 0, tenant: str | None = None) -> Item:
    """Build an event like `event_from`; a `Rejection` keeps the record's JSON text."""
    item = event_from(value, index, tenant=tenant)
    if isinstance(item, Rejection):
        item.raw = as_json(value)
    return item


def _no_object(index: int, raw: str = "") -> Rejection:
    return Rejection(index=index, code="invalid_event", field=None, message="an event is a JSON object", raw=raw)


def _text(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def as_json(value: object) -> str:
    """Return the JSON text of a refused record; values that JSON cannot express become text."""
    try:
        return json.dumps(value, default=_text)[:MAX_RAW]
    except (TypeError, ValueError, RecursionError):
        return str(type(value))


def _lines(body: bytes) -> list[bytes]:
    return [line for line in (raw.removeprefix(codecs.BOM_UTF8) for raw in body.split(b"\n")) if line.strip()]


def read_one(raw: bytes, index: int, tenant: str | None = None) -> Item:
    """Read a record, which may hold line breaks; a `Rejection` keeps its text."""
    try:
        return _decode_event(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    text = raw[:MAX_RAW].decode("utf-8", "replace")
    try:
        value = _decode_any(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        try:  # a lone surrogate is found below, with its field
            value = json.loads(raw.decode("utf-8", "surrogateescape"), parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError):
            return Rejection(index=index, code="invalid_json", field=None, message=f"not valid JSON: {error}", raw=text)
    if not isinstance(value, dict):
        return _no_object(index, text)
    return event_from(value, index, text, tenant)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _no_number(text)


class _RefusedError(ValueError):
    """A record is not an event: code, field and message."""


def event_from(value: EventFields, index: int = 0, raw: str = "", tenant: str | None = None) -> Item:
    """Build an event from a mapping in the contract's, the original systems' or CloudEvents' spelling.

    Empty strings count as missing, numbers for ids become text. `tenant`: the owner; an event that names another one is refused.
    Returns a `Rejection` naming the field for an invalid event.
    """
    try:
        fields = _fields(_from_cloud_event(value) if "specversion" in value else value, tenant)
        attributes = _attributes(fields.pop("attributes", None))
        try:
            event = msgspec.convert(fields, Event)
        except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
            match = re.search(r"`\$\.(\w+)`", str(error))
            field = match.group(1) if match else None
            hint = "; write it as RFC 3339 with an offset" if field == "time" else ""
            plain = str(error).replace(" - at `$." + str(field) + "`", "")
            code = "invalid_time" if field == "time" else "invalid_field"
            raise _RefusedError(code, field, f"'{field}': {plain}{hint}") from None
    except _RefusedError as refused:
        code, field, message = refused.args
        return Rejection(index=index, code=code, field=field, message=message, raw=raw)
    event.attributes = attributes
    return event


def _fields(value: EventFields, tenant: str | None) -> EventFields:
    """Return the fields of an event under the contract's names. Raises _RefusedError."""
    fields: EventFields = {}
    for key, content in value.items():
        name = snake(key)
        name = ALIASES.get(name, name)
        if name in TENANT_NAMES and tenant is not None:
            if content not in (None, "") and str(content).lower() != tenant:
                raise _RefusedError("other_tenant", _shown(key), f"{_shown(key)!r} names another tenant than the key's")
            continue
        if name not in FIELDS:
            hint = (
                "; the tenant comes from the API key" if name in TENANT_NAMES | {"tenant", "tenant_id"}
                else nearest(name, FIELDS, in_bulk=True) or "; put fields of your own into 'attributes'"
            )  # fmt: skip
            raise _RefusedError("unknown_field", _shown(key), f"unknown field {key[:100]!r}{hint}")
        if content is None or content == "":
            continue
        if name == "sentiment" and isinstance(content, dict) and content.keys() == {"tone"}:
            content = content["tone"]
        if name == "asks":
            content = _BOOLEANS.get(str(content).strip().lower(), content)
        if name in TEXT_FIELDS and isinstance(content, int | float) and not isinstance(content, bool):
            content = str(content)
        if name in fields and fields[name] != content:
            raise _RefusedError(
                "invalid_field", name, f"{name!r} is given twice, in two spellings, with different values"
            )
        fields[name] = content
    for required in ("type", "time"):
        if required not in fields:
            raise _RefusedError("missing_field", required, f"'{required}' is required")
    if isinstance(fields["time"], int | float):
        raise _RefusedError(
            "invalid_time",
            "time",
            "a number has no unit: write the time as RFC 3339 with an offset, like 2026-08-01T09:30:00+02:00",
        )
    return fields


def _shown(key: str) -> str:
    return key[:100].encode("utf-8", "replace").decode()


def _attributes(content: Any) -> msgspec.Raw:
    if content is None:
        return NOTHING
    if not isinstance(content, dict):
        raise _RefusedError("invalid_field", "attributes", "'attributes' must be a JSON object")
    try:
        return msgspec.Raw(msgspec.json.encode(content))
    except (UnicodeEncodeError, ValueError, RecursionError):
        raise _RefusedError("invalid_text", "attributes", "'attributes' cannot be written as JSON") from None


def _from_cloud_event(value: EventFields) -> EventFields:
    """Return the fields of a CloudEvent: those in `data`, and id, source, type and time from the envelope, which win.

    Extension attributes, which the specification allows, go into `attributes`.
    """
    data = value.get("data")
    inner = dict(data) if isinstance(data, dict) else {}
    outer = {k: v for k, v in value.items() if k in ("id", "source", "type", "time")}
    if isinstance(outer.get("type"), str):
        outer["type"] = outer["type"].removeprefix("hubbub.")
    own = inner.get("attributes", inner.get("metadata", {}))
    extra = {k: v for k, v in value.items() if k not in outer and k not in _CLOUD_FIELDS}
    if extra and isinstance(own, dict):
        inner.pop("metadata", None)
        inner["attributes"] = {**extra, **own}
    named = {name for name in inner if ALIASES.get(snake(name), snake(name)) in outer}  # the envelope's value wins
    return {**{name: content for name, content in inner.items() if name not in named}, **outer}


def too_deep(attributes: bytes) -> bool:
    """Whether a JSON text nests deeper than attributes may (32 levels); counts brackets outside strings."""
    if attributes.count(b"{") + attributes.count(b"[") <= _MAX_DEPTH:
        return False
    depth = deepest = 0
    in_string = escaped = False
    for byte in attributes:
        if escaped:
            escaped = False
        elif in_string:
            escaped = byte == 0x5C
            in_string = byte != 0x22
        elif byte == 0x22:
            in_string = True
        elif byte in (0x7B, 0x5B):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (0x7D, 0x5D):
            depth -= 1
    return deepest > _MAX_DEPTH
