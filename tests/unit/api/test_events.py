"""POST /v1/events: every form of the contract is stored, and hostile input is refused by name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.facts.moments import moment
from tests.unit.api.conftest import DAY, Face, event, open_engine, serving

NDJSON = "application/x-ndjson"
OK = event("good")


def cloud(id_: str, **data: Any) -> dict[str, Any]:
    """Return an event as a CloudEvent."""
    return {
        "specversion": "1.0", "id": id_, "source": "/desk", "type": "message.received", "time": "2026-08-01T10:00:00Z",
        "data": data,
    }  # fmt: skip


def lines(*events: Any) -> bytes:
    """Return events as NDJSON."""
    return b"\n".join(json.dumps(e).encode() for e in events)


@pytest.mark.parametrize(
    ("body", "content_type", "ids"),
    [
        (event("a"), "application/json", ["a"]),
        ([event("a"), event("b")], "application/json", ["a", "b"]),
        (lines(event("a"), event("b")), NDJSON, ["a", "b"]),
        (lines(event("a")) + b"\n\n", "application/jsonl; charset=utf-8", ["a"]),
        (cloud("a", channel="sms"), "application/cloudevents+json", ["a"]),
        ([cloud("a"), cloud("b")], "application/cloudevents-batch+json", ["a", "b"]),
    ],
)
def test_every_form_of_the_contract_is_stored(face: Face, body: Any, content_type: str, ids: list[str]) -> None:
    """One event, an array, NDJSON, and single and batched CloudEvents get 202 with counts, and are stored."""
    answer = face.post(body, **{"Content-Type": content_type})
    assert answer.status_code == 202
    assert answer.json() == {"accepted": len(ids), "duplicates": 0, "corrected": 0, "rejected": []}
    assert [row["id"] for row in face.stored()] == ids


def test_gzip_is_read_in_every_form(face: Face) -> None:
    """A gzip body is read as its content."""
    for body, kind in ((json.dumps([event("a")]).encode(), "application/json"), (lines(event("b")), NDJSON)):
        answer = face.post(gzip.compress(body), **{"Content-Encoding": "gzip", "Content-Type": kind})
        assert answer.json()["accepted"] == 1


def test_every_member_of_a_gzip_body_is_read(face: Face) -> None:
    """A body of several gzip members, as log shippers append them, is read as its whole content."""
    parts = [lines(event(name)) + b"\n" for name in "abc"]
    answer = face.post(b"".join(map(gzip.compress, parts)), **{"Content-Encoding": "gzip", "Content-Type": NDJSON})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 3)


def test_a_byte_order_mark_does_no_harm(face: Face) -> None:
    """A byte order mark before an array or before lines is ignored."""
    for body, kind in ((json.dumps([event("a")]).encode(), "application/json"), (lines(event("b")), NDJSON)):
        assert face.post(b"\xef\xbb\xbf" + body, **{"Content-Type": kind}).json()["accepted"] == 1


def test_a_rating_that_counts_nowhere_has_a_note(face: Face) -> None:
    """A rating outside its scale is stored with a note in the answer; other answers have no notes."""
    rating = {"type": "satisfaction.rating_received", "time": OK["time"]}
    answer = face.post([OK, {**rating, "id": "r", "value": 4.5}]).json()
    assert (answer["accepted"], answer["rejected"]) == (2, [])
    (note,) = answer["notes"]
    assert (note["index"], note["code"], note["field"]) == (1, "counts_nowhere", "value")
    assert "notes" not in face.post([{**rating, "id": "s", "value": 5}]).json()


@pytest.mark.parametrize("name", ["property_id", "propertyId", "organization_id", "team_id", "teamId"])
def test_a_tenant_in_an_original_spelling_must_be_the_keys(face: Face, name: str) -> None:
    """An event that names the key's tenant is stored; one that names another is refused with its own code."""
    answer = face.post([{**event("a"), name: "acme"}, {**event("b"), name: "other"}]).json()
    assert answer["accepted"] == 1
    assert [(r["index"], r["code"], r["field"]) for r in answer["rejected"]] == [(1, "other_tenant", name)]


