"""Bytes become events or rejections, one per record: a bad record does not affect its neighbours."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from hubbub.model.event import (
    TYPES,
    Event,
    Rejection,
    UnreadableBodyError,
    event_from,
    is_known_type,
    read_events,
    too_deep,
)

GOOD = {"type": "message.sent", "time": "2026-08-01T09:30:00+02:00"}


def body(*records: object) -> bytes:
    """Return an array of records as bytes."""
    return json.dumps(records).encode()


def only(item: Event | Rejection) -> Event:
    """Return the event of a record."""
    assert isinstance(item, Event), item
    return item


def refused(item: Event | Rejection) -> Rejection:
    """Return the rejection of a record."""
    assert isinstance(item, Rejection), item
    return item


def test_one_event_an_array_and_lines_are_read_alike() -> None:
    """An object, an array, and NDJSON with empty lines give the same events, in order."""
    line = json.dumps(GOOD).encode()
    single, array, lines = read_events(line), read_events(body(GOOD)), read_events(line + b"\n\n" + line, lines=True)
    assert single == array == lines[:1]
    assert len(lines) == 2
    assert only(single[0]).time == datetime(2026, 8, 1, 7, 30, tzinfo=UTC)


def test_attributes_are_kept_as_they_were_written() -> None:
    """Attributes keep the text that was sent; without them they are empty."""
    raw = b'{"type":"message.sent","time":"2026-08-01T09:30:00Z","attributes":{"b": 1.50, "a": [1]}}'
    assert bytes(only(read_events(raw)[0]).attributes) == b'{"b": 1.50, "a": [1]}'
    assert bytes(only(read_events(body(GOOD))[0]).attributes) == b""


def test_a_bad_record_leaves_its_neighbours_alone() -> None:
    """Good records of an array become events, and bad ones rejections with their index."""
    items = read_events(body(GOOD, 7, {"type": "message.sent"}, {**GOOD, "confidence": "high"}, GOOD))
    assert [type(i) for i in items] == [Event, Rejection, Rejection, Rejection, Event]
    assert [(r.index, r.code, r.field) for r in items if isinstance(r, Rejection)] == [
        (1, "invalid_event", None), (2, "missing_field", "time"), (3, "invalid_field", "confidence"),
    ]  # fmt: skip


def test_a_broken_line_is_refused_alone() -> None:
    """An NDJSON line that is not JSON is rejected with its text, and the next line is read."""
    items = read_events(b'{"type"\n' + json.dumps(GOOD).encode(), lines=True)
    assert refused(items[0]).code == "invalid_json"
    assert refused(items[0]).raw == '{"type"'
    assert only(items[1]).type == "message.sent"


@pytest.mark.parametrize("raw", [b"", b"  ", b"null", b"7", b'"x"', b"[{", b'{"type":', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_or_array_is_unreadable(raw: bytes) -> None:
    """A body that is no JSON object or array is refused as a whole."""
    with pytest.raises(UnreadableBodyError):
        read_events(raw)


@pytest.mark.parametrize(
    "number",
    ["1e999", "NaN", "-Infinity", "1.5"],
)
def test_an_invalid_number_rejects_its_record_alone(number: str) -> None:
    """An infinite or missing number, or a fraction of a millisecond, rejects its own record alone."""
    raw = f'[{{"type":"message.sent","time":"2026-08-01T09:30:00Z","duration_ms":{number}}},{json.dumps(GOOD)}]'
    items = read_events(raw.encode())
    assert refused(items[0]).index == 0
    assert only(items[1]).type == "message.sent"


def test_a_lone_surrogate_rejects_its_record_alone() -> None:
    """A record with a lone surrogate does not affect the other one."""
    raw = (
        b'[{"type":"message.sent","time":"2026-08-01T09:30:00Z","attributes":{"x":"\\ud800"}},'
        + json.dumps(GOOD).encode()
        + b"]"
    )
    items = read_events(raw)
    assert len(items) == 2
    assert only(items[1]).type == "message.sent"


def test_a_record_of_depth_nine_hundred_does_no_harm() -> None:
    """Deep nesting does not break the reader: one record gives one item."""
    deep = "[" * 900 + "]" * 900
    raw = f'[{{"type":"message.sent","time":"2026-08-01T09:30:00Z","attributes":{{"x":{deep}}}}}]'
    items = read_events(raw.encode())
    assert len(items) == 1


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"event_type": "message.sent", "timestamp": GOOD["time"]}, "type", "message.sent"),
        ({"eventType": "message.sent", "occurredAt": GOOD["time"]}, "type", "message.sent"),
        ({**GOOD, "guest_id": "g1"}, "contact_id", "g1"),
        ({**GOOD, "guestId": "g1"}, "contact_id", "g1"),
        ({**GOOD, "contactId": 77}, "contact_id", "77"),
        ({**GOOD, "tone": "angry"}, "sentiment", "angry"),
        ({**GOOD, "tone": "", "guest_id": 1.5}, "sentiment", None),
        ({**GOOD, "channel": None}, "channel", None),
        ({**GOOD, "sentiment": {"tone": "angry"}}, "sentiment", "angry"),
        ({"type": "message.sent", "created_at": GOOD["time"]}, "type", "message.sent"),
        ({"type": "message.sent", "createdAt": GOOD["time"]}, "type", "message.sent"),
        ({**GOOD, "eventType": GOOD["type"]}, "type", GOOD["type"]),
    ],
)
def test_other_spellings_are_read(given: dict[str, object], field: str, value: object) -> None:
    """Names of the replaced systems, camelCase, numbers as ids and empty strings are read."""
    assert getattr(only(read_events(body(given))[0]), field) == value


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"guest_id": "a", "contactId": "b"}, "contact_id"), ({"created_at": "2026-08-02T09:30:00Z"}, "time"),
        ({"sentiment": {"tone": "angry", "score": 1}}, "sentiment"), ({"sentiment": {"tone": 1, "a": {}}}, "sentiment"),
    ],
)  # fmt: skip
def test_a_field_in_two_spellings_is_refused(more: dict[str, object], field: str) -> None:
    """Two spellings of a field with two values, and an object with more than a tone, are rejected by field."""
    item = refused(event_from({**GOOD, **more}))
    assert (item.code, item.field) == ("invalid_field", field)


def test_metadata_becomes_attributes() -> None:
    """The old field `metadata` becomes attributes."""
    event = only(read_events(body({**GOOD, "metadata": {"a": 1}}))[0])
    assert json.loads(bytes(event.attributes)) == {"a": 1}


def test_cloud_events_are_read() -> None:
    """A CloudEvent's envelope gives type, time, id and source; its data gives the rest."""
    cloud = {
        "specversion": "1.0", "type": "hubbub.message.sent", "time": GOOD["time"], "id": "e1", "source": "crm",
        "datacontenttype": "application/json", "subject": "x", "data": {"channel": "email"},
    }  # fmt: skip
    event = only(read_events(body(cloud))[0])
    assert (event.type, event.id, event.source, event.channel) == ("message.sent", "e1", "crm", "email")