@pytest.mark.parametrize(
    "spelling",
    [
        {
            "event_type": "message.received",
            "timestamp": "2026-08-01T12:00:00+02:00",
            "guest_id": "g",
            "metadata": {"a": 1},
        },
        {
            "eventType": "message.received",
            "timestamp": "2026-08-01T12:00:00+02:00",
            "guestId": "g",
            "metadata": {"a": 1},
        },
        {"type": "message.received", "time": "2026-08-01T10:00:00Z", "contactId": "g", "attributes": {"a": 1}},
    ],
)
def test_original_spellings_mean_the_same(face: Face, spelling: dict[str, Any]) -> None:
    """event_type, timestamp, guest_id, metadata and camelCase forms are stored under the contract's names."""
    assert face.post(spelling | {"id": "x"}).json()["accepted"] == 1
    (row,) = face.stored()
    assert (row["type"], row["contact_id"], json.loads(row["attributes"])) == ("message.received", "g", {"a": 1})
    assert moment(row["time"]).isoformat() == "2026-08-01T10:00:00+00:00"


def test_resending_is_a_duplicate_and_a_revision_corrects(face: Face) -> None:
    """The same source and id counts once; a higher revision replaces, even if a lower one arrives last."""
    assert face.post(OK).json()["accepted"] == 1
    assert face.post(OK).json() == {"accepted": 0, "duplicates": 1, "corrected": 0, "rejected": []}
    assert face.post(event("good", revision=3, channel="mail")).json()["corrected"] == 1
    assert face.post(event("good", revision=2, channel="fax")).json()["duplicates"] == 1
    assert [row["channel"] for row in face.stored()] == ["mail"]


def test_a_verdict_names_index_code_field_and_message(face: Face) -> None:
    """Each refused record has its index, code, field, and a message with the nearest known name."""
    answer = face.post(
        [OK, {"type": "message.recieved", "time": OK["time"]}, {"time": OK["time"]}, event("n", tenant="b")]
    ).json()
    assert answer["accepted"] == 1
    assert [(r["index"], r["code"], r["field"]) for r in answer["rejected"]] == [
        (1, "unknown_type", "type"), (2, "missing_field", "type"), (3, "unknown_field", "tenant"),
    ]  # fmt: skip
    assert "message.received" in answer["rejected"][0]["message"]
    assert "API key" in answer["rejected"][2]["message"]


def test_one_bad_event_of_a_thousand_is_quarantined_alone(face: Face) -> None:
    """Of 1,000 events 999 are stored and one is quarantined; once corrected, a replay stores it once."""
    batch = [event(f"e{i}", hour=i % 24) for i in range(1000)]
    batch[500] = event("e500", type="message.unheard_of")
    answer = face.post(batch).json()
    assert (answer["accepted"], [r["index"] for r in answer["rejected"]]) == (999, [500])
    (kept,) = face.engine.quarantine.of("acme").rows
    assert (kept.code, kept.origin, json.loads(kept.raw or "")["id"]) == ("unknown_type", "api", "e500")
    assert face.engine.quarantine.replay("acme").rejected[0].code == "unknown_type"
    with face.engine.store.facts.write() as writing:  # stands for the sender's correction
        writing.run("UPDATE quarantine SET raw = replace(raw, 'unheard_of', 'received')")
    assert face.engine.quarantine.replay("acme").accepted == 1
    assert face.engine.quarantine.of("acme").rows == []
    assert len(face.stored()) == 1000


BIG = b"9" * 5000
HOSTILE: dict[str, bytes] = {
    "attributes 900 deep": b'"attributes":' + b'{"a":' * 900 + b"1" + b"}" * 900,
    "a text 900 deep": b'"channel":' + b"[" * 900 + b"]" * 900,
    "attributes 100,000 deep": b'"attributes":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NUL": b'"channel":"a\\u0000b"',
    "NUL as id": b'"id":"\\u0000"',
    "bad UTF-8": b'"channel":"\xff"',
    "bad UTF-8 in attributes": b'"attributes":{"a":"\xff"}',
    "lone surrogate": b'"channel":"\\ud800"',
    "lone surrogate as key": b'"\\ud800":"x"',
    "lone surrogate in attributes": b'"attributes":{"a":"\\ud800"}',
    "lone surrogate as time": b'"time":"\\ud800"',
    "2^63": b'"duration_ms":9223372036854775808',
    "2^63 as revision": b'"revision":9223372036854775808',
    "-2^63": b'"duration_ms":-9223372036854775808',
    "NaN": b'"value":NaN',
    "Infinity": b'"value":-Infinity',
    "1e999": b'"value":1e999',
    "NaN as text": b'"value":"NaN"',
    "5,000 digits": b'"value":' + BIG,
    "5,000 digits of ms": b'"duration_ms":' + BIG,
    "year 1": b'"time":"0001-01-01T00:00:00+14:00"',
    "year 9999": b'"time":"9999-12-31T23:59:59-14:00"',
    "no offset": b'"time":"2026-08-01T10:00:00"',
    "a number as time": b'"time":1785578400',
    "25 hours ahead": b'"time":"2026-08-21T13:00:01Z"',
    "a boolean as id": b'"id":true',
    "a list as id": b'"id":[]',
}
"""Members of an event, each of which makes it refused."""


def strict(text: str) -> Any:
    """Parse JSON, and fail on NaN and infinity."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} in {text[:300]}")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_refuses_its_event_alone(arena: Face, name: str) -> None:
    """Beside a good event the hostile one alone is refused; sent alone it is refused or a 400."""
    bad = b'{"type":"message.received","time":"2026-08-01T10:00:00Z",' + HOSTILE[name] + b"}"
    good = json.dumps(event(f"beside {name}")).encode()
    alone = arena.post(bad)
    assert alone.status_code == 400 or (alone.status_code == 202 and len(alone.json()["rejected"]) == 1), alone.text
    for body, kind in ((good + b"\n" + bad, NDJSON), (b"[" + good + b"," + bad + b"]", "application/json")):
        answer = arena.post(body, **{"Content-Type": kind})
        if name == "attributes 100,000 deep" and kind != NDJSON:
            assert answer.status_code == 400  # no parser reads past it, so its records cannot be separated
            continue
        assert answer.status_code == 202, answer.text
        told = strict(answer.text)
        assert told["accepted"] + told["duplicates"] == 1
        assert [r["index"] for r in told["rejected"]] == [1]
        assert told["rejected"][0]["code"]


@pytest.mark.parametrize(
    "member",
    [
        b'"value":-0.0',
        b'"value":1e-400',
        b'"attributes":{"\\u0000":1}',
        b'"attributes":{"a":1e999}',
        b'"value":1,"value":2',
    ],
)
def test_odd_but_valid_members_are_stored(arena: Face, member: bytes) -> None:
    """Odd but valid members are stored."""
    answer = arena.post(b'{"type":"message.received","time":"2026-08-01T11:00:00Z",' + member + b"}")
    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"   ", b"5", b'"a"', b"null", b"true", b"\0" * 100, b"[", b"{", b"[" * 100_000, b'{"a":' * 100_000,
        json.dumps(OK).encode() + b"x", json.dumps(OK).encode("utf-16"), b"\xff\xfe", b"type=message.received",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_a_body_that_is_not_json_is_a_400(arena: Face, body: bytes) -> None:
    """Empty bodies, top-level scalars, truncated JSON and other encodings are refused as a whole, with a reason."""
    answer = arena.post(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["detail"]


def test_refused_elements_are_quarantined_with_their_json(face: Face) -> None:
    """Each refused element is stored once with its own JSON, whatever is beside it, and can be replayed."""
    long = {**OK, "type": "unheard_of", "attributes": {"note": "\\" * 40_000}}
    odd = {**OK, "type": "unheard_of", "channel": "\ud800", "value": 2.5, "attributes": {"a": 1}}
    plain = [b"1", b"null", b'["a"]', b'"b"', json.dumps(long).encode()]
    for body in (b",".join(plain), b",".join([*plain, json.dumps(odd).encode()]), b'{"a":\n1}'):
        face.post(b"[" + body + b"]")

    def told(value: Any) -> str:
        return json.dumps(value, sort_keys=True)

    kept = [told(json.loads(row.raw or "")) for row in face.engine.quarantine.of("acme").rows]
    assert sorted(kept) == sorted(map(told, [*map(json.loads, plain), odd, {"a": 1}]))
    again = face.engine.quarantine.replay("acme").rejected
    assert {r.code for r in again} == {"invalid_event", "unknown_type", "unknown_field"}
    assert len(face.engine.quarantine.of("acme").rows) == len(again) == 7


def test_elements_that_are_not_objects_are_refused_by_index(arena: Face) -> None:
    """Elements of an array that are not objects are refused by index, and an empty array counts nothing."""
    answer = arena.post([1, None, "a", [], OK]).json()
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(i, "invalid_event") for i in range(4)]
    assert arena.post([]).json() == {"accepted": 0, "duplicates": 0, "corrected": 0, "rejected": []}


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b" " * (50 << 20), "identity", 413, "too_large"),
        (gzip.compress(b"[" + b" " * (60 << 20) + b"]"), "gzip", 413, "too_large"),
        (gzip.compress(json.dumps(OK).encode())[:-5], "gzip", 400, "bad_request"),
        (b"", "gzip", 400, "bad_request"),
        (b"no gzip", "gzip", 400, "bad_request"),
        (gzip.compress(json.dumps(OK).encode()) + b"more", "gzip", 400, "bad_request"),
        (gzip.compress(json.dumps(OK).encode()) + b"\0", "gzip", 400, "bad_request"),
        (gzip.compress(json.dumps(OK).encode()) + gzip.compress(b" " * 9)[:-1], "gzip", 400, "bad_request"),
        (gzip.compress(b"[" + b" " * (6 << 20)) + gzip.compress(b" " * (6 << 20)), "gzip", 413, "too_large"),
        (gzip.compress(b"") * 200_000, "gzip", 400, "bad_request"),
        (json.dumps(OK).encode(), "br", 400, "bad_request"),
    ],
    ids=[
        "50 MB",
        "gzip bomb",
        "truncated gzip",
        "empty gzip",
        "no gzip",
        "text behind",
        "a byte behind",
        "half a member",
        "bomb of members",
        "too many members",
        "brotli",
    ],
)
def test_bodies_are_bounded(arena: Face, body: bytes, encoding: str, status: int, code: str) -> None:
    """50 MB, a gzip bomb, broken gzip and unknown encodings are refused, and nothing is stored."""
    before = len(arena.stored())
    answer = arena.post(body, **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(arena.stored()) == before


def test_a_body_without_a_length_is_bounded(arena: Face) -> None:
    """A body sent in pieces, without a length, is refused once it is too large."""
    pieces = (b" " * (1 << 20) for _ in range(20))
    answer = arena.http.post("/v1/events", content=pieces, headers=arena.auth)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_question_is_bounded_too(arena: Face) -> None:
    """50 MB posted as a query are refused."""
    answer = arena.http.post("/v1/query", content=b" " * (50 << 20), headers=arena.auth)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_batches_are_bounded(tmp_path: Path) -> None:
    """A batch with more events than allowed is refused, and none is stored."""
    with open_engine(tmp_path, max_batch=10) as engine:
        engine.add_tenant("acme")
        with TestClient(create_app(engine, refresh=False)) as http:
            face = Face(engine, http, engine.keys.add("acme").key)
            assert face.post([event(str(i)) for i in range(11)]).json()["code"] == "too_large"
            assert face.stored() == []


def test_no_answer_holds_nan_after_extreme_events(arena: Face) -> None:
    """After hostile events every metric answers valid JSON with finite numbers, before and after folding."""
    for member in HOSTILE.values():
        arena.post(b'[{"type":"metric.observed","name":"n","time":"2026-08-01T10:00:00Z",' + member + b"}]")
    arena.post(
        [event(f"v{i}", type="metric.observed", name="n", value=v) for i, v in enumerate((1e18, -1e18, 0.1, -0.0))]
    )
    names = [r["name"] + (".p95" if r["statistics"] else "") for r in arena.engine.metrics()["rows"]]
    for _ in range(2):
        strict(arena.ask(metrics=names, details=True, compare="previous").raise_for_status().text)
        for path in ("/v1/trends", "/v1/hotspots"):
            strict(arena.get(path, **DAY).raise_for_status().text)
        strict(arena.get("/v1/dashboard").raise_for_status().text)
        assert arena.engine.refresh()["errors"] == {}


def test_collection_that_is_off_refuses_with_503(tmp_path: Path) -> None:
    """With `collection.enabled: false` events get 503 with Retry-After, so that senders retry; nothing is stored."""
    with serving(tmp_path / "data", collection={"enabled": False}) as face:
        answer = face.post([OK])
        assert (answer.status_code, answer.json()["code"]) == (503, "collection_off")
        assert "retry-after" in answer.headers
        assert face.stored() == []


def test_a_full_disk_refuses_with_507(tmp_path: Path) -> None:
    """Below the floor of free space events get 507 with Retry-After, and queries are answered."""
    with open_engine(tmp_path, free_floor_mb=1 << 40) as engine:
        engine.add_tenant("acme")
        with TestClient(create_app(engine, refresh=False)) as http:
            face = Face(engine, http, engine.keys.add("acme").key)
            answer = face.post(OK)
            assert (answer.status_code, answer.json()["code"]) == (507, "store_full")
            assert int(answer.headers["retry-after"]) > 0
            assert face.ask().json()["rows"][0]["messages"] == 0