def test_unknown_fields_come_with_advice() -> None:
    """An unknown field is rejected with the nearest one, a tenant with the advice that it comes from the key."""
    typo = refused(event_from({**GOOD, "chanel": "x"}))
    assert (typo.code, typo.field) == ("unknown_field", "chanel")
    assert "'channel'" in typo.message
    assert "API key" in refused(event_from({**GOOD, "tenant_id": "x"})).message
    assert "attributes" in refused(event_from({**GOOD, "zzzzqqqq": "x"})).message


@pytest.mark.parametrize(
    ("time", "word"),
    [(1754040000, "unit"), ("yesterday", "RFC 3339"), ("2026-02-30T00:00:00Z", "RFC 3339"), (True, "")],
)
def test_invalid_times_are_refused(time: object, word: str) -> None:
    """A number, a word and an impossible date are rejected with the format of a time."""
    item = refused(event_from({**GOOD, "time": time}))
    assert (item.code, item.field) == ("invalid_time", "time")
    assert word in item.message


def test_types_of_the_contract_and_custom_ones_are_known() -> None:
    """The contract's 46 types and well-formed `custom.*` types are known, and no others."""
    assert len(TYPES) == 46
    assert is_known_type("response.time_recorded") and is_known_type("custom.my-thing.v2")
    assert not any(
        is_known_type(t) for t in ("message", "custom.", "custom.-x", "Custom.x", "custom.x\n", "message.Sent")
    )


def test_depth_counts_brackets_outside_strings() -> None:
    """Brackets inside strings do not count; 33 nested ones are too deep."""
    assert not too_deep(b'{"a": "' + b"[" * 99 + b'\\"' + b"{" * 99 + b'"}')
    assert not too_deep(b"[" * 32 + b"]" * 32)
    assert not too_deep(b"[" + b"[]," * 99 + b"[]]")
    assert too_deep(b"[" * 33 + b"]" * 33)
